package univariate_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gojepa/gojepa/sigreg/internal/testkit"
	"github.com/gojepa/gojepa/sigreg/univariate"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// TestAgainstReference takes many numbers of samples, from the least that a test allows.
func TestAgainstReference(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) {
		for _, n := range []int64{c.least, c.least + 1, c.least + 2, 16, 31, 500} {
			const m = 4
			v := testkit.Inputs(uint64(n), n, m, 0.2, 1.3)
			var want []float64
			for j := range m {
				slice := make([]float64, n)
				for i := range slice {
					slice[i] = v[i*m+j]
				}
				want = append(want, c.reference(slice))
			}
			torchtest.Close(t, want, c.test.Statistic(s, s.FromFloat64(v, n, m)).Float64s(), 1e-10, 1e-10, "samples: ", n)
		}
	})
}

func TestFiniteDifferences(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) {
		testkit.FiniteDifferences(t, s, c.test, testkit.Inputs(5, 2*7, 3, 0.1, 1.2), 1e-7, 2, 7, 3)
	})
}

// TestDescent follows the gradient from samples that a test can tell from a Gaussian, which must lower its statistic.
func TestDescent(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) {
		x := s.FromFloat64(testkit.Inputs(6, 40, 5, 0.5, 1.5), 40, 5)
		first := c.test.Statistic(s, x).Sum().Item()
		for range 20 {
			_, grad := testkit.Gradient(s, c.test, x)
			x = x.Sub(grad.MulScalar(0.05 / grad.Abs().Max().Item()))
		}
		assert.Less(t, c.test.Statistic(s, x).Sum().Item(), first-0.01*math.Abs(first))
	})
}

func TestOrderOfSamples(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) { testkit.OrderOfSamples(t, s, c.test) })
}

// TestLocationAndScale: a test either sees both, or neither. The samples are a Gaussian's quantiles, about as good a fit
// as can be.
func TestLocationAndScale(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) {
		v := make([]float64, 50)
		for i := range v {
			v[i] = quantile((float64(i) + 0.5) / float64(len(v)))
		}
		x := s.FromFloat64(v, 50, 1)
		want := c.test.Statistic(s, x).Item()
		for _, k := range [][2]float64{{0, 0.1}, {0, 10}, {3, 1}, {-2, 7}, {0, 1e-9}} {
			got := c.test.Statistic(s, x.MulScalar(k[1]).AddScalar(k[0])).Item()
			switch {
			case c.invariant:
				assert.InEpsilon(t, want, got, 1e-9, "%g + %g·x", k[0], k[1])
			case c.name == "Moments 1" && k[0] == 0:
				assert.InDelta(t, 0, got, 1e-12, "it sees the mean alone")
			default:
				assert.Greater(t, got, want+0.05, "%g + %g·x", k[0], k[1])
			}
		}
	})
}

func TestViewByView(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) {
		x := s.FromFloat64(testkit.Inputs(9, 6*8, 5, 0, 1.4), 2, 3, 8, 5)
		all := c.test.Statistic(s, x)
		assert.Equal(t, []int64{2, 3, 5}, all.Shape())
		for i := range int64(2) {
			for j := range int64(3) {
				one := c.test.Statistic(s, x.Select(0, i).Select(0, j))
				torchtest.Close(t, one.Float64s(), all.Select(0, i).Select(0, j).Float64s(), 1e-13, 1e-13)
			}
		}
		assert.Equal(t, []int64{2, 0}, c.test.Statistic(s, s.Empty(torch.Float32, 2, 8, 0)).Shape(), "no slice")
		assert.Equal(t, []int64{0, 5}, c.test.Statistic(s, s.Empty(torch.Float32, 0, 8, 5)).Shape(), "no view")
	})
}

