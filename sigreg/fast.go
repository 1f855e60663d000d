package sigreg

import "github.com/gojepa/gojepa/torch"

// chunkElements is how many projections are worked on at a time: few enough for the buffers of a chunk to stay in the
// cache, many enough to keep the cost of dispatching operations small.
const chunkElements = 1 << 17

// Statistics is what [EppsPulley.Direct] is, the statistic of z [V, N, K] on the directions a [K, M] as [V, M], but
// without gradient, and computed otherwise:
//
// The knots are equally spaced, so all cosines and sines of a projection follow from one of each by the recurrence
// x_{k+1} = 2cosθ·x_k − x_{k−1}, in Reinsch's form, which keeps float32 accurate where θ is small. With C_k and S_k the
// means of cosines and sines over the samples, the gradient by a projection p is the trigonometric sum
//
//	2 Σ_k w_k t_k [S_k cos(t_k p) − (C_k − φ_k) sin(t_k p)],
//
// which Clenshaw's recurrence gives backwards, again in Reinsch's form. Slices are worked on in chunks that fit the
// cache, with the samples of a slice side by side in memory; nothing of the size of all knots is ever stored.
func (e EppsPulley) Statistics(s *torch.Scope, z, a torch.Tensor) torch.Tensor {
	statistics, _ := e.evaluate(s, z, a, false)
	return statistics
}

// Mean is SIGReg: the mean of the statistic over the V views of z [V, N, K] and the M slices a [K, M], a scalar whose
// gradient, of first order, flows into z, and the statistics [V, M] themselves, without gradient. A NaN in z makes both
// NaN; both are finite wherever the projections are.
func (e EppsPulley) Mean(s *torch.Scope, z, a torch.Tensor) (mean, statistics torch.Tensor) {
	want := s.GradEnabled() && z.RequiresGrad()
	statistics, grad := e.evaluate(s, z, a, want)
	mean = s.Child(func(s *torch.Scope) torch.Tensor {
		value := statistics.Mean()
		if !want {
			return value
		}
		// A term that is zero and whose gradient by z is grad. The difference is taken first: the value then stays exact
		// whatever the scale of z.
		return grad.Mul(z.Sub(z.Detach())).Sum().Add(value)
	})
	return mean, statistics
}

// evaluate returns the statistics [V, M] and, if want is set, the gradient of their mean by z.
func (e EppsPulley) evaluate(s *torch.Scope, z, a torch.Tensor, want bool) (statistics, grad torch.Tensor) {
	s.NoGrad(func() {
		s.Child(func(s *torch.Scope) torch.Tensor {
			t, w, dt := e.rule()
			r := &recurrence{t: t, w: w, dt: dt, zt: z.Detach().Transpose(1, 2)}
			v, n, m := z.Size(0), z.Size(1), a.Size(1)
			statistics = s.Empty(z.DType(), v, m)
			if want {
				grad = s.Zeros(z.DType(), v, n, z.Size(2))
				s.Return(grad)
			}
			s.Return(statistics)
			size := min(m, max(1, chunkElements/max(1, v*n)))
			r.allocate(s, z.DType(), v, size, n)
			for first := int64(0); first < m; first += size {
				count := min(size, m-first)
				s.Child(func(s *torch.Scope) torch.Tensor {
					c := r.narrow(count)
					directions := a.Narrow(1, first, count).T() // [count, K]
					c.start(directions)
					moments := c.forward()
					statistics.Narrow(1, first, count).Copy_(c.statistic(s, moments, n))
					if want {
						g := c.backward(moments, 1/float64(v*m)) // [V, count, N]
						grad.Add_(g.Transpose(1, 2).Matmul(directions))
					}
					return torch.Tensor{}
				})
			}
			return torch.Tensor{}
		})
	})
	return statistics, grad
}

// recurrence holds the buffers of one chunk: V views, a number of slices, N samples.
type recurrence struct {
	t, w []float64    // knots and weights
	dt   float64      // distance of the knots
	zt   torch.Tensor // [V, K, N]

	angle torch.Tensor // θ = dt·p, then sin θ          [V, slices, N]
	d     torch.Tensor // 2cosθ − 2 = −4sin²(θ/2)       [V, slices, N]
	x     torch.Tensor // cos and sin of t_k·p; later the sums of Clenshaw's recurrence   [2, V, slices, N]
	delta torch.Tensor // x_{k+1} − x_k                 [2, V, slices, N]
}

func (r *recurrence) allocate(s *torch.Scope, dtype torch.DType, v, slices, n int64) {
	r.angle = s.Empty(dtype, v*slices*n)
	r.d = s.Empty(dtype, v*slices*n)
	r.x = s.Empty(dtype, 2*v*slices*n)
	r.delta = s.Empty(dtype, 2*v*slices*n)
}

// narrow shapes the buffers for a chunk of some slices.
func (r *recurrence) narrow(slices int64) *recurrence {
	v, n := r.zt.Size(0), r.zt.Size(2)
	size := v * slices * n
	c := *r
	c.angle = r.angle.Narrow(0, 0, size).Reshape(v, slices, n)
	c.d = r.d.Narrow(0, 0, size).Reshape(v, slices, n)
	c.x = r.x.Narrow(0, 0, 2*size).Reshape(2, v, slices, n)
	c.delta = r.delta.Narrow(0, 0, 2*size).Reshape(2, v, slices, n)
	return &c
}

