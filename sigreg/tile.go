package sigreg

import "github.com/gojepa/gojepa/torch"

const (
	// tileBytes bounds the rows of one tile: they stay in the cache of a core from the first operation to the last.
	tileBytes = 1 << 20
	// blockSamples bounds how many products are added up in float32; sums of blocks are added in float64. The error of
	// the means is then the same few ulps whatever the number of samples, near the optimum too, where the gradient is
	// made of differences of order 1/√N. (A block of 1024 would cost a relative error of 1e-5.)
	blockSamples = 256
)

// pass holds the plan and the buffers of one evaluation. A slab of R rows of N projections is cut into tiles, each a
// number of whole rows, which are worked on in parallel: rows of harmonics, sums of their products over the samples,
// moments, and the gradient. A row too long for a tile is cut too; the moments are then complete only when all its tiles
// are summed, and the gradient computes the harmonics a second time. So it does where other ranks have part of the batch.
type pass struct {
	h     *harmonics
	n     int64 // samples
	want  bool  // of the gradient
	ranks Ranks

	angle torch.Tensor // θ, and then the gradient by p  [R·N]
	tiles *tiles

	toMoments, offset torch.Tensor // [left·right, 2H], [2H]
	toWeights         torch.Tensor // [2H, right·left]
	energy            torch.Tensor // N·w_k, for cosines and sines [2H, 1]
	one, zero         torch.Tensor

	sums    torch.Tensor // sums of products [R, pieces, left·right], float64
	moments torch.Tensor // means less the Gaussian's [R, 2H], float64
}

func newPass(s *torch.Scope, e EppsPulley, dtype torch.DType, rows, n int64, scale float64, want bool, ranks Ranks) *pass {
	h := newHarmonics(e)
	p := &pass{h: h, n: n, want: want, ranks: ranks}
	p.angle = s.Empty(dtype, rows*n)
	p.tiles = newTiles(s, h, dtype, rows, n)

	count, width := int64(len(h.phi)), int64(h.left()*h.right())
	matrix, offset := h.moments(n)
	p.toMoments, p.offset = s.FromFloat64(matrix, width, 2*count), s.FromFloat64(offset, 2*count)
	if want {
		p.toWeights = s.FromFloat64(h.gradient(scale), 2*count, width)
	}
	energy := make([]float64, 2*count)
	for k, w := range h.weight {
		energy[k] = w * float64(n) * float64(max(1, ranks.Size))
		energy[int(count)+k] = energy[k]
	}
	p.energy = s.FromFloat64(energy, 2*count, 1)
	p.one, p.zero = s.Full(dtype, 1), s.Full(dtype, 0)
	p.sums = s.Empty(torch.Float64, rows, p.tiles.pieces, width)
	p.moments = s.Empty(torch.Float64, rows, 2*count)
	return p
}

// run takes the first rows·N angles of the slab to the statistics [rows] and, if it is wanted, to the gradient in their
// place.
func (p *pass) run(s *torch.Scope, rows int64) torch.Tensor {
	whole := p.tiles.pieces == 1 && p.ranks.Mean == nil
	cut := p.tiles.cut(rows)
	s.Parallel(len(cut), func(s *torch.Scope, worker, i int) {
		t := p.open(s, worker, cut[i])
		t.rows()
		t.sum()
		if whole {
			p.mean(s, t.firstRow, t.lines)
			if p.want {
				t.gradient()
			}
		}
	})
	if !whole {
		p.mean(s, 0, rows)
		if p.ranks.Mean != nil {
			p.ranks.Mean(s, p.moments.Narrow(0, 0, rows))
		}
		if p.want {
			s.Parallel(len(cut), func(s *torch.Scope, worker, i int) {
				t := p.open(s, worker, cut[i])
				t.rows()
				t.gradient()
			})
		}
	}
	return p.moments.Narrow(0, 0, rows).Square().Matmul(p.energy).Select(1, 0)
}

