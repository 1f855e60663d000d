package vision

import (
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// convnext is a convolutional network in the manner of a ViT (Liu et al., arXiv 2201.03545): a wide depthwise convolution,
// normalisation and an MLP in each block. Version 2 (Woo et al., arXiv 2301.00808) lets channels compete in the MLP instead
// of scaling its branch.
type convnext struct {
	convolutional

	layers [4]int // blocks per stage
	width  int64  // channels of the first stage, doubled from stage to stage
	v2     bool
	conv   bool // the MLP's weights have the shape of 1×1 convolutions; the small models do
	stem   convnextStem
	eps    float64 // of the normalisations; 0: 1e-6

	normFirst bool  // the last normalisation comes before the average
	hidden    int64 // width of a layer between the features and their classes; 0: none
}

// convnextStem is how the image is reduced to a quarter of its size.
type convnextStem int

const (
	stemPatch   convnextStem = iota // one convolution whose windows do not overlap
	stemOverlap                     // two of 3×3, both as wide as the first stage
	stemTiered                      // two of 3×3, the first half as wide
)

const (
	convnextRatio = 4    // of the MLP's hidden width
	convnextScale = 1e-6 // of the branches, initially
)

func (c convnext) own() (Spec, settable) {
	return Spec{Width: int(c.width)}, settable{width: true, depth: true}
}

func (c convnext) inputConv() string { return "stem.0.weight" }

func (c convnext) build(s *torch.Scope, p torch.Path, spec Spec) network {
	c.width = int64(spec.Width)
	c.layers = depths(c.layers, spec.Depth)
	if c.eps == 0 {
		c.eps = vitNormEps
	}
	n := &cnn{}
	level := c.stemLayers(s, p.Sub("stem"), int64(spec.Channels))
	i, blocks := 0, sum(c.layers)
	for stage, count := range c.layers {
		width := c.width << stage
		p := p.Sub("stages").At(stage)
		if stage > 0 {
			down := nn.Conv{In: width / 2, Out: width, Kernel: 2, Stride: 2}
			level = append(level, c.norm(s, p.Sub("downsample").At(0), down.In),
				newConv(s, p.Sub("downsample").At(1), down, vitLinear))
		}
		for at := range count {
			b := c.block(s, p.Sub("blocks").At(at), width)
			b.dropPath = nn.DropPath{Rate: nn.DropPathRate(spec.DropPath, i, blocks), Layer: uint32(i)}
			level = append(level, b)
			i++
		}
		n.levels, level = append(n.levels, level), nil
		n.width = width
	}
	head := p.Sub("head")
	if c.normFirst {
		n.neck = []layer{c.norm(s, p.Sub("norm_pre"), n.width)}
	} else {
		n.head = []rowwise{nn.NewLayerNorm(s, head.Sub("norm"), n.width, c.eps)}
	}
	if c.hidden > 0 {
		hidden := nn.NewLinear(s, head.Sub("pre_logits").Sub("fc"), n.width, c.hidden, vitLinear)
		n.head, n.width = append(n.head, hidden, activationRow(torch.Tensor.Gelu)), c.hidden
	}
	n.classify(s, head.Sub("fc"), spec.NumClasses, vitLinear)
	return n
}

func (c convnext) stemLayers(s *torch.Scope, p torch.Path, in int64) []layer {
	if c.stem == stemPatch {
		return []layer{
			newConv(s, p.At(0), nn.Conv{In: in, Out: c.width, Kernel: 4, Stride: 4}, vitLinear),
			c.norm(s, p.At(1), c.width),
		}
	}
	middle := c.width
	if c.stem == stemTiered {
		middle = roundTo8(float64(c.width / 2))
	}
	return []layer{
		newConv(s, p.At(0), nn.Conv{In: in, Out: middle, Kernel: 3, Stride: 2, Padding: 1}, vitLinear),
		newConv(s, p.At(1), nn.Conv{In: middle, Out: c.width, Kernel: 3, Stride: 2, Padding: 1}, vitLinear),
		c.norm(s, p.At(2), c.width),
	}
}

// roundTo8 is timm's choice of a number of channels: the nearest multiple of 8, unless it is less than 0.9 of v.
func roundTo8(v float64) int64 {
	n := max(8, int64(v+4)/8*8)
	if float64(n) < 0.9*v {
		n += 8
	}
	return n
}

func (c convnext) norm(s *torch.Scope, p torch.Path, dim int64) layer {
	return channelNorm{nn.NewLayerNorm(s, p, dim, c.eps)}
}

func (c convnext) block(s *torch.Scope, p torch.Path, width int64) *convnextBlock {
	b := &convnextBlock{}
	if !c.v2 {
		b.scale = p.Param(s, "gamma", constant(convnextScale), width)
	}
	depthwise := nn.Conv{In: width, Out: width, Kernel: 7, Stride: 1, Padding: 3, Groups: width}
	b.depthwise = newConv(s, p.Sub("conv_dw"), depthwise, vitLinear)
	b.norm = nn.NewLayerNorm(s, p.Sub("norm"), width, c.eps)
	mlp := p.Sub("mlp")
	hidden := convnextRatio * width
	b.fc1 = c.linear(s, mlp.Sub("fc1"), width, hidden)
	if c.v2 {
		grn := mlp.Sub("grn")
		b.grnWeight, b.grnBias = grn.Param(s, "weight", nn.Zeros, hidden), grn.Param(s, "bias", nn.Zeros, hidden)
	}
	b.fc2 = c.linear(s, mlp.Sub("fc2"), hidden, width)
	return b
}

// linear makes a linear map of the channels.
func (c convnext) linear(s *torch.Scope, p torch.Path, in, out int64) rowwise {
	if !c.conv {
		return nn.NewLinear(s, p, in, out, vitLinear)
	}
	conv := nn.NewConv2d(s, p, nn.Conv{In: in, Out: out, Kernel: 1, Stride: 1}, vitLinear)
	return pointwise{conv.Weight, conv.Bias}
}

// pointwise is a 1×1 convolution of tensors whose last dimension are the channels.
type pointwise struct {
	weight, bias torch.Tensor // [out, in, 1, 1], [out]
}

func (l pointwise) Forward(s *torch.Scope, x torch.Tensor) torch.Tensor {
	return x.Linear(s.Use(l.weight).Flatten(1, 3), l.bias)
}

// activationRow is an activation between maps of the last dimension.
type activationRow activation

func (a activationRow) Forward(_ *torch.Scope, x torch.Tensor) torch.Tensor { return a(x) }

// conv is a convolution by itself.
type conv struct{ *nn.Conv2d }

func newConv(s *torch.Scope, p torch.Path, c nn.Conv, o nn.Options) conv {
	return conv{nn.NewConv2d(s, p, c, o)}
}

func (l conv) forward(s *torch.Scope, x torch.Tensor, _ nn.Pass) torch.Tensor { return l.Forward(s, x) }

// channelNorm normalises the channels of each place.
type channelNorm struct{ *nn.LayerNorm }

func (l channelNorm) forward(s *torch.Scope, x torch.Tensor, _ nn.Pass) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		return l.Forward(s, x.Permute(0, 2, 3, 1)).Permute(0, 3, 1, 2)
	})
}

