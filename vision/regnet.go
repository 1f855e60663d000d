package vision

import (
	"fmt"
	"math"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// regnet is a residual network of bottlenecks in groups whose widths follow a line, rounded to few stages (Radosavovic et
// al., arXiv 2003.13678). Those of kind Y weigh their channels.
type regnet struct {
	convolutional

	depth                int
	first, slope, factor float64 // the line's width at the first block, its slope, and the ratio of stages' widths
	group                int64   // channels per group
	weigh                bool
}

const regnetStem = 32 // channels after the stem

func (r regnet) own() (Spec, settable) { return Spec{}, settable{} }

func (r regnet) inputConv() string { return "stem.conv.weight" }

// stages are the width, group size and number of blocks of each stage.
func (r regnet) stages() (widths, groups []int64, counts []int) {
	for i := range r.depth {
		power := math.RoundToEven(math.Log((float64(i)*r.slope+r.first)/r.first) / math.Log(r.factor))
		width := 8 * int64(math.RoundToEven(r.first*math.Pow(r.factor, power)/8))
		group := min(r.group, width)
		width = group * int64(math.RoundToEven(float64(width)/float64(group)))
		if n := len(widths); n == 0 || widths[n-1] != width {
			widths, groups, counts = append(widths, width), append(groups, group), append(counts, 0)
		}
		counts[len(counts)-1]++
	}
	return widths, groups, counts
}

func (r regnet) build(s *torch.Scope, p torch.Path, spec Spec) network {
	in := int64(regnetStem)
	stem := p.Sub("stem")
	n := &cnn{levels: [][]layer{{googConvNorm(s, stem.Sub("conv"), stem.Sub("bn"), conv2d(int64(spec.Channels), in, 3, 2), nil, torch.Tensor.Relu)}}}
	widths, groups, counts := r.stages()
	i := 0
	for stage, width := range widths {
		var level []layer
		for at := range counts[stage] {
			stride := int64(1)
			if at == 0 {
				stride = 2
			}
			b := r.block(s, p.Sub(fmt.Sprint("s", stage+1)).Sub(fmt.Sprint("b", at+1)), in, width, stride, groups[stage])
			b.dropPath = nn.DropPath{Rate: nn.DropPathRate(spec.DropPath, i, r.depth), Layer: uint32(i)}
			level, in = append(level, b), width
			i++
		}
		n.levels = append(n.levels, level)
	}
	n.width = in
	n.classify(s, p.Sub("head").Sub("fc"), spec.NumClasses, nn.Options{Weight: nn.Normal(0.01), Bias: nn.Zeros})
	return n
}

func (r regnet) block(s *torch.Scope, p torch.Path, in, out, stride, group int64) *resnetBlock {
	b := &resnetBlock{}
	add := func(name string, c nn.Conv, weight torch.Init, act activation) *convNorm {
		return googConvNorm(s, p.Sub(name).Sub("conv"), p.Sub(name).Sub("bn"), c, weight, act)
	}
	three := conv2d(out, out, 3, stride)
	three.Groups = out / group
	b.branch = []layer{
		add("conv1", conv2d(in, out, 1, 1), nil, torch.Tensor.Relu),
		add("conv2", three, nil, torch.Tensor.Relu),
	}
	if r.weigh {
		narrow := int64(math.RoundToEven(float64(in) / 4))
		b.branch = append(b.branch, newSqueeze(s, p.Sub("se"), [2]string{"fc1", "fc2"}, out, narrow, torch.Tensor.Relu, torch.Tensor.Sigmoid))
	}
	b.branch = append(b.branch, add("conv3", conv2d(out, out, 1, 1), nn.Zeros, nil))
	if stride != 1 || in != out {
		b.shortcut = add("downsample", conv2d(in, out, 1, stride), nil, nil)
	}
	return b
}
