package sigreg_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/sigreg"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

func TestMain(m *testing.M) { torchtest.Main(m) }

type golden struct {
	Rule struct {
		Knots     int
		TMax      float64
		Symmetric bool
		Uniform   bool
	}
	Shape      []int64 // V, N, K, M
	Seed       uint64
	Scale      float64
	Statistics []float64
	Grad       []float64
}

func (g golden) rule() sigreg.EppsPulley {
	e := sigreg.EppsPulley{Knots: g.Rule.Knots, TMax: g.Rule.TMax, Symmetric: g.Rule.Symmetric}
	if g.Rule.Uniform {
		e.Weight = sigreg.UniformWeight
	}
	return e
}

func (g golden) String() string { return fmt.Sprintf("%v %v scale %g", g.Shape, g.Rule, g.Scale) }

func goldens(t *testing.T) (cases []golden) {
	raw, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &cases))
	require.NotEmpty(t, cases)
	return cases
}

// inputs makes embeddings [V, N, K] that gradient flows into, and unit directions [K, M].
func inputs(s *torch.Scope, dtype torch.DType, shape []int64, seed uint64, scale float64) (z, a torch.Tensor) {
	v, n, k, m := shape[0], shape[1], shape[2], shape[3]
	z = s.FromFloat64(torchtest.Values(seed, int(v*n*k)), v, n, k).MulScalar(scale).To(dtype)
	a = s.FromFloat64(torchtest.Values(seed+1, int(k*m)), k, m)
	a = a.Div(a.Square().SumDim(0, true).Sqrt()).To(dtype)
	return z.Detach().SetRequiresGrad(true), a
}

// tolerance of values and gradients against float64, relative to the largest value, with a floor.
func tolerance(dtype torch.DType) (tol, floor float64) {
	if dtype == torch.Float64 {
		return 1e-9, 1e-12
	}
	return 1e-5, 1e-6
}

func TestAgainstPyTorch(t *testing.T) {
	forms := map[string]func(e sigreg.EppsPulley, s *torch.Scope, z, a torch.Tensor) (mean, statistics torch.Tensor){
		"direct": func(e sigreg.EppsPulley, s *torch.Scope, z, a torch.Tensor) (torch.Tensor, torch.Tensor) {
			v := e.Direct(s, z, a)
			return v.Mean(), v
		},
		"fast": sigreg.EppsPulley.Mean,
	}
	for name, form := range forms {
		for _, dtype := range []torch.DType{torch.Float64, torch.Float32} {
			for _, g := range goldens(t) {
				t.Run(fmt.Sprint(name, dtype, g), func(t *testing.T) {
					torchtest.Do(t, func(s *torch.Scope) {
						z, a := inputs(s, dtype, g.Shape, g.Seed, g.Scale)
						mean, statistics := form(g.rule(), s, z, a)
						mean.Backward()
						tol, floor := tolerance(dtype)
						assert.Equal(t, []int64{g.Shape[0], g.Shape[3]}, statistics.Shape())
						torchtest.Close(t, g.Statistics, statistics.Float64s(), tol, floor)
						var sum float64
						for _, v := range g.Statistics {
							sum += v
						}
						torchtest.Close(t, []float64{sum / float64(len(g.Statistics))}, []float64{mean.Item()}, tol, floor)
						torchtest.Close(t, g.Grad, z.Grad().Float64s(), tol, floor/float64(len(g.Statistics)))
					})
				})
			}
		}
	}
}

// TestAccuracyOfFloat32 compares with float64 for large projections, where only |projection|·ε can be had.
func TestAccuracyOfFloat32(t *testing.T) {
	const eps = 1.0 / (1 << 23)
	for _, scale := range []float64{3, 30, 300} {
		torchtest.Do(t, func(s *torch.Scope) {
			z, a := inputs(s, torch.Float32, []int64{1, 256, 8, 32}, 5, scale)
			want, _, wantGrad := gradient(s, sigreg.Default(), z, a, torch.Float64)
			got, _, grad := gradient(s, sigreg.Default(), z, a, torch.Float32)
			largest := scale * math.Sqrt(3*8) // bound of |projection|
			tol := max(1e-5, 4*largest*eps)
			torchtest.Close(t, want.Float64s(), got.Float64s(), tol, 1e-6, "scale ", scale)
			torchtest.Close(t, wantGrad.Float64s(), grad.Float64s(), tol, 0, "scale ", scale)
		})
	}
}

