package univariate

import (
	"fmt"
	"math"

	"github.com/gojepa/gojepa/torch"
)

// leastVariance is what variances count as at least where they are divided by.
const leastVariance = 1e-8

// VCReg tests the first two moments,
//
//	N·μ̂²/σ̂² + (N−1)·(σ̂² − 1)²/2,
//
// for the mean μ̂ and the unbiased variance σ̂² of the samples: the part of [ExtendedJarqueBera] that regularisers of variance
// and covariance act on (arXiv 2511.08544, section 4.2.1). Under N(0, 1) both terms are nearly χ² with one degree of freedom
// and independent: the expectation is about 2, the 5 % critical value 5.991 for many samples.
//
// It is blind to shape. A variance below 1e-8 counts as 1e-8 in the first term, so that collapsed samples have finite
// values and gradients; equal samples have no gradient by the variance, only by the mean. The published package has the
// same formula without that bound.
type VCReg struct{}

// Statistic takes x [*, N, M], N at least 2, to [*, M]. Gradient flows.
func (VCReg) Statistic(s *torch.Scope, x torch.Tensor) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		x, n := samples("VCReg", x, 2)
		_, mean, variance := central(x, n)
		return meanAndVariance(mean, variance, n).Select(-2, 0)
	})
}

// ExtendedJarqueBera tests the first four moments,
//
//	N·μ̂²/σ̂² + (N−1)·(σ̂² − 1)²/2 + N/6·[skew² + (kurt − 3)²/4],
//
// for the mean μ̂ and the unbiased variance σ̂² of the samples, their skewness m₃/m₂^{3/2} and kurtosis m₄/m₂² with central
// moments m_k that divide by N (Jarque & Bera 1980 for the last two terms; arXiv 2511.08544, section 4.2.1). Under N(0, 1)
// it is χ² with four degrees of freedom in the limit of many samples, with the 5 % critical value 9.488; the kurtosis
// gets there slowly.
//
// A variance below 1e-8 counts as 1e-8 where it is divided by: equal samples have skewness and kurtosis 0, finite values,
// and a gradient by the mean alone. The published package takes the unbiased variance in skewness and kurtosis too: its
// skewness is ((N−1)/N)^{3/2} times the one here, its kurtosis ((N−1)/N)² times.
type ExtendedJarqueBera struct{}

// Statistic takes x [*, N, M], N at least 2, to [*, M]. Gradient flows.
func (ExtendedJarqueBera) Statistic(s *torch.Scope, x torch.Tensor) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		x, n := samples("ExtendedJarqueBera", x, 2)
		d, mean, variance := central(x, n)
		biased := variance.MulScalar(float64(n-1)/float64(n)).Clamp(leastVariance, math.Inf(1))
		z := d.Div(biased.Sqrt())
		squares := z.Square()
		skew := squares.Mul(z).MeanDim(-2, true)
		excess := squares.Square().MeanDim(-2, true).SubScalar(3)
		shape := skew.Square().Add(excess.Square().MulScalar(0.25)).MulScalar(float64(n) / 6)
		return meanAndVariance(mean, variance, n).Add(shape).Select(-2, 0)
	})
}

// central returns the deviations from the mean [*, N, M], the mean and the unbiased variance, both [*, 1, M].
func central(x torch.Tensor, n int64) (deviations, mean, variance torch.Tensor) {
	mean = x.MeanDim(-2, true)
	deviations = x.Sub(mean)
	variance = deviations.Square().SumDim(-2, true).DivScalar(float64(n - 1))
	return deviations, mean, variance
}

// meanAndVariance is N·μ̂²/σ̂² + (N−1)·(σ̂² − 1)²/2.
func meanAndVariance(mean, variance torch.Tensor, n int64) torch.Tensor {
	location := mean.Square().Div(variance.Clamp(leastVariance, math.Inf(1))).MulScalar(float64(n))
	return location.Add(variance.SubScalar(1).Square().MulScalar(float64(n-1) / 2))
}

// maxKMax keeps x^k in the range of float32 for samples up to 80.
const maxKMax = 20

// Moments is the weighted distance of the first KMax raw moments from the standard Gaussian's,
//
//	|mean x| + Σ_{k=2}^{KMax} e^{−k}·|mean x^k − μ_k|,  μ_k = (k−1)!! for even k, 0 for odd,
//
// the published package's statistic; the paper speaks of weighted squares without naming weights (arXiv 2511.08544, theorem
// 3, which also says why a finite KMax is not enough). It is not scaled by N: under N(0, 1) it falls as 1/√N.
//
// The gradient does not fade near the optimum, as that of squares does, and is zero in a moment that is met exactly. Equal
// samples are no special case. The published package, run on several machines, divides by their number once more, and it
// takes shapes [N, M] alone.
type Moments struct {
	KMax int // the highest moment, 1 to 20
}

// DefaultMoments is the published package's choice, four moments.
func DefaultMoments() Moments { return Moments{KMax: 4} }

// Validate reports every option that is out of range.
func (m Moments) Validate() error {
	if m.KMax < 1 || m.KMax > maxKMax {
		return fmt.Errorf("kmax: %d, expected 1 to %d", m.KMax, maxKMax)
	}
	return nil
}

// Statistic takes x [*, N, M], N at least 1, to [*, M]. Gradient flows.
func (m Moments) Statistic(s *torch.Scope, x torch.Tensor) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		mustBeValid("Moments", m.Validate())
		x, _ := samples("Moments", x, 1)
		sum := x.MeanDim(-2, false).Abs()
		power := x
		expected := [2]float64{0, 1} // μ_{k−1} and μ_k, as k counts up: μ_{k+1} = k·μ_{k−1}
		for k := 2; k <= m.KMax; k++ {
			power = power.Mul(x)
			if k > 2 {
				expected = [2]float64{expected[1], float64(k-1) * expected[0]}
			}
			sum = sum.Add(power.MeanDim(-2, false).SubScalar(expected[1]).Abs().MulScalar(math.Exp(-float64(k))))
		}
		return sum
	})
}
