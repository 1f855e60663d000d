package j2k

import "fmt"

// mqState is a row of T.800 table C.2.
type mqState struct {
	qe       uint32
	mps, lps uint8
	flip     uint8
}

var mqStates = [47]mqState{
	{0x5601, 1, 1, 1}, {0x3401, 2, 6, 0}, {0x1801, 3, 9, 0}, {0x0ac1, 4, 12, 0}, {0x0521, 5, 29, 0}, {0x0221, 38, 33, 0},
	{0x5601, 7, 6, 1}, {0x5401, 8, 14, 0}, {0x4801, 9, 14, 0}, {0x3801, 10, 14, 0}, {0x3001, 11, 17, 0}, {0x2401, 12, 18, 0},
	{0x1c01, 13, 20, 0}, {0x1601, 29, 21, 0}, {0x5601, 15, 14, 1}, {0x5401, 16, 14, 0}, {0x5101, 17, 15, 0}, {0x4801, 18, 16, 0},
	{0x3801, 19, 17, 0}, {0x3401, 20, 18, 0}, {0x3001, 21, 19, 0}, {0x2801, 22, 19, 0}, {0x2401, 23, 20, 0}, {0x2201, 24, 21, 0},
	{0x1c01, 25, 22, 0}, {0x1801, 26, 23, 0}, {0x1601, 27, 24, 0}, {0x1401, 28, 25, 0}, {0x1201, 29, 26, 0}, {0x1101, 30, 27, 0},
	{0x0ac1, 31, 28, 0}, {0x09c1, 32, 29, 0}, {0x08a1, 33, 30, 0}, {0x0521, 34, 31, 0}, {0x0441, 35, 32, 0}, {0x02a1, 36, 33, 0},
	{0x0221, 37, 34, 0}, {0x0141, 38, 35, 0}, {0x0111, 39, 36, 0}, {0x0085, 40, 37, 0}, {0x0049, 41, 38, 0}, {0x0025, 42, 39, 0},
	{0x0015, 43, 40, 0}, {0x0009, 44, 41, 0}, {0x0005, 45, 42, 0}, {0x0001, 45, 43, 0}, {0x5601, 46, 46, 0},
}

// The contexts: 0 to 8 of significance, 9 to 13 of signs, 14 to 16 of refinement, and two more.
const (
	contextSign    = 9
	contextRefine  = 14
	contextRun     = 17
	contextUniform = 18
	contexts       = 19
)

// mq is the arithmetic decoder of T.800 annex C, and the reader of raw bits.
type mq struct {
	data  []byte
	at    int
	a, c  uint32
	ct    int
	state [contexts]uint8
	high  [contexts]uint8 // the more probable symbol
	raw   uint8
	left  int
}

func (m *mq) reset() {
	m.state, m.high = [contexts]uint8{}, [contexts]uint8{}
	m.state[0], m.state[contextRun], m.state[contextUniform] = 4, 3, 46
}

func (m *mq) byte(i int) uint32 {
	if i < len(m.data) {
		return uint32(m.data[i])
	}
	return 0xff
}

// start begins a codeword.
func (m *mq) start(data []byte, raw bool) {
	m.data, m.at, m.raw, m.left = data, 0, 0, 0
	if raw {
		return
	}
	m.c = m.byte(0) << 16
	m.next()
	m.c <<= 7
	m.ct -= 7
	m.a = 0x8000
}

func (m *mq) next() {
	if m.byte(m.at) == 0xff {
		if m.byte(m.at+1) > 0x8f {
			m.c += 0xff00
			m.ct = 8
			return
		}
		m.at++
		m.c += m.byte(m.at) << 9
		m.ct = 7
		return
	}
	m.at++
	m.c += m.byte(m.at) << 8
	m.ct = 8
}

func (m *mq) decode(context int) uint8 {
	s := &mqStates[m.state[context]]
	m.a -= s.qe
	bit := m.high[context]
	lps := false
	if m.c>>16 < s.qe {
		lps = m.a >= s.qe
		m.a = s.qe
	} else {
		m.c -= s.qe << 16
		if m.a&0x8000 != 0 {
			return bit
		}
		lps = m.a < s.qe
	}
	if lps {
		bit ^= 1
		m.high[context] ^= s.flip
		m.state[context] = s.lps
	} else {
		m.state[context] = s.mps
	}
	for {
		if m.ct == 0 {
			m.next()
		}
		m.a <<= 1
		m.c <<= 1
		m.ct--
		if m.a&0x8000 != 0 {
			return bit
		}
	}
}

