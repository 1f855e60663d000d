package multivariate_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gojepa/gojepa/sigreg/internal/testkit"
	"github.com/gojepa/gojepa/sigreg/multivariate"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// TestAgainstReference takes many numbers of samples and dimensions, from the fewest that a test allows, far from the
// Gaussian too.
func TestAgainstReference(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) {
		for _, k := range []int64{1, 2, 7, 30} {
			for _, n := range []int64{1, 2, 3, k + 1, k + 5, 100} {
				if c.invariant && n <= k+1 {
					continue // as many residuals at equal distances, whatever the samples
				}
				for _, at := range [][2]float64{{0, 1}, {0.3, 1.2}, {-1, 0.2}} {
					v := testkit.Inputs(uint64(n), n, k, at[0], at[1])
					want := []float64{c.reference(rows(v, k))}
					got := c.test.Statistic(s, s.FromFloat64(v, n, k)).Float64s()
					torchtest.Close(t, want, got, 1e-9, 1e-11, n, " samples of ", k, " at ", at)
				}
			}
		}
	})
}

// TestManySamples takes more of them than there are in one tile.
func TestManySamples(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) {
		const n, k = 600, 2
		v := testkit.Inputs(21, n, k, 0.1, 1.1)
		got := c.test.Statistic(s, s.FromFloat64(v, n, k)).Float64s()
		torchtest.Close(t, []float64{c.reference(rows(v, k))}, got, 1e-9, 1e-11)
	})
}

func TestFiniteDifferences(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) {
		testkit.FiniteDifferences(t, s, c.test, testkit.Inputs(5, 2*7, 3, 0.1, 1.2), 1e-6, 2, 7, 3)
	})
}

// TestDescent follows the gradient from samples that a test can tell from a Gaussian, which must lower its statistic.
func TestDescent(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) {
		x := s.FromFloat64(testkit.Inputs(6, 40, 5, 0.5, 1.5), 40, 5)
		first := c.test.Statistic(s, x).Item()
		for range 20 {
			_, grad := testkit.Gradient(s, c.test, x)
			x = x.Sub(grad.MulScalar(0.02 / grad.Abs().Max().Item()))
		}
		assert.Less(t, c.test.Statistic(s, x).Item(), first-0.01*math.Abs(first))
	})
}

func TestOrderOfSamples(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) { testkit.OrderOfSamples(t, s, c.test) })
}

// TestRotation: no test has a direction of its own.
func TestRotation(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) {
		x := s.FromFloat64(testkit.Inputs(8, 20, 4, 0.2, 1.1), 20, 4)
		rotation, _ := s.FromFloat64(torchtest.Values(1, 16), 4, 4).QR()
		want, grad := testkit.Gradient(s, c.test, x)
		got, turned := testkit.Gradient(s, c.test, x.Matmul(rotation))
		torchtest.Close(t, want.Float64s(), got.Float64s(), 1e-11, 1e-11)
		torchtest.Close(t, grad.Matmul(rotation).Float64s(), turned.Float64s(), 1e-10, 1e-12)
	})
}

// TestAffineMaps: a test sees the mean and all of the covariance, or neither. COMB sees the mean alone.
func TestAffineMaps(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) {
		const n, k = 400, 3
		x := s.Randn(rand.New(rand.NewPCG(3, 1)), torch.Float64, n, k)
		want := c.test.Statistic(s, x).Item()
		one := s.FromFloat64([]float64{1, 0, 0}, k)
		_, isCOMB := c.test.(multivariate.COMB)
		for name, y := range map[string]torch.Tensor{
			"collapsed":               x.MulScalar(1e-3),
			"collapsed in a part":     x.Sub(x.Mul(one).MulScalar(0.999)),
			"narrow":                  x.MulScalar(0.5),
			"wide":                    x.MulScalar(2),
			"shifted":                 x.Add(one.MulScalar(1.5)),
			"mapped without rotation": x.Matmul(s.FromFloat64([]float64{2, 0, 0, 1, .5, 0, -3, .1, 1}, k, k)).AddScalar(9),
		} {
			got := c.test.Statistic(s, y).Item()
			switch {
			case c.invariant:
				assert.InEpsilon(t, want, got, 1e-8, name)
			case isCOMB && name != "shifted":
			default:
				assert.Greater(t, math.Abs(got), math.Abs(want)+0.02, name)
			}
		}
	})
}

