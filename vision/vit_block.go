package vision

import (
	"math"
	"math/rand/v2"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// activation is a function of each element. Gradient flows through it.
type activation func(x torch.Tensor) torch.Tensor

// quickGelu is the approximation that OpenAI's CLIP was trained with.
func quickGelu(x torch.Tensor) torch.Tensor { return x.MulScalar(1.702).Sigmoid().Mul(x) }

// vitBlock is attention and an MLP, each a residual branch behind its normalisation.
type vitBlock struct {
	norm1, norm2         *nn.LayerNorm
	attn                 vitAttention
	mlp                  vitMLP
	scale1, scale2       torch.Tensor // [width], of the branches; zero: none
	dropPath1, dropPath2 nn.DropPath
}

// block makes the i-th block. The order of its parameters is timm's: an Eva's layer scale belongs to the block itself, and
// comes first.
func (v vit) block(s *torch.Scope, p torch.Path, i int, dropPath float64) *vitBlock {
	b := &vitBlock{}
	scale := func(name string) (t torch.Tensor) {
		if v.layerScale > 0 {
			t = p.Param(s, name, constant(v.layerScale), v.width)
		}
		return t
	}
	if v.dinov3 {
		b.scale1, b.scale2 = scale("gamma_1"), scale("gamma_2")
	}
	b.norm1 = nn.NewLayerNorm(s, p.Sub("norm1"), v.width, v.eps)
	b.attn = v.attention(s, p.Sub("attn"), i)
	if !v.dinov3 {
		b.scale1 = scale("ls1.gamma")
	}
	b.norm2 = nn.NewLayerNorm(s, p.Sub("norm2"), v.width, v.eps)
	b.mlp = v.mlp(s, p.Sub("mlp"), i)
	if !v.dinov3 {
		b.scale2 = scale("ls2.gamma")
	}
	rate := nn.DropPathRate(dropPath, i, int(v.depth))
	b.dropPath1 = nn.DropPath{Rate: rate, Layer: uint32(2 * i)}
	b.dropPath2 = nn.DropPath{Rate: rate, Layer: uint32(2*i + 1)}
	return b
}

// constant sets every value to v.
func constant(v float64) torch.Init {
	return func(_ *rand.Rand, _ []int64, dst []float64) {
		for i := range dst {
			dst[i] = v
		}
	}
}

// outLinear is the initial state of the last layer of the i-th block's branches: an Eva's shrink with depth.
func (v vit) outLinear(i int) nn.Options {
	if !v.dinov3 {
		return vitLinear
	}
	return nn.Options{Weight: nn.TruncNormal(0.02 / math.Sqrt(2*float64(i+1))), Bias: nn.Zeros}
}

// forward maps tokens x [N, T, width] to tokens; r are the angles of the patches among them, nil if there are none.
func (b *vitBlock) forward(s *torch.Scope, x torch.Tensor, r *rotary, p nn.Pass) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		fuse := s.CanFuse(x)
		if fuse && b.attentionFuses(r, x.Size(1)) {
			x = branchOf(s, x, b.norm1, b.attn.linear, b.attn.proj, b.dropPath1, p).Attention(s, b.attn.heads)
		} else {
			x = x.Add(b.dropPath1.Forward(s, scaled(b.attention(s, b.norm1.Forward(s, x), r), b.scale1), p))
		}
		if fuse && b.mlp.plain && !b.scale2.Defined() {
			return branchOf(s, x, b.norm2, b.mlp.fc1, b.mlp.fc2, b.dropPath2, p).MLP(s)
		}
		return x.Add(b.dropPath2.Forward(s, scaled(b.mlp.forward(s, b.norm2.Forward(s, x)), b.scale2), p))
	})
}

// branchOf is a residual branch for torch's fused operations.
func branchOf(s *torch.Scope, x torch.Tensor, norm *nn.LayerNorm, l1, l2 *nn.Linear, d nn.DropPath, p nn.Pass) torch.Branch {
	return torch.Branch{
		X: x, NormWeight: norm.Weight, NormBias: norm.Bias, Eps: norm.Eps,
		Weight1: l1.Weight, Bias1: l1.Bias, Weight2: l2.Weight, Bias2: l2.Bias, Keep: d.Keep(s, x.Size(0), p),
	}
}

// fusedTokens bounds the sequences whose attention is done by torch.Branch, in which the T×T weights of a sample's heads
// should fit a core's cache.
const fusedTokens = 256

// attentionFuses reports whether the block's attention is what torch.Branch does.
func (b *vitBlock) attentionFuses(r *rotary, tokens int64) bool {
	return r == nil && b.attn.qNorm == nil && b.attn.linear.Bias.Defined() && !b.scale1.Defined() && tokens <= fusedTokens
}

// scaled multiplies the last dimension of x by a scale for each feature, if there is one.
func scaled(x, scale torch.Tensor) torch.Tensor {
	if !scale.Defined() {
		return x
	}
	return x.Mul(scale)
}

type vitAttention struct {
	linear       *nn.Linear   // to queries, keys and values
	qBias, vBias torch.Tensor // [width] of an Eva, whose keys have none; zero: none
	qNorm, kNorm *nn.LayerNorm
	proj         *nn.Linear

	heads, headDim int64
}

