package multivariate

import (
	"math"

	"github.com/gojepa/gojepa/torch"
)

// COMB combines the characteristic and the moment generating function: the product of the former's real part R(t) and the
// latter M(t) is 1 for Gaussians of mean 0, whatever their covariance, and for no other distributions. For the empirical
// ones and weighted by e^{−γ|t|²} it is N·D² with the distance
//
//	D = (γ/π)^{K/2}·∫ (R(t)·M(t) − 1) e^{−γ|t|²} dt = (1/N²) Σ_ij e^{(|x_i|² − |x_j|²)/4γ}·cos(x_i·x_j/2γ) − 1
//
// (after Henze, Jiménez-Gamero & Meintanis 2019, "Characterizations of multinormality and corresponding tests of fit,
// including for GARCH models", arXiv 1706.03029, whose own statistic integrates the square of R·M − 1, standardised, and
// costs N⁴). Under N(0, I) and for γ > ½ the expectation of √N·D is (Re (1 − i/γ)^{−K/2} − 1)/√N, and for γ > 1 its
// variance is finite.
//
// It does not see scale, nor collapse to the origin, which has the value 0. It grows as e^{|x|²/2γ} for a sample x far out,
// with values and gradients bounded as [HenzeVisagie]'s are.
//
// The published package returns √N·D, as Signed does. That has either sign, and as a loss falls without bound as samples go
// far out.
type COMB struct {
	// Gamma is γ. 0 chooses 1.5·√K, with which exponents and angles are of a size with 1 in any number of dimensions. The
	// published package has 0.1, with which √N·D has no expectation under N(0, I).
	Gamma float64
	// Signed returns √N·D, for tests of one side and comparison with the published package.
	Signed bool
	// Standardise takes residuals in place of samples: see the package's comment.
	Standardise bool
}

// Validate reports every option that is out of range.
func (t COMB) Validate() error { return checkBandwidth("gamma", t.Gamma) }

// Statistic takes x [*, N, K], N and K at least 1, to [*]. Gradient flows.
func (t COMB) Statistic(s *torch.Scope, x torch.Tensor) torch.Tensor {
	mustBeValid("COMB", t.Validate())
	return statistic(s, "COMB", x, t.Standardise, t.formula)
}

// formula computes with samples y = x/√(2γ), whose half squares r are the exponents: e^{r_i − r_j} is the product of two
// numbers that belong to samples, u_i = e^{r_i − max r} and v_j = e^{min r − r_j}, times e^{max r − min r}.
func (t COMB) formula(s *torch.Scope, p pairs, x torch.Tensor) (value, grad torch.Tensor) {
	n, k := float64(x.Size(1)), float64(x.Size(2))
	gamma := t.Gamma
	if gamma == 0 {
		gamma = 1.5 * math.Sqrt(k)
	}
	points, half := p.points(x.DivScalar(math.Sqrt(2 * gamma)))
	most, _ := half.Topk(1, 1)
	least, _ := half.Neg().Topk(1, 1)
	total := p.sum(s, points, kernel{
		features: []torch.Tensor{half.Sub(most).Exp(), half.Add(least).Neg().Exp()},
		tile: func(product torch.Tensor, i, j []torch.Tensor, _ bool) (k, own, other torch.Tensor) {
			up, down := i[0].Mul(j[1]), i[1].Mul(j[0])
			cos, both := product.Cos(), up.Add(down)
			k = both.Mul(cos)
			if p.want {
				own = up.Sub(down)
				own.Mul_(cos)
				product.Sin_()
				product.Mul_(both)
				other = product.Neg()
			}
			return k, own, other
		},
		odd: true,
	})
	// The kernel counted both orders of a pair.
	scale := most.Add(least).Select(1, 0).Clamp(0, mostExponent).Exp().DivScalar(2 * n * n)
	distance := total.k.Mul(scale).SubScalar(1)
	if p.want {
		grad = points.Mul(total.own).Add(total.other).MulScalar(2 / math.Sqrt(2*gamma)).Mul(column(scale))
	}
	if t.Signed {
		if p.want {
			grad = grad.MulScalar(math.Sqrt(n))
		}
		return distance.MulScalar(math.Sqrt(n)), grad
	}
	if p.want {
		grad = grad.Mul(column(distance)).MulScalar(2 * n)
	}
	return distance.Square().MulScalar(n), grad
}
