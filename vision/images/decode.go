package images

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
)

// DefaultMaxPixels is the size that [DefaultOptions] allows an image: 2^27, such as 11,585 × 11,585.
const DefaultMaxPixels = 1 << 27

// Options say how files become images.
type Options struct {
	Channels  int   // 1 for grey or 3 for RGB; others are converted as Pillow does
	MaxPixels int64 // larger images are refused before they are decoded, as a small file can claim any size
	Reduce16  bool  // keep the upper 8 bits of images of 16 bits a channel, rather than refuse them
	Labels    bool  // for Folder: the first folder below the root is an image's class

	JPEG JPEGDecoder // what decodes JPEG files
}

// DefaultOptions are 3 channels, DefaultMaxPixels, 16 bits refused, no labels.
func DefaultOptions() Options {
	return Options{Channels: 3, MaxPixels: DefaultMaxPixels}
}

// Validate names everything that is wrong with the options.
func (o Options) Validate() error {
	var errs []error
	if err := checkChannels(o.Channels); err != nil {
		errs = append(errs, err)
	}
	if o.MaxPixels <= 0 {
		errs = append(errs, fmt.Errorf("max pixels: %d, expected a positive number, such as %d", o.MaxPixels, DefaultMaxPixels))
	}
	if _, err := o.JPEG.library(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// format is a kind of file, told by how it begins.
type format struct {
	name, magic string
	config      func(*bytes.Reader) (image.Config, error)
	decode      func(*bytes.Reader) (image.Image, error)
}

var formats = []format{
	{
		"JPEG", "\xff\xd8\xff",
		func(r *bytes.Reader) (image.Config, error) { return jpeg.DecodeConfig(r) },
		func(r *bytes.Reader) (image.Image, error) { return jpeg.Decode(r) },
	},
	{
		"PNG", "\x89PNG\r\n\x1a\n",
		func(r *bytes.Reader) (image.Config, error) { return png.DecodeConfig(r) },
		func(r *bytes.Reader) (image.Image, error) { return png.Decode(r) },
	},
}

// Decode makes an image of a JPEG or PNG file's bytes, whichever they are. See the package for what becomes of colour,
// depth, alpha and orientation.
func Decode(data []byte, o Options) (*Image, error) { return DecodeInto(data, o, nil) }

// DecodeInto is Decode into the memory of buf, which may be nil; see there for how long the image is then valid.
func DecodeInto(data []byte, o Options, buf *Buffer) (*Image, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if len(data) == 0 {
		return nil, errors.New("the file is empty")
	}
	if m := decodeTurbo(data, o, buf); m != nil {
		return m, nil
	}
	for _, f := range formats {
		if bytes.HasPrefix(data, []byte(f.magic)) {
			return f.read(data, o)
		}
	}
	return nil, fmt.Errorf("neither JPEG nor PNG: it begins with %q", data[:min(len(data), 8)])
}

func (f format) read(data []byte, o Options) (*Image, error) {
	c, err := f.config(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("reading %s header: %w", f.name, err)
	}
	if c.Width <= 0 || c.Height <= 0 {
		return nil, fmt.Errorf("%s of %d×%d pixels", f.name, c.Width, c.Height)
	}
	if int64(c.Width)*int64(c.Height) > o.MaxPixels {
		return nil, fmt.Errorf("%s of %d×%d pixels: more than the %d that are allowed (MaxPixels)", f.name, c.Width, c.Height, o.MaxPixels)
	}
	src, err := f.decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("decoding %s: %w", f.name, err)
	}
	m, err := convert(src, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	if f.name == "JPEG" {
		m = orient(m, orientation(data))
	}
	return m, nil
}

// convert takes over the pixels of a decoded file with o.Channels channels.
func convert(src image.Image, o Options) (*Image, error) {
	b := src.Bounds()
	m := New(o.Channels, b.Dy(), b.Dx())
	switch s := src.(type) {
	case *image.Gray:
		for y := range m.Height {
			row := s.Pix[y*s.Stride:][:m.Width]
			for c := range m.Channels {
				copy(m.Plane(c)[y*m.Width:], row)
			}
		}
	case *image.YCbCr:
		fromYCbCr(m, s)
	case *image.RGBA: // PNG without alpha, which is then 255
		fromPixels(m, s.Pix, s.Stride)
	case *image.NRGBA:
		fromPixels(m, s.Pix, s.Stride)
	case *image.CMYK:
		fromCMYK(m, s)
	case *image.Paletted:
		return m, fromPalette(m, s)
	case *image.Gray16:
		return m, from16(m, o, s.Pix, s.Stride, 1, 2)
	case *image.RGBA64:
		return m, from16(m, o, s.Pix, s.Stride, 3, 8)
	case *image.NRGBA64:
		return m, from16(m, o, s.Pix, s.Stride, 3, 8)
	default:
		return nil, fmt.Errorf("pixels of type %T are not supported", src)
	}
	return m, nil
}

// set writes one pixel of colour.
func (m *Image) set(i int, r, g, b uint8) {
	if m.Channels == 1 {
		m.Pix[i] = luma(r, g, b)
		return
	}
	n := m.Height * m.Width
	m.Pix[i], m.Pix[i+n], m.Pix[i+2*n] = r, g, b
}

// luma is Pillow's: ITU-R 601 with weights of 16 bits.
func luma(r, g, b uint8) uint8 {
	return uint8((uint32(r)*19595 + uint32(g)*38470 + uint32(b)*7471 + 0x8000) >> 16)
}

// fromPixels takes pixels of four bytes, the fourth of which is dropped.
func fromPixels(m *Image, pix []uint8, stride int) {
	for y := range m.Height {
		row := pix[y*stride:][:4*m.Width]
		for x := range m.Width {
			p := row[4*x : 4*x+3 : 4*x+3]
			m.set(y*m.Width+x, p[0], p[1], p[2])
		}
	}
}

// fromCMYK mixes inks as Pillow does: each channel of white is reduced by black, then by its own ink.
func fromCMYK(m *Image, s *image.CMYK) {
	mix := func(ink, white uint8) uint8 {
		t := int(ink)*int(white) + 128
		return uint8(max(0, int(white)-(t+t>>8)>>8))
	}
	for y := range m.Height {
		row := s.Pix[y*s.Stride:][:4*m.Width]
		for x := range m.Width {
			p := row[4*x : 4*x+4 : 4*x+4]
			white := 255 - p[3]
			m.set(y*m.Width+x, mix(p[0], white), mix(p[1], white), mix(p[2], white))
		}
	}
}

func fromPalette(m *Image, s *image.Paletted) error {
	var colours [256][3]uint8
	for i, c := range s.Palette {
		r, g, b, err := opaque(c)
		if err != nil {
			return err
		}
		colours[i] = [3]uint8{r, g, b}
	}
	for y := range m.Height {
		for x, p := range s.Pix[y*s.Stride:][:m.Width] {
			c := colours[p]
			m.set(y*m.Width+x, c[0], c[1], c[2])
		}
	}
	return nil
}

// from16 keeps the upper bytes of big-endian samples, if that is wanted.
func from16(m *Image, o Options, pix []uint8, stride, colours, size int) error {
	if !o.Reduce16 {
		return errors.New("16 bits a channel, and images are 8 bits here so far: set Reduce16 to keep the upper 8, or convert the file")
	}
	for y := range m.Height {
		row := pix[y*stride:][:size*m.Width]
		for x := range m.Width {
			p := row[size*x : size*x+size]
			r, g, b := p[0], p[0], p[0]
			if colours == 3 {
				g, b = p[2], p[4]
			}
			m.set(y*m.Width+x, r, g, b)
		}
	}
	return nil
}
