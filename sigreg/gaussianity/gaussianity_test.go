package gaussianity_test

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/sigreg/gaussianity"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// set is N rows of K numbers.
type set struct {
	x    []float64
	n, k int
}

// draw makes a set row by row.
func draw(seed uint64, n, k int, row func(r *rand.Rand, row []float64)) set {
	r := rand.New(rand.NewPCG(seed, 1))
	x := set{make([]float64, n*k), n, k}
	for row0 := range slices.Chunk(x.x, k) {
		row(r, row0)
	}
	return x
}

// each fills a row with independent numbers.
func each(f func(r *rand.Rand) float64) func(r *rand.Rand, row []float64) {
	return func(r *rand.Rand, row []float64) {
		for i := range row {
			row[i] = f(r)
		}
	}
}

func gaussian(r *rand.Rand) float64 { return r.NormFloat64() }

func (x set) tensor(s *torch.Scope) torch.Tensor { return s.FromFloat64(x.x, int64(x.n), int64(x.k)) }

// small are options for tests: p-values are multiples of 0.05.
func small() gaussianity.Options {
	return gaussianity.Options{Standardise: gaussianity.Scale, Slices: 16, Simulations: 19, Directions: 1}
}

func examine(t testing.TB, x set, o gaussianity.Options) *gaussianity.Report {
	th, err := torch.Start(torch.Options{Threads: 2})
	require.NoError(t, err)
	defer th.Close()
	var r *gaussianity.Report
	require.NoError(t, th.Do(context.Background(), func(s *torch.Scope) {
		r, err = gaussianity.Examine(context.Background(), s, x.tensor(s), o)
		require.NoError(t, err)
	}))
	return r
}

// all are the statistics of a report.
func all(r *gaussianity.Report) []gaussianity.Statistic {
	worst := r.Worst
	worst.Name = "worst"
	statistics := slices.Concat(r.Covariance, r.Joint, []gaussianity.Statistic{worst})
	for _, s := range r.Sliced {
		statistics = append(statistics, s.Statistic)
	}
	return statistics
}

// seen are the names of the statistics that tell a set from Gaussian samples.
func seen(r *gaussianity.Report) (names []string) {
	for _, s := range all(r) {
		if s.P <= 0.05 {
			names = append(names, s.Name)
		}
	}
	return names
}

// TestGaussianIsNotRejected: p-values of Gaussian sets are uniform, those of all statistics, whatever is standardised.
func TestGaussianIsNotRejected(t *testing.T) {
	const sets = 10
	p := map[string][]float64{}
	for i := range uint64(sets) {
		o := small()
		o.Slices, o.Seed, o.Standardise = 8, i, gaussianity.Standardise(i%3)
		sample := each(gaussian)
		if o.Standardise != gaussianity.None {
			sample = each(func(r *rand.Rand) float64 { return 5 + 0.01*r.NormFloat64() })
		}
		r := examine(t, draw(i, 60, 3, sample), o)
		p["overall"] = append(p["overall"], r.P)
		for _, s := range all(r) {
			p[s.Name] = append(p[s.Name], s.P)
		}
	}
	var small, count float64
	for name, p := range p {
		var mean float64
		for _, v := range p {
			mean += v / float64(len(p))
			count++
			if v <= 0.05 {
				small++
			}
		}
		assert.InDelta(t, 0.525, mean, 4*math.Sqrt(1./12/float64(len(p))), name)
	}
	assert.InDelta(t, 0.05, small/count, 0.03, "share of p-values of 0.05, of all statistics")
}

