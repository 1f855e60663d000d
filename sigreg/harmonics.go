package sigreg

import "math"

// harmonics makes the cosines and sines of many multiples of an angle θ out of products of few, which turns sums over
// samples into small matrix products. With base rows cos(hθ), sin(hθ) for h = 1 … B and anchors sin(aθ) for a = B, 2B, …,
//
//	cos((a+h)θ) = cos((a−h)θ) − 2 sin(aθ) sin(hθ)
//	sin((a+h)θ) = 2 sin(aθ) cos(hθ) − sin((a−h)θ)
//
// so that every harmonic is a linear combination of products {1, base} × {anchors, 1}, with coefficients ±2 and ±1. With A
// factors on the right, (2B+1)·A products stand for the cosines and sines of B·A harmonics, where 2B + A − 1 rows are computed.
//
// Rows are, in this order: one; the B cosines; the B sines; the anchors from the second on (the first is the last sine);
// and, once more, one. The factors on the left are rows 0 … 2B, those on the right the last A rows.
type harmonics struct {
	step    float64   // θ = step·p
	weight  []float64 // of harmonic k = 1 … H: of the integral, times the weight of the statistic
	phi     []float64 // characteristic function of the Gaussian at the harmonic
	base    int       // B
	anchors int       // A: anchors, and one
	sign    []float64 // anchor i is stored as sign[i]·sin(iBθ), i = 1 … A-1
	terms   []combination
}

// combination is a linear combination of products: harmonic as a function of base and anchor rows.
type combination []term

type term struct {
	left, right int // rows of the factors: left 0 … 2B, right 0 … A-1, the last being one
	c           float64
}

// newHarmonics plans the statistic's knots. A rule with no knot at zero is one of twice as many, half of them weightless.
func newHarmonics(e EppsPulley) *harmonics {
	t, w, dt := e.rule()
	h := &harmonics{step: dt}
	if t[0] != 0 {
		h.step = dt / 2
	}
	count := int(math.Round(t[len(t)-1] / h.step))
	h.weight, h.phi = make([]float64, count), make([]float64, count)
	for k := range h.phi {
		h.phi[k] = gauss(float64(k+1) * h.step)
	}
	for i := range t {
		if k := int(math.Round(t[i] / h.step)); k > 0 { // at zero both functions are one
			h.weight[k-1] = w[i] * e.Weight.at(t[i])
		}
	}
	h.base = int(math.Ceil(math.Sqrt(float64(count))))
	h.anchors = (count + h.base - 1) / h.base
	h.sign = make([]float64, h.anchors)
	for i := range h.sign {
		h.sign[i] = []float64{-1, 1}[min(i, 1)]
		if i > 1 {
			h.sign[i] = -h.sign[i-2] // as tile.rows makes them
		}
	}
	h.terms = h.combine(count)
	return h
}

// rows is how many rows there are.
func (h *harmonics) rows() int { return 2*h.base + 1 + h.anchors - min(1, h.anchors-1) }

// left and right are the numbers of factors.
func (h *harmonics) left() int  { return 2*h.base + 1 }
func (h *harmonics) right() int { return h.anchors }

// combine writes cos(kθ), k = 0 … count, as element 2k, and sin(kθ) as element 2k+1.
func (h *harmonics) combine(count int) []combination {
	one := h.anchors - 1
	f := make([]combination, 2*count+2)
	f[0] = combination{{0, one, 1}}
	for k := 1; k <= count; k++ {
		a := (k - 1) / h.base // the anchor aB, and k = aB + i
		i := k - a*h.base
		cos, sin := i, h.base+i
		if a == 0 {
			f[2*k], f[2*k+1] = combination{{cos, one, 1}}, combination{{sin, one, 1}}
			continue
		}
		mirror := a*h.base - i
		f[2*k] = append(combination{{sin, a - 1, -2 * h.sign[a]}}, f[2*mirror]...)
		f[2*k+1] = combination{{cos, a - 1, 2 * h.sign[a]}}
		for _, t := range f[2*mirror+1] {
			f[2*k+1] = append(f[2*k+1], term{t.left, t.right, -t.c})
		}
	}
	return f
}

// moments returns the matrix [left·right, 2H] that takes sums of products over n samples to means of harmonics, cosines
// first, and the offsets [2H] to be added: minus the Gaussian's.
func (h *harmonics) moments(n int64) (matrix, offset []float64) {
	count := len(h.phi)
	matrix, offset = make([]float64, h.left()*h.right()*2*count), make([]float64, 2*count)
	for k := range count {
		for part := range 2 {
			for _, t := range h.terms[2*(k+1)+part] {
				matrix[(t.left*h.right()+t.right)*2*count+part*count+k] += t.c / float64(n)
			}
		}
		offset[k] = -h.phi[k]
	}
	return matrix, offset
}

// gradient returns the matrix [2H, right·left] that takes the moments to the coefficients of products in the derivative
// of the statistic by a sample, scale times
//
//	2 Σ_k w_k t_k [S_k cos(t_k p) − (C_k − φ_k) sin(t_k p)].
func (h *harmonics) gradient(scale float64) []float64 {
	count, width := len(h.phi), h.left()*h.right()
	matrix := make([]float64, 2*count*width)
	for k := range count {
		f := scale * 2 * h.weight[k] * float64(k+1) * h.step
		for part := range 2 {
			// The mean of cosines multiplies −sin, that of sines cos.
			from, c := 2*(k+1)+1-part, f
			if part == 0 {
				c = -f
			}
			for _, t := range h.terms[from] {
				matrix[(part*count+k)*width+t.right*h.left()+t.left] += c * t.c
			}
		}
	}
	return matrix
}
