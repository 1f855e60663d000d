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
	return Joint{m}.Accumulate(s, []Kind{{crops, n}}, micro, pass, func(s *torch.Scope, z []torch.Tensor) Loss { return objective(s, z[0]) })
}

// Kind are the views of one kind in a step, of n samples. Without crops there are none.
type Kind struct {
	Crops []Crops
	N     int64
}

// Accumulate is [Model.Accumulate] of views of several kinds. objective maps the projections of each kind [v, n, K], the zero Tensor of
// those without views, to the loss. Encoders that are not [Segmented] keep what is between their segments.
func (m Joint) Accumulate(s *torch.Scope, kinds []Kind, micro Micro, pass nn.Pass, objective func(s *torch.Scope, z []torch.Tensor) Loss) Loss {
	var loss Loss
	s.Child(func(s *torch.Scope) torch.Tensor {
		runs := make([]*run, len(kinds))
		z := make([]torch.Tensor, len(kinds))
		defer func() {
			for _, r := range runs {
				r.free()
			}
		}()
		for i, k := range kinds {
			if len(k.Crops) == 0 {
				continue
			}
			p := pass
			p.Part += uint64(i) * partsOfKind
			runs[i] = m[i].rehearse(s, k, micro, p)
			z[i] = runs[i].project(s)
		}
		loss = objective(s, z)
		end := s.Span("backward")
		loss.Total.Backward()
		end()
		for _, r := range runs {
			r.backward(s)
		}
		s.Return(loss.tensors()...)
		return torch.Tensor{}
	})
	return loss
}

// run are the views of one kind on their way.
type run struct {
	model      *Model
	kind       Kind
	micro      Micro
	pass       nn.Pass
	embeddings torch.Tensor // without a graph, and with a gradient at last
	rows       []int64      // of each piece
	tapes      []*tape      // of a batch that is encoded at once
	once       bool
}

// rehearse computes the embeddings of all views, without a graph.
func (m *Model) rehearse(s *torch.Scope, k Kind, micro Micro, pass nn.Pass) *run {
	segmented, ok := m.Encoder.(Segmented)
	micro.Segments = micro.Segments && ok
	r := &run{model: m, kind: k, micro: micro, pass: pass, once: micro.Segments && micro.Images >= k.N}
	done := false
	defer func() { // an operation that fails panics, and no one else knows of the tapes yet
		if !done {
			r.free()
		}
	}()
	var all []torch.Tensor
	first := pass
	first.Rehearsal = !r.once
	s.NoGrad(func() {
		m.each(s, k.Crops, k.N, micro, first, func(s *torch.Scope, x torch.Tensor, pass nn.Pass, _, _ int64) (y torch.Tensor) {
			defer s.Span("forward")()
			if r.once {
				var t *tape
				t, y = record(s, segmented, x, pass, micro)
				r.tapes = append(r.tapes, t)
			} else {
				y = m.embed(s, x, pass, micro)
			}
			all = append(all, y)
			r.rows = append(r.rows, y.Size(0))
			return y
		})
	})
	r.embeddings = torch.Cat(all, 0).SetRequiresGrad(true)
	done = true
	return r
}

// project maps the embeddings to projections [v, n, K].
func (r *run) project(s *torch.Scope) torch.Tensor {
	end := s.Span("forward")
	z := r.micro.cast(s, func(s *torch.Scope) torch.Tensor { return r.model.Projector.Forward(s, r.embeddings, r.pass) })
	end()
	return z.Reshape(-1, r.kind.N, z.Size(1))
}

// backward adds the gradients of the encoder's parameters.
func (r *run) backward(s *torch.Scope) {
	if r == nil {
		return
	}
	gradient := r.embeddings.Grad()
	if !r.once {
		r.model.each(s, r.kind.Crops, r.kind.N, r.micro, r.pass, func(s *torch.Scope, x torch.Tensor, pass nn.Pass, from, to int64) torch.Tensor {
			defer s.Span("backward")()
			r.model.backward(s, x, pass, r.micro, gradient.Narrow(0, from, to-from))
			return torch.Tensor{}
		})
		return
	}
	defer s.Span("backward")()
	var from int64
	for i, t := range r.tapes {
		t.backward(s, gradient.Narrow(0, from, r.rows[i]))
		from += r.rows[i]
	}
}

func (r *run) free() {
	if r == nil {
		return
	}
	for _, t := range r.tapes {
		t.free()
	}
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
	part := pass.Part
	for i, c := range crops {
		pass.Part = part + uint64(i)
		rows, step := c.Views*n, c.Views*micro.Images
		for from := int64(0); from < rows; from += step {
			to := min(from+step, rows)
			pass.Row = uint64(from)
			s.Child(func(s *torch.Scope) torch.Tensor {
				end := s.Span("transfer")
				x := c.Images(s, from, to)
				end()
				return use(s, x, pass, done+from, done+to)
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
