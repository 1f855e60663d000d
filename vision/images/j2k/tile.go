package j2k

import (
	"errors"
	"fmt"
	"math"
	"sort"
)

// area is a rectangle, without its right and lower ends.
type area struct{ x0, y0, x1, y1 int }

func (a area) width() int  { return a.x1 - a.x0 }
func (a area) height() int { return a.y1 - a.y0 }
func (a area) empty() bool { return a.x0 >= a.x1 || a.y0 >= a.y1 }

func ceilShift(v, n int) int { return (v + 1<<n - 1) >> n }

// shrunk is a over 2^n, rounded up.
func (a area) shrunk(n int) area {
	return area{ceilShift(a.x0, n), ceilShift(a.y0, n), ceilShift(a.x1, n), ceilShift(a.y1, n)}
}

// resolution is one of a component of a tile.
type resolution struct {
	area
	bands []*band
}

// band is a subband.
type band struct {
	area
	kind       int // 0 LL, 1 HL, 2 LH, 3 HH
	planes     int // of bits at most
	step       float32
	reversible bool
	style      byte
	data       []float32 // coefficients; integers where reversible, which float32 holds up to 24 bits
	ints       []int32
}

// precinct is a part of a resolution whose blocks packets have together.
type precinct struct {
	component, resolution, index int
	x, y                         int // on the reference grid
	parts                        []part
}

// part is a precinct's share of a band.
type part struct {
	b             *band
	across, down  int
	blocks        []*block
	included, msb *tagTree
}

// block is a code-block.
type block struct {
	area
	zeros    int // bit planes without a bit
	lblock   int
	passes   int
	segments []segment
	seen     bool
}

// segment is what one codeword of a block's passes is in.
type segment struct {
	data   []byte
	passes int
	most   int // passes that it may have
}

// maxBlocks is the most blocks and precincts of a tile.
const maxBlocks = 1 << 22

// decodeTile decodes a tile into the picture.
func (d *decoder) decodeTile(t *tile, a area) error {
	if a.empty() {
		return nil
	}
	n := d.size.Components
	components := make([][]*resolution, n)
	var precincts []*precinct
	count := 0
	for c := range n {
		var err error
		components[c], err = d.resolutions(t, c, a)
		if err != nil {
			return err
		}
		for r, res := range components[c] {
			all, err := t.precincts(c, r, res, a, &count)
			if err != nil {
				return err
			}
			precincts = append(precincts, all...)
		}
	}
	if len(precincts) > len(t.data) {
		return fmt.Errorf("%d precincts in %d bytes: expected a byte for each", len(precincts), len(t.data))
	}
	if err := t.packets(precincts); err != nil {
		return err
	}
	for _, p := range precincts {
		for _, part := range p.parts {
			for _, b := range part.blocks {
				if err := part.b.decode(b); err != nil {
					return err
				}
			}
		}
	}
	planes := make([]plane, n)
	for c := range n {
		planes[c] = synthesise(components[c], t.code[c].reversible)
	}
	if t.mct {
		if n < 3 || t.code[0].reversible != t.code[1].reversible || t.code[0].reversible != t.code[2].reversible {
			return errors.New("a component transform of other than three components of one kind")
		}
		mix(planes, t.code[0].reversible)
	}
	for c := range n {
		d.store(planes[c], c, a, t.code[c].reversible)
	}
	return nil
}

// store shifts and clamps samples, and puts them where they belong.
func (d *decoder) store(p plane, c int, a area, reversible bool) {
	low, high, shift := 0, 1<<d.bits[c]-1, 1<<(d.bits[c]-1)
	if d.signed[c] {
		low, high, shift = -shift, shift-1, 0
	}
	for y := range a.height() {
		dst := d.out.Samples[c][(a.y0-d.y0+y)*d.size.Width+a.x0-d.x0:]
		for x := range a.width() {
			i := y*a.width() + x
			var v int
			if reversible {
				v = int(p.ints[i])
			} else {
				v = int(math.RoundToEven(min(max(float64(p.floats[i]), -1<<30), 1<<30)))
			}
			dst[x] = int32(min(max(v+shift, low), high))
		}
	}
}

