package multivariate

import (
	"math"

	"github.com/gojepa/gojepa/torch"
)

// leastVariance is what part of the largest variance of samples counts as variance, the square of their mean added: less
// is what float32 leaves of numbers that cancel.
const leastVariance = 1e-12

// residuals are samples less their mean, with the covariance taken out.
type residuals struct {
	z     torch.Tensor // (x − mean)·root  [V, N, K]
	root  torch.Tensor // of the covariance's inverse: root·rootᵀ = S⁻¹  [V, K, K]
	count float64
}

// newResiduals standardises samples x [V, N, K], float64. Directions without variance get no part in the inverse.
func newResiduals(s *torch.Scope, x torch.Tensor) residuals {
	n := float64(x.Size(1))
	mean := x.MeanDim(1, true)
	deviations := x.Sub(mean)
	covariance := deviations.Transpose(1, 2).Matmul(deviations).DivScalar(n)
	squaredMeans := mean.Square().SumDim(-1, false).Float64s()
	if !covariance.AllFinite() {
		for v := range squaredMeans {
			if c := covariance.Select(0, int64(v)); !c.AllFinite() {
				c.Zero_() // for Eigh, which may fail
				squaredMeans[v] = math.NaN()
			}
		}
	}
	values, vectors := covariance.Eigh()
	scale := inverseRoots(values.Float64s(), squaredMeans, x.Size(2))
	root := vectors.Mul(s.FromFloat64(scale, x.Size(0), 1, x.Size(2)))
	return residuals{z: deviations.Matmul(root), root: root, count: n}
}

// inverseRoots returns 1/√λ of the eigenvalues of each view, k in rising order, 0 where they are too small to tell, and NaN
// where the mean is.
func inverseRoots(eigenvalues, squaredMeans []float64, k int64) []float64 {
	scale := make([]float64, len(eigenvalues))
	for v, squaredMean := range squaredMeans {
		first := int64(v) * k
		least := leastVariance * (eigenvalues[first+k-1] + squaredMean)
		for i := first; i < first+k; i++ {
			switch {
			case math.IsNaN(least):
				scale[i] = least
			case eigenvalues[i] > least:
				scale[i] = 1 / math.Sqrt(eigenvalues[i])
			}
		}
	}
	return scale
}

// back takes the derivative by z of a statistic that no rotation of z changes to the one by x. With root a function of the
// covariance S, d root = −½·S⁻¹·dS·root, up to a rotation:
func (r residuals) back(grad torch.Tensor) torch.Tensor {
	moments := grad.Transpose(1, 2).Matmul(r.z).DivScalar(r.count)
	grad = grad.Sub(r.z.Matmul(moments)).Matmul(r.root.Transpose(1, 2))
	return grad.Sub(grad.MeanDim(1, true))
}
