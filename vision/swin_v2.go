package vision

import (
	"math"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// cosineAttention is Swin V2's: logits are cosines times a learned factor for each head, and the bias of a relative position
// is what a small network makes of its coordinates, so that windows may have any size.
type cosineAttention struct {
	scale        torch.Tensor // [heads, 1, 1], the factor's logarithm
	qBias, vBias torch.Tensor // [C]; keys have none
	near, far    *nn.Linear   // from coordinates to biases
	qkv          *nn.Linear   // to queries, keys and values, without biases
	proj         *nn.Linear
	heads        int64
	window       swinWindow
	coordinates  []float32 // [relative², 2]
}

const (
	cosineHidden   = 512 // width between coordinates and biases
	cosineMaxScale = 100 // of the factor
	cosineMaxBias  = 16
	cosineMinNorm  = 1e-12 // of queries and keys, which are divided by it
)

func (w swin) cosineAttention(s *torch.Scope, p torch.Path, width int64, stage int, window swinWindow) *cosineAttention {
	a := &cosineAttention{heads: w.heads << stage, window: window}
	a.coordinates = window.coordinates(w.trained[stage])
	a.scale = p.NoDecay(s, "logit_scale", constant(math.Log(10)), a.heads, 1, 1)
	a.qBias, a.vBias = p.Param(s, "q_bias", nn.Zeros, width), p.Param(s, "v_bias", nn.Zeros, width)
	near, far := p.Sub("cpb_mlp").At(0), p.Sub("cpb_mlp").At(2)
	a.near = &nn.Linear{Weight: near.NoDecay(s, "weight", vitLinear.Weight, cosineHidden, 2)}
	a.near.Bias = near.NoDecay(s, "bias", nn.Zeros, cosineHidden)
	a.far = &nn.Linear{Weight: far.NoDecay(s, "weight", vitLinear.Weight, a.heads, cosineHidden)}
	a.qkv = nn.NewLinear(s, p.Sub("qkv"), width, 3*width, nn.Options{NoBias: true, Weight: vitLinear.Weight})
	a.proj = nn.NewLinear(s, p.Sub("proj"), width, width, vitLinear)
	return a
}

func (a *cosineAttention) forward(s *torch.Scope, x, mask torch.Tensor) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		c := x.Size(2)
		q := s.Use(a.qBias)
		bias := torch.Cat([]torch.Tensor{q, s.Zeros(q.DType(), c), a.vBias}, 0)
		parts := x.Linear(a.qkv.Weight, bias).Unflatten(2, 3, a.heads, c/a.heads).Permute(2, 0, 3, 1, 4).Unbind(0)
		v := parts[2]
		cosines := unit(parts[0]).Matmul(unit(parts[1]).Transpose(2, 3))
		scale := s.Use(a.scale).Clamp(math.Inf(-1), math.Log(cosineMaxScale)).Exp()
		weights := biased(cosines.Mul(scale.To(cosines.DType())), a.bias(s), mask).Softmax(-1)
		return a.proj.Forward(s, weights.Matmul(v).Transpose(1, 2).Flatten(2, 3))
	})
}

// unit divides the last dimension by its norm.
func unit(x torch.Tensor) torch.Tensor {
	return x.Div(x.NormDims(true, -1).Clamp(cosineMinNorm, math.Inf(1))).To(x.DType())
}

// bias is [heads, T, T], of each pair of a window's tokens.
func (a *cosineAttention) bias(s *torch.Scope) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		r := a.window.relative()
		at := s.FromFloat32(a.coordinates, r*r, 2).To(a.scale.DType())
		table := a.far.Forward(s, a.near.Forward(s, at).Relu())
		return a.window.pairs(s, table.Sigmoid().MulScalar(cosineMaxBias))
	})
}

// coordinates are [relative², 2], row and column of each relative position on a scale of logarithms, on which the last one
// in a window of side trained, or of w's own if that is 0, is at log₈ 9. They are in float32, as timm's are.
func (w swinWindow) coordinates(trained int64) []float32 {
	if trained == 0 {
		trained = w.side
	}
	axis := make([]float32, w.relative())
	for i := range axis {
		x := float32(int64(i)-w.side+1) / float32(max(trained-1, 1)) * 8
		log := float32(math.Log2(math.Abs(float64(x))+1)) / 3
		axis[i] = float32(math.Copysign(float64(log), float64(x)))
	}
	all := make([]float32, 0, 2*len(axis)*len(axis))
	for _, y := range axis {
		for _, x := range axis {
			all = append(all, y, x)
		}
	}
	return all
}
