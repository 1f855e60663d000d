package optim

import (
	"math"
	"slices"

	"github.com/gojepa/gojepa/torch"
)

// MuonConfig of [Muon].
type MuonConfig struct {
	AdamW    Config  // of the other parameters; its WeightDecay is that of the matrices, too
	Momentum float64 // of the matrices, in [0, 1)
	// Original scales steps as Muon's author does, by the root of rows over columns where it is above 1. Without it, a step's
	// root mean square is made to be AdamW's, so that the two can share a learning rate and a weight decay
	// (arXiv 2502.16982).
	Original bool
	// DType is what matrices are made orthogonal in. PyTorch does so in bfloat16, whatever the weights are.
	DType torch.DType
	// Others are matrices that AdamW is to move: by Muon's author, those of a network's input and output.
	Others []*torch.Param
}

// DefaultMuon is torch.optim.Muon's, with AdamW's learning rate and weight decay.
func DefaultMuon() MuonConfig {
	return MuonConfig{AdamW: Default(), Momentum: 0.95, DType: torch.BFloat16}
}

// Muon moves weight matrices by their momentum made nearly orthogonal (Jordan et al. 2024,
// kellerjordan.github.io/posts/muon), and all other parameters by [AdamW]. Matrices are the parameters that weight decay
// applies to; kernels of convolutions are flattened to [out, in · height · width]. It is torch.optim.Muon with Nesterov's
// momentum, five Newton–Schulz steps and their published coefficients. Its state is "momentum_buffer" of matrices, and
// AdamW's of the others.
type Muon struct {
	flat
	config MuonConfig
}

// Classes of Muon's groups.
const (
	byAdamW = iota
	byMuon
)

// NewMuon makes an optimiser of the parameters of the given sets, which it flattens. The caller closes it.
func NewMuon(s *torch.Scope, c MuonConfig, sets ...*torch.Params) *Muon {
	class := func(p *torch.Param) int {
		if p.Decay && p.Value.Dim() > 1 && !slices.Contains(c.Others, p) {
			return byMuon
		}
		return byAdamW
	}
	names := func(g torch.FlatClass) []string {
		if g.Class == byMuon {
			return []string{"momentum_buffer"}
		}
		return adamState
	}
	return &Muon{flatten(s, sets, class, names), c}
}

// Step implements [Optimiser].
func (o *Muon) Step(s *torch.Scope, lr float64) {
	o.steps++
	s.NoGrad(func() {
		for _, g := range o.groups {
			if g.Class == byMuon {
				o.move(s, g, lr*g.LRScale)
			} else {
				o.config.AdamW.step(s, g, o.steps, lr*g.LRScale)
			}
		}
	})
}

// move is a step of a group of matrices.
func (o *Muon) move(s *torch.Scope, g group, lr float64) {
	s.Child(func(s *torch.Scope) torch.Tensor {
		buffer := s.Use(g.state[0])
		buffer.Lerp_(g.Grad, 1-o.config.Momentum)
		update := s.Use(g.Grad).Lerp(buffer, o.config.Momentum)
		s.Use(g.Value).MulScalar_(1 - lr*o.config.AdamW.WeightDecay)
		g.each(s, func(_ *torch.Param, view func(torch.Tensor) torch.Tensor) {
			s.Child(func(s *torch.Scope) torch.Tensor {
				m := view(update).Flatten(1, -1)
				step := orthogonal(s, m.To(o.config.DType))
				view(g.Value).Flatten(1, -1).AddScaled_(step, -lr*o.scale(m.Size(0), m.Size(1)))
				return torch.Tensor{}
			})
		})
		return torch.Tensor{}
	})
}

// scale is what the learning rate of a matrix is multiplied by.
func (o *Muon) scale(rows, columns int64) float64 {
	if o.config.Original {
		return math.Sqrt(max(1, float64(rows)/float64(columns)))
	}
	return 0.2 * math.Sqrt(float64(max(rows, columns)))
}

// orthogonal is a matrix of the singular vectors of m [rows, columns] whose singular values are all near 1: five steps of a
// quintic Newton–Schulz iteration whose slope at zero is as large as can be. Only products of the smaller side's size are
// formed.
func orthogonal(s *torch.Scope, m torch.Tensor) torch.Tensor {
	const a, b, c, steps = 3.4445, -4.7750, 2.0315, 5
	const eps, largest = 1e-7, 1e38 // of the norm; bfloat16 holds both
	tall := m.Size(0) > m.Size(1)
	if tall {
		m = m.T()
	}
	x := m.Div(m.Norm().Clamp(eps, largest))
	for range steps {
		x = s.Child(func(*torch.Scope) torch.Tensor {
			gram := x.Matmul(x.T())
			return x.Addmm(gram.Addmm(gram, gram, b, c), x, a, 1)
		})
	}
	if tall {
		return x.T()
	}
	return x
}
