package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gojepa/gojepa/internal/atomicfile"
)

// Options are those of [Write].
type Options struct {
	Path      string   // of the set; its ending is one of Formats
	Images    int      // of the collection
	ShardRows int      // images of a shard
	Dim       int      // features of an image
	Named     bool     // rows have names
	Labelled  bool     // rows have classes
	Classes   []string // their names; nil if they have none

	Encoder  json.RawMessage   // see Index
	MadeWith map[string]string // see Index

	// Resume goes on with a set in shards that is at the path, or takes it for done if it is complete. A set in one file, or any
	// without Resume, is replaced.
	Resume bool
	// Note, if not nil, is told that a set is gone on with.
	Note func(string)
}

// Rows are some embeddings.
type Rows struct {
	X      []float32 // [n, Dim]
	Names  []string  // n, where rows have names
	Labels []int     // n, where rows have classes; -1 for none
}

// Produce makes the embeddings of the collection's images from ≤ i < to, in order, and hands them to add as they are made,
// which keeps nothing of them. It returns the images that have no row.
type Produce func(ctx context.Context, from, to int, add func(Rows) error) ([]LeftOut, error)

// Write makes a set of embeddings shard by shard. Memory is for what produce adds at a time and a few MB, whatever the
// number of images; formats other than .npy and .csv keep up to 8 bytes a row of a shard, and Parquet a group of rows.
//
// No file appears before it is whole. A set that was begun with something else than o.MadeWith is refused with an error that
// is [ErrDiffers] and names it.
func Write(ctx context.Context, o Options, produce Produce) (*Index, error) {
	w := &writer{o: o, dir: filepath.Dir(o.Path), index: IndexPath(o.Path)}
	if err := w.check(); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	x, err := w.write(ctx, produce)
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", o.Path, err)
	}
	return x, nil
}

type writer struct {
	o          Options
	dir, index string
}

func (w *writer) check() error {
	o := w.o
	switch ext := strings.ToLower(filepath.Ext(o.Path)); {
	case !slices.Contains(Formats, ext):
		return fmt.Errorf("%q: expected a name that ends in %s", o.Path, strings.Join(Formats, ", "))
	case o.Images < 1 || o.ShardRows < 1 || o.Dim < 1:
		return fmt.Errorf("%d images of %d features in shards of %d: expected 1 or more", o.Images, o.Dim, o.ShardRows)
	}
	return nil
}

// shards is how many there will be.
func (w *writer) shards() int { return (w.o.Images + w.o.ShardRows - 1) / w.o.ShardRows }

func (w *writer) write(ctx context.Context, produce Produce) (*Index, error) {
	made := map[string]string{"shard_rows": fmt.Sprint(w.o.ShardRows), "images": fmt.Sprint(w.o.Images), "features": fmt.Sprint(w.o.Dim)}
	for key, v := range w.o.MadeWith {
		made[key] = v
	}
	x := &Index{
		Format: formatName, Version: version, Images: w.o.Images, Dim: w.o.Dim, DType: "float32", ShardImages: w.o.ShardRows,
		Classes: w.o.Classes, Encoder: w.o.Encoder, MadeWith: made,
	}
	old, err := w.begun(x)
	if err != nil {
		return nil, err
	}
	if err := atomicfile.RemoveStale(w.dir, w.ours); err != nil {
		return nil, err
	}
	for i := len(x.Shards); i < w.shards(); i++ {
		s, err := w.shard(ctx, i, produce)
		if err != nil {
			return nil, err
		}
		x.Shards = append(x.Shards, s)
		x.Rows += s.Rows
		x.Complete = len(x.Shards) == w.shards()
		if x.Complete && x.Rows == 0 {
			return nil, none(x)
		}
		if err := x.write(w.index); err != nil {
			return nil, err
		}
	}
	if old != nil {
		return x, remove(w.dir, old.Shards, x.Shards)
	}
	return x, nil
}

// begun looks at what is there: x gets its shards if it is to be gone on with; otherwise what is there is returned, to be
// replaced.
func (w *writer) begun(x *Index) (old *Index, err error) {
	old, err = ReadIndex(w.index)
	if errors.Is(err, fs.ErrNotExist) || err != nil && (w.shards() == 1 || !w.o.Resume) {
		return nil, nil //nolint:nilerr // what cannot be read is replaced, whatever it is
	}
	if err != nil {
		return nil, err
	}
	if !w.o.Resume || len(old.Shards) == 1 && old.Complete {
		return old, nil // a set in one file is made anew each time
	}
	if err := differs(old.MadeWith, x.MadeWith); err != nil {
		return nil, fmt.Errorf("%w; --resume=false begins anew", err)
	}
	for _, s := range old.Shards {
		if err := s.missing(w.dir); err != nil {
			w.note("from shard %s on again: %v", s.File, err)
			break
		}
		x.Shards = append(x.Shards, s)
		x.Rows += s.Rows
	}
	if x.Complete = len(x.Shards) == w.shards(); x.Complete {
		w.note("%s: all %d shards are there already", w.index, w.shards())
	} else if n := len(x.Shards); n > 0 {
		w.note("%s: going on after %d of %d shards", w.index, n, w.shards())
	}
	return nil, nil
}

