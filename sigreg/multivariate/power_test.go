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

// The simulations draw this many views of this many samples.
const (
	drawn   = 128
	repeats = 300
)

type sampler func(r *rand.Rand, x []float64)

// each coordinate drawn by itself.
func coordinates(f func(r *rand.Rand) float64) sampler {
	return func(r *rand.Rand, x []float64) {
		for i := range x {
			x[i] = f(r)
		}
	}
}

func normal(r *rand.Rand) float64 { return r.NormFloat64() }

var gaussian = coordinates(normal)

// alternatives are distributions that are not N(0, I); the first three have its mean and covariance.
var alternatives = []struct {
	name   string
	sample sampler
}{
	{"uniform", coordinates(func(r *rand.Rand) float64 { return math.Sqrt(3) * (2*r.Float64() - 1) })},
	{"laplace", coordinates(func(r *rand.Rand) float64 {
		return math.Copysign(r.ExpFloat64()/math.Sqrt2, r.Float64()-0.5)
	})},
	{"mixture", func(r *rand.Rand, x []float64) {
		gaussian(r, x)
		x[0] = math.Copysign(0.9, r.Float64()-0.5) + math.Sqrt(1-0.81)*x[0]
	}},
	{"collapsed", coordinates(func(r *rand.Rand) float64 { return 0.1 * r.NormFloat64() })},
	{"shifted", func(r *rand.Rand, x []float64) {
		gaussian(r, x)
		x[0] += 0.5
	}},
	{"rank", func(r *rand.Rand, x []float64) {
		clear(x)
		half := x[:len(x)/2]
		for i := range half {
			half[i] = math.Sqrt2 * r.NormFloat64()
		}
	}},
}

// draw makes views [count, n, k], in float32 as simulations want many.
func draw(s *torch.Scope, f sampler, seed uint64, count, n, k int) torch.Tensor {
	r := rand.New(rand.NewPCG(seed, 0))
	v := make([]float64, count*n*k)
	for i := 0; i < len(v); i += k {
		f(r, v[i:i+k])
	}
	return s.FromFloat64(v, int64(count), int64(n), int64(k)).To(torch.Float32)
}

// powers are the shares of views in which a test at the level 5 % sees each alternative, in 4 and in 16 dimensions. The
// package's comment quotes them. HenzeVisagie's logarithm sees what it sees, and a signed COMB is no test of one side.
var powers = map[string][2][]float64{
	// uniform, Laplace, mixture, collapsed, shifted, rank K/2
	"BHEP":                      {{0.77, 0.84, 0.29, 1.00, 0.96, 1.00}, {0.17, 0.55, 0.03, 1.00, 0.87, 1.00}},
	"BHEP 0.1":                  {{0.03, 0.05, 0.04, 0.00, 1.00, 0.15}, {0.03, 0.03, 0.03, 1.00, 0.96, 0.30}},
	"BHEP 2":                    {{0.93, 0.94, 0.77, 1.00, 0.68, 1.00}, {0.02, 0.23, 0.02, 1.00, 0.02, 1.00}},
	"BHEP 1 standardised":       {{1.00, 0.99, 0.79, 0.07, 0.07, 1.00}, {0.78, 0.82, 0.09, 0.05, 0.08, 1.00}},
	"HenzeZirkler":              {{0.91, 0.92, 0.59, 1.00, 0.80, 1.00}, {0.43, 0.89, 0.06, 1.00, 0.18, 1.00}},
	"HenzeZirkler standardised": {{1.00, 0.98, 0.87, 0.07, 0.05, 1.00}, {0.78, 0.82, 0.10, 0.05, 0.08, 1.00}},
	"HenzeVisagie":              {{0.01, 0.47, 0.03, 1.00, 1.00, 1.00}, {0.01, 0.34, 0.03, 0.00, 0.98, 1.00}},
	"HenzeVisagie 3":            {{0.00, 0.85, 0.02, 0.00, 0.64, 1.00}, {0.00, 0.96, 0.07, 0.00, 0.08, 0.86}},
	"HenzeVisagie standardised": {{0.00, 0.93, 0.02, 0.07, 0.03, 1.00}, {0.00, 0.99, 0.04, 0.06, 0.07, 1.00}},
	"COMB":                      {{1.00, 0.99, 0.18, 0.00, 0.10, 0.41}, {1.00, 1.00, 0.06, 0.00, 0.05, 0.28}},
	"COMB standardised":         {{1.00, 0.99, 0.22, 0.07, 0.07, 0.00}, {1.00, 0.99, 0.07, 0.07, 0.05, 0.00}},
}

