// Package sigreg measures how far embeddings are from an isotropic Gaussian, and gives the gradient that brings them
// there: SIGReg, sketched isotropic Gaussian regularisation (Balestriero & LeCun 2025, arXiv 2511.08544, section 4).
//
// A distribution is the standard Gaussian exactly if its projection on every direction is (Cramér–Wold). SIGReg draws
// random unit directions, projects, and tests each projection by the Epps–Pulley statistic, the weighted distance
// between the projections' empirical characteristic function and the Gaussian's.
//
// [EppsPulley.Direct] is the formula as it stands; [EppsPulley.Mean] the same, and its gradient, in less time and memory.
// [Slices] draws the directions, and [Sliced] puts the projections to this test or to another of package univariate.
//
// The package needs nothing but embeddings and stands alone: an Example regularises a model of gotch's with it. Package
// multivariate tests embeddings as they are, without slices; package gaussianity reports how far embeddings are from a
// Gaussian.
package sigreg

import (
	"errors"
	"fmt"
	"math"

	"github.com/gojepa/gojepa/torch"
)

// EppsPulley is the statistic
//
//	N · Σ_t w_t [(mean_n cos(t·p_n) − e^{−t²/2})² + (mean_n sin(t·p_n))²],
//
// the integral over t by the trapezoidal rule of the squared distance between characteristic functions, weighted by
// e^{−t²/2} (Epps & Pulley 1983, "A test for normality based on the empirical characteristic function"; arXiv 2511.08544,
// eq. 4 and algorithm 1). For samples of a standard Gaussian its expectation does not depend on N: 1.0525 with the default
// knots. All-zero projections give 0.40205·N.
//
// The published package integrates over [0, 3] and counts it twice, and so does [Default]; the paper's algorithm 1 takes
// [−5, 5], with as many knots: [Paper]. The order of samples does not matter. Location and scale do: collapsed projections
// have a large value, though next to no gradient where all are equal, and projections far out have little.
type EppsPulley struct {
	Knots     int     // points of the integration rule, 2 or more; 17 in the paper
	TMax      float64 // end of the range of t, above 0
	Symmetric bool    // integrate over [−TMax, TMax] as algorithm 1 does, not over [0, TMax] and count it twice
	Weight    Weight  // of the squared distances; Gaussian in the paper
}

// Weight is what the squared distance of the characteristic functions at t is multiplied by.
type Weight int

// The weights of the published package.
const (
	GaussianWeight Weight = iota // e^{−t²/2}
	UniformWeight                // 1: more of what is fine, as steps and atoms, and more noise
)

func (w Weight) at(t float64) float64 {
	if w == UniformWeight {
		return 1
	}
	return gauss(t)
}

// Default is the rule of the published code: 17 knots on [0, 3], counted twice for the negative half.
func Default() EppsPulley { return EppsPulley{Knots: 17, TMax: 3} }

// Paper is the rule of the paper's algorithm 1: 17 knots on [−5, 5].
func Paper() EppsPulley { return EppsPulley{Knots: 17, TMax: 5, Symmetric: true} }

// Validate reports every value that is out of range.
func (e EppsPulley) Validate() error {
	var errs []error
	if e.Knots < 2 {
		errs = append(errs, fmt.Errorf("knots: %d, expected 2 or more", e.Knots))
	}
	if !(e.TMax > 0) || math.IsInf(e.TMax, 0) {
		errs = append(errs, fmt.Errorf("tmax: %g, expected a number above 0", e.TMax))
	}
	if e.Weight != GaussianWeight && e.Weight != UniformWeight {
		errs = append(errs, fmt.Errorf("weight: %d, expected GaussianWeight or UniformWeight", e.Weight))
	}
	return errors.Join(errs...)
}

// Expected is the expectation of the statistic for samples of a standard Gaussian, Σ_t w_t (1 − e^{−t²}), whatever their
// number: 1.0525 with the default rule. A value near it says that the test sees no difference from a Gaussian.
func (e EppsPulley) Expected() float64 {
	t, w, _ := e.rule()
	var sum float64
	for k := range t {
		sum += w[k] * e.Weight.at(t[k]) * (1 - gauss(t[k])*gauss(t[k]))
	}
	return sum
}

// StandardError is that of the mean over slices of statistics [V, M], NaN for a single slice: how far SIGReg of these
// slices may be from that of all directions. Slices of one step see the same samples, so it says nothing about how SIGReg
// varies from batch to batch. It takes slices for independent: of [Orthogonal] ones the error is smaller than it says. On CUDA
// it waits for the device.
func StandardError(statistics torch.Tensor) float64 {
	return math.Sqrt(SquaredError(statistics).Item())
}

// SquaredError is the square of [StandardError], a scalar in float64 that no one has waited for.
func SquaredError(statistics torch.Tensor) torch.Tensor {
	slices := statistics.MeanDim(0, false)
	return slices.VarDim(0, true, false).To(torch.Float64).DivScalar(float64(slices.Numel()))
}

// rule returns the knots t ≥ 0, their distance dt, and their weights in the integral, without e.Weight. The integrand is even in
// t, so the negative half of a symmetric range is counted by doubling the weights of the positive one.
func (e EppsPulley) rule() (t, w []float64, dt float64) {
	n, first := e.Knots, 0.0
	dt = e.TMax / float64(e.Knots-1)
	if e.Symmetric {
		dt *= 2
		n = (e.Knots + 1) / 2
		if e.Knots%2 == 0 {
			first = dt / 2 // no knot at zero: the middle interval spans [−dt/2, dt/2]
		}
	}
	t, w = make([]float64, n), make([]float64, n)
	for k := range t {
		t[k] = first + float64(k)*dt
		w[k] = 2 * dt
	}
	w[n-1] -= dt // the outer end of the range is half an interval
	if first == 0 {
		w[0] -= dt // zero is its own mirror image
	}
	return t, w, dt
}

// gauss is the characteristic function of the standard Gaussian, and the default weight.
func gauss(t float64) float64 { return math.Exp(-t * t / 2) }
