package dicom

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"strings"

	"github.com/gojepa/gojepa/vision/images/chroma"
	"github.com/gojepa/gojepa/vision/images/j2k"
	"github.com/gojepa/gojepa/vision/images/lossless"
	"github.com/gojepa/gojepa/vision/images/raster"
)

// syntaxes are the transfer syntaxes of pixels, by UID.
var syntaxes = map[string]struct {
	name   string
	decode func(p *picture, frame []byte, r *raster.Raster) error // nil for what is not supported
}{
	implicitLittle:            {"implicit little endian", nil},
	explicitLittle:            {"explicit little endian", nil},
	deflatedLittle:            {"deflated explicit little endian", nil},
	explicitBig:               {"explicit big endian", nil},
	"1.2.840.10008.1.2.5":     {"RLE", (*picture).rle},
	"1.2.840.10008.1.2.4.50":  {"JPEG baseline", (*picture).jpeg},
	"1.2.840.10008.1.2.4.51":  {"JPEG extended", (*picture).jpeg},
	"1.2.840.10008.1.2.4.57":  {"JPEG lossless", integers(lossless.JPEG)},
	"1.2.840.10008.1.2.4.70":  {"JPEG lossless, selection value 1", integers(lossless.JPEG)},
	"1.2.840.10008.1.2.4.80":  {"JPEG-LS lossless", integers(lossless.LS)},
	"1.2.840.10008.1.2.4.81":  {"JPEG-LS near-lossless", integers(lossless.LS)},
	"1.2.840.10008.1.2.4.90":  {"JPEG 2000 lossless", (*picture).jpeg2000},
	"1.2.840.10008.1.2.4.91":  {"JPEG 2000", (*picture).jpeg2000},
	"1.2.840.10008.1.2.4.92":  {"JPEG 2000 multi-component lossless", nil},
	"1.2.840.10008.1.2.4.93":  {"JPEG 2000 multi-component", nil},
	"1.2.840.10008.1.2.4.94":  {"JPIP referenced", nil},
	"1.2.840.10008.1.2.4.100": {"MPEG2 main profile", nil},
	"1.2.840.10008.1.2.4.101": {"MPEG2 main profile, high level", nil},
	"1.2.840.10008.1.2.4.102": {"MPEG-4 AVC/H.264", nil},
	"1.2.840.10008.1.2.4.103": {"MPEG-4 AVC/H.264, BD-compatible", nil},
	"1.2.840.10008.1.2.4.107": {"HEVC/H.265", nil},
	"1.2.840.10008.1.2.4.110": {"JPEG XL lossless", nil},
	"1.2.840.10008.1.2.4.112": {"JPEG XL", nil},
	"1.2.840.10008.1.2.4.201": {"high-throughput JPEG 2000 lossless", nil},
	"1.2.840.10008.1.2.4.202": {"high-throughput JPEG 2000 lossless, RPCL", nil},
	"1.2.840.10008.1.2.4.203": {"high-throughput JPEG 2000", nil},
}

// stored16 reads the stored values of a frame into r, YBR as RGB.
func (p *picture) stored16(frame int, r *raster.Raster) error {
	e := p.d.elements[tagPixels]
	switch p.syntax {
	case implicitLittle, explicitLittle, explicitBig, deflatedLittle:
		if e.fragments != nil {
			return fmt.Errorf("encapsulated pixels in transfer syntax %s, which has none", p.syntax)
		}
		return p.native(frame, e, r)
	}
	s, known := syntaxes[p.syntax]
	if !known {
		s.name = "an unknown one"
	}
	if s.decode == nil {
		return fmt.Errorf("transfer syntax %s (%s) is not supported", p.syntax, s.name)
	}
	if e.fragments == nil {
		return fmt.Errorf("pixels that are not encapsulated in transfer syntax %s (%s)", p.syntax, s.name)
	}
	b, err := p.encapsulated(frame, e.fragments)
	if err == nil {
		err = s.decode(p, b, r)
	}
	if err != nil {
		return fmt.Errorf("%s, frame %d: %w", s.name, frame, err)
	}
	return nil
}

// encapsulated is the stream of a frame. The first fragment is the table of offsets of frames, or empty.
func (p *picture) encapsulated(frame int, fragments [][]byte) ([]byte, error) {
	table, fragments := fragments[0], fragments[1:]
	switch {
	case p.Frames == 1:
		return bytes.Join(fragments, nil), nil
	case len(fragments) == p.Frames:
		return fragments[frame], nil
	case len(table) >= 4*p.Frames:
		from := uint64(p.d.order.Uint32(table[4*frame:]))
		to := ^uint64(0)
		if frame+1 < p.Frames {
			to = uint64(p.d.order.Uint32(table[4*frame+4:]))
		}
		var parts [][]byte
		at := uint64(0)
		for _, f := range fragments {
			if at >= from && at < to {
				parts = append(parts, f)
			}
			at += 8 + uint64(len(f))
		}
		if len(parts) > 0 {
			return bytes.Join(parts, nil), nil
		}
	}
	return nil, fmt.Errorf("%d fragments for %d frames, and no table of where they begin", len(fragments), p.Frames)
}