func TestPower(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		for i, k := range []int{4, 16} {
			null, fresh := draw(s, gaussian, 1, repeats, drawn, k), draw(s, gaussian, 2, repeats, drawn, k)
			var others []torch.Tensor
			for i, a := range alternatives {
				others = append(others, draw(s, a.sample, 3+uint64(i), repeats, drawn, k))
			}
			for _, c := range all {
				if _, ok := powers[c.name]; !ok {
					continue
				}
				limit := testkit.Critical(c.test.Statistic(s, null).Float64s(), 0.05)
				var got []float64
				for _, x := range others {
					got = append(got, testkit.Exceeding(c.test.Statistic(s, x).Float64s(), limit))
				}
				// The critical value and the rejections are both estimated: five standard errors of their difference.
				errorI := testkit.Exceeding(c.test.Statistic(s, fresh).Float64s(), limit)
				assert.InDelta(t, 0.05, errorI, 5*math.Sqrt(2*0.05*0.95/repeats), "%s: type-I error", c.name)
				if assert.Len(t, powers[c.name][i], len(got), c.name) {
					assert.InDeltaSlice(t, powers[c.name][i], got, 0.02, "%s: power", c.name)
				}
			}
		}
	})
}

// TestExpectations holds the means under N(0, I) to what they are by computation, at any number of samples, here few.
func TestExpectations(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		const n, k = 5, 3
		x := draw(s, gaussian, 9, 40_000, n, k)
		for _, c := range []struct {
			test     testkit.Tester
			expected float64
		}{
			{multivariate.BHEP{}, 1 - math.Pow(1+8./k, -k/2.)},
			{multivariate.BHEP{Beta: 0.1}, 1 - math.Pow(1.02, -k/2.)},
			{multivariate.HenzeZirkler{}, 1 - math.Pow(1+2*math.Pow(zirkler(n, k), 2), -k/2.)},
			{multivariate.HenzeVisagie{}, visagieExpectation(k+4, k)},
			{multivariate.HenzeVisagie{Gamma: 20}, visagieExpectation(20, k)},
			{multivariate.COMB{Signed: true}, combExpectation(1.5*math.Sqrt(k), n, k)},
			{multivariate.COMB{Gamma: 8, Signed: true}, combExpectation(8, n, k)},
		} {
			v := c.test.Statistic(s, x).To(torch.Float64)
			standardError := math.Sqrt(v.VarDim(0, true, false).Item() / float64(v.Numel()))
			assert.InDelta(t, c.expected, v.Mean().Item(), 4*standardError, "%+v", c.test)
		}
		// Henze and Zirkler's for residuals, in the limit of many samples.
		x = draw(s, gaussian, 10, 500, 500, 2)
		const a = 3. // 1 + 2β²
		limit := 1 - (1+2/a+8/(2*a*a))/a
		got := multivariate.BHEP{Beta: 1, Standardise: true}.Statistic(s, x).Mean().Item()
		assert.InDelta(t, limit, got, 0.03*limit)
	})
}

func visagieExpectation(g, k float64) float64 {
	return k * math.Pow(1-2/g, -k/2) * ((g-1)*(g-1)/(g*(g-2)) + 1/(2*g))
}

// combExpectation is (Re (1 − i/γ)^{−K/2} − 1)/√N.
func combExpectation(g, n, k float64) float64 {
	return (math.Pow(1+1/(g*g), -k/4)*math.Cos(k/2*math.Atan(1/g)) - 1) / math.Sqrt(n)
}
