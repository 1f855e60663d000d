package eval_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// small are four samples of two classes.
func small() eval.Features {
	return eval.Features{
		X: []float32{1, 0, 1, 0.1, 0, 1, 0.1, 1}, N: 4, D: 2,
		Labels: []int{0, 0, 1, 1}, Classes: []string{"cat", "dog"},
	}
}

func TestBadFeatures(t *testing.T) {
	th := torchtest.Thread(t)
	change := func(f func(*eval.Features)) eval.Features {
		x := small()
		f(&x)
		return x
	}
	for _, c := range []struct {
		name        string
		train, test eval.Features
		want        string
	}{
		{"empty", eval.Features{}, small(), "eval: training features: 0 samples of 0 features: expected at least one of each"},
		{"no labels", change(func(f *eval.Features) { f.Labels = nil }), small(), "eval: training features: no labels"},
		{"test without labels", small(), change(func(f *eval.Features) { f.Labels = nil }), "eval: test features: no labels"},
		{"too few labels", change(func(f *eval.Features) { f.Labels = f.Labels[:3] }), small(),
			"eval: training features: 3 labels for 4 samples"},
		{"a sample without label", change(func(f *eval.Features) { f.Labels[2] = -1 }), small(),
			"eval: training features: sample 2 has no label (-1)"},
		{"a label too large", change(func(f *eval.Features) { f.Labels[2] = 2 }), small(),
			"eval: training features: label 2 of sample 2: there are 2 classes"},
		{"one class", change(func(f *eval.Features) { f.Labels = []int{1, 1, 1, 1} }), small(),
			"eval: training features: all 4 samples are of class dog: expected two classes or more"},
		{"wrong size", change(func(f *eval.Features) { f.X = f.X[:7] }), small(),
			"eval: training features: 7 values: expected 8, for 4 samples of 2 features"},
		{"other width", small(), change(func(f *eval.Features) { f.N, f.D, f.Labels = 2, 4, f.Labels[:2] }),
			"eval: test features: 4 features a sample: expected 2, as in training"},
		{"NaN", change(func(f *eval.Features) { f.X[5] = float32(math.NaN()) }), small(),
			"eval: training features: feature 1 of sample 2 is NaN: expected finite numbers"},
		{"infinite", small(), change(func(f *eval.Features) { f.X[6] = float32(math.Inf(-1)) }),
			"eval: test features: feature 0 of sample 3 is -Inf: expected finite numbers"},
		{"unknown class", small(), change(func(f *eval.Features) { f.Classes = []string{"cat", "cow"} }),
			"eval: test features: sample 2 is of class cow, which the training set does not have"},
		{"unknown number", change(func(f *eval.Features) { f.Classes = nil }),
			change(func(f *eval.Features) { f.Classes, f.Labels[1] = nil, 7 }),
			"eval: test features: sample 1 is of class 7, which the training set does not have"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := eval.KNN(ctx, th, c.train, c.test, eval.DefaultKNN())
			assert.EqualError(t, err, c.want)
			_, err = eval.LinearProbe(ctx, th, c.train, c.test, eval.DefaultProbe())
			assert.EqualError(t, err, c.want)
			_, err = eval.AdamWProbe(ctx, th, c.train, c.test, eval.DefaultAdamW())
			assert.EqualError(t, err, c.want)
		})
	}
}

