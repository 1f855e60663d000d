package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/gojepa/gojepa/cmd/internal/model"
	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/internal/npy"
	"github.com/gojepa/gojepa/train/progress"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/images"
)

// embedImages embeds the images of a collection.
func embedImages(ctx context.Context, m *vision.Model, o options, log io.Writer) (features, error) {
	src, err := model.OpenImages(ctx, o.Data, o.Collection, len(m.Mean), func(opts *images.OpenOptions) {
		opts.Note = func(note string) { fmt.Fprintln(log, note) }
	})
	if err != nil {
		return features{}, err
	}
	bar := progress.New(log, progress.Options{Total: src.Len(), Unit: "image", Item: "images", Every: 10 * time.Second})
	defer bar.Finish()
	extract := o.Model.Extract(m)
	extract.Deep = src.Deep
	x, err := eval.Extract(ctx, m.Thread, m.Encoder, &counted{Source: src, bar: bar}, extract)
	if err != nil {
		return features{}, fmt.Errorf("embedding %s: %w", o.Data, err)
	}
	for _, b := range x.Broken {
		fmt.Fprintf(bar, "left out %s: %v\n", b.Name, b.Err)
	}
	if n := len(x.Broken); n > 0 {
		fmt.Fprintf(bar, "left out %d of %d images\n", n, src.Len())
	}
	f := features{x: x.X, dim: x.D}
	for _, i := range x.Samples {
		f.files = append(f.files, src.Name(i))
	}
	return f, nil
}

// counted is a source that shows how many of its images have been decoded.
type counted struct {
	images.Source
	bar  *progress.Bar
	done atomic.Int64
}

func (c *counted) Image(ctx context.Context, i int) (*images.Image, error) {
	m, err := c.Source.Image(ctx, i)
	n := int(c.done.Add(1))
	c.bar.Set(n, n)
	return m, err
}

// embedArray embeds the images of a .npy file, a batch at a time.
func embedArray(ctx context.Context, m *vision.Model, o options) (features, error) {
	fail := func(format string, a ...any) (features, error) {
		return features{}, fmt.Errorf("%s: %w", o.Data, fmt.Errorf(format, a...))
	}
	file, err := os.Open(o.Data)
	if err != nil {
		return fail("%w", err)
	}
	defer file.Close()
	r := bufio.NewReaderSize(file, 1<<20)
	h, err := npy.ReadHeader(r)
	if err != nil {
		return fail("%w", err)
	}
	if len(h.Shape) != 4 || h.Descr[1:] != "f4" {
		return fail("%s%v: expected float32 (<f4) of 4 dimensions: images, channels, height, width", h.Descr, h.Shape)
	}
	if h.Fortran {
		return fail("the first dimension varies fastest: expected C order, as numpy.ascontiguousarray makes it")
	}
	n, each := h.Shape[0], h.Shape[1]*h.Shape[2]*h.Shape[3]
	if n == 0 || each == 0 {
		return fail("shape %v has no pixels", h.Shape)
	}
	f := features{dim: int(m.Encoder.Dim())}
	var batch []float32 // no larger than what the file has been found to hold
	for done := 0; done < n; {
		rows := min(o.Model.BatchSize, n-done)
		batch = batch[:0]
		for row := range rows {
			at := len(batch)
			batch = append(batch, make([]float32, each)...)
			if err := npy.Decode(r, h, batch[at:]); err != nil {
				return fail("image %d of %d: %w", done+row, n, err)
			}
		}
		y, err := m.Pixels(ctx, batch, rows, h.Shape[1], h.Shape[2], h.Shape[3])
		if err != nil {
			return fail("%w", err)
		}
		f.x = append(f.x, y...)
		done += rows
	}
	return f, nil
}
