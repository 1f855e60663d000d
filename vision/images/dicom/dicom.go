// Package dicom reads the images of DICOM files: the frames of a file are its images.
//
// Samples are in the units of the modality: masked to the bits that are stored, their sign extended, and rescaled by slope and
// intercept or by the modality's table. Those of padding are no data. Palettes and YBR become RGB. White is the lower value
// of MONOCHROME1: Low is above High. Overlays are not drawn.
//
// Transfer syntaxes: implicit and explicit little endian, explicit big endian, deflated, RLE, JPEG baseline and extended of 8 bits,
// JPEG lossless, JPEG-LS, JPEG 2000. Others are refused by name.
//
// (github.com/suyashkumar/dicom panics on a valid file of pydicom's, explicit_VR-UN, and leaves deflated files and all
// compressed pixels but JPEG's to the caller; no more than thirty elements are of use here.)
package dicom

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/gojepa/gojepa/vision/images/raster"
)

// Options say what is read of a file.
type Options struct {
	MaxPixels int64 // larger images are refused before they are decoded
	Window    bool  // the file's window or VOI LUT, if it has one, says what is black and white
}

// picture is what a file says of its frames.
type picture struct {
	d      dataset
	syntax string
	raster.Config
	samples           int // of a pixel, before palettes
	photometric       string
	allocated, stored int
	high              int
	signed            bool
	planar            bool
}

// Config says what the file says of its frames, which have one size.
func Config(data []byte) (raster.Config, error) {
	p, err := open(data)
	if err != nil {
		return raster.Config{}, err
	}
	return p.Config, nil
}

func open(data []byte) (*picture, error) {
	d, syntax, err := parse(data)
	if err != nil {
		return nil, err
	}
	if !d.has(tagPixels) && !d.has(tagFloatPixels) && !d.has(tagDoublePixels) {
		return nil, errors.New("it has no pixels")
	}
	p := &picture{d: d, syntax: syntax, photometric: d.text(tagPhotometric)}
	var signed, planar int
	var errs []error
	for _, f := range []struct {
		to      *int
		t       tag
		missing int
	}{
		{&p.Height, tagRows, 0}, {&p.Width, tagColumns, 0}, {&p.samples, tagSamples, 1}, {&p.Frames, tagFrames, 1},
		{&p.allocated, tagAllocated, 0}, {&p.stored, tagStored, 0}, {&p.high, tagHighBit, -1}, {&signed, tagSigned, 0},
		{&planar, tagPlanar, 0},
	} {
		*f.to, err = d.integer(f.t, f.missing)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	p.signed, p.planar = signed == 1, planar == 1
	p.Frames = max(p.Frames, 1)
	switch {
	case d.has(tagFloatPixels):
		p.allocated, p.stored = 32, 32
	case d.has(tagDoublePixels):
		p.allocated, p.stored = 64, 64
	}
	if p.stored == 0 {
		p.stored = p.allocated
	}
	if p.high < 0 || p.allocated == 1 {
		p.high = p.stored - 1
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	p.Channels = p.samples
	if p.photometric == "PALETTE COLOR" {
		p.Channels = 3
	}
	return p, nil
}

func (p *picture) check() error {
	if p.Height < 1 || p.Height > math.MaxUint16 || p.Width < 1 || p.Width > math.MaxUint16 {
		return fmt.Errorf("%d×%d pixels: no such image", p.Width, p.Height)
	}
	want := 1
	switch p.photometric {
	case "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR":
	case "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT":
		want = 3
	default:
		return fmt.Errorf("photometric interpretation %q is not supported: expected MONOCHROME1 or 2, PALETTE COLOR, RGB, YBR_FULL, YBR_FULL_422, "+
			"YBR_ICT or YBR_RCT", p.photometric)
	}
	if p.samples != want {
		return fmt.Errorf("%d samples for a pixel of %s: expected %d", p.samples, p.photometric, want)
	}
	switch p.allocated {
	case 1, 8, 16, 32, 64:
	default:
		return fmt.Errorf("%d bits allocated: expected 1, 8, 16, 32 or 64", p.allocated)
	}
	if p.stored < 1 || p.stored > p.allocated || p.high < p.stored-1 || p.high >= p.allocated {
		return fmt.Errorf("%d bits stored up to bit %d, of %d: no such samples", p.stored, p.high, p.allocated)
	}
	if p.allocated == 1 && p.samples != 1 {
		return fmt.Errorf("1 bit for each of %d samples: expected one sample", p.samples)
	}
	return nil
}

// Decode reads frame i.
func Decode(data []byte, i int, o Options) (*raster.Raster, error) {
	p, err := open(data)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(p.Check(o.MaxPixels), p.CheckFrame(i)); err != nil {
		return nil, err
	}
	if p.d.has(tagFloatPixels) || p.d.has(tagDoublePixels) {
		return p.floats(i)
	}
	if p.photometric != "PALETTE COLOR" {
		r := raster.New(p.Channels, p.Height, p.Width)
		if err := p.stored16(i, r); err != nil {
			return nil, err
		}
		return r, p.scale(r, i, o.Window)
	}
	r := raster.New(1, p.Height, p.Width)
	if err := p.stored16(i, r); err != nil {
		return nil, err
	}
	return p.lookUp(r)
}

// floats reads samples that are floats.
func (p *picture) floats(i int) (*raster.Raster, error) {
	t, e := raster.Type{Kind: raster.Float, Bits: p.allocated}, p.d.elements[tagFloatPixels]
	if p.allocated == 64 {
		e = p.d.elements[tagDoublePixels]
	}
	size := p.Height * p.Width * p.samples * t.Size()
	if len(e.value)/size <= i {
		return nil, fmt.Errorf("%d bytes of pixels: expected %d frames of %d", len(e.value), p.Frames, size)
	}
	r := raster.New(p.samples, p.Height, p.Width)
	for c := range p.samples {
		t.Numbers(r.Plane(c), e.value[i*size+c*t.Size():], p.samples*t.Size(), p.d.order)
	}
	return r, nil
}

// swapped exchanges the bytes of words: 8-bit samples of a big-endian file are stored in words.
func swapped(b []byte) []byte {
	out := make([]byte, len(b))
	for i := 0; i+1 < len(b); i += 2 {
		binary.LittleEndian.PutUint16(out[i:], binary.BigEndian.Uint16(b[i:]))
	}
	return out
}
