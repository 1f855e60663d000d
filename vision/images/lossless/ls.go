package lossless

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// LS decodes JPEG-LS, lossless and near-lossless, of any interleaving.
func LS(data []byte, want Size) (*Picture, error) { return decode(data, want, markSOF55, lsScan) }

func (f *frame) readPresets(b []byte) error {
	if len(b) < 11 || b[0] != 1 {
		return errors.New("an LSE segment of other than presets is not supported")
	}
	f.presets = nil
	for i := range 5 {
		f.presets = append(f.presets, int(binary.BigEndian.Uint16(b[1+2*i:])))
	}
	return nil
}

// context has the statistics of a kind of neighbourhood: T.87's A, B, C and N.
type context struct{ a, b, c, n int }

// runContext is that of what ends a run: A, N and Nn.
type runContext struct{ a, n, negative int }

// ls is the state of a scan.
type ls struct {
	bits                     lsBits
	near, maxval, span, qbpp int // span is RANGE
	limit, t1, t2, t3, reset int
	contexts                 [365]context
	runs                     [2]runContext
	run                      int // RUNindex
}

// runLengths are T.87's J.
var runLengths = [32]int{0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15}

func clampTo(v, low, high int) int {
	if v > high || v < low {
		return low
	}
	return v
}

func newLS(f *frame, near int, data []byte) (*ls, error) {
	s := &ls{bits: lsBits{data: data}, near: near, maxval: 1<<f.Bits - 1, reset: 64}
	p := f.presets
	if p == nil {
		p = make([]int, 5)
	}
	if p[0] > 0 {
		if p[0] > s.maxval {
			return nil, fmt.Errorf("largest sample %d of %d bits", p[0], f.Bits)
		}
		s.maxval = p[0]
	}
	if near > min(255, s.maxval/2) {
		return nil, fmt.Errorf("near-lossless by %d of %d", near, s.maxval)
	}
	m := s.maxval
	if m >= 128 {
		k := (min(m, 4095) + 128) / 256
		s.t1 = clampTo(k+2+3*near, near+1, m)
		s.t2 = clampTo(4*k+3+5*near, s.t1, m)
		s.t3 = clampTo(17*k+4+7*near, s.t2, m)
	} else {
		k := 256 / (m + 1)
		s.t1 = clampTo(max(2, 3/k+3*near), near+1, m)
		s.t2 = clampTo(max(3, 7/k+5*near), s.t1, m)
		s.t3 = clampTo(max(4, 21/k+7*near), s.t2, m)
	}
	for i, to := range []*int{&s.t1, &s.t2, &s.t3, &s.reset} {
		if p[1+i] > 0 {
			*to = p[1+i]
		}
	}
	if s.t1 <= near || s.t1 > s.t2 || s.t2 > s.t3 || s.t3 > m || s.reset < 3 || s.reset > max(255, m) {
		return nil, fmt.Errorf("thresholds %d, %d, %d and reset at %d: no such presets", s.t1, s.t2, s.t3, s.reset)
	}
	s.span = (m+2*near)/(2*near+1) + 1
	s.qbpp = bits.Len(uint(s.span - 1))
	bpp := max(2, bits.Len(uint(m)))
	s.limit = 2 * (bpp + max(8, bpp))
	a := max(2, (s.span+32)/64)
	for i := range s.contexts {
		s.contexts[i] = context{a: a, n: 1}
	}
	s.runs = [2]runContext{{a: a, n: 1}, {a: a, n: 1}}
	return s, nil
}