func (v vit) attention(s *torch.Scope, p torch.Path, i int) vitAttention {
	a := vitAttention{heads: v.heads, headDim: v.width / v.heads}
	o := vitLinear
	o.NoBias = v.noQKVBias || v.dinov3
	if v.dinov3 && !v.noQKVBias {
		a.qBias, a.vBias = p.Param(s, "q_bias", nn.Zeros, v.width), p.Param(s, "v_bias", nn.Zeros, v.width)
	}
	a.linear = nn.NewLinear(s, p.Sub("qkv"), v.width, 3*v.width, o)
	if v.qkNorm {
		a.qNorm = nn.NewLayerNorm(s, p.Sub("q_norm"), a.headDim, v.eps)
		a.kNorm = nn.NewLayerNorm(s, p.Sub("k_norm"), a.headDim, v.eps)
	}
	a.proj = nn.NewLinear(s, p.Sub("proj"), v.width, v.width, v.outLinear(i))
	return a
}

// attention mixes the tokens of x [N, T, width].
func (b *vitBlock) attention(s *torch.Scope, x torch.Tensor, r *rotary) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		q, k, v := b.qkv(s, x, r)
		return b.attn.proj.Forward(s, attend(s, q, k, v).Transpose(1, 2).Flatten(2, 3))
	})
}

// weights are the attention [N, heads, T, T] of the block for what goes into it, x [N, T, width].
func (b *vitBlock) weights(s *torch.Scope, x torch.Tensor, r *rotary) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		q, k, _ := b.qkv(s, b.norm1.Forward(s, x), r)
		return attentionWeights(q, k)
	})
}

// qkv makes queries, keys and values [N, heads, T, d] out of normalised tokens.
func (b *vitBlock) qkv(s *torch.Scope, x torch.Tensor, r *rotary) (q, k, v torch.Tensor) {
	a := &b.attn
	bias := a.linear.Bias
	if a.qBias.Defined() {
		q := s.Use(a.qBias)
		bias = torch.Cat([]torch.Tensor{q, s.Zeros(q.DType(), q.Size(0)), a.vBias}, 0)
	}
	all := x.Linear(a.linear.Weight, bias).Unflatten(2, 3, a.heads, a.headDim)
	parts := all.Permute(2, 0, 3, 1, 4).Unbind(0)
	q, k, v = parts[0], parts[1], parts[2]
	if a.qNorm != nil { // of another type than v under autocast
		q, k = a.qNorm.Forward(s, q).To(v.DType()), a.kNorm.Forward(s, k).To(v.DType())
	}
	if r != nil {
		q, k = r.turn(q).To(v.DType()), r.turn(k).To(v.DType())
	}
	return q, k, v
}

// vitMLP works on each token by itself.
type vitMLP struct {
	fc1, fc2 *nn.Linear
	gate     *nn.Linear // nil: none, or within fc1
	packed   bool       // the first half of fc1's values are the gate's
	plain    bool       // no gate, and the exact GELU
	act      activation
}

func (v vit) mlp(s *torch.Scope, p torch.Path, i int) vitMLP {
	hidden := int64(float64(v.width) * v.ratio)
	m := vitMLP{act: v.gelu}
	if m.act == nil {
		m.act = torch.Tensor.Gelu
	}
	in := hidden
	switch {
	case v.swiglu && v.dinov3:
		align := max(v.align, 1)
		hidden = (hidden + align - 1) / align * align
		in = hidden
		m.gate = nn.NewLinear(s, p.Sub("fc1_g"), v.width, hidden, vitLinear)
		m.fc1 = nn.NewLinear(s, p.Sub("fc1_x"), v.width, hidden, vitLinear)
	case v.swiglu:
		m.packed = true
		in = hidden / 2
		m.fc1 = nn.NewLinear(s, p.Sub("fc1"), v.width, 2*in, nn.Options{Weight: halves(vitLinear.Weight, nn.Normal(1e-6)),
			Bias: halves(nn.Zeros, nn.Ones)})
	default:
		m.plain = v.gelu == nil
		m.fc1 = nn.NewLinear(s, p.Sub("fc1"), v.width, hidden, vitLinear)
	}
	m.fc2 = nn.NewLinear(s, p.Sub("fc2"), in, v.width, v.outLinear(i))
	return m
}

// halves sets the first half of the values by one Init and the rest by another.
func halves(first, second torch.Init) torch.Init {
	return func(r *rand.Rand, shape []int64, dst []float64) {
		half := len(dst) / 2
		first(r, shape, dst[:half])
		second(r, shape, dst[half:])
	}
}

// forward maps x [N, T, width] to the same shape.
func (m vitMLP) forward(s *torch.Scope, x torch.Tensor) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		y := m.fc1.Forward(s, x)
		switch {
		case m.gate != nil:
			y = m.gate.Forward(s, x).Silu().Mul(y)
		case m.packed:
			parts := y.Unflatten(2, 2, -1).Unbind(2)
			y = parts[0].Silu().Mul(parts[1])
		default:
			y = m.act(y)
		}
		return m.fc2.Forward(s, y)
	})
}
