package tiff

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"

	"github.com/gojepa/gojepa/vision/images/chroma"
)

// jpeg decodes a strip or tile into chunky bytes of so many rows.
func (p *page) jpeg(dst, src []byte, rows int) error {
	samples := p.chunkSamples()
	stream, err := chroma.Stream(p.jpegTables, src, p.photometric == ycbcr)
	if err != nil {
		return err
	}
	c, err := jpeg.DecodeConfig(bytes.NewReader(stream))
	if err != nil {
		return err
	}
	if c.Width < p.chunkWidth || c.Height < rows || c.Width > 2*p.chunkWidth+64 || c.Height > 2*p.chunkHeight+64 {
		return fmt.Errorf("%d×%d pixels: expected %d×%d", c.Width, c.Height, p.chunkWidth, rows)
	}
	m, err := jpeg.Decode(bytes.NewReader(stream))
	if err != nil {
		return err
	}
	w := p.chunkWidth
	switch m := m.(type) {
	case *image.Gray:
		if samples != 1 {
			return fmt.Errorf("it is grey: expected %d samples", samples)
		}
		for y := range rows {
			copy(dst[y*w:][:w], m.Pix[y*m.Stride:])
		}
	case *image.YCbCr:
		if samples != 3 {
			return fmt.Errorf("it has 3 samples: expected %d", samples)
		}
		width := m.Rect.Dx()
		r, g, b := make([]uint8, width), make([]uint8, width), make([]uint8, width)
		convert := chroma.New(m)
		for y := range rows {
			convert.Row(y, r, g, b)
			line := dst[y*3*w:][:3*w]
			for x := range w {
				line[3*x], line[3*x+1], line[3*x+2] = r[x], g[x], b[x]
			}
		}
	case *image.RGBA:
		if samples != 3 {
			return fmt.Errorf("it has 3 samples: expected %d", samples)
		}
		for y := range rows {
			for x := range w {
				copy(dst[3*(y*w+x):][:3], m.Pix[y*m.Stride+4*x:])
			}
		}
	case *image.CMYK:
		if samples != 4 {
			return fmt.Errorf("it has 4 samples: expected %d", samples)
		}
		for y := range rows {
			for x, v := range m.Pix[y*m.Stride:][:4*w] {
				dst[4*y*w+x] = 255 - v // the standard library turns them over, as Adobe's files have inks
			}
		}
	default:
		return fmt.Errorf("pixels of type %T are not supported", m)
	}
	return nil
}
