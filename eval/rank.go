package eval

import (
	"context"
	"fmt"
	"math"

	"github.com/gojepa/gojepa/torch"
)

// Rank says in how many dimensions features spread. It needs no labels.
type Rank struct {
	// RankMe is e to the entropy of the singular values' shares in their sum, of the features as they are, from about 1 to the
	// lesser of N and D (Garrido et al. 2022, arXiv 2210.02885, eq. 2 and 3). NaN where all features are 0.
	RankMe float64
	// Participation is (Σλ)² / Σλ² of the eigenvalues λ of the features' covariance, from 1 to the lesser of N − 1 and D: the
	// number of directions that share the variance, where they share it equally. NaN where all samples are equal.
	Participation float64
	// Decay is how fast those eigenvalues fall.
	Decay PowerLaw
}

// rankEps is what the paper adds to each share.
const rankEps = 1e-7

// MeasureRank is the rank of features, computed in float64 from the eigenvalues of their products, which leaves singular values
// exact to 1e-8 of the largest. It takes the time of N·D·min(N, D) multiplications and min(N, D)² numbers of memory.
func MeasureRank(ctx context.Context, th *torch.Thread, f Features) (Rank, error) {
	if err := f.check("features"); err != nil {
		return Rank{}, err
	}
	var squares, variances []float64
	err := th.Do(ctx, func(s *torch.Scope) {
		s.NoGrad(func() {
			x := s.FromFloat32(f.X, int64(f.N), int64(f.D)).To(torch.Float64)
			squares, variances = squaredSingular(x), squaredSingular(x.Sub(x.MeanDim(0, true)))
		})
	})
	if err != nil {
		return Rank{}, fmt.Errorf("eval: rank: %w", err)
	}
	for i, v := range squares {
		squares[i] = math.Sqrt(v)
	}
	return Rank{RankMe: effectiveRank(squares), Participation: participation(variances), Decay: powerLaw(variances)}, nil
}

// squaredSingular are the squares of a matrix' singular values.
func squaredSingular(x torch.Tensor) []float64 {
	products := x.Matmul(x.T())
	if x.Size(0) > x.Size(1) {
		products = x.T().Matmul(x)
	}
	values, _ := products.Eigh()
	return notNegative(values.Float64s())
}

// notNegative changes eigenvalues of a matrix that has none below 0, which rounding may have left there.
func notNegative(values []float64) []float64 {
	for i, v := range values {
		values[i] = max(v, 0)
	}
	return values
}

// effectiveRank is e to the entropy of the values' shares in their sum.
func effectiveRank(values []float64) float64 {
	var sum, entropy float64
	for _, v := range values {
		sum += v
	}
	for _, v := range values {
		p := v/sum + rankEps
		entropy -= p * math.Log(p)
	}
	return math.Exp(entropy)
}

func participation(variances []float64) float64 {
	var sum, squares float64
	for _, v := range variances {
		sum += v
		squares += v * v
	}
	return sum * sum / squares
}