func TestFinds(t *testing.T) {
	const n, k = 600, 6
	normalised := math.Sqrt(3)
	for name, c := range map[string]struct {
		x           set
		standardise gaussianity.Standardise
		seen, blind []string
		deviation   gaussianity.Deviation
	}{
		"uniform": {
			x:           draw(1, n, k, each(func(r *rand.Rand) float64 { return normalised * (2*r.Float64() - 1) })),
			standardise: gaussianity.None,
			seen:        []string{"EppsPulley", "ShapiroWilk", "ExtendedJarqueBera", "Entropy", "BHEP", "worst"},
			blind:       []string{"VCReg", "effective rank", "mean variance", "length of the mean"},
			deviation:   gaussianity.LightTailed,
		},
		"laplace": {
			x: draw(1, n, k, each(func(r *rand.Rand) float64 {
				return math.Copysign(r.ExpFloat64()/math.Sqrt2, r.Float64()-0.5)
			})),
			standardise: gaussianity.None,
			seen:        []string{"EppsPulley", "ShapiroWilk", "ExtendedJarqueBera", "AndersonDarling", "BHEP", "worst"},
			blind:       []string{"length of the mean"},
			deviation:   gaussianity.HeavyTailed,
		},
		"mixture": {
			x: draw(2, n, k, func(r *rand.Rand, row []float64) {
				shift := math.Copysign(1, r.Float64()-0.5)
				each(func(r *rand.Rand) float64 { return shift + 0.5*r.NormFloat64() })(r, row)
			}),
			standardise: gaussianity.Whiten,
			seen:        []string{"BHEP", "worst"},
			deviation:   gaussianity.Multimodal,
		},
		"collapsed": {
			x:           draw(1, n, k, each(func(r *rand.Rand) float64 { return 0.05 * r.NormFloat64() })),
			standardise: gaussianity.None,
			seen:        []string{"least eigenvalue", "EppsPulley", "VCReg", "AndersonDarling", "NLL", "BHEP", "worst"},
			blind:       []string{"effective rank", "participation ratio", "ShapiroWilk", "Entropy"},
			deviation:   gaussianity.Collapsed,
		},
		"shifted": {
			x:           draw(1, n, k, each(func(r *rand.Rand) float64 { return 0.3 + r.NormFloat64() })),
			standardise: gaussianity.None,
			seen:        []string{"length of the mean", "EppsPulley", "VCReg", "CramerVonMises", "worst"},
			blind:       []string{"mean variance", "effective rank", "ShapiroWilk", "Entropy"},
			deviation:   gaussianity.Shifted,
		},
		"low rank": {
			x: draw(1, n, k, func(r *rand.Rand, row []float64) {
				a, b := r.NormFloat64(), r.NormFloat64()
				for i := range row {
					row[i] = a*math.Cos(float64(i)) + b*math.Sin(float64(i))
				}
			}),
			standardise: gaussianity.Scale,
			seen:        []string{"effective rank", "participation ratio", "largest eigenvalue", "least eigenvalue", "EppsPulley", "worst"},
			deviation:   gaussianity.Collapsed,
		},
	} {
		o := small()
		o.Standardise = c.standardise
		r := examine(t, c.x, o)
		assert.Equal(t, 0.05, r.P, name)
		got := seen(r)
		assert.Subset(t, got, c.seen, name)
		for _, blind := range c.blind {
			assert.NotContains(t, got, blind, name)
		}
		assert.Contains(t, r.Directions[0].Deviations, c.deviation, name)
		if name == "low rank" {
			assert.Equal(t, 2, r.Rank)
			assert.InDelta(t, 2, r.Covariance[0].Observed, 0.2)
		} else {
			assert.Equal(t, k, r.Rank, name)
		}
	}
}

