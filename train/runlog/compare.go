package runlog

import (
	"math"
	"slices"
)

// Compared is a figure of a step that was done twice.
type Compared struct {
	Name      string
	Was, Is   float64
	Identical bool // bit for bit, or neither finite
}

// Compare puts the figures of a step that was done again beside those of the first time, times left out.
func Compare(was, is Step) (all []Compared) {
	kept := figures
	if was.Texts != nil || is.Texts != nil {
		kept = slices.Concat(figures, textFigures)
	}
	for _, f := range kept {
		switch f.name {
		case "images_per_s", "wait_share", "seconds":
			continue
		}
		a, b := f.of(was), f.of(is)
		all = append(all, Compared{f.name, a, b, math.Float64bits(a) == math.Float64bits(b) || !finite(a) && !finite(b)})
	}
	return all
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
