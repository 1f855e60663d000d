package univariate

import (
	"math"

	"github.com/gojepa/gojepa/torch"
)

// logCDF is log Φ(x) with the gradient φ(x)/Φ(x), both right in the tails. It takes the gradient from the scaled
// complementary error function, √(2/π)/erfcx(−x/√2), as libtorch's own, e^{−x²/2 − log Φ(x)}, subtracts two numbers of the
// size of x² and is worthless in float32 where x is below −100.
func logCDF(s *torch.Scope, x torch.Tensor) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		value := x.Detach().LogNdtr()
		if !s.GradEnabled() || !x.RequiresGrad() {
			return value
		}
		slope := x.Detach().MulScalar(-1 / math.Sqrt2).Erfcx().PowScalar(-1).MulScalar(math.Sqrt(2 / math.Pi))
		return value.WithGradient(x, slope)
	})
}

// cdf is Φ(x).
func cdf(x torch.Tensor) torch.Tensor {
	return x.MulScalar(-1 / math.Sqrt2).Erfc().MulScalar(0.5)
}

// logLikelihood is a·(log Φ(y) − log p) + b·(log Φ(−y) − log(1−p)) for order statistics y [*, M, N] and vectors a, b and p
// of length N, p inside (0, 1). Subtracting what is expected of y before the weights, which may be as large as N, keeps
// float32 accurate where the samples are nearly Gaussian; what was subtracted is a constant for the caller to add.
func logLikelihood(s *torch.Scope, y torch.Tensor, a, b, p []float64) torch.Tensor {
	logP, logQ := make([]float64, len(p)), make([]float64, len(p))
	for i := range p {
		logP[i], logQ[i] = math.Log(p[i]), math.Log1p(-p[i])
	}
	lower := logCDF(s, y).Sub(row(s, y, logP)).Mul(row(s, y, a))
	upper := logCDF(s, y.Neg()).Sub(row(s, y, logQ)).Mul(row(s, y, b))
	return lower.Add(upper)
}