func TestStrides(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) {
		wide := s.FromFloat64(testkit.Inputs(10, 12, 9, 0, 1), 12, 9)
		one := wide.Narrow(1, 0, 1)
		for name, x := range map[string]torch.Tensor{
			"transposed": wide.T(),
			"narrowed":   wide.Narrow(1, 2, 4),
			"every view": wide.Reshape(2, 6, 9).Transpose(0, 1).Transpose(1, 2),
			"expanded":   one.Expand(-1, 4),
		} {
			testkit.Strides(t, s, c.test, x, name)
		}
	})
}

// TestFloat32 compares with float64 on the same numbers, near the optimum, where statistics are differences of nearly
// equal terms, and far from it.
func TestFloat32(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) {
		for _, k := range []struct {
			n          int64
			loc, scale float64
		}{{64, 0, 1}, {1000, 0, 1}, {16384, 0, 1}, {64, -2, 3}, {64, 0, 0.01}, {64, 0, 30}} {
			x := s.Randn(rand.New(rand.NewPCG(uint64(k.n), 1)), torch.Float64, k.n, 4).MulScalar(k.scale).AddScalar(k.loc).To(torch.Float32)
			want, wantGrad := testkit.Gradient(s, c.test, x.To(torch.Float64))
			got, grad := testkit.Gradient(s, c.test, x)
			assert.Equal(t, torch.Float32, got.DType())
			tol := 1e-5
			if k.n > 1000 {
				tol = 1e-4
			}
			torchtest.Close(t, want.Float64s(), got.Float64s(), tol, 0, "values of ", k)
			torchtest.Close(t, wantGrad.Float64s(), grad.Float64s(), tol, 0, "gradient of ", k)
		}
	})
}

// Test16Bit: what is 16 bits wide is computed in float32, and has a gradient 16 bits wide.
func Test16Bit(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) { testkit.SixteenBit(t, s, c.test) })
}

// TestCollapsed: samples that are all equal, or nearly, have finite values and gradients, of any size that float32 can
// square.
func TestCollapsed(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) {
		for _, dtype := range []torch.DType{torch.Float32, torch.Float64} {
			for _, at := range []float64{0, 0.1, -3, 1e4, -1e4} {
				for _, spread := range []float64{0, 1e-30, 1e-7, 1e-3, 1e4} {
					x := s.FromFloat64(testkit.Inputs(13, 9, 3, at, spread), 9, 3).To(dtype)
					v, grad := testkit.Gradient(s, c.test, x)
					assert.True(t, v.AllFinite() && grad.AllFinite(), "%s: %g ± %g: %v, gradient %v", dtype, at, spread, v.Float64s(), grad.Float64s())
				}
			}
			equal, grad := testkit.Gradient(s, c.test, s.Full(dtype, 0.1, 9, 1))
			want := c.reference([]float64{.1, .1, .1, .1, .1, .1, .1, .1, .1})
			switch c.test.(type) {
			case univariate.ShapiroWilk:
				want = 1
				assert.Zero(t, grad.Norm().Item())
			case univariate.Entropy:
				want = 0.5*math.Log(2*math.Pi*math.E) + 5*math.Ln10
				assert.Zero(t, grad.Norm().Item())
			}
			torchtest.Close(t, []float64{want}, equal.Float64s(), 1e-4, 0, dtype)
		}
	})
}

