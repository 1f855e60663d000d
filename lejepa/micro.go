package lejepa

import (
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// Crops are the views of one size in a step, v of each of N images, which are made when they are encoded.
type Crops struct {
	Views  int64                                             // v
	Images func(s *torch.Scope, from, to int64) torch.Tensor // some of the v·N normalised images, [to − from, C, H, W], view after view
}

// Micro says how a step is cut into pieces that fit the memory.
type Micro struct {
	Images   int64       // whose views of one size are encoded at a time, at least 1
	Cast     torch.DType // that encoder and projector compute in under autocast; Float32 is none
	Segments bool        // the encoder, which is [Segmented], keeps for its backward pass what goes into its segments, and runs them again
}

// Accumulate adds the gradients of a step on n images to those of the parameters, as a backward pass through [Model.Forward]
// and the objective would, in the memory of some images at a time. SIGReg and the projector's BatchNorm need all samples, so
// that adding up the gradients of small batches would be another objective. Here the embeddings of all are computed first,
// without a graph; projector and objective see the whole batch and give the gradient of every embedding; then images are
// encoded again, in the same pieces and under the same masks of drop path, with a graph that this gradient goes through
// (Gao et al., arXiv 2101.06983). It costs one more forward pass of the encoder. Segments cost another one, or, of a batch that
// is encoded at once, this same one.
//
// The gradients equal those of the whole batch but for rounding, if the encoder treats images one by one. One with BatchNorm
// does not: its statistics are then those of the pieces. crops are in the order of Forward's views. objective maps projections
// [V, N, K] to the loss; it runs without autocast. Of the result, Total's graph is used up.
func (m *Model) Accumulate(s *torch.Scope, crops []Crops, n int64, micro Micro, pass nn.Pass, objective func(s *torch.Scope, z torch.Tensor) Loss) Loss {
	var loss Loss
	s.Child(func(s *torch.Scope) torch.Tensor {
		var tapes []*tape // of a batch that is encoded at once
		defer func() {
			for _, t := range tapes {
				t.free()
			}
		}()
		var all []torch.Tensor
		once := micro.Segments && micro.Images >= n
		first := pass
		first.Rehearsal = !once
		s.NoGrad(func() {
			m.each(s, crops, n, micro, first, func(s *torch.Scope, x torch.Tensor, pass nn.Pass, _, _ int64) (y torch.Tensor) {
				defer s.Span("forward")()
				if once {
					var t *tape
					t, y = record(s, m.Encoder.(Segmented), x, pass, micro)
					tapes = append(tapes, t)
				} else {
					y = m.embed(s, x, pass, micro)
				}
				all = append(all, y)
				return y
			})
		})
		embeddings := torch.Cat(all, 0).SetRequiresGrad(true)
		end := s.Span("forward")
		z := micro.cast(s, func(s *torch.Scope) torch.Tensor { return m.Projector.Forward(s, embeddings, pass) })
		end()
		loss = objective(s, z.Reshape(-1, n, z.Size(1)))
		end = s.Span("backward")
		loss.Total.Backward()
		end()
		gradient := embeddings.Grad()
		if once {
			defer s.Span("backward")()
			var from int64
			for i, t := range tapes {
				rows := all[i].Size(0)
				t.backward(s, gradient.Narrow(0, from, rows))
				from += rows
			}
		} else {
			m.each(s, crops, n, micro, pass, func(s *torch.Scope, x torch.Tensor, pass nn.Pass, from, to int64) torch.Tensor {
				defer s.Span("backward")()
				m.backward(s, x, pass, micro, gradient.Narrow(0, from, to-from))
				return torch.Tensor{}
			})
		}
		s.Return(loss.Total, loss.Prediction, loss.SIGReg, loss.Statistics)
		return torch.Tensor{}
	})
	return loss
}

// backward encodes images, and adds to the parameters' gradients what the gradient of the embeddings comes to.
func (m *Model) backward(s *torch.Scope, x torch.Tensor, pass nn.Pass, micro Micro, gradient torch.Tensor) {
	if !micro.Segments {
		if y := m.embed(s, x, pass, micro); y.RequiresGrad() { // parameters may be frozen
			y.BackwardWith(gradient)
		}
		return
	}
	t, _ := record(s, m.Encoder.(Segmented), x, pass, micro)
	defer t.free()
	t.backward(s, gradient)
}

// embed encodes images.
func (m *Model) embed(s *torch.Scope, x torch.Tensor, pass nn.Pass, micro Micro) torch.Tensor {
	return micro.cast(s, func(s *torch.Scope) torch.Tensor { return m.Encoder.Forward(s, x, pass) })
}

// each goes through the images piece by piece. use gets a piece, rows from … to of all, and may give a tensor to s.
func (m *Model) each(s *torch.Scope, crops []Crops, n int64, micro Micro, pass nn.Pass,
	use func(s *torch.Scope, x torch.Tensor, pass nn.Pass, from, to int64) torch.Tensor) {
	var done int64
	for i, c := range crops {
		pass.Part = uint64(i)
		rows, step := c.Views*n, c.Views*micro.Images
		for from := int64(0); from < rows; from += step {
			to := min(from+step, rows)
			pass.Row = uint64(from)
			s.Child(func(s *torch.Scope) torch.Tensor {
				return use(s, c.Images(s, from, to), pass, done+from, done+to)
			})
		}
		done += rows
	}
}

// cast runs f under autocast. The backward pass stays outside of it.
func (c Micro) cast(s *torch.Scope, f func(s *torch.Scope) torch.Tensor) (y torch.Tensor) {
	if c.Cast == torch.Float32 {
		return f(s)
	}
	s.Autocast(c.Cast, func() { y = f(s) })
	return y
}
