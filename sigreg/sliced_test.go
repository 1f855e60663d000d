package sigreg_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/sigreg"
	"github.com/gojepa/gojepa/sigreg/univariate"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

var univariateTests = []sigreg.Test{
	sigreg.Default(), univariate.AndersonDarling{}, univariate.CramerVonMises{}, univariate.Watson{}, univariate.ShapiroWilk{},
	univariate.VCReg{}, univariate.ExtendedJarqueBera{}, univariate.DefaultMoments(), univariate.DefaultEntropy(), univariate.NLL{},
}

// TestSliced compares every test and reduction with the test of the projections, put together by hand.
func TestSliced(t *testing.T) {
	for _, test := range univariateTests {
		t.Run(fmt.Sprintf("%T", test), func(t *testing.T) {
			torchtest.Do(t, func(s *torch.Scope) {
				z := s.FromFloat64(torchtest.Values(1, 2*3*40*6), 2, 3, 40, 6).SetRequiresGrad(true)
				a := sigreg.Directions(s, torch.Float64, 1, 1, 6, 9)
				grad := func(y torch.Tensor) []float64 {
					y.Sum().Backward()
					g := z.Grad().Float64s()
					z.Grad().Zero_()
					return g
				}
				projections := test.Statistic(s, z.Matmul(a))
				require.Equal(t, []int64{2, 3, 9}, projections.Shape())
				for reduction, want := range map[sigreg.Reduction]torch.Tensor{
					sigreg.ReduceMean: projections.Mean(), sigreg.ReduceSum: projections.Sum(), sigreg.ReduceNone: projections.AddScalar(0),
				} {
					got := sigreg.Sliced{Test: test, Reduction: reduction}.Statistic(s, z, a)
					assert.Equal(t, want.Shape(), got.Shape())
					torchtest.Close(t, want.Float64s(), got.Float64s(), 1e-12, 0, reduction)
				}
				wantGrad := grad(projections.Mean())
				torchtest.Close(t, wantGrad, grad(sigreg.Sliced{Test: test}.Statistic(s, z, a)), 1e-11, 0)
				for i := range wantGrad {
					wantGrad[i] *= 2 * 3 * 9
				}
				torchtest.Close(t, wantGrad, grad(sigreg.Sliced{Test: test, Reduction: sigreg.ReduceSum}.Statistic(s, z, a)), 1e-11, 0)
				torchtest.Close(t, wantGrad, grad(sigreg.Sliced{Test: test, Reduction: sigreg.ReduceNone}.Statistic(s, z, a)), 1e-11, 0)

				half := sigreg.Sliced{Test: test}.Statistic(s, z.To(torch.BFloat16), a)
				assert.Equal(t, torch.Float32, half.DType())
				assert.InDelta(t, projections.Mean().Item(), half.Item(), 0.05*math.Abs(projections.Mean().Item())+0.05)
			})
		})
	}
}

// TestClip: statistics below the threshold are 0 and pull at nothing; the others are as they were.
func TestClip(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		// Two columns are Gaussian quantiles, near which a slice along them is close enough; the third is collapsed.
		n := int64(60)
		v := make([]float64, 3*n)
		for i := range n {
			q := math.Sqrt2 * math.Erfinv(2*(float64(i)+0.5)/float64(n)-1)
			v[3*i], v[3*i+1], v[3*i+2] = q, -q, 0.01*q
		}
		z := s.FromFloat64(v, n, 3).SetRequiresGrad(true)
		axes := s.FromFloat64(eye(3, 1), 3, 3)
		for _, test := range []sigreg.Test{sigreg.Default(), univariate.AndersonDarling{}} {
			free := sigreg.Sliced{Test: test, Reduction: sigreg.ReduceNone}.Statistic(s, z, axes).Float64s()
			require.Less(t, max(free[0], free[1]), 1.0)
			require.Greater(t, free[2], 1.0)
			clipped := sigreg.Sliced{Test: test, Reduction: sigreg.ReduceNone, Clip: 1}
			got := clipped.Statistic(s, z, axes)
			assert.Equal(t, []float64{0, 0, free[2]}, got.Float64s())
			got.Sum().Backward()
			columns := z.Grad().Abs().SumDim(0, false).Float64s()
			assert.Zero(t, columns[0])
			assert.Zero(t, columns[1])
			assert.Positive(t, columns[2])
			z.Grad().Zero_()
			clipped.Reduction = sigreg.ReduceMean
			assert.InDelta(t, free[2]/3, clipped.Statistic(s, z, axes).Item(), 1e-12)
			clipped.Reduction = sigreg.ReduceSum
			assert.InDelta(t, free[2], clipped.Statistic(s, z, axes).Item(), 1e-12)
		}
		bad := s.Full(torch.Float64, math.NaN(), 4, 3)
		assert.True(t, math.IsNaN(sigreg.Sliced{Test: sigreg.Default(), Clip: 1e9}.Statistic(s, bad, axes).Item()), "NaN is not clipped")
	})
}