func (w *writer) note(format string, a ...any) {
	if w.o.Note != nil {
		w.o.Note(fmt.Sprintf(format, a...))
	}
}

// none is the error where there is not one row.
func none(x *Index) error {
	last := x.Shards[len(x.Shards)-1].LeftOut
	return fmt.Errorf("none of %d images could be read, the last being %s: %s", x.Images, last[len(last)-1].Name, last[len(last)-1].Error)
}

// ours are the names of files that a killed process may have left half written.
func (w *writer) ours(name string) bool {
	base := filepath.Base(stem(w.o.Path))
	rest, ok := strings.CutPrefix(name, base)
	return ok && (strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "-"))
}

// shard writes one.
func (w *writer) shard(ctx context.Context, i int, produce Produce) (Shard, error) {
	from := i * w.o.ShardRows
	to := min(from+w.o.ShardRows, w.o.Images)
	ext := strings.ToLower(filepath.Ext(w.o.Path))
	base := filepath.Base(stem(w.o.Path))
	s := Shard{File: filepath.Base(w.o.Path), First: from, Images: to - from}
	if n := w.shards(); n > 1 {
		base = fmt.Sprintf("%s-%05d-of-%05d", base, i, n)
		s.File = base + filepath.Ext(w.o.Path)
	}
	l := layout{dim: w.o.Dim, images: to - from, named: w.o.Named, labelled: w.o.Labelled, classes: w.o.Classes}
	parts := []part{{s.File, l.encoder(ext)}}
	if w.o.Named && (ext == ".npy" || ext == ".safetensors") {
		s.Files = base + ".files.txt"
		parts = append(parts, part{s.Files, &namesFile{}})
	}
	if w.o.Labelled && ext == ".npy" {
		s.Labels = base + ".labels.npy"
		parts = append(parts, part{s.Labels, &labelsFile{}})
	}
	err := writeParts(w.dir, parts, func() (err error) {
		s.LeftOut, err = produce(ctx, from, to, func(r Rows) error {
			if err := l.fits(r, s.Rows); err != nil {
				return err
			}
			n := len(r.X) / w.o.Dim
			s.Rows += n
			for _, p := range parts {
				if err := p.enc.add(r, n); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil && s.Rows+len(s.LeftOut) != s.Images {
			err = fmt.Errorf("%d rows and %d images without one: expected %d in all", s.Rows, len(s.LeftOut), s.Images)
		}
		if err == nil && s.Rows == 0 && w.shards() == 1 {
			err = none(&Index{Images: w.o.Images, Shards: []Shard{s}})
		}
		return err
	})
	if err != nil {
		return s, err
	}
	s.Bytes, s.SHA256, err = sum(filepath.Join(w.dir, s.File))
	return s, err
}

// layout is what a shard's rows are.
type layout struct {
	dim, images     int
	named, labelled bool
	classes         []string
}

// fits reports why rows are not those of a shard that has some already.
func (l layout) fits(r Rows, rows int) error {
	n := len(r.X) / l.dim
	if len(r.X)%l.dim != 0 || l.named && len(r.Names) != n || l.labelled && len(r.Labels) != n || rows+n > l.images {
		return fmt.Errorf("%d numbers, %d names and %d labels after %d rows: expected rows of %d, at most %d",
			len(r.X), len(r.Names), len(r.Labels), rows, l.dim, l.images)
	}
	return nil
}

// part is a file of a shard, and what makes its bytes.
type part struct {
	name string
	enc  encoder
}

// encoder makes the bytes of a file.
type encoder interface {
	// begin writes what comes before the rows.
	begin(w io.Writer) error
	// add writes n rows.
	add(r Rows, n int) error
	// finish writes what comes after them.
	finish() error
	// amend writes what was not known at the beginning.
	amend(w io.WriterAt) error
}

// writeParts writes files side by side, while produce adds rows to them. They appear from the last to the first: the
// features after what belongs to them, as they would pass for complete.
func writeParts(dir string, parts []part, produce func() error) error {
	if len(parts) == 0 {
		return produce()
	}
	p := parts[0]
	return atomicfile.WriteThen(filepath.Join(dir, p.name), func(w io.Writer) error {
		if err := p.enc.begin(w); err != nil {
			return err
		}
		if err := writeParts(dir, parts[1:], produce); err != nil {
			return err
		}
		return p.enc.finish()
	}, p.enc.amend)
}

// sum is the size and the SHA-256 of a file.
func sum(path string) (int64, string, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return n, hex.EncodeToString(h.Sum(nil)), err
}
