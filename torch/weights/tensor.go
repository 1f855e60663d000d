package weights

import (
	"fmt"
	"io"
	"math"
)

// maxDims bounds the dimensions of a tensor; PyTorch's own limit is 64 too.
const maxDims = 64

// Info describes one tensor.
type Info struct {
	Name  string
	DType DType
	Shape []int64 // empty for a scalar
}

// Len returns the number of elements, 1 for a scalar.
func (i Info) Len() int64 {
	n := int64(1)
	for _, d := range i.Shape {
		n *= d
	}
	return n
}

// Bytes returns the size of the elements in bytes.
func (i Info) Bytes() int64 { return i.Len() * int64(i.DType.Size()) }

// String formats the tensor as name dtype[shape].
func (i Info) String() string { return fmt.Sprintf("%s %v%v", i.Name, i.DType, i.Shape) }

// check reports what makes i unusable: an unknown dtype, a negative dimension,
// too many of them, or a size that does not fit an int64.
func (i Info) check() error {
	if i.DType == Invalid || i.DType >= numDTypes {
		return fmt.Errorf("invalid dtype %v", i.DType)
	}
	if len(i.Shape) > maxDims {
		return fmt.Errorf("%d dimensions, more than %d", len(i.Shape), maxDims)
	}
	n := int64(i.DType.Size())
	for _, d := range i.Shape {
		if d < 0 {
			return fmt.Errorf("negative dimension in shape %v", i.Shape)
		}
		d = max(1, d) // the strides of an empty tensor must fit too
		if d > math.MaxInt64/n {
			return fmt.Errorf("shape %v overflows", i.Shape)
		}
		n *= d
	}
	return nil
}

// Entry is a tensor to be written.
type Entry struct {
	Info
	// WriteData writes the elements, little endian and in C order: Bytes() bytes,
	// no more and no fewer. It is called once for each file written.
	WriteData func(w io.Writer) error
}

// NewEntry returns an entry with its data in memory.
func NewEntry(info Info, data []byte) Entry {
	return Entry{Info: info, WriteData: func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}}
}

// Entries returns the tensors of f as entries, for writing them to another
// file. Their data are read one tensor at a time; f must stay open.
func (f *File) Entries() []Entry {
	entries := make([]Entry, len(f.infos))
	for i, info := range f.Tensors() {
		entries[i] = Entry{Info: info, WriteData: func(w io.Writer) error {
			data, err := f.Read(info.Name)
			if err != nil {
				return err
			}
			_, err = w.Write(data)
			return err
		}}
	}
	return entries
}

// checkEntries reports the first entry that no format could hold.
func checkEntries(entries []Entry) error {
	seen := make(map[string]bool, len(entries))
	for _, e := range entries {
		if seen[e.Name] {
			return fmt.Errorf("key %q: given twice", e.Name)
		}
		seen[e.Name] = true
		if err := e.check(); err != nil {
			return fmt.Errorf("key %q: %w", e.Name, err)
		}
		if e.WriteData == nil {
			return fmt.Errorf("key %q: no data", e.Name)
		}
	}
	return nil
}

// writeData copies the data of e to w and reports a length that is not
// e.Bytes(), which would shift every tensor behind it.
func writeData(w io.Writer, e Entry) error {
	cw := &countingWriter{w: w}
	if err := e.WriteData(cw); err != nil {
		return fmt.Errorf("key %q: %w", e.Name, err)
	}
	if cw.n != e.Bytes() {
		return fmt.Errorf("key %q: got %d bytes of data, want %d for %v%v", e.Name, cw.n, e.Bytes(), e.DType, e.Shape)
	}
	return nil
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
