package images

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"

	"github.com/gojepa/gojepa/vision/images/chroma"
	"github.com/gojepa/gojepa/vision/images/raster"
)

func decodeJPEG(data []byte, _ int, o Options) (*Image, error) {
	src, err := decodeStandard("JPEG", data, o, jpeg.DecodeConfig, jpeg.Decode)
	if err != nil {
		return nil, err
	}
	own := 3
	if _, grey := src.(*image.Gray); grey {
		own = 1
	}
	m, err := convert(src, own, o)
	if err != nil {
		return nil, fmt.Errorf("JPEG: %w", err)
	}
	return orient(m, orientation(data)), nil
}

func decodePNG(data []byte, _ int, o Options) (*Image, error) {
	src, err := decodeStandard("PNG", data, o, png.DecodeConfig, png.Decode)
	if err != nil {
		return nil, err
	}
	const colourType, grey, greyAlpha = 25, 0, 4 // in the header, which was whole enough to decode
	own := 3
	if t := data[colourType]; t == grey || t == greyAlpha {
		own = 1
	}
	m, err := convert(src, own, o)
	if err != nil {
		return nil, fmt.Errorf("PNG: %w", err)
	}
	return m, nil
}

// decodeStandard decodes by the standard library, once the header's size is allowed.
func decodeStandard(
	name string, data []byte, o Options, config func(io.Reader) (image.Config, error), decode func(io.Reader) (image.Image, error),
) (image.Image, error) {
	c, err := config(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("reading %s header: %w", name, err)
	}
	if err := (raster.Config{Channels: 1, Height: c.Height, Width: c.Width, Frames: 1}).Check(o.MaxPixels); err != nil {
		return nil, fmt.Errorf("%s of %w", name, err)
	}
	src, err := decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("decoding %s: %w", name, err)
	}
	return src, nil
}

// convert takes over the pixels of a decoded file of so many channels besides alpha.
func convert(src image.Image, own int, o Options) (*Image, error) {
	switch s := src.(type) {
	case *image.Gray16:
		return from16(s.Pix, s.Stride, s.Rect, 1, 1, o)
	case *image.RGBA64:
		return from16(s.Pix, s.Stride, s.Rect, 4, own, o)
	case *image.NRGBA64:
		return from16(s.Pix, s.Stride, s.Rect, 4, own, o)
	}
	channels, err := o.channels(own, true)
	if err != nil {
		return nil, err
	}
	b := src.Bounds()
	m := New(channels, b.Dy(), b.Dx())
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
		err = fromPalette(m, s)
	default:
		err = fmt.Errorf("pixels of type %T are not supported", src)
	}
	if err != nil {
		return nil, err
	}
	if o.Deep {
		m = m.deepened()
	}
	return m, nil
}

// channels is how many an image shall have whose file has own, red, green and blue if they are three and colour is set.
func (o Options) channels(own int, colour bool) (int, error) {
	want := o.Channels
	switch {
	case want == 0:
		want = own
	case own == want, own == 1 && want == 3:
	case own == 3 && want == 1:
		if !colour {
			return 0, fmt.Errorf("3 bands that are not red, green and blue, expected 1 (Channels)")
		}
	default:
		return 0, fmt.Errorf("%s, expected %d (Channels)", bands(own), want)
	}
	if want > MaxChannels {
		return 0, fmt.Errorf("%d bands, expected at most %d", own, MaxChannels)
	}
	return want, nil
}

func bands(n int) string {
	if n == 1 {
		return "1 band"
	}
	return fmt.Sprintf("%d bands", n)
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

// The weights of Pillow's luma, ITU-R 601's in 16 bits.
const lumaR, lumaG, lumaB = 19595, 38470, 7471

// luma is Pillow's.
func luma(r, g, b uint8) uint8 {
	return uint8((uint32(r)*lumaR + uint32(g)*lumaG + uint32(b)*lumaB + 0x8000) >> 16)
}

// fromYCbCr upsamples chroma and converts to RGB or, from that, to grey.
func fromYCbCr(m *Image, s *image.YCbCr) {
	c, w := chroma.New(s), m.Width
	if m.Channels == 3 {
		n := m.Height * w
		for y := range m.Height {
			c.Row(y, m.Pix[y*w:][:w], m.Pix[n+y*w:][:w], m.Pix[2*n+y*w:][:w])
		}
		return
	}
	greens, blues := make([]uint8, w), make([]uint8, w)
	for y := range m.Height {
		reds := m.Pix[y*w:][:w]
		c.Row(y, reds, greens, blues)
		for x, r := range reds {
			reds[x] = luma(r, greens[x], blues[x])
		}
	}
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

// opaque is a palette's colour without its alpha.
func opaque(c color.Color) (r, g, b uint8, err error) {
	switch c := c.(type) {
	case color.RGBA: // of PNG: alpha is 255
		return c.R, c.G, c.B, nil
	case color.NRGBA:
		return c.R, c.G, c.B, nil
	}
	return 0, 0, 0, fmt.Errorf("palette of %T is not supported", c)
}

// from16 takes big-endian samples of 16 bits, so many to a pixel, of which channels are wanted.
func from16(pix []uint8, stride int, b image.Rectangle, perPixel, channels int, o Options) (*Image, error) {
	r := raster.New(channels, b.Dy(), b.Dx())
	r.Integers(16, false)
	r.Colour = channels == 3
	for y := range r.Height {
		row := pix[y*stride:][:2*perPixel*r.Width]
		for c := range channels {
			for x, dst := 2*c, r.Plane(c)[y*r.Width:][:r.Width]; len(dst) > 0; x, dst = x+2*perPixel, dst[1:] {
				dst[0] = float32(uint16(row[x])<<8 | uint16(row[x+1]))
			}
		}
	}
	if o.Reduce16 && o.Stretch.fixed() {
		// Equal to the upper bytes: all are integers below 2^16.
		for i, v := range r.Samples {
			r.Samples[i] = float32(int(v) >> 8)
		}
		r.Integers(8, false)
	}
	return scale(r, o)
}
