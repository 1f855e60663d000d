package images

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// Layout is what the dimensions of an array are: n for images, h and w for height and width, c for channels.
type Layout string

// The layouts. AutoLayout takes arrays of two dimensions for one image, of three for many grey ones (or for one in colour,
// if the last is 4 or less and the others are not), and of four for many whose channels are the smaller one of the second
// and the last dimension, at most 32.
const (
	AutoLayout Layout = "auto"
	HW         Layout = "hw"
	HWC        Layout = "hwc"
	CHW        Layout = "chw"
	NHW        Layout = "nhw"
	NHWC       Layout = "nhwc"
	NCHW       Layout = "nchw"
)

func (l Layout) validate() error {
	if l == "" || slices.Contains([]Layout{AutoLayout, HW, HWC, CHW, NHW, NHWC, NCHW}, l) {
		return nil
	}
	return fmt.Errorf("layout of arrays: %q, expected auto, hw, hwc, chw, nhw, nhwc or nchw", l)
}

// most channels that a layout is guessed from.
const maxGuessedChannels = 32

// dims are an array's dimensions by what they are. planar says that channels are before height and width.
type dims struct {
	n, height, width, channels int
	planar                     bool
}

func (d dims) samples() int { return d.height * d.width * d.channels }

// dimsOf reads a shape.
func (l Layout) dimsOf(shape []int) (dims, error) {
	if l == "" || l == AutoLayout {
		var err error
		if l, err = guessLayout(shape); err != nil {
			return dims{}, err
		}
	}
	if len(l) != len(shape) {
		return dims{}, fmt.Errorf("shape %v, expected %d dimensions for the layout %s", shape, len(l), l)
	}
	d := dims{n: 1, channels: 1}
	for i, c := range l {
		switch c {
		case 'n':
			d.n = shape[i]
		case 'h':
			d.height = shape[i]
		case 'w':
			d.width = shape[i]
		case 'c':
			d.channels = shape[i]
			d.planar = i < len(l)-1
		}
	}
	if d.n > 0 && d.samples() == 0 {
		return dims{}, fmt.Errorf("shape %v has no pixels", shape)
	}
	return d, nil
}

func guessLayout(shape []int) (Layout, error) {
	switch len(shape) {
	case 2:
		return HW, nil
	case 3:
		if c := shape[2]; c <= 4 && c < shape[0] && c < shape[1] {
			return HWC, nil
		}
		return NHW, nil
	case 4:
		first, last := shape[1], shape[3]
		switch {
		case last < first && last <= maxGuessedChannels:
			return NHWC, nil
		case first < last && first <= maxGuessedChannels:
			return NCHW, nil
		}
		return "", fmt.Errorf("shape %v: the channels may be its second or its last dimension: expected a layout, nchw or nhwc", shape)
	}
	return "", fmt.Errorf("shape %v: expected 2 to 4 dimensions", shape)
}

// element is how an array's numbers are stored.
type element struct {
	kind  byte // u, i, f or b, as NumPy has it
	size  int
	order binary.ByteOrder
}

func elementOf(descr string) (element, error) {
	e := element{kind: descr[1], size: int(descr[2] - '0'), order: binary.LittleEndian}
	if descr[0] == '>' {
		e.order = binary.BigEndian
	}
	if !slices.Contains([]string{"u1", "u2", "u4", "i1", "i2", "i4", "i8", "u8", "f2", "f4", "f8", "b1"}, descr[1:]) {
		return e, fmt.Errorf("elements of type %q, expected integers or floats of up to 8 bytes", descr)
	}
	return e, nil
}

// deep reports whether numbers are more than 8 bits.
func (e element) deep() bool { return !(e.size == 1 && (e.kind == 'u' || e.kind == 'b')) }

// limits are the numbers that stand for black and white: those of the type for integers of up to 16 bits, which are what
// cameras and detectors give. They are equal where the type does not say.
func (e element) limits() (low, high float64) {
	switch {
	case e.kind == 'u' && e.size == 2:
		return 0, math.MaxUint16
	case e.kind == 'i' && e.size == 2:
		return math.MinInt16, math.MaxInt16
	case e.kind == 'i' && e.size == 1:
		return math.MinInt8, math.MaxInt8
	}
	return 0, 0
}

// at is number i of some bytes.
func (e element) at(b []byte, i int) float64 {
	b = b[i*e.size : (i+1)*e.size]
	switch e.size {
	case 1:
		if e.kind == 'i' {
			return float64(int8(b[0]))
		}
		return float64(b[0])
	case 2:
		v := e.order.Uint16(b)
		switch e.kind {
		case 'i':
			return float64(int16(v))
		case 'f':
			return half(v)
		}
		return float64(v)
	case 4:
		v := e.order.Uint32(b)
		switch e.kind {
		case 'i':
			return float64(int32(v))
		case 'f':
			return float64(math.Float32frombits(v))
		}
		return float64(v)
	}
	v := e.order.Uint64(b)
	switch e.kind {
	case 'i':
		return float64(int64(v))
	case 'f':
		return math.Float64frombits(v)
	}
	return float64(v)
}

// half is a number of 16 bits in IEEE 754's format.
func half(v uint16) float64 {
	sign := 1.0
	if v>>15 != 0 {
		sign = -1
	}
	exponent, fraction := int(v>>10&31), float64(v&1023)
	switch exponent {
	case 0:
		return sign * math.Ldexp(fraction, -24)
	case 31:
		if fraction != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}
