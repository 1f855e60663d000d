package eval_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/eval"
)

// exact is how far measures in float64 may be from scikit-learn's, which sums in another order.
const exact = 1e-12

// measures is what scripts/golden/metrics.py writes.
type measures struct {
	Binary struct {
		Scores    []float64
		Positive  []bool
		AUROC, AP float64
	}
	Classes struct {
		Scores                           []float64
		Labels                           []int
		Classes                          int
		Top1, Top5, Balanced, AUROC, MAP float64
		MacroF1                          float64 `json:"macro_f1"`
		Confusion                        [][]int
	}
	Labels struct {
		Probabilities, Y, AP, AUROC, F1 []float64
		Labels                          int
		MAP, Exact                      float64
		MacroAUROC                      float64 `json:"macro_auroc"`
		MacroF1                         float64 `json:"macro_f1"`
		MicroAP                         float64 `json:"micro_ap"`
		MicroAUROC                      float64 `json:"micro_auroc"`
		MicroF1                         float64 `json:"micro_f1"`
	}
	Numbers struct {
		Predicted, Y, R2, MAE, RMSE []float64
		Targets                     int
		MeanR2                      float64 `json:"mean_r2"`
	}
}

func goldenMeasures(t *testing.T) (m measures) {
	data, err := os.ReadFile("testdata/metrics.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &m))
	return m
}

func TestRankingEqualsScikitLearn(t *testing.T) {
	b := goldenMeasures(t).Binary
	require.NotEmpty(t, b.Scores)
	assert.InDelta(t, b.AUROC, eval.AUROC(b.Scores, b.Positive), exact)
	assert.InDelta(t, b.AP, eval.AveragePrecision(b.Scores, b.Positive), exact)
}

func TestClassificationEqualsScikitLearn(t *testing.T) {
	g := goldenMeasures(t).Classes
	c := eval.Classify(g.Scores, g.Labels, g.Classes, nil)
	assert.InDelta(t, g.Top1, c.Top1, exact)
	assert.InDelta(t, g.Balanced, c.Balanced, exact)
	assert.InDelta(t, g.Top5, float64(c.Top5), exact)
	assert.InDelta(t, g.MacroF1, float64(c.MacroF1), exact)
	assert.InDelta(t, g.AUROC, float64(c.AUROC), exact)
	assert.InDelta(t, g.MAP, float64(c.MAP), exact)
	assert.Equal(t, g.Confusion, c.Confusion)
}

func TestMultiLabelEqualsScikitLearn(t *testing.T) {
	g := goldenMeasures(t).Labels
	m := eval.CompareLabels(g.Probabilities, eval.Targets{Y: g.Y, D: g.Labels})
	for i, l := range m.Labels {
		assert.InDelta(t, g.AP[i], float64(l.AP), exact)
		assert.InDelta(t, g.AUROC[i], float64(l.AUROC), exact)
		assert.InDelta(t, g.F1[i], float64(l.F1), exact)
	}
	assert.InDelta(t, g.MAP, float64(m.MAP), exact)
	assert.InDelta(t, g.MacroAUROC, float64(m.AUROC), exact)
	assert.InDelta(t, g.MacroF1, float64(m.F1), exact)
	assert.InDelta(t, g.MicroAP, float64(m.Micro.AP), exact)
	assert.InDelta(t, g.MicroAUROC, float64(m.Micro.AUROC), exact)
	assert.InDelta(t, g.MicroF1, float64(m.Micro.F1), exact)
	assert.InDelta(t, g.Exact, float64(m.Exact), exact)
}

func TestRegressionEqualsScikitLearn(t *testing.T) {
	g := goldenMeasures(t).Numbers
	r := eval.CompareNumbers(g.Predicted, eval.Targets{Y: g.Y, D: g.Targets})
	assert.InDelta(t, g.MeanR2, float64(r.R2), exact)
	require.Len(t, r.Targets, len(g.R2))
	for i, v := range r.Targets {
		assert.InDelta(t, g.R2[i], float64(v.R2), exact)
		assert.InEpsilon(t, g.MAE[i], float64(v.MAE), exact)
		assert.InEpsilon(t, g.RMSE[i], float64(v.RMSE), exact)
	}
}

// TestMeasuresThatDoNotExist are null in JSON, and left out of means.
func TestMeasuresThatDoNotExist(t *testing.T) {
	assert.True(t, math.IsNaN(eval.AUROC([]float64{1, 2}, []bool{true, true})))
	assert.True(t, math.IsNaN(eval.AveragePrecision([]float64{1, 2}, []bool{false, false})))
	m := eval.CompareLabels([]float64{0.9, 0.1, 0.2, 0.3}, eval.Targets{Y: []float64{1, 0, 0, 0}, D: 2})
	assert.Equal(t, eval.Score(1), m.MAP, "of the first label alone")
	text, err := json.Marshal(m.Labels[1])
	require.NoError(t, err)
	assert.JSONEq(t, `{"name": "1", "positives": 0, "ap": null, "auroc": null, "f1": 0}`, string(text))
	var back eval.Label
	require.NoError(t, json.Unmarshal(text, &back))
	assert.True(t, math.IsNaN(float64(back.AP)))
	assert.Equal(t, eval.Score(1), eval.CompareNumbers([]float64{2, 2}, eval.Targets{Y: []float64{2, 2}, D: 1}).R2)
	assert.Equal(t, eval.Score(0), eval.CompareNumbers([]float64{2, 3}, eval.Targets{Y: []float64{2, 2}, D: 1}).R2)
	assert.True(t, math.IsNaN(float64(eval.CompareNumbers([]float64{2}, eval.Targets{Y: []float64{2}, D: 1}).R2)))
}

func TestLabelsAreMatchedByName(t *testing.T) {
	y := eval.Targets{Y: []float64{1, 0, 0, 1}, D: 2, Names: []string{"b", "a"}}
	as, err := y.As([]string{"a", "b", "c"})
	require.NoError(t, err)
	assert.Equal(t, []float64{0, 1, 0, 1, 0, 0}, as.Y)
	_, err = y.As([]string{"a"})
	assert.EqualError(t, err, "eval: test features: sample 0 has the label b, which the training set does not have")
	assert.Equal(t, []float64{0, 1}, y.Select([]int{1}).Y)
}