// start projects on the directions [slices, K] and sets up the recurrence at the first knot: x = x_0, delta = x_1 − x_0.
func (r *recurrence) start(directions torch.Tensor) {
	r.angle.MatmulTo(directions, r.zt)
	r.angle.MulScalar_(r.dt)
	cos, sin := r.x.Select(0, 0), r.x.Select(0, 1)
	dcos, dsin := r.delta.Select(0, 0), r.delta.Select(0, 1)

	half := r.d
	half.Copy_(r.angle)
	half.MulScalar_(0.5)
	dcos.Copy_(half)
	dcos.Cos_()
	half.Sin_() // now sin(θ/2), with cos(θ/2) in dcos
	if r.t[0] == 0 {
		// x_0 = (1, 0); x_1 − x_0 = (cosθ − 1, sinθ) = (−2sin²(θ/2), 2sin(θ/2)cos(θ/2))
		cos.Fill_(1)
		sin.Zero_()
		dsin.Copy_(dcos)
		dsin.Mul_(half)
		dsin.MulScalar_(2)
		half.Square_()
		dcos.Copy_(half)
		dcos.MulScalar_(-2)
		half.MulScalar_(-4)
		return
	}
	// x_0 = (cos(θ/2), sin(θ/2)), x_{−1} = (cos(θ/2), −sin(θ/2)): δ_0 = x_0 − x_{−1} + d·x_0
	cos.Copy_(dcos)
	sin.Copy_(half)
	dcos.Zero_()
	dsin.Copy_(half)
	dsin.MulScalar_(2)
	half.Square_()
	half.MulScalar_(-4)
	r.delta.Addcmul_(r.d, r.x, 1)
}

// forward runs through the knots and returns the means of cosine less φ, and of sine, over the samples:
// [knots, 2, V, slices, 1].
func (r *recurrence) forward() []torch.Tensor {
	moments := make([]torch.Tensor, len(r.t))
	for k := range r.t {
		if k > 0 {
			r.x.Add_(r.delta)
			if k < len(r.t)-1 {
				r.delta.Addcmul_(r.d, r.x, 1)
			}
		}
		moments[k] = r.x.MeanDim(-1, true)
		moments[k].Select(0, 0).SubScalar_(gauss(r.t[k]))
	}
	return moments
}

// statistic is N·Σ_k w_k φ_k |moment_k|², [V, slices].
func (r *recurrence) statistic(s *torch.Scope, moments []torch.Tensor, n int64) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		sum := moments[0].Square().MulScalar(r.w[0] * gauss(r.t[0]))
		for k := 1; k < len(moments); k++ {
			sum.Addcmul_(moments[k], moments[k], r.w[k]*gauss(r.t[k]))
		}
		return sum.SumDim(0, false).Select(-1, 0).MulScalar(float64(n))
	})
}

// backward returns scale times the gradient of the sum of the statistics by the projections, [V, slices, N], in a buffer.
func (r *recurrence) backward(moments []torch.Tensor, scale float64) torch.Tensor {
	b, d := r.x, r.delta // sums b_k and their differences d_k = b_k − b_{k+1}
	b.Zero_()
	d.Zero_()
	last := 0
	if r.t[0] == 0 {
		last = 1 // the knot at zero has no gradient
	}
	for k := len(r.t) - 1; k >= last; k-- {
		// Coefficients (S_k, −(C_k − φ_k)) of (cos, sin), scaled.
		f := scale * 2 * r.w[k] * gauss(r.t[k]) * r.t[k]
		c := torch.Cat([]torch.Tensor{moments[k].Narrow(0, 1, 1).MulScalar(f), moments[k].Narrow(0, 0, 1).MulScalar(-f)}, 0)
		d.Addcmul_(r.d, b, 1)
		d.Add_(c)
		if k > last {
			b.Add_(d)
		}
	}
	return r.sum(b, d, last)
}

// sum ends Clenshaw's recurrence: with b = b_{last+1} and d = d_last, Σ_k a_k cos(t_k p) + s_k sin(t_k p).
func (r *recurrence) sum(b, d torch.Tensor, last int) torch.Tensor {
	bc, bs, dc, ds := b.Select(0, 0), b.Select(0, 1), d.Select(0, 0), d.Select(0, 1)
	if last == 1 {
		// One more step with a zero coefficient for the cosine series: d_0 = d_1 + d·b_1, sum = d_0 − d·b_1/2.
		// The sine series is sinθ·b_1.
		bc.Add_(dc)
		bs.Add_(ds)
		dc.Addcmul_(r.d, bc, 0.5)
		r.angle.Sin_()
		dc.Addcmul_(r.angle, bs, 1)
		return dc
	}
	// Knots at (k + ½)dt: Σ a_k cos((k+½)θ) = cos(θ/2)·(b_0 − b_1), Σ s_k sin((k+½)θ) = sin(θ/2)·(b_0 + b_1).
	r.angle.MulScalar_(0.5)
	bs.AddScaled_(bs, 1)
	bs.Add_(ds)
	bc.Copy_(r.angle)
	bc.Cos_()
	r.angle.Sin_()
	dc.Mul_(bc)
	dc.Addcmul_(r.angle, bs, 1)
	return dc
}
