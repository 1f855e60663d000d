package eval

import (
	"fmt"
	"slices"
)

// Targets are numbers that features are to predict: what is measured of each sample or, of several labels, 1 for those that
// it has and 0 for the others.
type Targets struct {
	Y     []float64 // [N, D], a row for each sample
	D     int       // targets of each sample
	Names []string  // of the targets; nil if they have none
}

// N is the number of samples.
func (y Targets) N() int {
	if y.D < 1 {
		return 0
	}
	return len(y.Y) / y.D
}

// Name is what target t is called.
func (y Targets) Name(t int) string {
	if t < len(y.Names) {
		return y.Names[t]
	}
	return fmt.Sprint(t)
}

// Select is the targets of some samples, in the order of rows.
func (y Targets) Select(rows []int) Targets {
	out := Targets{D: y.D, Names: y.Names, Y: make([]float64, 0, len(rows)*y.D)}
	for _, r := range rows {
		out.Y = append(out.Y, y.Y[r*y.D:(r+1)*y.D]...)
	}
	return out
}

// As is y in the order of names, those of a training set: columns are matched by name where both have names. A label that no
// sample has may be missing in y, which is then 0; anything in y that names lack is an error if a sample has it.
func (y Targets) As(names []string) (Targets, error) {
	if y.Names == nil || names == nil || slices.Equal(y.Names, names) {
		return y, nil
	}
	out := Targets{D: len(names), Names: names, Y: make([]float64, y.N()*len(names))}
	for t := range y.D {
		to := slices.Index(names, y.Name(t))
		for i := range y.N() {
			v := y.Y[i*y.D+t]
			if to >= 0 {
				out.Y[i*out.D+to] = v
			} else if v != 0 {
				return out, fmt.Errorf("eval: test features: sample %d has the label %s, which the training set does not have", i, y.Name(t))
			}
		}
	}
	return out, nil
}
