package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/internal/npy"
	"github.com/gojepa/gojepa/torch/weights"
)

// Set is a set of embeddings that is complete.
type Set struct {
	Index
	Path string // of the index
}

// Part is what a shard holds.
type Part struct {
	eval.Features          // X is nil for a shard without rows
	Names         []string // nil if rows have none
}

// Open reads the index that path means, as [FindIndex] does.
func Open(path string) (*Set, error) {
	index, err := FindIndex(path)
	if err != nil {
		return nil, err
	}
	x, err := ReadIndex(index)
	if err != nil {
		return nil, err
	}
	if !x.Complete {
		return nil, fmt.Errorf("index %s: not complete: %d of %d images so far; start the command that made it again", index, x.Images-x.left(), x.Images)
	}
	return &Set{Index: *x, Path: index}, nil
}

// left is how many images are in no shard yet.
func (x *Index) left() int {
	n := x.Images
	for _, s := range x.Shards {
		n -= s.Images
	}
	return n
}

// Shard reads shard i.
func (s *Set) Shard(i int) (Part, error) {
	shard := s.Shards[i]
	path := filepath.Join(filepath.Dir(s.Path), shard.File)
	p, err := s.read(shard, path)
	if err != nil {
		return p, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// Load reads all of it.
func (s *Set) Load(ctx context.Context) (Part, error) {
	var all Part
	for i := range s.Shards {
		if err := ctx.Err(); err != nil {
			return Part{}, err
		}
		p, err := s.Shard(i)
		if err != nil {
			return Part{}, err
		}
		if i == 0 {
			all = p
			continue
		}
		all.X, all.Names, all.Labels = append(all.X, p.X...), append(all.Names, p.Names...), append(all.Labels, p.Labels...)
		all.N += p.N
	}
	return all, nil
}

// Verify compares all files with the checksums of the index.
func (s *Set) Verify(ctx context.Context) error {
	for _, shard := range s.Shards {
		if err := ctx.Err(); err != nil {
			return err
		}
		path := filepath.Join(filepath.Dir(s.Path), shard.File)
		n, hash, err := sum(path)
		if err != nil {
			return err
		}
		if n != shard.Bytes || hash != shard.SHA256 {
			return fmt.Errorf("%s: it is not as it was written: SHA-256 %s of %d bytes, expected %s of %d", path, hash, n, shard.SHA256, shard.Bytes)
		}
	}
	return nil
}

func (s *Set) read(shard Shard, path string) (p Part, err error) {
	p.N, p.D, p.Classes = shard.Rows, s.Dim, s.Classes
	f, err := os.Open(path)
	if err != nil {
		return p, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return p, err
	}
	if info.Size() != shard.Bytes {
		return p, fmt.Errorf("%d bytes, expected %d: it is not as it was written", info.Size(), shard.Bytes)
	}
	switch ext := s.ext(); ext {
	case ".npy":
		err = p.readNPY(f)
	case ".safetensors":
		err = p.readSafetensors(f, info.Size())
	case ".parquet":
		err = readParquet(f, info.Size(), s.Dim, &p)
	default:
		return p, fmt.Errorf("embeddings are read from .npy, .safetensors and .parquet files, not from %s: write them as one of those", ext)
	}
	if err != nil {
		return p, err
	}
	dir := filepath.Dir(path)
	if shard.Files != "" {
		if p.Names, err = readNames(filepath.Join(dir, shard.Files)); err != nil {
			return p, err
		}
	}
	if shard.Labels != "" {
		if p.Labels, err = readLabels(filepath.Join(dir, shard.Labels)); err != nil {
			return p, err
		}
	}
	switch {
	case len(p.X) != p.N*p.D:
		return p, fmt.Errorf("%d numbers, expected %d rows of %d", len(p.X), p.N, p.D)
	case p.Names != nil && len(p.Names) != p.N:
		return p, fmt.Errorf("%d names, expected %d", len(p.Names), p.N)
	case p.Labels != nil && len(p.Labels) != p.N:
		return p, fmt.Errorf("%d labels, expected %d", len(p.Labels), p.N)
	}
	return p, nil
}

func (p *Part) readNPY(r io.Reader) error {
	shape, x, err := npy.Read[float32](bufio.NewReaderSize(r, 1<<20))
	if err != nil {
		return err
	}
	if len(shape) != 2 || shape[0] != p.N || shape[1] != p.D {
		return fmt.Errorf("shape %v, expected [%d %d]", shape, p.N, p.D)
	}
	p.X = x
	return nil
}

func (p *Part) readSafetensors(r io.ReaderAt, size int64) error {
	f, err := weights.New(r, size, "embeddings", weights.Options{})
	if err != nil {
		return err
	}
	info, ok := f.Lookup("features")
	if !ok || info.DType != weights.F32 || len(info.Shape) != 2 || info.Shape[0] != int64(p.N) || info.Shape[1] != int64(p.D) {
		return fmt.Errorf("%v, expected a tensor features float32[%d %d]", f.Tensors(), p.N, p.D)
	}
	data, err := f.Read("features")
	if err != nil {
		return err
	}
	p.X = make([]float32, p.N*p.D)
	if err := npy.Decode(strings.NewReader(string(data)), npy.Header{Descr: "<f4"}, p.X); err != nil {
		return err
	}
	info, ok = f.Lookup("labels")
	if !ok {
		return nil
	}
	if info.DType != weights.I64 || len(info.Shape) != 1 {
		return fmt.Errorf("%v, expected int64 of one dimension", info)
	}
	if data, err = f.Read("labels"); err != nil {
		return err
	}
	labels := make([]int64, len(data)/8)
	if err := npy.Decode(strings.NewReader(string(data)), npy.Header{Descr: "<i8"}, labels); err != nil {
		return err
	}
	p.Labels = narrow(labels)
	return nil
}

func narrow(labels []int64) []int {
	out := make([]int, len(labels))
	for i, l := range labels {
		out[i] = int(l)
	}
	return out
}

func readLabels(path string) ([]int, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	_, labels, err := npy.Read[int64](bufio.NewReader(f))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return narrow(labels), nil
}

// readNames reads what namesFile wrote.
func readNames(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names := []string{}
	r := bufio.NewReaderSize(f, 1<<20)
	for {
		line, err := r.ReadString('\n')
		if errors.Is(err, io.EOF) && line == "" {
			return names, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", path, len(names)+1, err)
		}
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, `"`) {
			if line, err = strconv.Unquote(line); err != nil {
				return nil, fmt.Errorf("%s: line %d: %w", path, len(names)+1, err)
			}
		}
		names = append(names, line)
	}
}
