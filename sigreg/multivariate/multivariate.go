// Package multivariate tests whether samples come from the standard Gaussian N(0, I) in all their dimensions at once: each
// test gives a number that grows with the distance from it, batched, and with a gradient that lowers it. They do without
// the random directions of packages sigreg and univariate, and cost the square of the number of samples.
//
// A test is a small value with one method that computes,
//
//	Statistic(s *torch.Scope, x torch.Tensor) torch.Tensor
//
// which takes x [*, N, K], N samples of K dimensions in each of any number of views, to [*]: one statistic for each view.
// The zero values are ready for use, with a bandwidth that is chosen by the number of dimensions. The rules are the same
// for all tests:
//
//   - float32 and float64 are computed as they are. The 16-bit types are converted to float32, in which the statistic
//     comes back, while the gradient is in x's own type, and infinite where that has no number as large. In float32, value
//     and gradient are within 1e-5 of those in float64, the gradient in parts of its largest element; far from the Gaussian,
//     where float32 has not the digits for that, pairs are computed in float64.
//   - Gradient, of first order, flows into x. It is computed with the value.
//   - Memory is that of a few copies of x, in float64, and of tiles of 512 × 512 pairs, whatever the number of samples.
//   - Neither the order of samples nor a rotation of all of them matters. NaN in a view makes the view's statistic NaN, and
//     so may an infinity.
//   - Value and gradient are finite for samples up to 1e4, but for values of [HenzeVisagie] and [COMB], which grow
//     exponentially and may be infinite; never NaN.
//   - A test whose options do not pass Validate, and an x of the wrong shape or type, make it panic.
//
// # Standardised
//
// The null hypothesis is N(0, I) itself, nothing estimated: a regulariser must see location and scale. The papers that the
// tests are from ask whether samples come from any Gaussian. Their statistics are those of the residuals S^{−1/2}·(x − x̄),
// with the mean x̄ and the covariance S that divides by N, and no affine map of the samples changes them. The option
// Standardise, which is not the default, computes these, with the gradient through x̄ and S. It wants N > K.
//
// Residuals are found in float64. A direction in which the samples have less than 1e-12 of the largest variance, or of
// that and |x̄|² added, counts as one in which they have none: residuals are zero there, which the tests see as a collapse
// to zero in that direction, and the gradient has no part in it. So samples of a low rank have finite values, and samples
// that are all equal those of a collapse to the origin, without gradient. (Henze and Zirkler give samples with a singular
// covariance the largest value of their statistic, 4N.)
//
// # What they see
//
// No test sees everything. This is their power, by simulation: the share of views, in percent, in which a test at the level
// 5 % rejects 128 samples that are not N(0, I), in 4 and in 16 dimensions:
//
//	K = 4                      uniform  Laplace  mixture  collapsed  shifted  rank K/2
//	BHEP                          77       84       29        100       96      100
//	BHEP 0.1                       3        5        4          0      100       15
//	HenzeZirkler                  91       92       59        100       80      100
//	HenzeVisagie                   1       47        3        100      100      100
//	COMB                         100       99       18          0       10       41
//	BHEP 1 standardised          100       99       79          7        7      100
//	HenzeZirkler standardised    100       98       87          7        5      100
//	HenzeVisagie standardised      0       93        2          7        3      100
//	COMB standardised            100       99       22          7        7        0
//
//	K = 16
//	BHEP                          17       55        3        100       87      100
//	BHEP 0.1                       3        3        3        100       96       30
//	HenzeZirkler                  43       89        6        100       18      100
//	HenzeVisagie                   1       34        3          0       98      100
//	COMB                         100      100        6          0        5       28
//	BHEP 1 standardised           78       82        9          5        8      100
//	HenzeZirkler standardised     78       82       10          5        8      100
//	HenzeVisagie standardised      0       99        4          6        7      100
//	COMB standardised            100       99        7          7        5        0
//
// The first three have mean 0 and covariance I: coordinates are independent, and uniform, Laplace's or, in one of them, a
// mixture of two equal Gaussians 1.8 apart. Collapsed is N(0, 0.01·I), shifted has the mean 0.5 in one coordinate, and rank
// K/2 varies in half the dimensions, with variance 2. Bandwidths are the default ones where none is given.
//
// [COMB] and all that is standardised do not see scale: a regulariser that uses them needs another test beside it, or
// embeddings may collapse without its noticing. [HenzeVisagie] sees heavy tails, and collapse only with enough samples. The
// more dimensions there are, the less do [BHEP] and [HenzeZirkler] see besides location and covariance.
package multivariate

