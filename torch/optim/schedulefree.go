package optim

import (
	"fmt"
	"math"

	"github.com/gojepa/gojepa/torch"
)

// ScheduleFree is AdamW without a schedule (Defazio et al., arXiv 2405.15682), in the order of operations of
// schedulefree.AdamWScheduleFree. There are three points: z takes the steps, their average x is what is to be used, and
// gradients are taken at y between the two, which the parameters hold while they are trained. Weight decay is y's.
//
// The learning rate may rise at first, as in a warm-up; points count in the average by the square of the largest so far.
// Statistics that layers collect in training, as BatchNorm's do, are those at y.
//
// Its state is "z", "exp_avg_sq" and "y", and the counters "weight_sum" and "lr_max" beside "steps".
type ScheduleFree struct {
	flat
	config    Config
	weightSum float64        // of all points so far
	lrMax     float64        // largest learning rate so far
	trained   []torch.Tensor // y of each group while the parameters hold x; kept
}

// The buffers of ScheduleFree's groups.
const (
	pointZ = iota
	squares
)

// NewScheduleFree makes an optimiser of the parameters of the given sets, which it flattens. Beta1 is y's share of x, above
// 0 and below 1. The caller closes it.
func NewScheduleFree(s *torch.Scope, c Config, sets ...*torch.Params) *ScheduleFree {
	return &ScheduleFree{flat: flatten(s, sets, alike, always("z", "exp_avg_sq")), config: c}
}

// Step implements [Optimiser].
func (o *ScheduleFree) Step(s *torch.Scope, lr float64) {
	if o.trained != nil {
		panic("optim: Step between Eval and Train")
	}
	o.steps++
	c := o.config
	c2 := 1 - math.Pow(c.Beta2, float64(o.steps))
	o.lrMax = max(o.lrMax, lr)
	weight := o.lrMax * o.lrMax
	o.weightSum += weight
	share := 0.0 // of this step's point in the average
	if o.weightSum > 0 {
		share = weight / o.weightSum
	}
	s.NoGrad(func() {
		for _, g := range o.groups {
			s.Child(func(s *torch.Scope) torch.Tensor {
				lr := lr * g.LRScale
				y, z, square, step := s.Use(g.Value), s.Use(g.state[pointZ]), s.Use(g.state[squares]), s.Use(g.Grad)
				if o.steps == 1 {
					z.Copy_(y)
				}
				square.MulScalar_(c.Beta2)
				square.Addcmul_(step, step, 1-c.Beta2)
				denominator := square.DivScalar(c2).Sqrt()
				denominator.AddScalar_(c.Eps)
				step.Div_(denominator)
				if g.Decay && c.WeightDecay != 0 {
					step.AddScaled_(y, c.WeightDecay)
				}
				y.Lerp_(z, share)
				y.AddScaled_(step, lr*(c.Beta1*(1-share)-1))
				z.AddScaled_(step, -lr)
				return torch.Tensor{}
			})
		}
	})
}

// Eval implements [Optimiser]: the parameters hold the average, x = (y − (1−β₁)·z) / β₁.
func (o *ScheduleFree) Eval(s *torch.Scope) {
	if o.trained != nil || o.steps == 0 {
		return // before the first step all points are one
	}
	s.NoGrad(func() {
		for _, g := range o.groups {
			y := s.Use(g.Value)
			o.trained = append(o.trained, y.Clone().Keep())
			y.Lerp_(g.state[pointZ], 1-1/o.config.Beta1)
		}
	})
}

// Train implements [Optimiser].
func (o *ScheduleFree) Train(s *torch.Scope) {
	s.NoGrad(func() {
		for i, y := range o.trained {
			s.Use(o.groups[i].Value).Copy_(y)
			y.Free()
		}
	})
	o.trained = nil
}

// State implements [Optimiser]. The views of "y" are of the parameters, or of what is kept of them after Eval.
func (o *ScheduleFree) State(s *torch.Scope) []Slot {
	all := o.flat.State(s)
	for i, g := range o.groups {
		y := g.Value
		if o.trained != nil {
			y = o.trained[i]
		}
		g.each(s, func(p *torch.Param, view func(torch.Tensor) torch.Tensor) {
			all = append(all, Slot{p, "y", view(y)})
		})
	}
	return all
}

const (
	weightSumCounter = "weight_sum"
	lrMaxCounter     = "lr_max"
)

// Counters implements [Optimiser].
func (o *ScheduleFree) Counters() map[string]float64 {
	c := o.flat.Counters()
	c[weightSumCounter], c[lrMaxCounter] = o.weightSum, o.lrMax
	return c
}

// SetCounters implements [Optimiser].
func (o *ScheduleFree) SetCounters(c map[string]float64) error {
	if err := checkCounters(c, stepsCounter, weightSumCounter, lrMaxCounter); err != nil {
		return err
	}
	for _, name := range []string{weightSumCounter, lrMaxCounter} {
		if v := c[name]; !(v >= 0) || math.IsInf(v, 0) {
			return fmt.Errorf("optim: counter %q is %g, expected a number, 0 or more", name, v)
		}
	}
	o.steps, o.weightSum, o.lrMax = int(c[stepsCounter]), c[weightSumCounter], c[lrMaxCounter]
	return nil
}

// Close implements [Optimiser].
func (o *ScheduleFree) Close() {
	for _, y := range o.trained {
		y.Free()
	}
	o.trained = nil
	o.flat.Close()
}
