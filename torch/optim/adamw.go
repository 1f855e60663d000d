package optim

import (
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
// torch.optim.AdamW, so that the two agree to rounding. Its state is PyTorch's: "exp_avg" and "exp_avg_sq".
type AdamW struct {
	flat
	config Config
}

// adamState names the buffers that [Config.step] takes.
var adamState = []string{"exp_avg", "exp_avg_sq"}

// NewAdamW makes an optimiser of the parameters of the given sets, which it flattens. The caller closes it.
func NewAdamW(s *torch.Scope, c Config, sets ...*torch.Params) *AdamW {
	return &AdamW{flatten(s, sets, alike, always(adamState...)), c}
}

// Step implements [Optimiser].
func (o *AdamW) Step(s *torch.Scope, lr float64) {
	o.steps++
	s.NoGrad(func() {
		for _, g := range o.groups {
			o.config.step(s, g, o.steps, lr*g.LRScale)
		}
	})
}

// step is the n-th of a group, 1 being the first.
func (c Config) step(s *torch.Scope, g group, n int, lr float64) {
	c1 := 1 - math.Pow(c.Beta1, float64(n))
	c2 := 1 - math.Pow(c.Beta2, float64(n))
	s.Child(func(s *torch.Scope) torch.Tensor {
		value, mean, square := s.Use(g.Value), s.Use(g.state[0]), s.Use(g.state[1])
		if g.Decay && c.WeightDecay != 0 {
			value.MulScalar_(1 - lr*c.WeightDecay)
		}
		mean.Lerp_(g.Grad, 1-c.Beta1)
		square.MulScalar_(c.Beta2)
		square.Addcmul_(g.Grad, g.Grad, 1-c.Beta2)
		denominator := square.Sqrt()
		denominator.DivScalar_(math.Sqrt(c2))
		denominator.AddScalar_(c.Eps)
		value.Addcdiv_(mean, denominator, -lr/c1)
		return torch.Tensor{}
	})
}
