package sigreg

import "github.com/gojepa/gojepa/torch"

// Direct is the statistic of the projections of z [V, N, K] on the directions a [K, M], as [V, M]: one for each view and
// slice, over its N samples. It is the formula of [EppsPulley] written down, for reading and for testing
// [EppsPulley.Mean] against; it stores V·N·M·Knots cosines and sines. Gradient flows into z by autograd.
func (e EppsPulley) Direct(s *torch.Scope, z, a torch.Tensor) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		t, w, _ := e.rule()
		phi := make([]float64, len(t))
		for k := range t {
			phi[k] = gauss(t[k])
			w[k] *= e.Weight.at(t[k])
		}
		knots := int64(len(t))
		row := func(v []float64) torch.Tensor { return s.FromFloat64(v, knots).To(z.DType()) }

		angles := z.Matmul(a).Unsqueeze(-1).Mul(row(t)) // [V, N, M, knots]
		cos := angles.Cos().MeanDim(1, false)           // [V, M, knots]
		sin := angles.Sin().MeanDim(1, false)
		distance := cos.Sub(row(phi)).Square().Add(sin.Square())
		return distance.Mul(row(w)).SumDim(-1, false).MulScalar(float64(z.Size(1)))
	})
}