func lsScan(f *frame, h scanHeader, data []byte) (int, error) {
	near, interleaved, shift := h.a, h.b, h.c&15
	if f.restart != 0 || shift != 0 {
		return 0, errors.New("JPEG-LS with restarts or a point transform is not supported")
	}
	if interleaved > 2 || (interleaved == 0) != (len(h.components) == 1) {
		if len(h.components) != 1 {
			return 0, fmt.Errorf("interleaving %d of %d components", interleaved, len(h.components))
		}
		interleaved = 0
	}
	s, err := newLS(f, near, data)
	if err != nil {
		return 0, err
	}
	n, w := len(h.components), f.Width
	// Lines with a sample before and behind, for each component.
	above, line := make([][]int, n), make([][]int, n)
	for c := range n {
		above[c], line[c] = make([]int, w+2), make([]int, w+2)
	}
	runs := make([]int, n)
	for y := range f.Height {
		for c := range n {
			above[c][w+1] = above[c][w]
			line[c][0] = above[c][1]
		}
		if interleaved == 2 {
			s.pixels(above, line, w)
		} else {
			for c := range n {
				s.run = runs[c]
				s.line(above[c], line[c], w)
				runs[c] = s.run
			}
		}
		if s.bits.over > 0 {
			return 0, fmt.Errorf("the stream ends in row %d of %d", y, f.Height)
		}
		for i, c := range h.components {
			for x := range w {
				f.Samples[(y*w+x)*f.Components+c] = uint16(line[i][x+1])
			}
		}
		above, line = line, above
	}
	return s.bits.at, nil
}

// line decodes a line of one component.
func (s *ls) line(above, line []int, w int) {
	for x := 1; x <= w; {
		a, b, c, d := line[x-1], above[x], above[x-1], above[x+1]
		if !s.flat(d-b, b-c, c-a) {
			line[x] = s.regular(a, b, c, d)
			x++
			continue
		}
		n, ended := s.runLength(w - x + 1)
		for range n {
			line[x] = a
			x++
		}
		if !ended {
			line[x] = s.interruption(a, above[x])
			s.run = max(0, s.run-1)
			x++
		}
	}
}

// pixels decodes a line of pixels of several components.
func (s *ls) pixels(above, line [][]int, w int) {
	for x := 1; x <= w; {
		flat := true
		for c := range line {
			flat = flat && s.flat(above[c][x+1]-above[c][x], above[c][x]-above[c][x-1], above[c][x-1]-line[c][x-1])
		}
		if !flat {
			for c := range line {
				line[c][x] = s.regular(line[c][x-1], above[c][x], above[c][x-1], above[c][x+1])
			}
			x++
			continue
		}
		n, ended := s.runLength(w - x + 1)
		for range n {
			for c := range line {
				line[c][x] = line[c][x-1]
			}
			x++
		}
		if !ended {
			for c := range line {
				a, b := line[c][x-1], above[c][x]
				e := s.runError(&s.runs[0], 0)
				if a > b {
					e = -e
				}
				line[c][x] = s.reconstruct(b, e)
			}
			s.run = max(0, s.run-1)
			x++
		}
	}
}

func (s *ls) flat(d1, d2, d3 int) bool {
	n := s.near
	return d1 >= -n && d1 <= n && d2 >= -n && d2 <= n && d3 >= -n && d3 <= n
}

// quantize is T.87 A.3.3.
func (s *ls) quantize(d int) int {
	sign := 1
	if d < 0 {
		d, sign = -d, -1
	}
	switch {
	case d <= s.near:
		return 0
	case d < s.t1:
		return sign
	case d < s.t2:
		return 2 * sign
	case d < s.t3:
		return 3 * sign
	}
	return 4 * sign
}

// regular decodes a sample whose neighbourhood is not flat (T.87 A.4 to A.6).
func (s *ls) regular(a, b, c, d int) int {
	q := (s.quantize(d-b)*9+s.quantize(b-c))*9 + s.quantize(c-a)
	sign := 1
	if q < 0 {
		q, sign = -q, -1
	}
	k := &s.contexts[q]
	px := a + b - c
	switch {
	case c >= max(a, b):
		px = min(a, b)
	case c <= min(a, b):
		px = max(a, b)
	}
	px = min(max(px+sign*k.c, 0), s.maxval)
	golomb := 0
	for k.n<<golomb < k.a && golomb < 24 {
		golomb++
	}
	m := s.bits.golomb(golomb, s.limit, s.qbpp)
	e := m >> 1
	if m&1 == 1 {
		e = -(m + 1) >> 1
	}
	if s.near == 0 && golomb == 0 && 2*k.b <= -k.n {
		e = -e - 1
	}
	k.b += e * (2*s.near + 1)
	k.a += max(e, -e)
	if k.n == s.reset {
		k.a, k.b, k.n = k.a>>1, k.b>>1, k.n>>1
	}
	k.n++
	if k.b <= -k.n {
		k.b = max(k.b+k.n, 1-k.n)
		k.c = max(k.c-1, -128)
	} else if k.b > 0 {
		k.b = min(k.b-k.n, 0)
		k.c = min(k.c+1, 127)
	}
	return s.reconstruct(px, sign*e)
}

