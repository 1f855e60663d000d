package store

import (
	"encoding/binary"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/gojepa/gojepa/internal/npy"
)

// encoder is that of a format.
func (l layout) encoder(ext string) encoder {
	switch ext {
	case ".npy":
		return &npyFile{dim: l.dim}
	case ".safetensors":
		return &safetensorsFile{layout: l}
	case ".parquet":
		return &parquetFile{layout: l}
	}
	return &csvFile{layout: l}
}

// npyFile is NumPy's format: [rows, dim] float32.
type npyFile struct {
	w         io.Writer
	dim, rows int
}

func (f *npyFile) begin(w io.Writer) error {
	f.w = w
	_, err := w.Write(npy.FormatHeader[float32](0, f.dim))
	return err
}

func (f *npyFile) add(r Rows, n int) error {
	f.rows += n
	return npy.Encode(f.w, r.X)
}

func (f *npyFile) finish() error { return nil }

func (f *npyFile) amend(w io.WriterAt) error {
	_, err := w.WriteAt(npy.FormatHeader[float32](f.rows, f.dim), 0)
	return err
}

// labelsFile is the classes as an array [rows] int64.
type labelsFile struct {
	w    io.Writer
	rows int
}

func (f *labelsFile) begin(w io.Writer) error {
	f.w = w
	_, err := w.Write(npy.FormatHeader[int64](0))
	return err
}

func (f *labelsFile) add(r Rows, n int) error {
	f.rows += n
	return npy.Encode(f.w, wide(r.Labels))
}

func (f *labelsFile) finish() error { return nil }

func (f *labelsFile) amend(w io.WriterAt) error {
	_, err := w.WriteAt(npy.FormatHeader[int64](f.rows), 0)
	return err
}

func wide(labels []int) []int64 {
	out := make([]int64, len(labels))
	for i, l := range labels {
		out[i] = int64(l)
	}
	return out
}

// namesFile is a name on each line, quoted as in Go if it holds a line break itself or begins with a quote.
type namesFile struct{ w io.Writer }

func (f *namesFile) begin(w io.Writer) error { f.w = w; return nil }

func (f *namesFile) add(r Rows, _ int) error {
	for _, name := range r.Names {
		if strings.ContainsAny(name, "\r\n") || strings.HasPrefix(name, `"`) {
			name = strconv.Quote(name)
		}
		if _, err := io.WriteString(f.w, name+"\n"); err != nil {
			return err
		}
	}
	return nil
}

func (f *namesFile) finish() error             { return nil }
func (f *namesFile) amend(io.WriterAt) error   { return nil }
func (f *csvFile) amend(io.WriterAt) error     { return nil }
func (f *parquetFile) amend(io.WriterAt) error { return nil }

// safetensorsFile has tensors features [rows, dim] float32 and, where there are classes, labels [rows] int64. Its header has
// room for any number of rows.
type safetensorsFile struct {
	layout
	w      io.Writer
	rows   int
	labels []int64
}

// header is the file's, as long as that of as many rows as there are images.
func (f *safetensorsFile) header(rows int) []byte {
	text := func(rows int) []byte {
		n := 4 * rows * f.dim
		b := fmt.Appendf(nil, `{"features":{"dtype":"F32","shape":[%d,%d],"data_offsets":[0,%d]}`, rows, f.dim, n)
		if f.labelled {
			b = fmt.Appendf(b, `,"labels":{"dtype":"I64","shape":[%d],"data_offsets":[%d,%d]}`, rows, n, n+8*rows)
		}
		return append(b, '}')
	}
	size := (len(text(f.images)) + 7) / 8 * 8
	b := binary.LittleEndian.AppendUint64(nil, uint64(size))
	b = append(b, text(rows)...)
	for len(b) < 8+size {
		b = append(b, ' ')
	}
	return b
}

func (f *safetensorsFile) begin(w io.Writer) error {
	f.w = w
	_, err := w.Write(f.header(0))
	return err
}

func (f *safetensorsFile) add(r Rows, n int) error {
	f.rows += n
	if f.labelled {
		f.labels = append(f.labels, wide(r.Labels)...)
	}
	return npy.Encode(f.w, r.X)
}

func (f *safetensorsFile) finish() error { return npy.Encode(f.w, f.labels) }

func (f *safetensorsFile) amend(w io.WriterAt) error {
	_, err := w.WriteAt(f.header(f.rows), 0)
	return err
}

// csvFile has a heading and a line for each row, which begins with its file or its number, and its class if there are some.
// Numbers have as many digits as tell float32s apart.
type csvFile struct {
	layout
	c      *csv.Writer
	record []string
	rows   int
}

func (f *csvFile) begin(w io.Writer) error {
	f.c = csv.NewWriter(w)
	head := []string{"row"}
	if f.named {
		head[0] = "file"
	}
	if f.labelled {
		head = append(head, "label")
	}
	for i := range f.dim {
		head = append(head, fmt.Sprint("f", i))
	}
	return f.c.Write(head)
}

func (f *csvFile) add(r Rows, n int) error {
	for i := range n {
		f.record = append(f.record[:0], strconv.Itoa(f.rows+i))
		if f.named {
			f.record[0] = r.Names[i]
		}
		if f.labelled {
			f.record = append(f.record, f.class(r.Labels[i]))
		}
		for _, v := range r.X[i*f.dim : (i+1)*f.dim] {
			f.record = append(f.record, strconv.FormatFloat(float64(v), 'g', -1, 32))
		}
		if err := f.c.Write(f.record); err != nil {
			return err
		}
	}
	f.rows += n
	return nil
}

func (f *csvFile) finish() error {
	f.c.Flush()
	return f.c.Error()
}

// class is what class c is called; "" is none.
func (l layout) class(c int) string {
	switch {
	case c < 0:
		return ""
	case c < len(l.classes):
		return l.classes[c]
	}
	return strconv.Itoa(c)
}
