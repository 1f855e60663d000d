package torch

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gojepa/gojepa/torch/weights"
)

// LoadOptions say how a file's keys are matched with a model's. The zero value is PyTorch's load_state_dict.
type LoadOptions struct {
	// Prefix selects the keys of the file that begin with it, and is taken off them: "encoder." for one part of a
	// checkpoint.
	Prefix string

	// Keys changes the file's keys before anything else is looked at: leaves some out, puts other prefixes in their place.
	Keys weights.Mapping

	// Lenient ignores missing and unexpected keys, as strict=False does in PyTorch. Shapes must agree all the same.
	Lenient bool
}

// StateError says how the keys of a file differ from a model's.
type StateError struct {
	File       string     // what the keys are from
	Missing    []string   // the model's, which the file lacks
	Unexpected []string   // the file's, which the model lacks
	Misshapen  []Mismatch // in both, and different
}

// Mismatch is a key whose tensor does not fit.
type Mismatch struct {
	Name      string
	Got, Want string // such as "float32[10 192]"
}

// listed bounds how many keys of a kind a message names.
const listed = 20

// Error lists the keys by kind, the first 20 of each.
func (e *StateError) Error() string {
	var parts []string
	add := func(what string, names []string) {
		if len(names) == 0 {
			return
		}
		more := ""
		if n := len(names) - listed; n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		parts = append(parts, fmt.Sprintf("%s (%d): %s%s", what, len(names), strings.Join(names[:min(len(names), listed)], ", "), more))
	}
	add("missing keys", e.Missing)
	add("unexpected keys", e.Unexpected)
	var misshapen []string
	for _, m := range e.Misshapen {
		misshapen = append(misshapen, fmt.Sprintf("%s %s, expected %s", m.Name, m.Got, m.Want))
	}
	add("keys of another shape", misshapen)
	return fmt.Sprintf("torch: %s: not the weights of this model: %s", e.File, strings.Join(parts, "; "))
}

// Save writes the state dict to path, in PyTorch's order: safetensors where the name ends so, and otherwise PyTorch's zip
// format (.pt, .pth, .ckpt, .bin). The file appears whole or not at all. Errors name the path.
func (p *Params) Save(s *Scope, path string, metadata map[string]string) error {
	entries := make([]weights.Entry, len(p.list))
	for i, q := range p.list {
		var err error
		if entries[i], err = NewEntry(s, q.Name, q.Value); err != nil {
			return fmt.Errorf("torch: saving %s: %w", path, err)
		}
	}
	return weights.SaveFile(path, entries, metadata)
}

// Load reads the state dict of the file at path into p's parameters and buffers: [Params.LoadFile] says how.
func (p *Params) Load(s *Scope, path string, o LoadOptions) error {
	f, err := weights.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(p.LoadFile(s, f, path, o), f.Close())
}

// LoadFile reads the values of f, called name in errors, into p's parameters and buffers, whose memory, type and device
// stay. Keys that do not fit are reported together by a *[StateError] before anything changes; a file that cannot be read
// on leaves some values old and some new. Files may lack num_batches_tracked, which PyTorch knows since version 0.4.1.
func (p *Params) LoadFile(s *Scope, f *weights.File, name string, o LoadOptions) error {
	f, err := o.Keys.Apply(f)
	if err != nil {
		return err
	}
	if err := p.compare(f, name, o); err != nil {
		return err
	}
	var direct []pending
	for _, q := range p.list {
		key := o.Prefix + q.Name
		info, ok := f.Lookup(key)
		if !ok {
			continue
		}
		if m := s.Use(q.Value).memory(true); m != nil && info.DType.String() == q.Value.DType().String() {
			direct = append(direct, pending{key, m})
		} else if err := ReadTensor(s, f, key, q.Value); err != nil {
			return fmt.Errorf("torch: loading %s: %w", name, err)
		}
	}
	if err := readAll(f, direct); err != nil {
		return fmt.Errorf("torch: loading %s: %w", name, err)
	}
	return nil
}