// reconstruct adds an error to a prediction, modulo the range.
func (s *ls) reconstruct(px, e int) int {
	step := 2*s.near + 1
	v := px + e*step
	if v < -s.near {
		v += s.span * step
	} else if v > s.maxval+s.near {
		v -= s.span * step
	}
	return min(max(v, 0), s.maxval)
}

// runLength decodes how many samples equal the one before, of at most so many, and whether they go to the end of the line.
func (s *ls) runLength(most int) (n int, ended bool) {
	for s.bits.bit() == 1 {
		j := 1 << runLengths[s.run]
		if n+j <= most {
			n += j
			s.run = min(31, s.run+1)
		} else {
			n = most
		}
		if n == most {
			return n, true
		}
	}
	n += s.bits.read(runLengths[s.run])
	if n >= most { // only of a broken stream: a run that does not end the line is shorter
		s.bits.over++
		return most, true
	}
	return n, false
}

// interruption decodes the sample that ends a run (T.87 A.7.2).
func (s *ls) interruption(a, b int) int {
	if d := a - b; d >= -s.near && d <= s.near {
		return s.reconstruct(a, s.runError(&s.runs[1], 1))
	}
	e := s.runError(&s.runs[0], 0)
	if a > b {
		e = -e
	}
	return s.reconstruct(b, e)
}

func (s *ls) runError(k *runContext, kind int) int {
	t := k.a + kind*(k.n>>1)
	golomb := 0
	for k.n<<golomb < t && golomb < 24 {
		golomb++
	}
	m := s.bits.golomb(golomb, s.limit-runLengths[s.run]-1, s.qbpp)
	odd := (m + kind) & 1
	e := (m + kind + odd) / 2
	if (golomb != 0 || 2*k.negative >= k.n) == (odd == 1) {
		e = -e
	}
	if e < 0 {
		k.negative++
	}
	k.a += (m + 1 - kind) >> 1
	if k.n == s.reset {
		k.a, k.n, k.negative = k.a>>1, k.n>>1, k.negative>>1
	}
	k.n++
	return e
}

// lsBits reads bits: a byte behind ff has seven. Behind the end there are zeros.
type lsBits struct {
	data []byte
	at   int
	bits uint64
	n    int
	over int
}

func (r *lsBits) fill() {
	for r.n <= 48 {
		if r.at >= len(r.data) {
			return
		}
		b := r.data[r.at]
		if b == 0xff && (r.at+1 >= len(r.data) || r.data[r.at+1] >= 0x80) {
			return // a marker
		}
		r.at++
		if r.at >= 2 && r.data[r.at-2] == 0xff {
			r.bits |= uint64(b&0x7f) << (57 - r.n)
			r.n += 7
			continue
		}
		r.bits |= uint64(b) << (56 - r.n)
		r.n += 8
	}
}

func (r *lsBits) read(n int) int {
	if n == 0 {
		return 0
	}
	r.fill()
	v := int(r.bits >> (64 - n))
	r.bits <<= n
	if r.n -= n; r.n < 0 {
		r.over -= r.n
		r.n = 0
	}
	return v
}

func (r *lsBits) bit() int { return r.read(1) }

// golomb reads a number of the limited code (T.87 A.5.3).
func (r *lsBits) golomb(k, limit, qbpp int) int {
	zeros := 0
	for r.bit() == 0 {
		if zeros++; r.over > 0 || zeros > 64 {
			r.over++
			return 0
		}
	}
	if zeros < limit-qbpp-1 {
		return zeros<<k | r.read(k)
	}
	return r.read(qbpp) + 1
}
