package views

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestNormals: what noise is made of is normal, in its middle, in its moments and in its tails; samples, and seeds that
// differ in one bit, have nothing to do with each other.
func TestNormals(t *testing.T) {
	const n = 1 << 20
	z := make([]float32, n)
	normals(z, 0x0123456789abcdef, 0)
	xs := make([]float64, n)
	var moments [5]float64
	beyond := map[float64]float64{3: 0, 4: 0}
	together := 0.0
	for i, v := range z {
		xs[i] = float64(v)
		for k := range moments {
			moments[k] += math.Pow(xs[i], float64(k)) / n
		}
		for limit := range beyond {
			if math.Abs(xs[i]) > limit {
				beyond[limit]++
			}
		}
		if i > 0 {
			together += xs[i] * xs[i-1] / n
		}
	}
	for k, want := range []float64{1, 0, 1, 0, 3} { // bounds of five standard errors
		assert.InDelta(t, want, moments[k], []float64{1e-9, 5, 7.1, 20, 50}[k]/math.Sqrt(n), "moment %d", k)
	}
	for limit, got := range beyond {
		want := n * math.Erfc(limit/math.Sqrt2)
		assert.InDelta(t, want, got, 5*math.Sqrt(want), "beyond %g", limit)
	}
	assert.InDelta(t, 0, together, 5/math.Sqrt(n))
	assert.Less(t, kolmogorov(slices.Clone(xs), func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }), 2.2)

	for bit := range 64 {
		other := make([]float32, 1<<16)
		normals(other, 0x0123456789abcdef^1<<bit, 0)
		sum := 0.0
		for i, v := range other {
			sum += float64(v) * xs[i]
		}
		assert.InDelta(t, 0, sum/float64(len(other)), 5/math.Sqrt(float64(len(other))), "bit %d", bit)
	}
	part := make([]float32, 10)
	normals(part, 0x0123456789abcdef, 500)
	assert.Equal(t, z[500:510], part, "from anywhere")
}
