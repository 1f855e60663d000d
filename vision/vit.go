package vision

import (
	"fmt"
	"math"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// vit is a vision transformer (Dosovitskiy et al., arXiv 2010.11929) with normalisation first. The zero values of its
// options are the original: class token and learned position embeddings, the class token as feature.
type vit struct {
	patchSize           int
	width, depth, heads int64

	ratio      float64    // of an MLP's hidden width to the width; 0: 4
	gelu       activation // of an MLP; nil: the exact GELU
	swiglu     bool       // MLPs are gated, and half of the hidden width is the gate's
	eps        float64    // of the normalisations; 0: 1e-6
	noQKVBias  bool
	qkNorm     bool
	layerScale float64 // initial scale of the residual branches; 0: none

	noClass    bool  // there is no class token
	registers  int64 // tokens after the class token
	patchesPos bool  // position embeddings are added to patches alone, before other tokens join them
	preNorm    bool  // tokens are normalised before the first block, and the patches' convolution has no bias
	average    bool  // the feature is the average of the patches' tokens
	normFirst  bool  // the last normalisation comes before the average even so

	dinov3 bool  // rotary position embeddings, and the parameters of timm's Eva
	align  int64 // in DINOv3, the multiple that the hidden width of gated MLPs is rounded up to
}

const (
	vitNormEps  = 1e-6
	vitMLPRatio = 4

	// vitGatedRatio is DINOv2's: with a third matrix, the hidden width is 8/3 of the width. timm rounds the constant.
	vitGatedRatio = 2 * 2.66667
)

// vitLinear is the initial state of timm's linear layers in a ViT.
var vitLinear = nn.Options{Weight: nn.TruncNormal(0.02), Bias: nn.Zeros}

func (v vit) own() (Spec, settable) {
	s := Spec{PatchSize: v.patchSize, Width: int(v.width), Depth: int(v.depth), Heads: int(v.heads), Pool: poolToken,
		Registers: int(v.registers), LayerScale: v.layerScale, QKNorm: v.qkNorm, SwiGLU: v.swiglu}
	if v.average {
		s.Pool = poolAvg
	}
	return s, settable{patches: true, width: true, depth: true, tokens: true}
}

// with is v as a complete spec wants it.
func (v vit) with(s Spec) vit {
	v.patchSize, v.width, v.depth, v.heads = s.PatchSize, int64(s.Width), int64(s.Depth), int64(s.Heads)
	if s.SwiGLU && !v.swiglu && !v.dinov3 {
		v.ratio = vitGatedRatio
	}
	v.average, v.registers, v.layerScale = s.Pool == poolAvg, int64(s.Registers), s.LayerScale
	v.qkNorm, v.swiglu = s.QKNorm, s.SwiGLU
	if v.ratio == 0 {
		v.ratio = vitMLPRatio
	}
	if v.eps == 0 {
		v.eps = vitNormEps
	}
	// A class token that is asked for is made, whether or not the variant has one.
	v.noClass = v.noClass && v.average
	return v
}

// check reports a head that has no whole number of frequencies for rows and columns.
func (v vit) check(s Spec) error {
	if d := s.Width / s.Heads; v.dinov3 && d%4 != 0 {
		return fmt.Errorf("%d heads of %d features: expected a multiple of 4, for rotary embeddings", s.Heads, d)
	}
	return nil
}

// prefix is the number of tokens before the patches'.
func (v vit) prefix() int64 {
	if v.noClass {
		return v.registers
	}
	return 1 + v.registers
}

// prefixPos is how many of them have a position embedding.
func (v vit) prefixPos() int64 {
	if v.patchesPos {
		return 0
	}
	return v.prefix()
}

func (v vit) inputConv() string { return "patch_embed.proj.weight" }

func (v vit) infer(shape func(key string) []int64) Spec {
	var s Spec
	if w := shape(v.inputConv()); len(w) == 4 {
		s.PatchSize = int(w[2])
	}
	if reg := shape("reg_token"); len(reg) == 3 {
		v.registers = reg[1]
		s.Registers = int(reg[1])
	}
	v.noClass = shape("cls_token") == nil
	if pos := shape("pos_embed"); len(pos) == 3 {
		if side := math.Sqrt(float64(pos[1] - v.prefixPos())); side == math.Trunc(side) {
			s.ImageSize = int(side) * s.PatchSize
		}
	}
	return s
}

func (v vit) build(s *torch.Scope, p torch.Path, spec Spec) network {
	v = v.with(spec)
	n := &vitNet{vit: v, patch: int64(spec.PatchSize), grid: int64(spec.ImageSize / spec.PatchSize)}
	token, pos := nn.Normal(1e-6), nn.TruncNormal(0.02)
	if v.dinov3 {
		token = pos
	}
	if !v.noClass {
		n.cls = p.NoDecay(s, "cls_token", token, 1, 1, v.width)
	}
	if v.registers > 0 {
		n.reg = p.NoDecay(s, "reg_token", token, 1, v.registers, v.width)
	}
	if !v.dinov3 {
		n.pos = p.NoDecay(s, "pos_embed", pos, 1, v.prefixPos()+n.grid*n.grid, v.width)
	}
	conv := nn.Conv{In: int64(spec.Channels), Out: v.width, Kernel: n.patch, Stride: n.patch}
	n.embed = nn.NewConv2d(s, p.Sub("patch_embed").Sub("proj"), conv, nn.Options{NoBias: v.preNorm})
	if v.preNorm {
		n.normPre = nn.NewLayerNorm(s, p.Sub("norm_pre"), v.width, v.eps)
	}
	for i := range int(v.depth) {
		n.blocks = append(n.blocks, v.block(s, p.Sub("blocks").At(i), i, spec.DropPath))
	}
	last := "norm"
	if n.normLast = v.average && !v.normFirst; n.normLast {
		last = "fc_norm"
	}
	n.norm = nn.NewLayerNorm(s, p.Sub(last), v.width, v.eps)
	if spec.NumClasses > 0 {
		o := vitLinear
		if v.dinov3 {
			o.Weight = nn.TruncNormal(2e-5)
		}
		n.head = nn.NewLinear(s, p.Sub("head"), v.width, int64(spec.NumClasses), o)
	}
	return n
}

type vitNet struct {
	vit
	cls, reg, pos torch.Tensor // [1, 1, width], [1, registers, width], [1, prefix+grid², width]; zero: none
	embed         *nn.Conv2d
	normPre       *nn.LayerNorm // nil: none
	blocks        []*vitBlock
	norm          *nn.LayerNorm
	normLast      bool       // norm comes after the average
	head          *nn.Linear // nil: none

	patch, grid int64
}

func (n *vitNet) dim() int64 {
	if n.head != nil {
		return n.head.Bias.Shape()[0]
	}
	return n.width
}

func (n *vitNet) forward(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	n.walk(s, x, p, func(_ *vitBlock, _, y torch.Tensor) { x = y })
	return n.pooled(s, x)
}

// pooled makes the embedding of the last block's tokens.
func (n *vitNet) pooled(s *torch.Scope, x torch.Tensor) torch.Tensor {
	// The norm works token by token, so that only the tokens that are used need it.
	if n.average {
		x = n.patches(x)
		if !n.normLast {
			x = n.norm.Forward(s, x)
		}
		x = x.MeanDim(1, false)
	} else {
		x = x.Select(1, 0)
	}
	if n.normLast || !n.average {
		x = n.norm.Forward(s, x)
	}
	if n.head != nil {
		x = n.head.Forward(s, x)
	}
	return x
}

// walk embeds x [N, C, H, W] and runs the blocks on the tokens [N, T, width], telling see what goes into each and what
// comes out.
func (n *vitNet) walk(s *torch.Scope, x torch.Tensor, p nn.Pass, see func(b *vitBlock, in, out torch.Tensor)) {
	h, w := x.Size(2)/n.patch, x.Size(3)/n.patch
	r := n.rotary(s, h, w)
	x = n.embedded(s, x, h, w)
	for _, b := range n.blocks {
		y := b.forward(s, x, r, p)
		see(b, x, y)
		x = y
	}
}

// patches takes the patches' tokens out of x [N, T, width].
func (n *vitNet) patches(x torch.Tensor) torch.Tensor {
	prefix := n.prefix()
	if prefix == 0 {
		return x
	}
	return x.Narrow(1, prefix, x.Size(1)-prefix)
}

// tokens are the last block's, normalised unless the norm comes after the average.
func (n *vitNet) tokens(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	n.walk(s, x, p, func(_ *vitBlock, _, y torch.Tensor) { x = y })
	return n.normed(s, x)
}

// normed makes the tokens of what the last block leaves.
func (n *vitNet) normed(s *torch.Scope, x torch.Tensor) torch.Tensor {
	if n.normLast {
		return x
	}
	return n.norm.Forward(s, x)
}

// features are the patches' tokens after each block.
func (n *vitNet) features(s *torch.Scope, x torch.Tensor, p nn.Pass) []torch.Tensor {
	h, w := x.Size(2)/n.patch, x.Size(3)/n.patch
	var maps []torch.Tensor
	n.walk(s, x, p, func(_ *vitBlock, _, y torch.Tensor) {
		maps = append(maps, n.patches(y).Transpose(1, 2).Unflatten(2, h, w))
	})
	return maps
}

func (n *vitNet) blockCount() int { return len(n.blocks) }

// classTokens are those of the last blocks, normalised unless the norm comes after the average of patches.
func (n *vitNet) classTokens(s *torch.Scope, x torch.Tensor, p nn.Pass, blocks int) []torch.Tensor {
	var all []torch.Tensor
	at := 0
	n.walk(s, x, p, func(_ *vitBlock, _, y torch.Tensor) {
		if at++; at <= len(n.blocks)-blocks {
			return
		}
		token := y.Select(1, 0)
		if !n.normLast {
			token = n.norm.Forward(s, token)
		}
		all = append(all, token)
	})
	return all
}

// attention are the weights of each block, [N, heads, T, T].
func (n *vitNet) attention(s *torch.Scope, x torch.Tensor, p nn.Pass) []torch.Tensor {
	r := n.rotary(s, x.Size(2)/n.patch, x.Size(3)/n.patch)
	var maps []torch.Tensor
	n.walk(s, x, p, func(b *vitBlock, in, _ torch.Tensor) { maps = append(maps, b.weights(s, in, r)) })
	return maps
}

// lastAttention are the tokens, and the weights of the last block.
func (n *vitNet) lastAttention(s *torch.Scope, x torch.Tensor, p nn.Pass) (tokens, weights torch.Tensor) {
	r := n.rotary(s, x.Size(2)/n.patch, x.Size(3)/n.patch)
	n.walk(s, x, p, func(b *vitBlock, in, y torch.Tensor) {
		if b == n.blocks[len(n.blocks)-1] {
			weights = b.weights(s, in, r)
		}
		x = y
	})
	return n.normed(s, x), weights
}

// embedded cuts x [N, C, H, W] into h×w patches and returns a token for each, after those of the prefix.
func (n *vitNet) embedded(s *torch.Scope, x torch.Tensor, h, w int64) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		x := n.embed.Forward(s, x).Flatten(2, 3).Transpose(1, 2)
		if n.pos.Defined() && n.patchesPos {
			x = x.Add(n.positions(s, h, w))
		}
		var all []torch.Tensor
		for _, token := range []torch.Tensor{n.cls, n.reg} {
			if token.Defined() {
				all = append(all, s.Use(token).ExpandBatch(x))
			}
		}
		if len(all) > 0 {
			x = torch.Cat(append(all, x), 1)
		}
		if n.pos.Defined() && !n.patchesPos {
			x = x.Add(n.positions(s, h, w))
		}
		if n.normPre != nil {
			x = n.normPre.Forward(s, x)
		}
		return x
	})
}

