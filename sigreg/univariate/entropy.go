package univariate

import (
	"errors"
	"fmt"
	"math"

	"github.com/gojepa/gojepa/torch"
)

// Entropy is how much the samples' entropy falls short of that of a Gaussian of their variance, which has the most:
//
//	½ log(2πe) + log σ̂ − H,  H = (1/N) Σ_i log [N/(2m)·(x_(i+m) − x_(i−m))],
//
// where σ̂² divides by N, and x_(j) is x_(1) for j < 1 and x_(N) for j > N (Vasicek 1976, "A test for normality based on
// sample entropy"). It estimates the Kullback–Leibler divergence from that Gaussian, in nats, with a bias upwards that
// falls with N. Vasicek's own statistic is K = √(2πe)·e^{−Entropy}.
//
// It is the same for a + b·x as for x, b > 0, and so does not see location and scale. Spacings are bounded from below:
// N/(2m)·(x_(i+m) − x_(i−m))/σ̂, which is one over the density that it estimates, counts as Eps at least, and has no
// gradient below. With samples that are all equal every spacing is; the statistic is then ½ log(2πe) − log Eps, its
// largest value, and the gradient zero.
//
// The published package returns the exponential, √(2πe)/K. It takes the unbiased variance, bounds the spacings
// themselves, so that its Eps depends on N and scale, and counts 2m spacings at either end where Vasicek counts m. With
// Right it returns no exponential, divides by N in place of N − m, and has N in place of N + 1.
type Entropy struct {
	// M is the width m of the spacings in ranks, below N/2, or below N with Right. Wider spacings vary less and blur more.
	// 0 chooses ⌊√N + ½⌋, or the widest allowed where that is less. The published package has 1.
	M int
	// Right takes spacings x_(i+m) − x_(i) and leaves out those that would reach beyond x_(N):
	// H = (1/(N−m)) Σ_i log [(N+1)/m·(x_(i+m) − x_(i))] (Learned-Miller & Fisher 2003, "ICA using spacings estimates of
	// entropy").
	Right bool
	// Eps is the least spacing, as above: above 0.
	Eps float64
}

// DefaultEntropy is Vasicek's statistic with the width chosen by N, and densities bounded by 10⁵ in units of 1/σ̂.
func DefaultEntropy() Entropy { return Entropy{Eps: 1e-5} }

// Validate reports every option that is out of range.
func (e Entropy) Validate() error {
	var errs []error
	if e.M < 0 {
		errs = append(errs, fmt.Errorf("m: %d, expected 0 or more", e.M))
	}
	if !(e.Eps > 0) || math.IsInf(e.Eps, 0) {
		errs = append(errs, fmt.Errorf("eps: %g, expected a number above 0", e.Eps))
	}
	return errors.Join(errs...)
}

// Statistic takes x [*, N, M], N at least 3, to [*, M]. Gradient flows. It panics if the width does not fit N.
func (e Entropy) Statistic(s *torch.Scope, x torch.Tensor) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		mustBeValid("Entropy", e.Validate())
		x, n := samples("Entropy", x, 3)
		m := e.width(n)
		y := ordered(x)
		_, squares, width := inUnitRange(y)
		// Differences of y itself: close neighbours have no rounding error in it.
		spacings, scale := e.spacings(y, n, m)
		// Samples in [0, 1] that reach both ends have squares of ½ or more; the bound is for those that are all equal.
		deviation := squares.Clamp(0.25, math.Inf(1)).DivScalar(float64(n)).Sqrt()
		log := spacings.Div(width).MulScalar(scale).Div(deviation).Clamp(e.Eps, math.Inf(1)).Log()
		return log.MeanDim(-1, false).Neg().AddScalar(0.5 * math.Log(2*math.Pi*math.E))
	})
}

// width returns M, or the width that it leaves to be chosen by the number of samples.
func (e Entropy) width(n int64) int64 {
	widest := (n - 1) / 2
	if e.Right {
		widest = n - 1
	}
	m := int64(e.M)
	if m == 0 {
		return min(int64(math.Sqrt(float64(n))+0.5), widest)
	}
	if m > widest {
		panic(fmt.Sprintf("univariate: Entropy: m: %d, expected 0 to %d for N = %d samples", m, widest, n))
	}
	return m
}

// spacings returns the spacings of the order statistics y [*, M, N], and what makes them one over a density.
func (e Entropy) spacings(y torch.Tensor, n, m int64) (spacings torch.Tensor, scale float64) {
	if e.Right {
		return y.Narrow(-1, m, n-m).Sub(y.Narrow(-1, 0, n-m)), float64(n+1) / float64(m)
	}
	return torch.Cat([]torch.Tensor{
		y.Narrow(-1, m, m).Sub(y.Narrow(-1, 0, 1)),
		y.Narrow(-1, 2*m, n-2*m).Sub(y.Narrow(-1, 0, n-2*m)),
		y.Narrow(-1, n-1, 1).Sub(y.Narrow(-1, n-2*m, m)),
	}, -1), float64(n) / float64(2*m)
}
