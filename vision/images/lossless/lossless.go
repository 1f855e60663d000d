// Package lossless decodes JPEG lossless (ITU-T T.81, process 14) and JPEG-LS (ITU-T T.87), as DICOM files have them.
//
// No Go library was found that decodes either and needs no newer Go than this module.
package lossless

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Size is what the file around a stream says of it.
type Size struct{ Width, Height, Components int }

// Picture is a decoded stream.
type Picture struct {
	Size
	Bits    int      // of a sample
	Samples []uint16 // components of a pixel beside each other, pixels row after row
}

var errEnd = errors.New("the stream ends in its header")

// frame is what the segments before a scan say.
type frame struct {
	Picture
	ids      []byte // of components
	restart  int    // units between restarts, or 0
	huffman  [4]*huffman
	presets  []int // of JPEG-LS: MAXVAL, T1, T2, T3, RESET; nil if not said
	finished int   // components that a scan has been read for
}

// The markers that mean something here.
const (
	markSOF3  = 0xc3
	markDHT   = 0xc4
	markSOI   = 0xd8
	markEOI   = 0xd9
	markSOS   = 0xda
	markDRI   = 0xdd
	markSOF55 = 0xf7
	markLSE   = 0xf8
)

// scanHeader is a segment of start of scan.
type scanHeader struct {
	components []int // indices
	tables     []int // of each
	a, b, c    int   // predictor, or NEAR and interleaving; the point transform
}

// decode reads segments, and each scan by read, which returns how many bytes it took.
func decode(data []byte, want Size, sof byte, read func(f *frame, s scanHeader, data []byte) (int, error)) (*Picture, error) {
	if len(data) < 2 || data[0] != 0xff || data[1] != markSOI {
		return nil, fmt.Errorf("it begins with %x, expected ffd8", data[:min(2, len(data))])
	}
	f := &frame{}
	for at := 2; f.finished == 0 || f.finished < f.Components; {
		for at < len(data) && data[at] != 0xff { // what a scan left
			at++
		}
		for at+1 < len(data) && data[at+1] == 0xff { // fill
			at++
		}
		if len(data)-at < 4 {
			return nil, errEnd
		}
		marker, n := data[at+1], int(binary.BigEndian.Uint16(data[at+2:]))
		if marker == 0 || marker >= 0xd0 && marker <= 0xd7 {
			at += 2
			continue
		}
		if marker == markEOI || n < 2 || len(data)-at-2 < n {
			return nil, errEnd
		}
		b := data[at+4 : at+2+n]
		at += 2 + n
		switch {
		case marker == sof:
			if err := f.readFrame(b, want); err != nil {
				return nil, err
			}
		case marker >= 0xc0 && marker <= 0xcf && marker != markDHT && marker != 0xc8 && marker != 0xcc || marker == markSOF55:
			return nil, fmt.Errorf("a stream of kind %x, expected %x", marker, sof)
		case marker == markDHT:
			if err := f.readHuffman(b); err != nil {
				return nil, err
			}
		case marker == markDRI && len(b) >= 2:
			f.restart = int(binary.BigEndian.Uint16(b))
		case marker == markLSE:
			if err := f.readPresets(b); err != nil {
				return nil, err
			}
		case marker == markSOS:
			if f.Samples == nil {
				return nil, errors.New("a scan before its frame")
			}
			s, err := f.readScan(b)
			if err != nil {
				return nil, err
			}
			k, err := read(f, s, data[at:])
			if err != nil {
				return nil, err
			}
			at += k
			f.finished += len(s.components)
		}
	}
	return &f.Picture, nil
}

func (f *frame) readFrame(b []byte, want Size) error {
	if f.Samples != nil {
		return errors.New("two frames")
	}
	if len(b) < 6 || len(b) < 6+3*int(b[5]) {
		return errEnd
	}
	f.Bits = int(b[0])
	f.Height, f.Width, f.Components = int(binary.BigEndian.Uint16(b[1:])), int(binary.BigEndian.Uint16(b[3:])), int(b[5])
	if f.Size != want {
		return fmt.Errorf("%d×%d pixels of %d components, expected %d×%d of %d",
			f.Width, f.Height, f.Components, want.Width, want.Height, want.Components)
	}
	if f.Bits < 2 || f.Bits > 16 {
		return fmt.Errorf("samples of %d bits, expected 2 to 16", f.Bits)
	}
	for c := range f.Components {
		if b[7+3*c] != 0x11 {
			return errors.New("components of several sizes")
		}
		f.ids = append(f.ids, b[6+3*c])
	}
	f.Samples = make([]uint16, f.Width*f.Height*f.Components)
	return nil
}

func (f *frame) readScan(b []byte) (s scanHeader, err error) {
	if len(b) < 1 || b[0] < 1 || len(b) < 4+2*int(b[0]) {
		return s, errEnd
	}
	n := int(b[0])
	for i := range n {
		component := -1
		for c, id := range f.ids {
			if id == b[1+2*i] {
				component = c
			}
		}
		if component < 0 {
			return s, fmt.Errorf("a scan of component %d, which the frame does not have", b[1+2*i])
		}
		s.components, s.tables = append(s.components, component), append(s.tables, int(b[2+2*i]))
	}
	if n != 1 && n != f.Components {
		return s, fmt.Errorf("a scan of %d of %d components, expected one or all", n, f.Components)
	}
	s.a, s.b, s.c = int(b[1+2*n]), int(b[2+2*n]), int(b[3+2*n])
	return s, nil
}
