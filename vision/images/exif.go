package images

import (
	"bytes"
	"encoding/binary"

	"github.com/gojepa/gojepa/vision/images/raster"
)

// orientation is what a JPEG's EXIF says on how to turn it, 1 to 8, or 1 where it says nothing sensible: broken
// metadata is no reason to refuse pixels.
func orientation(jpeg []byte) int {
	// Segments are a marker ff xx, then a length that counts itself. Pixels begin at SOS.
	for p := jpeg[2:]; len(p) >= 4 && p[0] == 0xff; {
		marker := p[1]
		if marker == 0xff { // fill
			p = p[1:]
			continue
		}
		const sos, app1 = 0xda, 0xe1
		n := int(binary.BigEndian.Uint16(p[2:]))
		if marker == sos || n < 2 || len(p) < 2+n {
			break
		}
		if body := p[4 : 2+n]; marker == app1 && bytes.HasPrefix(body, []byte("Exif\x00\x00")) {
			return tiffOrientation(body[6:])
		}
		p = p[2+n:]
	}
	return 1
}

// tiffOrientation looks for tag 0x112 in the first directory of a TIFF header.
func tiffOrientation(t []byte) int {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(t, []byte("II*\x00")):
		order = binary.LittleEndian
	case bytes.HasPrefix(t, []byte("MM\x00*")):
		order = binary.BigEndian
	default:
		return 1
	}
	if len(t) < 8 {
		return 1
	}
	at := uint64(order.Uint32(t[4:]))
	if at+2 > uint64(len(t)) {
		return 1
	}
	entries := t[at+2:]
	for i := range int(order.Uint16(t[at:])) {
		if len(entries) < 12*(i+1) {
			break
		}
		const tag, short = 0x112, 3
		e := entries[12*i:]
		if order.Uint16(e) == tag && order.Uint16(e[2:]) == short && order.Uint32(e[4:]) == 1 {
			if v := int(order.Uint16(e[8:])); v >= 1 && v <= 8 {
				return v
			}
		}
	}
	return 1
}

// orient turns and mirrors m as EXIF's orientation o asks, so that it is the right way up.
func orient(m *Image, o int) *Image {
	if o <= 1 || o > 8 {
		return m
	}
	out := &Image{Channels: m.Channels}
	if m.Deep() {
		out.Float, out.Height, out.Width = raster.Oriented(m.Float, m.Height, m.Width, o)
	} else {
		out.Pix, out.Height, out.Width = raster.Oriented(m.Pix, m.Height, m.Width, o)
	}
	return out
}
