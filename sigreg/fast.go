package sigreg

import (
	"fmt"

	"github.com/gojepa/gojepa/torch"
)

// slabElements is how many projections are held at a time, 8 MB in float32: enough for the matrix products to run at full
// speed, and flat whatever the sizes of batch and slices.
const slabElements = 1 << 21

// rowElements is how many projections a row counts as at least: its moments take as much memory.
const rowElements = 128

// Mean is SIGReg: the mean of the statistic over the V views of z [V, N, K] and the M slices a [K, M], a scalar whose
// gradient, of first order, flows into z, and the statistics [V, M] themselves, without gradient. A NaN in z makes both
// NaN; both are finite wherever the projections are. z of a 16-bit type is taken to float32, and a with it: both results
// are float32, and the gradient arrives in z's type. Other types and shapes panic.
//
// It is [EppsPulley.Direct] computed otherwise. The knots are equally spaced, so that the cosines and sines of a
// projection at all of them follow from one of each by a few products; sums over samples become matrix products of a few
// rows; and the gradient, a sum of cosines and sines with known coefficients, is made of the same rows. Nothing of the
// size of all knots is ever stored: see harmonics.go and tile.go. Beyond z and its gradient it takes the memory of 2²¹
// projections, or of one slice where that is more, of the moments of as many, and of one tile for each thread. On CUDA a
// tile is of that size, and its harmonics take some 16 times as much.
func (e EppsPulley) Mean(s *torch.Scope, z, a torch.Tensor) (mean, statistics torch.Tensor) {
	return e.MeanAcross(s, z, a, Ranks{})
}

// Ranks is a group of processes, each with a part of one batch: as many views and samples on every rank, tested by the same
// rule on the same directions. The zero value is a process alone.
type Ranks struct {
	Size int // of the group
	// Mean replaces moments, float64, by its mean over the group's ranks, element by element; every rank calls it equally
	// often, with equal shapes. The moments are the means of cosines and sines over the rank's samples, less the
	// Gaussian's: their mean over ranks is that of the whole batch.
	Mean func(s *torch.Scope, moments torch.Tensor)
	// Sum says what becomes of the parameters' gradients. If they are summed over the ranks, each rank's is the
	// derivative of the whole batch's statistic by its own samples. If they are averaged, as PyTorch's
	// DistributedDataParallel does and the zero value means, each rank's is Size times that. Either way what comes out is
	// the gradient of one process with the whole batch.
	Sum bool
}

// MeanAcross is Mean of the batch that the ranks hold together. Its value is the same on every rank.
func (e EppsPulley) MeanAcross(s *torch.Scope, z, a torch.Tensor, ranks Ranks) (mean, statistics torch.Tensor) {
	e.mustBeValid()
	checkSlices("Mean", z, a)
	if ranks.Size < 0 || ranks.Size > 1 && ranks.Mean == nil || ranks.Size < 1 && ranks.Mean != nil {
		panic(fmt.Sprintf("sigreg: Ranks: size %d, expected that of the group, with a Mean if it is above 1", ranks.Size))
	}
	s.Child(func(s *torch.Scope) torch.Tensor {
		z := wide(z)
		want := s.GradEnabled() && z.RequiresGrad()
		var grad torch.Tensor
		s.NoGrad(func() { statistics, grad = e.sliced(s, z.Detach(), a.To(z.DType()), want, ranks) })
		mean = statistics.Mean()
		if want {
			mean = mean.WithGradient(z, grad)
		}
		s.Return(mean, statistics)
		return torch.Tensor{}
	})
	return mean, statistics
}

// Statistics is what [EppsPulley.Direct] is, the statistic of z [V, N, K] on the directions a [K, M] as [V, M], but
// without gradient, and computed as [EppsPulley.Mean] is.
func (e EppsPulley) Statistics(s *torch.Scope, z, a torch.Tensor) (statistics torch.Tensor) {
	s.NoGrad(func() { _, statistics = e.Mean(s, z, a) })
	return statistics
}

// Statistic is the statistic of projections x [*, N, M] over their N samples, as [*, M], of a tensor that is there
// already; gradient, of first order, flows into x. It makes a second tensor of the size of x where a gradient is wanted.
// Types are as in [EppsPulley.Mean].
func (e EppsPulley) Statistic(s *torch.Scope, x torch.Tensor) torch.Tensor {
	if !x.Defined() {
		panic("sigreg: EppsPulley: x is the zero Tensor, expected [*, N, M] with N >= 1")
	}
	if d := x.DType(); !d.IsFloat() {
		panic(fmt.Sprintf("sigreg: EppsPulley: x is %s, expected a floating-point type", d))
	}
	shape := x.Shape()
	if d := len(shape); d < 2 || shape[d-2] < 1 {
		panic(fmt.Sprintf("sigreg: EppsPulley: x has shape %v, expected [*, N, M] with N >= 1", shape))
	}
	e.mustBeValid()
	return s.Child(func(s *torch.Scope) torch.Tensor {
		x := wide(x)
		d := len(shape)
		views, n, m := product(shape[:d-2]), shape[d-2], shape[d-1]
		want := s.GradEnabled() && x.RequiresGrad()
		var value, grad torch.Tensor
		s.NoGrad(func() {
			var out torch.Tensor
			if want {
				grad = s.Empty(x.DType(), shape...)
				out = grad.Reshape(views, n, m)
			}
			value = e.projected(s, x.Detach().Reshape(views, n, m), out)
		})
		value = value.Reshape(append(shape[:d-2:d-2], 1, m)...)
		if want {
			value = value.WithGradient(x, grad)
		}
		return value.Select(-2, 0)
	})
}