// TestStandardise: what is taken out does not count.
func TestStandardise(t *testing.T) {
	x := draw(12, 300, 4, each(gaussian))
	o := small()
	first := examine(t, x, o)
	assert.Greater(t, first.P, 0.05)

	moved := set{slices.Clone(x.x), x.n, x.k}
	for i := range moved.x {
		moved.x[i] = 8*moved.x[i] + 32
	}
	second := examine(t, moved, o)
	assert.InEpsilon(t, 8*first.Scale, second.Scale, 1e-12)
	for i, s := range all(first) {
		assert.InEpsilon(t, s.Observed, all(second)[i].Observed, 1e-6, s.Name)
	}

	skewed := set{slices.Clone(x.x), x.n, x.k}
	for i := range skewed.x {
		if i%4 == 1 {
			skewed.x[i] = 5*skewed.x[i] + skewed.x[i-1]
		}
	}
	assert.Equal(t, 0.05, examine(t, skewed, o).P, "scaled")
	o.Standardise = gaussianity.Whiten
	white := examine(t, skewed, o)
	assert.Greater(t, white.P, 0.05, "whitened")
	for _, s := range white.Sliced {
		assert.NotEqual(t, "VCReg", s.Name, "it has nothing to see in whitened projections")
	}
}

// TestPlantedDirection: one odd direction among many is found though no slice sees it, and described.
func TestPlantedDirection(t *testing.T) {
	const n, k = 1000, 12
	a := make([]float64, k)
	var length float64
	for i := range a {
		a[i] = math.Cos(float64(3 * i))
		length = math.Hypot(length, a[i])
	}
	for i := range a {
		a[i] /= length
	}
	x := draw(3, n, k, func(r *rand.Rand, row []float64) {
		each(gaussian)(r, row)
		want := math.Copysign(0.9, r.Float64()-0.5) + math.Sqrt(1-0.81)*r.NormFloat64()
		var is float64
		for i, v := range row {
			is += v * a[i]
		}
		for i := range row {
			row[i] += (want - is) * a[i]
		}
	})
	o := small()
	o.Slices, o.Directions = 32, 2
	r := examine(t, x, o)
	assert.Greater(t, r.Sliced[0].P, 0.05, "SIGReg on the slices")
	assert.Equal(t, 0.05, r.Worst.P)
	assert.Equal(t, 0.05, r.P)

	require.Len(t, r.Directions, 2)
	d := r.Directions[0]
	assert.Equal(t, r.Worst.Observed, d.Statistic)
	assert.Equal(t, []gaussianity.Deviation{gaussianity.Multimodal}, d.Deviations)
	assert.InDelta(t, -1.3, d.Kurtosis, 0.2)
	var cos, squares float64
	for i, w := range d.Weights {
		cos += w * a[i]
		squares += w * w
	}
	assert.Greater(t, math.Abs(cos)/math.Sqrt(squares), 0.98)
	// The weights give the projections, and these the rows at the ends.
	assert.Len(t, d.Projection, n)
	for i, p := range d.Projection {
		var q float64
		for j, w := range d.Weights {
			q += w * (x.x[i*k+j] - r.Mean[j])
		}
		assert.InDelta(t, q, p, 1e-9)
		assert.LessOrEqual(t, d.Projection[d.Least[0]], p)
		assert.GreaterOrEqual(t, d.Projection[d.Greatest[0]], p)
	}
	largest := d.Coordinates(2)
	for i := range a {
		assert.LessOrEqual(t, math.Abs(d.Weights[i]), math.Abs(d.Weights[largest[0]]))
	}
	for _, other := range r.Directions[1:] {
		assert.Greater(t, other.P, 0.05)
		var cos float64
		for i, w := range other.Weights {
			cos += w * d.Weights[i] / squares
		}
		assert.InDelta(t, 0, cos, 1e-9)
	}
}