// pending is a tensor of a file and the memory that it belongs in.
type pending struct {
	key    string
	memory []byte
}

// readers is how many tensors are read at a time: copying from the system's cache of a file takes a core each, and two to
// four of them the bandwidth of the memory.
const readers = 4

// readAll reads what the jobs say, from the file into the tensors' memory with no copy between.
func readAll(f *weights.File, jobs []pending) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, min(readers, runtime.GOMAXPROCS(0)))
	for w := range errs {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := next.Add(1) - 1; i < int64(len(jobs)) && errs[w] == nil; i = next.Add(1) - 1 {
				errs[w] = f.ReadInto(jobs[i].key, jobs[i].memory)
			}
		}()
	}
	wg.Wait()
	return errors.Join(errs...)
}

// compare matches the file's keys, shapes and types with p's.
func (p *Params) compare(f *weights.File, name string, o LoadOptions) error {
	e := &StateError{File: name}
	for _, q := range p.list {
		info, ok := f.Lookup(o.Prefix + q.Name)
		if !ok {
			if !o.Lenient && !isBatchCount(q) {
				e.Missing = append(e.Missing, q.Name)
			}
			continue
		}
		if _, known := dtypeOf(info.DType); !known || !slices.Equal(info.Shape, q.Value.Shape()) {
			e.Misshapen = append(e.Misshapen, Mismatch{q.Name, fmt.Sprintf("%s%v", info.DType, info.Shape), q.Value.describe()})
		}
	}
	for _, info := range f.Tensors() {
		if key, ok := strings.CutPrefix(info.Name, o.Prefix); ok && p.byName[key] == nil && !o.Lenient {
			e.Unexpected = append(e.Unexpected, info.Name)
		}
	}
	if e.Missing == nil && e.Unexpected == nil && e.Misshapen == nil {
		return nil
	}
	return e
}

func isBatchCount(q *Param) bool {
	return q.Buffer && (q.Name == "num_batches_tracked" || strings.HasSuffix(q.Name, ".num_batches_tracked"))
}

// NewEntry is t as an entry of a file that is written inside s. Its elements are copied when their turn comes, so that one
// tensor at a time is in memory twice.
func NewEntry(s *Scope, name string, t Tensor) (weights.Entry, error) {
	dtype, err := weights.ParseDType(t.DType().String())
	if err != nil {
		return weights.Entry{}, fmt.Errorf("key %q: %w", name, err)
	}
	write := func(w io.Writer) (err error) {
		s.Child(func(s *Scope) Tensor {
			t := s.Use(t)
			m := t.memory(false)
			if m == nil {
				m = t.Bytes()
			}
			_, err = w.Write(m)
			return Tensor{}
		})
		return err
	}
	return weights.Entry{Info: weights.Info{Name: name, DType: dtype, Shape: t.Shape()}, WriteData: write}, nil
}

// ReadTensor copies the tensor of a name out of f into t, which has its shape; types may differ. No gradient.
func ReadTensor(s *Scope, f *weights.File, name string, t Tensor) error {
	info, ok := f.Lookup(name)
	if !ok {
		return fmt.Errorf("key %q is missing", name)
	}
	dtype, known := dtypeOf(info.DType)
	if !known || !slices.Equal(info.Shape, t.Shape()) {
		return fmt.Errorf("key %q: %s%v, expected %s", name, info.DType, info.Shape, t.describe())
	}
	data, err := f.Read(name)
	if err != nil {
		return err
	}
	s.NoGrad(func() {
		s.Child(func(s *Scope) Tensor {
			s.Use(t).Copy_(s.FromBytes(dtype, data, info.Shape...))
			return Tensor{}
		})
	})
	return nil
}

// dtypeOf is the type of a file's elements, and whether there is one here.
func dtypeOf(d weights.DType) (DType, bool) {
	for _, t := range []DType{Uint8, Int8, Int16, Int32, Int64, Float16, Float32, Float64, Bool, BFloat16} {
		if t.String() == d.String() {
			return t, true
		}
	}
	return 0, false
}
