package vision

import (
	"fmt"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// Features maps x, which Forward describes, to one map [N, c, h, w] for each level, from the first to the last: the patches'
// tokens after each block of a ViT, all of one size, and otherwise what stages leave before the next one halves the size. A
// ResNet's first level is its stem. They are timm's forward_intermediates, without a last normalisation. Gradient flows.
func (e *Encoder) Features(s *torch.Scope, x torch.Tensor, p nn.Pass) []torch.Tensor {
	return e.several(s, x, func(s *torch.Scope, x torch.Tensor) []torch.Tensor { return e.net.features(s, x, p) })
}

// Tokens maps x, which Forward describes, to what it pools: [N, Prefix + h·w, c]. The first are a ViT's class token and
// registers; the others belong to the places of the image, row by row. A ViT's are normalised unless that comes after the
// pooling; timm's forward_features has the same values. Gradient flows.
func (e *Encoder) Tokens(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	e.check(x)
	return s.Child(func(s *torch.Scope) torch.Tensor { return e.net.tokens(s, e.cast(x), p) })
}

// Prefix is the number of tokens that belong to no place of the image: the class token, if there is one, and registers.
func (e *Encoder) Prefix() int { return int(e.net.prefix()) }

// ClassTokens are features of a ViT: the class tokens of its last blocks, each after the last normalisation, one after the
// other. Those of the last two are what LeJEPA's linear probe takes (arXiv 2511.08544), as DINO's does (Caron et al.,
// arXiv 2104.14294, appendix F). They are an encoder themselves.
type ClassTokens struct {
	encoder *Encoder
	net     classTokens
	blocks  int
}

// classTokens is a network with class tokens.
type classTokens interface {
	// blockCount is the number of blocks.
	blockCount() int
	// classTokens maps x to the tokens of the last blocks, each [N, c], the last block's last.
	classTokens(s *torch.Scope, x torch.Tensor, p nn.Pass, blocks int) []torch.Tensor
}

// ClassTokens are those of e's last blocks. The error names an encoder that has no class token, or fewer blocks.
func (e *Encoder) ClassTokens(blocks int) (*ClassTokens, error) {
	n, ok := e.net.(classTokens)
	if v, vit := e.net.(*vitNet); vit && v.noClass {
		return nil, fmt.Errorf("vision: class tokens of %s: it has none, but %d registers and the average of its patches' tokens", e.spec.Name, v.registers)
	}
	if !ok {
		return nil, fmt.Errorf("vision: class tokens of %s: it has none, but the average over the places of its last map", e.spec.Name)
	}
	if most := n.blockCount(); blocks < 1 || blocks > most {
		return nil, fmt.Errorf("vision: class tokens of %d blocks of %s: expected 1 to %d", blocks, e.spec.Name, most)
	}
	return &ClassTokens{e, n, blocks}, nil
}

// Forward maps x, which [Encoder.Forward] describes, to [N, Dim], the last block's token last. timm's forward_intermediates,
// normalised and with prefix tokens, has the same values. Gradient flows.
func (c *ClassTokens) Forward(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	c.encoder.check(x)
	return s.Child(func(s *torch.Scope) torch.Tensor {
		return torch.Cat(c.net.classTokens(s, c.encoder.cast(x), p, c.blocks), 1)
	})
}

// Dim is the number of features.
func (c *ClassTokens) Dim() int64 { return int64(c.blocks) * int64(c.encoder.spec.Width) }

// attender is a network with attention over the whole image.
type attender interface {
	attention(s *torch.Scope, x torch.Tensor, p nn.Pass) []torch.Tensor
	lastAttention(s *torch.Scope, x torch.Tensor, p nn.Pass) (tokens, weights torch.Tensor)
}

// Attends says whether the encoder has the maps of [Encoder.Attention].
func (e *Encoder) Attends() bool {
	_, ok := e.net.(attender)
	return ok
}

// Attention maps x, which Forward describes, to the attention of each block of a ViT, [N, heads, T, T]: how much of each of
// the T tokens, in the order of [Encoder.Tokens], every token takes; rows add up to 1. An encoder without attention over
// the whole image panics with a *[torch.Error], which Do returns. Gradient flows.
func (e *Encoder) Attention(s *torch.Scope, x torch.Tensor, p nn.Pass) []torch.Tensor {
	n := e.attender(x)
	return e.several(s, x, func(s *torch.Scope, x torch.Tensor) []torch.Tensor { return n.attention(s, x, p) })
}

// LastAttention is [Encoder.Tokens] of x and the last of its [Encoder.Attention], by encoding x once. It panics as Attention does.
func (e *Encoder) LastAttention(s *torch.Scope, x torch.Tensor, p nn.Pass) (tokens, weights torch.Tensor) {
	n := e.attender(x)
	both := e.several(s, x, func(s *torch.Scope, x torch.Tensor) []torch.Tensor {
		tokens, weights := n.lastAttention(s, x, p)
		return []torch.Tensor{tokens, weights}
	})
	return both[0], both[1]
}

// attender is the encoder's network, asked for the attention of x.
func (e *Encoder) attender(x torch.Tensor) attender {
	n, ok := e.net.(attender)
	if !ok {
		panic(&torch.Error{Op: e.spec.Name, Args: []string{x.String()}, Msg: "attention of a model that has none over the whole image"})
	}
	return n
}

// several runs f on images in a scope of its own and hands its results to s.
func (e *Encoder) several(s *torch.Scope, x torch.Tensor, f func(s *torch.Scope, x torch.Tensor) []torch.Tensor) (all []torch.Tensor) {
	e.check(x)
	s.Child(func(s *torch.Scope) torch.Tensor {
		all = f(s, e.cast(x))
		s.Return(all...)
		return torch.Tensor{}
	})
	return all
}
