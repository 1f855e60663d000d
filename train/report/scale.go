package report

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// scale places values on an axis: at returns 0 for its beginning and 1 for its end.
type scale struct {
	at    func(float64) float64
	ticks []float64
	log   bool
}

// linearScale fits an axis of values: it begins at 0 if that is not far off.
func linearScale(v interval) scale {
	if v.low > 0 && v.low < 0.6*v.high {
		v.low = 0
	}
	return linearAxis(v, true, 5)
}

// linearAxis spans the interval; widen moves its ends out to ticks.
func linearAxis(v interval, widen bool, n int) scale {
	if v.high <= v.low {
		around := math.Abs(v.low) / 10
		if around == 0 {
			around = 1
		}
		v = interval{v.low - around, v.high + around}
	}
	step := niceStep((v.high - v.low) / float64(n))
	if widen {
		v = interval{math.Floor(v.low/step+1e-9) * step, math.Ceil(v.high/step-1e-9) * step}
	}
	s := scale{at: func(x float64) float64 { return (x - v.low) / (v.high - v.low) }}
	for k := math.Ceil(v.low/step - 1e-9); k*step <= v.high+1e-9*step; k++ {
		s.ticks = append(s.ticks, k*step)
	}
	return s
}

// logScale fits a logarithmic axis to positive values: ticks at powers of ten, and at their doubles and fivefolds
// where the powers are few.
func logScale(v interval) scale {
	low, high := math.Log10(v.low), math.Log10(v.high)
	pad := 0.04 * (high - low)
	low, high = low-pad, high+pad
	s := scale{log: true, at: func(x float64) float64 { return (math.Log10(x) - low) / (high - low) }}
	factors := []float64{1, 2, 5}
	every := 1.0
	switch decades := high - low; {
	case decades > 7:
		factors, every = factors[:1], math.Ceil(decades/6)
	case decades > 2.5:
		factors = factors[:1]
	}
	for k := math.Floor(low); k <= high; k += every {
		for _, f := range factors {
			if t := f * math.Pow(10, k); math.Log10(t) >= low && math.Log10(t) <= high {
				s.ticks = append(s.ticks, t)
			}
		}
	}
	if len(s.ticks) < 2 { // within less than a factor of two: linear ticks serve better
		s.ticks = slices.DeleteFunc(linearAxis(v, false, 4).ticks, func(t float64) bool { return t <= 0 })
	}
	return s
}

// niceStep returns the least of 1, 2, 2.5, 5 times a power of ten that is not below x.
func niceStep(x float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, f := range []float64{1, 2, 2.5, 5} {
		if f*power >= x*(1-1e-9) {
			return f * power
		}
	}
	return 10 * power
}

// labels writes the ticks, all in one notation on a linear axis.
func (s scale) labels() []string {
	var decimals int
	var greatest float64
	for _, t := range s.ticks {
		greatest = max(greatest, math.Abs(t))
		if _, fraction, found := strings.Cut(plain(t), "."); found {
			decimals = max(decimals, len(fraction))
		}
	}
	texts := make([]string, len(s.ticks))
	for i, t := range s.ticks {
		switch {
		case !s.log && math.Abs(t) < 1e-9*greatest:
			texts[i] = "0"
		case s.log || greatest >= 1e4 || greatest < 1e-3:
			texts[i] = compact(t)
		default:
			texts[i] = strconv.FormatFloat(t, 'f', decimals, 64)
		}
	}
	return texts
}

// plain writes a number in decimals, without the dust of binary arithmetic.
func plain(x float64) string { return strconv.FormatFloat(significant(x, 7), 'f', -1, 64) }

// significant rounds to n significant figures.
func significant(x float64, n int) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(x, 'e', n-1, 64), 64)
	if err != nil { // rounded up beyond the largest number
		return x
	}
	return r
}

// compact writes a number in little space: 0.002, 5e-4, 12k.
func compact(x float64) string {
	switch a := math.Abs(x); {
	case a == 0:
		return "0"
	case a >= 1e9 || a < 1e-3:
		return exponent(strconv.FormatFloat(significant(x, 7), 'e', -1, 64))
	case a >= 1e6:
		return plain(x/1e6) + "M"
	case a >= 1e4:
		return plain(x/1e3) + "k"
	}
	return plain(x)
}

// figures writes a number with n significant figures; whole numbers below a million keep all of theirs.
func figures(x float64, n int) string {
	if a := math.Abs(x); a >= math.Pow10(n) && a < 1e6 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	x = significant(x, n)
	if a := math.Abs(x); a >= 1e-4 && a < 1e6 {
		return strconv.FormatFloat(x, 'f', max(0, n-1-int(math.Floor(math.Log10(a)))), 64)
	}
	return exponent(strconv.FormatFloat(x, 'g', n, 64))
}

// exponent shortens 5e-04 to 5e-4 and 1e+09 to 1e9.
func exponent(s string) string {
	return strings.NewReplacer("e-0", "e-", "e+0", "e", "e+", "e").Replace(s)
}
