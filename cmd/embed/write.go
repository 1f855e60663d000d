package main

import (
	"encoding/binary"
	"encoding/csv"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gojepa/gojepa/internal/atomicfile"
	"github.com/gojepa/gojepa/internal/npy"
	"github.com/gojepa/gojepa/torch/weights"
)

// features are rows of dim numbers.
type features struct {
	x     []float32
	dim   int
	files []string // of each row; nil if rows have none
}

func (f features) rows() int { return len(f.x) / f.dim }

func (f features) row(i int) []float32 { return f.x[i*f.dim : (i+1)*f.dim] }

// save writes f in the format that path's ending names, and beside it, where rows have files and the format no place for
// them, their list. It returns what it wrote.
func (f features) save(path string) (files []string, err error) {
	ext := strings.ToLower(filepath.Ext(path))
	if ext == ".csv" {
		return []string{path}, write(path, f.writeCSV)
	}
	// The list comes first: features without it would pass for complete.
	if f.files != nil {
		list := strings.TrimSuffix(path, filepath.Ext(path)) + ".files.txt"
		if err := write(list, f.writeFiles); err != nil {
			return nil, err
		}
		files = []string{list}
	}
	files = append([]string{path}, files...)
	if ext == ".npy" {
		return files, write(path, func(w io.Writer) error { return npy.Write(w, []int{f.rows(), f.dim}, f.x) })
	}
	data, err := binary.Append(make([]byte, 0, 4*len(f.x)), binary.LittleEndian, f.x)
	if err != nil {
		return nil, err
	}
	info := weights.Info{Name: "features", DType: weights.F32, Shape: []int64{int64(f.rows()), int64(f.dim)}}
	return files, weights.SaveFile(path, []weights.Entry{weights.NewEntry(info, data)}, nil)
}

func write(path string, f func(w io.Writer) error) error {
	if err := atomicfile.Write(path, f); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// writeFiles writes a name on each line, quoted as in Go if it holds a line break itself.
func (f features) writeFiles(w io.Writer) error {
	for _, name := range f.files {
		if strings.ContainsAny(name, "\r\n") {
			name = strconv.Quote(name)
		}
		if _, err := io.WriteString(w, name+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// writeCSV writes a heading and a line for each row, which begins with its file or its number. Numbers have as many
// digits as tell float32s apart.
func (f features) writeCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	record := make([]string, 1+f.dim)
	record[0] = "file"
	if f.files == nil {
		record[0] = "row"
	}
	for i := range f.dim {
		record[1+i] = fmt.Sprint("f", i)
	}
	if err := c.Write(record); err != nil {
		return err
	}
	for i := range f.rows() {
		record[0] = strconv.Itoa(i)
		if f.files != nil {
			record[0] = f.files[i]
		}
		for j, v := range f.row(i) {
			record[1+j] = strconv.FormatFloat(float64(v), 'g', -1, 32)
		}
		if err := c.Write(record); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}
