package vision

import (
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// segment is a part of a forward pass.
type segment = func(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor

// Segments are the parts of Forward for images x [N, C, H, W], in their order: what comes before the blocks, each block, and
// what comes after them. Each leaves one tensor in its scope, and all in turn do what Forward does, bit for bit. What a segment
// takes is small beside what its backward pass needs, so that activations can be thrown away and made again. A TorchScript
// module has none.
func (e *Encoder) Segments(x torch.Tensor) []func(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	n, ok := e.net.(interface{ segments(h, w int64) []segment })
	if !ok {
		return nil
	}
	e.check(x)
	all := n.segments(x.Size(2), x.Size(3))
	first := all[0]
	all[0] = func(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor { return first(s, e.cast(x), p) }
	for i, f := range all {
		all[i] = func(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
			return s.Child(func(s *torch.Scope) torch.Tensor { return f(s, x, p) })
		}
	}
	return all
}

// segments are the embedding of h×w pixels, the blocks, and what is made of the last one's tokens.
func (n *vitNet) segments(h, w int64) []segment {
	h, w = h/n.patch, w/n.patch
	all := []segment{func(s *torch.Scope, x torch.Tensor, _ nn.Pass) torch.Tensor { return n.embedded(s, x, h, w) }}
	for _, b := range n.blocks {
		all = append(all, func(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
			return b.forward(s, x, n.rotary(s, h, w), p)
		})
	}
	return append(all, func(s *torch.Scope, x torch.Tensor, _ nn.Pass) torch.Tensor { return n.pooled(s, x) })
}

// segments are the layers of all levels, the blocks among them each with the layers before it that are none, and the rest.
func (n *cnn) segments(_, _ int64) []segment {
	var all []segment
	var part []layer
	for _, level := range n.levels {
		for _, l := range level {
			part = append(part, l)
			if isBlock(l) {
				all, part = append(all, inTurn(part)), nil
			}
		}
	}
	all = append(all, func(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
		return n.pooled(s, run(s, n.neck, run(s, part, x, p), p))
	})
	begin := all[0]
	all[0] = func(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor { return begin(s, x.ChannelsLast(), p) }
	return all
}

// inTurn are layers as a segment.
func inTurn(layers []layer) segment {
	return func(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor { return run(s, layers, x, p) }
}

// isBlock reports whether a layer is several by itself.
func isBlock(l layer) bool {
	switch l.(type) {
	case *resnetBlock, *convnextBlock, *swinBlock, *invertedBlock, *wrenBlock:
		return true
	}
	return false
}
