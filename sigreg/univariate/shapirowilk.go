package univariate

import (
	"errors"
	"fmt"
	"math"

	"github.com/gojepa/gojepa/torch"
)

// Scores is how the expected values of N standard Gaussian order statistics are approximated: by Φ⁻¹(p_i) at plotting
// positions p_i.
type Scores int

// The plotting positions in use.
const (
	Elfving Scores = iota // p_i = (i − π/8)/(N + 1 − π/4)
	Blom                  // p_i = (i − 3/8)/(N + 1/4), Blom 1958
	Rahman                // p_i = i/(N + 1), as Rahman & Govindarajulu 1997 use
)

// String returns the name of s, such as "elfving".
func (s Scores) String() string { return name(int(s), "elfving", "blom", "rahman") }

// Covariance is what is taken for the covariance of the order statistics.
type Covariance int

// The covariances in use.
const (
	// ShapiroFrancia takes them as independent and equally variable, so that the weights are the scores themselves.
	ShapiroFrancia Covariance = iota
	// Tridiagonal is the inverse of the asymptotic covariance, 2φ(m_i)² on the diagonal and −φ(m_i)φ(m_{i+1}) beside it, for
	// scores m (Rahman & Govindarajulu 1997, "A modification of the test of Shapiro and Wilk for normality").
	Tridiagonal
)

// String returns the name of c, such as "shapiro-francia".
func (c Covariance) String() string { return name(int(c), "shapiro-francia", "tridiagonal") }

func name(i int, names ...string) string {
	if i < 0 || i >= len(names) {
		return fmt.Sprintf("(%d)", i)
	}
	return names[i]
}

// ShapiroWilk is 1 − W for the squared correlation
//
//	W = (Σ_i a_i x_(i))² / Σ_i (x_i − x̄)²,  a = V⁻¹m / ‖V⁻¹m‖,
//
// of the order statistics with weights made of their expected values m and covariance V (Shapiro & Wilk 1965; with V = 1
// Shapiro & Francia 1972). It lies between 0, a straight quantile plot, and 1. The zero value is Shapiro and Francia's
// W' with Elfving's scores, as the published package's default is.
//
// It is the same for a + b·x as for x, b > 0, and so does not see location and scale: embeddings may collapse without its
// noticing, while its gradient grows as 1/scale. Samples that are all equal give 1 and no gradient.
//
// The published package differs in three ways. It takes 1 − |r| in place of 1 − r², about half as much near the optimum.
// It does not subtract the mean from the samples, so that its r falls with their distance from zero. And it gives
// Elfving's positions the denominator N + 1/4, with which they are not symmetric and its weights do not add up to zero.
type ShapiroWilk struct {
	Scores     Scores
	Covariance Covariance
}

// Validate reports every option that is out of range.
func (w ShapiroWilk) Validate() error {
	var errs []error
	if w.Scores < Elfving || w.Scores > Rahman {
		errs = append(errs, fmt.Errorf("scores: %d, expected Elfving, Blom or Rahman", w.Scores))
	}
	if w.Covariance < ShapiroFrancia || w.Covariance > Tridiagonal {
		errs = append(errs, fmt.Errorf("covariance: %d, expected ShapiroFrancia or Tridiagonal", w.Covariance))
	}
	return errors.Join(errs...)
}

// Statistic takes x [*, N, M], N at least 3, to 1 − W as [*, M]. Gradient flows.
func (w ShapiroWilk) Statistic(s *torch.Scope, x torch.Tensor) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		mustBeValid("ShapiroWilk", w.Validate())
		x, n := samples("ShapiroWilk", x, 3)
		a := row(s, x, w.weights(n))
		d, squares, _ := inUnitRange(ordered(x))
		// 1 − W as the share of the squares that regression on the weights leaves over: it has the digits that a difference
		// from 1 would lose.
		left := d.Sub(d.Mul(a).SumDim(-1, true).Mul(a)).Square().SumDim(-1, true)
		// Samples in [0, 1] that reach both ends have squares of ½ or more. Only those that are all equal meet the bound: they
		// leave nothing over, and count as left over whole.
		bounded := squares.Clamp(0.25, math.Inf(1))
		missing := bounded.Sub(squares).Detach()
		return left.Add(missing).Div(bounded).Select(-1, 0)
	})
}

// weights is the vector a, of length 1, odd about its middle.
func (w ShapiroWilk) weights(n int64) []float64 {
	m := w.scores(n)
	a := m
	if w.Covariance == Tridiagonal {
		a = make([]float64, n)
		density := func(i int) float64 { return math.Exp(-m[i] * m[i] / 2) } // times √2π, which cancels
		for i := range a {
			a[i] = 2 * density(i) * density(i) * m[i]
			for _, j := range []int{i - 1, i + 1} {
				if j >= 0 && j < len(a) {
					a[i] -= density(i) * density(j) * m[j]
				}
			}
		}
	}
	var squares float64
	for _, v := range a {
		squares += v * v
	}
	for i := range a {
		a[i] /= math.Sqrt(squares)
	}
	return a
}

// scores is the vector m.
func (w ShapiroWilk) scores(n int64) []float64 {
	shift := [...]float64{Elfving: math.Pi / 8, Blom: 3. / 8, Rahman: 0}[w.Scores]
	m := make([]float64, n)
	for i := range n / 2 {
		p := (float64(i+1) - shift) / (float64(n) + 1 - 2*shift)
		m[i] = -math.Sqrt2 * math.Erfcinv(2*p)
		m[n-1-i] = -m[i]
	}
	return m
}
