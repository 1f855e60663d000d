package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/gojepa/gojepa/eval/store"
	"github.com/gojepa/gojepa/internal/npy"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/weights"
)

// matrix is an array of a file.
type matrix struct {
	file, tensor string
	dtype        torch.DType
	shape        []int64
	columns      bool   // the elements lie column by column
	data         []byte // little endian; nil once loaded
}

func (m *matrix) name() string {
	if m.tensor == "" {
		return m.file
	}
	return m.file + ": tensor " + m.tensor
}

// readMatrix reads a file of either format, which its first bytes tell apart, or a set that embed wrote, by its index or its
// folder. The tensor is "" for the obvious one.
func readMatrix(path, tensor string) (*matrix, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() || strings.HasSuffix(path, ".index.json") {
		if tensor != "" {
			return nil, fmt.Errorf("%s: --tensor %s: expected the file that has it", path, tensor)
		}
		return readSet(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	m := &matrix{file: path}
	if head, _ := r.Peek(6); string(head) == "\x93NUMPY" {
		if tensor != "" {
			return nil, fmt.Errorf("%s: --tensor %s: a .npy file has one array, without a name", path, tensor)
		}
		err = m.readNPY(r, info.Size())
	} else {
		err = m.readTensor(f, info.Size(), tensor)
	}
	if err == nil {
		err = m.check()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.name(), err)
	}
	return m, nil
}

// readSet reads all shards of a set.
func readSet(path string) (*matrix, error) {
	set, err := store.Open(path)
	if err != nil {
		return nil, err
	}
	m := &matrix{file: path, dtype: torch.Float32, shape: []int64{int64(set.Rows), int64(set.Dim)}}
	m.data = make([]byte, 0, 4*set.Rows*set.Dim)
	for i := range set.Shards {
		p, err := set.Shard(i)
		if err != nil {
			return nil, err
		}
		if m.data, err = binary.Append(m.data, binary.LittleEndian, p.X); err != nil {
			return nil, err
		}
	}
	return m, m.check()
}

// readNPY reads the array of r, a file of so many bytes if it has a size.
func (m *matrix) readNPY(r io.Reader, size int64) error {
	h, err := npy.ReadHeader(r)
	if err != nil {
		return err
	}
	types := map[string]torch.DType{"f2": torch.Float16, "f4": torch.Float32, "f8": torch.Float64}
	var ok bool
	if m.dtype, ok = types[h.Descr[1:]]; !ok {
		return fmt.Errorf("elements of type %q, expected float16, float32 or float64", h.Descr)
	}
	m.columns = h.Fortran && len(h.Shape) > 1
	for _, n := range h.Shape {
		m.shape = append(m.shape, int64(n))
	}
	want := int64(h.Len()) * int64(m.dtype.Size())
	var data bytes.Buffer
	data.Grow(int(min(want, size))) // no more than there is, whatever the header claims
	n, err := io.CopyN(&data, r, want)
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("the file is cut short: %d bytes of %v, expected %d", n, m.shape, want)
	}
	m.data = data.Bytes()
	if h.Descr[0] == '>' {
		for word := range slices.Chunk(m.data, m.dtype.Size()) {
			slices.Reverse(word)
		}
	}
	return err
}

// readTensor reads a tensor of r, a file of weights of so many bytes.
func (m *matrix) readTensor(r io.ReaderAt, size int64, name string) error {
	f, err := weights.New(r, size, m.file, weights.Options{Raw: true})
	if err != nil {
		// Its first words are the package's name and the file's.
		return fmt.Errorf("no .npy file, and as a file of tensors: %w", errors.Unwrap(err))
	}
	info, err := choose(f, name)
	if err != nil {
		return err
	}
	m.tensor, m.shape = info.Name, info.Shape
	types := map[weights.DType]torch.DType{
		weights.F16: torch.Float16, weights.BF16: torch.BFloat16, weights.F32: torch.Float32, weights.F64: torch.Float64,
	}
	var ok bool
	if m.dtype, ok = types[info.DType]; !ok {
		return fmt.Errorf("elements of type %v, expected float16, bfloat16, float32 or float64", info.DType)
	}
	m.data, err = f.Read(info.Name)
	return err
}

// choose finds the tensor that is meant.
func choose(f *weights.File, name string) (weights.Info, error) {
	const most = 12 // names in an error
	var names []string
	var matrices []weights.Info
	for _, info := range f.Tensors() {
		if len(info.Shape) == 2 {
			matrices = append(matrices, info)
		}
		if len(names) < most {
			names = append(names, info.String())
		}
	}
	if n := len(f.Tensors()); n > most {
		names = append(names, fmt.Sprintf("and %d more", n-most))
	}
	list := strings.Join(names, ", ")
	if list == "" {
		list = "none"
	}
	if name != "" {
		if info, ok := f.Lookup(name); ok {
			return info, nil
		}
		return weights.Info{}, fmt.Errorf("--tensor %s: there is no such tensor; there are: %s", name, list)
	}
	if info, ok := f.Lookup("features"); ok {
		return info, nil
	}
	switch len(matrices) {
	case 1:
		return matrices[0], nil
	case 0:
		return weights.Info{}, fmt.Errorf("no tensor is a matrix; there are: %s", list)
	}
	return weights.Info{}, fmt.Errorf("%d tensors are matrices: choose one with --tensor; there are: %s", len(matrices), list)
}

// check looks at the shape.
func (m *matrix) check() error {
	switch {
	case len(m.shape) == 3:
		return fmt.Errorf("shape %v: expected two dimensions, samples and their numbers. If the first are views, save one of them: views of an image are no independent samples", m.shape)
	case len(m.shape) != 2:
		return fmt.Errorf("shape %v: expected two dimensions, samples and their numbers", m.shape)
	case m.shape[0] > math.MaxInt32 || m.shape[1] > math.MaxInt32:
		return fmt.Errorf("shape %v: too large", m.shape)
	}
	return nil
}

// load makes the matrix a tensor, and lets go of its bytes.
func (m *matrix) load(s *torch.Scope) torch.Tensor {
	data := m.data
	m.data = nil
	if m.columns {
		return s.FromBytes(m.dtype, data, m.shape[1], m.shape[0]).T()
	}
	return s.FromBytes(m.dtype, data, m.shape...)
}