func TestBadOptions(t *testing.T) {
	th := torchtest.Thread(t)
	_, err := eval.KNN(ctx, th, small(), small(), eval.KNNOptions{Temperature: 1})
	assert.EqualError(t, err, "eval: k-NN: K is 0: expected 1 or more")
	_, err = eval.KNN(ctx, th, small(), small(), eval.KNNOptions{K: 1})
	assert.EqualError(t, err, "eval: k-NN: Temperature is 0: expected a number above 0")
	_, err = eval.Neighbours(ctx, th, small(), small(), 0)
	assert.EqualError(t, err, "eval: 0 neighbours: expected 1 or more")
	_, err = eval.FitLinear(ctx, th, small(), eval.ProbeOptions{L2: []float64{1, -1}})
	assert.EqualError(t, err, "eval: linear probe: L2 of -1: expected 0 or more\n"+
		"eval: linear probe: HoldOut is 0: expected a share above 0 and below 1\n"+
		"eval: linear probe: Tolerance is 0: expected a number above 0\n"+
		"eval: linear probe: MaxEvaluations is 0: expected 1 or more")
	_, err = eval.FitLinear(ctx, th, small(), eval.ProbeOptions{Tolerance: 1, MaxEvaluations: 1})
	assert.EqualError(t, err, "eval: linear probe: L2 is empty: expected at least one strength of regularisation")
	_, err = eval.FitAdamW(ctx, th, small(), eval.AdamWOptions{LR: math.NaN(), WeightDecay: -1})
	assert.EqualError(t, err, "eval: AdamW probe: Epochs is 0: expected 1 or more\n"+
		"eval: AdamW probe: BatchSize is 0: expected 1 or more\n"+
		"eval: AdamW probe: LR is NaN: expected a number above 0\n"+
		"eval: AdamW probe: WeightDecay is -1: expected 0 or more")
	_, err = eval.FitAdamW(ctx, th, features(1, 60, 8, []int{0, 1}), eval.AdamWOptions{Epochs: 200, BatchSize: 60, LR: 3e37})
	assert.ErrorContains(t, err, "the loss is not finite: a lower LR may help")
}

func TestClassesAreMatchedByName(t *testing.T) {
	th := torchtest.Thread(t)
	test := small()
	test.Classes, test.Labels = []string{"dog", "ant", "cat"}, []int{2, 2, 0, 2}
	a, err := eval.KNN(ctx, th, small(), test, eval.KNNOptions{K: 1, Temperature: 1})
	require.NoError(t, err)
	assert.InDelta(t, (2./3+1)/2, a.Balanced, 1e-12)
	assert.Equal(t, eval.Accuracy{
		Top1: 0.75, Balanced: a.Balanced, Correct: 3, N: 4,
		Classes: []eval.ClassAccuracy{{Name: "cat", Correct: 2, N: 3}, {Name: "dog", Correct: 1, N: 1}},
	}, a)
	assert.Equal(t, "75.00 % (3 of 4)", a.String())
}

func TestNeighboursOfExtremeFeatures(t *testing.T) {
	th := torchtest.Thread(t)
	base := eval.Features{X: []float32{1e30, 1e30, 1e-30, 0, 0, 0, -1, -1}, N: 4, D: 2}
	near, err := eval.Neighbours(ctx, th, base, eval.Features{X: []float32{2, 2}, N: 1, D: 2}, 9)
	require.NoError(t, err)
	require.Len(t, near[0], 4, "all of a smaller base")
	var order []int
	var similarity []float64
	for _, n := range near[0] {
		order, similarity = append(order, n.Index), append(similarity, float64(n.Similarity))
	}
	assert.Equal(t, []int{0, 1, 2, 3}, order)
	assert.InDeltaSlice(t, []float64{1, math.Sqrt(0.5), 0, -1}, similarity, 1e-6)
}

// TestNeighboursInChunks has features so wide that base and queries come in several chunks.
func TestNeighboursInChunks(t *testing.T) {
	const n, d = 10, 1 << 22
	x := make([]float32, n*d)
	for i := range n {
		x[i*d+i/2] = 1 // pairs
		x[i*d+100] = float32(i) / 100
	}
	f := eval.Features{X: x, N: n, D: d}
	near, err := eval.Neighbours(ctx, torchtest.Thread(t), f, f, 2)
	require.NoError(t, err)
	for i, list := range near {
		assert.Equal(t, []int{i, i ^ 1}, []int{list[0].Index, list[1].Index})
	}
}

func TestChoiceOfL2(t *testing.T) {
	th := torchtest.Thread(t)
	train := features(1, 400, 40, []int{0, 1, 2}) // noise that a weakly regularised classifier learns by heart
	o := eval.DefaultProbe()
	o.L2 = []float64{1e-6, 1, 1e3}
	l, err := eval.FitLinear(ctx, th, train, o)
	require.NoError(t, err)
	assert.Equal(t, 1., l.L2)

	o.L2 = []float64{1}
	fixed, err := eval.FitLinear(ctx, th, train, o)
	require.NoError(t, err)
	torchtest.Close(t, float64s(fixed.Weight), float64s(l.Weight), 1e-3, 0, "the choice is fitted to all samples")

	o.L2 = []float64{1e-3, 10}
	tiny := features(1, 8, 40, []int{0, 1, 2})
	l, err = eval.FitLinear(ctx, th, tiny, o)
	require.NoError(t, err)
	assert.Equal(t, 10., l.L2, "with too few samples to hold any out, the strongest")
}

