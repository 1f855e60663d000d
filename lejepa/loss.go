// Package lejepa is the objective of LeJEPA (Balestriero & LeCun 2025, arXiv 2511.08544): views of one image predict each
// other's embedding, and SIGReg keeps the embeddings Gaussian, so that they cannot collapse. There is no teacher, no
// stop-gradient and no schedule of the objective; lambda is its one hyper-parameter.
//
// [Compute] is the whole objective. [Model] is what is trained: an [Encoder] and a [Projector].
package lejepa

import (
	"errors"
	"fmt"
	"math"

	"github.com/gojepa/gojepa/sigreg"
	"github.com/gojepa/gojepa/torch"
)

// Objective is the configuration of the loss.
type Objective struct {
	Lambda float64       // weight of SIGReg, in [0, 1]; the prediction loss has 1 − Lambda
	Test   sigreg.Test   // the test that each slice is put to
	Clip   float64       // statistics of slices below it count as 0, as [sigreg.Sliced] says; 0 clips none
	Slices sigreg.Slices // the directions of each step
}

// Default is the published recipe: λ = 0.02, 1024 slices, 17 knots on [0, 3].
func Default() Objective {
	return Objective{Lambda: 0.02, Test: sigreg.Default(), Slices: sigreg.Slices{Count: 1024}}
}

// Validate reports every value that is out of range.
func (o Objective) Validate() error {
	var errs []error
	if !(o.Lambda >= 0 && o.Lambda <= 1) {
		errs = append(errs, fmt.Errorf("lambda: %g, expected a number from 0 to 1", o.Lambda))
	}
	return errors.Join(append(errs, o.Slices.Validate(), o.SIGReg().Validate())...)
}

// SIGReg is the regulariser by itself.
func (o Objective) SIGReg() sigreg.Sliced { return sigreg.Sliced{Test: o.Test, Clip: o.Clip} }

// Loss is the objective of one step. Total carries the gradient.
type Loss struct {
	Total      torch.Tensor // (1 − λ)·Prediction + λ·SIGReg, a scalar
	Prediction torch.Tensor // mean squared distance of the views' projections to their centre, a scalar
	SIGReg     torch.Tensor // mean statistic over views and slices, a scalar
	Statistics torch.Tensor // [V, M], without gradient

	// Kinds are what each kind of views comes to, in the order in which [Objective.ComputeJoint] got them; nil where only one kind has views.
	Kinds []KindLoss
}

// KindLoss is what the views of one kind come to: scalars without gradient. They are undefined of a kind without views.
type KindLoss struct {
	Prediction torch.Tensor // mean squared distance to the centres, of the samples that have one; 0 if none has
	SIGReg     torch.Tensor // mean statistic; 0 of fewer than two samples
}

// tensors are all that a loss consists of.
func (l Loss) tensors() []torch.Tensor {
	all := []torch.Tensor{l.Total, l.Prediction, l.SIGReg, l.Statistics}
	for _, k := range l.Kinds {
		if k.Prediction.Defined() {
			all = append(all, k.Prediction, k.SIGReg)
		}
	}
	return all
}

// Compute is the objective of projections z [V, N, K] of V views of N samples, the first globals of which are global
// views:
//
//	(1 − λ) · mean_{v,n,k} (c_n − z_{v,n})² + λ · mean_v SIGReg(z_v)
//
// with c_n the mean of sample n's global views (arXiv 2511.08544, eq. 8 and algorithm 2). Gradient flows into every
// view, and through the centres. The step names the directions. Projections of 16-bit types are taken to float32 first,
// as squares and sums over a batch need its precision. It panics where globals is not in 1 … V.
func (o Objective) Compute(s *torch.Scope, z torch.Tensor, globals int, step uint64) Loss {
	if z.DType().Size() < 4 {
		z = z.To(torch.Float32)
	}
	end := s.Span("directions")
	a := o.Slices.At(s, z.DType(), step, int(z.Size(2)))
	end()
	return o.ComputeOn(s, z, globals, a)
}

// ComputeOn is Compute on given directions a [K, M], unit columns.
func (o Objective) ComputeOn(s *torch.Scope, z torch.Tensor, globals int, a torch.Tensor) Loss {
	if v := z.Size(0); globals < 1 || int64(globals) > v {
		panic(fmt.Sprintf("lejepa: %d global views of %d", globals, v))
	}
	var l Loss
	s.Child(func(s *torch.Scope) torch.Tensor {
		centre := z.Narrow(0, 0, int64(globals)).MeanDim(0, true)
		l.Prediction = centre.Sub(z).Square().Mean()
		end := s.Span("SIGReg")
		l.SIGReg, l.Statistics = o.SIGReg().Mean(s, z, a)
		end()
		l.Total = l.Prediction.MulScalar(1 - o.Lambda).Add(l.SIGReg.MulScalar(o.Lambda))
		s.Return(l.Total, l.Prediction, l.SIGReg, l.Statistics)
		return torch.Tensor{}
	})
	return l
}

// Metrics are the figures of one step.
type Metrics struct {
	Loss       float64 // the objective
	Prediction float64 // its prediction loss
	SIGReg     float64 // its SIGReg
	SIGRegSE   float64 // standard error of SIGReg over the slices, which are a random sample of all directions
}

// Finite reports whether the loss is neither infinite nor NaN.
func (m Metrics) Finite() bool { return !math.IsNaN(m.Loss) && !math.IsInf(m.Loss, 0) }

// Metrics reads the figures, and those of other scalars in the same turn. On CUDA it waits for the device, once.
func (l Loss) Metrics(s *torch.Scope, others ...torch.Tensor) (m Metrics, also []float64) {
	s.Child(func(s *torch.Scope) torch.Tensor {
		all := append([]torch.Tensor{l.Total, l.Prediction, l.SIGReg, sigreg.SquaredError(l.Statistics)}, others...)
		for i, t := range all {
			all[i] = t.Detach().To(torch.Float64).Reshape(1)
		}
		v := torch.Cat(all, 0).Float64s()
		m, also = Metrics{Loss: v[0], Prediction: v[1], SIGReg: v[2]}, v[4:]
		if l.Statistics.Size(1) > 1 {
			m.SIGRegSE = math.Sqrt(v[3])
		}
		return torch.Tensor{}
	})
	return m, also
}
