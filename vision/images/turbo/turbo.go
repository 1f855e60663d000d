// Package turbo decodes JPEG files by libjpeg-turbo, where a machine has it. The library is opened when it is first asked
// for; nothing of it is needed to build.
package turbo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrUnsuited is wrapped by the errors of files that are left to another decoder: those that are no baseline or progressive
// JPEG of grey, RGB or YCbCr samples of 8 bits, or whose chroma is sampled in an unusual way.
var ErrUnsuited = errors.New("not for libjpeg-turbo")

// Frame is what a JPEG file's header says of its pixels.
type Frame struct {
	Width, Height int
	Components    int // 1 for grey, 3 for colours
}

// ReadFrame finds the frame of a JPEG file's bytes.
func ReadFrame(data []byte) (Frame, error) {
	if len(data) < 2 || data[0] != 0xff || data[1] != 0xd8 {
		return Frame{}, errors.New("not a JPEG file")
	}
	const (
		baseline, progressive = 0xc0, 0xc2 // and between them, extended
		huffman, extension    = 0xc4, 0xc8
		arithmetic            = 0xcc
		lastFrame, scan       = 0xcf, 0xda
	)
	// Segments are a marker ff xx, then a length that counts itself.
	for p := data[2:]; len(p) >= 4 && p[0] == 0xff; {
		marker := p[1]
		if marker == 0xff { // fill
			p = p[1:]
			continue
		}
		n := int(binary.BigEndian.Uint16(p[2:]))
		if marker == scan || n < 2 || len(p) < 2+n {
			break
		}
		if marker >= baseline && marker <= lastFrame && marker != huffman && marker != extension && marker != arithmetic {
			if n < 8 || n < 8+3*int(p[9]) {
				break
			}
			f := Frame{Height: int(binary.BigEndian.Uint16(p[5:])), Width: int(binary.BigEndian.Uint16(p[7:])), Components: int(p[9])}
			if bits, parts := p[4], p[9]; marker > progressive || bits != 8 || parts != 1 && parts != 3 || f.Width == 0 || f.Height == 0 {
				return f, fmt.Errorf("%w: frame of kind %#x, %d bits, %d components, %d×%d", ErrUnsuited, marker, bits, parts, f.Width, f.Height)
			}
			if f.Components == 3 && !usual(p[11], p[14], p[17]) {
				return f, fmt.Errorf("%w: components sampled as %x, %x and %x", ErrUnsuited, p[11], p[14], p[17])
			}
			return f, nil
		}
		p = p[2+n:]
	}
	return Frame{}, errors.New("no frame in the JPEG file")
}

// usual reports whether three components are sampled in a way that Go's image/jpeg knows too: chroma as often as luma, or half
// or a quarter as often, by the factors across and down, four bits each.
func usual(y, cb, cr uint8) bool {
	return cb == 0x11 && cr == 0x11 && bytes.IndexByte([]byte{0x11, 0x21, 0x12, 0x22, 0x41, 0x42}, y) >= 0
}

// Reduced is the size of a frame that is decoded at 1/by of its size, by being 1, 2, 4 or 8.
func (f Frame) Reduced(by int) Frame {
	return Frame{Width: (f.Width + by - 1) / by, Height: (f.Height + by - 1) / by, Components: f.Components}
}
