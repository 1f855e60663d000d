package eval_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// targetsGolden is what scripts/golden/targets.py writes.
type targetsGolden struct {
	Labels struct {
		Train, Test []float64
		Fits        []struct {
			L2            float64
			Probabilities []float64
		}
	}
	Numbers struct {
		Train, Test, L2 []float64
		Chosen          float64
		Fits            []struct {
			L2        float64
			Predicted []float64
		}
	}
}

func goldenTargets(t *testing.T) (g targetsGolden, train, test eval.Features) {
	data, err := os.ReadFile("testdata/targets.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &g))
	eachGolden(t, func(_ *testing.T, of golden, a, b eval.Features) {
		if of.Name == "four" {
			train, test = a, b
		}
	})
	return g, train, test
}

func TestMultiLabelProbeEqualsScikitLearn(t *testing.T) {
	g, train, test := goldenTargets(t)
	th := torchtest.Thread(t)
	y := eval.Targets{Y: g.Labels.Train, D: 3, Names: []string{"a", "b", "c"}}
	require.Len(t, g.Labels.Fits, 3)
	for _, want := range g.Labels.Fits {
		m, err := eval.FitMultiLabel(ctx, th, train, y, eval.ProbeOptions{L2: []float64{want.L2}, Tolerance: 1e-5, MaxEvaluations: 1000})
		require.NoError(t, err)
		assert.True(t, m.Converged)
		p, err := m.Probabilities(ctx, th, test)
		require.NoError(t, err)
		assert.InDeltaSlice(t, want.Probabilities, p, 1e-3)
		figures, err := m.Compare(ctx, th, test, eval.Targets{Y: g.Labels.Test, D: 3, Names: y.Names})
		require.NoError(t, err)
		assert.Greater(t, float64(figures.MAP), 0.6)
	}
	m, err := eval.FitMultiLabel(ctx, th, train, y, eval.DefaultProbe())
	require.NoError(t, err)
	assert.Contains(t, eval.DefaultProbe().L2, m.L2)
	assert.Less(t, m.L2, 0.1, "the features say much")

	y.Y[4] = 2
	_, err = eval.FitMultiLabel(ctx, th, train, y, eval.DefaultProbe())
	assert.EqualError(t, err, "eval: training features: label b of sample 1 is 2: expected 0 or 1")
	_, err = eval.FitMultiLabel(ctx, th, train, eval.Targets{Y: []float64{1}, D: 1}, eval.DefaultProbe())
	assert.EqualError(t, err, "eval: training features: 1 numbers for 1 targets of 220 samples")
}

func TestRidgeEqualsScikitLearn(t *testing.T) {
	g, train, test := goldenTargets(t)
	th := torchtest.Thread(t)
	y := eval.Targets{Y: g.Numbers.Train, D: 2}
	require.Len(t, g.Numbers.Fits, 5)
	for _, want := range g.Numbers.Fits {
		r, err := eval.FitRidge(ctx, th, train, y, []float64{want.L2})
		require.NoError(t, err)
		p, err := r.Predict(ctx, th, test)
		require.NoError(t, err)
		assert.InEpsilonSlice(t, want.Predicted, p, 1e-5)
	}
	r, err := eval.FitRidge(ctx, th, train, y, g.Numbers.L2)
	require.NoError(t, err)
	assert.InEpsilon(t, g.Numbers.Chosen, r.L2, 1e-9, "RidgeCV's choice")
	figures, err := r.Compare(ctx, th, test, eval.Targets{Y: g.Numbers.Test, D: 2})
	require.NoError(t, err)
	assert.Greater(t, float64(figures.Targets[0].R2), 0.3)

	// A constant feature and no regularisation: a direction in which there is nothing to divide by.
	r, err = eval.FitRidge(ctx, th, train, y, []float64{0})
	require.NoError(t, err)
	for _, w := range r.Weight {
		assert.False(t, math.IsNaN(w) || math.IsInf(w, 0))
	}
	_, err = eval.FitRidge(ctx, th, train, y, []float64{-1})
	assert.EqualError(t, err, "eval: ridge: L2 of -1: expected 0 or more")
	_, err = eval.FitRidge(ctx, th, train, eval.Targets{Y: []float64{1, math.NaN(), 3, 4}, D: 1}, []float64{1})
	assert.EqualError(t, err, "eval: training features: 4 numbers for 1 targets of 220 samples")
}