// rawBit is a bit of a pass that is not coded; a byte behind ff has seven.
func (m *mq) rawBit() uint8 {
	if m.left == 0 {
		stuffed := m.raw == 0xff
		m.raw, m.left = uint8(m.byte(m.at)), 8
		m.at++
		if stuffed {
			m.left = 7
		}
	}
	m.left--
	return m.raw >> m.left & 1
}

// The flags of a coefficient.
const (
	significant = 1 << iota
	negative
	visited
	refined
)

// blockDecoder has the state of a block. Flags have a border of one; values are doubled, so that half of the last bit fits.
type blockDecoder struct {
	mq
	w, h, stride int
	flags, near  []uint8
	values       []int32
	contexts     *[128]uint8 // of significance
	causal       bool
}

// decode decodes a block's passes into the band.
func (b *band) decode(k *block) error {
	if k.passes == 0 {
		return nil
	}
	planes := b.planes - k.zeros
	if planes < 1 || k.passes > 3*planes-2 {
		return fmt.Errorf("%d passes of a block of %d bit planes", k.passes, planes)
	}
	w, h := k.width(), k.height()
	d := &blockDecoder{
		w: w, h: h, stride: w + 2, flags: make([]uint8, (w+2)*(h+2)), near: make([]uint8, (w+2)*(h+2)),
		values: make([]int32, w*h), contexts: &zeroContexts[b.kind], causal: b.style&styleCausal != 0,
	}
	d.reset()
	pass, plane, kind := 0, planes-1, 2 // a block begins with a clean-up
	for _, s := range k.segments {
		raw := b.style&styleBypass != 0 && pass >= 10 && kind != 2
		d.start(s.data, raw)
		for range s.passes {
			one := int32(2) << plane // values are doubled
			switch kind {
			case 0:
				d.significance(one, raw)
			case 1:
				d.refinement(one, raw)
			default:
				d.cleanUp(one)
				if b.style&styleSegments != 0 {
					for range 4 {
						d.decodeUniform()
					}
				}
			}
			if b.style&styleReset != 0 {
				d.reset()
			}
			pass++
			if kind++; kind == 3 {
				kind = 0
				plane--
			}
		}
	}
	for y := range h {
		at := (k.y0-b.y0+y)*b.width() + k.x0 - b.x0
		for x := range w {
			v := d.values[y*w+x]
			if d.flags[(y+1)*d.stride+x+1]&negative != 0 {
				v = -v
			}
			if b.reversible {
				b.ints[at+x] = v / 2
			} else {
				b.data[at+x] = float32(v) * 0.5 * b.step
			}
		}
	}
	return nil
}

func (d *blockDecoder) decodeUniform() uint8 { return d.mq.decode(contextUniform) }

// What near has for a coefficient: how many significant neighbours are beside it, above and below, and across corners. Where
// blocks are causal, those in the row below a stripe do not count.
const (
	nearBeside = 1 << 0 // 2 bits
	nearAbove  = 1 << 2 // 2 bits
	nearCorner = 1 << 4 // 3 bits
)

// zeroContexts are T.800 table D.1's contexts, by kind of band and what near has.
var zeroContexts = func() (all [4][128]uint8) {
	for kind := range all {
		for near := range all[kind] {
			all[kind][near] = zeroContext(kind, uint8(near&3), uint8(near>>2&3), uint8(near>>4))
		}
	}
	return all
}()

func zeroContext(kind int, h, v, c uint8) uint8 {
	if kind == 3 {
		hv := h + v
		switch {
		case c >= 3:
			return 8
		case c == 2:
			return 6 + min(hv, 1)
		case c == 1:
			return 3 + min(hv, 2)
		}
		return min(hv, 2)
	}
	if kind == 1 {
		h, v = v, h
	}
	switch {
	case h >= 2:
		return 8
	case h == 1 && v >= 1:
		return 7
	case h == 1:
		return 5 + min(c, 1)
	case v > 0:
		return 2 + v
	}
	return min(c, 2)
}

