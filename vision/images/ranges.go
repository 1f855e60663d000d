package images

import (
	"math"
	"slices"
)

// percentiles are two percentiles of values, which are put in order, interpolated as numpy.percentile does.
func percentiles(values []float32, low, high float64) (float64, float64) {
	at := func(p float64) float64 {
		where := p / 100 * float64(len(values)-1)
		i := int(where)
		a := float64(nth(values, i))
		if i+1 == len(values) {
			return a
		}
		// Those behind position i are not below it: the next one is the least of them.
		b := float64(slices.Min(values[i+1:]))
		t := where - float64(i)
		if t < 0.5 {
			return a + (b-a)*t
		}
		return b - (b-a)*(1-t)
	}
	return at(low), at(high)
}

// nth puts the value of position n of the sorted values there, none above it before and none below it behind.
func nth(values []float32, n int) float32 {
	lo, hi := 0, len(values)-1
	for lo < hi {
		a, b, c := values[lo], values[(lo+hi)/2], values[hi]
		pivot := max(min(a, b), min(max(a, b), c))
		i, j := lo, hi
		for i <= j {
			for values[i] < pivot {
				i++
			}
			for values[j] > pivot {
				j--
			}
			if i <= j {
				values[i], values[j] = values[j], values[i]
				i, j = i+1, j-1
			}
		}
		switch {
		case n <= j:
			hi = j
		case n >= i:
			lo = i
		default:
			return values[n]
		}
	}
	return values[n]
}

// zscale is the range of Astropy's ZScaleInterval with its defaults: a line is fitted to a thousand sorted samples, those far
// off it are left out and their neighbours with them, and the line again; the range is what the line, four times as
// steep, spans about the median.
func zscale(values []float32) (low, high float64) {
	const (
		wanted     = 1000
		contrast   = 0.25
		maxReject  = 0.5
		minPixels  = 5
		rejection  = 2.5
		iterations = 5
	)
	stride := max(1, len(values)/wanted)
	var s []float64
	for i := 0; i < len(values) && len(s) < wanted; i += stride {
		s = append(s, float64(values[i]))
	}
	slices.Sort(s)
	n := len(s)
	low, high = s[0], s[n-1]
	least := max(minPixels, int(float64(n)*maxReject))
	grow := max(1, n/100)
	bad := make([]bool, n)
	good, last := n, n+1
	var slope float64
	for range iterations {
		if good >= last || good < least {
			break
		}
		var offset float64
		slope, offset = line(s, bad)
		threshold := rejection * deviation(s, bad, slope, offset)
		for i, v := range s {
			if d := v - slope*float64(i) - offset; d < -threshold || d > threshold {
				bad[i] = true
			}
		}
		bad = grown(bad, grow)
		last, good = good, 0
		for _, b := range bad {
			if !b {
				good++
			}
		}
	}
	if good >= least {
		slope /= contrast
		centre := (n - 1) / 2
		median := (s[(n-1)/2] + s[n/2]) / 2
		low = max(low, median-float64(centre-1)*slope)
		high = min(high, median+float64(n-centre)*slope)
	}
	return low, high
}

// line is the least-squares line through (i, s[i]), without the bad ones.
func line(s []float64, bad []bool) (slope, offset float64) {
	var n, mx, my float64
	for i, v := range s {
		if !bad[i] {
			n, mx, my = n+1, mx+float64(i), my+v
		}
	}
	mx, my = mx/n, my/n
	var xx, xy float64
	for i, v := range s {
		if !bad[i] {
			dx := float64(i) - mx
			xx, xy = xx+dx*dx, xy+dx*(v-my)
		}
	}
	slope = xy / xx
	return slope, my - slope*mx
}

// deviation is the standard deviation of what is left over a line, without the bad ones.
func deviation(s []float64, bad []bool, slope, offset float64) float64 {
	var n, sum, squares float64
	for i, v := range s {
		if !bad[i] {
			n, sum = n+1, sum+v-slope*float64(i)-offset
		}
	}
	mean := sum / n
	for i, v := range s {
		if !bad[i] {
			d := v - slope*float64(i) - offset - mean
			squares += d * d
		}
	}
	return math.Sqrt(squares / n)
}

// grown marks the neighbours of bad ones too, as numpy.convolve with n ones and mode "same" does.
func grown(bad []bool, n int) []bool {
	out := make([]bool, len(bad))
	for i, b := range bad {
		if !b {
			continue
		}
		first := i - (n-1)/2
		for j := max(first, 0); j < min(first+n, len(out)); j++ {
			out[j] = true
		}
	}
	return out
}
