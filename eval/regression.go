package eval

import (
	"fmt"
	"math"
)

// Regression is how near predicted numbers are to those of samples.
type Regression struct {
	N       int                `json:"n"`          // samples
	R2      Score              `json:"r2"`         // mean over targets
	Targets []RegressionTarget `json:"per_target"` // in the training set's order
}

// RegressionTarget is the figures of one target, in its units.
type RegressionTarget struct {
	Name string `json:"name"`
	R2   Score  `json:"r2"`   // 1 − Σ(y − p)² / Σ(y − ȳ)²: 1 is perfect, 0 what the mean would do
	MAE  Score  `json:"mae"`  // mean absolute error
	RMSE Score  `json:"rmse"` // root of the mean squared error
}

// CompareNumbers compares predictions [N, y.D] with what they should be, by scikit-learn's r2_score, mean_absolute_error and
// root_mean_squared_error. R² of targets that are all equal is 1 where the predictions are too, otherwise 0, and NaN of one
// sample. It panics if sizes do not match.
func CompareNumbers(predicted []float64, y Targets) Regression {
	if len(predicted) != len(y.Y) {
		panic(fmt.Sprintf("eval: %d predictions for %d targets of %d samples", len(predicted), y.D, y.N()))
	}
	r := Regression{N: y.N()}
	var all []Score
	for t := range y.D {
		var average float64
		for i := range r.N {
			average += y.Y[i*y.D+t] / float64(r.N)
		}
		var left, total, absolute float64
		for i := range r.N {
			v := y.Y[i*y.D+t]
			e := v - predicted[i*y.D+t]
			left += e * e
			total += (v - average) * (v - average)
			absolute += math.Abs(e)
		}
		of := RegressionTarget{Name: y.Name(t), MAE: Score(absolute / float64(r.N)), RMSE: Score(math.Sqrt(left / float64(r.N)))}
		switch {
		case r.N < 2:
			of.R2 = Score(math.NaN())
		case total > 0:
			of.R2 = Score(1 - left/total)
		case left == 0:
			of.R2 = 1
		}
		r.Targets = append(r.Targets, of)
		all = append(all, of.R2)
	}
	r.R2 = mean(all)
	return r
}
