package multivariate

import (
	"math"

	"github.com/gojepa/gojepa/torch"
)

// BHEP is the squared distance between the empirical characteristic function and the Gaussian's, weighted by the density
// φ_β of N(0, β²·I):
//
//	N·∫ |(1/N) Σ_j e^{i t·x_j} − e^{−|t|²/2}|² φ_β(t) dt
//	  = (1/N) Σ_ij e^{−β²|x_i − x_j|²/2} − 2·(1+β²)^{−K/2} Σ_i e^{−β²|x_i|²/(2+2β²)} + N·(1+2β²)^{−K/2}
//
// (Epps & Pulley 1983 in one dimension; Baringhaus & Henze 1988, "A consistent test for multivariate normality based on the
// empirical characteristic function"; Henze & Zirkler 1990). Under N(0, I) its expectation is 1 − (1+2β²)^{−K/2} at any
// number of samples: at each t the empirical function varies by (1 − e^{−|t|²})/N. With Standardise it is
// 1 − a^{−K/2}·[1 + Kβ²/a + K(K+2)β⁴/(2a²)] with a = 1 + 2β² for many samples.
//
// It lies between 0 and 4N. Samples that have all collapsed to the origin have N·[1 − 2·(1+β²)^{−K/2} + (1+2β²)^{−K/2}], and
// samples far out next to no gradient.
//
// The published package has the same formula without the factor N, is not standardised either, and takes shapes [N, K]
// alone.
type BHEP struct {
	// Beta is β. A small one compares means and covariances, a large one the neighbourhoods of samples. 0 chooses 2/√K,
	// with which the kernel e^{−β²|x_i − x_j|²/2} of two Gaussian samples is about e⁻⁴ in any number of dimensions. The
	// published package has 0.1, with which samples in a few dimensions can collapse unseen.
	Beta float64
	// Standardise takes residuals in place of samples: see the package's comment.
	Standardise bool
}

// Validate reports every option that is out of range.
func (t BHEP) Validate() error { return checkBandwidth("beta", t.Beta) }

// Statistic takes x [*, N, K], N and K at least 1, to [*]. Gradient flows.
func (t BHEP) Statistic(s *torch.Scope, x torch.Tensor) torch.Tensor {
	mustBeValid("BHEP", t.Validate())
	return statistic(s, "BHEP", x, t.Standardise, func(s *torch.Scope, p pairs, x torch.Tensor) (value, grad torch.Tensor) {
		beta := t.Beta
		if beta == 0 {
			beta = 2 / math.Sqrt(float64(x.Size(2)))
		}
		return bhep(s, p, x, beta)
	})
}

// HenzeZirkler is [BHEP] with a bandwidth by the numbers of samples and dimensions, with which it compares an
// estimate of the samples' density, of the best bandwidth if they are Gaussian, with the Gaussian's:
//
//	β = ((2K+1)·N/4)^{1/(K+4)} / √2
//
// (Henze & Zirkler 1990, "A class of invariant consistent tests for multivariate normality"). It is for few dimensions. In
// 32, two of 256 Gaussian samples have a kernel of about e⁻²⁵, so that samples do not see each other: the statistic is near
// 1 whatever they are, unless they come together, and the gradient faint.
//
// The paper's is standardised, and 4N where the covariance is singular. The published package's is not, and has no factor N.
type HenzeZirkler struct {
	// Standardise takes residuals in place of samples: see the package's comment.
	Standardise bool
}

// Statistic takes x [*, N, K], N and K at least 1, to [*]. Gradient flows.
func (t HenzeZirkler) Statistic(s *torch.Scope, x torch.Tensor) torch.Tensor {
	return statistic(s, "HenzeZirkler", x, t.Standardise, func(s *torch.Scope, p pairs, x torch.Tensor) (value, grad torch.Tensor) {
		n, k := float64(x.Size(1)), float64(x.Size(2))
		return bhep(s, p, x, math.Pow((2*k+1)*n/4, 1/(k+4))/math.Sqrt2)
	})
}

// bhep is the formula of [BHEP]: (1/N) Σ_ij k_ij − 2 Σ_i h_i + N·c for the kernel k_ij, its mean h_i over one Gaussian
// sample and its mean c over two. A kernel that varies little is taken less c, as are its means, which changes nothing but
// leaves digits to what varies.
func bhep(s *torch.Scope, p pairs, x torch.Tensor, beta float64) (value, grad torch.Tensor) {
	n, k := float64(x.Size(1)), float64(x.Size(2))
	b2 := beta * beta
	// The kernel and its means are scale·(f + base), f in their place below.
	exp, scale, base := torch.Tensor.Exp, 1.0, 0.0
	c := math.Pow(1+2*b2, -k/2)
	if c > 0.1 {
		exp, scale, base, c = torch.Tensor.Expm1, c, 1, 0
	}
	logScale := math.Log(scale)

	// Distances do not change with the mean, and have more digits without.
	y := x.Sub(x.MeanDim(1, true)).MulScalar(beta)
	points, half := p.points(y)
	total := p.sum(s, points, kernel{
		features: []torch.Tensor{half.AddScalar(logScale / 2)},
		tile: func(product torch.Tensor, i, j []torch.Tensor, diagonal bool) (k, own, other torch.Tensor) {
			product.Sub_(i[0])
			product.Sub_(j[0])
			k = exp(product.Clamp(math.Inf(-1), -logScale))
			if diagonal {
				k.Diagonal().Zero_() // what samples are to themselves has no derivative, and is added below
			}
			return k, torch.Tensor{}, k // the derivative is the kernel times y_j − y_i
		},
	})
	h := exp(x.Square().SumDim(2, true).MulScalar(-b2 / (2 + 2*b2)).AddScalar(-k/2*math.Log1p(b2) - logScale))

	value = total.k.DivScalar(n).AddScalar(1/scale - base)
	value = value.Sub(h.SumDim(1, false).Select(1, 0).MulScalar(2)).AddScalar(n * c).MulScalar(scale)
	if !p.want {
		return value, grad
	}
	// Of the base, −N·y_i is left here, as the y_j add up to zero.
	grad = total.other.Sub(y.Mul(total.own.AddScalar(n * base))).MulScalar(beta / n)
	grad = grad.Add(x.Mul(h.AddScalar(base)).MulScalar(b2 / (1 + b2)))
	return value, grad.MulScalar(2 * scale)
}