func TestReport(t *testing.T) {
	x := draw(4, 100, 3, each(gaussian))
	for i := range 30 {
		copy(x.x[3*(99-i):], x.x[3*i:3*i+3])
	}
	for i := range 100 {
		x.x[3*i+1] = 2.5
	}
	o := small()
	o.Samples, o.Seed, o.Directions = 0, 9, 5
	r := examine(t, x, o)
	assert.Equal(t, []int{100, 100, 100, 3, 30, 2, 16, 19}, []int{r.Rows, r.Samples, r.JointRows, r.Dim, r.Duplicates, r.Rank, r.Slices, r.Simulations})
	assert.Equal(t, []int{1}, r.Constant)
	assert.Len(t, r.Directions, 3, "no more than there are dimensions")
	assert.Equal(t, 2.5, r.Mean[1])
	assert.InEpsilon(t, 1.0525, r.Expected, 1e-3)
	assert.Len(t, r.Spectrum, 3)
	assert.Zero(t, r.Spectrum[2].Observed)
	assert.Len(t, r.SIGReg.Observed, 16)
	assert.Len(t, r.SIGReg.Gaussian, 16*19)
	assert.Len(t, r.Norms.Observed, 100)
	assert.Len(t, r.Norms.Gaussian, 1900)

	o.Samples = 40
	r = examine(t, x, o)
	assert.Equal(t, []int{100, 40}, []int{r.Rows, r.Samples})
	rows := gaussianity.Sample(100, 40, 9)
	for _, row := range append(r.Directions[0].Least, r.Directions[0].Greatest...) {
		assert.Contains(t, rows, row)
	}
	text, err := json.Marshal(r)
	require.NoError(t, err)
	var back gaussianity.Report
	require.NoError(t, json.Unmarshal(text, &back))
	again, err := json.Marshal(back)
	require.NoError(t, err)
	assert.Equal(t, string(text), string(again))
}

// TestThreads: the numbers are those of one thread.
func TestThreads(t *testing.T) {
	x := draw(6, 200, 5, each(gaussian))
	var reports []*gaussianity.Report
	for _, threads := range []int{1, 2} {
		th, err := torch.Start(torch.Options{Threads: threads})
		require.NoError(t, err)
		require.NoError(t, th.Do(context.Background(), func(s *torch.Scope) {
			r, err := gaussianity.Examine(context.Background(), s, x.tensor(s), small())
			require.NoError(t, err)
			reports = append(reports, r)
		}))
		th.Close()
	}
	for i, s := range all(reports[0]) {
		other := all(reports[1])[i]
		assert.Equal(t, s.P, other.P, s.Name)
		assert.InEpsilon(t, s.Observed, other.Observed, 1e-9, s.Name)
	}
}

func TestTypes(t *testing.T) {
	x := draw(7, 100, 3, each(gaussian))
	want := examine(t, x, small())
	torchtest.Do(t, func(s *torch.Scope) {
		for dtype, tolerance := range map[torch.DType]float64{torch.Float32: 1e-4, torch.BFloat16: 0.1} {
			r, err := gaussianity.Examine(context.Background(), s, x.tensor(s).To(dtype), small())
			require.NoError(t, err)
			assert.InEpsilon(t, want.Sliced[0].Observed, r.Sliced[0].Observed, tolerance, dtype)
		}
	})
}

func TestFewSamplesManyDimensions(t *testing.T) {
	for _, shape := range [][2]int{{8, 1}, {8, 30}, {20, 19}} {
		r := examine(t, draw(8, shape[0], shape[1], each(gaussian)), small())
		assert.Greater(t, r.P, 0.05, shape)
		for _, s := range all(r) {
			assert.False(t, math.IsNaN(s.Observed+s.Gaussian.Low+s.Gaussian.High), "%v %s", shape, s.Name)
		}
	}
}

// TestFarOut: sets that no test was made for have finite numbers.
func TestFarOut(t *testing.T) {
	o := small()
	for name, x := range map[string]set{
		"equal":  draw(1, 30, 3, each(func(*rand.Rand) float64 { return 7 })),
		"huge":   draw(1, 30, 3, each(func(r *rand.Rand) float64 { return 1e59 * r.NormFloat64() })),
		"cauchy": draw(1, 30, 3, each(func(r *rand.Rand) float64 { return r.NormFloat64() / r.NormFloat64() })),
	} {
		o.Standardise = gaussianity.None
		r := examine(t, x, o)
		assert.Equal(t, 0.05, r.P, name)
		_, err := json.Marshal(r)
		assert.NoError(t, err, name)
		if name == "huge" {
			o.Standardise = gaussianity.Whiten
			_, err = json.Marshal(examine(t, x, o))
			assert.NoError(t, err, name)
		}
	}
}

