// Package raster is what readers of scientific formats make: samples in the units of their file, before they are scaled.
package raster

import "fmt"

// Raster is a rectangle of samples, planar: sample (c, y, x) is Samples[(c*Height+y)*Width+x].
type Raster struct {
	Channels, Height, Width int
	Samples                 []float32 // NaN where the file has no data

	// Low and High are the values that the file means by black and white: the limits of its integers or of its window.
	// They are equal if it does not say, as files of floats do not.
	Low, High float64
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