func TestViewByView(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) {
		x := s.FromFloat64(testkit.Inputs(9, 6*8, 5, 0, 1.4), 2, 3, 8, 5)
		all := c.test.Statistic(s, x)
		assert.Equal(t, []int64{2, 3}, all.Shape())
		for i := range int64(2) {
			for j := range int64(3) {
				one := c.test.Statistic(s, x.Select(0, i).Select(0, j))
				torchtest.Close(t, one.Float64s(), all.Select(0, i).Select(0, j).Float64s(), 1e-12, 1e-13)
			}
		}
		none := s.Empty(torch.Float32, 0, 3, 8, 5).SetRequiresGrad(true)
		v := c.test.Statistic(s, none)
		assert.Equal(t, []int64{0, 3}, v.Shape(), "no view")
		v.Sum().Backward()
		assert.Equal(t, none.Shape(), none.Grad().Shape())
	})
}

func TestStrides(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) {
		wide := s.FromFloat64(testkit.Inputs(10, 12, 9, 0, 1), 12, 9)
		for name, x := range map[string]torch.Tensor{
			"transposed": wide.Narrow(0, 0, 5).T(),
			"narrowed":   wide.Narrow(1, 2, 4),
			"every view": wide.Reshape(2, 6, 9).Transpose(0, 1).Transpose(1, 2),
			"expanded":   wide.Narrow(1, 0, 3).Unsqueeze(0).Expand(2, -1, -1),
		} {
			testkit.Strides(t, s, c.test, x, name)
		}
	})
}

// TestFloat32 compares with float64 on the same numbers, near the optimum, where statistics are differences of nearly
// equal terms, and far from it.
func TestFloat32(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) {
		for _, at := range []struct {
			n, k       int64
			loc, scale float64
		}{{64, 4, 0, 1}, {1000, 4, 0, 1}, {1000, 32, 0, 1}, {1500, 8, 0, 1}, {64, 4, -1, 2}, {64, 4, 0, 0.5}, {64, 4, 0, 0.01}, {64, 4, 0, 30}, {64, 4, 1000, 1}} {
			x := s.Randn(rand.New(rand.NewPCG(uint64(at.n), 1)), torch.Float64, at.n, at.k).MulScalar(at.scale).AddScalar(at.loc).To(torch.Float32)
			want, wantGrad := testkit.Gradient(s, c.test, x.To(torch.Float64))
			if math.Abs(want.Item()) > 1e30 {
				continue // see TestFarOut
			}
			got, grad := testkit.Gradient(s, c.test, x)
			assert.Equal(t, torch.Float32, got.DType())
			// COMB subtracts 1 from a mean, and where that leaves next to nothing, next to no digits.
			floor, gradFloor := 0.0, 1e-30
			if _, ok := c.test.(multivariate.COMB); ok {
				floor, gradFloor = 1e-6, 1e-8
			}
			torchtest.Close(t, want.Float64s(), got.Float64s(), 1e-5, floor, "value of ", at)
			torchtest.Close(t, wantGrad.Float64s(), grad.Float64s(), 1e-5, gradFloor, "gradient of ", at)
		}
	})
}

// Test16Bit: what is 16 bits wide is computed in float32, and has a gradient 16 bits wide.
func Test16Bit(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) { testkit.SixteenBit(t, s, c.test) })
}

// TestAutocast: the matrix products are not cast to 16 bits.
func TestAutocast(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) {
		x := s.FromFloat64(testkit.Inputs(16, 30, 3, 0.1, 1), 30, 3).To(torch.Float32)
		want, wantGrad := testkit.Gradient(s, c.test, x)
		s.Autocast(torch.BFloat16, func() {
			got, grad := testkit.Gradient(s, c.test, x)
			assert.Equal(t, want.Float64s(), got.Float64s())
			assert.Equal(t, wantGrad.Float64s(), grad.Float64s())
		})
	})
}

