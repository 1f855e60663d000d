package eval_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/torch/torchtest"
)

func TestMain(m *testing.M) { torchtest.Main(m) }

var ctx = context.Background()

// golden is what scripts/golden/eval.py writes.
type golden struct {
	Name                  string
	Pattern               []int
	Train, Test, Features int
	KNN                   []struct {
		K           int
		Temperature float64
		Neighbours  [][]int
		AUROC, MAP  float64
		scores
	}
	Linear []struct {
		L2             float64
		Weighted       bool
		LogProbability []float64 `json:"log_probability"`
		scores
	}
	Rank []struct {
		Samples               int
		RankMe, Participation float64
	}
	AdamW []struct {
		Steps           int
		LR, Decay, Loss float64
		Weight, Bias    []float64
		scores
	}
}

type scores struct {
	Predicted      []int
	Top1, Balanced float64
}

func (s scores) check(t *testing.T, a eval.Accuracy) {
	t.Helper()
	assert.InDelta(t, s.Top1, a.Top1, 1e-12)
	assert.InDelta(t, s.Balanced, a.Balanced, 1e-12)
}

// features are those of the generator: classes around centres, of different sizes and offsets, the last one constant.
func features(seed uint64, n, d int, pattern []int) eval.Features {
	f := eval.Features{N: n, D: d, X: make([]float32, n*d), Labels: make([]int, n)}
	centres := torchtest.Values(7, 10*d)
	noise := torchtest.Values(seed, n*d)
	size := []float64{0.1, 1, 10}
	for i := range n {
		f.Labels[i] = pattern[i%len(pattern)]
		for j := range d {
			v := noise[i*d+j] + float64(0.8*centres[f.Labels[i]*d+j])
			f.X[i*d+j] = float32(float64(v*size[j%3]) + float64(j))
		}
		f.X[i*d+d-1] = 3
	}
	return f
}

func eachGolden(t *testing.T, f func(t *testing.T, g golden, train, test eval.Features)) {
	data, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	var all []golden
	require.NoError(t, json.Unmarshal(data, &all))
	require.Len(t, all, 2)
	for _, g := range all {
		t.Run(g.Name, func(t *testing.T) {
			f(t, g, features(1, g.Train, g.Features, g.Pattern), features(2, g.Test, g.Features, g.Pattern))
		})
	}
}

func TestKNNEqualsScikitLearn(t *testing.T) {
	eachGolden(t, func(t *testing.T, g golden, train, test eval.Features) {
		th := torchtest.Thread(t)
		require.NotEmpty(t, g.KNN)
		for _, want := range g.KNN {
			a, err := eval.KNN(ctx, th, train, test, eval.KNNOptions{K: want.K, Temperature: want.Temperature})
			require.NoError(t, err)
			want.check(t, a)
			c, err := eval.ClassifyKNN(ctx, th, train, test, eval.KNNOptions{K: want.K, Temperature: want.Temperature})
			require.NoError(t, err)
			want.check(t, c.Accuracy)
			assert.InDelta(t, want.AUROC, float64(c.AUROC), 1e-6)
			assert.InDelta(t, want.MAP, float64(c.MAP), 1e-6)

			near, err := eval.Neighbours(ctx, th, train, test, want.K)
			require.NoError(t, err)
			for i, indices := range want.Neighbours {
				var got []int
				for _, n := range near[i] {
					got = append(got, n.Index)
				}
				assert.Equal(t, indices, got)
			}
		}
	})
}

// TestLinearEqualsScikitLearn: the optimum is unique. With a gradient below 1e-5, which is what float32 products allow,
// the predicted log-probabilities agree to 1e-3 of the largest.
func TestLinearEqualsScikitLearn(t *testing.T) {
	eachGolden(t, func(t *testing.T, g golden, train, test eval.Features) {
		th := torchtest.Thread(t)
		require.NotEmpty(t, g.Linear)
		for _, want := range g.Linear {
			o := eval.ProbeOptions{L2: []float64{want.L2}, Balanced: want.Weighted, Tolerance: 1e-5, MaxEvaluations: 1000}
			if want.Weighted {
				o.Tolerance = 2e-5 // rounding grows with the weights
			}
			l, err := eval.FitLinear(ctx, th, train, o)
			require.NoError(t, err)
			assert.True(t, l.Converged)
			assert.Equal(t, want.L2, l.L2)
			torchtest.Close(t, want.LogProbability, logProbabilities(l, test), 1e-3, 0, "L2 ", want.L2)

			p, err := l.Probabilities(ctx, th, test)
			require.NoError(t, err)
			for i, v := range p {
				assert.InDelta(t, math.Exp(want.LogProbability[i]), v, 1e-3)
			}
			c, err := l.Classify(ctx, th, test)
			require.NoError(t, err)
			want.check(t, c.Accuracy)
			assert.Equal(t, eval.Classify(p, test.Labels, len(l.Bias), nil).AUROC, c.AUROC)

			predicted, err := l.Predict(ctx, th, test)
			require.NoError(t, err)
			assert.Equal(t, want.Predicted, predicted)
			a, err := eval.LinearProbe(ctx, th, train, test, o)
			require.NoError(t, err)
			want.check(t, a)
		}
	})
}

// logProbabilities are written here from the classifier's exported fields, as a user of them would.
func logProbabilities(l *eval.Linear, f eval.Features) []float64 {
	var out []float64
	for i := range f.N {
		var z []float64
		var sum float64
		for c := range l.Bias {
			v := float64(l.Bias[c])
			for j, x := range f.Row(i) {
				v += float64(l.Weight[c*f.D+j]) * float64((x-l.Mean[j])/l.Scale[j])
			}
			z = append(z, v)
			sum += math.Exp(v)
		}
		for _, v := range z {
			out = append(out, v-math.Log(sum))
		}
	}
	return out
}

// TestAdamWEqualsPyTorch: whole-batch steps in float32 against float64.
func TestAdamWEqualsPyTorch(t *testing.T) {
	eachGolden(t, func(t *testing.T, g golden, train, test eval.Features) {
		th := torchtest.Thread(t)
		require.NotEmpty(t, g.AdamW)
		for _, want := range g.AdamW {
			o := eval.AdamWOptions{Epochs: want.Steps, BatchSize: 1000, LR: want.LR, WeightDecay: want.Decay}
			l, err := eval.FitAdamW(ctx, th, train, o)
			require.NoError(t, err)
			torchtest.Close(t, want.Weight, float64s(l.Weight), 1e-4, 0)
			torchtest.Close(t, want.Bias, float64s(l.Bias), 1e-4, 0)
			assert.InDelta(t, want.Loss, l.Loss, 1e-5)
			a, err := eval.AdamWProbe(ctx, th, train, test, o)
			require.NoError(t, err)
			want.check(t, a)
		}
	})
}

func float64s(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}
