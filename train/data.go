package train

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/vision/images"
	"github.com/gojepa/gojepa/vision/views"
)

// data are the images of a run.
type data struct {
	name     string // for people
	channels int
	deep     bool            // some are of floats: views of all are then floats
	samples  []*images.Image // a few of train, to learn size and colour from, until facts are known
	train    images.Source
	test     images.Source // nil: part of train is held out for evaluation
}

// measured is the number of images whose mean and standard deviation are taken.
const measured = 1000

// indexFolder is where in a run's folder it is kept what collections hold.
const indexFolder = ".index"

// openData finds the images. Channels that are left open are the images' own: one if all that are looked at are grey. Images
// are deep, all of them, if one of those that are looked at is. out is the run's folder, and note is told what is worth
// knowing.
func openData(ctx context.Context, cfg config.Config, o options, out string, note func(string)) (data, error) {
	d := data{name: cfg.DataName()}
	if o.source != nil {
		return d.openOwn(ctx, cfg, o)
	}
	train, test, err := openCollections(ctx, cfg, out, note)
	if err != nil {
		return d, err
	}
	channels := cfg.Encoder.Channels.Or(0)
	same, samples, err := images.Alike(ctx, train, channels, cfg.Seed)
	if err != nil {
		return d, fmt.Errorf("images of %s: %w", cfg.Data.Path, err)
	}
	d.train, d.samples, d.channels, d.deep = same, samples, same.Channels, same.Deep
	switch {
	case o.test != nil:
		d.test = o.test
	case test != nil:
		d.test = images.Uniform(test, same.Channels, same.Deep)
	}
	return d, nil
}

// openCollections opens what the configuration names, MNIST if it names nothing. test is nil if there are no images to
// test with.
func openCollections(ctx context.Context, cfg config.Config, out string, note func(string)) (train, test images.Source, err error) {
	if cfg.Data.Path == "" {
		if cfg.Data.TestPath != "" {
			return nil, nil, fmt.Errorf("data.test_path: %s, expected none without data.path: MNIST has its own test images", cfg.Data.TestPath)
		}
		channels := cfg.Encoder.Channels.Or(1)
		a, err := images.MNIST(ctx, "", true, channels)
		if err != nil {
			return nil, nil, err
		}
		b, err := images.MNIST(ctx, "", false, channels)
		if err != nil {
			return nil, nil, err
		}
		return a, b, nil
	}
	o, err := cfg.Data.Options()
	if err != nil {
		return nil, nil, fmt.Errorf("data.%w", err)
	}
	o.Labels = cfg.Data.Labelled()
	o.Channels = cfg.Encoder.Channels.Or(0)
	o.Rescan, o.Note = cfg.Data.Rescan, note
	switch cfg.Data.Index {
	case "auto":
		o.Index = filepath.Join(out, indexFolder)
	case "none":
	default:
		o.Index = cfg.Data.Index
	}
	if train, err = images.Open(ctx, cfg.Data.Path, o); err != nil {
		return nil, nil, err
	}
	if cfg.Data.TestPath == "" {
		return train, nil, nil
	}
	o.Test, o.CaptionColumn = true, "" // which are not asked for captions
	if test, err = images.Open(ctx, cfg.Data.TestPath, o); err != nil {
		return nil, nil, fmt.Errorf("--test-data: %w", err)
	}
	return train, test, nil
}

// openOwn takes the caller's sources.
func (d data) openOwn(ctx context.Context, cfg config.Config, o options) (data, error) {
	if cfg.Data.Path == "" {
		d.name = "its own source"
	}
	d.train, d.test = o.source, o.test
	if d.train.Len() == 0 {
		return d, fmt.Errorf("the source has no images")
	}
	if cfg.Data.TestPath != "" {
		return d, fmt.Errorf("data.test_path: %s, expected none beside a source of one's own: give WithTest", cfg.Data.TestPath)
	}
	same, samples, err := images.Alike(ctx, d.train, 0, cfg.Seed)
	if err != nil {
		return d, err
	}
	d.samples, d.channels, d.deep = samples, samples[0].Channels, same.Deep // taken as they are
	if n, known := cfg.Encoder.Channels.Get(); known && n != d.channels {
		return d, fmt.Errorf("encoder.channels: %d, expected %d, as the source's images have", n, d.channels)
	}
	return d, nil
}

// kind is what views are made of.
func (d data) kind() views.Kind { return views.Kind{Channels: d.channels, Deep: d.deep} }

// facts are what open values of the configuration depend on.
func (d data) facts(ctx context.Context, cfg config.Config) (config.Facts, error) {
	f := config.Facts{Images: d.train.Len(), Channels: d.channels}
	var widths, heights []int
	for _, m := range d.samples {
		widths, heights = append(widths, m.Width), append(heights, m.Height)
	}
	f.Width, f.Height = median(widths), median(heights)
	// Of 3 channels of 8 bits, as photographs have, ImageNet's are taken.
	if d.channels != 3 || d.deep {
		var err error
		if f.Mean, f.Std, err = images.MeanStd(ctx, d.train, cfg.Seed, measured); err != nil {
			return f, fmt.Errorf("measuring the images' mean: %w", err)
		}
	}
	return f, nil
}

// pick returns the first n of some indices, in rising order.
func pick(indices []int, n int) []int {
	chosen := indices[:min(n, len(indices))]
	slices.Sort(chosen)
	return chosen
}

// evaluation is the labelled images that a probe is trained and tested on: the training and the test set, or four fifths
// and one fifth of the labelled training images. It is false if there are no labels to evaluate by.
func (d data) evaluation(seed uint64) (train, test images.Source, ok bool) {
	if train, ok = labelled(d.train); !ok {
		return nil, nil, false
	}
	if d.test != nil {
		test, ok = labelled(d.test)
		return train, test, ok
	}
	all := train.(images.Subset).Index
	rng.New(seed, rng.Probe, 0, 0).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	fifth := len(all) / 5
	return images.Subset{Source: d.train, Index: all[fifth:]}, images.Subset{Source: d.train, Index: all[:fifth]}, fifth > 0
}

// labelled is the images of a source that have a label; false if the source has not two classes.
func labelled(src images.Source) (images.Source, bool) {
	l, ok := src.(images.Labelled)
	if !ok || len(l.Classes()) < 2 {
		return nil, false
	}
	var index []int
	for i := range src.Len() {
		if _, ok := l.Label(i); ok {
			index = append(index, i)
		}
	}
	return images.Subset{Source: src, Index: index}, len(index) > 0
}