// native reads samples as they are.
func (p *picture) native(frame int, e element, r *raster.Raster) error {
	pixels := p.Height * p.Width
	subsampled := p.photometric == "YBR_FULL_422"
	size := (pixels*p.samples*p.allocated + 7) / 8 // of a frame, in bytes
	if subsampled {
		if p.allocated != 8 || p.Width%2 != 0 {
			return fmt.Errorf("YBR_FULL_422 of %d bits and %d columns: expected 8 bits and an even number", p.allocated, p.Width)
		}
		size = 2 * pixels
	}
	b := e.value
	if p.allocated == 1 { // frames follow each other bit by bit, the lowest ones first
		first := frame * pixels
		if len(b) < (first+pixels+7)/8 {
			return p.short(len(b), size)
		}
		for i := range r.Samples {
			k := first + i
			r.Samples[i] = float32(b[k/8] >> (k % 8) & 1)
		}
		return nil
	}
	if len(b)/size <= frame {
		return p.short(len(b), size)
	}
	if p.allocated == 8 && p.syntax == explicitBig && e.vr != "OB" {
		b = swapped(b)
		if len(b)/size <= frame {
			return p.short(len(b), size)
		}
	}
	b = b[frame*size:][:size]
	if subsampled {
		full := make([]byte, 0, 3*pixels)
		for ; len(b) >= 4; b = b[4:] {
			full = append(full, b[0], b[2], b[3], b[1], b[2], b[3])
		}
		b = full
	}
	step, next := p.samples, 1 // in samples: between pixels, and between the samples of one
	if p.planar && p.samples > 1 && !subsampled {
		step, next = 1, pixels
	}
	for c := range p.samples {
		p.values(r.Plane(c), b[c*next*p.allocated/8:], step*p.allocated/8, p.d.order)
	}
	p.toRGB(r)
	return nil
}

func (p *picture) short(n, size int) error {
	return fmt.Errorf("%d bytes of pixels: expected %d frames of %d", n, p.Frames, size)
}

// values reads samples of whole bytes, and takes from them the bits that are stored.
func (p *picture) values(dst []float32, b []byte, step int, order binary.ByteOrder) {
	for i := range dst {
		var v uint64
		switch p.allocated {
		case 8:
			v = uint64(b[i*step])
		case 16:
			v = uint64(order.Uint16(b[i*step:]))
		case 32:
			v = uint64(order.Uint32(b[i*step:]))
		case 64:
			v = order.Uint64(b[i*step:])
		}
		dst[i] = p.value(v)
	}
}

// value takes the bits that are stored.
func (p *picture) value(v uint64) float32 {
	v <<= 63 - p.high
	if p.signed {
		return float32(int64(v) >> (64 - p.stored))
	}
	return float32(v >> (64 - p.stored))
}

// toRGB converts YBR of 8 bits.
func (p *picture) toRGB(r *raster.Raster) {
	if !strings.HasPrefix(p.photometric, "YBR") || p.allocated != 8 {
		return
	}
	a, b, c := r.Plane(0), r.Plane(1), r.Plane(2)
	for i := range a {
		red, green, blue := chroma.RGB(uint8(a[i]), uint8(b[i]), uint8(c[i]))
		a[i], b[i], c[i] = float32(red), float32(green), float32(blue)
	}
}

// rle decodes PackBits of the bytes of samples, a segment for each byte of each sample, the highest byte first (PS3.5 G).
func (p *picture) rle(frame []byte, r *raster.Raster) error {
	const headLen = 64
	if len(frame) < headLen {
		return errors.New("it ends in its header")
	}
	size, pixels := p.allocated/8, p.Height*p.Width
	if size == 0 || int(binary.LittleEndian.Uint32(frame)) != size*p.samples || size*p.samples > 15 {
		return fmt.Errorf("%d segments: expected %d bytes of %d samples", binary.LittleEndian.Uint32(frame), size, p.samples)
	}
	b := make([]byte, size*pixels) // a sample's bytes, the highest first
	for c := range p.samples {
		for k := range size {
			i := c*size + k
			from, to := int64(binary.LittleEndian.Uint32(frame[4+4*i:])), int64(len(frame))
			if i+1 < size*p.samples {
				to = int64(binary.LittleEndian.Uint32(frame[8+4*i:]))
			}
			if from < headLen || from > to || to > int64(len(frame)) {
				return fmt.Errorf("segment %d from byte %d to %d: it has %d", i, from, to, len(frame))
			}
			if n := unpackBits(b[k:], frame[from:to], size); n < pixels {
				return fmt.Errorf("segment %d ends after %d of %d bytes", i, n, pixels)
			}
		}
		p.values(r.Plane(c), b, size, binary.BigEndian)
	}
	p.toRGB(r)
	return nil
}

