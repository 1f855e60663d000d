package gotchbridge

import (
	"fmt"

	gotchnn "github.com/sugarme/gotch/nn"
	"github.com/sugarme/gotch/ts"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// Encoder is a gotch module as an encoder that gojepa can train and evaluate.
type Encoder struct {
	module ts.ModuleT
	dim    int64
	params *torch.Params
}

// NewEncoder wraps module, whose variables are in vs, and which maps images [N, C, H, W] to features [N, dim]. Parameters
// are shared with vs as by [ImportVarStore]. The caller closes the encoder, keeps vs, and must not call vs.Destroy before.
//
// Most gotch layers leave tensors to the garbage collector, so that a step needs more memory than with gojepa's own.
func NewEncoder(s *torch.Scope, module ts.ModuleT, vs *gotchnn.VarStore, dim int64) (*Encoder, error) {
	p, err := ImportVarStore(s, vs)
	if err != nil {
		return nil, err
	}
	return &Encoder{module: module, dim: dim, params: p}, nil
}

// Forward maps images x [N, C, H, W] to features [N, Dim()], through which gradient flows. Of p only Train matters: what
// a gotch module draws at random comes from libtorch's generator. It panics if the module returns another shape.
func (e *Encoder) Forward(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		in := Export(x)
		out := e.module.ForwardT(in, p.Train)
		y := Import(s, out)
		in.MustDrop()
		out.MustDrop() // a second drop, where a module returns its input, does nothing
		if want := []int64{x.Size(0), e.dim}; y.Dim() != 2 || y.Size(0) != want[0] || y.Size(1) != want[1] {
			panic(fmt.Sprintf("gotchbridge: the module returned %s%v, expected %v", y.DType(), y.Shape(), want))
		}
		return y
	})
}

// Dim is the number of features.
func (e *Encoder) Dim() int64 { return e.dim }

// Params are the module's variables, sorted by name.
func (e *Encoder) Params() *torch.Params { return e.params }

// Close frees the encoder's references to the variables, which stay in their VarStore.
func (e *Encoder) Close() { e.params.Close() }

// Forwarder is what gojepa's encoders have in common.
type Forwarder interface {
	Forward(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor
}

// Module returns enc as a gotch module. It is valid inside the closure that s was passed to, while s is the innermost
// scope. Seed, Step and Part of p name enc's random draws; whether it trains is ForwardT's argument.
func Module(s *torch.Scope, enc Forwarder, p nn.Pass) ts.ModuleT { return module{s, enc, p} }

type module struct {
	s    *torch.Scope
	enc  Forwarder
	pass nn.Pass
}

// ForwardT implements gotch's ModuleT.
func (m module) ForwardT(xs *ts.Tensor, train bool) (out *ts.Tensor) {
	p := m.pass
	p.Train = train
	m.s.Child(func(s *torch.Scope) torch.Tensor {
		out = Export(m.enc.Forward(s, Import(s, xs), p))
		return torch.Tensor{}
	})
	return out
}
