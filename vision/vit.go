package vision

import (
	"math"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// vit is a vision transformer (Dosovitskiy et al., arXiv 2010.11929): class token, learned position embeddings, blocks
// with normalisation first, the class token as feature.
type vit struct {
	patchSize           int
	width, depth, heads int64
}

const (
	vitNormEps  = 1e-6
	vitMLPRatio = 4
)

// vitLinear is the initial state of timm's linear layers in a ViT.
var vitLinear = nn.Options{Weight: nn.TruncNormal(0.02), Bias: nn.Zeros}

func (v vit) patch() int { return v.patchSize }

func (v vit) dims() (width, depth, heads int) { return int(v.width), int(v.depth), int(v.heads) }

func (v vit) infer(shape func(key string) []int64) Spec {
	var s Spec
	if w := shape("patch_embed.proj.weight"); len(w) == 4 {
		s.Channels, s.PatchSize = int(w[1]), int(w[2])
	}
	if pos := shape("pos_embed"); len(pos) == 3 {
		if side := math.Sqrt(float64(pos[1] - 1)); side == math.Trunc(side) {
			s.ImageSize = int(side) * s.PatchSize
		}
	}
	return s
}

func (v vit) build(s *torch.Scope, p torch.Path, spec Spec) network {
	v = vit{width: int64(spec.Width), depth: int64(spec.Depth), heads: int64(spec.Heads)}
	n := &vitNet{width: v.width, patch: int64(spec.PatchSize), grid: int64(spec.ImageSize / spec.PatchSize)}
	n.cls = p.NoDecay(s, "cls_token", nn.Normal(1e-6), 1, 1, v.width)
	n.pos = p.NoDecay(s, "pos_embed", nn.TruncNormal(0.02), 1, 1+n.grid*n.grid, v.width)
	conv := nn.Conv{In: int64(spec.Channels), Out: v.width, Kernel: n.patch, Stride: n.patch}
	n.embed = nn.NewConv2d(s, p.Sub("patch_embed").Sub("proj"), conv, nn.Options{})
	for i := range int(v.depth) {
		n.blocks = append(n.blocks, newVitBlock(s, p.Sub("blocks").At(i), v, i, spec.DropPath))
	}
	n.norm = nn.NewLayerNorm(s, p.Sub("norm"), v.width, vitNormEps)
	if spec.NumClasses > 0 {
		n.head = nn.NewLinear(s, p.Sub("head"), v.width, int64(spec.NumClasses), vitLinear)
	}
	return n
}

type vitNet struct {
	cls, pos torch.Tensor // [1, 1, width], [1, 1+grid², width]
	embed    *nn.Conv2d
	blocks   []*vitBlock
	norm     *nn.LayerNorm
	head     *nn.Linear // nil: none

	width, patch, grid int64
}

func (n *vitNet) dim() int64 {
	if n.head != nil {
		return n.head.Bias.Shape()[0]
	}
	return n.width
}

func (n *vitNet) forward(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	x = n.tokens(s, x)
	for _, b := range n.blocks {
		x = b.forward(s, x, p)
	}
	// The norm works token by token, so that only the token that is used needs it.
	x = n.norm.Forward(s, x.Select(1, 0))
	if n.head != nil {
		x = n.head.Forward(s, x)
	}
	return x
}

// tokens cuts x [N, C, H, W] into patches and returns the class token and a token for each patch, with their positions.
func (n *vitNet) tokens(s *torch.Scope, x torch.Tensor) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		h, w := x.Size(2)/n.patch, x.Size(3)/n.patch
		x := n.embed.Forward(s, x).Flatten(2, 3).Transpose(1, 2)
		cls := s.Use(n.cls).Expand(x.Size(0), -1, -1)
		return torch.Cat([]torch.Tensor{cls, x}, 1).Add(n.positions(s, h, w))
	})
}

// positions returns the position embeddings for h×w patches: the learned ones, or, at another size than theirs, resampled
// by antialiased bicubic interpolation in float32, as timm does. Gradient flows back to the learned ones.
func (n *vitNet) positions(s *torch.Scope, h, w int64) torch.Tensor {
	pos := s.Use(n.pos)
	if h == n.grid && w == n.grid {
		return pos
	}
	patches := pos.Narrow(1, 1, n.grid*n.grid).To(torch.Float32).Reshape(1, n.grid, n.grid, n.width).Permute(0, 3, 1, 2).
		InterpolateBicubicAntialias(h, w).
		Permute(0, 2, 3, 1).Reshape(1, h*w, n.width).To(pos.DType())
	return torch.Cat([]torch.Tensor{pos.Narrow(1, 0, 1), patches}, 1)
}

// vitBlock is attention and an MLP, each a residual branch behind its normalisation.
type vitBlock struct {
	norm1, norm2         *nn.LayerNorm
	qkv, proj            *nn.Linear
	fc1, fc2             *nn.Linear
	dropPath1, dropPath2 nn.DropPath

	heads, headDim int64
}

func newVitBlock(s *torch.Scope, p torch.Path, v vit, i int, dropPath float64) *vitBlock {
	b := &vitBlock{heads: v.heads, headDim: v.width / v.heads}
	b.norm1 = nn.NewLayerNorm(s, p.Sub("norm1"), v.width, vitNormEps)
	attn := p.Sub("attn")
	b.qkv = nn.NewLinear(s, attn.Sub("qkv"), v.width, 3*v.width, vitLinear)
	b.proj = nn.NewLinear(s, attn.Sub("proj"), v.width, v.width, vitLinear)
	b.norm2 = nn.NewLayerNorm(s, p.Sub("norm2"), v.width, vitNormEps)
	mlp := p.Sub("mlp")
	b.fc1 = nn.NewLinear(s, mlp.Sub("fc1"), v.width, vitMLPRatio*v.width, vitLinear)
	b.fc2 = nn.NewLinear(s, mlp.Sub("fc2"), vitMLPRatio*v.width, v.width, vitLinear)
	rate := decayed(dropPath, i, int(v.depth))
	b.dropPath1 = nn.DropPath{Rate: rate, Layer: uint32(2 * i)}
	b.dropPath2 = nn.DropPath{Rate: rate, Layer: uint32(2*i + 1)}
	return b
}

// decayed is the drop path rate of the i-th of n blocks, rising linearly from 0 to the given rate.
func decayed(rate float64, i, n int) float64 {
	if n < 2 {
		return 0
	}
	return rate * float64(i) / float64(n-1)
}

func (b *vitBlock) forward(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		x := x.Add(b.dropPath1.Forward(s, b.attention(s, b.norm1.Forward(s, x)), p))
		return x.Add(b.dropPath2.Forward(s, b.mlp(s, b.norm2.Forward(s, x)), p))
	})
}

// attention mixes the tokens of x [N, T, width].
func (b *vitBlock) attention(s *torch.Scope, x torch.Tensor) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		n, t, width := x.Size(0), x.Size(1), x.Size(2)
		qkv := b.qkv.Forward(s, x).Reshape(n, t, 3, b.heads, b.headDim).Permute(2, 0, 3, 1, 4).Unbind(0)
		x := attend(s, qkv[0], qkv[1], qkv[2])
		return b.proj.Forward(s, x.Transpose(1, 2).Reshape(n, t, width))
	})
}

// mlp works on each token of x [N, T, width] by itself.
func (b *vitBlock) mlp(s *torch.Scope, x torch.Tensor) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		return b.fc2.Forward(s, b.fc1.Forward(s, x).Gelu())
	})
}