// sliced returns the statistics [V, M] of z [V, N, K] on a [K, M] and, if want is set, the gradient of their mean by z.
func (e EppsPulley) sliced(s *torch.Scope, z, a torch.Tensor, want bool, ranks Ranks) (statistics, grad torch.Tensor) {
	v, n, k, m := z.Size(0), z.Size(1), z.Size(2), a.Size(1)
	scale := 1 / float64(v*m)
	if ranks.Size > 1 && !ranks.Sum {
		scale *= float64(ranks.Size)
	}
	flat := z.Reshape(v*n, k)
	size := min(m, max(1, slabElements/(v*max(n, rowElements))))
	p := newPass(s, e, z.DType(), size*v, n, scale, want, ranks)
	statistics = s.Empty(z.DType(), v, m)
	var rows torch.Tensor // of the gradient
	if want {
		grad = s.Empty(z.DType(), v, n, k) // itself no view of another tensor, so that autograd may have its memory
		rows = grad.Reshape(v*n, k)
		if size < m {
			rows.Zero_()
		}
	}
	for first := int64(0); first < m; first += size {
		count := min(size, m-first)
		s.Child(func(s *torch.Scope) torch.Tensor {
			directions := a.Narrow(1, first, count).T() // [count, K]
			angle := p.angle.Narrow(0, 0, count*v*n)
			angle.Reshape(count, v*n).MatmulTo(directions.MulScalar(p.h.step), flat.T())
			slab := p.run(s, count*v)
			statistics.Narrow(1, first, count).Copy_(slab.Reshape(count, v).T())
			if want {
				g := angle.Reshape(count, v*n).T()
				if size < m {
					rows.AddmmTo(rows, g, directions)
				} else {
					rows.MatmulTo(g, directions)
				}
			}
			return torch.Tensor{}
		})
	}
	return statistics, grad
}

// projected returns the statistics [V, M] of x [V, N, M] and writes the gradient of each by x into grad, unless that is the
// zero Tensor.
func (e EppsPulley) projected(s *torch.Scope, x, grad torch.Tensor) torch.Tensor {
	v, n, m := x.Size(0), x.Size(1), x.Size(2)
	statistics := s.Empty(x.DType(), v, m)
	if v == 0 || m == 0 {
		return statistics
	}
	want := grad.Defined()
	// Whole views where they are small, and some slices of one view where not.
	slices := min(m, max(1, slabElements/max(n, rowElements)))
	views := min(v, max(1, slabElements/(max(n, rowElements)*m)))
	p := newPass(s, e, x.DType(), views*slices, n, 1, want, Ranks{})
	for view := int64(0); view < v; view += views {
		for slice := int64(0); slice < m; slice += slices {
			c, d := min(views, v-view), min(slices, m-slice)
			s.Child(func(s *torch.Scope) torch.Tensor {
				part := func(t torch.Tensor) torch.Tensor {
					return t.Narrow(0, view, c).Narrow(2, slice, d).Transpose(1, 2)
				}
				angle := p.angle.Narrow(0, 0, c*d*n).Reshape(c, d, n)
				angle.Copy_(part(x))
				angle.MulScalar_(p.h.step)
				statistics.Narrow(0, view, c).Narrow(1, slice, d).Copy_(p.run(s, c*d).Reshape(c, d))
				if want {
					part(grad).Copy_(angle)
				}
				return torch.Tensor{}
			})
		}
	}
	return statistics
}

func product(shape []int64) int64 {
	n := int64(1)
	for _, size := range shape {
		n *= size
	}
	return n
}

// wide takes 16-bit types to float32.
func wide(x torch.Tensor) torch.Tensor {
	if x.DType().Size() < 4 {
		return x.To(torch.Float32)
	}
	return x
}

func (e EppsPulley) mustBeValid() {
	if err := e.Validate(); err != nil {
		panic(fmt.Sprintf("sigreg: EppsPulley: %v", err))
	}
}

func checkType(what string, x torch.Tensor) {
	if !x.Defined() {
		panic(fmt.Sprintf("sigreg: %s of the zero Tensor", what))
	}
	if d := x.DType(); !d.IsFloat() {
		panic(fmt.Sprintf("sigreg: %s of %v: expected float32, float64, bfloat16 or float16", what, d))
	}
}

// checkSlices panics where z is not [V, N, K] or a is not [K, M].
func checkSlices(what string, z, a torch.Tensor) {
	checkType(what, z)
	checkType(what, a)
	zs, as := z.Shape(), a.Shape()
	ok := len(zs) == 3 && len(as) == 2 && zs[2] == as[0]
	for _, n := range append(append([]int64(nil), zs...), as...) {
		ok = ok && n > 0
	}
	if !ok {
		panic(fmt.Sprintf("sigreg: %s of z %v on directions %v: expected [V, N, K] and [K, M], each 1 or more", what, zs, as))
	}
}
