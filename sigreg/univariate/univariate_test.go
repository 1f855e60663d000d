package univariate_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/sigreg"
	"github.com/gojepa/gojepa/sigreg/internal/testkit"
	"github.com/gojepa/gojepa/sigreg/univariate"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

func TestMain(m *testing.M) { torchtest.Main(m) }

// facts is what is known of a test beside its values.
type facts struct {
	name      string // as in the golden file
	test      testkit.Tester
	reference func(x []float64) float64 // of one slice
	least     int64                     // fewest samples
	invariant bool                      // the same for a + b·x, b > 0, as for x
}

// all are the tests of this package, and SIGReg's own: whatever holds for any test holds for it.
var all = []facts{
	{"EppsPulley", sigreg.Default(), eppsPulley(3, 16, false), 1, false},
	{"EppsPulley paper", sigreg.Paper(), eppsPulley(5, 8, false), 1, false},
	{"EppsPulley uniform", sigreg.EppsPulley{Knots: 7, TMax: 2, Weight: sigreg.UniformWeight}, eppsPulley(2, 6, true), 1, false},
	{"AndersonDarling", univariate.AndersonDarling{}, andersonDarling, 1, false},
	{"CramerVonMises", univariate.CramerVonMises{}, cramerVonMises, 1, false},
	{"Watson", univariate.Watson{}, watson, 1, false},
	{"ShapiroWilk elfving", univariate.ShapiroWilk{}, shapiroFrancia(math.Pi / 8), 3, true},
	{"ShapiroWilk blom", univariate.ShapiroWilk{Scores: univariate.Blom}, shapiroFrancia(3. / 8), 3, true},
	{"ShapiroWilk rahman tridiagonal", univariate.ShapiroWilk{Scores: univariate.Rahman, Covariance: univariate.Tridiagonal}, rahman, 3, true},
	{"VCReg", univariate.VCReg{}, vcreg, 2, false},
	{"ExtendedJarqueBera", univariate.ExtendedJarqueBera{}, extendedJarqueBera, 2, false},
	{"Moments 1", univariate.Moments{KMax: 1}, moments(1), 1, false},
	{"Moments 4", univariate.DefaultMoments(), moments(4), 1, false},
	{"Moments 7", univariate.Moments{KMax: 7}, moments(7), 1, false},
	{"Entropy", univariate.DefaultEntropy(), vasicek(0), 3, true},
	{"Entropy 2", univariate.Entropy{M: 2, Eps: 1e-5}, vasicek(2), 5, true},
	{"Entropy right", univariate.Entropy{Right: true, Eps: 1e-5}, rightSpacings(0), 3, true},
	{"Entropy right 1", univariate.Entropy{M: 1, Right: true, Eps: 1e-5}, rightSpacings(1), 3, true},
	{"NLL", univariate.NLL{}, orderStatistics(0), 1, false},
	{"NLL 3", univariate.NLL{K: 3}, orderStatistics(3), 3, false},
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
		N, M       int64
		Loc, Scale float64
		Statistics map[string][]float64
	}
	LogCDF struct{ X, Value, Slope []float64 }
}

func goldens(t *testing.T) (g golden) {
	raw, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &g))
	require.NotEmpty(t, g.Cases)
	return g
}

func TestAgainstScipy(t *testing.T) {
	g := goldens(t)
	each(t, func(t *testing.T, c facts, s *torch.Scope) {
		for _, k := range g.Cases {
			got := c.test.Statistic(s, s.FromFloat64(testkit.Inputs(k.Seed, k.N, k.M, k.Loc, k.Scale), k.N, k.M))
			require.Contains(t, k.Statistics, c.name)
			assert.Equal(t, []int64{k.M}, got.Shape())
			torchtest.Close(t, k.Statistics[c.name], got.Float64s(), 1e-10, 1e-12, fmt.Sprintf("%d samples, seed %d", k.N, k.Seed))
		}
	})
}
