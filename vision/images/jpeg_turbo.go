package images

import (
	"fmt"

	"github.com/gojepa/gojepa/vision/images/turbo"
)

// JPEGDecoder says what decodes JPEG files.
type JPEGDecoder int

// The decoders of JPEG. Whichever it is, files that libjpeg-turbo is not for, or has doubts about, such as one that ends
// early, go to Go's image/jpeg, whose error or pixels are then the result: the same files are broken everywhere.
const (
	JPEGAuto  JPEGDecoder = iota // libjpeg-turbo where it is found, otherwise Go
	JPEGGo                       // Go's image/jpeg
	JPEGTurbo                    // libjpeg-turbo, which has to be there
)

var jpegDecoders = []string{"auto", "go", "turbo"}

// String is the name of the decoder, as in configuration files.
func (d JPEGDecoder) String() string {
	if d < 0 || int(d) >= len(jpegDecoders) {
		return fmt.Sprintf("JPEGDecoder(%d)", int(d))
	}
	return jpegDecoders[d]
}

// MarshalText is the name of the decoder.
func (d JPEGDecoder) MarshalText() ([]byte, error) {
	if d < 0 || int(d) >= len(jpegDecoders) {
		return nil, fmt.Errorf("JPEG decoder: no kind %d", int(d))
	}
	return []byte(d.String()), nil
}

// UnmarshalText takes the name of a decoder.
func (d *JPEGDecoder) UnmarshalText(text []byte) error {
	for i, name := range jpegDecoders {
		if string(text) == name {
			*d = JPEGDecoder(i)
			return nil
		}
	}
	return fmt.Errorf("JPEG decoder %q: expected auto, go or turbo", text)
}

// Describe says for people what d is on this machine: "Go's image/jpeg", or libjpeg-turbo and its file.
func (d JPEGDecoder) Describe() string {
	if lib, _ := d.library(); lib != nil {
		return lib.Name()
	}
	return "Go's image/jpeg"
}

// library is libjpeg-turbo, or nil if it is not used. The error is that it is not there, but has to be.
func (d JPEGDecoder) library() (*turbo.Library, error) {
	switch d {
	case JPEGGo:
		return nil, nil
	case JPEGAuto:
		lib, _ := turbo.Find()
		return lib, nil
	case JPEGTurbo:
		lib, err := turbo.Find()
		if err != nil {
			return nil, fmt.Errorf("JPEG decoder: %w; install it, or choose auto", err)
		}
		return lib, nil
	}
	return nil, fmt.Errorf("JPEG decoder: %v, expected auto, go or turbo", d)
}

// decodeTurbo decodes a JPEG file by libjpeg-turbo. It returns nil for all that is left to other decoders, to fail at or
// not.
func decodeTurbo(data []byte, o Options, buf *Buffer) *Image {
	lib, _ := o.JPEG.library()
	if lib == nil {
		return nil
	}
	f, err := turbo.ReadFrame(data)
	if err != nil || int64(f.Width)*int64(f.Height) > o.MaxPixels {
		return nil
	}
	channels, err := o.channels(f.Components, true)
	if err != nil {
		return nil
	}
	reduce := buf.reduction(f.Width, f.Height)
	small := f.Reduced(reduce)
	m := buf.image(channels, small.Height, small.Width)
	if err := lib.Decode(m.Pix, data, f, reduce, channels); err != nil {
		return nil
	}
	m = orient(m, orientation(data))
	if o.Deep {
		m = m.deepened()
	}
	return m
}
