package views

import (
	"errors"
	"fmt"
	"math"

	"github.com/gojepa/gojepa/vision/images"
)

// CenterCrop is the transform of evaluation: torchvision's Resize, of the shorter side, then CenterCrop. It makes one global view.
type CenterCrop struct {
	resize, size, channels int
	kind                   Interpolation
}

// NewCenterCrop returns the transform that resizes the shorter side to resize pixels and keeps a central square of side size,
// for images of so many channels. Equal numbers keep as much as a square can.
func NewCenterCrop(resize, size, channels int, kind Interpolation) (*CenterCrop, error) {
	var errs []error
	if size < 1 || size > maxSide {
		errs = append(errs, fmt.Errorf("size: %d, expected 1 to %d pixels", size, maxSide))
	}
	if resize < size || resize > maxSide {
		errs = append(errs, fmt.Errorf("resize: %d, expected %d (the size) to %d pixels", resize, size, maxSide))
	}
	if channels < 1 {
		errs = append(errs, fmt.Errorf("channels: %d, expected at least 1", channels))
	}
	if kind != Bilinear && kind != Bicubic {
		errs = append(errs, fmt.Errorf("interpolation: %v, expected bilinear or bicubic", kind))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("centre crop: %w", err)
	}
	return &CenterCrop{resize: resize, size: size, channels: channels, kind: kind}, nil
}

// Layout is one view.
func (t *CenterCrop) Layout() []Layout {
	return []Layout{{Views: 1, Channels: t.channels, Size: t.size, Global: true}}
}

// NewWorker returns a worker.
func (t *CenterCrop) NewWorker() Worker {
	return &cropper{transform: t, resizer: resizer{kernels: fastest()}}
}

type cropper struct {
	transform *CenterCrop
	resizer   resizer
}

// maxRatio is the most that an image may be longer than wide, or the other way round, to be resized by its shorter side:
// beyond it, an image of few pixels would grow without bounds.
const maxRatio = 1 << 10

// Generate resizes and crops m, only as far as the crop needs it. Nothing is random.
func (w *cropper) Generate(m *images.Image, _, _ uint64, out *Batch, row int) error {
	if err := m.Check(); err != nil {
		return err
	}
	t := w.transform
	if m.Channels != t.channels {
		return fmt.Errorf("image has %d channels, expected %d", m.Channels, t.channels)
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
	w.resizer.crop(out.View(0, 0, row), m, whole, height, width, keep, t.kind, false, false)
	return nil
}

// half is n/2, ties to even, as Python rounds.
func half(n int) int {
	return int(math.RoundToEven(float64(n) / 2))
}
