package weights

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// pickleEntries returns the pickle of an OrderedDict of tensors, whose i-th
// entry views the whole of storage i. Protocol 2, the one that torch.load's
// weights_only reader knows.
func pickleEntries(entries []Entry) ([]byte, error) {
	p := &pickler{memo: make(map[string]byte)}
	p.op("\x80\x02")
	p.orderedDict()
	if len(entries) > 0 {
		p.op("(")
		for i, e := range entries {
			if !utf8.ValidString(e.Name) {
				return nil, fmt.Errorf("key %q: not UTF-8, as a pickle needs it", e.Name)
			}
			p.str(e.Name)
			p.tensor(e.Info, strconv.Itoa(i))
		}
		p.op("u")
	}
	p.op(".")
	return p.b, nil
}

type pickler struct {
	b []byte
	// memo numbers what was written once and is referred to later: a few dozen
	// class names, so that a byte holds the number.
	memo map[string]byte
}

func (p *pickler) op(s string) { p.b = append(p.b, s...) }

// shared writes s, or a reference to it if it was written before.
func (p *pickler) shared(s string) {
	i, ok := p.memo[s]
	if ok {
		p.b = append(p.b, 'h', i)
		return
	}
	i = byte(len(p.memo))
	p.memo[s] = i
	p.op(s)
	p.b = append(p.b, 'q', i)
}

func (p *pickler) global(module, name string) { p.shared("c" + module + "\n" + name + "\n") }

func (p *pickler) orderedDict() {
	p.global("collections", "OrderedDict")
	p.op(")R")
}

func (p *pickler) str(s string) {
	p.op("X")
	p.b = binary.LittleEndian.AppendUint32(p.b, uint32(len(s)))
	p.op(s)
}

// int writes n ≥ 0 in the shortest form.
func (p *pickler) int(n int64) {
	switch {
	case n < 1<<8:
		p.op("K")
		p.b = append(p.b, byte(n))
	case n < 1<<16:
		p.op("M")
		p.b = binary.LittleEndian.AppendUint16(p.b, uint16(n))
	case n < 1<<31:
		p.op("J")
		p.b = binary.LittleEndian.AppendUint32(p.b, uint32(n))
	default:
		p.op("\x8a\x08")
		p.b = binary.LittleEndian.AppendUint64(p.b, uint64(n))
	}
}

func (p *pickler) ints(ns []int64) {
	p.op("(")
	for _, n := range ns {
		p.int(n)
	}
	p.op("t")
}

// tensor writes a call of _rebuild_tensor_v2 or, for a type without a storage
// class of its own, v3.
func (p *pickler) tensor(info Info, key string) {
	class, v3 := dtypes[info.DType].class, false
	numel := info.Len()
	if class == "" {
		v3 = true
		numel = info.Bytes()
		p.global("torch._utils", "_rebuild_tensor_v3")
	} else {
		p.global("torch._utils", "_rebuild_tensor_v2")
	}
	p.op("((")
	p.shared("X\x07\x00\x00\x00storage")
	if v3 {
		p.global("torch.storage", "UntypedStorage")
	} else {
		p.global("torch", class)
	}
	p.str(key)
	p.shared("X\x03\x00\x00\x00cpu")
	p.int(numel)
	p.op("tQK\x00")
	p.ints(info.Shape)
	p.ints(strides(info.Shape))
	p.op("\x89")
	p.orderedDict()
	if v3 {
		p.global("torch", dtypes[info.DType].torch)
	}
	p.op("tR")
}

// strides returns the strides of a C-ordered tensor, in elements. As in
// PyTorch, an empty dimension counts as one.
func strides(shape []int64) []int64 {
	out := make([]int64, len(shape))
	n := int64(1)
	for i := len(shape) - 1; i >= 0; i-- {
		out[i] = n
		n *= max(1, shape[i])
	}
	return out
}
