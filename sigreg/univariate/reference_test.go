package univariate_test

import (
	"math"
	"slices"
)

// The statistics of one slice as their definitions stand, in float64.

func sorted(x []float64) []float64 {
	y := slices.Clone(x)
	slices.Sort(y)
	return y
}

func phi(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }

func quantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }

func mean(x []float64, f func(v float64) float64) (m float64) {
	for _, v := range x {
		m += f(v)
	}
	return m / float64(len(x))
}

// centred is the mean, and the central moment m_k with divisor N.
func centred(x []float64, k float64) (mu, m float64) {
	mu = mean(x, func(v float64) float64 { return v })
	return mu, mean(x, func(v float64) float64 { return math.Pow(v-mu, k) })
}

func eppsPulley(tmax float64, intervals int, uniform bool) func(x []float64) float64 {
	return func(x []float64) (sum float64) {
		dt := tmax / float64(intervals)
		for k := -intervals; k <= intervals; k++ {
			t := float64(k) * dt
			cos := mean(x, func(v float64) float64 { return math.Cos(t * v) }) - math.Exp(-t*t/2)
			sin := mean(x, func(v float64) float64 { return math.Sin(t * v) })
			w := dt
			if k == -intervals || k == intervals {
				w /= 2
			}
			if !uniform {
				w *= math.Exp(-t * t / 2)
			}
			sum += w * (cos*cos + sin*sin)
		}
		return float64(len(x)) * sum
	}
}

func andersonDarling(x []float64) float64 {
	y, n := sorted(x), len(x)
	sum := 0.0
	for i := range y {
		sum += float64(2*i+1) * (math.Log(phi(y[i])) + math.Log(phi(-y[n-1-i])))
	}
	return -float64(n) - sum/float64(n)
}

func cramerVonMises(x []float64) float64 {
	n := float64(len(x))
	w := 1 / (12 * n)
	for i, v := range sorted(x) {
		w += math.Pow(phi(v)-(float64(i)+0.5)/n, 2)
	}
	return w
}

func watson(x []float64) float64 {
	return cramerVonMises(x) - float64(len(x))*math.Pow(mean(x, phi)-0.5, 2)
}

// oneLessCorrelation is 1 − r² of weights and order statistics.
func oneLessCorrelation(a, x []float64) float64 {
	y := sorted(x)
	am, av := centred(a, 2)
	ym, yv := centred(y, 2)
	cov := 0.0
	for i := range a {
		cov += (a[i] - am) * (y[i] - ym) / float64(len(a))
	}
	return 1 - cov*cov/(av*yv)
}

func shapiroFrancia(shift float64) func(x []float64) float64 {
	return func(x []float64) float64 {
		a := make([]float64, len(x))
		for i := range a {
			a[i] = quantile((float64(i+1) - shift) / (float64(len(x)) + 1 - 2*shift))
		}
		return oneLessCorrelation(a, x)
	}
}

func rahman(x []float64) float64 {
	n := len(x)
	// Scores and densities with a zero at either end, so that V⁻¹m is one expression.
	m, d := make([]float64, n+2), make([]float64, n+2)
	for i := 1; i <= n; i++ {
		m[i] = quantile(float64(i) / float64(n+1))
		d[i] = math.Exp(-m[i]*m[i]/2) / math.Sqrt(2*math.Pi)
	}
	a := make([]float64, n)
	for i := 1; i <= n; i++ {
		a[i-1] = d[i] * (2*d[i]*m[i] - d[i-1]*m[i-1] - d[i+1]*m[i+1])
	}
	return oneLessCorrelation(a, x)
}

func vcreg(x []float64) float64 {
	n := float64(len(x))
	mu, m2 := centred(x, 2)
	unbiased := m2 * n / (n - 1)
	return n*mu*mu/math.Max(unbiased, 1e-8) + (n-1)/2*math.Pow(unbiased-1, 2)
}

func extendedJarqueBera(x []float64) float64 {
	_, m2 := centred(x, 2)
	_, m3 := centred(x, 3)
	_, m4 := centred(x, 4)
	m2 = math.Max(m2, 1e-8)
	return vcreg(x) + float64(len(x))/6*(math.Pow(m3, 2)/math.Pow(m2, 3)+math.Pow(m4/(m2*m2)-3, 2)/4)
}

func moments(kmax int) func(x []float64) float64 {
	gauss := []float64{1, 0, 1, 0, 3, 0, 15, 0, 105, 0, 945, 0, 10395}
	return func(x []float64) (sum float64) {
		for k := 1; k <= kmax; k++ {
			weight := math.Exp(-float64(k))
			if k == 1 {
				weight = 1
			}
			sum += weight * math.Abs(mean(x, func(v float64) float64 { return math.Pow(v, float64(k)) })-gauss[k])
		}
		return sum
	}
}

// shortfall takes spacings, each already one over a density, to the entropy that is missing.
func shortfall(x, spacings []float64) float64 {
	_, m2 := centred(x, 2)
	const eps = 1e-5
	return 0.5*math.Log(2*math.Pi*math.E) - mean(spacings, func(v float64) float64 {
		if m2 == 0 {
			return math.Log(eps)
		}
		return math.Log(math.Max(v/math.Sqrt(m2), eps))
	})
}

func vasicek(m int) func(x []float64) float64 {
	return func(x []float64) float64 {
		y, n, m := sorted(x), len(x), m
		if m == 0 {
			m = min(int(math.Sqrt(float64(n))+0.5), (n-1)/2)
		}
		spacings := make([]float64, n)
		for i := range y {
			spacings[i] = float64(n) / float64(2*m) * (y[min(i+m, n-1)] - y[max(i-m, 0)])
		}
		return shortfall(x, spacings)
	}
}

func rightSpacings(m int) func(x []float64) float64 {
	return func(x []float64) float64 {
		y, n, m := sorted(x), len(x), m
		if m == 0 {
			m = min(int(math.Sqrt(float64(n))+0.5), n-1)
		}
		spacings := make([]float64, n-m)
		for i := range spacings {
			spacings[i] = float64(n+1) / float64(m) * (y[i+m] - y[i])
		}
		return shortfall(x, spacings)
	}
}

func orderStatistics(rank int) func(x []float64) float64 {
	return func(x []float64) float64 {
		y, n := sorted(x), float64(len(x))
		sum, choose := 0.0, 0.0 // choose: log of (k−1)!·(n−k)! over (n−1)!
		for i, v := range y {
			k := float64(i + 1)
			if i > 0 {
				choose += math.Log(k-1) - math.Log(n-k+1)
			}
			loss := -(math.Log(n) - choose + (k-1)*math.Log(phi(v)) + (n-k)*math.Log(phi(-v)) - v*v/2 - math.Log(2*math.Pi)/2)
			if i+1 == rank {
				return loss
			}
			sum += loss
		}
		return sum / n
	}
}
