package univariate

import (
	"math"

	"github.com/gojepa/gojepa/torch"
)

// AndersonDarling is A², the squared distance between the empirical distribution function and Φ, weighted by
// 1/(Φ(1−Φ)), which stresses the tails:
//
//	A² = −N − (1/N) Σ_i (2i−1)·[log Φ(x_(i)) + log Φ(−x_(N+1−i))],
//
// for the order statistics x_(1) ≤ … ≤ x_(N) (Anderson & Darling 1954, "A test of goodness of fit"; arXiv 2511.08544,
// section 4.2.2). With mean and variance known, as here, its expectation under N(0, 1) is 1 and the 5 % critical value
// 2.492 for N above 5 or so (Stephens 1974).
//
// N may be 1. Far from the Gaussian it grows as the samples' squares do. The published package has the same formula, with a
// log Φ that is approximated below −3 and is too large there, by 0.02 at first and 0.5 far out. It and the package's two
// tests below sort x by its last dimension but one and go on along the first, and so hold for two dimensions only.
type AndersonDarling struct{}

// Statistic takes x [*, N, M], N at least 1, to A² as [*, M]. Gradient flows.
func (AndersonDarling) Statistic(s *torch.Scope, x torch.Tensor) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		x, n := samples("AndersonDarling", x, 1)
		// With p_i = (2i−1)/2N both sums are one: A² = −N − 2 Σ_i [p_i log Φ(x_(i)) + (1−p_i) log Φ(−x_(i))].
		p := table(n, func(i float64) float64 { return (i - 0.5) / float64(n) })
		q := table(n, func(i float64) float64 { return 1 - (i-0.5)/float64(n) })
		least := -float64(n)
		for i := range p {
			least -= 2 * (p[i]*math.Log(p[i]) + q[i]*math.Log(q[i]))
		}
		return logLikelihood(s, ordered(x), p, q, p).SumDim(-1, false).MulScalar(-2).AddScalar(least)
	})
}

// CramerVonMises is W², the squared distance between the empirical distribution function and Φ:
//
//	W² = 1/(12N) + Σ_i [Φ(x_(i)) − (2i−1)/(2N)]²
//
// (Anderson & Darling 1952; Stephens 1974; arXiv 2511.08544, section 4.2.2). Under N(0, 1) its expectation is 1/6 and the
// 5 % critical value 0.461 in the limit of many samples.
//
// It lies between 1/(12N) and about N/3, and samples far out have next to no gradient. The published package lacks the
// constant and the factor N: W² is N times its value, plus 1/(12N).
type CramerVonMises struct{}

// Statistic takes x [*, N, M], N at least 1, to W² as [*, M]. Gradient flows.
func (CramerVonMises) Statistic(s *torch.Scope, x torch.Tensor) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		x, n := samples("CramerVonMises", x, 1)
		return edfDistances(s, x, n).Square().SumDim(-1, false).AddScalar(1 / (12 * float64(n)))
	})
}

// Watson is U², Cramér and von Mises' statistic less what the mean of Φ(x) contributes to it:
//
//	U² = W² − N·(mean_i Φ(x_i) − ½)²
//
// (Watson 1961, "Goodness-of-fit tests on a circle"; arXiv 2511.08544, section 4.2.2). It does not depend on where a circle
// of Φ(x) is cut open, sees changes in spread better than W² and shifts worse. Under N(0, 1) its expectation is 1/12 and
// the 5 % critical value 0.187 in the limit of many samples.
//
// It lies between 1/(12N) and about N/12. Samples far out have next to no gradient, as in [CramerVonMises], and where all
// samples are equal it does not depend on where they are. The published package lacks the constant and the factor N in
// all terms: U² is N times its value, plus 1/(12N).
type Watson struct{}

// Statistic takes x [*, N, M], N at least 1, to U² as [*, M]. Gradient flows.
func (Watson) Statistic(s *torch.Scope, x torch.Tensor) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		x, n := samples("Watson", x, 1)
		d := edfDistances(s, x, n)
		// The plotting positions have mean ½, so taking the mean out of the distances takes out its square.
		d = d.Sub(d.MeanDim(-1, true))
		return d.Square().SumDim(-1, false).AddScalar(1 / (12 * float64(n)))
	})
}

// edfDistances is Φ(x_(i)) − (2i−1)/(2N) as [*, M, N].
func edfDistances(s *torch.Scope, x torch.Tensor, n int64) torch.Tensor {
	p := table(n, func(i float64) float64 { return (i - 0.5) / float64(n) })
	return cdf(ordered(x)).Sub(row(s, x, p))
}
