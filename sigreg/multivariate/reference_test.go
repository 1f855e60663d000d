package multivariate_test

import "math"

// The statistics of one view as their definitions stand, in float64. A sample is a row.

func dot(a, b []float64) (sum float64) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

// squared is |a + sign·b|².
func squared(a, b []float64, sign float64) (sum float64) {
	for i := range a {
		sum += (a[i] + sign*b[i]) * (a[i] + sign*b[i])
	}
	return sum
}

// mean is that of f over all pairs, added up sample by sample, as rounding errors of one long sum would show.
func mean(x [][]float64, f func(a, b []float64) float64) (m float64) {
	for _, a := range x {
		var sum float64
		for _, b := range x {
			sum += f(a, b)
		}
		m += sum / float64(len(x))
	}
	return m / float64(len(x))
}

// bandwidth is a test's parameter by the numbers of samples and dimensions.
type bandwidth func(n, k float64) float64

func fixed(v float64) bandwidth { return func(_, _ float64) float64 { return v } }

func byDimension(_, k float64) float64 { return 2 / math.Sqrt(k) }

func zirkler(n, k float64) float64 { return math.Pow((2*k+1)*n/4, 1/(k+4)) / math.Sqrt2 }

func visagie(_, k float64) float64 { return k + 4 }

func product(_, k float64) float64 { return 1.5 * math.Sqrt(k) }

type reference func(x [][]float64) float64

func bhep(b bandwidth) reference {
	return func(x [][]float64) float64 {
		n, k := float64(len(x)), float64(len(x[0]))
		b2 := math.Pow(b(n, k), 2)
		d := mean(x, func(a, b []float64) float64 { return math.Exp(-b2 / 2 * squared(a, b, -1)) })
		one := mean(x, func(a, _ []float64) float64 { return math.Exp(-b2 / (2 + 2*b2) * dot(a, a)) })
		return n * (d - 2*math.Pow(1+b2, -k/2)*one + math.Pow(1+2*b2, -k/2))
	}
}

func henzeVisagie(b bandwidth) reference {
	return func(x [][]float64) float64 {
		n, k := float64(len(x)), float64(len(x[0]))
		g := b(n, k)
		return n * mean(x, func(a, b []float64) float64 {
			q := squared(a, b, 1)
			return math.Exp(q/(4*g)) * (dot(a, b) - q/(2*g) + k/(2*g) + q/(4*g*g))
		})
	}
}

func comb(b bandwidth) reference {
	return func(x [][]float64) float64 {
		n, k := float64(len(x)), float64(len(x[0]))
		g := b(n, k)
		m := mean(x, func(a, b []float64) float64 {
			return math.Exp((dot(a, a)-dot(b, b))/(4*g)) * math.Cos(dot(a, b)/(2*g))
		})
		return math.Sqrt(n) * (m - 1)
	}
}

func logOf(f reference) reference { return func(x [][]float64) float64 { return math.Log(f(x)) } }

func squareOf(f reference) reference { return func(x [][]float64) float64 { return math.Pow(f(x), 2) } }

// standardised takes residuals by the Cholesky factor of the covariance.
func standardised(f reference) reference {
	return func(x [][]float64) float64 {
		n, k := len(x), len(x[0])
		z := make([][]float64, n)
		centre := make([]float64, k)
		for _, a := range x {
			for j := range a {
				centre[j] += a[j] / float64(n)
			}
		}
		for i, a := range x {
			z[i] = make([]float64, k)
			for j := range a {
				z[i][j] = a[j] - centre[j]
			}
		}
		factor := make([][]float64, k)
		for i := range factor {
			factor[i] = make([]float64, k)
			for j := range i + 1 {
				var covariance float64
				for _, a := range z {
					covariance += a[i] * a[j] / float64(n)
				}
				left := covariance - dot(factor[i][:j], factor[j][:j])
				if i == j {
					factor[i][i] = math.Sqrt(left)
				} else {
					factor[i][j] = left / factor[j][j]
				}
			}
		}
		for _, a := range z {
			for j := range a {
				a[j] = (a[j] - dot(factor[j][:j], a[:j])) / factor[j][j]
			}
		}
		return f(z)
	}
}
