package views

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/vision/images"
)

// Pipeline is the transform that a [Config] describes.
type Pipeline struct {
	config Config
	steps  []Config // of config.Steps, each alone
	kind   Kind
	seed   uint64
	layout []Layout
}

// New returns the transform that c describes, for images of a kind. Everything random is drawn from seed. The error names
// everything in c that cannot be, and that does not suit the images.
//
// Images of floats are transformed as floats, and views are floats; images of 8 bits that come to such a pipeline are
// divided by 255. A pipeline for 8 bits refuses floats.
func New(c Config, k Kind, seed uint64) (*Pipeline, error) {
	if err := errors.Join(c.Validate(), c.Suits(k)); err != nil {
		return nil, err
	}
	p := &Pipeline{config: c, kind: k, seed: seed}
	for _, s := range c.Steps {
		p.steps = append(p.steps, s.config())
	}
	layout := Layout{Views: c.Global.Count, Channels: k.Channels, Size: c.Global.Size, Global: true, Deep: k.Deep}
	p.layout = append(p.layout, layout)
	if c.Local.Count > 0 {
		layout.Views, layout.Size, layout.Global = c.Local.Count, c.Local.Size, false
		p.layout = append(p.layout, layout)
	}
	return p, nil
}

// Layout is the global views and, if there are any, the local ones.
func (p *Pipeline) Layout() []Layout { return p.layout }

// Reduction is by how much an image of that size may be reduced, by 2, 4 or 8, or not at all, so that even the smallest
// crop has as many pixels as its view. It depends on nothing else.
func (p *Pipeline) Reduction(width, height int) int {
	by := 8.0
	for _, crop := range []GlobalConfig{p.config.Global, GlobalConfig(p.config.Local)} {
		if crop.Count == 0 {
			continue
		}
		area := crop.Scale[0] * float64(width) * float64(height)
		least := min(math.Sqrt(area*crop.Ratio[0]), math.Sqrt(area/crop.Ratio[1]), float64(width), float64(height))
		by = min(by, least/float64(crop.Size))
	}
	for _, n := range []int{8, 4, 2} {
		if by >= float64(n) {
			return n
		}
	}
	return 1
}

// NewWorker returns a worker.
func (p *Pipeline) NewWorker() Worker {
	k := fastest()
	return &worker{pipeline: p, bytes: newByteCanvas(k), floats: newFloatCanvas(k)}
}

type worker struct {
	pipeline *Pipeline
	bytes    *byteCanvas
	floats   *floatCanvas
	deep     images.Image // an image of 8 bits as floats
	channels []int        // that are dropped
}

// suited is m for a transform of images of a kind, made of the memory of deep if that is needed.
func suited(m *images.Image, k Kind, deep *images.Image) (*images.Image, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	if m.Channels != k.Channels {
		return nil, fmt.Errorf("image has %d channels, expected %d", m.Channels, k.Channels)
	}
	switch {
	case m.Deep() && !k.Deep:
		return nil, errors.New("image has float samples, expected 8 bits as the others have: make views of Kind.Deep for both")
	case m.Deep() && !finite(m.Float):
		return nil, errors.New("image has samples that are infinite or no numbers")
	case k.Deep && !m.Deep():
		return floats(deep, m), nil
	}
	return m, nil
}

// Generate draws the parameters of one view after the other, the global ones first, and makes them. It allocates the
// random stream, and nothing else once its scratch has grown to the images' size.
func (w *worker) Generate(m *images.Image, epoch, sample uint64, out *Batch, row int) error {
	p := w.pipeline
	m, err := suited(m, p.kind, &w.deep)
	if err != nil {
		return err
	}
	random := rng.New(p.seed, rng.Views, epoch, sample)
	for g, l := range p.layout {
		crop := p.config.Global
		if !l.Global {
			crop = GlobalConfig(p.config.Local)
		}
		for v := range l.Views {
			w.view(random, crop, m, w.canvas(out, g, v, row))
		}
	}
	return nil
}

// canvas is what view v of an image is made on.
func (w *worker) canvas(out *Batch, group, v, row int) canvas {
	if w.pipeline.kind.Deep {
		w.floats.pix = out.FloatView(group, v, row)
		return w.floats
	}
	w.bytes.pix = out.View(group, v, row)
	return w.bytes
}

