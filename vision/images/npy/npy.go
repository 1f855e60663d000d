// Package npy reads images out of NumPy's .npy files.
//
// Which dimensions are which, [raster.Arrange] says. Elements are integers or floats of 8 to 64 bits; bool is read as 0 and 1.
package npy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/gojepa/gojepa/internal/npy"
	"github.com/gojepa/gojepa/vision/images/raster"
)

// Match reports whether a file begins as an array does.
func Match(head []byte) bool { return bytes.HasPrefix(head, []byte("\x93NUMPY")) }

// array is a file's header, and where its elements are.
type array struct {
	raster.Array
	t        raster.Type
	order    binary.ByteOrder
	fortran  bool
	boolean  bool
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
	if a.Array, err = raster.Arrange(h.Shape); err != nil {
		return a, err
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
	r := a.Read(a.elements, a.t, a.order, a.fortran, frame)
	if a.boolean {
		r.High = 1
	}
	return r, nil
}
