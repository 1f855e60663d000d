// Package univariate tests whether samples come from the standard Gaussian N(0, 1): each test gives a number that grows
// with the distance from it, batched, and with a gradient that lowers it. Sliced over random directions they regularise
// embeddings as package sigreg's Epps–Pulley statistic does (Balestriero & LeCun 2025, arXiv 2511.08544, section 4.2).
//
// A test is a small value with one method that computes,
//
//	Statistic(s *torch.Scope, x torch.Tensor) torch.Tensor
//
// which takes x [*, N, M], N samples in each of any number of views and M slices, to [*, M]: one statistic for each
// view and slice. Its rules are the same for all tests:
//
//   - float32 and float64 are computed as they are. The 16-bit types are converted to float32, in which the statistic
//     comes back, while the gradient is in x's own type, and infinite where that has no number as large.
//   - Gradient, of first order, flows into x by autograd. Samples that are equal are ranked in their order, so that the
//     gradient is the same on every run.
//   - The order of samples does not matter. NaN in a slice makes the slice's statistic NaN, and so may an infinity.
//   - Value and gradient are finite for samples up to 1e4 in float32, collapsed ones included, which the tests that
//     divide by a variance say how they treat. [Moments] holds as long as the powers fit.
//   - A test whose options do not pass Validate, and an x of the wrong shape, type or number of samples, make it panic.
//
// # What they see
//
// No test sees everything. This is their power, by simulation: the share of slices, in percent, in which a test at the level
// 5 % rejects 256 samples that are not N(0, 1):
//
//	                    uniform  Laplace  mixture  collapsed  shifted  rank 2
//	sigreg's EppsPulley    85       85      100       100       100      77
//	AndersonDarling        82       77      100       100       100      73
//	CramerVonMises         61       70      100       100       100      65
//	Watson                 97       97      100       100       100      79
//	ShapiroWilk           100       99      100         6         6       1
//	VCReg                   2       17        2       100       100      81
//	ExtendedJarqueBera    100       98      100       100       100      79
//	Moments                 5       30        4       100       100      47
//	Entropy               100       76      100         5         5       0
//	NLL                    81       78      100       100       100      72
//
// The first three have mean 0 and variance 1; the mixture is of two equal Gaussians 1.8 apart. Collapsed is N(0, 0.01),
// shifted N(0.5, 1). The last is a Gaussian batch that varies in 2 of 16 dimensions, with variance 1 on average, projected
// on random directions.
//
// [ShapiroWilk] and [Entropy] are the same for a + b·x as for x: a regulariser that uses one of them needs another beside
// it, or embeddings may collapse without its noticing. [VCReg] is blind to shape, and [Moments] nearly so with the default
// of four. Those that sort cost N·log N for a slice; VCReg, ExtendedJarqueBera and Moments cost N.
package univariate

import (
	"fmt"
	"math"

	"github.com/gojepa/gojepa/torch"
)

// samples returns x [*, N, M] in the type to compute in, and N, or panics with a word about what was expected.
func samples(test string, x torch.Tensor, least int64) (torch.Tensor, int64) {
	if !x.Defined() {
		panic(fmt.Sprintf("univariate: %s: x is the zero Tensor, expected [*, N, M] with N >= %d", test, least))
	}
	if d := x.DType(); !d.IsFloat() {
		panic(fmt.Sprintf("univariate: %s: x is %s, expected a floating-point type", test, d))
	}
	if x.Dim() < 2 || x.Size(-2) < least {
		panic(fmt.Sprintf("univariate: %s: x has shape %v, expected [*, N, M] with N >= %d", test, x.Shape(), least))
	}
	n := x.Size(-2)
	if d := x.DType(); d == torch.Float16 || d == torch.BFloat16 {
		x = x.To(torch.Float32)
	}
	return x, n
}

// ordered returns the order statistics of x [*, N, M] as [*, M, N]: sorting and summing are fastest along memory.
func ordered(x torch.Tensor) torch.Tensor {
	values, _ := x.Transpose(-2, -1).Contiguous().Sort(-1)
	return values
}

// row makes a vector of x's type.
func row(s *torch.Scope, x torch.Tensor, v []float64) torch.Tensor {
	return s.FromFloat64(v, int64(len(v))).To(x.DType())
}

// table is the vector of f(i) for i = 1 … n, the ranks of the order statistics.
func table(n int64, f func(i float64) float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = f(float64(i + 1))
	}
	return v
}

func mustBeValid(test string, err error) {
	if err != nil {
		panic(fmt.Sprintf("univariate: %s: %v", test, err))
	}
}

// inUnitRange maps the order statistics y [*, M, N] to [0, 1], or to 0 where all are equal. It returns their deviations
// from the mean, the sum of the deviations' squares, and the range that y was divided by, the last two [*, M, 1].
//
// It is for statistics that neither location nor scale changes: their gradient is the same if the map is taken as fixed,
// as it is here, and all numbers that they meet are then of a size with 1.
func inUnitRange(y torch.Tensor) (deviations, squares, width torch.Tensor) {
	least := 0x1p-126 // the smallest normal number, whose reciprocal is finite too
	if y.DType() == torch.Float64 {
		least = 0x1p-1022
	}
	d := y.Detach()
	lo, hi := d.Narrow(-1, 0, 1), d.Narrow(-1, y.Size(-1)-1, 1)
	width = hi.Sub(lo).Clamp(least, math.Inf(1))
	unit := y.Sub(lo).Div(width)
	deviations = unit.Sub(unit.MeanDim(-1, true))
	return deviations, deviations.Square().SumDim(-1, true), width
}
