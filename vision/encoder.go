package vision

import (
	"fmt"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// Encoder maps images to embeddings.
type Encoder struct {
	family family
	spec   Spec
	params *torch.Params
	net    network
}

// New makes the encoder that spec names, on s's device, with timm's initial weights drawn from seed. Parameters are of
// dtype. The caller closes it.
func New(s *torch.Scope, spec Spec, seed uint64, dtype torch.DType) (*Encoder, error) {
	v, err := find(spec.Name)
	if err != nil {
		return nil, err
	}
	return v.encoder(s, spec, torch.NewParams(seed, dtype))
}

func (v variant) encoder(s *torch.Scope, spec Spec, params *torch.Params) (*Encoder, error) {
	spec, err := v.complete(spec)
	if err != nil {
		return nil, err
	}
	return &Encoder{family: v.family, spec: spec, params: params, net: v.build(s, params.Root(), spec)}, nil
}

// Forward maps x [N, C, H, W], normalised pixels, to [N, Dim]: the pooled features, or what the head makes of them. H and
// W may differ from the encoder's own image size where they are multiples of [Spec.SizeStep]; position embeddings are then
// resampled, and a Swin's maps padded to whole windows. Gradient flows to x and to all parameters. Images of another shape
// panic with a *[torch.Error], which Do returns.
func (e *Encoder) Forward(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	e.check(x)
	return s.Child(func(s *torch.Scope) torch.Tensor { return e.net.forward(s, e.cast(x), p) })
}

// resample makes the encoder one of images of another size, if its parameters depend on that.
func (e *Encoder) resample(s *torch.Scope, size int) {
	if n, ok := e.net.(interface {
		resample(s *torch.Scope, p *torch.Params, size int64)
	}); ok {
		n.resample(s, e.params, int64(size))
	}
	e.spec.ImageSize = size
}

// cast gives images the parameters' type.
func (e *Encoder) cast(x torch.Tensor) torch.Tensor {
	if d := e.params.DType(); x.DType() != d {
		x = x.To(d)
	}
	return x
}

// check panics unless x is a batch of images that the encoder takes.
func (e *Encoder) check(x torch.Tensor) {
	fail := func(format string, a ...any) {
		panic(&torch.Error{Op: e.spec.Name, Args: []string{x.String()}, Msg: fmt.Sprintf(format, a...)})
	}
	shape := x.Shape()
	if len(shape) != 4 {
		fail("expected images of 4 dimensions: samples, channels, height, width")
	}
	if err := e.spec.accepts(shape[1], shape[2], shape[3]); err != nil {
		fail("%v", err)
	}
}

// accepts reports why images of c channels and h×w pixels do not fit a complete spec.
func (s Spec) accepts(c, h, w int64) error {
	if c != int64(s.Channels) {
		return fmt.Errorf("images of %d channels: expected %d", c, s.Channels)
	}
	if h < 1 || w < 1 {
		return fmt.Errorf("images of %d×%d pixels: expected at least one", h, w)
	}
	if p := int64(s.PatchSize); p > 0 && (h%p != 0 || w%p != 0) {
		return fmt.Errorf("images of %d×%d pixels: expected multiples of the patch size %d", h, w, p)
	}
	return nil
}

// Dim is the number of values of an embedding: the head's width if there is one, otherwise that of the features.
func (e *Encoder) Dim() int64 { return e.net.dim() }

// Params is the encoder's state dict, in PyTorch's order. The encoder owns it.
func (e *Encoder) Params() *torch.Params { return e.params }

// Spec is what the encoder was made from, with every size set.
func (e *Encoder) Spec() Spec { return e.spec }

// Close frees the parameters.
func (e *Encoder) Close() { e.params.Close() }
