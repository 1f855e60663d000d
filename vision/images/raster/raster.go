// Package raster is what readers of scientific formats make: samples in the units of their file, before they are scaled.
package raster

import "fmt"

// Raster is a rectangle of samples, planar: sample (c, y, x) is Samples[(c*Height+y)*Width+x].
type Raster struct {
	Channels, Height, Width int
	Samples                 []float32 // NaN where the file has no data

	// Low and High are the values that the file means by black and white: the limits of its integers or of its window.
	// Low is above High where the file means white by the lower one. They are equal if it does not say, as files of
	// floats do not.
	Low, High float64

	Window bool // Low and High are a window for display, and samples beyond it are as black and as white as its ends
	Bytes  bool // the file's samples are unsigned and have no more than 8 bits
	Colour bool // the first three channels are red, green and blue
	Alpha  bool // the last channel is opacity
	Counts bool // samples are counts of light, most of it faint: those of astronomy
}

// New returns a raster of zeros that does not say what black and white are. It panics if a size is not positive.
func New(channels, height, width int) *Raster {
	if channels <= 0 || height <= 0 || width <= 0 {
		panic(fmt.Sprintf("raster: New(%d, %d, %d): sizes must be positive", channels, height, width))
	}
	return &Raster{Channels: channels, Height: height, Width: width, Samples: make([]float32, channels*height*width)}
}

// Plane returns the samples of channel c, row after row. They are shared with r.
func (r *Raster) Plane(c int) []float32 {
	n := r.Height * r.Width
	return r.Samples[c*n : (c+1)*n : (c+1)*n]
}

// Config is what the head of a file says.
type Config struct {
	Channels, Height, Width int
	Frames                  int // images of this size in the file
}

// MaxChannels is the most channels that a file may have.
const MaxChannels = 1024

// Check refuses sizes that are no image's, more than maxPixels pixels, more than MaxChannels channels, and more than four
// samples for each pixel that is allowed.
func (c Config) Check(maxPixels int64) error {
	switch {
	case c.Channels <= 0 || c.Height <= 0 || c.Width <= 0 || c.Frames <= 0:
		return fmt.Errorf("%d images of %d×%d pixels and %d channels: expected at least 1 of each", c.Frames, c.Width, c.Height, c.Channels)
	case int64(c.Width) > maxPixels/int64(c.Height):
		return fmt.Errorf("%d×%d pixels: more than the %d that are allowed (MaxPixels)", c.Width, c.Height, maxPixels)
	case c.Channels > MaxChannels:
		return fmt.Errorf("%d channels: more than the %d that are read", c.Channels, MaxChannels)
	case int64(c.Height)*int64(c.Width) > 4*maxPixels/int64(c.Channels):
		return fmt.Errorf("%d×%d pixels of %d channels: more than four samples for each of the %d pixels that are allowed (MaxPixels)",
			c.Width, c.Height, c.Channels, maxPixels)
	}
	return nil
}

// CheckFrame says whether the file has image i.
func (c Config) CheckFrame(i int) error {
	if i < 0 || i >= c.Frames {
		return fmt.Errorf("there is no image %d: the file has %d, counted from 0", i, c.Frames)
	}
	return nil
}

// Integers sets Low and High to the limits of integers of so many bits, and Bytes.
func (r *Raster) Integers(bits int, signed bool) {
	span := float64(uint64(1) << min(bits, 63))
	if bits == 64 {
		span *= 2
	}
	r.Low, r.High, r.Bytes = 0, span-1, bits <= 8 && !signed
	if signed {
		r.Low, r.High = -span/2, span/2-1
	}
}

// DropAlpha returns r without the channel of opacity that it may have. They share samples.
func (r *Raster) DropAlpha() *Raster {
	if !r.Alpha || r.Channels == 1 {
		return r
	}
	out := *r
	out.Channels, out.Alpha = r.Channels-1, false
	out.Samples = r.Samples[: out.Channels*r.Height*r.Width : out.Channels*r.Height*r.Width]
	return &out
}