// sign decodes one (T.800 D.3.2).
func (d *blockDecoder) sign(at, y int, raw bool) uint8 {
	if raw {
		return d.rawBit()
	}
	of := func(i int) int {
		f := d.flags[i]
		return int(f&significant) * (1 - int(f&negative))
	}
	h := min(max(of(at-1)+of(at+1), -1), 1)
	v := of(at - d.stride)
	if !d.causal || y%4 != 3 {
		v += of(at + d.stride)
	}
	v = min(max(v, -1), 1)
	flip := uint8(0)
	if h < 0 || h == 0 && v < 0 {
		h, v, flip = -h, -v, 1
	}
	context := contextSign + 3*h + v // (1, -1) 11, (1, 0) 12, (1, 1) 13, (0, 0) 9, (0, 1) 10
	return d.mq.decode(context) ^ flip
}

// found makes a coefficient significant.
func (d *blockDecoder) found(at, x, y int, one int32, raw bool) {
	s := d.sign(at, y, raw)
	d.flags[at] |= significant | s<<1
	d.values[y*d.w+x] = one | one>>1
	n, row := d.near, d.stride
	n[at-1] += nearBeside
	n[at+1] += nearBeside
	n[at+row] += nearAbove
	n[at+row-1] += nearCorner
	n[at+row+1] += nearCorner
	if !d.causal || y%4 != 0 {
		n[at-row] += nearAbove
		n[at-row-1] += nearCorner
		n[at-row+1] += nearCorner
	}
}

func (d *blockDecoder) significance(one int32, raw bool) {
	for y0 := 0; y0 < d.h; y0 += 4 {
		for x := range d.w {
			for y := y0; y < min(y0+4, d.h); y++ {
				at := (y+1)*d.stride + x + 1
				near := d.near[at]
				if near == 0 || d.flags[at]&significant != 0 {
					continue
				}
				var bit uint8
				if raw {
					bit = d.rawBit()
				} else {
					bit = d.mq.decode(int(d.contexts[near&127]))
				}
				if bit == 1 {
					d.found(at, x, y, one, raw)
				}
				d.flags[at] |= visited
			}
		}
	}
}

func (d *blockDecoder) refinement(one int32, raw bool) {
	for y0 := 0; y0 < d.h; y0 += 4 {
		for x := range d.w {
			for y := y0; y < min(y0+4, d.h); y++ {
				at := (y+1)*d.stride + x + 1
				if d.flags[at]&(significant|visited) != significant {
					continue
				}
				var bit uint8
				if raw {
					bit = d.rawBit()
				} else {
					context := contextRefine + 2
					if d.flags[at]&refined == 0 {
						context = contextRefine
						if d.near[at] > 0 {
							context++
						}
					}
					bit = d.mq.decode(context)
				}
				if bit == 1 {
					d.values[y*d.w+x] += one >> 1
				} else {
					d.values[y*d.w+x] -= one >> 1
				}
				d.flags[at] |= refined
			}
		}
	}
}

func (d *blockDecoder) cleanUp(one int32) {
	for y0 := 0; y0 < d.h; y0 += 4 {
		for x := range d.w {
			y, first := y0, false // whether the coefficient is known to be significant
			if y0+4 <= d.h && d.quiet(x, y0) {
				if d.mq.decode(contextRun) == 0 {
					continue
				}
				y += int(d.decodeUniform()<<1 | d.decodeUniform())
				first = true
			}
			for ; y < min(y0+4, d.h); y++ {
				at := (y+1)*d.stride + x + 1
				if d.flags[at]&(significant|visited) == 0 && (first || d.mq.decode(int(d.contexts[d.near[at]&127])) == 1) {
					d.found(at, x, y, one, false)
				}
				first = false
			}
		}
	}
	for i := range d.flags {
		d.flags[i] &^= visited
	}
}

// quiet reports whether nothing is known of a column of four and of its neighbours.
func (d *blockDecoder) quiet(x, y0 int) bool {
	at, row := (y0+1)*d.stride+x+1, d.stride
	n, f := d.near, d.flags
	return n[at]|n[at+row]|n[at+2*row]|n[at+3*row]|(f[at]|f[at+row]|f[at+2*row]|f[at+3*row])&(significant|visited) == 0
}
