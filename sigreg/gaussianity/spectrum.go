package gaussianity

import "math"

// spectrum are figures of the eigenvalues of a covariance.
type spectrum struct {
	effective     float64 // e to the entropy of the eigenvalues' shares in their sum (Roy & Vetterli 2007)
	participation float64 // (Σλ)²/Σλ², K over one more than John's (1971) statistic of sphericity
	most, least   float64 // the largest and the smallest eigenvalue
	mean          float64
}

func newSpectrum(values []float64) spectrum {
	var sum, squares, entropy float64
	f := spectrum{most: math.Inf(-1), least: math.Inf(1)}
	for _, v := range values {
		sum += v
		f.most, f.least = max(f.most, v), min(f.least, v)
	}
	f.mean = sum / float64(len(values))
	if !(sum > 0) {
		return f
	}
	for _, v := range values {
		share := max(v, 0) / sum // rounding may leave a zero below it
		squares += share * share
		if share > 0 {
			entropy -= share * math.Log(share)
		}
	}
	f.effective, f.participation = math.Exp(entropy), 1/squares
	f.least = max(f.least, 0)
	return f
}
