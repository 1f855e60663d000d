package eval_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/torch/torchtest"
)

func TestRankEqualsNumPy(t *testing.T) {
	eachGolden(t, func(t *testing.T, g golden, train, test eval.Features) {
		th := torchtest.Thread(t)
		require.Len(t, g.Rank, 2, "more samples than features, and fewer")
		for _, want := range g.Rank {
			f := train
			if want.Samples < test.N {
				f = eval.Features{X: test.X[:want.Samples*test.D], N: want.Samples, D: test.D}
			}
			got, err := eval.MeasureRank(ctx, th, f)
			require.NoError(t, err)
			assert.InEpsilon(t, want.RankMe, got.RankMe, 1e-6)
			assert.InEpsilon(t, want.Participation, got.Participation, 1e-9)
		}
	})
}

func TestRankOfKnownFeatures(t *testing.T) {
	th := torchtest.Thread(t)
	rank := func(d int, rows ...[]float32) eval.Rank {
		f := eval.Features{N: len(rows), D: d}
		for _, r := range rows {
			f.X = append(f.X, r...)
		}
		r, err := eval.MeasureRank(ctx, th, f)
		require.NoError(t, err)
		return r
	}
	even := rank(3, []float32{2, 0, 0}, []float32{-2, 0, 0}, []float32{0, 2, 0}, []float32{0, -2, 0}, []float32{0, 0, 2}, []float32{0, 0, -2})
	assert.InDelta(t, 3, even.RankMe, 1e-5)
	assert.InDelta(t, 3, even.Participation, 1e-12)

	collapsed := rank(2, []float32{3, 4}, []float32{3, 4}, []float32{3, 4})
	assert.InDelta(t, 1, collapsed.RankMe, 1e-5)
	assert.True(t, math.IsNaN(collapsed.Participation))
	assert.True(t, math.IsNaN(rank(2, []float32{0, 0}, []float32{0, 0}).RankMe))

	_, err := eval.MeasureRank(ctx, th, eval.Features{X: []float32{1, float32(math.NaN())}, N: 1, D: 2})
	assert.EqualError(t, err, "eval: features: feature 1 of sample 0 is NaN: expected finite numbers")
}
