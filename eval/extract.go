package eval

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/images"
	"github.com/gojepa/gojepa/vision/views"
)

// ExtractOptions are those of [Extract].
type ExtractOptions struct {
	Size      int       // images are resized by their shorter side and cropped to a square of so many pixels
	Channels  int       // of the images
	Deep      bool      // some images are of floats; those of 8 bits are then made floats too
	Mean, Std []float64 // of each channel, of samples in [0, 1]; empty: vision.DefaultMeanStd
	BF16      bool      // matrix products in bfloat16
	BatchSize int
	Workers   int     // goroutines that decode images
	MaxBroken float64 // share of the images that may be broken, from 0 to 1: they are left out
}

// DefaultExtract is for images of 224×224 pixels and 3 channels, 1 % of which may be broken.
func DefaultExtract() ExtractOptions {
	c := views.DefaultLoaderConfig()
	return ExtractOptions{Size: 224, Channels: 3, BatchSize: c.BatchSize, Workers: c.Workers, MaxBroken: c.MaxBroken}
}

// Extracted are the features of a source's images, in the order of the source.
type Extracted struct {
	Features
	Samples []int          // by row: the image's index in the source
	Broken  []views.Broken // images that could not be read, which have no row
}

// Encoder turns images into features. Those of package vision are, and any that package lejepa trains.
type Encoder interface {
	// Forward maps normalised images [N, C, H, W] to features [N, Dim].
	Forward(s *torch.Scope, images torch.Tensor, p nn.Pass) torch.Tensor
	// Dim is the number of features.
	Dim() int64
}

// Extract embeds all images of a source by an encoder in inference mode, each once and whole, with samples normalised to
// (x - Mean) / Std, x being in [0, 1]. Labels are the source's where it has classes, -1 for an image without one. The
// encoder is on th.
func Extract(ctx context.Context, th *torch.Thread, encoder Encoder, src images.Source, o ExtractOptions) (Extracted, error) {
	c := newCollector(src, int(encoder.Dim()))
	var err error
	c.Broken, err = Stream(ctx, th, encoder, src, o, func(b Batch) error {
		c.add(b.Samples, b.Labels, b.X)
		return nil
	})
	if err != nil {
		return Extracted{}, err
	}
	return c.finish()
}

// normalise fills in mean and standard deviation, and checks them.
func (o *ExtractOptions) normalise() error {
	if len(o.Mean) == 0 && len(o.Std) == 0 {
		o.Mean, o.Std = vision.DefaultMeanStd(o.Channels)
	}
	if len(o.Mean) != o.Channels || len(o.Std) != o.Channels {
		return fmt.Errorf("eval: mean of %d and standard deviation of %d channels: expected %d, as the images have",
			len(o.Mean), len(o.Std), o.Channels)
	}
	return nil
}

// embedder returns what makes the features of a batch of so many images: [Views, rows, D].
func (o ExtractOptions) embedder(ctx context.Context, th *torch.Thread, encoder Encoder) func(g *views.Group, rows int) ([]float32, error) {
	dtype := torch.Float32
	if o.BF16 {
		dtype = torch.BFloat16
	}
	return func(g *views.Group, rows int) (y []float32, err error) {
		err = th.Do(ctx, func(s *torch.Scope) {
			s.NoGrad(func() {
				x := vision.NormaliseRows(s, g, 0, g.Views*rows, o.Mean, o.Std)
				s.Autocast(dtype, func() { y = encoder.Forward(s, x, nn.Pass{}).Float32s() })
			})
		})
		return y, err
	}
}

// Pixels are what to compare an encoder with: the samples of the images themselves, prepared as for one of that size and
// number of channels, in [0, 1]. Images that cannot be read are left out, however many.
func Pixels(ctx context.Context, src images.Source, size int, k views.Kind) (Extracted, error) {
	o := DefaultExtract()
	o.Size, o.Channels, o.Deep, o.MaxBroken = size, k.Channels, k.Deep, 1
	c := newCollector(src, k.Channels*size*size)
	var x []float32
	err := o.each(ctx, src, c.broken, func(b *views.Batch) error {
		g := b.Groups[0]
		x = images.AppendFloats(append(x[:0], g.Float...), g.Pix)
		c.add(b.Samples, b.Labels, x)
		return nil
	})
	if err != nil {
		return Extracted{}, fmt.Errorf("eval: pixels: %w", err)
	}
	return c.finish()
}

// each prepares the images of a source, in batches and in order, and hands each batch to f, who may not keep it.
func (o ExtractOptions) each(ctx context.Context, src images.Source, broken func(views.Broken), f func(*views.Batch) error) error {
	t, err := views.NewCenterCrop(o.Size, o.Size, views.Kind{Channels: o.Channels, Deep: o.Deep}, views.Bilinear)
	if err != nil {
		return err
	}
	return o.eachOf(ctx, src, t, broken, f)
}

// eachOf is each for the views that t makes.
func (o ExtractOptions) eachOf(ctx context.Context, src images.Source, t views.Transform, broken func(views.Broken), f func(*views.Batch) error) error {
	loader := views.DefaultLoaderConfig()
	loader.InOrder, loader.BatchSize, loader.Workers, loader.MaxBroken = true, o.BatchSize, o.Workers, o.MaxBroken
	loader.OnBroken = broken
	l, err := views.NewLoader(ctx, src, t, loader)
	if err != nil {
		return err
	}
	defer l.Close()
	for {
		b, err := l.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := f(b); err != nil {
			return err
		}
	}
}

// collector puts batches of features together.
type collector struct {
	Extracted
	labelled bool
}

func newCollector(src images.Source, dim int) *collector {
	c := &collector{}
	c.D = dim
	c.X = make([]float32, 0, src.Len()*dim)
	if l, ok := src.(images.Labelled); ok && len(l.Classes()) > 0 {
		c.labelled, c.Classes = true, l.Classes()
	}
	return c
}

func (c *collector) broken(b views.Broken) { c.Broken = append(c.Broken, b) }

func (c *collector) add(samples, labels []int, x []float32) {
	c.X = append(c.X, x...)
	c.Samples = append(c.Samples, samples...)
	if c.labelled {
		c.Labels = append(c.Labels, labels...)
	}
}

func (c *collector) finish() (Extracted, error) {
	c.N = len(c.Samples)
	if c.N == 0 {
		return Extracted{}, fmt.Errorf("eval: none of %d images could be read, the last being %s: %w",
			len(c.Broken), c.Broken[len(c.Broken)-1].Name, c.Broken[len(c.Broken)-1].Err)
	}
	return c.Extracted, nil
}

// Labelled are the rows that have a label.
func (e Extracted) Labelled() Extracted {
	out := Extracted{Broken: e.Broken}
	out.D, out.Classes = e.D, e.Classes
	for i, l := range e.Labels {
		if l >= 0 {
			out.X = append(out.X, e.Row(i)...)
			out.Labels = append(out.Labels, l)
			out.Samples = append(out.Samples, e.Samples[i])
			out.N++
		}
	}
	return out
}
