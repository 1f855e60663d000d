// Package j2k decodes JPEG 2000 codestreams (ITU-T T.800, part 1), as DICOM files have them: reversible and irreversible, tiles,
// layers, precincts and all five progressions. Progression changes, packed packet headers, regions of interest, subsampled
// components and high-throughput blocks are refused by name.
//
// (github.com/mrjoshuak/go-jpeg2000 v1.3.0 decodes none of pydicom's files right; the other Go decoders need a newer Go than this
// module, or C.)
package j2k

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Size is what the file around a codestream says of it.
type Size struct{ Width, Height, Components int }

// Picture is a decoded codestream. Components have the same size.
type Picture struct {
	Size
	Bits    int
	Signed  bool
	Samples [][]int32 // of each component, row after row
}

// The markers that mean something here.
const (
	markSOC = 0xff4f
	markCAP = 0xff50
	markSIZ = 0xff51
	markCOD = 0xff52
	markCOC = 0xff53
	markQCD = 0xff5c
	markQCC = 0xff5d
	markRGN = 0xff5e
	markPOC = 0xff5f
	markPPM = 0xff60
	markPPT = 0xff61
	markSOT = 0xff90
	markSOP = 0xff91
	markEPH = 0xff92
	markSOD = 0xff93
	markEOC = 0xffd9
)

// refused are markers whose meaning is not supported.
var refused = map[int]string{
	markCAP: "high-throughput or part 2 capabilities", markRGN: "regions of interest", markPOC: "progression changes",
	markPPM: "packed packet headers", markPPT: "packed packet headers",
}

// coding is how a component is coded (COD and COC).
type coding struct {
	levels         int
	blockW, blockH int // log2
	style          byte
	reversible     bool
	precincts      []byte // log2 of width and height by resolution; nil for the largest
}

// quantizer is how a component is quantised (QCD and QCC).
type quantizer struct {
	style, guard int
	steps        []uint16
}

// params are those of the whole codestream or of a tile.
type params struct {
	sop, eph      bool
	progression   int
	layers        int
	mct           bool
	code          []coding // by component
	quant         []quantizer
	codeSet, qSet []bool // by COC and QCC, which go before COD and QCD
}

func (p params) clone() params {
	p.code = append([]coding(nil), p.code...)
	p.quant = append([]quantizer(nil), p.quant...)
	// What a tile's COD says goes before the main header's COC.
	p.codeSet, p.qSet = make([]bool, len(p.code)), make([]bool, len(p.code))
	return p
}

// decoder has what the main header says.
type decoder struct {
	size                       Size
	x0, y0, x1, y1             int // of the image, on the reference grid
	tileW, tileH, tileX, tileY int
	bits                       []int
	signed                     []bool
	main                       params
	tiles                      map[int]*tile
	out                        *Picture
}

// tile collects the parts of a tile.
type tile struct {
	params
	data []byte
}

// Decode reads a codestream, which may lie in a JP2 file.
func Decode(data []byte, want Size) (*Picture, error) {
	at := bytes.Index(data, []byte{0xff, 0x4f, 0xff, 0x51})
	if at < 0 {
		return nil, fmt.Errorf("it begins with %x, and no codestream is in it", data[:min(len(data), 4)])
	}
	d := &decoder{size: want, tiles: map[int]*tile{}}
	if err := d.parse(data[at+2:]); err != nil {
		return nil, err
	}
	d.out = &Picture{Size: want, Bits: d.bits[0], Signed: d.signed[0]}
	for range want.Components {
		d.out.Samples = append(d.out.Samples, make([]int32, want.Width*want.Height))
	}
	across := (d.x1 - d.tileX + d.tileW - 1) / d.tileW
	down := (d.y1 - d.tileY + d.tileH - 1) / d.tileH
	for i := range across * down {
		t := d.tiles[i]
		if t == nil {
			return nil, fmt.Errorf("tile %d of %d is missing", i, across*down)
		}
		x0, y0 := d.tileX+i%across*d.tileW, d.tileY+i/across*d.tileH
		a := area{max(x0, d.x0), max(y0, d.y0), min(x0+d.tileW, d.x1), min(y0+d.tileH, d.y1)}
		if err := d.decodeTile(t, a); err != nil {
			return nil, fmt.Errorf("tile %d of %d: %w", i, across*down, err)
		}
	}
	return d.out, nil
}

