package multivariate_test

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/sigreg/internal/testkit"
	"github.com/gojepa/gojepa/sigreg/multivariate"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

func TestMain(m *testing.M) { torchtest.Main(m) }

// facts is what is known of a test beside its values.
type facts struct {
	name      string // as in the golden file
	test      testkit.Tester
	reference reference // of one view
	invariant bool      // the same for all affine maps of x
}

var all = []facts{
	{"BHEP", multivariate.BHEP{}, bhep(byDimension), false},
	{"BHEP 0.1", multivariate.BHEP{Beta: 0.1}, bhep(fixed(0.1)), false},
	{"BHEP 2", multivariate.BHEP{Beta: 2}, bhep(fixed(2)), false},
	{"BHEP 1 standardised", multivariate.BHEP{Beta: 1, Standardise: true}, standardised(bhep(fixed(1))), true},
	{"HenzeZirkler", multivariate.HenzeZirkler{}, bhep(zirkler), false},
	{"HenzeZirkler standardised", multivariate.HenzeZirkler{Standardise: true}, standardised(bhep(zirkler)), true},
	{"HenzeVisagie", multivariate.HenzeVisagie{}, henzeVisagie(visagie), false},
	{"HenzeVisagie 3", multivariate.HenzeVisagie{Gamma: 3}, henzeVisagie(fixed(3)), false},
	{"HenzeVisagie log", multivariate.HenzeVisagie{Log: true}, logOf(henzeVisagie(visagie)), false},
	{"HenzeVisagie standardised", multivariate.HenzeVisagie{Standardise: true}, standardised(henzeVisagie(visagie)), true},
	{"COMB", multivariate.COMB{}, squareOf(comb(product)), false},
	{"COMB 1 signed", multivariate.COMB{Gamma: 1, Signed: true}, comb(fixed(1)), false},
	{"COMB standardised", multivariate.COMB{Standardise: true}, standardised(squareOf(comb(product))), true},
}

// each runs f as a subtest of every test, on a thread of its own.
func each(t *testing.T, f func(t *testing.T, c facts, s *torch.Scope)) {
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			torchtest.Do(t, func(s *torch.Scope) { f(t, c, s) })
		})
	}
}

type golden struct {
	Cases []struct {
		Seed       uint64
		N, K       int64
		Loc, Scale float64
		Statistics map[string]float64
		Integrals  map[string]float64 // what the sums over pairs stand for, for K up to 2
	}
}

func goldens(t *testing.T) (g golden) {
	raw, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &g))
	require.NotEmpty(t, g.Cases)
	return g
}

// rows are the samples of a view.
func rows(v []float64, k int64) (x [][]float64) {
	for i := int64(0); i < int64(len(v)); i += k {
		x = append(x, v[i:i+k])
	}
	return x
}

func TestAgainstScipy(t *testing.T) {
	g := goldens(t)
	each(t, func(t *testing.T, c facts, s *torch.Scope) {
		integrals := 0
		for _, k := range g.Cases {
			got := c.test.Statistic(s, s.FromFloat64(testkit.Inputs(k.Seed, k.N, k.K, k.Loc, k.Scale), k.N, k.K))
			require.Contains(t, k.Statistics, c.name)
			assert.Equal(t, []int64{}, got.Shape())
			torchtest.Close(t, []float64{k.Statistics[c.name]}, got.Float64s(), 1e-9, 1e-13, fmt.Sprintf("%d samples, seed %d", k.N, k.Seed))
			if v, ok := k.Integrals[c.name]; ok {
				torchtest.Close(t, []float64{v}, got.Float64s(), 1e-8, 1e-10, "integral")
				integrals++
			}
		}
		assert.Equal(t, 4, integrals)
	})
}
