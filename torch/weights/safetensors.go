package weights

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// tensorHeader is the description of one tensor in a safetensors header.
type tensorHeader struct {
	DType   string  `json:"dtype"`
	Shape   numbers `json:"shape"`
	Offsets numbers `json:"data_offsets"`
}

// numbers is a short JSON array of integers. The length is bounded before
// anything is allocated.
type numbers []int64

func (n *numbers) UnmarshalJSON(b []byte) error {
	if bytes.Count(b, []byte{','}) >= maxDims {
		return fmt.Errorf("more than %d dimensions", maxDims)
	}
	return json.Unmarshal(b, (*[]int64)(n))
}

// openSafetensors reads the header: its length in 8 bytes, then JSON. As the
// reference reader does, it wants the tensors to cover the rest of the file
// exactly, in any order, without gaps or overlaps.
func (f *File) openSafetensors(o Options) error {
	var b [8]byte
	if err := readFull(f.r, b[:], 0); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint64(b[:])
	if n > uint64(f.size-8) {
		return fmt.Errorf("header of %d bytes in a file of %d: %w", n, f.size, io.ErrUnexpectedEOF)
	}
	if limit := f.limits.header.left; f.limits.header.spend(int64(n)) != nil {
		return fmt.Errorf("header of %d bytes, more than the %d that are believable for a file of this size", n, limit)
	}
	data := f.size - 8 - int64(n)
	f.metadata = make(map[string]string)
	p := &headerParser{f: f, dec: json.NewDecoder(bufio.NewReader(io.NewSectionReader(f.r, 8, int64(n)))), data: data}
	if err := p.parse(); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	if err := p.checkCover(); err != nil {
		return err
	}
	f.checked = p.checked(8 + int64(n))
	return f.pick(p.entries, nil, o)
}

type headerParser struct {
	f       *File
	dec     *json.Decoder
	data    int64 // bytes behind the header
	entries []flat
}

func (p *headerParser) parse() error {
	t, err := p.dec.Token()
	if err != nil {
		return unexpected(err)
	}
	if t != json.Delim('{') {
		return errors.New("not a JSON object")
	}
	seen := make(map[string]bool)
	for p.dec.More() {
		t, err := p.dec.Token()
		if err != nil {
			return unexpected(err)
		}
		key, ok := t.(string)
		if !ok || !utf8.ValidString(key) {
			return fmt.Errorf("key %v is no string", t)
		}
		if seen[key] {
			return fmt.Errorf("key %q: comes twice", key)
		}
		seen[key] = true
		if key == "__metadata__" {
			if err := p.dec.Decode(&p.f.metadata); err != nil {
				return fmt.Errorf("__metadata__: %w", unexpected(err))
			}
			continue
		}
		if err := p.tensor(key); err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
	}
	if _, err := p.dec.Token(); err != nil {
		return unexpected(err)
	}
	if _, err := p.dec.Token(); err != io.EOF {
		return errors.New("text after the JSON object")
	}
	return nil
}

// tensor decodes one description and checks it against the data's size.
func (p *headerParser) tensor(name string) error {
	var h tensorHeader
	if err := p.dec.Decode(&h); err != nil {
		return unexpected(err)
	}
	d, err := ParseDType(h.DType)
	if err != nil || h.DType != dtypes[d].safetensors {
		return fmt.Errorf("dtype %q is not supported", h.DType)
	}
	shape := slices.Clip([]int64(h.Shape))
	info := Info{Name: name, DType: d, Shape: shape}
	if h.Shape == nil {
		return errors.New("no shape")
	}
	if d == F4x2 {
		last := len(shape) - 1
		if last < 0 || shape[last]%2 != 0 {
			return fmt.Errorf("dtype F4 with shape %v: the last dimension must be even", shape)
		}
		shape[last] /= 2
	}
	if err := info.check(); err != nil {
		return err
	}
	if len(h.Offsets) != 2 {
		return errors.New("data_offsets are not two numbers")
	}
	begin, end := h.Offsets[0], h.Offsets[1]
	if begin < 0 || begin > end || end > p.data {
		return fmt.Errorf("data_offsets [%d,%d] in %d bytes of data", begin, end, p.data)
	}
	if end-begin != info.Bytes() {
		return fmt.Errorf("%d bytes for %v%v, which takes %d", end-begin, d, shape, info.Bytes())
	}
	at := &blob{off: p.f.size - p.data + begin, size: end - begin}
	p.entries = append(p.entries, flat{info, view{blob: at, dtype: d, shape: shape}})
	return nil
}

