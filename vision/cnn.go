package vision

import (
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// layer maps x [N, C, H, W] to [N, C', H', W'].
type layer interface {
	forward(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor
}

// convolutional is embedded by families whose state dicts tell no size but the number of channels, and that can have all of
// what a valid spec may say.
type convolutional struct{}

func (convolutional) infer(func(key string) []int64) Spec { return Spec{} }

func (convolutional) check(Spec) error { return nil }

// cnn is a convolutional network: levels of layers, the average over places, and what works on it.
type cnn struct {
	levels [][]layer
	neck   []layer // on the last level, before the average
	head   []rowwise
	width  int64 // of an embedding
}

// rowwise maps the last dimension.
type rowwise interface {
	Forward(s *torch.Scope, x torch.Tensor) torch.Tensor
}

// classify ends the network with a linear map to num classes if there are to be any.
func (n *cnn) classify(s *torch.Scope, p torch.Path, classes int, o nn.Options) {
	if classes > 0 {
		n.head = append(n.head, nn.NewLinear(s, p, n.width, int64(classes), o))
		n.width = int64(classes)
	}
}

func (n *cnn) dim() int64    { return n.width }
func (n *cnn) prefix() int64 { return 0 }

func (n *cnn) forward(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	return n.pooled(s, n.last(s, x, p))
}

// pooled makes the embedding of the last map.
func (n *cnn) pooled(s *torch.Scope, x torch.Tensor) torch.Tensor {
	x = x.MeanDims(false, 2, 3)
	for _, l := range n.head {
		x = l.Forward(s, x)
	}
	return x
}

func (n *cnn) features(s *torch.Scope, x torch.Tensor, p nn.Pass) []torch.Tensor {
	maps := make([]torch.Tensor, len(n.levels))
	x = x.ChannelsLast() // as all that follows then is
	for i, level := range n.levels {
		x = run(s, level, x, p)
		maps[i] = x
	}
	return maps
}

// tokens are the places of the last map, row by row.
func (n *cnn) tokens(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	return n.last(s, x, p).Flatten(2, 3).Transpose(1, 2)
}

// last is the map that is averaged.
func (n *cnn) last(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	x = x.ChannelsLast()
	for _, level := range n.levels {
		x = run(s, level, x, p)
	}
	return run(s, n.neck, x, p)
}

func run(s *torch.Scope, layers []layer, x torch.Tensor, p nn.Pass) torch.Tensor {
	for _, l := range layers {
		x = l.forward(s, x, p)
	}
	return x
}

// convNorm is a convolution, batch normalisation, and an activation if there is one.
type convNorm struct {
	conv *nn.Conv2d
	norm *nn.BatchNorm
	act  activation // nil: none
}

func (l *convNorm) forward(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		y := l.norm.Forward(s, l.conv.Forward(s, x), p)
		if l.act != nil {
			y = l.act(y)
		}
		return y
	})
}

// maxPool halves the size by the largest of 3×3.
type maxPool struct{}

func (maxPool) forward(_ *torch.Scope, x torch.Tensor, _ nn.Pass) torch.Tensor {
	return x.MaxPool2d(3, 2, 1)
}
