package multivariate_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gojepa/gojepa/sigreg/internal/testkit"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// TestRankDeficient: samples that vary in fewer dimensions than they have are standardised in those, and stay at zero in
// the others.
func TestRankDeficient(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) {
		if !c.invariant {
			return
		}
		const n, k, rank = 50, 5, 2
		full := s.FromFloat64(testkit.Inputs(18, n, rank, 0.3, 1), n, rank)
		into := s.FromFloat64(torchtest.Values(2, rank*k), rank, k)
		// Residuals in two dimensions, by the inverse root of their covariance.
		d := full.Sub(full.MeanDim(0, true))
		values, vectors := d.T().Matmul(d).DivScalar(n).Eigh()
		residuals := d.Matmul(vectors).Div(values.Sqrt())
		want := c.unstandardised(s, torch.Cat([]torch.Tensor{residuals, s.Zeros(torch.Float64, n, k-rank)}, 1)).Item()

		for dtype, tol := range map[torch.DType]float64{torch.Float64: 1e-9, torch.Float32: 1e-5} {
			for _, shift := range []float64{0, 100} {
				x := full.Matmul(into).AddScalar(shift).To(dtype)
				v, grad := testkit.Gradient(s, c.test, x)
				assert.InEpsilon(t, want, v.Item(), tol, "%s, shifted by %g", dtype, shift)
				assert.True(t, grad.AllFinite())
			}
		}
		// The derivative by what the samples are made of.
		leaf := full.Detach().SetRequiresGrad(true)
		c.test.Statistic(s, leaf.Matmul(into)).Backward()
		direction := s.Randn(rand.New(rand.NewPCG(5, 5)), torch.Float64, n, rank)
		const h = 1e-6
		up := c.test.Statistic(s, full.Add(direction.MulScalar(h)).Matmul(into)).Item()
		down := c.test.Statistic(s, full.Sub(direction.MulScalar(h)).Matmul(into)).Item()
		assert.InEpsilon(t, (up-down)/(2*h), leaf.Grad().Mul(direction).Sum().Item(), 1e-5)
	})
}

// TestInfinite: a covariance that is no number makes its view's statistic none.
func TestInfinite(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) {
		x := s.FromFloat64(testkit.Inputs(19, 2*8, 3, 0, 1), 2, 8, 3)
		x.Select(0, 0).MulScalar_(1e300)
		v := c.test.Statistic(s, x).Float64s()
		if c.invariant {
			assert.NotEqual(t, v[0], v[0], "NaN")
		}
		one := c.test.Statistic(s, x.Select(0, 1)).Float64s()
		torchtest.Close(t, one, v[1:], 1e-12, 0)
	})
}