import (
	"fmt"
	"math"

	"github.com/gojepa/gojepa/torch"
)

// check panics, with a word about what was expected, where x is not [*, N, K] of a floating-point type.
func check(test string, x torch.Tensor, standardise bool) {
	expected := "expected [*, N, K] with N and K >= 1"
	if standardise {
		expected = "expected [*, N, K] with N > K >= 1 to standardise"
	}
	if !x.Defined() {
		panic(fmt.Sprintf("multivariate: %s: x is the zero Tensor, %s", test, expected))
	}
	if d := x.DType(); !d.IsFloat() {
		panic(fmt.Sprintf("multivariate: %s: x is %s, expected a floating-point type", test, d))
	}
	shape := x.Shape()
	d := len(shape)
	if d < 2 || shape[d-2] < 1 || shape[d-1] < 1 || standardise && shape[d-2] <= shape[d-1] {
		panic(fmt.Sprintf("multivariate: %s: x has shape %v, %s", test, shape, expected))
	}
}

func mustBeValid(test string, err error) {
	if err != nil {
		panic(fmt.Sprintf("multivariate: %s: %v", test, err))
	}
}

// Bandwidths are held to what float32 can take to powers.
const leastBandwidth, mostBandwidth = 1e-3, 1e6

// checkBandwidth allows 0, which stands for a bandwidth that the test chooses.
func checkBandwidth(name string, v float64) error {
	if v == 0 || v >= leastBandwidth && v <= mostBandwidth {
		return nil
	}
	return fmt.Errorf("%s: %g, expected 0, or %g to %g", name, v, leastBandwidth, mostBandwidth)
}

// formula takes samples x [V, N, K], float64, to the statistic of each view [V] and, if p.want is set, its derivative
// [V, N, K], both float64.
type formula func(s *torch.Scope, p pairs, x torch.Tensor) (value, grad torch.Tensor)

// statistic is what all tests have in common: it takes x [*, N, K] to the formula's value [*], with its gradient.
func statistic(s *torch.Scope, test string, x torch.Tensor, standardise bool, f formula) torch.Tensor {
	check(test, x, standardise)
	return s.Child(func(s *torch.Scope) torch.Tensor {
		if x.DType().Size() < 4 {
			x = x.To(torch.Float32)
		}
		shape := x.Shape()
		d := len(shape)
		lead := shape[: d-2 : d-2]
		views := int64(1)
		for _, v := range lead {
			views *= v
		}
		p := pairs{dtype: x.DType(), want: s.GradEnabled() && x.RequiresGrad(), edge: tileEdge}
		var value, grad torch.Tensor
		s.NoGrad(func() {
			s.Autocast(torch.Float32, func() {
				value, grad = evaluate(s, p, x.Detach().Reshape(views, shape[d-2], shape[d-1]), standardise, f)
			})
		})
		value = value.Reshape(append(lead, 1, 1)...)
		if p.want {
			value = value.WithGradient(x, grad.Reshape(shape...))
		}
		return value.Select(-1, 0).Select(-1, 0)
	})
}

// evaluate returns the formula's value and gradient for x [V, N, K] in x's type.
func evaluate(s *torch.Scope, p pairs, x torch.Tensor, standardise bool, f formula) (value, grad torch.Tensor) {
	if x.Numel() == 0 {
		return s.Zeros(p.dtype, x.Size(0)), s.Zeros(p.dtype, x.Shape()...)
	}
	s.Child(func(s *torch.Scope) torch.Tensor {
		z := x.To(torch.Float64)
		var r residuals
		if standardise {
			r = newResiduals(s, z)
			z = r.z
		}
		value, grad = f(s, p, z)
		value = value.To(p.dtype)
		s.Return(value)
		if p.want {
			grad = bounded(grad, p.dtype)
			if standardise {
				grad = bounded(r.back(grad), p.dtype)
			}
			grad = grad.To(p.dtype)
			s.Return(grad)
		}
		return torch.Tensor{}
	})
	return value, grad
}

// bounded keeps a gradient finite: in the range of float32, or where products of it stay in float64's.
func bounded(grad torch.Tensor, dtype torch.DType) torch.Tensor {
	most := 1e150
	if dtype == torch.Float32 {
		most = math.MaxFloat32
	}
	return grad.Clamp(-most, most)
}