func TestNoL2IsAnExperiment(t *testing.T) {
	o := eval.ProbeOptions{L2: []float64{0}, Tolerance: 1e-9, MaxEvaluations: 30}
	l, err := eval.FitLinear(ctx, torchtest.Thread(t), small(), o)
	require.NoError(t, err)
	assert.Less(t, l.Loss, 1e-3, "separable, so that there is no optimum")
	assert.LessOrEqual(t, l.Evaluations, 31)
}

// TestCollapsedFeatures are what training gives when it goes wrong: the best guess is then the most frequent class.
func TestCollapsedFeatures(t *testing.T) {
	th := torchtest.Thread(t)
	for _, value := range []float32{0, 1.7, 1e-30, 1e30} {
		f := eval.Features{N: 30, D: 3, Labels: make([]int, 30)}
		for i := range f.Labels {
			f.X = append(f.X, value, -value, 2*value)
			f.Labels[i] = min(i%5, 2)
		}
		for name, probe := range map[string]func() (eval.Accuracy, error){
			"k-NN":   func() (eval.Accuracy, error) { return eval.KNN(ctx, th, f, f, eval.KNNOptions{K: 30, Temperature: 1}) },
			"linear": func() (eval.Accuracy, error) { return eval.LinearProbe(ctx, th, f, f, eval.DefaultProbe()) },
			"AdamW":  func() (eval.Accuracy, error) { return eval.AdamWProbe(ctx, th, f, f, eval.DefaultAdamW()) },
		} {
			a, err := probe()
			require.NoError(t, err, "%s %v", name, value)
			assert.InDelta(t, 0.6, a.Top1, 1e-12, "%s %v", name, value)
			assert.InDelta(t, 1./3, a.Balanced, 1e-12, "%s %v", name, value)
		}
	}
}

func TestCancelledContext(t *testing.T) {
	th := torchtest.Thread(t)
	done, cancel := context.WithCancel(ctx)
	cancel()
	_, err := eval.KNN(done, th, small(), small(), eval.DefaultKNN())
	assert.ErrorIs(t, err, context.Canceled)
	_, err = eval.LinearProbe(done, th, small(), small(), eval.DefaultProbe())
	assert.ErrorIs(t, err, context.Canceled)
	_, err = eval.AdamWProbe(done, th, small(), small(), eval.DefaultAdamW())
	assert.ErrorIs(t, err, context.Canceled)
}

// cancelling is a context that ends after some calls of Err, so that work is cut short in its midst.
type cancelling struct {
	context.Context
	left int
}

func (c *cancelling) Err() error {
	c.left--
	if c.left < 0 {
		return context.Canceled
	}
	return nil
}

func TestCancelledInTheMidst(t *testing.T) {
	th := torchtest.Thread(t)
	train := features(1, 200, 8, []int{0, 1, 2})
	for left := range 8 {
		_, err := eval.LinearProbe(&cancelling{ctx, left}, th, train, train, eval.DefaultProbe())
		assert.ErrorIs(t, err, context.Canceled, left)
		o := eval.DefaultAdamW()
		o.Epochs = 1000
		_, err = eval.AdamWProbe(&cancelling{ctx, left}, th, train, train, o)
		assert.ErrorIs(t, err, context.Canceled, left)
	}
	for left := range 2 {
		_, err := eval.KNN(&cancelling{ctx, left}, th, train, train, eval.DefaultKNN())
		assert.ErrorIs(t, err, context.Canceled, left)
	}
	assert.Zero(t, torch.LiveHandles())
}

func TestSeedNamesTheHoldOut(t *testing.T) {
	th := torchtest.Thread(t)
	train := features(1, 300, 8, []int{0, 1, 2, 2})
	var weights [][]float32
	for _, seed := range []uint64{1, 1, 2} {
		o := eval.AdamWOptions{Epochs: 2, BatchSize: 32, LR: 0.01, Seed: seed}
		l, err := eval.FitAdamW(ctx, th, train, o)
		require.NoError(t, err)
		weights = append(weights, l.Weight)
	}
	assert.Equal(t, weights[0], weights[1])
	assert.False(t, slices.Equal(weights[0], weights[2]))
}
