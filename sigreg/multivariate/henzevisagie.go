package multivariate

import (
	"math"

	"github.com/gojepa/gojepa/torch"
)

// mostExponent is what exponents count as at most when they are applied to a whole statistic: beyond float32's range, and
// well inside float64's.
const mostExponent = 300

// HenzeVisagie is the squared distance between the two sides of ∇M(t) = t·M(t), which of all moment generating functions
// M(t) = E e^{t·x} only that of N(0, I) solves, for the empirical one and weighted by e^{−γ|t|²}:
//
//	N·(γ/π)^{K/2}·∫ |∇M(t) − t·M(t)|² e^{−γ|t|²} dt
//	  = (1/N) Σ_ij e^{|x_i + x_j|²/4γ}·(x_i·x_j − |x_i + x_j|²/2γ + K/2γ + |x_i + x_j|²/4γ²)
//
// (Henze & Visagie 2020, "Testing for normality in any dimension based on a partial differential equation involving the
// moment generating function", arXiv 1901.03986). Under N(0, I) and for γ > 2 its expectation is
// K·(1−2/γ)^{−K/2}·[(γ−1)²/(γ(γ−2)) + 1/2γ] at any number of samples, as pairs of different ones have the expectation 0; for
// smaller γ it is infinite. For γ > 4 so is the variance finite.
//
// It is made for heavy tails, which it sees before all else. Samples that have all collapsed to the origin have N·K/2γ,
// which with few samples is less than the expectation under N(0, I): with the default γ, with fewer than some 6·(K+4).
//
// It grows as e^{|x|²/γ} for a sample x far out. An exponent above 300 counts as 300. A value too large for its type is
// +Inf, and gradients go up to float32's largest number, or 1e150 in float64. Log avoids all that.
//
// The paper's statistic is standardised, and has (π/γ)^{K/2} as a factor, which is left out here and in the published
// package. Otherwise the package's formula is this one.
type HenzeVisagie struct {
	// Gamma is γ. 0 chooses K + 4, with which exponents are near 1 in any number of dimensions. The published package has 1,
	// with which the statistic has no expectation under N(0, I), and R's package mnt 5, which is for few dimensions.
	Gamma float64
	// Log returns the logarithm of the statistic, which has the same minimum, and neither value nor gradient that grow
	// exponentially: for use as a regulariser.
	Log bool
	// Standardise takes residuals in place of samples: see the package's comment.
	Standardise bool
}

// Validate reports every option that is out of range.
func (t HenzeVisagie) Validate() error { return checkBandwidth("gamma", t.Gamma) }

// Statistic takes x [*, N, K], N and K at least 1, to [*]. Gradient flows.
func (t HenzeVisagie) Statistic(s *torch.Scope, x torch.Tensor) torch.Tensor {
	mustBeValid("HenzeVisagie", t.Validate())
	return statistic(s, "HenzeVisagie", x, t.Standardise, t.formula)
}

// formula computes with samples y = x/√(2γ), for which |x_i + x_j|²/4γ is e = y_i·y_j + |y_i|²/2 + |y_j|²/2, and with the
// exponents less their largest.
func (t HenzeVisagie) formula(s *torch.Scope, p pairs, x torch.Tensor) (value, grad torch.Tensor) {
	n, k := float64(x.Size(1)), float64(x.Size(2))
	gamma := t.Gamma
	if gamma == 0 {
		gamma = k + 4
	}
	points, half := p.points(x.DivScalar(math.Sqrt(2 * gamma)))
	farthest, _ := half.Topk(1, 1)
	largest := farthest.MulScalar(4) // e of the farthest sample with itself
	// The factor is c·(y_i·y_j + ρ_i + ρ_j), and c stays outside: rounded, it would be wrong in the same direction in all
	// pairs.
	slope := 2 - 1/gamma
	c := 2*gamma - slope
	total := p.sum(s, points, kernel{
		features: []torch.Tensor{half.Sub(largest.MulScalar(0.5)), half.MulScalar(-slope).AddScalar(k / (4 * gamma)).DivScalar(c)},
		tile: func(k torch.Tensor, i, j []torch.Tensor, _ bool) (_, own, other torch.Tensor) {
			exp := k.Add(i[0])
			exp.Add_(j[0])
			exp = exp.Exp()
			k.Add_(i[1])
			k.Add_(j[1])
			k.Mul_(exp)
			if p.want {
				other = k.Add(exp)
				own = exp
				own.MulScalar_(-slope / c)
				own.Add_(k)
			}
			return k, own, other
		},
	})
	// An integral of a square, and so above 0.
	value = total.k.MulScalar(c/n).Clamp(0x1p-1022, math.Inf(1))
	largest = largest.Select(1, 0)
	if p.want {
		grad = points.Mul(total.own).Add(total.other).MulScalar(2 * c / (n * math.Sqrt(2*gamma)))
	}
	if t.Log {
		if p.want {
			grad = grad.Div(column(value))
		}
		return value.Log().Add(largest), grad
	}
	scale := largest.Clamp(0, mostExponent).Exp()
	if p.want {
		grad = grad.Mul(column(scale))
	}
	return value.Mul(scale), grad
}

// column makes [V] a tensor to multiply [V, N, K] by.
func column(t torch.Tensor) torch.Tensor { return t.Unsqueeze(1).Unsqueeze(2) }
