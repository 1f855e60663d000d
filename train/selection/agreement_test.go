package selection

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/internal/rng"
)

// TestSpearman: scripts/golden/selection.py has SciPy's.
func TestSpearman(t *testing.T) {
	text, err := os.ReadFile("testdata/spearman.json")
	require.NoError(t, err)
	var cases []struct {
		X, Y []float64
		Rho  *float64
	}
	require.NoError(t, json.Unmarshal(text, &cases))
	require.Greater(t, len(cases), 10)
	for i, c := range cases {
		got := Spearman(c.X, c.Y)
		if c.Rho == nil {
			assert.True(t, math.IsNaN(got), "case %d: %v", i, got)
			continue
		}
		assert.InDelta(t, *c.Rho, got, 1e-14, "case %d", i)
	}
	assert.True(t, math.IsNaN(Spearman([]float64{1}, []float64{1})))
	assert.True(t, math.IsNaN(Spearman([]float64{1, 2, math.NaN()}, []float64{1, 2, 3})))
	assert.Panics(t, func() { Spearman([]float64{1}, nil) })
}

func TestRegret(t *testing.T) {
	for _, c := range []struct {
		values, accuracy []float64
		want             float64
	}{
		{[]float64{3, 2, 1}, []float64{0.9, 0.8, 0.7}, 0},
		{[]float64{1, 2, 3}, []float64{0.9, 0.8, 0.7}, 0.2},
		{[]float64{3, 3, 1}, []float64{0.9, 0.8, 0.7}, 0.05}, // of two that are equally good, the mean
		{[]float64{-1, -2}, []float64{0.5, 0.5}, 0},
	} {
		assert.InDelta(t, c.want, regret(c.values, c.accuracy), 1e-12, "%v", c)
	}
}

func TestAgree(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	accuracy := []float64{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8}
	same := Agree(names, Measure{"m", accuracy}, accuracy, 500, 0)
	assert.Equal(t, 1.0, same.Rho)
	assert.Equal(t, Interval{1, 1}, same.RhoIn, "the order is the same in every resample")
	assert.Equal(t, Interval{0, 0}, same.RegretIn)
	assert.Equal(t, "h", same.Chosen)

	swapped := Agree(names, Measure{"m", []float64{1, 2, 3, 4, 5, 6, 8, 7}}, accuracy, 2000, 0)
	assert.InDelta(t, 1-6*2.0/(8*63), swapped.Rho, 1e-12, "1 − 6Σd²/(n³ − n)")
	assert.Equal(t, "g", swapped.Chosen)
	assert.InDelta(t, 0.1, swapped.Regret, 1e-12)
	assert.Less(t, swapped.RhoIn.Low, swapped.Rho)
	assert.InDelta(t, 0, swapped.RegretIn.Low, 1e-12, "where one of the two is not drawn")
	assert.InDelta(t, 0.1, swapped.RegretIn.High, 1e-12)
	assert.Equal(t, swapped, Agree(names, Measure{"m", []float64{1, 2, 3, 4, 5, 6, 8, 7}}, accuracy, 2000, 0), "a seed names the resamples")

	constant := Agree(names[:2], Measure{"m", []float64{1, 1}}, accuracy[:2], 500, 0)
	assert.True(t, math.IsNaN(constant.Rho) && math.IsNaN(constant.RhoIn.Low), "no order")
}

// TestIntervalCovers draws runs whose true correlation is known: the bootstrap's interval has to hold it about as often as it says.
func TestIntervalCovers(t *testing.T) {
	const n, trials = 40, 200
	g := rng.New(3, rng.Simulation, 0, 0)
	const r = 0.8
	want := 6 / math.Pi * math.Asin(r/2) // Spearman's ρ of a bivariate normal with correlation r
	names, x, y := make([]string, n), make([]float64, n), make([]float64, n)
	held := 0
	for i := range trials {
		for k := range x {
			x[k] = g.NormFloat64()
			y[k] = r*x[k] + math.Sqrt(1-r*r)*g.NormFloat64()
		}
		a := Agree(names, Measure{"m", x}, y, 300, uint64(i))
		if a.RhoIn.Low <= want && want <= a.RhoIn.High {
			held++
		}
	}
	assert.InDelta(t, 0.94, float64(held)/trials, 0.045)
}
