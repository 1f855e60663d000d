package univariate_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gojepa/gojepa/sigreg/internal/testkit"
	"github.com/gojepa/gojepa/sigreg/univariate"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// The simulations draw this many slices of this many samples.
const (
	drawn   = 256
	repeats = 2000
)

type sampler func(r *rand.Rand) float64

func gaussian(r *rand.Rand) float64 { return r.NormFloat64() }

// alternatives are distributions that are not N(0, 1); the first three have its mean and variance.
var alternatives = []struct {
	name   string
	sample sampler
}{
	{"uniform", func(r *rand.Rand) float64 { return math.Sqrt(3) * (2*r.Float64() - 1) }},
	{"laplace", func(r *rand.Rand) float64 {
		return math.Copysign(r.ExpFloat64()/math.Sqrt2, r.Float64()-0.5)
	}},
	{"mixture", func(r *rand.Rand) float64 {
		return math.Copysign(0.9, r.Float64()-0.5) + math.Sqrt(1-0.81)*r.NormFloat64()
	}},
	{"collapsed", func(r *rand.Rand) float64 { return 0.1 * r.NormFloat64() }},
	{"shifted", func(r *rand.Rand) float64 { return 0.5 + r.NormFloat64() }},
}

// draw makes samples [drawn, repeats].
func draw(s *torch.Scope, f sampler, seed uint64) torch.Tensor {
	r := rand.New(rand.NewPCG(seed, 0))
	v := make([]float64, drawn*repeats)
	for i := range v {
		v[i] = f(r)
	}
	return s.FromFloat64(v, drawn, repeats)
}

// rankDeficient projects drawn samples that vary in 2 of 16 dimensions, with variance 1 on average over all directions, on
// random directions.
func rankDeficient(s *torch.Scope) torch.Tensor {
	r := rand.New(rand.NewPCG(8, 0))
	z := s.Randn(r, torch.Float64, drawn, 2).MulScalar(math.Sqrt(8))
	a := s.Randn(r, torch.Float64, 16, repeats)
	a = a.Div(a.Square().SumDim(0, true).Sqrt())
	return z.Matmul(a.Narrow(0, 0, 2))
}

// powers are the shares of slices in which a test at the level 5 % sees each alternative. The package's comment quotes
// those of the tests as they are by default.
var powers = map[string][]float64{
	// uniform, Laplace, mixture, collapsed, shifted, rank-deficient
	"EppsPulley":                     {0.85, 0.85, 1.00, 1.00, 1.00, 0.77},
	"EppsPulley paper":               {0.85, 0.86, 1.00, 1.00, 1.00, 0.77},
	"EppsPulley uniform":             {0.88, 0.91, 0.99, 1.00, 1.00, 0.78},
	"AndersonDarling":                {0.82, 0.77, 1.00, 1.00, 1.00, 0.73},
	"CramerVonMises":                 {0.61, 0.70, 1.00, 1.00, 1.00, 0.65},
	"Watson":                         {0.97, 0.97, 1.00, 1.00, 1.00, 0.79},
	"ShapiroWilk elfving":            {1.00, 0.99, 1.00, 0.06, 0.06, 0.01},
	"ShapiroWilk blom":               {1.00, 0.99, 1.00, 0.06, 0.06, 0.01},
	"ShapiroWilk rahman tridiagonal": {1.00, 0.93, 1.00, 0.05, 0.05, 0.00},
	"VCReg":                          {0.02, 0.17, 0.02, 1.00, 1.00, 0.81},
	"ExtendedJarqueBera":             {1.00, 0.98, 1.00, 1.00, 1.00, 0.79},
	"Moments 1":                      {0.06, 0.04, 0.05, 0.00, 1.00, 0.00},
	"Moments 4":                      {0.05, 0.30, 0.04, 1.00, 1.00, 0.47},
	"Moments 7":                      {0.02, 0.69, 0.02, 1.00, 1.00, 0.39},
	"Entropy":                        {1.00, 0.76, 1.00, 0.05, 0.05, 0.00},
	"Entropy 2":                      {1.00, 0.85, 1.00, 0.05, 0.04, 0.07},
	"Entropy right":                  {0.95, 0.99, 1.00, 0.06, 0.05, 0.07},
	"Entropy right 1":                {0.91, 0.41, 0.96, 0.06, 0.05, 0.08},
	"NLL":                            {0.81, 0.78, 1.00, 1.00, 1.00, 0.72},
	"NLL 3":                          {1.00, 0.47, 0.80, 1.00, 0.62, 0.70},
}

func TestPower(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		null, fresh := draw(s, gaussian, 1), draw(s, gaussian, 2)
		var others []torch.Tensor
		for i, a := range alternatives {
			others = append(others, draw(s, a.sample, 3+uint64(i)))
		}
		others = append(others, rankDeficient(s))
		for _, c := range all {
			limit := testkit.Critical(c.test.Statistic(s, null).Float64s(), 0.05)
			var got []float64
			for _, x := range others {
				got = append(got, testkit.Exceeding(c.test.Statistic(s, x).Float64s(), limit))
			}
			// The critical value and the rejections are both estimated: five standard errors of their difference.
			errorI := testkit.Exceeding(c.test.Statistic(s, fresh).Float64s(), limit)
			assert.InDelta(t, 0.05, errorI, 5*math.Sqrt(2*0.05*0.95/repeats), "%s: type-I error", c.name)
			t.Logf("%s: %.2f", c.name, got)
			if assert.Len(t, powers[c.name], len(got), c.name) {
				assert.InDeltaSlice(t, powers[c.name], got, 0.02, "%s: power", c.name)
			}
		}
	})
}

// TestPublishedDistributions holds the statistics under N(0, 1) to their published 5 % critical values and expectations.
func TestPublishedDistributions(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		x := draw(s, gaussian, 1)
		for _, c := range []struct {
			test     testkit.Tester
			critical float64
			allowed  float64 // beyond chance, where the published value is for very many samples
		}{
			{univariate.AndersonDarling{}, 2.492, 0},
			{univariate.CramerVonMises{}, 0.461, 0},
			{univariate.Watson{}, 0.187, 0},
			{univariate.VCReg{}, 5.991, 0.01},
			{univariate.ExtendedJarqueBera{}, 9.488, 0.01},
		} {
			got := testkit.Exceeding(c.test.Statistic(s, x).Float64s(), c.critical)
			assert.InDelta(t, 0.05, got, c.allowed+4*math.Sqrt(0.05*0.95/repeats), "%T above %g", c.test, c.critical)
		}
		// The expectations hold for any number of samples: here 4, in 64 views of all slices.
		x = x.Reshape(drawn/4, 4, repeats)
		for _, c := range []struct {
			test     testkit.Tester
			expected float64
		}{{univariate.AndersonDarling{}, 1}, {univariate.CramerVonMises{}, 1. / 6}, {univariate.Watson{}, 1. / 12}} {
			v := c.test.Statistic(s, x).Flatten(0, -1)
			standardError := math.Sqrt(v.VarDim(0, true, false).Item() / float64(v.Numel()))
			assert.InDelta(t, c.expected, v.Mean().Item(), 4*standardError, "%T: mean", c.test)
			assert.Less(t, standardError, 0.005*c.expected, "enough samples to tell")
		}
	})
}
