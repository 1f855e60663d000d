package images

import (
	"context"
	"fmt"
)

// Image is a rectangle of 8-bit samples, planar: sample (c, y, x) is Pix[(c*Height+y)*Width+x].
//
// Deeper samples have their place: they will come as slices beside Pix, []uint16 and []float32, of which an image has
// exactly one, so that code which reads Pix meets an empty slice, and not misread numbers, when it is handed such an
// image; [Image.Check] tells it so.
type Image struct {
	Channels, Height, Width int
	Pix                     []uint8
}

// New returns a black image. It panics if a size is not positive.
func New(channels, height, width int) *Image {
	if channels <= 0 || height <= 0 || width <= 0 {
		panic(fmt.Sprintf("images: New(%d, %d, %d): sizes must be positive", channels, height, width))
	}
	return &Image{Channels: channels, Height: height, Width: width, Pix: make([]uint8, channels*height*width)}
}

// Plane returns the samples of channel c, row after row. They are shared with m.
func (m *Image) Plane(c int) []uint8 {
	n := m.Height * m.Width
	return m.Pix[c*n : (c+1)*n : (c+1)*n]
}

// Check says what is wrong with an image: sizes that are not positive, or another number of samples than they imply.
func (m *Image) Check() error {
	switch {
	case m == nil:
		return fmt.Errorf("no image")
	case m.Channels <= 0 || m.Height <= 0 || m.Width <= 0:
		return fmt.Errorf("image of %d×%d pixels and %d channels: sizes must be positive", m.Width, m.Height, m.Channels)
	case len(m.Pix) != m.Channels*m.Height*m.Width:
		return fmt.Errorf("image of %d×%d pixels and %d channels has %d samples of 8 bits, expected %d",
			m.Width, m.Height, m.Channels, len(m.Pix), m.Channels*m.Height*m.Width)
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

// checkChannels says whether images can be converted to so many channels.
func checkChannels(n int) error {
	if n != 1 && n != 3 {
		return fmt.Errorf("channels: %d, expected 1 (grey) or 3 (RGB)", n)
	}
	return nil
}
