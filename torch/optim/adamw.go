// Package optim holds optimisers over the flat buffers of parameters.
package optim

import (
	"fmt"
	"math"

	"github.com/gojepa/gojepa/torch"
)

// Config of [AdamW].
type Config struct {
	WeightDecay  float64 // decoupled; for the groups that decay
	Beta1, Beta2 float64 // decay of the moments, in [0, 1)
	Eps          float64 // added to the root of the second moment
}

// Default is PyTorch's but for the weight decay, which is the published recipe's for ViTs.
func Default() Config { return Config{WeightDecay: 5e-2, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8} }

// AdamW is Adam with decoupled weight decay (Loshchilov & Hutter, arXiv 1711.05101), in the order of operations of
// torch.optim.AdamW, so that the two agree to rounding. Its state is flat like the parameters it works on.
type AdamW struct {
	config Config
	groups []group
	steps  int
}

type group struct {
	*torch.FlatGroup
	mean, square torch.Tensor // moments of the gradient, kept
}

// NewAdamW makes an optimiser of the parameters of the given sets, which it flattens. The caller closes it.
func NewAdamW(s *torch.Scope, c Config, sets ...*torch.Params) *AdamW {
	o := &AdamW{config: c}
	for _, p := range sets {
		for _, g := range p.Flatten(s) {
			n, dtype := g.Value.Numel(), g.Value.DType()
			o.groups = append(o.groups, group{g, s.Zeros(dtype, n).Keep(), s.Zeros(dtype, n).Keep()})
		}
	}
	return o
}

// Steps is the number of steps taken.
func (o *AdamW) Steps() int { return o.steps }

// ZeroGrad sets all gradients to zero.
func (o *AdamW) ZeroGrad(s *torch.Scope) {
	for _, g := range o.groups {
		s.Use(g.Grad).Zero_()
	}
}

// GradNorm is the Euclidean norm of all gradients together.
func (o *AdamW) GradNorm(s *torch.Scope) float64 {
	var sum float64
	s.Child(func(s *torch.Scope) torch.Tensor {
		for _, g := range o.groups {
			norm := s.Use(g.Grad).Norm().Item()
			sum += norm * norm
		}
		return torch.Tensor{}
	})
	return math.Sqrt(sum)
}

// ScaleGrad multiplies all gradients.
func (o *AdamW) ScaleGrad(s *torch.Scope, by float64) {
	for _, g := range o.groups {
		s.Use(g.Grad).MulScalar_(by)
	}
}

// Step moves the parameters by their gradients at a learning rate.
func (o *AdamW) Step(s *torch.Scope, lr float64) {
	o.steps++
	c1 := 1 - math.Pow(o.config.Beta1, float64(o.steps))
	c2 := 1 - math.Pow(o.config.Beta2, float64(o.steps))
	s.NoGrad(func() {
		for _, g := range o.groups {
			s.Child(func(s *torch.Scope) torch.Tensor {
				value, mean, square := s.Use(g.Value), s.Use(g.mean), s.Use(g.square)
				if g.Decay && o.config.WeightDecay != 0 {
					value.MulScalar_(1 - lr*o.config.WeightDecay)
				}
				mean.Lerp_(g.Grad, 1-o.config.Beta1)
				square.MulScalar_(o.config.Beta2)
				square.Addcmul_(g.Grad, g.Grad, 1-o.config.Beta2)
				denominator := square.Sqrt()
				denominator.DivScalar_(math.Sqrt(c2))
				denominator.AddScalar_(o.config.Eps)
				value.Addcdiv_(mean, denominator, -lr/c1)
				return torch.Tensor{}
			})
		}
	})
}

// Close frees the optimiser's state. The parameters stay.
func (o *AdamW) Close() {
	for _, g := range o.groups {
		g.mean.Free()
		g.square.Free()
	}
	o.groups = nil
}

// State is the optimiser's state, a pair of moments for each parameter, as views into it under PyTorch's names of the
// moments ("exp_avg", "exp_avg_sq"). Writing into the views sets the state.
func (o *AdamW) State(s *torch.Scope) []Moments {
	var all []Moments
	for _, g := range o.groups {
		var offset int64
		for _, p := range g.Params {
			shape, n := p.Value.Shape(), p.Value.Numel()
			all = append(all, Moments{
				Param:    p,
				ExpAvg:   s.Use(g.mean).Narrow(0, offset, n).Reshape(shape...),
				ExpAvgSq: s.Use(g.square).Narrow(0, offset, n).Reshape(shape...),
			})
			offset += n
		}
	}
	return all
}

// Moments are AdamW's state of one parameter.
type Moments struct {
	Param            *torch.Param
	ExpAvg, ExpAvgSq torch.Tensor // of the parameter's shape
}

// SetSteps sets the number of steps taken, which the correction of the moments' bias depends on. It is for resuming,
// together with [AdamW.State].
func (o *AdamW) SetSteps(n int) error {
	if n < 0 {
		return fmt.Errorf("optim: %d steps taken, expected 0 or more", n)
	}
	o.steps = n
	return nil
}
