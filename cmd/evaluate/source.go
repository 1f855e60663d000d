package main

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/gojepa/gojepa/cmd/internal/model"
	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/train/progress"
	"github.com/gojepa/gojepa/vision/images"
)

// source is a collection of images with labels, by the name of its flag.
type source struct {
	images.Labelled
	deep       bool // some images are of floats
	flag, path string
	bar        *progress.Bar
	done       *atomic.Int64
}

// open opens both collections for images of so many channels.
func (o options) open(ctx context.Context, channels int) (train, test source, err error) {
	if o.Train == "" {
		a, err := images.MNIST(ctx, "", true, channels)
		if err != nil {
			return train, test, err
		}
		b, err := images.MNIST(ctx, "", false, channels)
		return source{Labelled: a, flag: "train", path: "MNIST"}, source{Labelled: b, flag: "test", path: "MNIST"}, err
	}
	if train, err = o.collection(ctx, "train", o.Train, channels); err != nil {
		return train, test, err
	}
	test, err = o.collection(ctx, "test", o.Test, channels)
	return train, test, err
}

// collection opens the images of a flag.
func (o options) collection(ctx context.Context, flag, path string, channels int) (source, error) {
	c := o.Collection
	if o.TargetColumn != "" {
		c.LabelColumn = o.TargetColumn
	}
	s, err := model.OpenImages(ctx, path, c, channels, func(opts *images.OpenOptions) {
		opts.Labels, opts.Test = true, flag == "test"
	})
	if err != nil {
		return source{}, fmt.Errorf("--%s: %w", flag, err)
	}
	if len(s.Classes()) == 0 && !o.alone() {
		return source{}, fmt.Errorf("--%s: images of %s: none has a label, expected a folder for each class, or a column of labels", flag, path)
	}
	return source{Labelled: s, deep: s.Deep, flag: flag, path: path}, nil
}

func (s source) describe() set {
	return set{Path: s.path, Images: s.Len(), Classes: s.Classes()}
}

// Image decodes an image and moves the bar.
func (s source) Image(ctx context.Context, i int) (*images.Image, error) {
	m, err := s.Labelled.Image(ctx, i)
	n := int(s.done.Add(1))
	s.bar.Set(n, n)
	return m, err
}

// kind is a kind of features.
type kind struct {
	name    string
	extract func(ctx context.Context, s source) (eval.Extracted, error)
}

// of are the features of the images of s. It names the images that cannot be read if it is to.
func (k kind) of(ctx context.Context, s source, log io.Writer, name bool) (eval.Extracted, error) {
	s.bar = progress.New(log, progress.Options{Total: s.Len(), Unit: "image", Item: "images", Every: 10 * time.Second})
	s.done = new(atomic.Int64)
	x, err := k.extract(ctx, s)
	s.bar.Finish()
	if err != nil {
		return x, fmt.Errorf("--%s: %w", s.flag, err)
	}
	if name {
		for _, b := range x.Broken {
			fmt.Fprintf(log, "left out %s: %v\n", b.Name, b.Err)
		}
	}
	return x, nil
}

// labelled is of without the images that have no label, which it counts if it is to.
func (k kind) labelled(ctx context.Context, s source, log io.Writer, name bool) (eval.Extracted, error) {
	x, err := k.of(ctx, s, log, name)
	if err != nil {
		return x, err
	}
	labelled := x.Labelled()
	if n := x.N - labelled.N; n > 0 && name {
		fmt.Fprintf(log, "left out %d images of %s that have no label\n", n, s.path)
	}
	return labelled, nil
}