func TestErrors(t *testing.T) {
	good := draw(1, 30, 3, each(gaussian))
	with := func(i int, v float64) set {
		x := set{slices.Clone(good.x), good.n, good.k}
		x.x[i] = v
		return x
	}
	flat := set{slices.Clone(good.x), good.n, good.k}
	for i := range flat.n {
		flat.x[3*i] = 1
	}
	for want, c := range map[string]struct {
		x      set
		change func(o *gaussianity.Options)
	}{
		"row 4 holds NaN: 1 of 30 rows are not finite":          {x: with(13, math.NaN())},
		"row 4 holds -Inf: 1 of 30":                             {x: with(13, math.Inf(-1))},
		"row 4, column 1 is 1e+70: expected values up to 1e+60": {x: with(13, 1e70)},
		"float64[7 3]: expected 8 rows or more":                 {x: set{good.x[:21], 7, 3}},
		"float64[8 0]: expected 8 rows or more, of one column":  {x: set{nil, 8, 0}},
		"float64[0 3]":       {x: set{nil, 0, 3}},
		"all rows are equal": {x: set{make([]float64, 90), 30, 3}},
		"no inverse to whiten by: 30 samples vary in 2 of 3": {x: flat, change: func(o *gaussianity.Options) { o.Standardise = gaussianity.Whiten }},
		"no inverse to whiten by: 9 samples vary in 8 of 10": {x: set{good.x, 9, 10}, change: func(o *gaussianity.Options) { o.Standardise = gaussianity.Whiten }},
		"standardise: (7), expected None, Scale or Whiten":   {change: func(o *gaussianity.Options) { o.Standardise = 7 }},
		"samples: 5, expected 0 for all, or 8 or more":       {change: func(o *gaussianity.Options) { o.Samples = 5 }},
		"slices: 1, expected 2 or more":                      {change: func(o *gaussianity.Options) { o.Slices = 1 }},
		"simulations: 18, expected 19 or more":               {change: func(o *gaussianity.Options) { o.Simulations = 18 }},
		"directions: -1, expected 0 or more":                 {change: func(o *gaussianity.Options) { o.Directions = -1 }},
	} {
		if c.x.x == nil && c.x.n == 0 && c.x.k == 0 {
			c.x = good
		}
		o := small()
		if c.change != nil {
			c.change(&o)
		}
		torchtest.Do(t, func(s *torch.Scope) {
			_, err := gaussianity.Examine(context.Background(), s, c.x.tensor(s), o)
			assert.ErrorContains(t, err, want)
		})
	}
	torchtest.Do(t, func(s *torch.Scope) {
		for want, z := range map[string]torch.Tensor{
			"float64[30 3 1], expected a floating-point type of shape [N, K]": good.tensor(s).Unsqueeze(2),
			"int64[2 2], expected a floating-point type":                      s.FromInt64([]int64{1, 2, 3, 4}, 2, 2),
			"none, expected": {},
		} {
			_, err := gaussianity.Examine(context.Background(), s, z, small())
			assert.ErrorContains(t, err, want)
		}
	})
	var m gaussianity.Standardise
	assert.NoError(t, m.UnmarshalText([]byte("whiten")))
	assert.Equal(t, gaussianity.Whiten, m)
	assert.ErrorContains(t, m.UnmarshalText([]byte("white")), `"white" is not one of none, scale, whiten`)
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	o := small()
	var seen []int
	o.Progress = func(done, total int) {
		assert.Equal(t, 20, total)
		if seen = append(seen, done); done == 3 {
			cancel()
		}
	}
	torchtest.Do(t, func(s *torch.Scope) {
		_, err := gaussianity.Examine(ctx, s, draw(1, 30, 3, each(gaussian)).tensor(s), o)
		assert.ErrorIs(t, err, context.Canceled)
	})
	assert.Equal(t, []int{1, 2, 3}, seen)
}
