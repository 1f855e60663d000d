package gaussianity

import (
	"math"
	"slices"
)

// Shape describes the distribution of a projection.
type Shape struct {
	Mean     float64 `json:"mean"`
	Variance float64 `json:"variance"` // 1 for N(0, 1)
	Skewness float64 `json:"skewness"` // 0 for a Gaussian
	Kurtosis float64 `json:"kurtosis"` // less 3: 0 for a Gaussian, at least −2
	Distinct int     `json:"distinct"` // different values
	Modes    int     `json:"modes"`    // peaks of the density; of few samples, below 100, some may be noise
}

// newShape measures the samples x. Moments divide by the number of samples, the variance by one less.
func newShape(x []float64) Shape {
	sorted := slices.Clone(x)
	slices.Sort(sorted)
	n := float64(len(x))
	var s Shape
	for _, v := range x {
		s.Mean += v / n
	}
	var m2, m3, m4 float64
	for _, v := range x {
		d := v - s.Mean
		m2 += d * d / n
		m3 += d * d * d / n
		m4 += d * d * d * d / n
	}
	s.Variance = m2 * n / (n - 1)
	s.Distinct, s.Modes = distinct(sorted), 1
	if s.Distinct > 1 && m2 > 0 {
		s.Skewness, s.Kurtosis = m3/math.Pow(m2, 1.5), m4/(m2*m2)-3
		s.Modes = modes(sorted, math.Sqrt(m2))
	}
	return s
}

// distinct counts the values of a sorted sample that differ by more than rounding.
func distinct(sorted []float64) int {
	n := len(sorted)
	scale := max(math.Abs(sorted[0]), math.Abs(sorted[n-1]))
	count := 1
	for i := 1; i < n; i++ {
		if sorted[i]-sorted[i-1] > 1e-12*scale {
			count++
		}
	}
	return count
}

// What counts as a mode: its peak is this share of the highest, and the valley that parts it from a higher peak at most
// this share of its own height.
const (
	leastPeak     = 0.2
	deepestValley = 0.75
)

// modes counts the peaks of a kernel estimate of the density, with Silverman's bandwidth (1986, "Density estimation",
// eq. 3.31), which blurs rather than splits.
func modes(sorted []float64, deviation float64) int {
	n := len(sorted)
	if between := (sorted[n-1-n/4] - sorted[n/4]) / 1.34; between > 0 {
		deviation = min(deviation, between)
	}
	width := 0.9 * deviation * math.Pow(float64(n), -0.2)
	return peaks(density(sorted, width))
}

// density is a kernel estimate, up to a factor, of all but the outermost hundredths, at points half a width apart.
func density(sorted []float64, width float64) []float64 {
	const most = 1 << 14 // points; what needs more of them has one narrow peak
	n := len(sorted)
	first, last := sorted[n/100]-3*width, sorted[n-1-n/100]+3*width
	points := int(min(2*(last-first)/width, most)) + 2
	step := (last - first) / float64(points-1)
	f := make([]float64, points)
	for _, v := range sorted {
		from, to := max(first, v-4*width), min(last, v+4*width)
		for i := int((from - first) / step); float64(i)*step <= to-first && i < points; i++ {
			u := (first + float64(i)*step - v) / width
			f[i] += math.Exp(-u * u / 2)
		}
	}
	return f
}

// peaks counts the maxima of f that are high enough, and parted from higher ones by valleys that are deep enough.
func peaks(f []float64) int {
	highest := slices.Max(f)
	count := 0
	for i, peak := range f {
		left, right := valley(f, i, -1), valley(f, i, 1)
		if peak >= leastPeak*highest && max(left, right) <= deepestValley*peak {
			count++
		}
	}
	return count
}

// valley is the least of f on the way from i to the next that is higher, or 0 if none is. Of points that are equally
// high the first is the highest.
func valley(f []float64, i, step int) float64 {
	low := f[i]
	for j := i + step; j >= 0 && j < len(f); j += step {
		if f[j] > f[i] || f[j] == f[i] && step < 0 {
			return low
		}
		low = min(low, f[j])
	}
	return 0
}

// Deviation is a way in which a projection differs from N(0, 1).
type Deviation int

// The deviations that are told apart.
const (
	Collapsed   Deviation = iota // hardly any variance: less than 1 % of N(0, 1)'s
	Narrow                       // too little variance
	Wide                         // too much
	Shifted                      // a mean that is not 0
	Discrete                     // few different values
	Multimodal                   // several peaks
	Skewed                       // one tail longer than the other
	HeavyTailed                  // more far out than a Gaussian has, or outliers
	LightTailed                  // less far out
)

var deviationNames = []string{"collapsed", "narrow", "wide", "shifted", "discrete", "multimodal", "skewed", "heavy-tailed", "light-tailed"}

// String returns the deviation's name, such as "heavy-tailed".
func (d Deviation) String() string { return name(deviationNames, int(d)) }

// MarshalText returns what String does.
func (d Deviation) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what String returns.
func (d *Deviation) UnmarshalText(text []byte) error {
	i, err := named(deviationNames, text)
	*d = Deviation(i)
	return err
}

// deviations names what the shape of n samples has that none of the shapes of Gaussian samples has: moments beyond all of
// theirs, and more modes.
func deviations(s Shape, n int, gaussian []Shape) []Deviation {
	limits := func(of func(Shape) float64) (low, high float64) {
		low, high = math.Inf(1), math.Inf(-1)
		for _, g := range gaussian {
			low, high = min(low, of(g)), max(high, of(g))
		}
		return low, high
	}
	all := []Deviation{} // not nil: JSON has an empty list for it
	add := func(d Deviation, is bool) {
		if is {
			all = append(all, d)
		}
	}
	const slack = 1e-6 // after whitening all variances are the same but for rounding
	narrow, wide := limits(func(s Shape) float64 { return s.Variance })
	add(Collapsed, s.Variance < min(0.01, narrow))
	add(Narrow, s.Variance >= 0.01 && s.Variance < narrow*(1-slack))
	add(Wide, s.Variance > wide*(1+slack))
	left, right := limits(func(s Shape) float64 { return s.Mean })
	shift := max(-left, right)
	add(Shifted, math.Abs(s.Mean) > max(shift, slack))
	add(Discrete, 2*s.Distinct <= n)
	_, modes := limits(func(s Shape) float64 { return float64(s.Modes) })
	add(Multimodal, float64(s.Modes) > modes && 2*s.Distinct > n)
	left, right = limits(func(s Shape) float64 { return s.Skewness })
	skew := max(-left, right)
	add(Skewed, math.Abs(s.Skewness) > skew)
	light, heavy := limits(func(s Shape) float64 { return s.Kurtosis })
	add(HeavyTailed, s.Kurtosis > heavy)
	add(LightTailed, s.Kurtosis < light && s.Modes == 1)
	return all
}
