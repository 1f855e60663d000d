package eval

import "fmt"

// MultiLabel is how well probabilities of labels, any number of which a sample may have, say which it has.
type MultiLabel struct {
	N      int     `json:"n"`         // samples
	MAP    Score   `json:"map"`       // mean over labels of the average precision
	AUROC  Score   `json:"auroc"`     // mean over labels
	F1     Score   `json:"macro_f1"`  // mean over labels, at a probability of 1/2
	Micro  Micro   `json:"micro"`     // all pairs of a sample and a label as one
	Exact  Score   `json:"exact"`     // share of samples all of whose labels are right, at a probability of 1/2
	Labels []Label `json:"per_label"` // in the training set's order
}

// Micro is figures over all pairs of a sample and a label.
type Micro struct {
	AP    Score `json:"ap"`
	AUROC Score `json:"auroc"`
	F1    Score `json:"f1"`
}

// Label is the figures of one label. AP and AUROC are NaN where no sample has it, AUROC too where all have.
type Label struct {
	Name      string `json:"name"`
	Positives int    `json:"positives"` // samples that have it
	AP        Score  `json:"ap"`
	AUROC     Score  `json:"auroc"`
	F1        Score  `json:"f1"` // at a probability of 1/2; 0 where neither a sample nor a prediction has it
}

// CompareLabels compares probabilities [N, y.D] with the labels that samples have. All are scikit-learn's figures, but that
// those which do not exist for a label are left out of means. It panics if sizes do not match.
func CompareLabels(probabilities []float64, y Targets) MultiLabel {
	if len(probabilities) != len(y.Y) {
		panic(fmt.Sprintf("eval: %d probabilities for %d labels of %d samples", len(probabilities), y.D, y.N()))
	}
	m := MultiLabel{N: y.N(), Labels: make([]Label, y.D)}
	column, has := make([]float64, m.N), make([]bool, m.N)
	var ap, auroc, f1 []Score
	var all counts
	wrong := make([]bool, m.N)
	for l := range y.D {
		var c counts
		for i := range m.N {
			column[i], has[i] = probabilities[i*y.D+l], y.Y[i*y.D+l] > 0.5
			c.add(column[i] > 0.5, has[i])
			wrong[i] = wrong[i] || (column[i] > 0.5) != has[i]
		}
		label := Label{Name: y.Name(l), Positives: c.positives, AP: Score(AveragePrecision(column, has)), AUROC: Score(AUROC(column, has)), F1: c.f1()}
		m.Labels[l] = label
		ap, auroc, f1 = append(ap, label.AP), append(auroc, label.AUROC), append(f1, label.F1)
		all = counts{all.both + c.both, all.positives + c.positives, all.predicted + c.predicted}
	}
	m.MAP, m.AUROC, m.F1 = mean(ap), mean(auroc), mean(f1)
	every := make([]bool, len(y.Y))
	for i, v := range y.Y {
		every[i] = v > 0.5
	}
	m.Micro = Micro{AP: Score(AveragePrecision(probabilities, every)), AUROC: Score(AUROC(probabilities, every)), F1: all.f1()}
	for _, w := range wrong {
		if !w {
			m.Exact++
		}
	}
	m.Exact /= Score(m.N)
	return m
}

// counts are samples that have a label, are predicted to, or both.
type counts struct{ both, positives, predicted int }

func (c *counts) add(predicted, positive bool) {
	if predicted {
		c.predicted++
	}
	if positive {
		c.positives++
	}
	if predicted && positive {
		c.both++
	}
}

// f1 is 0 where there is nothing to find and nothing was found.
func (c counts) f1() Score {
	if c.positives+c.predicted == 0 {
		return 0
	}
	return 2 * Score(c.both) / Score(c.positives+c.predicted)
}
