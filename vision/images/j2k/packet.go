package j2k

import (
	"errors"
	"math/bits"
)

// tagTree codes a grid of numbers: each node has the least of the four below it (T.800 B.10.2).
type tagTree struct {
	widths []int // of levels, the leaves first
	nodes  [][]tagNode
}

type tagNode struct {
	low   int // it is no less than this
	known bool
}

func newTagTree(w, h int) *tagTree {
	t := &tagTree{}
	for {
		t.widths = append(t.widths, w)
		t.nodes = append(t.nodes, make([]tagNode, w*h))
		if w == 1 && h == 1 {
			return t
		}
		w, h = (w+1)/2, (h+1)/2
	}
}

// below reports whether the number at (x, y) is below a limit, and reads what is needed to know. If so, value is the number.
func (t *tagTree) below(r *packetReader, x, y, limit int) (value int, ok bool) {
	low := 0
	for level := len(t.nodes) - 1; level >= 0; level-- {
		n := &t.nodes[level][(y>>level)*t.widths[level]+x>>level]
		n.low = max(n.low, low)
		for !n.known && n.low < limit {
			if r.bit() == 1 {
				n.known = true
			} else {
				n.low++
			}
		}
		if low = n.low; !n.known {
			return 0, false
		}
	}
	return low, low < limit
}

// packetReader reads packets: a header of bits, in which a byte behind ff has seven, then the blocks' bytes.
type packetReader struct {
	data     []byte
	at       int
	sop, eph bool
	buf      byte
	left     int
	stuffed  bool
	over     bool
}

func (r *packetReader) bit() int {
	if r.left == 0 {
		if r.at >= len(r.data) {
			r.over = true
			return 1
		}
		r.stuffed = r.buf == 0xff
		r.buf, r.left = r.data[r.at], 8
		r.at++
		if r.stuffed {
			r.left = 7
		}
	}
	r.left--
	return int(r.buf>>r.left) & 1
}

func (r *packetReader) bits(n int) int {
	v := 0
	for range n {
		v = v<<1 | r.bit()
	}
	return v
}

// align ends a header. A last byte of ff has one behind it.
func (r *packetReader) align() {
	if r.buf == 0xff {
		r.at++
	}
	r.buf, r.left = 0, 0
}

var errPacket = errors.New("the data end in a packet")

// packet reads one layer of a precinct.
func (r *packetReader) packet(p *precinct, layer int) error {
	if r.sop && len(r.data)-r.at >= 6 && r.data[r.at] == markSOP>>8 && r.data[r.at+1] == markSOP&0xff {
		r.at += 6
	}
	if r.at >= len(r.data) {
		return errPacket
	}
	type share struct {
		b       *block
		segment int
		n       int
	}
	var shares []share
	if r.bit() == 1 {
		for _, part := range p.parts {
			for i, b := range part.blocks {
				x, y := i%part.across, i/part.across
				if b.seen {
					if r.bit() == 0 {
						continue
					}
				} else {
					if _, ok := part.included.below(r, x, y, layer+1); !ok {
						continue
					}
					b.seen = true
					for limit := 1; ; limit++ {
						if v, ok := part.msb.below(r, x, y, limit); ok {
							b.zeros = v
							break
						}
						if limit > 64 || r.over {
							return errPacket
						}
					}
				}
				n := r.passes()
				for r.bit() == 1 {
					if b.lblock++; b.lblock > 31 || r.over {
						return errPacket
					}
				}
				for n > 0 {
					last := len(b.segments) - 1
					if last < 0 || b.segments[last].passes == b.segments[last].most {
						b.segments = append(b.segments, segment{most: passesOf(part.b.style, b.passes)})
						last++
					}
					s := &b.segments[last]
					k := min(n, s.most-s.passes)
					shares = append(shares, share{b, last, r.bits(b.lblock + bits.Len(uint(k)) - 1)})
					s.passes += k
					b.passes += k
					n -= k
				}
				if r.over || b.passes > 3*32 {
					return errPacket
				}
			}
		}
	}
	r.align()
	if r.eph && len(r.data)-r.at >= 2 && r.data[r.at] == markEPH>>8 && r.data[r.at+1] == markEPH&0xff {
		r.at += 2
	}
	for _, s := range shares {
		if s.n > len(r.data)-r.at {
			return errPacket
		}
		to := &s.b.segments[s.segment]
		to.data = append(to.data, r.data[r.at:r.at+s.n]...)
		r.at += s.n
	}
	return nil
}

// The styles of code-blocks.
const (
	styleBypass   = 1
	styleReset    = 2
	styleTermAll  = 4
	styleCausal   = 8
	styleSegments = 32
)

// passesOf is how many passes the codeword that begins with a given pass may have.
func passesOf(style byte, pass int) int {
	switch {
	case style&styleTermAll != 0:
		return 1
	case style&styleBypass == 0:
		return 1 << 30
	case pass < 10:
		return 10 - pass
	case (pass-10)%3 == 0: // two raw passes
		return 2
	}
	return 1
}

// passes is a number of passes (T.800 table B.4).
func (r *packetReader) passes() int {
	if r.bit() == 0 {
		return 1
	}
	if r.bit() == 0 {
		return 2
	}
	if v := r.bits(2); v < 3 {
		return 3 + v
	}
	if v := r.bits(5); v < 31 {
		return 6 + v
	}
	return 37 + r.bits(7)
}
