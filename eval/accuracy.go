package eval

import "fmt"

// Accuracy is how often predicted classes were right.
type Accuracy struct {
	Top1     float64         `json:"top1"`              // share of samples that were right, in 0 … 1
	Balanced float64         `json:"balanced"`          // mean over classes of the share that was right of each
	Correct  int             `json:"correct"`           // samples that were right
	N        int             `json:"n"`                 // samples
	Classes  []ClassAccuracy `json:"classes,omitempty"` // the training set's classes, in its order
}

// ClassAccuracy is how often the samples of one class were right.
type ClassAccuracy struct {
	Name    string `json:"name"`
	Correct int    `json:"correct"`
	N       int    `json:"n"`
}

// String says the accuracy in per cent.
func (a Accuracy) String() string {
	return fmt.Sprintf("%.2f %% (%d of %d)", 100*a.Top1, a.Correct, a.N)
}

// accuracy compares predictions with labels. The balanced accuracy is over the classes that occur in the labels, as
// scikit-learn's balanced_accuracy_score.
func accuracy(predicted, labels []int, classes int, names []string) Accuracy {
	a := Accuracy{N: len(labels), Classes: make([]ClassAccuracy, classes)}
	for c := range a.Classes {
		a.Classes[c].Name = Features{Classes: names}.name(c)
	}
	for i, l := range labels {
		a.Classes[l].N++
		if predicted[i] == l {
			a.Classes[l].Correct++
			a.Correct++
		}
	}
	present := 0
	for _, c := range a.Classes {
		if c.N > 0 {
			present++
			a.Balanced += float64(c.Correct) / float64(c.N)
		}
	}
	a.Balanced /= float64(present)
	a.Top1 = float64(a.Correct) / float64(a.N)
	return a
}