// TestCollapsed: samples that are all equal, or nearly, have finite values and gradients.
func TestCollapsed(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) {
		for _, dtype := range []torch.DType{torch.Float32, torch.Float64} {
			for _, at := range []float64{0, 0.1, -3} {
				for _, spread := range []float64{0, 1e-30, 1e-7, 1e-3} {
					x := s.FromFloat64(testkit.Inputs(13, 9, 3, at, spread), 9, 3).To(dtype)
					v, grad := testkit.Gradient(s, c.test, x)
					assert.True(t, v.AllFinite() && grad.AllFinite(), "%s: %g ± %g: %v, gradient %v", dtype, at, spread, v.Float64s(), grad.Float64s())
				}
			}
			equal, grad := testkit.Gradient(s, c.test, s.Full(dtype, 0.25, 9, 3))
			if c.invariant {
				assert.Zero(t, grad.Norm().Item(), "a shift of all, which residuals do not see")
				zero := make([]float64, 9*3)
				torchtest.Close(t, c.unstandardised(s, s.FromFloat64(zero, 9, 3)).Float64s(), equal.Float64s(), 1e-5, 0, dtype)
				continue
			}
			assert.Greater(t, grad.Norm().Item(), 1e-5, "all are drawn to the origin, or pushed from it")
			want := c.reference([][]float64{{.25, .25, .25}})
			switch test := c.test.(type) {
			case multivariate.HenzeVisagie:
				if test.Log {
					want += math.Log(9)
				} else {
					want *= 9
				}
			case multivariate.COMB:
				want *= 9
				if test.Signed {
					want /= 3
				}
			case multivariate.BHEP:
				want *= 9
			default:
				continue // the bandwidth depends on the number
			}
			torchtest.Close(t, []float64{want}, equal.Float64s(), 1e-5, 1e-6, dtype)
		}
	})
}

// unstandardised is what the test of residuals makes of residuals.
func (c facts) unstandardised(s *torch.Scope, z torch.Tensor) torch.Tensor {
	switch test := c.test.(type) {
	case multivariate.BHEP:
		test.Standardise = false
		return test.Statistic(s, z)
	case multivariate.HenzeZirkler:
		return multivariate.HenzeZirkler{}.Statistic(s, z)
	case multivariate.HenzeVisagie:
		test.Standardise = false
		return test.Statistic(s, z)
	case multivariate.COMB:
		test.Standardise = false
		return test.Statistic(s, z)
	}
	panic("no such test")
}

// TestFarOut: samples of any size up to 1e4 have finite gradients, and a value that is a number or, for those tests that
// grow exponentially, infinite.
func TestFarOut(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) {
		for _, dtype := range []torch.DType{torch.Float32, torch.Float64} {
			for _, at := range []float64{0, 20, 1e4, -1e4} {
				for _, spread := range []float64{0, 1, 100, 5e3} {
					x := s.FromFloat64(testkit.Inputs(17, 9, 3, at, spread), 9, 3).To(dtype).SetRequiresGrad(true)
					v := c.test.Statistic(s, x)
					v.Backward()
					assert.True(t, x.Grad().AllFinite(), "%s: %g ± %g: gradient %v", dtype, at, spread, x.Grad().Float64s())
					assert.False(t, math.IsNaN(v.Item()), "%s: %g ± %g", dtype, at, spread)
					hv, isHV := c.test.(multivariate.HenzeVisagie)
					_, isCOMB := c.test.(multivariate.COMB)
					if c.invariant || !isHV && !isCOMB || hv.Log {
						assert.True(t, v.AllFinite(), "%s: %g ± %g: %g", dtype, at, spread, v.Item())
					}
					if isHV && !hv.Log && !hv.Standardise && dtype == torch.Float32 && at == 1e4 {
						assert.True(t, math.IsInf(v.Item(), 1), "%g", v.Item())
					}
				}
			}
		}
	})
}

func TestNaN(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) {
		x := s.FromFloat64(testkit.Inputs(14, 3*8, 3, 0, 1), 3, 8, 3)
		x.Select(0, 1).Narrow(0, 4, 1).Narrow(1, 2, 1).Fill_(math.NaN())
		v, grad := testkit.Gradient(s, c.test, x)
		got := v.Float64s()
		assert.True(t, math.IsNaN(got[1]), "NaN in gives NaN out")
		for _, view := range []int64{0, 2} {
			assert.False(t, math.IsNaN(got[view]), "in its view")
			assert.True(t, grad.Select(0, view).AllFinite())
		}
	})
}

func TestNoGradient(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) {
		x := s.FromFloat64(testkit.Inputs(15, 8, 3, 0, 1), 8, 3)
		want := c.test.Statistic(s, x)
		assert.False(t, want.RequiresGrad())
		x.SetRequiresGrad(true)
		live := s.Live()
		with := c.test.Statistic(s, x)
		assert.Equal(t, live+1, s.Live(), "one tensor is left in the caller's scope")
		assert.True(t, with.RequiresGrad())
		assert.Equal(t, want.Float64s(), with.Float64s(), "the same value with gradient as without")
		s.NoGrad(func() { assert.False(t, c.test.Statistic(s, x).RequiresGrad()) })
	})
}
