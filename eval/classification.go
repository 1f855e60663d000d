package eval

import (
	"fmt"
	"math"
)

// Classification is how well scores of classes tell samples apart.
type Classification struct {
	Accuracy

	Top5    Score `json:"top5"`     // share of samples whose class is among the five of the highest scores; NaN of five classes or fewer
	MacroF1 Score `json:"macro_f1"` // mean over classes of the harmonic mean of precision and recall
	AUROC   Score `json:"auroc"`    // mean over classes of each against the rest
	MAP     Score `json:"map"`      // mean over classes of the average precision, likewise

	// Confusion counts samples by class, and within it by the class predicted, both in the order of Classes. Nil where there
	// are more than 200.
	Confusion [][]int `json:"confusion,omitempty"`
}

// mostConfused bounds the classes that a confusion matrix is kept of.
const mostConfused = 200

// Classify compares scores [N, classes], the higher the likelier, with the samples' classes. Figures that are means over
// classes leave out those that no sample is of. AUROC and MAP are scikit-learn's of probabilities, one class against the
// rest; as they compare samples with each other, scores have to be probabilities for that. It panics if sizes do not match.
func Classify(scores []float64, labels []int, classes int, names []string) Classification {
	if len(scores) != len(labels)*classes {
		panic(fmt.Sprintf("eval: %d scores for %d samples of %d classes", len(scores), len(labels), classes))
	}
	predicted := make([]int, len(labels))
	for i := range predicted {
		predicted[i] = argmax(scores[i*classes : (i+1)*classes])
	}
	c := Classification{Accuracy: accuracy(predicted, labels, classes, names), Top5: Score(math.NaN())}
	if classes > 5 {
		c.Top5 = Score(TopK(scores, labels, classes, 5))
	}
	confusion := ConfusionMatrix(predicted, labels, classes)
	c.MacroF1 = Score(MacroF1(confusion))
	if classes <= mostConfused {
		c.Confusion = confusion
	}
	aurocs, precisions := make([]Score, classes), make([]Score, classes)
	column, is := make([]float64, len(labels)), make([]bool, len(labels))
	for k := range classes {
		for i, l := range labels {
			column[i], is[i] = scores[i*classes+k], l == k
		}
		aurocs[k], precisions[k] = Score(AUROC(column, is)), Score(AveragePrecision(column, is))
	}
	c.AUROC, c.MAP = mean(aurocs), mean(precisions)
	return c
}

// argmax is the first of the highest scores.
func argmax(scores []float64) int {
	best := 0
	for i, v := range scores {
		if v > scores[best] {
			best = i
		}
	}
	return best
}

// TopK is the share of samples whose class is among the k of the highest scores [N, classes]. Of equal scores the class of
// the higher number comes first, as in scikit-learn's top_k_accuracy_score.
func TopK(scores []float64, labels []int, classes, k int) float64 {
	right := 0
	for i, l := range labels {
		row := scores[i*classes : (i+1)*classes]
		before := 0
		for c, v := range row {
			if v > row[l] || v == row[l] && c > l {
				before++
			}
		}
		if before < k {
			right++
		}
	}
	return float64(right) / float64(len(labels))
}

// ConfusionMatrix counts samples by class, and within it by the class predicted: scikit-learn's confusion_matrix.
func ConfusionMatrix(predicted, labels []int, classes int) [][]int {
	m := make([][]int, classes)
	for c := range m {
		m[c] = make([]int, classes)
	}
	for i, l := range labels {
		m[l][predicted[i]]++
	}
	return m
}

// MacroF1 is the mean of 2·TP / (2·TP + FP + FN) over the classes that occur, in labels or in predictions: scikit-learn's
// f1_score with average="macro".
func MacroF1(confusion [][]int) float64 {
	var sum float64
	present := 0
	for c, row := range confusion {
		of, predicted := 0, 0
		for k := range row {
			of += row[k]
			predicted += confusion[k][c]
		}
		if of+predicted > 0 {
			present++
			sum += 2 * float64(row[c]) / float64(of+predicted)
		}
	}
	return sum / float64(present)
}
