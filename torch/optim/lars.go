package optim

import "github.com/gojepa/gojepa/torch"

// LARSConfig of [LARS].
type LARSConfig struct {
	WeightDecay float64 // added to the gradients of the groups that decay, times the weights
	Momentum    float64 // in [0, 1)
	Trust       float64 // share of a weight's norm that its step has at a learning rate of 1
	Eps         float64 // added to the gradient's norm, above 0
}

// DefaultLARS is what self-supervised learning with large batches trains with (SimCLR, arXiv 2002.05709).
func DefaultLARS() LARSConfig {
	return LARSConfig{WeightDecay: 1e-6, Momentum: 0.9, Trust: 1e-3, Eps: 1e-8}
}

// LARS is gradient descent with momentum in which the steps of weight matrices are in proportion to their norms (You et al.,
// arXiv 1708.03888), as timm.optim.Lars has it with the settings of SimCLR: the others, those without weight decay, take
// plain steps. Its state is "momentum_buffer".
type LARS struct {
	flat
	config LARSConfig
}

// NewLARS makes an optimiser of the parameters of the given sets, which it flattens. The caller closes it.
func NewLARS(s *torch.Scope, c LARSConfig, sets ...*torch.Params) *LARS {
	return &LARS{flatten(s, sets, alike, always("momentum_buffer")), c}
}

// Step implements [Optimiser].
func (o *LARS) Step(s *torch.Scope, lr float64) {
	o.steps++
	s.NoGrad(func() {
		for _, g := range o.groups {
			s.Child(func(s *torch.Scope) torch.Tensor {
				buffer := s.Use(g.state[0])
				buffer.MulScalar_(o.config.Momentum)
				buffer.Add_(o.direction(s, g))
				s.Use(g.Value).AddScaled_(buffer, -lr*g.LRScale)
				return torch.Tensor{}
			})
		}
	})
}

// direction is the gradients of a group, with weight decay and scaled by trust where it has weight decay.
func (o *LARS) direction(s *torch.Scope, g group) torch.Tensor {
	if !g.Decay {
		return g.Grad
	}
	c := o.config
	var weights, grads []torch.Tensor
	g.each(s, func(_ *torch.Param, view func(torch.Tensor) torch.Tensor) {
		weights, grads = append(weights, view(g.Value).Norm()), append(grads, view(g.Grad).Norm())
	})
	w, d := torch.Stack(weights, 0), torch.Stack(grads, 0)
	ratio := w.MulScalar(c.Trust).Div(d.Add(w.MulScalar(c.WeightDecay)).AddScalar(c.Eps))
	// Where either norm is zero the step is a plain one: 1 + (ratio − 1) there is 1 + 0 · (ratio − 1).
	known := w.Sign().Mul(d.Sign())
	ratio = ratio.Mul(known).Sub(known.AddScalar(-1))

	all := s.Use(g.Grad).Clone()
	all.AddScaled_(g.Value, c.WeightDecay)
	i := int64(0)
	g.each(s, func(_ *torch.Param, view func(torch.Tensor) torch.Tensor) {
		view(all).Mul_(ratio.Select(0, i))
		i++
	})
	return all
}
