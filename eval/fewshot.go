package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/torch"
)

// FewShotOptions are those of [FewShots].
type FewShotOptions struct {
	Shots []int // training samples of each class; 0 is all there are
	Draws int   // how often they are drawn; all are drawn once

	// C is scikit-learn's: the classifier minimises the sum of cross-entropies plus |weights|² / (2·C), so that regularisation
	// does not change as samples are added.
	C float64

	Tolerance      float64 // as in [ProbeOptions]
	MaxEvaluations int     // likewise
	Seed           uint64  // names the draws
}

// DefaultFewShot is ten draws of 1, 5 and 10 samples, and scikit-learn's C.
func DefaultFewShot() FewShotOptions {
	p := DefaultProbe()
	return FewShotOptions{Shots: []int{1, 5, 10}, Draws: 10, C: 1, Tolerance: p.Tolerance, MaxEvaluations: p.MaxEvaluations}
}

// Check reports what is wrong with o, and which classes have too few of the samples that labels, each from 0 or −1 for none, and
// names are of.
func (o FewShotOptions) Check(labels []int, names []string) error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf("eval: few shots: "+format, a...)) }
	most := 0
	for _, n := range o.Shots {
		most = max(most, n)
		if n < 0 {
			bad("%d samples of each class: expected 1 or more, or 0 for all", n)
		}
	}
	if len(o.Shots) == 0 {
		bad("Shots is empty: expected one number of samples or several")
	}
	if o.Draws < 1 {
		bad("Draws is %d: expected 1 or more", o.Draws)
	}
	if !(o.C > 0) || math.IsInf(o.C, 0) {
		bad("C is %v: expected a number above 0", o.C)
	}
	classes := max(len(names), slices.Max(append([]int{0}, labels...))+1)
	for c, rows := range byClass(labels, classes) {
		if len(rows) < most {
			bad("class %s has %d training samples: expected %d or more", Features{Classes: names}.name(c), len(rows), most)
		}
	}
	return errors.Join(errs...)
}

// FewShot is how often linear classifiers that are fitted to a few samples of each class are right.
type FewShot struct {
	Shots int `json:"shots"` // training samples of each class; 0: all
	Draws int `json:"draws"`
	N     int `json:"n"` // training samples of a draw

	Top1     Estimate  `json:"top1"`
	Balanced Estimate  `json:"balanced"`
	Each     []float64 `json:"each"` // top-1 accuracy by draw
}

// Estimate is a mean, and the interval that contains the mean of all draws with a confidence of 95 % by Student's t. Its ends are
// NaN of one draw.
type Estimate struct {
	Mean float64 `json:"mean"`
	Low  Score   `json:"low"`
	High Score   `json:"high"`
}

// estimate takes draws for independent and of a normal distribution.
func estimate(values []float64) Estimate {
	if len(values) == 1 {
		return Estimate{Mean: values[0], Low: Score(math.NaN()), High: Score(math.NaN())}
	}
	n := float64(len(values))
	mean, sd := stat.MeanStdDev(values, nil)
	half := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile(0.975) * sd / math.Sqrt(n)
	return Estimate{Mean: mean, Low: Score(mean - half), High: Score(mean + half)}
}

// FewShots fits logistic regression, as [FitLinear] does, to each of several draws of a few training samples of each class, and
// says how often it is right on all of test. Features are standardised over the samples that are drawn. Every classifier is a
// function of the seed, the features and the options; scikit-learn's LogisticRegression has the same optimum, on StandardScaler's
// output. A class with fewer samples than asked for is an error.
func FewShots(ctx context.Context, th *torch.Thread, train, test Features, o FewShotOptions) ([]FewShot, error) {
	if err := checkTraining(train); err != nil {
		return nil, err
	}
	if err := o.Check(train.Labels, train.Classes); err != nil {
		return nil, err
	}
	if _, err := checkTest(test, train.D, train.classes(), train.Classes); err != nil {
		return nil, err
	}
	var all []FewShot
	for _, shots := range o.Shots {
		draws := o.Draws
		if shots == 0 {
			draws = 1
		}
		r, err := eachDraw(train, shots, draws, o.Seed, func(rows []int, _ int) (Accuracy, error) {
			return LinearProbe(ctx, th, train.Select(rows), test, ProbeOptions{
				L2: []float64{o.l2(len(rows), train.classes())}, Tolerance: o.Tolerance, MaxEvaluations: o.MaxEvaluations,
			})
		})
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// eachDraw gathers how right what fit makes of each draw is.
func eachDraw(train Features, shots, draws int, seed uint64, fit func(rows []int, draw int) (Accuracy, error)) (FewShot, error) {
	r := FewShot{Shots: shots, Draws: draws}
	var balanced []float64
	for draw := range draws {
		rows := DrawShots(train, shots, seed, draw)
		r.N = len(rows)
		a, err := fit(rows, draw)
		if err != nil {
			return r, fmt.Errorf("eval: draw %d of %d samples of each class: %w", draw, shots, err)
		}
		r.Each, balanced = append(r.Each, a.Top1), append(balanced, a.Balanced)
	}
	r.Top1, r.Balanced = estimate(r.Each), estimate(balanced)
	return r, nil
}

// l2 is what C comes to for so many samples: see [FitLinear].
func (o FewShotOptions) l2(samples, classes int) float64 {
	if classes == 2 {
		return 2 / (o.C * float64(samples))
	}
	return 1 / (o.C * float64(samples))
}

// DrawShots are the samples of train that a draw has of each class, in ascending order: n, or all where n is 0 or a class has no
// more. A draw of fewer samples is a part of the same draw of more.
func DrawShots(train Features, n int, seed uint64, draw int) []int {
	r := rng.New(seed, rng.Probe, 2, uint64(draw))
	var drawn []int
	for _, rows := range byClass(train.Labels, train.classes()) {
		r.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		if n > 0 {
			rows = rows[:min(n, len(rows))]
		}
		drawn = append(drawn, rows...)
	}
	slices.Sort(drawn)
	return drawn
}

// byClass are the samples of each class.
func byClass(labels []int, classes int) [][]int {
	rows := make([][]int, classes)
	for i, l := range labels {
		if l >= 0 {
			rows[l] = append(rows[l], i)
		}
	}
	return rows
}