// mean takes the sums of some rows to their moments.
func (p *pass) mean(s *torch.Scope, first, count int64) {
	sums := s.Use(p.sums).Narrow(0, first, count)
	if p.tiles.pieces > 1 {
		sums = sums.SumDim(1, false)
	} else {
		sums = sums.Select(1, 0)
	}
	s.Use(p.moments).Narrow(0, first, count).AddmmTo(p.offset, sums, p.toMoments)
}

// tiles says how slabs are cut, and holds each worker's buffers.
type tiles struct {
	lines  int64 // rows of the slab in a tile
	pieces int64 // tiles that a row is cut into
	length int64 // samples of a piece, but for the last
	n      int64
	memory []torch.Tensor // of each worker: rows of harmonics, then right factors' sums [rows + right, capacity]
	block  []torch.Tensor // sums of products in a block [·]
}

func newTiles(s *torch.Scope, h *harmonics, dtype torch.DType, rows, n int64) *tiles {
	buffers := int64(h.rows() + h.right()) // without a gradient too: the cut, and with it the values, are then the same
	workers := int64(s.NumThreads())
	capacity := max(blockSamples, tileBytes/(buffers*int64(dtype.Size())))
	if s.Device().IsCUDA() {
		workers, capacity = 1, slabElements
	}
	t := &tiles{n: n, pieces: (n + capacity - 1) / capacity}
	t.length = (n + t.pieces - 1) / t.pieces
	// As few tiles as fit, but a multiple of the workers, so that all have the same to do.
	count := (rows*t.length + capacity - 1) / capacity
	count = (count + workers - 1) / workers * workers
	t.lines = max(1, min(capacity/t.length, (rows+count-1)/count))
	for range workers {
		memory := s.Empty(dtype, buffers, t.lines*t.length)
		memory.Select(0, 0).Fill_(1)
		memory.Select(0, int64(h.rows())-1).Fill_(1)
		t.memory = append(t.memory, memory)
		blocks := (t.length + blockSamples - 1) / blockSamples
		t.block = append(t.block, s.Empty(dtype, t.lines*blocks*int64(h.left()*h.right())))
	}
	return t
}

// piece is one tile: some rows, and some samples of them.
type piece struct{ row, lines, index, sample, samples int64 }

func (t *tiles) cut(rows int64) (cut []piece) {
	for row := int64(0); row < rows; row += t.lines {
		for i := range t.pieces {
			first := i * t.length
			cut = append(cut, piece{row, min(t.lines, rows-row), i, first, min(t.length, t.n-first)})
		}
	}
	return cut
}

// tile is a piece being worked on.
type tile struct {
	*pass
	s                *torch.Scope
	firstRow, lines  int64
	index, samples   int64
	memory, products torch.Tensor
	row              []torch.Tensor // [lines·samples] each
	theta            torch.Tensor
}

func (p *pass) open(s *torch.Scope, worker int, c piece) *tile {
	t := &tile{pass: p, s: s, firstRow: c.row, lines: c.lines, index: c.index, samples: c.samples}
	t.memory, t.products = s.Use(p.tiles.memory[worker]), s.Use(p.tiles.block[worker])
	filled := t.memory.Narrow(1, 0, c.lines*c.samples)
	t.row = make([]torch.Tensor, p.h.rows())
	for i := range t.row {
		t.row[i] = filled.Select(0, int64(i))
	}
	t.theta = s.Use(p.angle).Narrow(0, c.row*p.n+c.sample, (c.lines-1)*p.n+c.samples)
	if c.samples < p.n {
		t.theta = t.theta.AsStrided([]int64{c.lines, c.samples}, []int64{p.n, 1})
		for i := range t.row {
			t.row[i] = t.row[i].Reshape(c.lines, c.samples)
		}
	}
	return t
}

