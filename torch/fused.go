package torch

// #include "fused.h"
import "C"

import "unsafe"

// Branch is a residual branch of a transformer's block: normalisation, two linear layers and what is between them, and the
// shortcut around all of it.
type Branch struct {
	X                    Tensor  // [N, T, C], float32 or float64
	NormWeight, NormBias Tensor  // [C]
	Eps                  float64 // of the normalisation
	Weight1, Bias1       Tensor  // [H, C], [H]
	Weight2, Bias2       Tensor  // [C, H'], [C]
	Keep                 Tensor  // [N], a factor of the branch for each sample, without gradient; zero: 1
}

// CanFuse reports whether [Branch.MLP] and [Branch.Attention] may be used for x: on the CPU, and not while a trace is made.
func (s *Scope) CanFuse(x Tensor) bool {
	return !s.th.device.IsCUDA() && !s.th.tracing && (x.DType() == Float32 || x.DType() == Float64)
}

// MLP is x + keep·linear2(gelu(linear1(norm(x)))), with H' = H. It is one operation that works on a few samples at a time,
// from the first layer to the last, so that what lies between them stays in a core's cache; of that it keeps for the backward
// pass what comes out of linear1 and computes the rest again, which takes half the memory of the operations one by one. It
// equals those but for rounding. Linear layers compute in bfloat16 under autocast. Gradient flows to all but Keep.
func (b Branch) MLP(s *Scope) Tensor {
	c := b.native(s)
	return b.made("mlp_branch", message(C.gojepa_mlp_branch((*unsafe.Pointer)(unsafe.Pointer(b.X.out())), &c)))
}

// Attention is x + keep·linear2(attend(linear1(norm(x)))), where linear1 makes queries, keys and values, H = 3·H', and each
// of so many heads is softmax(q·kᵀ/√d)·v. It is done as in [Branch.MLP], and keeps queries, keys and values.
func (b Branch) Attention(s *Scope, heads int64) Tensor {
	c := b.native(s)
	return b.made("attention_branch", message(C.gojepa_attention_branch((*unsafe.Pointer)(unsafe.Pointer(b.X.out())), &c, C.int64_t(heads))))
}

func (b Branch) native(s *Scope) C.gojepa_branch {
	dtype, cast := s.AutocastDType()
	if !cast {
		dtype = b.X.DType()
	}
	p := func(t Tensor) unsafe.Pointer { return unsafe.Pointer(t.c) }
	return C.gojepa_branch{
		x: p(b.X), norm_weight: p(b.NormWeight), norm_bias: p(b.NormBias), eps: C.double(b.Eps),
		weight1: p(b.Weight1), bias1: p(b.Bias1), weight2: p(b.Weight2), bias2: p(b.Bias2), keep: p(b.Keep), dtype: C.int(dtype),
	}
}

func (b Branch) made(op, msg string) Tensor {
	args := []Tensor{b.X, b.NormWeight, b.NormBias, b.Weight1, b.Bias1, b.Weight2, b.Bias2}
	if msg != "" {
		panic(newError(op, msg, args))
	}
	return b.X.result(op, args...)
}