// checkCover reports the first gap or overlap between tensors.
func (p *headerParser) checkCover() error {
	order := make([]*flat, len(p.entries))
	for i := range order {
		order[i] = &p.entries[i]
	}
	slices.SortStableFunc(order, func(a, b *flat) int {
		return cmp.Or(cmp.Compare(a.view.off, b.view.off), cmp.Compare(a.view.size, b.view.size))
	})
	next := p.f.size - p.data
	for _, e := range order {
		v := e.view
		if v.off != next {
			what := "overlaps the tensor before it"
			if v.off > next {
				what = fmt.Sprintf("leaves a gap of %d bytes before it", v.off-next)
			}
			return fmt.Errorf("key %q: %s", e.info.Name, what)
		}
		next += v.size
	}
	if next != p.f.size {
		return fmt.Errorf("%d bytes at the end belong to no tensor", p.f.size-next)
	}
	return nil
}

// unexpected turns the end of a header within a value into the usual error.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// WriteSafetensors writes the entries to w as a safetensors file, laid out as
// the reference writer does: by element size, then by name. The same entries
// give the same bytes. Types that the format lacks (complex32, complex128) are
// an error.
func WriteSafetensors(w io.Writer, entries []Entry, metadata map[string]string) error {
	if err := writeSafetensors(w, entries, metadata); err != nil {
		return fmt.Errorf("weights: writing safetensors: %w", err)
	}
	return nil
}

func writeSafetensors(w io.Writer, entries []Entry, metadata map[string]string) error {
	order, head, err := safetensorsLayout(entries, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	for _, e := range order {
		if err := writeData(w, e); err != nil {
			return err
		}
	}
	return nil
}

// safetensorsLayout returns the entries in the order of their data, and what
// comes before those.
func safetensorsLayout(entries []Entry, metadata map[string]string) (order []Entry, head []byte, err error) {
	if err := checkEntries(entries); err != nil {
		return nil, nil, err
	}
	order = slices.Clone(entries)
	slices.SortFunc(order, func(a, b Entry) int {
		return cmp.Or(-cmp.Compare(a.DType, b.DType), strings.Compare(a.Name, b.Name))
	})
	head, err = safetensorsHeader(order, metadata)
	return order, head, err
}

// safetensorsHeader returns the length and the JSON, padded to 8 bytes.
func safetensorsHeader(order []Entry, metadata map[string]string) ([]byte, error) {
	head := make([]byte, 8, 1<<12)
	head = append(head, '{')
	var err error
	str := func(s string) {
		if !utf8.ValidString(s) {
			err = cmp.Or(err, fmt.Errorf("%q is not UTF-8, as JSON needs it", s))
		}
		head = appendJSON(head, s)
	}
	if len(metadata) > 0 {
		head = append(head, `"__metadata__":{`...)
		for i, k := range slices.Sorted(maps.Keys(metadata)) {
			if i > 0 {
				head = append(head, ',')
			}
			str(k)
			head = append(head, ':')
			str(metadata[k])
		}
		head = append(head, '}')
	}
	at := int64(0)
	for _, e := range order {
		if dtypes[e.DType].safetensors == "" {
			return nil, fmt.Errorf("key %q: safetensors has no %v; a .pt file has", e.Name, e.DType)
		}
		if e.Name == "__metadata__" {
			return nil, fmt.Errorf("key %q: the name is reserved", e.Name)
		}
		shape := slices.Clone(e.Shape)
		if e.DType == F4x2 {
			if len(shape) == 0 {
				return nil, fmt.Errorf("key %q: %v needs at least one dimension", e.Name, e.DType)
			}
			shape[len(shape)-1] *= 2
		}
		if head[len(head)-1] != '{' || len(metadata) > 0 {
			head = append(head, ',')
		}
		str(e.Name)
		head = fmt.Appendf(head, `:{"dtype":%q,"shape":[`, dtypes[e.DType].safetensors)
		for i, n := range shape {
			if i > 0 {
				head = append(head, ',')
			}
			head = fmt.Append(head, n)
		}
		head = fmt.Appendf(head, `],"data_offsets":[%d,%d]}`, at, at+e.Bytes())
		at += e.Bytes()
	}
	head = append(head, '}')
	for len(head)%8 != 0 {
		head = append(head, ' ')
	}
	binary.LittleEndian.PutUint64(head, uint64(len(head)-8))
	return head, err
}

// appendJSON appends s quoted as Rust's serde_json does, which escapes less
// than encoding/json: the files are then equal byte for byte.
func appendJSON(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, `\b`...)
		case '\f':
			b = append(b, `\f`...)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			if c < 0x20 {
				b = fmt.Appendf(b, `\u%04x`, c)
				continue
			}
			b = append(b, c)
		}
	}
	return append(b, '"')
}
