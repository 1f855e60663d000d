package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/gojepa/gojepa/cmd/internal/model"
	"github.com/gojepa/gojepa/train"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/train/runlog"
	"github.com/gojepa/gojepa/vision/images"
)

// ofRun takes weights, and images unless others are named, from a run's folder: those to test with, if there are any. What the
// images' size and normalisation are is in the file of weights.
func (o options) ofRun() (options, error) {
	w, err := train.Weights(o.Run)
	if err != nil {
		return o, err
	}
	o.Model.Weights = w.File
	if o.Model.Prefix == "" {
		o.Model.Prefix = w.Prefix
	}
	if o.Data != "" {
		return o, nil
	}
	cfg, err := config.Load(filepath.Join(o.Run, runlog.ConfigFile))
	if err != nil {
		return o, fmt.Errorf("--run: %w; --data says which images to look at", err)
	}
	o.Data, o.test = cfg.Data.Path, cfg.Data.TestPath != ""
	if o.test {
		o.Data = cfg.Data.TestPath
	}
	o.Collection, o.Labels = cfg.Data.Collection, o.Labels || cfg.Data.Labelled()
	return o, nil
}

// source is the images that the options name; without any name MNIST's to test with, as a run without one is trained on MNIST.
func (o options) source(ctx context.Context, channels int, log io.Writer) (*images.UniformSource, error) {
	if o.Data != "" {
		return model.OpenImages(ctx, o.Data, o.Collection, channels, func(opts *images.OpenOptions) {
			opts.Labels, opts.Test = o.Labels || o.Collection.LabelColumn != "", o.test
			opts.Note = func(note string) { fmt.Fprintln(log, note) }
		})
	}
	digits, err := images.MNIST(ctx, "", false, channels)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(log, "images: MNIST's %d to test with\n", digits.Len())
	return images.Uniform(digits, channels, false), nil
}