func TestNaN(t *testing.T) {
	each(t, func(t *testing.T, c facts, s *torch.Scope) {
		x := s.FromFloat64(testkit.Inputs(14, 8, 3, 0, 1), 8, 3)
		x.Narrow(0, 4, 1).Narrow(1, 1, 1).Fill_(math.NaN())
		v, _ := testkit.Gradient(s, c.test, x)
		got := v.Float64s()
		assert.True(t, math.IsNaN(got[1]), "NaN in gives NaN out")
		assert.False(t, math.IsNaN(got[0]) || math.IsNaN(got[2]), "in its slice")
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

func TestBadInput(t *testing.T) {
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			least := c.least
			switch c.test.(type) {
			case univariate.Entropy:
				least = 3 // the least for any M
			case univariate.NLL:
				least = 1 // and for any K
			}
			expected := fmt.Sprintf("expected [*, N, M] with N >= %d", least)
			for message, x := range map[string]func(s *torch.Scope) torch.Tensor{
				"x is the zero Tensor, " + expected: func(*torch.Scope) torch.Tensor { return torch.Tensor{} },
				"x has shape [], " + expected:       func(s *torch.Scope) torch.Tensor { return s.Full(torch.Float32, 1) },
				"x has shape [7], " + expected:      func(s *torch.Scope) torch.Tensor { return s.Ones(torch.Float32, 7) },
				fmt.Sprintf("x has shape [2 %d 4], %s", least-1, expected): func(s *torch.Scope) torch.Tensor {
					return s.Ones(torch.Float32, 2, least-1, 4)
				},
				"x is int64, expected a floating-point type": func(s *torch.Scope) torch.Tensor { return s.Arange(6).Reshape(3, 2) },
				"x is bool, expected a floating-point type":  func(s *torch.Scope) torch.Tensor { return s.Zeros(torch.Bool, 8, 2) },
			} {
				testkit.Panics(t, message, c.test, x)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	eight := func(s *torch.Scope) torch.Tensor { return s.Ones(torch.Float32, 8, 2) }
	for _, c := range []struct {
		test interface {
			testkit.Tester
			Validate() error
		}
		message string // "" if the options are in range
	}{
		{univariate.ShapiroWilk{}, ""},
		{univariate.ShapiroWilk{Scores: univariate.Rahman, Covariance: univariate.Tridiagonal}, ""},
		{univariate.ShapiroWilk{Scores: 3}, "scores: 3, expected Elfving, Blom or Rahman"},
		{univariate.ShapiroWilk{Scores: -1, Covariance: 2},
			"scores: -1, expected Elfving, Blom or Rahman\ncovariance: 2, expected ShapiroFrancia or Tridiagonal"},
		{univariate.DefaultMoments(), ""},
		{univariate.Moments{KMax: 20}, ""},
		{univariate.Moments{}, "kmax: 0, expected 1 to 20"},
		{univariate.Moments{KMax: 21}, "kmax: 21, expected 1 to 20"},
		{univariate.DefaultEntropy(), ""},
		{univariate.Entropy{}, "eps: 0, expected a number above 0"},
		{univariate.Entropy{M: -1, Eps: math.NaN()}, "m: -1, expected 0 or more\neps: NaN, expected a number above 0"},
		{univariate.Entropy{Eps: math.Inf(1)}, "eps: +Inf, expected a number above 0"},
		{univariate.NLL{}, ""},
		{univariate.NLL{K: -2}, "k: -2, expected 0 or more"},
	} {
		if c.message == "" {
			assert.NoError(t, c.test.Validate())
			continue
		}
		assert.EqualError(t, c.test.Validate(), c.message)
		testkit.Panics(t, c.message, c.test, eight)
	}
	for message, c := range map[string]testkit.Tester{
		"m: 4, expected 0 to 3 for N = 8 samples": univariate.Entropy{M: 4, Eps: 1},
		"m: 8, expected 0 to 7 for N = 8 samples": univariate.Entropy{M: 8, Right: true, Eps: 1},
		"k: 9, expected 0 to 8 for N = 8 samples": univariate.NLL{K: 9},
	} {
		testkit.Panics(t, message, c, eight)
	}
	assert.Equal(t, "elfving blom rahman (3)", fmt.Sprint(univariate.Elfving, " ", univariate.Blom, " ", univariate.Rahman, " ", univariate.Scores(3)))
	assert.Equal(t, "shapiro-francia tridiagonal (-1)", fmt.Sprint(univariate.ShapiroFrancia, " ", univariate.Tridiagonal, " ", univariate.Covariance(-1)))
}