// resolutions makes those of a component.
func (d *decoder) resolutions(t *tile, c int, a area) ([]*resolution, error) {
	code, quant := t.code[c], t.quant[c]
	if code.blockW == 0 {
		return nil, errors.New("it has no coding style")
	}
	var all []*resolution
	for r := range code.levels + 1 {
		res := &resolution{area: a.shrunk(code.levels - r)}
		kinds, level := []int{1, 2, 3}, code.levels-r+1
		if r == 0 {
			kinds, level = []int{0}, code.levels
		}
		for _, kind := range kinds {
			b := &band{kind: kind, reversible: code.reversible, style: code.style}
			dx, dy := 0, 0
			if level > 0 {
				dx, dy = kind&1<<(level-1), kind>>1<<(level-1)
			}
			b.area = area{a.x0 - dx, a.y0 - dy, a.x1 - dx, a.y1 - dy}.shrunk(level)
			index := 0
			if r > 0 {
				index = 3*(r-1) + kind
			}
			exponent, mantissa, err := quant.step(index)
			if err != nil {
				return nil, err
			}
			if b.planes = quant.guard + exponent - 1; b.planes > 30 {
				return nil, fmt.Errorf("%d bit planes: more than 30", b.planes)
			}
			gain := [4]int{0, 1, 1, 2}[kind]
			b.step = float32(math.Ldexp(1+float64(mantissa)/2048, d.bits[c]+gain-exponent))
			if !b.empty() {
				if b.reversible {
					b.ints = make([]int32, b.width()*b.height())
				} else {
					b.data = make([]float32, b.width()*b.height())
				}
			}
			res.bands = append(res.bands, b)
		}
		all = append(all, res)
	}
	return all, nil
}

// precincts makes those of a resolution, with their blocks.
func (t *tile) precincts(c, r int, res *resolution, tile area, count *int) ([]*precinct, error) {
	if res.empty() {
		return nil, nil
	}
	code := t.code[c]
	w, h := 15, 15 // log2
	if code.precincts != nil {
		w, h = int(code.precincts[r]&15), int(code.precincts[r]>>4)
	}
	if r > 0 && (w == 0 || h == 0) {
		return nil, errors.New("precincts of one sample of a resolution that has bands")
	}
	x0, y0 := res.x0>>w, res.y0>>h
	across, down := ceilShift(res.x1, w)-x0, ceilShift(res.y1, h)-y0
	if across > maxBlocks/down {
		return nil, fmt.Errorf("%d×%d precincts: more than %d", across, down, maxBlocks)
	}
	bw, bh := w, h // in bands
	if r > 0 {
		bw, bh = w-1, h-1
	}
	blockW, blockH := min(code.blockW, bw), min(code.blockH, bh)
	scale := code.levels - r
	var all []*precinct
	for i := range across * down {
		px, py := x0+i%across, y0+i/across
		p := &precinct{component: c, resolution: r, index: i, x: max(tile.x0, px<<w<<scale), y: max(tile.y0, py<<h<<scale)}
		for _, b := range res.bands {
			s := area{max(b.x0, px<<bw), max(b.y0, py<<bh), min(b.x1, (px+1)<<bw), min(b.y1, (py+1)<<bh)}
			q := part{b: b}
			if !s.empty() {
				cx, cy := s.x0>>blockW, s.y0>>blockH
				q.across, q.down = ceilShift(s.x1, blockW)-cx, ceilShift(s.y1, blockH)-cy
				if *count += q.across * q.down; *count > maxBlocks {
					return nil, fmt.Errorf("more than %d blocks", maxBlocks)
				}
				for k := range q.across * q.down {
					x, y := cx+k%q.across, cy+k/q.across
					q.blocks = append(q.blocks, &block{lblock: 3, area: area{
						max(s.x0, x<<blockW), max(s.y0, y<<blockH), min(s.x1, (x+1)<<blockW), min(s.y1, (y+1)<<blockH),
					}})
				}
				q.included, q.msb = newTagTree(q.across, q.down), newTagTree(q.across, q.down)
			}
			p.parts = append(p.parts, q)
		}
		if *count++; *count > maxBlocks {
			return nil, fmt.Errorf("more than %d precincts", maxBlocks)
		}
		all = append(all, p)
	}
	return all, nil
}

// packets reads all packets, in the order of the progression.
func (t *tile) packets(precincts []*precinct) error {
	r := &packetReader{data: t.data, sop: t.sop, eph: t.eph}
	key := func(p *precinct) [5]int {
		switch t.progression {
		case 0, 1: // layers or resolutions first
			return [5]int{p.resolution, p.component, p.index}
		case 2:
			return [5]int{p.resolution, p.y, p.x, p.component, p.index}
		case 3:
			return [5]int{p.y, p.x, p.component, p.resolution, p.index}
		}
		return [5]int{p.component, p.y, p.x, p.resolution, p.index}
	}
	sort.SliceStable(precincts, func(i, j int) bool {
		a, b := key(precincts[i]), key(precincts[j])
		for k := range a {
			if a[k] != b[k] {
				return a[k] < b[k]
			}
		}
		return false
	})
	// Runs of precincts that the layers go through together.
	for len(precincts) > 0 {
		n := 1
		switch t.progression {
		case 0:
			n = len(precincts)
		case 1:
			for n < len(precincts) && precincts[n].resolution == precincts[0].resolution {
				n++
			}
		}
		for layer := range t.layers {
			for _, p := range precincts[:n] {
				if err := r.packet(p, layer); err != nil {
					return fmt.Errorf("layer %d of precinct %d of resolution %d of component %d: %w", layer, p.index, p.resolution, p.component, err)
				}
			}
		}
		precincts = precincts[n:]
	}
	return nil
}