// TestExpectedBySimulation: expectations that are known, and that of a clipped statistic, which is less.
func TestExpectedBySimulation(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		for _, c := range []struct {
			test sigreg.Test
			want float64
		}{{sigreg.Default(), sigreg.Default().Expected()}, {univariate.AndersonDarling{}, 1}, {univariate.CramerVonMises{}, 1. / 6}, {univariate.Watson{}, 1. / 12}} {
			for _, n := range []int64{4, 256} {
				got := sigreg.Sliced{Test: c.test}.Expected(s, n)
				assert.InDelta(t, c.want, got, 0.05*c.want, "%T of %d", c.test, n)
				clipped := sigreg.Sliced{Test: c.test, Clip: c.want}.Expected(s, n)
				assert.Less(t, clipped, got)
				assert.Greater(t, clipped, 0.3*got)
			}
		}
		assert.Positive(t, sigreg.Sliced{Test: univariate.VCReg{}}.Expected(s, 1<<21), "more samples than are simulated")
	})
}

func TestSlicedValidate(t *testing.T) {
	assert.NoError(t, sigreg.Sliced{Test: sigreg.Default()}.Validate())
	assert.NoError(t, sigreg.Sliced{Test: univariate.Watson{}, Reduction: sigreg.ReduceNone, Clip: 2}.Validate())
	assert.EqualError(t, sigreg.Sliced{Reduction: 3, Clip: -1}.Validate(),
		"test: none, expected EppsPulley or one of package univariate\nreduction: 3, expected ReduceMean, ReduceSum or ReduceNone\nclip: -1, expected a number from 0")
	assert.EqualError(t, sigreg.Sliced{Test: univariate.Moments{}, Clip: math.NaN()}.Validate(),
		"kmax: 0, expected 1 to 20\nclip: NaN, expected a number from 0")
}

func TestIndependentDirections(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		d := sigreg.Slices{Count: 2000, Seed: 7}
		a := d.At(s, torch.Float64, 3, 16)
		assert.Equal(t, []int64{16, 2000}, a.Shape())
		uniform(t, s, a, 1)
		assert.Equal(t, a.Float64s(), sigreg.Directions(s, torch.Float64, 7, 3, 16, 2000).Float64s())
		assert.NotEqual(t, a.Float64s(), d.At(s, torch.Float64, 4, 16).Float64s())
		d.Seed = 8
		assert.NotEqual(t, a.Float64s(), d.At(s, torch.Float64, 3, 16).Float64s())
	})
}

// uniform asserts that the columns of a [16, M] are unit vectors as uniform on the sphere as M independent ones: mean 0 and
// covariance I/16 within five standard errors, or a share of that.
func uniform(t *testing.T, s *torch.Scope, a torch.Tensor, share float64) {
	m := float64(a.Size(1))
	norms := a.Square().SumDim(0, false)
	assert.InDelta(t, 1, norms.Max().Item(), 1e-12)
	assert.InDelta(t, -1, norms.Neg().Max().Item(), 1e-12)
	assert.Less(t, a.MeanDim(1, false).Abs().Max().Item(), 5*math.Sqrt(1./16/m))
	off := a.Matmul(a.T()).DivScalar(m).Sub(s.FromFloat64(eye(16, 1./16), 16, 16))
	assert.Less(t, off.Abs().Max().Item(), share*5*math.Sqrt(2./16/16/m))
}

