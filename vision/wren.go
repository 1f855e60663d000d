package vision

import (
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// wren is our own family, for CPUs: a residual network of few and dense operations, which libtorch runs near the speed of
// matrix products, where depthwise convolutions wait for memory. The image is halved at once and by each of three stages. A
// stage is a 3×3 convolution that reduces, and blocks of one 3×3 and one 1×1 convolution beside the identity.
type wren struct {
	convolutional

	layers [3]int // blocks per stage
	width  int64  // channels of the first stage, doubled from stage to stage; twice those of the stem
}

func (w wren) own() (Spec, settable) {
	return Spec{Width: int(w.width)}, settable{width: true, depth: true}
}

func (w wren) inputConv() string { return "stem.conv.weight" }

func (w wren) build(s *torch.Scope, p torch.Path, spec Spec) network {
	width := int64(spec.Width)
	in := max(width/2, 1)
	n := &cnn{levels: [][]layer{{convNormAt(s, p.Sub("stem"), int64(spec.Channels), in, 3, 2, torch.Tensor.Relu)}}}
	blocks := 0
	for stage := range w.layers {
		if spec.Depth > 0 {
			w.layers[stage] = spec.Depth
		}
		blocks += w.layers[stage]
	}
	i := 0
	for stage, count := range w.layers {
		out := width << stage
		p := p.Sub("stages").At(stage)
		level := []layer{convNormAt(s, p.Sub("reduce"), in, out, 3, 2, torch.Tensor.Relu)}
		for at := range count {
			p := p.Sub("blocks").At(at)
			level = append(level, &wrenBlock{
				branch: []layer{
					convNormAt(s, p.Sub("spread"), out, out, 3, 1, torch.Tensor.Relu),
					convNormAt(s, p.Sub("mix"), out, out, 1, 1, nil),
				},
				dropPath: nn.DropPath{Rate: nn.DropPathRate(spec.DropPath, i, blocks), Layer: uint32(i)},
			})
			i++
		}
		n.levels, in = append(n.levels, level), out
	}
	n.width = in
	n.classify(s, p.Sub("head"), spec.NumClasses, nn.Options{})
	return n
}

// convNormAt makes a convolution that keeps the size but for its stride, and its normalisation, at one path.
func convNormAt(s *torch.Scope, p torch.Path, in, out, kernel, stride int64, act activation) layer {
	return newConvNorm(s, p.Sub("conv"), p.Sub("norm"), conv2d(in, out, kernel, stride), nil, act)
}

// wrenBlock is a residual branch of two convolutions.
type wrenBlock struct {
	branch   []layer
	dropPath nn.DropPath
}

func (b *wrenBlock) forward(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		return b.dropPath.Forward(s, run(s, b.branch, x, p), p).Add(x)
	})
}