// resample makes the position embeddings those of size×size pixels.
func (n *vitNet) resample(s *torch.Scope, p *torch.Params, size int64) {
	grid := size / n.patch
	if !n.pos.Defined() || grid == n.grid {
		return
	}
	s.Child(func(s *torch.Scope) torch.Tensor {
		s.NoGrad(func() { p.Replace(s, "pos_embed", n.positions(s, grid, grid)) })
		return torch.Tensor{}
	})
	n.grid = grid
}

// positions returns the position embeddings for h×w patches: the learned ones, or, at another size than theirs, resampled
// by antialiased bicubic interpolation in float32, as timm does. Gradient flows back to the learned ones.
func (n *vitNet) positions(s *torch.Scope, h, w int64) torch.Tensor {
	pos := s.Use(n.pos)
	if h == n.grid && w == n.grid {
		return pos
	}
	prefix := n.prefixPos()
	patches := pos.Narrow(1, prefix, n.grid*n.grid).To(torch.Float32).Reshape(1, n.grid, n.grid, n.width).Permute(0, 3, 1, 2).
		InterpolateBicubicAntialias(h, w).
		Permute(0, 2, 3, 1).Reshape(1, h*w, n.width).To(pos.DType())
	if prefix == 0 {
		return patches
	}
	return torch.Cat([]torch.Tensor{pos.Narrow(1, 0, prefix), patches}, 1)
}
