package views

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/vision/images"
)

// Pipeline is the transform that a [Config] describes.
type Pipeline struct {
	config   Config
	channels int
	seed     uint64
	layout   []Layout
}

// New returns the transform that c describes, for images of so many channels. Everything random is drawn from seed.
func New(c Config, channels int, seed uint64) (*Pipeline, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if channels < 1 {
		return nil, fmt.Errorf("views of %d channels: expected at least 1", channels)
	}
	p := &Pipeline{config: c, channels: channels, seed: seed}
	p.layout = append(p.layout, Layout{Views: c.Global.Count, Channels: channels, Size: c.Global.Size, Global: true})
	if c.Local.Count > 0 {
		p.layout = append(p.layout, Layout{Views: c.Local.Count, Channels: channels, Size: c.Local.Size})
	}
	return p, nil
}

// Layout is the global views and, if there are any, the local ones.
func (p *Pipeline) Layout() []Layout { return p.layout }

// NewWorker returns a worker.
func (p *Pipeline) NewWorker() Worker {
	k := fastest()
	return &worker{pipeline: p, kernels: k, resizer: resizer{kernels: k}}
}

type worker struct {
	pipeline *Pipeline
	kernels  kernels
	resizer  resizer
	blurrer  blurrer
}

// Generate draws the parameters of one view after the other, the global ones first, and makes them. It allocates the
// random stream, and nothing else once its scratch has grown to the images' size.
func (w *worker) Generate(m *images.Image, epoch, sample uint64, out *Batch, row int) error {
	if err := m.Check(); err != nil {
		return err
	}
	p := w.pipeline
	if m.Channels != p.channels {
		return fmt.Errorf("image has %d channels, expected %d", m.Channels, p.channels)
	}
	random := rng.New(p.seed, rng.Views, epoch, sample)
	c := &p.config
	for g, l := range p.layout {
		crop := c.Global
		if !l.Global {
			crop = GlobalConfig(c.Local)
		}
		for v := range l.Views {
			params := c.draw(random, crop, m.Height, m.Width)
			w.apply(out.View(g, v, row), m, crop, params)
		}
	}
	return nil
}

// The parts of colour jitter, in the order in which torchvision numbers them.
const (
	jitterBrightness = iota
	jitterContrast
	jitterSaturation
	jitterHue
)

// params are what is random of a view.
type params struct {
	crop     rect
	flipH    bool
	flipV    bool
	jitter   bool
	order    [4]int     // of jitter's parts
	factors  [4]float64 // of brightness, contrast, saturation; shift of hue
	grey     bool
	sigma    float64 // of blur, or 0 for none
	solarize bool
}

// draw draws the parameters of a view of an image. The order of draws is part of what makes a run repeatable.
func (c *Config) draw(r *rand.Rand, crop GlobalConfig, height, width int) params {
	p := params{crop: drawCrop(r, crop.Scale, crop.Ratio, height, width)}
	p.flipH = r.Float64() < c.Flip
	p.flipV = r.Float64() < c.VerticalFlip
	j := &c.Jitter
	p.jitter = r.Float64() < j.P
	p.order = [4]int{0, 1, 2, 3}
	for i := 3; i > 0; i-- {
		k := r.IntN(i + 1)
		p.order[i], p.order[k] = p.order[k], p.order[i]
	}
	for i, reach := range [4]float64{j.Brightness, j.Contrast, j.Saturation, j.Hue} {
		if i == jitterHue {
			p.factors[i] = uniform(r, -reach, reach)
		} else {
			p.factors[i] = uniform(r, max(0, 1-reach), 1+reach)
		}
	}
	p.grey = r.Float64() < c.Grayscale
	blur, sigma := r.Float64(), uniform(r, c.Blur.Sigma[0], c.Blur.Sigma[1])
	if blur < c.Blur.P {
		p.sigma = sigma
	}
	p.solarize = r.Float64() < c.Solarize.P
	return p
}

func uniform(r *rand.Rand, lo, hi float64) float64 {
	return lo + float64(r.Float64()*(hi-lo))
}

// drawCrop draws a crop as torchvision's RandomResizedCrop does: area uniform, ratio log-uniform, place uniform; after ten
// crops that do not fit, the largest central one of an allowed ratio.
func drawCrop(r *rand.Rand, scale, ratio [2]float64, height, width int) rect {
	area := float64(height) * float64(width)
	for range 10 {
		target := area * uniform(r, scale[0], scale[1])
		aspect := math.Exp(uniform(r, math.Log(ratio[0]), math.Log(ratio[1])))
		w := int(math.RoundToEven(math.Sqrt(target * aspect)))
		h := int(math.RoundToEven(math.Sqrt(target / aspect)))
		if 0 < w && w <= width && 0 < h && h <= height {
			return rect{top: r.IntN(height - h + 1), left: r.IntN(width - w + 1), height: h, width: w}
		}
	}
	h, w := height, width
	switch in := float64(width) / float64(height); {
	case in < ratio[0]:
		h = int(math.RoundToEven(float64(w) / ratio[0]))
	case in > ratio[1]:
		w = int(math.RoundToEven(float64(h) * ratio[1]))
	}
	h, w = max(h, 1), max(w, 1) // of images a pixel wide
	return rect{top: (height - h) / 2, left: (width - w) / 2, height: h, width: w}
}

// apply makes the view dst of m.
func (w *worker) apply(dst []uint8, m *images.Image, crop GlobalConfig, p params) {
	c := &w.pipeline.config
	whole := rect{height: crop.Size, width: crop.Size}
	w.resizer.crop(dst, m, p.crop, crop.Size, crop.Size, whole, crop.Interpolation, p.flipH, p.flipV)
	rgb := m.Channels == 3
	if p.jitter {
		for _, part := range p.order {
			f := p.factors[part]
			switch {
			case part == jitterBrightness && c.Jitter.Brightness > 0:
				brightness(w.kernels, dst, f)
			case part == jitterContrast && c.Jitter.Contrast > 0:
				contrast(w.kernels, dst, m.Channels, f)
			case part == jitterSaturation && c.Jitter.Saturation > 0 && rgb:
				saturation(w.kernels, dst, f)
			case part == jitterHue && c.Jitter.Hue > 0 && rgb:
				hue(w.kernels, dst, f)
			}
		}
	}
	if p.grey && rgb {
		greyscale(w.kernels, dst)
	}
	if p.sigma > 0 {
		w.blurrer.blur(w.kernels, dst, crop.Size, c.Blur.Kernel, p.sigma)
	}
	if p.solarize {
		w.kernels.solarize(dst, c.Solarize.Threshold)
	}
}
