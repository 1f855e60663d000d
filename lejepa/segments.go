package lejepa

import (
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// Segment is a part of an encoder's forward pass. It leaves one tensor in s.
type Segment = func(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor

// Segmented is an encoder whose forward pass can be cut, so that what the backward pass needs of a segment need not be kept
// meanwhile.
type Segmented interface {
	Encoder

	// Segments are the parts of Forward for images [N, C, H, W], one after the other. None: it cannot be cut.
	Segments(images torch.Tensor) []Segment
}

// tape is a forward pass without a graph, of which the input of each segment is kept (Chen et al., arXiv 1604.06174).
// Running a segment again makes what it was the first time, as masks of drop path have names and running statistics move the
// first time only. The caller frees it.
type tape struct {
	segments []Segment
	inputs   []torch.Tensor // of the segments whose backward pass is still to come; kept
	gradient torch.Tensor   // of what the last of those returns; kept
	pass     nn.Pass
	micro    Micro
}

// record runs the encoder on images, and returns their embeddings, too.
func record(s *torch.Scope, e Segmented, images torch.Tensor, pass nn.Pass, micro Micro) (*tape, torch.Tensor) {
	t := &tape{segments: e.Segments(images), pass: pass, micro: micro}
	if len(t.segments) == 0 {
		panic(&torch.Error{Op: "segments", Args: []string{images.String()}, Msg: "this encoder's forward pass cannot be cut into segments"})
	}
	done := false
	defer func() { // an operation that fails panics, and what is kept has no other owner
		if !done {
			t.free()
		}
	}()
	var y torch.Tensor
	s.NoGrad(func() {
		t.inputs = append(t.inputs, images.Detach().Keep())
		for i, f := range t.segments {
			y = s.Child(func(s *torch.Scope) torch.Tensor {
				y := micro.cast(s, func(s *torch.Scope) torch.Tensor { return f(s, s.Use(t.inputs[i]), pass) })
				if i == len(t.segments)-1 {
					return y
				}
				t.inputs = append(t.inputs, y.Detach().Keep())
				return torch.Tensor{}
			})
		}
	})
	done = true
	return t, y
}

// backward adds to the parameters' gradients those that the gradient of the embeddings comes to. It uses the tape up.
func (t *tape) backward(s *torch.Scope, gradient torch.Tensor) {
	pass := t.pass
	pass.Rehearsal = true
	t.gradient = gradient.Detach().Keep()
	for i := len(t.inputs) - 1; i >= 0; i-- {
		s.Child(func(s *torch.Scope) torch.Tensor {
			x := s.Use(t.inputs[i]).Detach().SetRequiresGrad(i > 0) // the images need no gradient
			y := t.micro.cast(s, func(s *torch.Scope) torch.Tensor { return t.segments[i](s, x, pass) })
			if y.RequiresGrad() { // parameters may be frozen
				y.BackwardWith(t.gradient)
			}
			t.gradient.Free()
			t.gradient = torch.Tensor{}
			if i > 0 {
				t.gradient = x.Grad().Keep()
			}
			return torch.Tensor{}
		})
		t.inputs[i].Free()
		t.inputs = t.inputs[:i]
	}
}

// free gives back what the tape still holds.
func (t *tape) free() {
	for _, x := range t.inputs {
		x.Free()
	}
	t.gradient.Free()
	t.inputs, t.gradient = nil, torch.Tensor{}
}
