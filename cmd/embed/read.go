package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/gojepa/gojepa/cmd/internal/model"
	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/eval/store"
	"github.com/gojepa/gojepa/internal/npy"
	"github.com/gojepa/gojepa/train/progress"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/images"
)

// input is images to embed: how many, what is known of them, and what makes their embeddings.
type input struct {
	images   int
	named    bool
	labelled bool
	classes  []string
	identity string // what tells these images from others
	produce  store.Produce
	finish   func()
}

// collection is the images of a collection.
func collection(ctx context.Context, m *vision.Model, o options, log io.Writer) (*input, error) {
	src, err := model.OpenImages(ctx, o.Data, o.Collection, len(m.Mean), func(opts *images.OpenOptions) {
		opts.Labels = o.Labels
		opts.Note = func(note string) { fmt.Fprintln(log, note) }
	})
	if err != nil {
		return nil, err
	}
	in := &input{images: src.Len(), named: true}
	if classes := src.Classes(); len(classes) > 0 {
		in.labelled, in.classes = true, classes
	}
	if o.Labels && !in.labelled {
		return nil, fmt.Errorf("--labels: images of %s: none has a label, expected a folder for each class, or a column of labels", o.Data)
	}
	h := sha256.New()
	for i := range src.Len() {
		fmt.Fprintf(h, "%s\x00", src.Name(i))
	}
	in.identity = hex.EncodeToString(h.Sum(nil))
	extract := o.Model.Extract(m)
	extract.Deep = src.Deep
	var bar *progress.Bar
	in.finish = func() {
		if bar != nil {
			bar.Finish()
		}
	}
	var done atomic.Int64
	in.produce = func(ctx context.Context, from, to int, add func(store.Rows) error) (left []store.LeftOut, err error) {
		if bar == nil {
			bar = progress.New(log, progress.Options{Total: src.Len(), Start: from, Unit: "image", Item: "images", Every: 10 * time.Second})
		}
		some := counted{images.Subset{Source: src}, func() {
			n := int(done.Add(1))
			bar.Set(from+n, n)
		}}
		for i := from; i < to; i++ {
			some.Index = append(some.Index, i)
		}
		done.Store(0)
		broken, err := eval.Stream(ctx, m.Thread, m.Encoder, some, extract, func(b eval.Batch) error {
			r := store.Rows{X: b.X}
			for _, i := range b.Samples {
				r.Names = append(r.Names, some.Name(i))
			}
			if in.labelled {
				r.Labels = b.Labels
			}
			return add(r)
		})
		if err != nil {
			return nil, fmt.Errorf("embedding %s: %w", o.Data, err)
		}
		for _, b := range broken {
			fmt.Fprintf(bar, "left out %s: %v\n", b.Name, b.Err)
			left = append(left, store.LeftOut{Name: b.Name, Error: b.Err.Error()})
		}
		return left, nil
	}
	return in, nil
}

// counted is images of a collection that tell when one is read.
type counted struct {
	images.Subset
	read func()
}

// Image decodes an image.
func (c counted) Image(ctx context.Context, i int) (*images.Image, error) {
	defer c.read()
	return c.Subset.Image(ctx, i)
}

// ImageInto decodes an image into memory that is used again.
func (c counted) ImageInto(ctx context.Context, i int, buf *images.Buffer) (*images.Image, error) {
	defer c.read()
	return c.Subset.ImageInto(ctx, i, buf)
}

// array is the images of a .npy file, which are taken as they are.
func array(m *vision.Model, o options) (*input, error) {
	fail := func(format string, a ...any) (*input, error) {
		return nil, fmt.Errorf("%s: %w", o.Data, fmt.Errorf(format, a...))
	}
	file, err := os.Open(o.Data)
	if err != nil {
		return fail("%w", err)
	}
	defer file.Close()
	h, err := npy.ReadHeader(bufio.NewReader(file))
	if err != nil {
		return fail("%w", err)
	}
	if len(h.Shape) != 4 || h.Descr[1:] != "f4" {
		return fail("%s%v: expected float32 (<f4) of 4 dimensions: images, channels, height, width", h.Descr, h.Shape)
	}
	if h.Fortran {
		return fail("the first dimension varies fastest: expected C order, as numpy.ascontiguousarray makes it")
	}
	if h.Len() == 0 {
		return fail("shape %v has no pixels", h.Shape)
	}
	info, err := file.Stat()
	if err != nil {
		return fail("%w", err)
	}
	in := &input{
		images: h.Shape[0], finish: func() {},
		identity: fmt.Sprintf("%v of %d bytes, of %s", h.Shape, info.Size(), info.ModTime().UTC().Format(time.RFC3339Nano)),
	}
	in.produce = func(ctx context.Context, from, to int, add func(store.Rows) error) ([]store.LeftOut, error) {
		if err := embedArray(ctx, m, o, from, to, add); err != nil {
			return nil, fmt.Errorf("%s: %w", o.Data, err)
		}
		return nil, nil
	}
	return in, nil
}

// embedArray embeds images from ≤ i < to of a .npy file, a batch at a time.
func embedArray(ctx context.Context, m *vision.Model, o options, from, to int, add func(store.Rows) error) error {
	file, err := os.Open(o.Data)
	if err != nil {
		return err
	}
	defer file.Close()
	r := bufio.NewReaderSize(file, 1<<20)
	h, err := npy.ReadHeader(r)
	if err != nil {
		return err
	}
	n, each := h.Shape[0], h.Shape[1]*h.Shape[2]*h.Shape[3]
	if from > 0 { // behind a header that the reader has looked beyond
		at, err := file.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		if _, err := file.Seek(at-int64(r.Buffered())+4*int64(from)*int64(each), io.SeekStart); err != nil {
			return err
		}
		r.Reset(file)
	}
	var batch []float32 // no larger than what the file has been found to hold
	for done := from; done < to; {
		rows := min(o.Model.BatchSize, to-done)
		batch = batch[:0]
		for row := range rows {
			at := len(batch)
			batch = append(batch, make([]float32, each)...)
			if err := npy.Decode(r, h, batch[at:]); err != nil {
				return fmt.Errorf("image %d of %d: %w", done+row, n, err)
			}
		}
		y, err := m.Pixels(ctx, batch, rows, h.Shape[1], h.Shape[2], h.Shape[3])
		if err != nil {
			return err
		}
		if err := add(store.Rows{X: y}); err != nil {
			return err
		}
		done += rows
	}
	return nil
}
