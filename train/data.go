package train

import (
	"context"
	"fmt"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/vision/images"
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

// sampled is how many images are looked at to learn the size and the colour of a collection, and measured the number whose
// mean and standard deviation are taken.
const (
	sampled  = 32
	measured = 1000
)

// openData finds the images. Channels that are left open are the images' own: one if all that are looked at are grey.
func openData(ctx context.Context, cfg config.Config, o options) (data, error) {
	if o.source != nil {
		return openOwn(ctx, cfg, o)
	}
	d := data{name: cfg.DataName()}
	if cfg.Data.Path == "" {
		if cfg.Data.TestPath != "" {
			return d, fmt.Errorf("data.test_path: %s, expected none without data.path: MNIST has its own test images", cfg.Data.TestPath)
		}
		d.channels = cfg.Encoder.Channels.Or(1)
		train, err := images.MNIST(ctx, "", true, d.channels)
		if err != nil {
			return d, err
		}
		test, err := images.MNIST(ctx, "", false, d.channels)
		if err != nil {
			return d, err
		}
		d.train, d.test = train, test
		return d.looked(ctx, cfg, o)
	}
	open := func(dir string, channels int) (*images.FolderSource, error) {
		f := images.DefaultOptions()
		f.Channels, f.Labels = channels, cfg.Data.Labels
		if err := f.JPEG.UnmarshalText([]byte(cfg.Data.JPEG)); err != nil {
			return nil, fmt.Errorf("data.jpeg: %w", err)
		}
		return images.Folder(ctx, dir, f)
	}
	d.channels = cfg.Encoder.Channels.Or(3)
	folder, err := open(cfg.Data.Path, d.channels)
	if err != nil {
		return d, err
	}
	if d.samples, err = look(ctx, folder, cfg.Seed); err != nil {
		return d, err
	}
	if _, known := cfg.Encoder.Channels.Get(); !known && grey(d.samples) {
		d.channels = 1
		if folder, err = open(cfg.Data.Path, 1); err != nil {
			return d, err
		}
	}
	d.train = folder
	if cfg.Data.TestPath != "" {
		test, err := open(cfg.Data.TestPath, d.channels)
		if err != nil {
			return d, fmt.Errorf("--test-data: %w", err)
		}
		d.test = test
	}
	return d.looked(ctx, cfg, o)
}

// looked puts in the caller's test images, and looks at the others if that was not done.
func (d data) looked(ctx context.Context, cfg config.Config, o options) (data, error) {
	if o.test != nil {
		d.test = o.test
	}
	if d.samples != nil {
		return d, nil
	}
	var err error
	d.samples, err = look(ctx, d.train, cfg.Seed)
	return d, err
}

// openOwn takes the caller's sources.
func openOwn(ctx context.Context, cfg config.Config, o options) (data, error) {
	d := data{name: cfg.DataName(), train: o.source}
	if cfg.Data.Path == "" {
		d.name = "its own source"
	}
	if d.train.Len() == 0 {
		return d, fmt.Errorf("the source has no images")
	}
	if cfg.Data.TestPath != "" {
		return d, fmt.Errorf("data.test_path: %s, expected none beside a source of one's own: give WithTest", cfg.Data.TestPath)
	}
	d, err := d.looked(ctx, cfg, o)
	if err != nil {
		return d, err
	}
	d.channels = d.samples[0].Channels
	if n, known := cfg.Encoder.Channels.Get(); known && n != d.channels {
		return d, fmt.Errorf("encoder.channels: %d, expected %d, as the source's images have", n, d.channels)
	}
	return d, nil
}

// look decodes a few images, spread over the collection. The error is the last image's if none can be read.
func look(ctx context.Context, src images.Source, seed uint64) (found []*images.Image, err error) {
	r := rng.New(seed, rng.Sample, 0, 0)
	for range min(sampled, src.Len()) {
		i := r.IntN(src.Len())
		m, e := src.Image(ctx, i)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if e != nil {
			err = fmt.Errorf("none of the images looked at can be read, the last being %s: %w", src.Name(i), e)
			continue
		}
		found = append(found, m)
	}
	if len(found) == 0 {
		return nil, err
	}
	return found, nil
}

// grey reports whether all images looked at are RGB with equal channels.
func grey(samples []*images.Image) bool {
	for _, m := range samples {
		r, g, b := m.Plane(0), m.Plane(1), m.Plane(2)
		for i := range r {
			if r[i] != g[i] || r[i] != b[i] {
				return false
			}
		}
	}
	return true
}

// facts are what open values of the configuration depend on.
func (d data) facts(ctx context.Context, cfg config.Config) (config.Facts, error) {
	f := config.Facts{Images: d.train.Len(), Channels: d.channels}
	var widths, heights []int
	for _, m := range d.samples {
		widths, heights = append(widths, m.Width), append(heights, m.Height)
	}
	f.Width, f.Height = median(widths), median(heights)
	if d.channels != 3 {
		var err error
		if f.Mean, f.Std, err = images.MeanStd(ctx, d.train, cfg.Seed, measured); err != nil {
			return f, fmt.Errorf("measuring the images' mean: %w", err)
		}
	}
	return f, nil
}

// subset is some images of a source, with their labels.
type subset struct {
	images.Source
	index []int
}

// Len is the number of images.
func (s subset) Len() int { return len(s.index) }

// Image decodes an image.
func (s subset) Image(ctx context.Context, i int) (*images.Image, error) {
	return s.Source.Image(ctx, s.index[i])
}

// ImageInto decodes an image, into buf if the whole source can.
func (s subset) ImageInto(ctx context.Context, i int, buf *images.Buffer) (*images.Image, error) {
	return images.Read(ctx, s.Source, s.index[i], buf)
}

// Name is an image's name in the whole source.
func (s subset) Name(i int) string { return s.Source.Name(s.index[i]) }

// Label is an image's class.
func (s subset) Label(i int) (int, bool) {
	if l, ok := s.Source.(images.Labelled); ok {
		return l.Label(s.index[i])
	}
	return 0, false
}

// Classes are those of the whole source.
func (s subset) Classes() []string {
	if l, ok := s.Source.(images.Labelled); ok {
		return l.Classes()
	}
	return nil
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
	all := train.(subset).index
	rng.New(seed, rng.Probe, 0, 0).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	fifth := len(all) / 5
	return subset{d.train, all[fifth:]}, subset{d.train, all[:fifth]}, fifth > 0
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
	return subset{src, index}, len(index) > 0
}
