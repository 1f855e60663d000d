package torch

// #include "graph.h"
import "C"

import (
	"slices"
	"unsafe"
)

// BackwardWith is [Tensor.Backward] of a tensor of any shape, on which grad, of its shape, arrives from what was computed of it
// elsewhere. The graph is freed.
func (t Tensor) BackwardWith(grad Tensor) {
	t.mem()
	args := []Tensor{t, grad}
	if !slices.Equal(t.Shape(), grad.Shape()) {
		panic(newError("backward", "expected a gradient of the tensor's shape", args))
	}
	if msg := message(C.gojepa_backward(unsafe.Pointer(t.c), unsafe.Pointer(grad.c))); msg != "" {
		panic(newError("backward", msg, args))
	}
}