// view draws the parameters of one view and makes it.
func (w *worker) view(r *rand.Rand, crop GlobalConfig, m *images.Image, on canvas) {
	c := &w.pipeline.config
	at := drawCrop(r, crop.Scale, crop.Ratio, m.Height, m.Width)
	if len(c.Steps) > 0 {
		on.start(m, at, crop.Size, crop.Interpolation, false, false)
		w.steps(r, on)
		return
	}
	p := c.drawAfterCrop(r, w)
	on.start(m, at, crop.Size, crop.Interpolation, p.flipH, p.flipV) // mirrored as it is resized
	c.apply(on, p)
}

// The parts of colour jitter, in the order in which torchvision numbers them.
const (
	jitterBrightness = iota
	jitterContrast
	jitterSaturation
	jitterHue
)

// params are what is random of a view, besides its crop.
type params struct {
	flipH    bool
	flipV    bool
	jitter   bool
	order    [4]int     // of jitter's parts
	factors  [4]float64 // of brightness, contrast, saturation; shift of hue
	grey     bool
	sigma    float64 // of blur, or 0 for none
	solarize bool

	quarters  int // turns, and whether it is mirrored then
	mirror    bool
	angle     float64 // of rotation, in degrees
	rotate    bool
	noise     float64 // its standard deviation, or 0 for none
	noiseSeed uint64
	dropped   []int // channels; valid until the next draw
}

// drawAfterCrop draws the parameters of a view of an image, but for its crop. The order of draws is part of what makes a run
// repeatable: what came to the first recipe later is drawn after it, and only where it is asked for.
func (c *Config) drawAfterCrop(r *rand.Rand, w *worker) (p params) {
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

	if c.Dihedral > 0 {
		turned, way := r.Float64() < c.Dihedral, r.IntN(8)
		if turned {
			p.quarters, p.mirror = way&3, way >= 4
		}
	}
	if c.Rotation.P > 0 {
		p.rotate = r.Float64() < c.Rotation.P
		p.angle = uniform(r, -c.Rotation.Degrees, c.Rotation.Degrees)
	}
	if c.Noise.P > 0 {
		noise, sigma := r.Float64(), uniform(r, c.Noise.Sigma[0], c.Noise.Sigma[1])
		p.noiseSeed = r.Uint64()
		if noise < c.Noise.P {
			p.noise = sigma
		}
	}
	if c.DropChannels.P > 0 {
		p.dropped = w.drawDropped(r, c.DropChannels)
	}
	return p
}

// drawDropped draws which channels are dropped.
func (w *worker) drawDropped(r *rand.Rand, d DropConfig) []int {
	channels := w.pipeline.kind.Channels
	w.channels = grow(w.channels, channels)
	for i := range w.channels {
		w.channels[i] = i
	}
	drop, n := r.Float64() < d.P, 1+r.IntN(d.Most)
	for i := range n {
		k := i + r.IntN(channels-i)
		w.channels[i], w.channels[k] = w.channels[k], w.channels[i]
	}
	if !drop {
		return nil
	}
	return w.channels[:n]
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

// apply augments a view that is cropped, and mirrored if p says so.
func (c *Config) apply(on canvas, p params) {
	if p.quarters != 0 || p.mirror {
		on.turn(p.quarters, p.mirror)
	}
	if p.rotate {
		on.rotate(p.angle, c.Rotation.Smooth, c.Rotation.Fill)
	}
	if p.jitter {
		for _, part := range p.order {
			f := p.factors[part]
			switch {
			case part == jitterBrightness && c.Jitter.Brightness > 0:
				on.brightness(f)
			case part == jitterContrast && c.Jitter.Contrast > 0:
				on.contrast(f)
			case part == jitterSaturation && c.Jitter.Saturation > 0:
				on.saturation(f)
			case part == jitterHue && c.Jitter.Hue > 0:
				on.hue(f)
			}
		}
	}
	if p.grey {
		on.grey()
	}
	if p.sigma > 0 {
		on.blur(c.Blur.Kernel, p.sigma)
	}
	if p.noise > 0 {
		on.noise(p.noiseSeed, 0, p.noise)
	}
	if p.solarize {
		on.solarize(c.Solarize.Threshold)
	}
	for _, channel := range p.dropped {
		on.drop(channel, c.DropChannels.Fill)
	}
}
