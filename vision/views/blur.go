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
func (z *blurrer) blur(k kernels, pix []uint8, side, kernel int, sigma float64) {
	z.prepare(side, kernel/2, sigma)
	for ; len(pix) > 0; pix = pix[side*side:] {
		k.blur(pix[:side*side], side, z)
	}
}

// prepare makes memory for planes of that side, and the weights.
func (z *blurrer) prepare(side, radius int, sigma float64) {
	z.rows = grow(z.rows, (side+2*radius)*side)
	z.padded = grow(z.padded, side+2*radius)
	z.sum = grow(z.sum, side)

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
