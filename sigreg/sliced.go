package sigreg

import (
	"errors"
	"fmt"
	"math"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/torch"
)

// Test is a test of samples against the standard Gaussian: [EppsPulley], or one of package univariate.
type Test interface {
	// Statistic takes projections x [*, N, M] over their N samples to [*, M]. Gradient flows into x.
	Statistic(s *torch.Scope, x torch.Tensor) torch.Tensor
}

// Sliced puts projections of embeddings to a univariate test. By the theorem of Cramér and Wold the embeddings are
// standard Gaussian if their projections on all directions are (arXiv 2511.08544, section 4.1).
type Sliced struct {
	Test      Test
	Reduction Reduction
	// Clip, if above 0, has statistics below it count as 0, without gradient: what is close enough is left alone. NaN is
	// never clipped.
	Clip float64
}

// Reduction is what becomes of the statistics of all slices.
type Reduction int

// The reductions.
const (
	ReduceMean Reduction = iota // over all views and slices, a scalar
	ReduceSum                   // over all views and slices, a scalar
	ReduceNone                  // they stay as they are
)

// Validate reports every value that is out of range.
func (t Sliced) Validate() error {
	var errs []error
	if t.Test == nil {
		errs = append(errs, errors.New("test: none, expected EppsPulley or one of package univariate"))
	} else if v, ok := t.Test.(interface{ Validate() error }); ok {
		errs = append(errs, v.Validate())
	}
	if t.Reduction < ReduceMean || t.Reduction > ReduceNone {
		errs = append(errs, fmt.Errorf("reduction: %d, expected ReduceMean, ReduceSum or ReduceNone", t.Reduction))
	}
	if !(t.Clip >= 0) || math.IsInf(t.Clip, 0) {
		errs = append(errs, fmt.Errorf("clip: %g, expected a number from 0", t.Clip))
	}
	return errors.Join(errs...)
}

// Statistic takes embeddings z [*, N, K] and directions a [K, M], unit columns, to a scalar or, unreduced, to [*, M].
// Gradient flows into z, not into a. z of a 16-bit type is taken to float32, and a with it. It panics if t does not pass
// Validate, and on other shapes and types.
func (t Sliced) Statistic(s *torch.Scope, z, a torch.Tensor) torch.Tensor {
	checkType("Sliced", z)
	shape := z.Shape()
	d := len(shape)
	if d < 2 {
		panic(fmt.Sprintf("sigreg: Sliced of z %v: expected [*, N, K]", shape))
	}
	return s.Child(func(s *torch.Scope) torch.Tensor {
		z = z.Reshape(product(shape[:d-2]), shape[d-2], shape[d-1])
		if t.Reduction == ReduceNone {
			return t.statistics(s, z, a).Reshape(append(shape[:d-2:d-2], a.Size(-1))...)
		}
		mean, statistics := t.Mean(s, z, a)
		if t.Reduction == ReduceSum {
			return mean.MulScalar(float64(statistics.Numel()))
		}
		return mean
	})
}

// Mean is the mean of the statistics over the V views of z [V, N, K] and the M slices a [K, M], a scalar whose gradient
// flows into z, and the statistics [V, M] themselves, clipped and without gradient. Reduction does not matter.
//
// EppsPulley is computed by [EppsPulley.Mean] where nothing is clipped. Otherwise there are V·N·M projections in memory,
// and what autograd keeps of the test.
func (t Sliced) Mean(s *torch.Scope, z, a torch.Tensor) (mean, statistics torch.Tensor) {
	if e, ok := t.Test.(EppsPulley); ok && t.Clip == 0 {
		t.mustBeValid()
		return e.Mean(s, z, a)
	}
	s.Child(func(s *torch.Scope) torch.Tensor {
		v := t.statistics(s, z, a)
		mean, statistics = v.Mean(), v.Detach()
		s.Return(mean, statistics)
		return torch.Tensor{}
	})
	return mean, statistics
}

// Expected is the expectation of the mean for n samples of a standard Gaussian: a value near it says that the test sees no
// difference. It is [EppsPulley.Expected] where nothing is clipped, and otherwise the mean of a million samples in sets of
// n, always the same ones.
func (t Sliced) Expected(s *torch.Scope, n int64) float64 {
	if e, ok := t.Test.(EppsPulley); ok && t.Clip == 0 {
		return e.Expected()
	}
	if n < 1 {
		panic(fmt.Sprintf("sigreg: Expected of %d samples: expected 1 or more", n))
	}
	const samples = 1 << 20
	var mean float64
	s.NoGrad(func() {
		s.Child(func(s *torch.Scope) torch.Tensor {
			x := s.Randn(rng.New(0, rng.Simulation, 0, 0), torch.Float32, max(1, samples/n), n, 1)
			value, _ := t.Mean(s, x, s.Ones(torch.Float32, 1, 1))
			mean = value.Item()
			return torch.Tensor{}
		})
	})
	return mean
}

// statistics is the test of all projections, clipped, as [V, M], made of some slices at a time.
func (t Sliced) statistics(s *torch.Scope, z, a torch.Tensor) torch.Tensor {
	t.mustBeValid()
	checkSlices("Sliced", z, a)
	return s.Child(func(s *torch.Scope) (v torch.Tensor) {
		s.Autocast(torch.Float32, func() { v = t.projected(s, wide(z), a.Detach()) })
		return v
	})
}

// projected is statistics of embeddings that are wide enough, outside of autocast.
func (t Sliced) projected(s *torch.Scope, z, a torch.Tensor) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		a := a.To(z.DType())
		m := a.Size(1)
		size := min(m, max(1, slabElements/(z.Size(0)*z.Size(1))))
		var parts []torch.Tensor
		for first := int64(0); first < m; first += size {
			parts = append(parts, s.Child(func(s *torch.Scope) torch.Tensor {
				return t.Test.Statistic(s, z.Matmul(a.Narrow(1, first, min(size, m-first))))
			}))
		}
		v := torch.Cat(parts, -1)
		if t.Clip > 0 {
			v = v.Mul(v.Detach().GeScalar(t.Clip).To(v.DType()))
		}
		return v
	})
}

func (t Sliced) mustBeValid() {
	if err := t.Validate(); err != nil {
		panic(fmt.Sprintf("sigreg: Sliced: %v", err))
	}
}
