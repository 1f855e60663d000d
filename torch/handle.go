package torch

import (
	"fmt"
	"strings"
	"unsafe"

	"github.com/sugarme/gotch/libtch"
)

// The handles of this file are libtorch's own, at::Tensor*, as gotch's Ctensor and other libraries over libtorch hold
// them. Both directions make a new reference to the same tensor, so that neither side ever frees the other's.

// FromHandle returns a new reference, owned by s, to the tensor of a foreign handle. Elements, gradient and autograd
// history are shared, nothing is copied. The handle stays its owner's, and need not outlive the call. It panics on a
// handle that is nil or holds no tensor.
func (s *Scope) FromHandle(h unsafe.Pointer) Tensor {
	if h == nil || !libtch.AtDefined(libtch.Ctensor(h)) {
		panic("torch: FromHandle of a handle without a tensor")
	}
	s.none().mem().outs[0] = libtch.AtShallowClone(libtch.Ctensor(h))
	return s.take("shallow_clone")
}

// NewHandle returns a new handle of t's tensor, which the caller owns, and which outlives t and its scope. Elements,
// gradient and autograd history are shared. Whoever frees it does so by C++ delete; gotch's ts.FromCtensor takes it
// over. It is not counted by [LiveHandles].
func (t Tensor) NewHandle() unsafe.Pointer {
	t.mem()
	return unsafe.Pointer(libtch.AtShallowClone(t.c))
}

// Adopt appends a tensor that another library shares with p: t, which an open scope owns, becomes p's. It is trained if
// gradients flow into it, and a buffer if not. Weight decay applies to it as to a parameter made by [Path.Param].
//
// [Params.Flatten] leaves an adopted parameter where it is, in a group of its own, as the other library may hold views of
// its memory. The error says that the name is taken, or that t is not contiguous, or no leaf of autograd's graph.
func (p *Params) Adopt(name string, t Tensor) error {
	if p.flat != nil {
		return fmt.Errorf("torch: parameter %q adopted after Flatten", name)
	}
	if p.byName[name] != nil {
		return fmt.Errorf("torch: parameter %q exists already", name)
	}
	trained := t.RequiresGrad()
	if trained && !libtch.AtgIsLeaf(t.c) {
		return fmt.Errorf("torch: parameter %q, %s: the result of an operation, expected a leaf, which gradients are kept in",
			name, t.describe())
	}
	if trained && !t.IsContiguous() {
		return fmt.Errorf("torch: parameter %q, %s: not contiguous, so its optimiser could not see it as one run of memory",
			name, t.describe())
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	p.add(&Param{Name: name, Value: t.Keep(), Buffer: !trained, Decay: trained && t.Dim() > 1 && last != "bias", LRScale: 1, adopted: true})
	return nil
}

// layInPlace makes the group of one adopted parameter, over the memory that it has.
func (q *Param) layInPlace(s *Scope, c FlatClass) *FlatGroup {
	g := &FlatGroup{Params: []*Param{q}, FlatClass: c}
	s.Child(func(s *Scope) Tensor {
		v := s.Use(q.Value)
		shape := v.Shape()
		g.Value = v.Detach().Reshape(-1).Keep()
		g.Grad = s.Zeros(v.DType(), numel(shape)).Keep()
		v.SetGrad(s.Use(g.Grad).Reshape(shape...))
		return Tensor{}
	})
	return g
}