// convnextBlock is a residual branch of a depthwise convolution and an MLP.
type convnextBlock struct {
	scale              torch.Tensor // [C] of the branch; zero: none
	depthwise          conv
	norm               *nn.LayerNorm
	fc1, fc2           rowwise
	grnWeight, grnBias torch.Tensor // [hidden] of version 2
	dropPath           nn.DropPath
}

func (b *convnextBlock) forward(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		y := b.depthwise.forward(s, x, p).Permute(0, 2, 3, 1)
		y = b.fc1.Forward(s, b.norm.Forward(s, y)).Gelu()
		if b.grnWeight.Defined() {
			y = b.compete(s, y)
		}
		y = scaled(b.fc2.Forward(s, y), b.scale).Permute(0, 3, 1, 2)
		return b.dropPath.Forward(s, y, p).Add(x)
	})
}

// compete is ConvNeXt V2's global response normalisation of x [N, H, W, C]: a channel is worth its norm over all places
// by the mean norm of the channels.
func (b *convnextBlock) compete(s *torch.Scope, x torch.Tensor) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		const eps = 1e-6
		norm := x.NormDims(true, 1, 2)
		worth := norm.Div(norm.MeanDim(-1, true).AddScalar(eps))
		return x.Mul(worth).Mul(b.grnWeight).Add(b.grnBias).Add(x)
	})
}
