package selection

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/gojepa/gojepa/internal/rng"
)

// Spearman is the rank correlation of two lists, from -1 to 1, with the mean of their ranks for values that are equal, as
// scipy.stats.spearmanr has it. It is NaN for fewer than two values, a list of equal ones, and where a value is NaN.
func Spearman(x, y []float64) float64 {
	if len(x) != len(y) {
		panic("selection: Spearman: lists of different lengths")
	}
	if len(x) < 2 || slices.ContainsFunc(slices.Concat(x, y), math.IsNaN) {
		return math.NaN()
	}
	rho := stat.Correlation(ranks(x), ranks(y), nil)
	return min(max(rho, -1), 1) // not past it by rounding
}

// ranks of values, from 1, equal ones having the mean of theirs.
func ranks(x []float64) []float64 {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(x[i], x[j]) })
	r := make([]float64, len(x))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && x[order[j]] == x[order[i]] {
			j++
		}
		for _, k := range order[i:j] {
			r[k] = float64(i+j+1) / 2
		}
		i = j
	}
	return r
}

// Interval is the middle 95 % of a bootstrap; NaN where too few of its resamples had a value.
type Interval struct{ Low, High float64 }

// Agreement says how well a measure orders runs by their accuracy.
type Agreement struct {
	Measure  string
	N        int     // runs
	Rho      float64 // Spearman's, of accuracies and of the measure with the sign that makes more better: 1 is the same order
	RhoIn    Interval
	Chosen   string  // the run that the measure has best
	Regret   float64 // the best accuracy less that of the chosen run; of several that are equally good, the mean
	RegretIn Interval
}

// Measure is a figure of runs that may tell how good they are.
type Measure struct {
	Name   string
	Values []float64 // one for each run, more being better
}

// Agree compares a measure with accuracies, and draws runs again and again to say how sure that is.
func Agree(names []string, m Measure, accuracy []float64, resamples int, seed uint64) Agreement {
	a := Agreement{Measure: m.Name, N: len(names), Rho: Spearman(m.Values, accuracy)}
	if i := best(m.Values); slices.Index(m.Values[i+1:], m.Values[i]) < 0 {
		a.Chosen = names[i]
	}
	a.Regret = regret(m.Values, accuracy)
	g := rng.New(seed, rng.Resample, 1, 0)
	var rhos, regrets []float64
	x, y := make([]float64, len(names)), make([]float64, len(names))
	for range resamples {
		for i := range x {
			k := g.IntN(len(x))
			x[i], y[i] = m.Values[k], accuracy[k]
		}
		if rho := Spearman(x, y); !math.IsNaN(rho) { // one run, drawn again and again, has no order
			rhos = append(rhos, rho)
		}
		regrets = append(regrets, regret(x, y))
	}
	a.RhoIn, a.RegretIn = middle(rhos), middle(regrets)
	return a
}

func best(values []float64) int {
	i := 0
	for j, v := range values {
		if v > values[i] {
			i = j
		}
	}
	return i
}

// regret is what is lost by choosing the run that a measure has best.
func regret(values, accuracy []float64) float64 {
	top, most := values[best(values)], slices.Max(accuracy)
	var sum float64
	n := 0
	for i, v := range values {
		if v == top {
			sum += most - accuracy[i]
			n++
		}
	}
	return sum / float64(n)
}

// middle is the middle 95 % of values.
func middle(values []float64) Interval {
	if len(values) < 100 {
		return Interval{math.NaN(), math.NaN()}
	}
	slices.Sort(values)
	return Interval{stat.Quantile(0.025, stat.LinInterp, values, nil), stat.Quantile(0.975, stat.LinInterp, values, nil)}
}
