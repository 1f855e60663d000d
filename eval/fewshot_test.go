package eval_test

import (
	"encoding/json"
	"flag"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/torch/torchtest"
)

var update = flag.Bool("update", false, "write the draws that scripts/golden/fewshot.py reads")

const drawSeed = 5

// TestDraws: what is drawn stays the same, so many of each class, and fewer are a part of more.
func TestDraws(t *testing.T) {
	all := map[string]map[int][][]int{}
	eachGolden(t, func(t *testing.T, g golden, train, _ eval.Features) {
		all[g.Name] = map[int][][]int{}
		for _, n := range []int{0, 1, 5, 10} {
			for draw := range 6 {
				rows := eval.DrawShots(train, n, drawSeed, draw)
				counts := map[int]int{}
				for _, r := range rows {
					counts[train.Labels[r]]++
				}
				if n > 0 {
					for _, of := range counts {
						assert.Equal(t, n, of)
					}
					assert.Subset(t, eval.DrawShots(train, n+1, drawSeed, draw), rows)
				} else {
					assert.Len(t, rows, train.N)
				}
				if n > 0 || draw == 0 {
					all[g.Name][n] = append(all[g.Name][n], rows)
				}
			}
		}
		assert.NotEqual(t, all[g.Name][5][0], all[g.Name][5][1])
	})
	text, err := json.Marshal(all)
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile("testdata/draws.json", append(text, '\n'), 0o644))
	}
	want, err := os.ReadFile("testdata/draws.json")
	require.NoError(t, err)
	assert.JSONEq(t, string(want), string(text))
}

func TestFewShotsEqualScikitLearn(t *testing.T) {
	data, err := os.ReadFile("testdata/fewshot.json")
	require.NoError(t, err)
	var want map[string][]struct {
		Shots          int
		C              float64
		Each           []float64
		Top1, Balanced []eval.Score
	}
	require.NoError(t, json.Unmarshal(data, &want))
	same := func(t *testing.T, want []eval.Score, got eval.Estimate) {
		require.Len(t, want, 3)
		for i, v := range []float64{got.Mean, float64(got.Low), float64(got.High)} {
			if math.IsNaN(float64(want[i])) {
				assert.True(t, math.IsNaN(v))
				continue
			}
			assert.InDelta(t, float64(want[i]), v, 1e-9)
		}
	}
	eachGolden(t, func(t *testing.T, g golden, train, test eval.Features) {
		th := torchtest.Thread(t)
		require.Len(t, want[g.Name], 8)
		for _, w := range want[g.Name] {
			o := eval.FewShotOptions{Shots: []int{w.Shots}, Draws: 6, C: w.C, Tolerance: 1e-5, MaxEvaluations: 1000, Seed: drawSeed}
			got, err := eval.FewShots(ctx, th, train, test, o)
			require.NoError(t, err)
			require.Len(t, got, 1)
			assert.InDeltaSlice(t, w.Each, got[0].Each, exact, "%d shots", w.Shots)
			same(t, w.Top1, got[0].Top1)
			same(t, w.Balanced, got[0].Balanced)
			again, err := eval.FewShots(ctx, th, train, test, o)
			require.NoError(t, err)
			assert.Equal(t, got[0].Each, again[0].Each)
		}
	})
}

func TestBadFewShots(t *testing.T) {
	th := torchtest.Thread(t)
	o := eval.DefaultFewShot()
	o.Shots = []int{1, 3}
	_, err := eval.FewShots(ctx, th, small(), small(), o)
	assert.EqualError(t, err, "eval: few shots: class cat has 2 training samples: expected 3 or more\n"+
		"eval: few shots: class dog has 2 training samples: expected 3 or more")
	_, err = eval.FewShots(ctx, th, small(), small(), eval.FewShotOptions{Shots: []int{-1}})
	assert.EqualError(t, err, "eval: few shots: -1 samples of each class: expected 1 or more, or 0 for all\n"+
		"eval: few shots: Draws is 0: expected 1 or more\neval: few shots: C is 0: expected a number above 0")
	assert.EqualError(t, eval.FewShotOptions{Draws: 1, C: 1}.Check(nil, nil), "eval: few shots: Shots is empty: expected one number of samples or several")
}
