package eval

import (
	"math"

	"github.com/gojepa/gojepa/internal/figure"
)

// Score is a figure that may not exist, such as the AUROC of a label that every sample has: NaN, which JSON has as null.
type Score = figure.Figure

// mean is the average of those figures that exist, NaN if none does.
func mean(all []Score) Score {
	var sum Score
	n := 0
	for _, v := range all {
		if !math.IsNaN(float64(v)) {
			sum += v
			n++
		}
	}
	if n == 0 {
		return Score(math.NaN())
	}
	return sum / Score(n)
}
