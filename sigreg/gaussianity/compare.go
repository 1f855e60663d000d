package gaussianity

import (
	"cmp"
	"math"
	"slices"
)

// Tail says which values of a statistic speak against a Gaussian.
type Tail int

// The tails.
const (
	Upper Tail = iota // large ones
	Lower             // small ones
	Both              // either
)

var tailNames = []string{"upper", "lower", "both"}

// String returns "upper", "lower" or "both".
func (t Tail) String() string { return name(tailNames, int(t)) }

// MarshalText returns what String does.
func (t Tail) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads what String returns.
func (t *Tail) UnmarshalText(text []byte) error {
	i, err := named(tailNames, text)
	*t = Tail(i)
	return err
}

// Band says where a number lies for Gaussian samples: its median and its 5th and 95th percentiles over the simulated sets.
type Band struct {
	Low    float64 `json:"p5"`
	Median float64 `json:"median"`
	High   float64 `json:"p95"`
}

func newBand(values []float64) Band {
	v := slices.Clone(values)
	slices.Sort(v)
	return Band{quantile(v, 0.05), quantile(v, 0.5), quantile(v, 0.95)}
}

// quantile interpolates between sorted values.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// pValue is how likely Gaussian samples are to be as far out as observed, (1 + count)/(1 + simulations) for the number of
// simulated values that are: exactly right under the hypothesis, whatever their number (Davison & Hinkley 1997,
// "Bootstrap methods", section 4.2). What differs by rounding alone is equal.
func pValue(observed float64, simulated []float64, tail Tail) float64 {
	above, below := 1, 1
	slack := 1e-9 * math.Abs(observed)
	for _, v := range simulated {
		if v >= observed-slack {
			above++
		}
		if v <= observed+slack {
			below++
		}
	}
	all := float64(1 + len(simulated))
	switch tail {
	case Lower:
		return float64(below) / all
	case Both:
		return min(1, 2*float64(min(above, below))/all)
	}
	return float64(above) / all
}

// overall is the p-value of several statistics together: how likely Gaussian samples are to be as far out in the one of
// them in which they are farthest. values holds, for each statistic, that of the observed set and those of the simulated
// ones. Distances are measured in the statistic's own spread over all sets, so that under the hypothesis no set is special.
func overall(values [][]float64, tails []Tail) float64 {
	sets := len(values[0])
	farthest := make([]float64, sets)
	for i, v := range values {
		v = slices.Clone(v)
		if tails[i] == Lower {
			for j := range v {
				v[j] = -v[j]
			}
		}
		median := quantile(slices.Sorted(slices.Values(v)), 0.5)
		for j := range v {
			v[j] -= median
			if tails[i] == Both {
				v[j] = math.Abs(v[j])
			}
		}
		spread := quantile(slices.Sorted(slices.Values(v)), 0.9)
		if !(spread > 0) {
			continue // the same for nearly all: it tells none from another
		}
		for j := range v {
			farthest[j] = max(farthest[j], finite(v[j]/spread))
		}
	}
	return pValue(farthest[0], farthest[1:], Upper)
}

// share is how many of the values exceed a limit, of 1.
func share(values []float64, limit float64) float64 {
	n := 0
	for _, v := range values {
		if v > limit {
			n++
		}
	}
	return float64(n) / float64(len(values))
}

// meanAndError are the mean of independent values and its standard error.
func meanAndError(v []float64) (mean, err float64) {
	n := float64(len(v))
	for _, v := range v {
		mean += v / n
	}
	var length float64
	for _, v := range v {
		length = math.Hypot(length, v-mean) // squares might overflow
	}
	return mean, length / math.Sqrt(n*max(n-1, 1))
}

// extremes returns the rows of the three least and the three greatest projections, the outermost first.
func extremes(p []float64, rows []int) (least, greatest []int) {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(p[i], p[j]) })
	for i := range min(3, len(p)) {
		least = append(least, rows[order[i]])
		greatest = append(greatest, rows[order[len(order)-1-i]])
	}
	return least, greatest
}
