package vision

import (
	"math"
	"strconv"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// efficientnet is a network of inverted residuals: blocks that widen, convolve each channel by itself, weigh channels by
// what all places say, and narrow again. MobileNet V3 (Howard et al., arXiv 1905.02244) and EfficientNet (Tan & Le,
// arXiv 1905.11946) differ in their stages and in the end. Padding is PyTorch's.
type efficientnet struct {
	convolutional

	stages []inverted
	stem   int64   // channels of the first convolution
	wide   float64 // factor of all channels, which become multiples of 8; 0: 1
	deep   float64 // factor of the blocks of each stage, rounded up; 0: 1
	act    activation

	last    int64 // channels of the convolution at the end
	mobile  bool  // that convolution comes after the average, and channels are weighed as in MobileNet V3
	fixStem bool  // the stem has its channels whatever the factor is
}

// inverted is a run of blocks.
type inverted struct {
	join   bool // with the stage before: another part of it
	blocks int
	kernel int64
	stride int64   // of the first block
	ratio  float64 // of the inner width to a block's input; 0: one convolution without residual, 1: no widening
	out    int64
	weigh  bool // channels are weighed
	relu   bool // instead of the network's activation
}

func (e efficientnet) own() (Spec, settable) { return Spec{}, settable{} }

func (e efficientnet) inputConv() string { return "conv_stem.weight" }

// chans is a number of channels times the factor.
func (e efficientnet) chans(n int64) int64 {
	if e.wide == 0 {
		return n
	}
	return roundTo8(float64(n) * e.wide)
}

// count is the number of blocks of a run.
func (e efficientnet) count(r inverted) int {
	if e.deep == 0 {
		return r.blocks
	}
	return int(math.Ceil(float64(r.blocks) * e.deep))
}

func (e efficientnet) build(s *torch.Scope, p torch.Path, spec Spec) network {
	in := e.stem
	if !e.fixStem {
		in = e.chans(in)
	}
	n := &cnn{}
	level := []layer{googConvNorm(s, p.Sub("conv_stem"), p.Sub("bn1"), conv2d(int64(spec.Channels), in, 3, 2), nil, e.act)}
	i, blocks := 0, 0
	for _, r := range e.stages {
		blocks += e.count(r)
	}
	stage, at := -1, 0
	for _, r := range e.stages {
		if r.join {
			at++
		} else {
			stage, at = stage+1, 0
		}
		if r.stride > 1 && (i > 0 || len(level) == 1) {
			n.levels, level = append(n.levels, level), nil
		}
		out, stride := e.chans(r.out), r.stride
		for k := range e.count(r) {
			if k > 0 {
				at++
			}
			b := e.block(s, p.Sub("blocks").At(stage).At(at), r, in, out, stride)
			b.dropPath = nn.DropPath{Rate: spec.DropPath * float64(i) / float64(blocks), Layer: uint32(i)}
			level, in, stride = append(level, b), out, 1
			i++
		}
	}
	n.levels, n.width = append(n.levels, level), e.last
	if e.mobile {
		head := nn.NewConv2d(s, p.Sub("conv_head"), conv2d(in, e.last, 1, 1), googConv(1, false))
		n.head = []rowwise{pointwise{head.Weight, head.Bias}, activationRow(e.act)}
	} else {
		n.width = e.chans(e.last)
		n.neck = []layer{googConvNorm(s, p.Sub("conv_head"), p.Sub("bn2"), conv2d(in, n.width, 1, 1), nil, e.act)}
	}
	classes := float64(spec.NumClasses)
	n.classify(s, p.Sub("classifier"), spec.NumClasses, nn.Options{Weight: nn.Uniform(1 / math.Sqrt(classes)), Bias: nn.Zeros})
	return n
}

// conv2d is a convolution that keeps the size but for its stride.
func conv2d(in, out, kernel, stride int64) nn.Conv {
	return nn.Conv{In: in, Out: out, Kernel: kernel, Stride: stride, Padding: kernel / 2}
}

// googConv is the initial state of a convolution: variance 2 by the outputs that an input reaches.
func googConv(groups int64, noBias bool) nn.Options {
	return nn.Options{NoBias: noBias, Weight: nn.KaimingNormalFanOutGroups(groups), Bias: nn.Zeros}
}

// googConvNorm makes a convolution at one path and its normalisation, whose initial weight is one unless given, at another.
func googConvNorm(s *torch.Scope, conv, norm torch.Path, c nn.Conv, weight torch.Init, act activation) *convNorm {
	return &convNorm{
		conv: nn.NewConv2d(s, conv, c, googConv(max(c.Groups, 1), true)),
		norm: nn.NewBatchNorm(s, norm, c.Out, weight),
		act:  act,
	}
}

func (e efficientnet) block(s *torch.Scope, p torch.Path, r inverted, in, out, stride int64) *invertedBlock {
	act := e.act
	if r.relu {
		act = torch.Tensor.Relu
	}
	b := &invertedBlock{residual: stride == 1 && in == out}
	norms := 0
	add := func(conv string, c nn.Conv, act activation) {
		norms++
		b.branch = append(b.branch, googConvNorm(s, p.Sub(conv), p.Sub("bn"+strconv.Itoa(norms)), c, nil, act))
	}
	inner, narrow := in, "conv_pw"
	switch r.ratio {
	case 0:
		b.residual = false
		add("conv", conv2d(in, out, r.kernel, stride), act)
		return b
	case 1:
	default:
		inner, narrow = roundTo8(float64(in)*r.ratio), "conv_pwl"
		add("conv_pw", conv2d(in, inner, 1, 1), act)
	}
	depthwise := conv2d(inner, inner, r.kernel, stride)
	depthwise.Groups = inner
	add("conv_dw", depthwise, act)
	if r.weigh {
		b.branch = append(b.branch, e.weigh(s, p.Sub("se"), in, inner, act))
	}
	add(narrow, conv2d(inner, out, 1, 1), nil)
	return b
}

// weigh makes the weighing of inner channels of a block with the given input.
func (e efficientnet) weigh(s *torch.Scope, p torch.Path, in, inner int64, act activation) *squeeze {
	gate := torch.Tensor.Sigmoid
	narrow := int64(math.RoundToEven(float64(inner) * (0.25 / (float64(inner) / float64(in)))))
	if e.mobile {
		narrow, act, gate = roundTo8(float64(inner)*0.25), torch.Tensor.Relu, torch.Tensor.Hardsigmoid
	}
	return newSqueeze(s, p, [2]string{"conv_reduce", "conv_expand"}, inner, narrow, act, gate)
}

// newSqueeze makes the weighing of so many channels at a path, its two layers having names.
func newSqueeze(s *torch.Scope, p torch.Path, names [2]string, channels, narrow int64, act, gate activation) *squeeze {
	return &squeeze{
		reduce: nn.NewConv2d(s, p.Sub(names[0]), conv2d(channels, narrow, 1, 1), googConv(1, false)),
		expand: nn.NewConv2d(s, p.Sub(names[1]), conv2d(narrow, channels, 1, 1), googConv(1, false)),
		act:    act,
		gate:   gate,
	}
}

// invertedBlock is a branch of convolutions, beside the identity where sizes agree.
type invertedBlock struct {
	branch   []layer
	residual bool
	dropPath nn.DropPath
}

func (b *invertedBlock) forward(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		y := run(s, b.branch, x, p)
		if !b.residual {
			return y
		}
		return b.dropPath.Forward(s, y, p).Add(x)
	})
}

// squeeze weighs channels by a small network on their averages (Hu et al., arXiv 1709.01507).
type squeeze struct {
	reduce, expand *nn.Conv2d
	act, gate      activation
}

func (l *squeeze) forward(s *torch.Scope, x torch.Tensor, _ nn.Pass) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		w := l.act(l.reduce.Forward(s, x.MeanDims(true, 2, 3)))
		return x.Mul(l.gate(l.expand.Forward(s, w)))
	})
}
