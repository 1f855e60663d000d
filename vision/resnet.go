package vision

import (
	"cmp"
	"fmt"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// resnet is a residual network (He et al., arXiv 1512.03385) with the stride of a bottleneck in its 3×3 convolution, as in
// torchvision and timm. In the "D" variants (He et al., arXiv 1812.01187) three small convolutions take the place of the
// large first one, and shortcuts average before they reduce, so that every pixel counts. Wide variants (Zagoruyko &
// Komodakis, arXiv 1605.07146) have more channels within their bottlenecks, and ResNeXts (Xie et al., arXiv 1611.05431)
// convolve them in groups.
type resnet struct {
	convolutional

	layers     [4]int // blocks per stage
	width      int64  // channels of the first stage's 3×3 convolutions, doubled from stage to stage
	bottleneck bool
	d          bool
	groups     int64 // of a bottleneck's 3×3 convolution; 0: 1
	inner      int64 // channels of a bottleneck's 3×3 convolution, of 64 per group; 0: 64
}

const (
	resnetStem      = 64 // channels after a plain stem; a D variant has as many as its first stage
	resnetExpansion = 4  // of a bottleneck's output over its 3×3 convolution
)

// resnetConv is the initial state of timm's convolutions in a ResNet.
var resnetConv = nn.Options{NoBias: true, Weight: nn.KaimingNormalFanOut}

func (r resnet) own() (Spec, settable) {
	return Spec{Width: int(r.width)}, settable{width: true, depth: true}
}

func (r resnet) inputConv() string {
	if r.d {
		return "conv1.0.weight"
	}
	return "conv1.weight"
}

func (r resnet) build(s *torch.Scope, p torch.Path, spec Spec) network {
	r.width, r.groups, r.inner = int64(spec.Width), max(r.groups, 1), cmp.Or(r.inner, 64)
	r.layers = depths(r.layers, spec.Depth)
	n := &cnn{}
	stem, in := r.stem(s, p, int64(spec.Channels))
	n.levels = append(n.levels, stem)
	i, blocks := 0, sum(r.layers)
	for stage, count := range r.layers {
		stride := int64(2)
		var level []layer
		if stage == 0 {
			stride, level = 1, []layer{maxPool{}}
		}
		width := r.width << stage
		for at := range count {
			b := r.block(s, p.Sub(fmt.Sprint("layer", stage+1)).At(at), in, width, stride)
			b.dropPath = nn.DropPath{Rate: nn.DropPathRate(spec.DropPath, i, blocks), Layer: uint32(i)}
			level = append(level, b)
			in, stride = r.out(width), 1
			i++
		}
		n.levels = append(n.levels, level)
	}
	n.width = in
	n.classify(s, p.Sub("fc"), spec.NumClasses, nn.Options{})
	return n
}

// depths are the blocks of each stage: as many as depth says, unless it is 0.
func depths(own [4]int, depth int) [4]int {
	if depth > 0 {
		return [4]int{depth, depth, depth, depth}
	}
	return own
}

func sum(counts [4]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// stem makes what comes before the stages, and says how many channels it returns.
func (r resnet) stem(s *torch.Scope, p torch.Path, in int64) ([]layer, int64) {
	if !r.d {
		c := nn.Conv{In: in, Out: resnetStem, Kernel: 7, Stride: 2, Padding: 3}
		return []layer{newConvNorm(s, p.Sub("conv1"), p.Sub("bn1"), c, nil, torch.Tensor.Relu)}, resnetStem
	}
	narrow := r.width / 2
	conv := p.Sub("conv1")
	three := func(in, out, stride int64) nn.Conv {
		return nn.Conv{In: in, Out: out, Kernel: 3, Stride: stride, Padding: 1}
	}
	return []layer{
		newConvNorm(s, conv.At(0), conv.At(1), three(in, narrow, 2), nil, torch.Tensor.Relu),
		newConvNorm(s, conv.At(3), conv.At(4), three(narrow, narrow, 1), nil, torch.Tensor.Relu),
		newConvNorm(s, conv.At(6), p.Sub("bn1"), three(narrow, r.width, 1), nil, torch.Tensor.Relu),
	}, r.width
}

// out is the number of channels that a stage of the given width returns.
func (r resnet) out(width int64) int64 {
	if r.bottleneck {
		return resnetExpansion * width
	}
	return width
}

func (r resnet) block(s *torch.Scope, p torch.Path, in, width, stride int64) *resnetBlock {
	out := r.out(width)
	b := &resnetBlock{}
	add := func(conv, norm string, c nn.Conv, weight torch.Init, act activation) {
		b.branch = append(b.branch, newConvNorm(s, p.Sub(conv), p.Sub(norm), c, weight, act))
	}
	// Gradient reaches the last normalisation of a branch first: it starts at zero.
	if r.bottleneck {
		inner := width * r.inner / 64 * r.groups
		add("conv1", "bn1", nn.Conv{In: in, Out: inner, Kernel: 1, Stride: 1}, nil, torch.Tensor.Relu)
		three := nn.Conv{In: inner, Out: inner, Kernel: 3, Stride: stride, Padding: 1, Groups: r.groups}
		add("conv2", "bn2", three, nil, torch.Tensor.Relu)
		add("conv3", "bn3", nn.Conv{In: inner, Out: out, Kernel: 1, Stride: 1}, nn.Zeros, nil)
	} else {
		b.branch = resnetBranch(s, p, in, width, stride)
	}
	switch down := p.Sub("downsample"); {
	case stride == 1 && in == out:
	case r.d:
		b.average = stride != 1
		b.shortcut = newConvNorm(s, down.At(1), down.At(2), nn.Conv{In: in, Out: out, Kernel: 1, Stride: 1}, nil, nil)
	default:
		b.shortcut = newConvNorm(s, down.At(0), down.At(1), nn.Conv{In: in, Out: out, Kernel: 1, Stride: stride}, nil, nil)
	}
	return b
}

// resnetBranch is a residual branch of two 3×3 convolutions, of which the first may reduce.
func resnetBranch(s *torch.Scope, p torch.Path, in, width, stride int64) []layer {
	first := nn.Conv{In: in, Out: width, Kernel: 3, Stride: stride, Padding: 1}
	second := nn.Conv{In: width, Out: width, Kernel: 3, Stride: 1, Padding: 1}
	return []layer{
		newConvNorm(s, p.Sub("conv1"), p.Sub("bn1"), first, nil, torch.Tensor.Relu),
		newConvNorm(s, p.Sub("conv2"), p.Sub("bn2"), second, nn.Zeros, nil),
	}
}

// newConvNorm makes a convolution at one path and its normalisation at another.
func newConvNorm(s *torch.Scope, conv, norm torch.Path, c nn.Conv, weight torch.Init, act activation) *convNorm {
	return &convNorm{
		conv: nn.NewConv2d(s, conv, c, resnetConv),
		norm: nn.NewBatchNorm(s, norm, c.Out, weight),
		act:  act,
	}
}

// resnetBlock is a residual branch of two or three convolutions beside a shortcut.
type resnetBlock struct {
	branch   []layer
	average  bool  // before the shortcut, over 2×2
	shortcut layer // nil: the input itself
	dropPath nn.DropPath
}

func (b *resnetBlock) forward(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		y := b.dropPath.Forward(s, run(s, b.branch, x, p), p)
		if b.average {
			x = x.AvgPool2d(2, 2, 0, true, false)
		}
		if b.shortcut != nil {
			x = b.shortcut.forward(s, x, p)
		}
		return y.Add(x).Relu()
	})
}
