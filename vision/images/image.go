package images

import (
	"context"
	"fmt"
	"slices"
)

// Image is a rectangle of samples, planar: sample (c, y, x) is at (c*Height+y)*Width+x of Pix or of Float. An image has one
// of the two: Pix holds samples of 8 bits; Float holds deeper ones, scaled so that black is 0 and white is 1. All are
// finite; those beyond the range that was scaled stay beyond it. Code that reads Pix meets an empty slice, and not misread
// numbers, when it is handed a deep image.
type Image struct {
	Channels, Height, Width int
	Pix                     []uint8
	Float                   []float32
}

// New returns a black image of 8-bit samples. It panics if a size is not positive.
func New(channels, height, width int) *Image {
	m := sized("New", channels, height, width)
	m.Pix = make([]uint8, channels*height*width)
	return m
}

// NewFloat returns a black image of float samples. It panics if a size is not positive.
func NewFloat(channels, height, width int) *Image {
	m := sized("NewFloat", channels, height, width)
	m.Float = make([]float32, channels*height*width)
	return m
}

func sized(caller string, channels, height, width int) *Image {
	if channels <= 0 || height <= 0 || width <= 0 {
		panic(fmt.Sprintf("images: %s(%d, %d, %d): sizes must be positive", caller, channels, height, width))
	}
	return &Image{Channels: channels, Height: height, Width: width}
}

// Deep reports whether the samples are Float.
func (m *Image) Deep() bool { return m.Float != nil }

// deepened is m, whose samples are of 8 bits, as floats.
func (m *Image) deepened() *Image {
	return &Image{Channels: m.Channels, Height: m.Height, Width: m.Width, Float: AppendFloats(nil, m.Pix)}
}

// AppendFloats appends 8-bit samples to dst as floats: 255 becomes 1.
func AppendFloats(dst []float32, pix []uint8) []float32 {
	n := len(dst)
	dst = slices.Grow(dst, len(pix))[:n+len(pix)]
	for i, v := range pix {
		dst[n+i] = float32(v) / 255
	}
	return dst
}

// Plane returns the 8-bit samples of channel c, row after row. They are shared with m.
func (m *Image) Plane(c int) []uint8 { return plane(m.Pix, m, c) }

// FloatPlane returns the float samples of channel c, row after row. They are shared with m.
func (m *Image) FloatPlane(c int) []float32 { return plane(m.Float, m, c) }

func plane[T uint8 | float32](samples []T, m *Image, c int) []T {
	n := m.Height * m.Width
	return samples[c*n : (c+1)*n : (c+1)*n]
}

// Check says what is wrong with an image: sizes that are not positive, or another number of samples than they imply.
func (m *Image) Check() error {
	switch {
	case m == nil:
		return fmt.Errorf("no image")
	case m.Channels <= 0 || m.Height <= 0 || m.Width <= 0:
		return fmt.Errorf("image of %d×%d pixels and %d channels: sizes must be positive", m.Width, m.Height, m.Channels)
	}
	n, bits := len(m.Pix), "of 8 bits"
	if m.Deep() {
		if n > 0 {
			return fmt.Errorf("image of %d×%d pixels and %d channels has samples of 8 bits and floats, expected either", m.Width, m.Height, m.Channels)
		}
		n, bits = len(m.Float), "of 32 bits"
	}
	if want := m.Channels * m.Height * m.Width; n != want {
		return fmt.Errorf("image of %d×%d pixels and %d channels has %d samples %s, expected %d",
			m.Width, m.Height, m.Channels, n, bits, want)
	}
	return nil
}

// Source is a collection of images.
type Source interface {
	// Len is the number of images.
	Len() int
	// Image decodes image i, 0 ≤ i < Len. It is safe for concurrent use. The pixels may be shared with the source: the
	// caller must not write to them. All images of a source have the same number of channels, and any size. An error
	// stands for this image alone, and names it.
	Image(ctx context.Context, i int) (*Image, error)
	// Name says which image i is, for people: a path, or a file and a position in it.
	Name(i int) string
}

// Labelled is a source that may know the classes of its images.
type Labelled interface {
	Source
	// Label is the class of image i, an index of Classes; ok is false if it has none.
	Label(i int) (class int, ok bool)
	// Classes are the classes' names. It is empty if the source has no labels.
	Classes() []string
}

// Captioned is a source that may know a text for each of its images.
type Captioned interface {
	Source
	// Caption is the text of image i; ok is false if it has none. It may be read from disk when it is asked for, and then
	// ok is false too if that fails. It is safe for concurrent use.
	Caption(i int) (text string, ok bool)
}

// checkChannels says whether images can be converted to so many channels.
func checkChannels(n int) error {
	if n != 1 && n != 3 {
		return fmt.Errorf("channels: %d, expected 1 (grey) or 3 (RGB)", n)
	}
	return nil
}
