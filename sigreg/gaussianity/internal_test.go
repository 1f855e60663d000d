package gaussianity

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

func TestMain(m *testing.M) { torchtest.Main(m) }

// example is what the numbers from NumPy below are of: 60 rows of 4, columns of different scales and means.
func example() []float64 {
	x := torchtest.Values(7, 60*4)
	scale, mean := []float64{1, 2, 0.5, 1}, []float64{0, 1, 0, -3}
	for i := range x {
		x[i] = x[i]*scale[i%4] + mean[i%4]
	}
	return x
}

func TestEigenvaluesAreNumPys(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		z := s.FromFloat64(example(), 60, 4)
		raw, err := standardise(z, None)
		require.NoError(t, err)
		// numpy.linalg.eigvalsh(numpy.cov(x.T))
		want := []float64{0.225879824991982, 0.938863445331228, 1.026799349485745, 4.150801602638679}
		torchtest.Close(t, want, raw.values.Float64s(), 1e-13, 0)
		var mean float64
		for _, v := range want {
			mean += v / 4
		}
		scaled, err := standardise(z, Scale)
		require.NoError(t, err)
		assert.InEpsilon(t, math.Sqrt(mean), scaled.scale, 1e-13)
		for i := range want {
			want[i] /= mean
		}
		torchtest.Close(t, want, scaled.values.Float64s(), 1e-13, 0)

		f := newSpectrum(scaled.values.Float64s())
		assert.InEpsilon(t, 2.6479856472068453, f.effective, 1e-13) // exp(−Σ p log p), p = λ/Σλ
		assert.InEpsilon(t, 2.093329517738789, f.participation, 1e-13)
		assert.InEpsilon(t, want[3], f.most, 1e-13)
		assert.InEpsilon(t, want[0], f.least, 1e-13)
	})
}

// TestStandardised holds each way of standardising, and the weights that lead back, to gonum's covariance.
func TestStandardised(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		x := example()
		for _, how := range []Standardise{None, Scale, Whiten} {
			st, err := standardise(s.FromFloat64(x, 60, 4), how)
			require.NoError(t, err)
			y := mat.NewDense(60, 4, st.y.Float64s())
			var cov mat.SymDense
			stat.CovarianceMatrix(&cov, y, nil)
			trace := mat.Trace(&cov)
			switch how {
			case None:
				assert.Equal(t, x, st.y.Float64s())
			case Scale:
				assert.InEpsilon(t, 4, trace, 1e-12)
			case Whiten:
				for i := range 4 {
					for j := range 4 {
						assert.InDelta(t, map[bool]float64{true: 1}[i == j], cov.At(i, j), 1e-12)
					}
				}
			}
			a := []float64{0.5, -0.5, 0.1, math.Sqrt(0.49)}
			w, mean := st.weights(s, a, how), st.mean.Float64s()
			if how == None {
				mean = make([]float64, 4)
			}
			for i := range 60 {
				var p float64
				for j := range 4 {
					p += (x[4*i+j] - mean[j]) * w[j]
				}
				assert.InDelta(t, dot(mat.Row(nil, i, y), a), p, 1e-12)
			}
		}
	})
}

func TestShapeIsNumPys(t *testing.T) {
	var x []float64
	for i := 1; i < 240; i += 4 {
		x = append(x, example()[i])
	}
	s := newShape(x)
	assert.InEpsilon(t, 0.9191897300296082, s.Mean, 1e-12)
	assert.InEpsilon(t, 4.102806198097996, s.Variance, 1e-12) // numpy.var(x, ddof=1)
	assert.InEpsilon(t, 0.34383671443616676, s.Skewness, 1e-12)
	assert.InEpsilon(t, -1.083477840788357, s.Kurtosis, 1e-12)
	assert.Equal(t, 60, s.Distinct)
	b := newBand(x) // numpy.percentile(x, [5, 50, 95])
	torchtest.Close(t, []float64{-1.949060220566954, 0.453274768016811, 4.169118477966979}, []float64{b.Low, b.Median, b.High}, 1e-13, 0)

	assert.Equal(t, Shape{Mean: 2, Distinct: 1, Modes: 1}, newShape([]float64{2, 2, 2, 2, 2, 2, 2, 2}), "equal samples")
}

func TestModes(t *testing.T) {
	draw := func(n int, f func() float64) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = f()
		}
		return x
	}
	r := rand.New(rand.NewPCG(1, 0))
	for _, c := range []struct {
		name  string
		modes int
		f     func() float64
	}{
		{"gaussian", 1, r.NormFloat64},
		{"uniform", 1, r.Float64},
		{"exponential", 1, r.ExpFloat64},
		{"cauchy", 1, func() float64 { return r.NormFloat64() / r.NormFloat64() }},
		{"two", 2, func() float64 { return math.Copysign(0.9, r.Float64()-0.5) + 0.436*r.NormFloat64() }},
		{"three", 3, func() float64 { return 5*float64(r.IntN(3)) + r.NormFloat64() }},
		{"unequal", 2, func() float64 { return 6*float64(min(r.IntN(4), 1)) + r.NormFloat64() }},
		{"outliers", 1, func() float64 { return 100*float64(max(r.IntN(300)-298, 0)) + r.NormFloat64() }},
	} {
		wrong := 0
		for range 40 {
			if newShape(draw(400, c.f)).Modes != c.modes {
				wrong++
			}
		}
		assert.LessOrEqual(t, wrong, 2, c.name)
	}
}

