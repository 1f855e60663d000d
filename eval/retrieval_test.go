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

// TestRetrievalEqualsScikitLearn: similarities are in float32, in which a few pairs of neighbours change places.
func TestRetrievalEqualsScikitLearn(t *testing.T) {
	type figures struct {
		MAP    float64
		Recall []float64
	}
	data, err := os.ReadFile("testdata/retrieval.json")
	require.NoError(t, err)
	var want map[string]struct {
		Ks             []int
		Gallery, Alone figures
	}
	require.NoError(t, json.Unmarshal(data, &want))
	same := func(t *testing.T, w figures, n int, got eval.Retrieval) {
		assert.InDelta(t, w.MAP, float64(got.MAP), 1e-6)
		require.Len(t, got.Recall, len(w.Recall))
		for i, v := range w.Recall {
			assert.InDelta(t, v, float64(got.Recall[i].Share), exact)
		}
		assert.Equal(t, n, got.Queries)
		assert.Zero(t, got.Alone)
	}
	eachGolden(t, func(t *testing.T, g golden, train, test eval.Features) {
		th := torchtest.Thread(t)
		w := want[g.Name]
		require.NotEmpty(t, w.Ks)
		got, err := eval.Retrieve(ctx, th, train, test, w.Ks)
		require.NoError(t, err)
		same(t, w.Gallery, test.N, got)
		got, err = eval.RetrieveLeaveOneOut(ctx, th, test, w.Ks)
		require.NoError(t, err)
		same(t, w.Alone, test.N, got)
	})
}

func TestRetrievalOfEquals(t *testing.T) {
	th := torchtest.Thread(t)
	// All are as near to the query: one of the class in four, of which it is the third.
	gallery := eval.Features{X: []float32{1, 0, 1, 0, 1, 0, 1, 0}, N: 4, D: 2, Labels: []int{1, 1, 0, 1}, Classes: []string{"cat", "dog", "cow"}}
	queries := eval.Features{X: []float32{2, 0, 1, 0}, N: 2, D: 2, Labels: []int{0, 1}, Classes: []string{"cat", "cow"}}
	r, err := eval.Retrieve(ctx, th, gallery, queries, []int{2, 3})
	require.NoError(t, err)
	assert.Equal(t, eval.Retrieval{MAP: 0.25, Recall: []eval.RecallAt{{K: 2, Share: 0}, {K: 3, Share: 1}}, Queries: 1, Alone: 1}, r)

	r, err = eval.RetrieveLeaveOneOut(ctx, th, eval.Features{X: []float32{1, 2}, N: 2, D: 1, Labels: []int{0, 1}}, []int{1})
	require.NoError(t, err)
	assert.True(t, math.IsNaN(float64(r.MAP)))
	assert.Equal(t, 2, r.Alone)

	_, err = eval.Retrieve(ctx, th, small(), small(), []int{0})
	assert.EqualError(t, err, "eval: retrieval: recall at 0: expected 1 or more")
	unlabelled := small()
	unlabelled.Labels = nil
	_, err = eval.Retrieve(ctx, th, unlabelled, small(), nil)
	assert.EqualError(t, err, "eval: gallery: no labels")
}
