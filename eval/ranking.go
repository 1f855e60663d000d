package eval

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// AUROC is the area under the receiver operating characteristic: the probability that a positive sample has a higher score
// than a negative one, equal scores counting half, as scikit-learn's roc_auc_score. NaN unless there are samples of both
// kinds. It panics unless there is a score for each sample.
func AUROC(scores []float64, positive []bool) float64 {
	var area, below, positives float64
	for _, g := range byScore(scores, positive) {
		n := g.all - g.positive
		area += g.positive * (below + n/2)
		below += n
		positives += g.positive
	}
	return area / (positives * below)
}

// AveragePrecision is Σ (R_k − R_{k−1})·P_k over the distinct scores from the highest down, P_k and R_k being precision and
// recall of the samples that score so high or higher: scikit-learn's average_precision_score. NaN without positive samples,
// where that has 0. It panics unless there is a score for each sample.
func AveragePrecision(scores []float64, positive []bool) float64 {
	groups := byScore(scores, positive)
	var sum, taken, found float64
	for _, g := range slices.Backward(groups) {
		taken += g.all
		found += g.positive
		sum += g.positive * found / taken
	}
	return sum / found
}

// level is the samples of one score.
type level struct{ all, positive float64 }

// byScore counts the samples of each score, the lowest first.
func byScore(scores []float64, positive []bool) []level {
	if len(scores) != len(positive) {
		panic(fmt.Sprintf("eval: %d scores for %d samples", len(scores), len(positive)))
	}
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(scores[a], scores[b]) })
	var levels []level
	last := math.NaN()
	for _, i := range order {
		if scores[i] != last {
			levels = append(levels, level{})
			last = scores[i]
		}
		g := &levels[len(levels)-1]
		g.all++
		if positive[i] {
			g.positive++
		}
	}
	return levels
}
