package lejepa

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// Encoder turns images, or what else there are views of, into embeddings. Packages vision and text have encoders; any other type will do.
type Encoder interface {
	// Forward maps normalised images [N, C, H, W] to embeddings [N, Dim], leaving one tensor in s. Images of global and
	// of local views come in different sizes. Of texts, it maps ids [N, T].
	Forward(s *torch.Scope, images torch.Tensor, p nn.Pass) torch.Tensor

	// Dim is the width of the embedding.
	Dim() int64

	// Params are the encoder's parameters, in the order of its state dict.
	Params() *torch.Params
}

// ProjectorConfig is the shape of a [Projector].
type ProjectorConfig struct {
	Hidden []int // widths of the hidden layers; empty: one linear map
	Dim    int   // K, the width of the projections
}

// Validate reports every value that is out of range.
func (c ProjectorConfig) Validate() error {
	var errs []error
	for i, h := range c.Hidden {
		if h < 1 {
			errs = append(errs, fmt.Errorf("hidden[%d]: %d, expected 1 or more", i, h))
		}
	}
	if c.Dim < 1 {
		errs = append(errs, fmt.Errorf("dim: %d, expected 1 or more", c.Dim))
	}
	return errors.Join(errs...)
}

// Projector is the MLP between embeddings and the objective: linear, BatchNorm, ReLU for each hidden layer, and a linear
// map at the end. Its state dict is that of torchvision.ops.MLP with norm_layer=BatchNorm1d.
type Projector struct {
	params *torch.Params
	layers []layer
	in     int64
	config ProjectorConfig
}

type layer struct {
	linear *nn.Linear
	norm   *nn.BatchNorm // nil for the last
}

// NewProjector makes a projector from embeddings of the width in. The caller closes its parameters.
func NewProjector(s *torch.Scope, in int64, c ProjectorConfig, seed uint64, dtype torch.DType) *Projector {
	return newProjector(s, in, c, torch.NewParams(seed, dtype))
}

func newProjector(s *torch.Scope, in int64, c ProjectorConfig, params *torch.Params) *Projector {
	p := &Projector{params: params, in: in, config: c}
	at := 0
	next := func(width int64) *nn.Linear {
		l := nn.NewLinear(s, p.params.Root().At(at), in, width, nn.Options{})
		in = width
		return l
	}
	for _, h := range c.Hidden {
		l := layer{linear: next(int64(h))}
		l.norm = nn.NewBatchNorm(s, p.params.Root().Sub(strconv.Itoa(at+1)), in, nil)
		p.layers = append(p.layers, l)
		at += 4 // linear, norm, activation, dropout
	}
	p.layers = append(p.layers, layer{linear: next(int64(c.Dim))})
	return p
}

// Params are the projector's parameters.
func (p *Projector) Params() *torch.Params { return p.params }

// Forward maps embeddings [rows, D] to projections [rows, K]. In training, BatchNorm's statistics are those of all rows,
// the samples of all views together.
func (p *Projector) Forward(s *torch.Scope, x torch.Tensor, pass nn.Pass) torch.Tensor {
	for _, l := range p.layers {
		x = s.Child(func(s *torch.Scope) torch.Tensor {
			y := l.linear.Forward(s, x)
			if l.norm == nil {
				return y
			}
			return l.norm.Forward(s, y, pass).Relu()
		})
	}
	return x
}

// Model is what is trained: an encoder, which is kept, and a projector, which is thrown away afterwards.
type Model struct {
	Encoder   Encoder
	Projector *Projector
}

// Forward maps views to projections [V, N, K]. Views of one size come together as a tensor [v, N, C, H, W] of normalised
// images; global views first.
func (m *Model) Forward(s *torch.Scope, views []torch.Tensor, pass nn.Pass) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		n := views[0].Size(1)
		embeddings := make([]torch.Tensor, len(views))
		for i, v := range views {
			p := pass
			p.Part += uint64(i)
			embeddings[i] = m.Encoder.Forward(s, v.Flatten(0, 1), p)
		}
		z := m.Projector.Forward(s, torch.Cat(embeddings, 0), pass)
		return z.Reshape(-1, n, z.Size(1))
	})
}