var errEnd = errors.New("the codestream ends in its header")

// parse reads the main header and the tiles' parts.
func (d *decoder) parse(b []byte) error {
	current, header := &d.main, true
	var t *tile
	partEnd := 0 // of the current tile's part, in b; 0 for the end of the data
	for at := 0; ; {
		if len(b)-at < 2 {
			if t != nil && !header {
				return nil // without an end marker
			}
			return errEnd
		}
		marker := int(binary.BigEndian.Uint16(b[at:]))
		at += 2
		if marker == markEOC {
			return nil
		}
		if marker == markSOD {
			if t == nil {
				return errors.New("data before the first tile")
			}
			end := partEnd
			if end == 0 {
				end = len(b)
				if bytes.HasSuffix(b, []byte{0xff, 0xd9}) {
					end -= 2
				}
			}
			if end < at || end > len(b) {
				return fmt.Errorf("a tile's part ends at byte %d: the codestream has %d", end, len(b))
			}
			t.data = append(t.data, b[at:end]...)
			at, header = end, false
			continue
		}
		if len(b)-at < 2 {
			return errEnd
		}
		n := int(binary.BigEndian.Uint16(b[at:]))
		if n < 2 || len(b)-at < n {
			return errEnd
		}
		s := b[at+2 : at+n]
		if name, no := refused[marker]; no {
			return fmt.Errorf("%s are not supported", name)
		}
		if d.bits == nil && marker != markSIZ {
			return errors.New("the size is not the first segment")
		}
		var err error
		switch marker {
		case markSIZ:
			err = d.readSize(s)
		case markCOD:
			err = current.readCoding(s)
		case markCOC:
			err = current.readComponentCoding(s)
		case markQCD:
			err = current.readQuantizer(s)
		case markQCC:
			err = current.readComponentQuantizer(s)
		case markSOT:
			if len(s) < 8 {
				return errEnd
			}
			index, size := int(binary.BigEndian.Uint16(s)), int(binary.BigEndian.Uint32(s[2:]))
			if partEnd = 0; size > 0 {
				partEnd = at - 2 + size
			}
			if t = d.tiles[index]; t == nil {
				t = &tile{params: d.main.clone()}
				d.tiles[index] = t
			}
			current, header = &t.params, true
		}
		if err != nil {
			return err
		}
		at += n
	}
}

func (d *decoder) readSize(s []byte) error {
	if len(s) < 36 || len(s) < 36+3*int(binary.BigEndian.Uint16(s[34:])) || d.bits != nil {
		return errEnd
	}
	var v [8]int
	for i := range v {
		u := binary.BigEndian.Uint32(s[2+4*i:])
		if u > math.MaxInt32 {
			return fmt.Errorf("a size of %d", u)
		}
		v[i] = int(u)
	}
	d.x1, d.y1, d.x0, d.y0, d.tileW, d.tileH, d.tileX, d.tileY = v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]
	n := int(binary.BigEndian.Uint16(s[34:]))
	if got := (Size{d.x1 - d.x0, d.y1 - d.y0, n}); got != d.size {
		return fmt.Errorf("%d×%d pixels of %d components, expected %d×%d of %d",
			got.Width, got.Height, n, d.size.Width, d.size.Height, d.size.Components)
	}
	if d.tileW < 1 || d.tileH < 1 || d.tileX > d.x0 || d.tileY > d.y0 || d.tileX+d.tileW <= d.x0 || d.tileY+d.tileH <= d.y0 {
		return errors.New("tiles that do not begin with the image")
	}
	if across, down := (d.x1-d.tileX)/d.tileW+1, (d.y1-d.tileY)/d.tileH+1; across > 65535/down {
		return fmt.Errorf("%d×%d tiles: more than there can be", across, down)
	}
	for c := range n {
		p := s[36+3*c:]
		if p[1] != 1 || p[2] != 1 {
			return errors.New("subsampled components are not supported")
		}
		d.bits, d.signed = append(d.bits, int(p[0]&0x7f)+1), append(d.signed, p[0]&0x80 != 0)
		if d.bits[c] != d.bits[0] || d.signed[c] != d.signed[0] || d.bits[c] > 24 {
			return fmt.Errorf("component %d of %d bits: expected up to 24 bits and the same of all", c, d.bits[c])
		}
	}
	d.main.code, d.main.quant = make([]coding, n), make([]quantizer, n)
	d.main.codeSet, d.main.qSet = make([]bool, n), make([]bool, n)
	return nil
}