// rows fills the rows of harmonics by
//
//	cos((h+1)θ) = cos((h−1)θ) − 2 sin θ sin(hθ),  sin((h+1)θ) = sin((h−1)θ) + 2 sin θ cos(hθ),
//
// a rotation, whose rounding errors do not grow where θ is small, and the anchors by
// sin((i+1)Bθ) = 2 cos(Bθ) sin(iBθ) − sin((i−1)Bθ), with the signs that leave out the minus.
func (t *tile) rows() {
	h := t.h
	cos, sin := t.row[1:1+h.base], t.row[1+h.base:1+2*h.base]
	cos[0].CosTo(t.theta)
	sin[0].SinTo(t.theta)
	c, s := t.one, t.zero
	for i := range h.base - 1 {
		cos[i+1].AddcmulTo(c, sin[0], sin[i], -2)
		sin[i+1].AddcmulTo(s, sin[0], cos[i], 2)
		c, s = cos[i], sin[i]
	}
	anchor := t.row[2*h.base:] // anchor[0] is sin(Bθ)
	before := t.zero
	for i := 1; i < h.anchors-1; i++ {
		anchor[i].AddcmulTo(before, cos[h.base-1], anchor[i-1], -2*h.sign[i-1]*h.sign[i])
		before = anchor[i-1]
	}
}

// factors returns left [lines·blocks, left, samples/blocks] and right factors of the products, in equal blocks of samples
// if they can be cut so, and one block a line else.
func (t *tile) factors(first, samples, blocks int64) (left, right torch.Tensor) {
	view := func(row, count int) torch.Tensor {
		width := t.memory.Size(1)
		rows := t.memory.Narrow(0, int64(row), int64(count)).Narrow(1, first, width-first)
		stride := t.samples / blocks
		return rows.AsStrided([]int64{t.lines * blocks, int64(count), samples}, []int64{stride, width, 1})
	}
	return view(0, t.h.left()), view(t.h.rows()-t.h.right(), t.h.right())
}

// sum adds up the products of left and right factors over the samples.
func (t *tile) sum() {
	h := t.h
	left, right := int64(h.left()), int64(h.right())
	out := t.s.Use(t.sums).Narrow(0, t.firstRow, t.lines).Select(1, t.index)
	blocks := (t.samples + blockSamples - 1) / blockSamples
	if t.samples%blocks == 0 {
		x, y := t.factors(0, t.samples/blocks, blocks)
		products := t.products.Narrow(0, 0, t.lines*blocks*left*right)
		products.Reshape(t.lines*blocks, left, right).BmmTo(x, y.Transpose(1, 2))
		out.SumDimTo(products.Reshape(t.lines, blocks, left*right), 1)
		return
	}
	products := t.products.Narrow(0, 0, t.lines*left*right)
	for first := int64(0); first < t.samples; first += blockSamples {
		x, y := t.factors(first, min(blockSamples, t.samples-first), 1)
		products.Reshape(t.lines, left, right).BmmTo(x, y.Transpose(1, 2))
		if first == 0 {
			out.Copy_(products.Reshape(t.lines, left*right))
		} else {
			out.Add_(products.Reshape(t.lines, left*right))
		}
	}
}

// gradient overwrites the angles by the derivative of the statistics: Σ right ⊙ (weights · left).
func (t *tile) gradient() {
	h := t.h
	rows, left, right := int64(h.rows()), int64(h.left()), int64(h.right())
	weights := t.s.Use(t.moments).Narrow(0, t.firstRow, t.lines).Matmul(t.toWeights).To(t.angle.DType())
	series := t.memory.Narrow(0, rows, right).AsStrided([]int64{t.lines, right, t.samples}, []int64{right * t.samples, t.samples, 1})
	x, _ := t.factors(0, t.samples, 1)
	series.BmmTo(weights.Reshape(t.lines, right, left), x)
	last := series.Select(1, right-1)
	if right == 1 {
		t.theta.Reshape(t.lines, t.samples).Copy_(last)
		return
	}
	g := t.theta
	if t.samples == t.n {
		g = g.Reshape(t.lines, t.samples)
	}
	for i := range h.anchors - 1 {
		y := t.row[2*h.base+i].Reshape(t.lines, t.samples)
		from := g
		if i == 0 {
			from = last
		}
		g.AddcmulTo(from, series.Select(1, int64(i)), y, 1)
	}
}
