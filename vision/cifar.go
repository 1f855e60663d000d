package vision

import (
	"cmp"
	"fmt"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// cifarResNet is the residual network for images of 32 pixels (He et al., arXiv 1512.03385, section 4.2): no large
// convolution or pooling before the stages, which are three, and shortcuts without weights, which take every other pixel and
// fill new channels with zeros ("option A"). Its keys are those of the other ResNets; timm has no such model.
type cifarResNet struct {
	convolutional

	blocks int64 // of each stage
}

// cifarWidth is the number of channels of the first stage, doubled from stage to stage.
const cifarWidth = 16

func (c cifarResNet) own() (Spec, settable) {
	return Spec{Width: cifarWidth}, settable{width: true, depth: true}
}

func (c cifarResNet) inputConv() string { return "conv1.weight" }

func (c cifarResNet) layerRules() []layerRule { return resnet{}.layerRules() }

func (c cifarResNet) build(s *torch.Scope, p torch.Path, spec Spec) network {
	in, count := int64(spec.Width), cmp.Or(spec.Depth, int(c.blocks))
	stem := nn.Conv{In: int64(spec.Channels), Out: in, Kernel: 3, Stride: 1, Padding: 1}
	n := &cnn{levels: [][]layer{{newConvNorm(s, p.Sub("conv1"), p.Sub("bn1"), stem, nil, torch.Tensor.Relu)}}}
	i := 0
	for stage := range 3 {
		width, stride := int64(spec.Width)<<stage, int64(1)
		if stage > 0 {
			stride = 2
		}
		var level []layer
		for at := range count {
			p := p.Sub(fmt.Sprint("layer", stage+1)).At(at)
			b := &resnetBlock{branch: resnetBranch(s, p, in, width, stride)}
			if stride > 1 {
				b.shortcut = everyOther{pad: (width - in) / 2}
			}
			b.dropPath = nn.DropPath{Rate: nn.DropPathRate(spec.DropPath, i, 3*count), Layer: uint32(i)}
			level = append(level, b)
			in, stride = width, 1
			i++
		}
		n.levels = append(n.levels, level)
	}
	n.width = in
	n.classify(s, p.Sub("fc"), spec.NumClasses, nn.Options{})
	return n
}

// everyOther is a shortcut without weights: every other row and column, between so many channels of zeros before and after.
type everyOther struct {
	pad int64
}

func (e everyOther) forward(_ *torch.Scope, x torch.Tensor, _ nn.Pass) torch.Tensor {
	return x.AvgPool2d(1, 2, 0, false, true).Pad(0, 0, 0, 0, e.pad, e.pad)
}
