package text

import (
	"fmt"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// Encoder maps texts to embeddings: BERT (Devlin et al., arXiv 1810.04805) without its pooler, which is a part of its training, and
// without dropout, in whose place it has drop path.
type Encoder struct {
	spec   Spec
	params *torch.Params

	words, positions, types torch.Tensor // [vocab, width], [max tokens, width], [2, width]
	norm                    *nn.LayerNorm
	layers                  []*layer
}

const (
	normEps    = 1e-12
	tokenTypes = 2 // texts are of the first; the second was for pairs of sentences
)

// linear is the initial state of BERT's linear layers.
var linear = nn.Options{Weight: nn.Normal(0.02), Bias: nn.Zeros}

// New makes the encoder that spec names, on s's device, with BERT's initial weights drawn from seed. Parameters are of dtype. The
// caller closes it.
func New(s *torch.Scope, spec Spec, seed uint64, dtype torch.DType) (*Encoder, error) {
	return build(s, spec, torch.NewParams(seed, dtype))
}

func build(s *torch.Scope, spec Spec, params *torch.Params) (*Encoder, error) {
	spec, err := spec.Complete()
	if err != nil {
		return nil, err
	}
	e := &Encoder{spec: spec, params: params}
	p, width := params.Root().Sub("embeddings"), int64(spec.Width)
	table := func(name string, rows int) torch.Tensor {
		return p.Sub(name).Param(s, "weight", linear.Weight, int64(rows), width)
	}
	e.words = table("word_embeddings", spec.Vocab)
	e.positions = table("position_embeddings", spec.MaxTokens)
	e.types = table("token_type_embeddings", tokenTypes)
	e.norm = nn.NewLayerNorm(s, p.Sub("LayerNorm"), width, normEps)
	for i := range spec.Depth {
		rate := nn.DropPathRate(spec.DropPath, i, spec.Depth)
		e.layers = append(e.layers, newLayer(s, params.Root().Sub("encoder").Sub("layer").At(i), spec, i, rate))
	}
	return e, nil
}

// Forward maps ids [N, T], int64 with -1 beyond the end of each text, to embeddings [N, Dim]. What is beyond the end changes nothing,
// however long it is; a text of no token has a mean of 0. T may be 1 to MaxTokens. Gradient flows to all parameters. Ids of another
// shape or type panic with a *[torch.Error], which Do returns, and so do, on the CPU, ids that the vocabulary has not.
func (e *Encoder) Forward(s *torch.Scope, ids torch.Tensor, p nn.Pass) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		x := e.Tokens(s, ids, p)
		if e.spec.Pool == PoolCLS {
			return x.Select(1, 0)
		}
		there := ids.GeScalar(0).To(x.DType()).Unsqueeze(2)
		return x.Mul(there).SumDim(1, false).Div(there.SumDim(1, false).Clamp(1e-9, float64(e.spec.MaxTokens)))
	})
}

// Tokens maps ids, as in Forward, to the last layer's tokens [N, T, width]: last_hidden_state of Hugging Face's BertModel. Those beyond
// the end of a text mean nothing.
func (e *Encoder) Tokens(s *torch.Scope, ids torch.Tensor, p nn.Pass) torch.Tensor {
	e.check(ids)
	return s.Child(func(s *torch.Scope) torch.Tensor {
		t := ids.Size(1)
		x := s.Use(e.words).Embedding(ids.Relu()).Add(s.Use(e.types).Select(0, 0)).Add(s.Use(e.positions).Narrow(0, 0, t))
		x = e.norm.Forward(s, x)
		mask := ids.GeScalar(0).To(x.DType()).SubScalar(1).MulScalar(maskedScore).Unsqueeze(1).Unsqueeze(1)
		for _, l := range e.layers {
			x = l.forward(s, x, mask, p)
		}
		return x
	})
}

// check panics unless ids are what the encoder takes.
func (e *Encoder) check(ids torch.Tensor) {
	fail := func(format string, a ...any) {
		panic(&torch.Error{Op: e.spec.Name, Args: []string{ids.String()}, Msg: fmt.Sprintf(format, a...)})
	}
	shape := ids.Shape()
	if len(shape) != 2 || ids.DType() != torch.Int64 {
		fail("expected int64 ids of 2 dimensions: texts, tokens")
	}
	if shape[1] < 1 || shape[1] > int64(e.spec.MaxTokens) {
		fail("texts of %d tokens: expected 1 to %d", shape[1], e.spec.MaxTokens)
	}
}

// Dim is the number of values of an embedding.
func (e *Encoder) Dim() int64 { return int64(e.spec.Width) }

// Params is the encoder's state dict, in the order of Hugging Face's. The encoder owns it.
func (e *Encoder) Params() *torch.Params { return e.params }

// Spec is what the encoder was made from, with every size set.
func (e *Encoder) Spec() Spec { return e.spec }

// Close frees the parameters.
func (e *Encoder) Close() { e.params.Close() }
