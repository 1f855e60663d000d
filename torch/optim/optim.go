// Package optim holds optimisers over the flat buffers of parameters, averages of weights, and the schedule of the learning
// rate.
package optim

import (
	"fmt"
	"math"
	"slices"

	"github.com/gojepa/gojepa/torch"
)

// Optimiser moves parameters by their gradients. It knows them as flat groups; a parameter's own share of the learning rate
// ([torch.Param]) and whether weight decay applies to it are set before the optimiser is made.
type Optimiser interface {
	// ZeroGrad sets all gradients to zero.
	ZeroGrad(s *torch.Scope)
	// GradNorm is the Euclidean norm of all gradients together, a scalar in float64.
	GradNorm(s *torch.Scope) torch.Tensor
	// ScaleGrad multiplies all gradients.
	ScaleGrad(s *torch.Scope, by float64)
	// Step moves the parameters by their gradients at a learning rate. The gradients are used up.
	Step(s *torch.Scope, lr float64)

	// Eval puts the weights that are meant to be used in the place of those that are trained, where an optimiser tells the two
	// apart; Train puts the trained ones back, bit for bit. There are no steps in between. Twice is as good as once.
	Eval(s *torch.Scope)
	Train(s *torch.Scope)

	// State is the tensors of the state as views into it: writing into them sets it.
	State(s *torch.Scope) []Slot
	// Counters are the numbers of the state, by name. "steps" is the number of steps taken.
	Counters() map[string]float64
	// SetCounters sets what Counters returned. The error names a counter that is missing, unknown or out of range.
	SetCounters(map[string]float64) error

	// Close frees the state. The parameters stay.
	Close()
}

// Slot is one tensor of an optimiser's state.
type Slot struct {
	Param *torch.Param
	Name  string       // as the published implementation calls it, such as "exp_avg"
	Value torch.Tensor // of the parameter's shape
}

// flat is what all optimisers have in common.
type flat struct {
	groups []group
	steps  int
}

// group is a flat group with an optimiser's state of it.
type group struct {
	*torch.FlatGroup
	names []string       // of the buffers
	state []torch.Tensor // buffers, flat like the group; kept
}

// flatten lays out parameters in groups of one class, with zeros as the state that names asks for.
func flatten(s *torch.Scope, sets []*torch.Params, class func(*torch.Param) int, names func(torch.FlatClass) []string) flat {
	var f flat
	for _, p := range sets {
		for _, g := range p.FlattenBy(s, class) {
			made := group{FlatGroup: g, names: names(g.FlatClass)}
			for range made.names {
				made.state = append(made.state, s.Zeros(g.Value.DType(), g.Value.Numel()).Keep())
			}
			f.groups = append(f.groups, made)
		}
	}
	return f
}

// alike is the class of parameters that are all treated in one way.
func alike(*torch.Param) int { return 0 }

// always is the state of optimisers that keep the same of every group.
func always(names ...string) func(torch.FlatClass) []string {
	return func(torch.FlatClass) []string { return names }
}

// ZeroGrad implements [Optimiser].
func (f *flat) ZeroGrad(s *torch.Scope) {
	for _, g := range f.groups {
		s.Use(g.Grad).Zero_()
	}
}

// GradNorm implements [Optimiser]. It does not wait for the device.
func (f *flat) GradNorm(s *torch.Scope) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		sum := s.Zeros(torch.Float64)
		for _, g := range f.groups {
			sum.Add_(s.Use(g.Grad).Norm().To(torch.Float64).Square())
		}
		return sum.Sqrt()
	})
}

// ScaleGrad implements [Optimiser].
func (f *flat) ScaleGrad(s *torch.Scope, by float64) {
	for _, g := range f.groups {
		s.Use(g.Grad).MulScalar_(by)
	}
}

// Eval implements [Optimiser]: the trained weights are those to use.
func (f *flat) Eval(*torch.Scope) {}

// Train implements [Optimiser].
func (f *flat) Train(*torch.Scope) {}

// State implements [Optimiser].
func (f *flat) State(s *torch.Scope) (all []Slot) {
	for _, g := range f.groups {
		for i, name := range g.names {
			g.each(s, func(p *torch.Param, view func(torch.Tensor) torch.Tensor) {
				all = append(all, Slot{p, name, view(g.state[i])})
			})
		}
	}
	return all
}

// each calls do for every parameter of the group, as eachOf does.
func (g group) each(s *torch.Scope, do func(p *torch.Param, view func(torch.Tensor) torch.Tensor)) {
	eachOf(s, g.Params, do)
}

// eachOf calls do for parameters that lie one after the other in a run of memory, with what makes a parameter's view of
// a buffer that is laid out likewise.
func eachOf(s *torch.Scope, params []*torch.Param, do func(p *torch.Param, view func(torch.Tensor) torch.Tensor)) {
	var offset int64
	for _, p := range params {
		shape, n := p.Value.Shape(), p.Value.Numel()
		do(p, func(t torch.Tensor) torch.Tensor { return s.Use(t).Reshape(-1).Narrow(0, offset, n).Reshape(shape...) })
		offset += n
	}
}

// Steps is the number of steps taken.
func (f *flat) Steps() int { return f.steps }

const stepsCounter = "steps"

// Counters implements [Optimiser].
func (f *flat) Counters() map[string]float64 {
	return map[string]float64{stepsCounter: float64(f.steps)}
}

// SetCounters implements [Optimiser].
func (f *flat) SetCounters(c map[string]float64) error {
	if err := checkCounters(c, stepsCounter); err != nil {
		return err
	}
	f.steps = int(c[stepsCounter])
	return nil
}

// checkCounters reports counters that are not of a state, or are not there, and steps that cannot be.
func checkCounters(c map[string]float64, names ...string) error {
	for _, name := range names {
		if _, ok := c[name]; !ok {
			return fmt.Errorf("optim: no counter %q of the optimiser, expected %q", name, names)
		}
	}
	for name := range c {
		if !slices.Contains(names, name) {
			return fmt.Errorf("optim: counter %q is not of this optimiser, expected %q", name, names)
		}
	}
	if n := c[stepsCounter]; !(n >= 0 && n <= 1<<52) || n != math.Trunc(n) {
		return fmt.Errorf("optim: %g steps taken, expected a whole number, 0 or more", n)
	}
	return nil
}

// Close implements [Optimiser].
func (f *flat) Close() {
	for _, g := range f.groups {
		for _, t := range g.state {
			t.Free()
		}
	}
	f.groups = nil
}