// unpackBits decodes runs into every step-th byte, and returns how many it wrote.
func unpackBits(dst, src []byte, step int) int {
	n, most := 0, (len(dst)+step-1)/step
	for n < most && len(src) > 1 {
		head := int(int8(src[0]))
		src = src[1:]
		switch {
		case head >= 0:
			k := min(head+1, len(src))
			for _, v := range src[:min(k, most-n)] {
				dst[n*step] = v
				n++
			}
			src = src[k:]
		case head > -128:
			for k := 0; k < 1-head && n < most; k++ {
				dst[n*step] = src[0]
				n++
			}
			src = src[1:]
		}
	}
	return n
}

// jpeg decodes by the standard library, which reads 8 bits.
func (p *picture) jpeg(frame []byte, r *raster.Raster) error {
	if p.stored != 8 {
		return fmt.Errorf("%d bits: only 8 are supported", p.stored)
	}
	stream, err := chroma.Stream(nil, frame, p.photometric != "RGB")
	if err != nil {
		return err
	}
	c, err := jpeg.DecodeConfig(bytes.NewReader(stream))
	if err != nil {
		return err
	}
	if c.Width != p.Width || c.Height != p.Height {
		return fmt.Errorf("it has %d×%d pixels: expected %d×%d", c.Width, c.Height, p.Width, p.Height)
	}
	m, err := jpeg.Decode(bytes.NewReader(stream))
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case *image.Gray:
		if p.samples == 1 {
			for y := range p.Height {
				for x, v := range m.Pix[y*m.Stride:][:p.Width] {
					r.Samples[y*p.Width+x] = float32(v)
				}
			}
			return nil
		}
	case *image.YCbCr:
		if p.samples == 3 {
			convert := chroma.New(m)
			var rows [3][]uint8
			for c := range rows {
				rows[c] = make([]uint8, p.Width)
			}
			for y := range p.Height {
				convert.Row(y, rows[0], rows[1], rows[2])
				for c, row := range rows {
					for x, v := range row {
						r.Plane(c)[y*p.Width+x] = float32(v)
					}
				}
			}
			return nil
		}
	case *image.RGBA:
		if p.samples == 3 {
			for c := range 3 {
				for y := range p.Height {
					for x := range p.Width {
						r.Plane(c)[y*p.Width+x] = float32(m.Pix[y*m.Stride+4*x+c])
					}
				}
			}
			return nil
		}
	}
	return fmt.Errorf("it has pixels of type %T: expected %d samples", m, p.samples)
}

// integers is a decoder of integers.
func integers(decode func([]byte, lossless.Size) (*lossless.Picture, error)) func(*picture, []byte, *raster.Raster) error {
	return func(p *picture, frame []byte, r *raster.Raster) error {
		m, err := decode(frame, lossless.Size{Width: p.Width, Height: p.Height, Components: p.samples})
		if err != nil {
			return err
		}
		if p.allocated < m.Bits {
			return fmt.Errorf("it has samples of %d bits: expected no more than the %d that are allocated", m.Bits, p.allocated)
		}
		for c := range p.samples {
			plane := r.Plane(c)
			for i := range plane {
				plane[i] = p.value(uint64(m.Samples[i*p.samples+c]))
			}
		}
		p.toRGB(r)
		return nil
	}
}

// jpeg2000 decodes a codestream, which turns YBR into RGB itself where it has mixed colours.
func (p *picture) jpeg2000(frame []byte, r *raster.Raster) error {
	m, err := j2k.Decode(frame, j2k.Size{Width: p.Width, Height: p.Height, Components: p.samples})
	if err != nil {
		return err
	}
	if p.allocated < m.Bits {
		return fmt.Errorf("it has samples of %d bits: expected no more than the %d that are allocated", m.Bits, p.allocated)
	}
	for c, samples := range m.Samples {
		plane := r.Plane(c)
		for i, v := range samples {
			plane[i] = p.value(uint64(v))
		}
	}
	if p.photometric == "YBR_FULL" {
		p.toRGB(r)
	}
	return nil
}