func TestOrthogonalDirections(t *testing.T) {
	d := sigreg.Slices{Count: 2000, Sampling: sigreg.Orthogonal, Seed: 7}
	var first []float64
	for _, n := range []int{1, 2} {
		require.NoError(t, torchtest.Threads(t, n).Do(t.Context(), func(s *torch.Scope) {
			a := d.At(s, torch.Float64, 3, 16)
			uniform(t, s, a, 1e-9) // exact, as 2000 is a multiple of 16
			for i := range int64(2000 / 16) {
				basis := a.Narrow(1, 16*i, 16)
				torchtest.Close(t, eye(16, 1), basis.T().Matmul(basis).Float64s(), 1e-13, 0)
			}
			if first == nil {
				first = a.Float64s()
				return
			}
			torchtest.Close(t, first, a.Float64s(), 1e-12, 0, "on any number of threads, but for rounding")
			assert.NotEqual(t, first, d.At(s, torch.Float64, 4, 16).Float64s(), "at another step")

			// Signs are fair: the first component of all vectors has mean 0, and no basis is the one before.
			assert.Less(t, math.Abs(a.Select(0, 0).Mean().Item()), 5*math.Sqrt(1./16/2000))

			wide := sigreg.Slices{Count: 300, Sampling: sigreg.Orthogonal}.At(s, torch.Float64, 1, 300).Float64s()
			require.NoError(t, torchtest.Threads(t, 3-n).Do(t.Context(), func(s *torch.Scope) {
				again := sigreg.Slices{Count: 300, Sampling: sigreg.Orthogonal}.At(s, torch.Float64, 1, 300).Float64s()
				torchtest.Close(t, wide, again, 1e-12, 0, "on any number of threads, but for rounding")
			}))

			// A last basis that is cut short, and more dimensions than slices.
			for _, c := range [][2]int{{5, 3}, {5, 12}, {1, 4}} {
				some := sigreg.Slices{Count: c[1], Sampling: sigreg.Orthogonal}.At(s, torch.Float32, 0, c[0])
				assert.Equal(t, []int64{int64(c[0]), int64(c[1])}, some.Shape())
				k := int64(min(c[0], c[1]))
				block := some.Narrow(1, 0, k)
				torchtest.Close(t, eye(int(k), 1), block.T().Matmul(block).Float64s(), 1e-6, 0)
			}
		}))
	}
}

// TestOrthogonalVariesLess: with few dimensions, the mean over orthogonal slices varies less from one draw to another.
func TestOrthogonalVariesLess(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		z := s.FromFloat64(torchtest.Values(2, 200*4), 1, 200, 4).Mul(s.FromFloat64([]float64{2, 1, 1, 0.2}, 4))
		variance := func(sampling sigreg.Sampling) float64 {
			var means []float64
			for step := range uint64(200) {
				a := sigreg.Slices{Count: 8, Sampling: sampling}.At(s, torch.Float64, step, 4)
				means = append(means, sigreg.Sliced{Test: sigreg.Default()}.Statistic(s, z, a).Item())
			}
			return s.FromFloat64(means, 200).VarDim(0, true, false).Item()
		}
		assert.Less(t, variance(sigreg.Orthogonal), 0.5*variance(sigreg.Independent))
	})
}

func TestResampling(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		for _, sampling := range []sigreg.Sampling{sigreg.Independent, sigreg.Orthogonal} {
			at := func(every int, step uint64) []float64 {
				return sigreg.Slices{Count: 4, Sampling: sampling, Every: every}.At(s, torch.Float32, step, 3).Float64s()
			}
			for _, every := range []int{0, 1} {
				assert.NotEqual(t, at(every, 0), at(every, 1))
			}
			assert.Equal(t, at(3, 0), at(3, 2))
			assert.NotEqual(t, at(3, 2), at(3, 3))
			assert.Equal(t, at(3, 3), at(3, 5))
		}
	})
}

func TestSlicesValidate(t *testing.T) {
	assert.NoError(t, sigreg.Slices{Count: 1}.Validate())
	assert.EqualError(t, sigreg.Slices{Sampling: 2, Every: -1}.Validate(),
		"slices: 0, expected 1 or more\nsampling: 2, expected Independent or Orthogonal\nevery: -1, expected 0 or more steps")
	assert.Equal(t, "independent orthogonal (2)", fmt.Sprint(sigreg.Independent, " ", sigreg.Orthogonal, " ", sigreg.Sampling(2)))
}
