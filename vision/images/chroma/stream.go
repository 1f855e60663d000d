package chroma

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Stream makes a JPEG stream that image/jpeg reads of an abbreviated one, its first argument, whose tables may be nil, and
// of the one that has the pixels. Whether three components are YCbCr or RGB, the caller knows: where JPEG is a part of TIFF or
// DICOM, that file says it, and what the stream says does not count.
func Stream(tables, src []byte, ycbcr bool) ([]byte, error) {
	const soi = "\xff\xd8"
	if !bytes.HasPrefix(src, []byte(soi)) {
		return nil, fmt.Errorf("it begins with %x", src[:min(2, len(src))])
	}
	transform := byte(0)
	if ycbcr {
		transform = 1
	}
	out := append([]byte(soi), 0xff, 0xee, 0, 14, 'A', 'd', 'o', 'b', 'e', 0, 100, 0, 0, 0, 0, transform)
	for _, part := range [][]byte{tables, src} {
		if len(part) < 2 {
			continue
		}
		part = part[2:]
		for {
			const eoi, sos, app14 = 0xd9, 0xda, 0xee
			if len(part) < 2 || part[0] != 0xff {
				return nil, errors.New("its segments are broken")
			}
			if part[1] == 0xff { // fill
				part = part[1:]
				continue
			}
			if part[1] == eoi {
				break
			}
			if len(part) < 4 {
				return nil, errors.New("its segments are broken")
			}
			n := 2 + int(binary.BigEndian.Uint16(part[2:]))
			if n > len(part) {
				return nil, errors.New("its segments are broken")
			}
			if part[1] == sos {
				return append(out, part...), nil
			}
			if part[1] != app14 {
				out = append(out, part[:n]...)
			}
			part = part[n:]
		}
	}
	return nil, errors.New("it has no pixels")
}
