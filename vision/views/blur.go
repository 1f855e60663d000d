package views

import "math"

// blurrer is the scratch of Gaussian blur.
type blurrer struct {
	weights []float32 // from the centre outwards
	rows    []float32 // the plane, blurred across, with radius mirrored rows above and below
	padded  []float32 // a row with radius mirrored samples on both sides
	sum     []float32
}

// blur convolves each plane of side×side samples with a Gaussian kernel of the given odd size, mirrored at the edges, which
// counts the edge itself once. The kernel is torchvision's: its points lie at (i − size/2)/√2 and its weights are
// softmax(−(x/sigma)²). Rows, then columns, which differs from its two-dimensional kernel by float32's rounding.
func (z *blurrer) blur(pix []uint8, side, kernel int, sigma float64) {
	radius := kernel / 2
	z.set(radius, sigma)
	z.rows = grow(z.rows, (side+2*radius)*side)
	z.padded = grow(z.padded, side+2*radius)
	z.sum = grow(z.sum, side)
	for ; len(pix) > 0; pix = pix[side*side:] {
		plane := pix[:side*side]
		for y := range side {
			z.across(z.rows[(y+radius)*side:][:side], plane[y*side:][:side], radius)
		}
		for k := 1; k <= radius; k++ {
			copy(z.rows[(radius-k)*side:][:side], z.rows[(radius+k)*side:])
			copy(z.rows[(radius+side-1+k)*side:][:side], z.rows[(radius+side-1-k)*side:])
		}
		for y := range side {
			z.down(plane[y*side:][:side], y+radius, side)
		}
	}
}

func (z *blurrer) set(radius int, sigma float64) {
	z.weights = grow(z.weights, radius+1)
	total := 0.0
	for k := range z.weights {
		x := float64(k) / math.Sqrt2 / sigma
		w := math.Exp(-x * x)
		z.weights[k] = float32(w)
		if total += w; k > 0 {
			total += w
		}
	}
	for k := range z.weights {
		x := float64(k) / math.Sqrt2 / sigma
		z.weights[k] = float32(math.Exp(-x*x) / total)
	}
}

func (z *blurrer) across(dst []float32, src []uint8, radius int) {
	last := len(src) - 1
	p := z.padded
	for x, v := range src {
		p[radius+x] = float32(v)
	}
	for k := 1; k <= radius; k++ {
		p[radius-k], p[radius+last+k] = p[radius+k], p[radius+last-k]
	}
	if radius == 3 {
		w0, w1, w2, w3 := z.weights[0], z.weights[1], z.weights[2], z.weights[3]
		p = p[:len(dst)+6]
		for x := range dst {
			q := p[x : x+7 : x+7]
			dst[x] = float32(w0*q[3]) + float32(w1*(q[2]+q[4])) + float32(w2*(q[1]+q[5])) + float32(w3*(q[0]+q[6]))
		}
		return
	}
	w := z.weights[0]
	for x, v := range p[radius:][:len(dst)] {
		dst[x] = w * v
	}
	for k := 1; k <= radius; k++ {
		w, before, after := z.weights[k], p[radius-k:][:len(dst)], p[radius+k:][:len(dst)]
		for x := range dst {
			dst[x] += float32(w * (before[x] + after[x]))
		}
	}
}

// down writes the row of the result that has row y of z.rows in its centre.
func (z *blurrer) down(dst []uint8, y, side int) {
	row := func(y int) []float32 { return z.rows[y*side:][:len(dst)] }
	if len(z.weights) == 4 {
		w0, w1, w2, w3 := z.weights[0], z.weights[1], z.weights[2], z.weights[3]
		a3, a2, a1, c, b1, b2, b3 := row(y-3), row(y-2), row(y-1), row(y), row(y+1), row(y+2), row(y+3)
		for x := range dst {
			dst[x] = nearest(float32(w0*c[x]) + float32(w1*(a1[x]+b1[x])) + float32(w2*(a2[x]+b2[x])) + float32(w3*(a3[x]+b3[x])))
		}
		return
	}
	sum := z.sum[:len(dst)]
	w := z.weights[0]
	for x, v := range row(y) {
		sum[x] = w * v
	}
	for k := 1; k < len(z.weights); k++ {
		w, above, below := z.weights[k], row(y-k), row(y+k)
		for x := range sum {
			sum[x] += float32(w * (above[x] + below[x]))
		}
	}
	for x, v := range sum {
		dst[x] = nearest(v)
	}
}

// nearest rounds a number from 0 to 255, ties to even: adding 2^23 leaves no bits after the point.
func nearest(v float32) uint8 {
	return uint8(math.Float32bits(v + 1<<23))
}
