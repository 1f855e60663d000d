package views

import (
	"errors"
	"fmt"
	"math"

	"github.com/gojepa/gojepa/vision/images"
)

// CenterCrop is the transform of evaluation: torchvision's Resize, of the shorter side, then CenterCrop. It makes one global view.
type CenterCrop struct {
	resize, size  int
	images        Kind
	interpolation Interpolation
}

// NewCenterCrop returns the transform that resizes the shorter side to resize pixels and keeps a central square of side size,
// for images of a kind. Equal numbers keep as much as a square can.
func NewCenterCrop(resize, size int, k Kind, interpolation Interpolation) (*CenterCrop, error) {
	var errs []error
	if size < 1 || size > maxSide {
		errs = append(errs, fmt.Errorf("size: %d, expected 1 to %d pixels", size, maxSide))
	}
	if resize < size || resize > maxSide {
		errs = append(errs, fmt.Errorf("resize: %d, expected %d (the size) to %d pixels", resize, size, maxSide))
	}
	if k.Channels < 1 {
		errs = append(errs, fmt.Errorf("channels: %d, expected at least 1", k.Channels))
	}
	if interpolation != Bilinear && interpolation != Bicubic {
		errs = append(errs, fmt.Errorf("interpolation: %v, expected bilinear or bicubic", interpolation))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("centre crop: %w", err)
	}
	return &CenterCrop{resize: resize, size: size, images: k, interpolation: interpolation}, nil
}

// Layout is one view.
func (t *CenterCrop) Layout() []Layout {
	return []Layout{{Views: 1, Channels: t.images.Channels, Size: t.size, Global: true, Deep: t.images.Deep}}
}

// NewWorker returns a worker.
func (t *CenterCrop) NewWorker() Worker {
	k := fastest()
	return &cropper{transform: t, resizer: resizer{kernels: k}, floats: newFloatCanvas(k)}
}

type cropper struct {
	transform *CenterCrop
	resizer   resizer
	floats    *floatCanvas
	deep      images.Image
}

// maxRatio is the most that an image may be longer than wide, or the other way round, to be resized by its shorter side:
// beyond it, an image of few pixels would grow without bounds.
const maxRatio = 1 << 10

// Generate resizes and crops m, only as far as the crop needs it. Nothing is random.
func (w *cropper) Generate(m *images.Image, _, _ uint64, out *Batch, row int) error {
	t := w.transform
	m, err := suited(m, t.images, &w.deep)
	if err != nil {
		return err
	}
	short, long := min(m.Height, m.Width), max(m.Height, m.Width)
	if long/short > maxRatio {
		return fmt.Errorf("image of %d×%d pixels: one side is more than %d times the other", m.Width, m.Height, maxRatio)
	}
	height, width := t.resize, t.resize
	if m.Width <= m.Height {
		height = int(float64(t.resize*m.Height) / float64(m.Width))
	} else {
		width = int(float64(t.resize*m.Width) / float64(m.Height))
	}
	keep := rect{top: half(height - t.size), left: half(width - t.size), height: t.size, width: t.size}
	whole := rect{height: m.Height, width: m.Width}
	if t.images.Deep {
		w.floats.crop(out.FloatView(0, 0, row), m, whole, height, width, keep, t.interpolation, false, false)
		return nil
	}
	w.resizer.crop(out.View(0, 0, row), m, whole, height, width, keep, t.interpolation, false, false)
	return nil
}

// half is n/2, ties to even, as Python rounds.
func half(n int) int {
	return int(math.RoundToEven(float64(n) / 2))
}
