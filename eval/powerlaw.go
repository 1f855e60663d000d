package eval

import (
	"math"
	"slices"
)

// PowerLaw is λ_j ∝ j^−Alpha, fitted to the eigenvalues λ_1 ≥ λ_2 ≥ … of features' covariance: α-ReQ (Agrawal et al. 2022,
// "α-ReQ: Assessing representation quality in self-supervised learning by measuring eigenspectrum decay"). Near 1 features
// generalise best there; far above it few directions matter.
type PowerLaw struct {
	// Alpha is minus the slope of log λ_j over log j, by least squares with weights 1/j, as Stringer et al. 2019 fit spectra
	// ("High-dimensional geometry of population responses in visual cortex"). NaN of fewer than three eigenvalues.
	Alpha float64
	// From and To are the first and the last j that it is fitted to: 11 to 100, or to the last eigenvalue above 1e-12 of the
	// largest; from 1 on where that is before 22.
	From, To int
}

const (
	lawFrom, lawTo = 11, 100
	lawNoise       = 1e-12 // below this share of the largest an eigenvalue of float32 features is rounding
)

// powerLaw fits the law to eigenvalues in any order.
func powerLaw(eigenvalues []float64) PowerLaw {
	values := slices.Clone(eigenvalues)
	slices.Sort(values)
	slices.Reverse(values)
	law := PowerLaw{Alpha: math.NaN(), From: lawFrom}
	for law.To < min(lawTo, len(values)) && values[law.To] > lawNoise*values[0] {
		law.To++
	}
	if law.To < 2*lawFrom {
		law.From = 1
	}
	if law.To < 3 {
		return law
	}
	var weight, x, y, xx, xy float64
	for j := law.From; j <= law.To; j++ {
		w, lx, ly := 1/float64(j), math.Log(float64(j)), math.Log(values[j-1])
		weight, x, y, xx, xy = weight+w, x+w*lx, y+w*ly, xx+w*lx*lx, xy+w*lx*ly
	}
	law.Alpha = -(weight*xy - x*y) / (weight*xx - x*x)
	return law
}
