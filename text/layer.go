package text

import (
	"math"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// maskedScore is what is taken off the scores of what lies beyond the end of a text. It is finite, so that a text of no token has
// weights, and small enough for float16; softmax makes 0 of the scores in every type.
const maskedScore = 3e4

// layer is attention and an MLP, each added to its input and then normalised.
type layer struct {
	query, key, value, out *nn.Linear
	attnNorm               *nn.LayerNorm
	fc1, fc2               *nn.Linear
	norm                   *nn.LayerNorm
	drop1, drop2           nn.DropPath
	heads, headDim         int64
}

func newLayer(s *torch.Scope, p torch.Path, spec Spec, i int, rate float64) *layer {
	width, hidden := int64(spec.Width), int64(spec.Hidden)
	l := &layer{heads: int64(spec.Heads), headDim: width / int64(spec.Heads),
		drop1: nn.DropPath{Rate: rate, Layer: uint32(2 * i)}, drop2: nn.DropPath{Rate: rate, Layer: uint32(2*i + 1)}}
	self, attn := p.Sub("attention").Sub("self"), p.Sub("attention").Sub("output")
	l.query = nn.NewLinear(s, self.Sub("query"), width, width, linear)
	l.key = nn.NewLinear(s, self.Sub("key"), width, width, linear)
	l.value = nn.NewLinear(s, self.Sub("value"), width, width, linear)
	l.out = nn.NewLinear(s, attn.Sub("dense"), width, width, linear)
	l.attnNorm = nn.NewLayerNorm(s, attn.Sub("LayerNorm"), width, normEps)
	l.fc1 = nn.NewLinear(s, p.Sub("intermediate").Sub("dense"), width, hidden, linear)
	l.fc2 = nn.NewLinear(s, p.Sub("output").Sub("dense"), hidden, width, linear)
	l.norm = nn.NewLayerNorm(s, p.Sub("output").Sub("LayerNorm"), width, normEps)
	return l
}

// forward maps tokens x [N, T, width] to tokens; mask [N, 1, 1, T] is added to the scores.
func (l *layer) forward(s *torch.Scope, x, mask torch.Tensor, p nn.Pass) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		x := l.attnNorm.Forward(s, l.drop1.Forward(s, l.attention(s, x, mask), p).Add(x))
		return l.norm.Forward(s, l.drop2.Forward(s, l.mlp(s, x), p).Add(x))
	})
}

func (l *layer) attention(s *torch.Scope, x, mask torch.Tensor) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		heads := func(m *nn.Linear) torch.Tensor {
			return m.Forward(s, x).Unflatten(2, l.heads, l.headDim).Transpose(1, 2)
		}
		q, k, v := heads(l.query), heads(l.key), heads(l.value)
		scores := q.MulScalar(1 / math.Sqrt(float64(l.headDim))).Matmul(k.Transpose(2, 3)).Add(mask)
		return l.out.Forward(s, scores.Softmax(-1).To(v.DType()).Matmul(v).Transpose(1, 2).Flatten(2, 3))
	})
}

func (l *layer) mlp(s *torch.Scope, x torch.Tensor) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor { return l.fc2.Forward(s, l.fc1.Forward(s, x).Gelu()) })
}
