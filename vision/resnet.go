package vision

import (
	"fmt"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// resnet is a residual network (He et al., arXiv 1512.03385) with the stride of a bottleneck in its 3×3 convolution, as in
// torchvision and timm. In the "D" variants (He et al., arXiv 1812.01187) three small convolutions take the place of the
// large first one, and shortcuts average before they reduce, so that every pixel counts.
type resnet struct {
	layers     [4]int // blocks per stage
	width      int64  // channels of the first stage's 3×3 convolutions, doubled from stage to stage
	bottleneck bool
	d          bool
}

const (
	resnetStem      = 64 // channels after a plain stem; a D variant has as many as its first stage
	resnetExpansion = 4  // of a bottleneck's output over its 3×3 convolution
)

// resnetConv is the initial state of timm's convolutions in a ResNet.
var resnetConv = nn.Options{NoBias: true, Weight: nn.KaimingNormalFanOut}

func (r resnet) patch() int { return 0 }

func (r resnet) dims() (width, depth, heads int) { return int(r.width), 0, 0 }

func (r resnet) infer(shape func(key string) []int64) Spec {
	for _, first := range []string{"conv1.weight", "conv1.0.weight"} {
		if w := shape(first); len(w) == 4 {
			return Spec{Channels: int(w[1])}
		}
	}
	return Spec{}
}

func (r resnet) build(s *torch.Scope, p torch.Path, spec Spec) network {
	r.width = int64(spec.Width)
	blocks := 0
	for stage := range r.layers {
		if spec.Depth > 0 {
			r.layers[stage] = spec.Depth
		}
		blocks += r.layers[stage]
	}
	n := &resnetNet{}
	var in int64
	n.stem, in = r.stem(s, p, int64(spec.Channels))
	for stage, count := range r.layers {
		stride := int64(2)
		if stage == 0 {
			stride = 1
		}
		width := r.width << stage
		for i := range count {
			b := r.block(s, p.Sub(fmt.Sprint("layer", stage+1)).At(i), in, width, stride)
			b.dropPath = nn.DropPath{Rate: decayed(spec.DropPath, len(n.blocks), blocks), Layer: uint32(len(n.blocks))}
			n.blocks = append(n.blocks, b)
			in, stride = r.out(width), 1
		}
	}
	n.features = in
	if spec.NumClasses > 0 {
		n.head = nn.NewLinear(s, p.Sub("fc"), in, int64(spec.NumClasses), nn.Options{})
	}
	return n
}

// stem makes what comes before the stages, and says how many channels it returns.
func (r resnet) stem(s *torch.Scope, p torch.Path, in int64) ([]*convNorm, int64) {
	if !r.d {
		c := nn.Conv{In: in, Out: resnetStem, Kernel: 7, Stride: 2, Padding: 3}
		return []*convNorm{newConvNorm(s, p, "conv1", "bn1", c, nil)}, resnetStem
	}
	narrow := r.width / 2
	conv := p.Sub("conv1")
	return []*convNorm{
		newConvNorm(s, conv, "0", "1", nn.Conv{In: in, Out: narrow, Kernel: 3, Stride: 2, Padding: 1}, nil),
		newConvNorm(s, conv, "3", "4", nn.Conv{In: narrow, Out: narrow, Kernel: 3, Stride: 1, Padding: 1}, nil),
		{
			conv: nn.NewConv2d(s, conv.Sub("6"), nn.Conv{In: narrow, Out: r.width, Kernel: 3, Stride: 1, Padding: 1}, resnetConv),
			norm: nn.NewBatchNorm(s, p.Sub("bn1"), r.width, nil),
		},
	}, r.width
}

// out is the number of channels that a block returns.
func (r resnet) out(width int64) int64 {
	if r.bottleneck {
		return resnetExpansion * width
	}
	return width
}

func (r resnet) block(s *torch.Scope, p torch.Path, in, width, stride int64) *resnetBlock {
	out := r.out(width)
	b := &resnetBlock{}
	add := func(conv, bn string, c nn.Conv, weight torch.Init) {
		b.branch = append(b.branch, newConvNorm(s, p, conv, bn, c, weight))
	}
	if r.bottleneck {
		add("conv1", "bn1", nn.Conv{In: in, Out: width, Kernel: 1, Stride: 1}, nil)
		add("conv2", "bn2", nn.Conv{In: width, Out: width, Kernel: 3, Stride: stride, Padding: 1}, nil)
		add("conv3", "bn3", nn.Conv{In: width, Out: out, Kernel: 1, Stride: 1}, nn.Zeros)
	} else {
		add("conv1", "bn1", nn.Conv{In: in, Out: width, Kernel: 3, Stride: stride, Padding: 1}, nil)
		add("conv2", "bn2", nn.Conv{In: width, Out: out, Kernel: 3, Stride: 1, Padding: 1}, nn.Zeros)
	}
	switch down := p.Sub("downsample"); {
	case stride == 1 && in == out:
	case r.d:
		b.average = stride != 1
		b.shortcut = newConvNorm(s, down, "1", "2", nn.Conv{In: in, Out: out, Kernel: 1, Stride: 1}, nil)
	default:
		b.shortcut = newConvNorm(s, down, "0", "1", nn.Conv{In: in, Out: out, Kernel: 1, Stride: stride}, nil)
	}
	return b
}

type resnetNet struct {
	stem     []*convNorm
	blocks   []*resnetBlock
	head     *nn.Linear // nil: none
	features int64
}

func (n *resnetNet) dim() int64 {
	if n.head != nil {
		return n.head.Bias.Shape()[0]
	}
	return n.features
}

func (n *resnetNet) forward(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	x = s.Child(func(s *torch.Scope) torch.Tensor {
		x := x.ChannelsLast() // as all that follows then is
		for _, c := range n.stem {
			x = c.forward(s, x, p).Relu()
		}
		return x.MaxPool2d(3, 2, 1)
	})
	for _, b := range n.blocks {
		x = b.forward(s, x, p)
	}
	x = x.MeanDims(false, 2, 3)
	if n.head != nil {
		x = n.head.Forward(s, x)
	}
	return x
}

// resnetBlock is a residual branch of two or three convolutions beside a shortcut.
type resnetBlock struct {
	branch   []*convNorm
	average  bool      // before the shortcut, over 2×2
	shortcut *convNorm // nil: the input itself
	dropPath nn.DropPath
}

func (b *resnetBlock) forward(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		y := x
		for i, c := range b.branch {
			if i > 0 {
				y = y.Relu()
			}
			y = c.forward(s, y, p)
		}
		y = b.dropPath.Forward(s, y, p)
		if b.average {
			x = x.AvgPool2d(2, 2, 0, true, false)
		}
		if b.shortcut != nil {
			x = b.shortcut.forward(s, x, p)
		}
		return y.Add(x).Relu()
	})
}

// convNorm is a convolution followed by batch normalisation.
type convNorm struct {
	conv *nn.Conv2d
	norm *nn.BatchNorm
}

func newConvNorm(s *torch.Scope, p torch.Path, conv, norm string, c nn.Conv, weight torch.Init) *convNorm {
	return &convNorm{
		conv: nn.NewConv2d(s, p.Sub(conv), c, resnetConv),
		norm: nn.NewBatchNorm(s, p.Sub(norm), c.Out, weight),
	}
}

func (l *convNorm) forward(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	return l.norm.Forward(s, l.conv.Forward(s, x), p)
}
