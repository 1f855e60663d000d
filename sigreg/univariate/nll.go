package univariate

import (
	"fmt"
	"math"

	"github.com/gojepa/gojepa/torch"
)

// NLL is the negative log-likelihood of the order statistics under N(0, 1), each taken by itself, and averaged:
//
//	(1/N) Σ_k −log f_k(x_(k)),  f_k(x) = N!/((k−1)!·(N−k)!) · Φ(x)^{k−1}·Φ(−x)^{N−k}·φ(x)
//
// (the density of an order statistic: David & Nagaraja 2003, "Order Statistics", eq. 2.1.6). K chooses a single one.
//
// Its least value is not zero but about what the entropy of the order statistics is, negative for many samples. Every
// sample is drawn to the likeliest place of its rank, and equal samples are drawn apart.
//
// The published package returns the loss of every sample, which this averages, with the log Φ that [AndersonDarling]
// speaks of. With a single K it evaluates f_K at all samples, not at the K-th smallest, which is of use for drawing f_K
// only. Its cut-offs alpha put NaN in the place of losses inside a quantile range, and are left out: what remains is not
// continuous in x.
type NLL struct {
	K int // the rank of one order statistic, 1 to N; 0 for the mean over all
}

// Validate reports every option that is out of range.
func (l NLL) Validate() error {
	if l.K < 0 {
		return fmt.Errorf("k: %d, expected 0 or more", l.K)
	}
	return nil
}

// Statistic takes x [*, N, M], N at least 1, to [*, M]. Gradient flows. It panics if K is above N.
func (l NLL) Statistic(s *torch.Scope, x torch.Tensor) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		mustBeValid("NLL", l.Validate())
		x, n := samples("NLL", x, 1)
		if int64(l.K) > n {
			panic(fmt.Sprintf("univariate: NLL: k: %d, expected 0 to %d for N = %d samples", l.K, n, n))
		}
		y := ordered(x)
		largest := y.Narrow(-1, n-1, 1).Detach()
		first, count := int64(1), n
		if l.K > 0 {
			first, count = int64(l.K), 1
			y = y.Narrow(-1, first-1, 1)
		}
		k := table(count, func(i float64) float64 { return float64(first-1) + i })
		below, above, p := make([]float64, count), make([]float64, count), make([]float64, count)
		var constant float64
		for i, k := range k {
			below[i], above[i], p[i] = k-1, float64(n)-k, k/float64(n+1)
			constant += 0.5*math.Log(2*math.Pi) - logMultiplicity(float64(n), k) -
				below[i]*math.Log(p[i]) - above[i]*math.Log1p(-p[i])
		}
		loss := y.Square().MulScalar(0.5).Sub(logLikelihood(s, y, below, above, p))
		// NaN is sorted last, and would be out of a single rank's sight.
		loss = loss.Add(largest.Sub(largest))
		return loss.MeanDim(-1, false).AddScalar(constant / float64(count))
	})
}

// logMultiplicity is log [n!/((k−1)!·(n−k)!)].
func logMultiplicity(n, k float64) float64 {
	factorial := func(x float64) float64 {
		v, _ := math.Lgamma(x + 1)
		return v
	}
	return factorial(n) - factorial(k-1) - factorial(n-k)
}