func (p *params) readCoding(s []byte) error {
	if len(s) < 5 {
		return errEnd
	}
	p.sop, p.eph = s[0]&2 != 0, s[0]&4 != 0
	p.progression, p.layers, p.mct = int(s[1]), int(binary.BigEndian.Uint16(s[2:])), s[4] == 1
	if p.progression > 4 || p.layers < 1 || s[4] > 1 {
		return fmt.Errorf("progression %d, %d layers, component transform %d: no such coding", p.progression, p.layers, s[4])
	}
	c, err := readCoding(s[5:], s[0]&1 != 0)
	for i := range p.code {
		if !p.codeSet[i] {
			p.code[i] = c
		}
	}
	return err
}

func readCoding(s []byte, precincts bool) (c coding, err error) {
	if len(s) < 5 {
		return c, errEnd
	}
	c = coding{levels: int(s[0]), blockW: int(s[1]&15) + 2, blockH: int(s[2]&15) + 2, style: s[3], reversible: s[4] == 1}
	switch {
	case c.levels > 32 || c.blockW > 10 || c.blockH > 10 || c.blockW+c.blockH > 12 || s[4] > 1:
		return c, fmt.Errorf("%d levels, blocks of 2^%d×2^%d, transform %d: no such coding", c.levels, c.blockW, c.blockH, s[4])
	case c.style&0x40 != 0:
		return c, errors.New("high-throughput blocks are not supported")
	}
	if precincts {
		if c.precincts = s[5:]; len(c.precincts) <= c.levels {
			return c, errEnd
		}
	}
	return c, nil
}

// component takes a component's index from the front of a segment.
func (p *params) component(s []byte) (int, []byte, error) {
	n := 1
	if len(p.code) > 256 {
		n = 2
	}
	if len(s) < n {
		return 0, nil, errEnd
	}
	c := int(s[0])
	if n == 2 {
		c = int(binary.BigEndian.Uint16(s))
	}
	if c >= len(p.code) {
		return 0, nil, fmt.Errorf("component %d of %d", c, len(p.code))
	}
	return c, s[n:], nil
}

func (p *params) readComponentCoding(s []byte) error {
	i, s, err := p.component(s)
	if err != nil {
		return err
	}
	if len(s) < 1 {
		return errEnd
	}
	p.code[i], err = readCoding(s[1:], s[0]&1 != 0)
	p.codeSet[i] = true
	return err
}

func (p *params) readQuantizer(s []byte) error {
	q, err := readQuantizer(s)
	for i := range p.quant {
		if !p.qSet[i] {
			p.quant[i] = q
		}
	}
	return err
}

func (p *params) readComponentQuantizer(s []byte) error {
	i, s, err := p.component(s)
	if err != nil {
		return err
	}
	p.quant[i], err = readQuantizer(s)
	p.qSet[i] = true
	return err
}

func readQuantizer(s []byte) (q quantizer, err error) {
	if len(s) < 1 || s[0]&31 > 2 {
		return q, errors.New("a broken quantisation segment")
	}
	q.style, q.guard = int(s[0]&31), int(s[0]>>5)
	for s = s[1:]; len(s) > 0; {
		if q.style == 0 {
			q.steps, s = append(q.steps, uint16(s[0]>>3)<<11), s[1:]
			continue
		}
		if len(s) < 2 {
			return q, errors.New("a broken quantisation segment")
		}
		q.steps, s = append(q.steps, binary.BigEndian.Uint16(s)), s[2:]
	}
	return q, nil
}

// step is the exponent and mantissa of band i of a component: LL, then HL, LH, HH of each resolution.
func (q quantizer) step(i int) (exponent, mantissa int, err error) {
	if q.style == 1 && len(q.steps) > 0 { // derived from LL's
		return int(q.steps[0]>>11) - max(0, (i-1)/3), int(q.steps[0] & 0x7ff), nil
	}
	if i >= len(q.steps) {
		return 0, 0, fmt.Errorf("%d bands are quantised, expected more", len(q.steps))
	}
	return int(q.steps[i] >> 11), int(q.steps[i] & 0x7ff), nil
}