func TestDeviations(t *testing.T) {
	gaussian := []Shape{{Variance: 0.9, Skewness: -0.1, Kurtosis: -0.3, Modes: 1}, {Mean: 0.1, Variance: 1.2, Skewness: 0.2, Kurtosis: 0.4, Modes: 1}}
	is := func(s Shape) []Deviation { return deviations(s, 1000, gaussian) }
	assert.Empty(t, is(Shape{Mean: -0.09, Variance: 1.1, Skewness: -0.15, Distinct: 1000, Modes: 1}))
	assert.Equal(t, []Deviation{Collapsed, Discrete}, is(Shape{Modes: 1, Distinct: 1}))
	assert.Equal(t, []Deviation{Narrow, LightTailed}, is(Shape{Variance: 0.5, Kurtosis: -1, Modes: 1, Distinct: 1000}))
	assert.Equal(t, []Deviation{Wide, Shifted, Skewed, HeavyTailed}, is(Shape{Mean: -1, Variance: 2, Skewness: -0.3, Kurtosis: 1, Modes: 1, Distinct: 1000}))
	assert.Equal(t, []Deviation{Multimodal}, is(Shape{Variance: 1, Kurtosis: -1.5, Modes: 2, Distinct: 1000}))
	for d := Collapsed; d <= LightTailed; d++ {
		text, err := d.MarshalText()
		require.NoError(t, err)
		var back Deviation
		require.NoError(t, back.UnmarshalText(text))
		assert.Equal(t, d, back)
	}
	assert.Equal(t, "(9)", Deviation(9).String())
}

func TestPValue(t *testing.T) {
	simulated := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9}
	assert.Equal(t, 0.1, pValue(10, simulated, Upper))
	assert.Equal(t, 0.2, pValue(9, simulated, Upper), "an equal value is as far out")
	assert.Equal(t, 0.2, pValue(9*(1+1e-12), simulated, Upper), "so is one that differs by rounding")
	assert.Equal(t, 1.0, pValue(0, simulated, Upper))
	assert.Equal(t, 0.1, pValue(0, simulated, Lower))
	assert.Equal(t, 0.4, pValue(8.5, simulated, Both))
	assert.Equal(t, 0.2, pValue(0, simulated, Both))
	assert.Equal(t, 1.0, pValue(5, simulated, Both))
}

// TestOverall: whichever of the sets is the observed one, the p-values are the ranks.
func TestOverall(t *testing.T) {
	const sets = 20
	r := rand.New(rand.NewPCG(3, 0))
	values := make([][]float64, 3)
	for i := range values {
		for range sets {
			values[i] = append(values[i], math.Pow(10, float64(i))*r.NormFloat64())
		}
	}
	values[1][7] = -1e6 // far out on the side that counts
	values[0][3] = -1e6 // and on the one that does not
	tails := []Tail{Upper, Lower, Both}
	var all []float64
	for first := range sets {
		var turned [][]float64
		for _, v := range values {
			turned = append(turned, slices.Concat(v[first:], v[:first]))
		}
		all = append(all, overall(turned, tails))
	}
	assert.Equal(t, 0.05, all[7])
	assert.Greater(t, all[3], 0.05)
	slices.Sort(all)
	for i, p := range all {
		assert.InDelta(t, float64(i+1)/sets, p, 1e-12)
	}
	assert.Equal(t, 1.0, overall([][]float64{{1, 1, 1, 1}}, []Tail{Upper}), "what is the same for all tells nothing")
}

func TestRows(t *testing.T) {
	assert.Equal(t, []int{0, 1, 2}, Sample(3, 0, 1))
	assert.Equal(t, []int{0, 1, 2}, Sample(3, 3, 1))
	rows := Sample(1000, 100, 1)
	assert.Len(t, rows, 100)
	assert.True(t, slices.IsSorted(rows))
	assert.Len(t, slices.Compact(slices.Clone(rows)), 100)
	assert.Equal(t, rows, Sample(1000, 100, 1))
	assert.NotEqual(t, rows, Sample(1000, 100, 2))
	count := make([]int, 10)
	for seed := range uint64(2000) {
		for _, row := range Sample(10, 3, seed) {
			count[row]++
		}
	}
	for _, n := range count {
		assert.InDelta(t, 600, n, 5*math.Sqrt(2000*0.3*0.7))
	}

	x := []float64{1, 0, 2, 0, 1, math.Copysign(0, -1), 1, 0.5}
	assert.Equal(t, 1, duplicates(x, 2))
	assert.Equal(t, 0, duplicates(x, 8))
	assert.Equal(t, []int{1}, constant(x[:6], 2))
	assert.Empty(t, constant(x, 2))
}

func TestMeanAndError(t *testing.T) {
	mean, err := meanAndError([]float64{1, 2, 4, 5})
	assert.InEpsilon(t, 3, mean, 1e-15)
	assert.InEpsilon(t, stat.StdErr(stat.StdDev([]float64{1, 2, 4, 5}, nil), 4), err, 1e-15)
	mean, err = meanAndError([]float64{1e200, 3e200})
	assert.InEpsilon(t, 2e200, mean, 1e-15)
	assert.InEpsilon(t, 1e200, err, 1e-15)
	_, err = meanAndError([]float64{7})
	assert.Zero(t, err)
}
