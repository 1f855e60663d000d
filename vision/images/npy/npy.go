// Package npy reads images out of NumPy's .npy files.
//
// An array of two dimensions is grey. Of three, the last or the first are the channels, whichever is smaller, the last if
// they are equal; it must be at most [MaxChannels]. An array of four is as many images as its first dimension says.
// Elements are integers or floats of 8 to 64 bits; bool is read as 0 and 1.
package npy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/gojepa/gojepa/internal/npy"
	"github.com/gojepa/gojepa/vision/images/raster"
)

// MaxChannels is the most channels that a dimension is taken for.
const MaxChannels = 32

// Match reports whether a file begins as an array does.
func Match(head []byte) bool { return bytes.HasPrefix(head, []byte("\x93NUMPY")) }

// array is a file's header, and where its elements are.
type array struct {
	raster.Config
	t        raster.Type
	order    binary.ByteOrder
	fortran  bool
	boolean  bool
	last     bool // channels are the last dimension
	elements []byte
}

// Config says what the header says.
func Config(data []byte) (raster.Config, error) {
	a, err := open(data)
	return a.Config, err
}

func open(data []byte) (a array, err error) {
	r := bytes.NewReader(data)
	h, err := npy.ReadHeader(r)
	if err != nil {
		return a, err
	}
	a.elements, a.fortran, a.boolean = data[len(data)-r.Len():], h.Fortran, h.Descr[1] == 'b'
	if a.t, a.order, err = elementType(h.Descr); err != nil {
		return a, err
	}
	shape := h.Shape
	a.Channels, a.Frames = 1, 1
	if len(shape) == 4 {
		a.Frames, shape = shape[0], shape[1:]
	}
	switch {
	case len(shape) == 2:
		a.Height, a.Width = shape[0], shape[1]
	case len(shape) == 3 && shape[2] <= shape[0] && shape[2] <= MaxChannels:
		a.Height, a.Width, a.Channels, a.last = shape[0], shape[1], shape[2], true
	case len(shape) == 3 && shape[0] <= MaxChannels:
		a.Channels, a.Height, a.Width = shape[0], shape[1], shape[2]
	default:
		return a, fmt.Errorf("array of %v: expected [height width], or three dimensions of which the first or last are up to %d channels, "+
			"or a first dimension before those", h.Shape, MaxChannels)
	}
	if want := h.Len() * a.t.Size(); len(a.elements) < want {
		return a, fmt.Errorf("array of %v: the file ends after %d of %d bytes", h.Shape, len(a.elements), want)
	}
	return a, nil
}

func elementType(descr string) (t raster.Type, order binary.ByteOrder, err error) {
	order = binary.LittleEndian
	if descr[0] == '>' {
		order = binary.BigEndian
	}
	kinds := map[string]raster.Type{
		"b1": {Kind: raster.Unsigned, Bits: 8},
		"u1": {Kind: raster.Unsigned, Bits: 8}, "u2": {Kind: raster.Unsigned, Bits: 16}, "u4": {Kind: raster.Unsigned, Bits: 32},
		"u8": {Kind: raster.Unsigned, Bits: 64}, "i1": {Kind: raster.Signed, Bits: 8}, "i2": {Kind: raster.Signed, Bits: 16},
		"i4": {Kind: raster.Signed, Bits: 32}, "i8": {Kind: raster.Signed, Bits: 64}, "f2": {Kind: raster.Float, Bits: 16},
		"f4": {Kind: raster.Float, Bits: 32}, "f8": {Kind: raster.Float, Bits: 64},
	}
	t, ok := kinds[descr[1:]]
	if !ok {
		err = fmt.Errorf("elements of type %q: expected integers or floats of up to 64 bits", descr)
	}
	return t, order, err
}

// Decode reads image frame, of at most maxPixels pixels.
func Decode(data []byte, frame int, maxPixels int64) (*raster.Raster, error) {
	a, err := open(data)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(a.Check(maxPixels), a.CheckFrame(frame)); err != nil {
		return nil, err
	}
	r := raster.New(a.Channels, a.Height, a.Width)
	a.t.Limits(r)
	if a.boolean {
		r.High = 1
	}
	r.Colour = a.Channels == 3 || a.Channels == 4
	// How many elements apart neighbours are along each dimension of the frame, and frames.
	dims := []int{a.Frames, a.Channels, a.Height, a.Width} // as they are in the file
	of := [4]int{0, 1, 2, 3}                               // where frames, channels, rows and columns are in it
	if a.last {
		dims, of = []int{a.Frames, a.Height, a.Width, a.Channels}, [4]int{0, 3, 1, 2}
	}
	var strides [4]int
	for i, n := 0, 1; i < 4; i++ {
		d := 3 - i
		if a.fortran {
			d = i
		}
		strides[d] = n
		n *= dims[d]
	}
	size := a.t.Size()
	for c := range a.Channels {
		plane := r.Plane(c)
		for y := range a.Height {
			at := frame*strides[of[0]] + c*strides[of[1]] + y*strides[of[2]]
			a.t.Numbers(plane[y*a.Width:][:a.Width], a.elements[at*size:], strides[of[3]]*size, a.order)
		}
	}
	return r, nil
}
