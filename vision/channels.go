package vision

import "github.com/gojepa/gojepa/torch"

// adaptChannels makes an encoder for images of another number of channels out of e, whose weights are loaded, by timm's
// rule: see adaptInput.
func (e *Encoder) adaptChannels(s *torch.Scope, channels int) {
	if channels == e.spec.Channels {
		return
	}
	key := e.family.inputConv()
	e.replace(s, key, func(s *torch.Scope) torch.Tensor { return adaptInput(s.Use(e.params.Get(key).Value), int64(channels)) })
	e.spec.Channels = channels
}

// replace gives the parameter of a key the values that f makes, and their shape.
func (e *Encoder) replace(s *torch.Scope, key string, f func(s *torch.Scope) torch.Tensor) {
	s.NoGrad(func() {
		s.Child(func(s *torch.Scope) torch.Tensor {
			e.params.Replace(s, key, f(s))
			return torch.Tensor{}
		})
	})
}

// adaptInput makes the weight [O, channels, k, k] of a first convolution out of one of other channels: their sum for grey
// images, and otherwise the channels over and over, scaled such that an image with all channels alike gives the same.
func adaptInput(w torch.Tensor, channels int64) torch.Tensor {
	in := w.Size(1)
	if channels == 1 {
		return w.SumDim(1, true)
	}
	var copies []torch.Tensor
	for n := int64(0); n < channels; n += in {
		copies = append(copies, w)
	}
	return torch.Cat(copies, 1).Narrow(1, 0, channels).MulScalar(float64(in) / float64(channels))
}