func TestFiniteDifferences(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		for _, e := range []sigreg.EppsPulley{sigreg.Default(), sigreg.Paper(), {Knots: 6, TMax: 2, Symmetric: true}} {
			z, a := inputs(s, torch.Float64, []int64{2, 3, 2, 4}, 11, 1)
			mean, _ := e.Mean(s, z, a)
			mean.Backward()
			at := z.Float64s()
			value := func(i int, h float64) float64 {
				moved := append([]float64(nil), at...)
				moved[i] += h
				m, _ := e.Mean(s, s.FromFloat64(moved, 2, 3, 2), a)
				return m.Item()
			}
			const h = 1e-5
			var want []float64
			for i := range at {
				want = append(want, (value(i, h)-value(i, -h))/(2*h))
			}
			torchtest.Close(t, want, z.Grad().Float64s(), 1e-8, 0)
		}
	})
}

// TestConstants checks two numbers that follow from the definition: all-zero projections give 0.40205·N, and the
// expectation for a standard Gaussian is 1.0525 whatever N is.
func TestConstants(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		e := sigreg.Default()
		for _, n := range []int64{1, 10, 1000} {
			v := e.Statistics(s, s.Zeros(torch.Float64, 1, n, 4), sigreg.Directions(s, torch.Float64, 1, 1, 4, 3))
			assert.InDelta(t, 0.40205*float64(n), v.Mean().Item(), 1e-5*float64(n))
		}
		for _, n := range []int64{4, 64} {
			// 8,000 independent samples of size n, one in each "view": the error of the mean is about 0.01.
			z := s.Randn(newRand(), torch.Float64, 8000, n, 1)
			v := e.Statistics(s, z, s.Ones(torch.Float64, 1, 1))
			assert.InDelta(t, 1.0525, v.Mean().Item(), 0.05, "N = %d", n)
		}
	})
}

func TestExtremes(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		e := sigreg.Default()
		a := sigreg.Directions(s, torch.Float32, 1, 1, 4, 8)
		for _, scale := range []float64{0, 1e-38, 1e-20, 1e10, 1e30, 1e38} {
			z, _ := inputs(s, torch.Float32, []int64{2, 16, 4, 8}, 3, scale)
			mean, statistics := e.Mean(s, z, a)
			mean.Backward()
			assert.True(t, mean.AllFinite() && statistics.AllFinite() && z.Grad().AllFinite(), "scale %g", scale)
			assert.Equal(t, e.Statistics(s, z, a).Mean().Item(), mean.Item(), "the same without gradient, at scale %g", scale)
		}
		for _, bad := range []float64{math.NaN(), math.Inf(1)} {
			z := s.Full(torch.Float32, bad, 2, 16, 4).SetRequiresGrad(true)
			mean, _ := e.Mean(s, z, a)
			mean.Backward()
			assert.True(t, math.IsNaN(mean.Item()), "%g in gives NaN out", bad)
		}
		one := s.Ones(torch.Float32, 1, 3, 4)
		one.Select(0, 0).Select(0, 0).Select(0, 0).Fill_(math.NaN())
		assert.True(t, math.IsNaN(e.Statistics(s, one, a).Mean().Item()), "one NaN among many values")
	})
}

// TestInvariance: the statistic does not depend on the order of samples, and is taken view by view.
func TestInvariance(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		e := sigreg.Default()
		z, a := inputs(s, torch.Float64, []int64{2, 9, 3, 5}, 21, 1)
		v := e.Statistics(s, z, a)
		order := s.FromInt64([]int64{3, 1, 4, 0, 5, 8, 2, 6, 7}, 9)
		torchtest.Close(t, v.Float64s(), e.Statistics(s, z.IndexSelect(1, order), a).Float64s(), 1e-12, 0)
		for i := range int64(2) {
			torchtest.Close(t, v.Select(0, i).Float64s(), e.Statistics(s, z.Narrow(0, i, 1), a).Float64s(), 1e-12, 0)
		}
	})
}

func TestNoGradientNoCost(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		z, a := inputs(s, torch.Float32, []int64{1, 8, 4, 4}, 2, 1)
		s.NoGrad(func() {
			mean, _ := sigreg.Default().Mean(s, z, a)
			assert.False(t, mean.RequiresGrad())
		})
		mean, statistics := sigreg.Default().Mean(s, z, a)
		assert.True(t, mean.RequiresGrad())
		assert.False(t, statistics.RequiresGrad())
	})
}

func TestValidate(t *testing.T) {
	assert.NoError(t, sigreg.Default().Validate())
	assert.NoError(t, sigreg.Paper().Validate())
	err := sigreg.EppsPulley{Knots: 1, TMax: -3}.Validate()
	assert.ErrorContains(t, err, "knots: 1, expected 2 or more")
	assert.ErrorContains(t, err, "tmax: -3, expected a number above 0")
}

func eye(n int, v float64) []float64 {
	m := make([]float64, n*n)
	for i := range n {
		m[i*n+i] = v
	}
	return m
}
