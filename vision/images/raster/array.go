package raster

import (
	"encoding/binary"
	"fmt"
)

// maxArrayChannels is the most channels that a dimension of an array is taken for.
const maxArrayChannels = 32

// Array is an array of numbers taken as images.
type Array struct {
	Config
	last bool // channels are the last dimension
}

// Arrange takes an array's dimensions for those of images. Two are a grey image. Of three, the last or the first are the
// channels, whichever is smaller, the last if they are equal; at most 32. Four are as many images as the first one says.
func Arrange(shape []int) (a Array, err error) {
	given := shape
	a.Channels, a.Frames = 1, 1
	if len(shape) == 4 {
		a.Frames, shape = shape[0], shape[1:]
	}
	switch {
	case len(shape) == 2:
		a.Height, a.Width = shape[0], shape[1]
	case len(shape) == 3 && shape[2] <= shape[0] && shape[2] <= maxArrayChannels:
		a.Height, a.Width, a.Channels, a.last = shape[0], shape[1], shape[2], true
	case len(shape) == 3 && shape[0] <= maxArrayChannels:
		a.Channels, a.Height, a.Width = shape[0], shape[1], shape[2]
	default:
		return a, fmt.Errorf("array of %v: expected [height width], or three dimensions of which the first or last are up to %d channels, "+
			"or a first dimension before those", given, maxArrayChannels)
	}
	return a, nil
}

// Read makes a raster of image frame of an array's elements, which lie in C's order or in Fortran's. The caller has checked
// that they are all there.
func (a Array) Read(elements []byte, t Type, order binary.ByteOrder, fortran bool, frame int) *Raster {
	r := New(a.Channels, a.Height, a.Width)
	t.Limits(r)
	r.Colour = a.Channels == 3
	dims := []int{a.Frames, a.Channels, a.Height, a.Width} // as they are in the file
	of := [4]int{0, 1, 2, 3}                               // where frames, channels, rows and columns are in it
	if a.last {
		dims, of = []int{a.Frames, a.Height, a.Width, a.Channels}, [4]int{0, 3, 1, 2}
	}
	var strides [4]int // in elements
	for i, n := 0, 1; i < 4; i++ {
		d := 3 - i
		if fortran {
			d = i
		}
		strides[d] = n
		n *= dims[d]
	}
	for c := range a.Channels {
		plane := r.Plane(c)
		for y := range a.Height {
			at := frame*strides[of[0]] + c*strides[of[1]] + y*strides[of[2]]
			t.Numbers(plane[y*a.Width:][:a.Width], elements[at*t.Size():], strides[of[3]]*t.Size(), order)
		}
	}
	return r
}
