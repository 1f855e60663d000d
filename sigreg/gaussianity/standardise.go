package gaussianity

import (
	"errors"
	"fmt"
	"math"

	"github.com/gojepa/gojepa/torch"
)

// Standardise is what is done to embeddings, and to the simulated ones, before they are tested against N(0, I). It says
// what they are compared with.
type Standardise int

const (
	// None leaves them as they are, and tests for N(0, I): location and scale too. It is how SIGReg sees projections.
	None Standardise = iota
	// Scale centres them and divides by one number, so that the mean variance of the columns is 1: it tests for any
	// isotropic Gaussian.
	Scale
	// Whiten centres them and multiplies by the inverse square root of their covariance, so that every direction has
	// variance 1: it tests for any Gaussian, by its shape alone.
	Whiten
)

var standardiseNames = []string{"none", "scale", "whiten"}

// String returns "none", "scale" or "whiten".
func (m Standardise) String() string { return name(standardiseNames, int(m)) }

// MarshalText returns what String does.
func (m Standardise) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what String returns.
func (m *Standardise) UnmarshalText(text []byte) error {
	i, err := named(standardiseNames, text)
	*m = Standardise(i)
	return err
}

// Errors of sets that cannot be standardised.
var (
	ErrConstant = errors.New("all rows are equal: there is no variance to scale by")
	ErrSingular = errors.New("the covariance has no inverse to whiten by")
)

// standard is a set as it is tested.
type standard struct {
	y      torch.Tensor // [N, K]
	mean   torch.Tensor // of the set's columns [K]
	scale  float64      // what they were divided by, the root of the mean variance; 0 of None
	whiten torch.Tensor // inverse square root of the covariance of what was scaled [K, K]; of Whiten
	values torch.Tensor // eigenvalues of the set's covariance, rising; relative to their mean unless it is None
	axes   torch.Tensor // their unit eigenvectors, as columns [K, K]
	rank   int          // eigenvalues that are not 0 but for rounding, the last ones
}

// standardise takes z [N, K]. Its error is ErrConstant or wraps ErrSingular.
func standardise(z torch.Tensor, how Standardise) (standard, error) {
	n, k := z.Size(0), z.Size(1)
	t := standard{mean: z.MeanDim(0, false)}
	unit := z.Sub(t.mean)
	if how != None {
		// The squares of what is at most 1 neither overflow nor vanish.
		most := unit.Abs().Max().Item()
		if most == 0 {
			return t, ErrConstant
		}
		unit = unit.DivScalar(most)
		root := math.Sqrt(unit.Square().Sum().Item() / float64(k*(n-1)))
		unit = unit.DivScalar(root)
		t.scale = most * root
	}
	t.values, t.axes = unit.T().Matmul(unit).DivScalar(float64(n - 1)).Eigh()
	t.rank = rank(t.values.Float64s(), int(n))
	switch how {
	case None:
		t.y = z
	case Scale:
		t.y = unit
	case Whiten:
		if t.rank < int(k) {
			return t, fmt.Errorf("%w: %d samples vary in %d of %d dimensions", ErrSingular, n, t.rank, k)
		}
		t.whiten = t.axes.Div(t.values.Sqrt()).Matmul(t.axes.T())
		t.y = unit.Matmul(t.whiten)
	}
	return t, nil
}

// white returns a [K, rank] whose columns take y, centred, to principal components of variance 1.
func (t standard) white() torch.Tensor {
	k, rank := t.axes.Size(0), int64(t.rank)
	axes := t.axes.Narrow(1, k-rank, rank)
	if t.whiten.Defined() {
		return axes // y is white already
	}
	return axes.Div(t.values.Narrow(0, k-rank, rank).Sqrt())
}

// use is t on another thread.
func (t standard) use(s *torch.Scope) standard {
	t.y, t.mean, t.values, t.axes = s.Use(t.y), s.Use(t.mean), s.Use(t.values), s.Use(t.axes)
	return t
}

// rank counts the eigenvalues of a covariance of n samples that are not zero but for rounding.
func rank(values []float64, n int) int {
	var most float64
	for _, v := range values {
		most = max(most, v)
	}
	rank := 0
	for _, v := range values {
		if v > most*0x1p-52*float64(max(n, len(values))) {
			rank++
		}
	}
	return rank
}

// weights takes a unit direction a of standardised space to w with y·a = (x − mean)·w for embeddings x and their rows y.
func (t standard) weights(s *torch.Scope, a []float64, how Standardise) []float64 {
	if how == None {
		return a
	}
	w := s.FromFloat64(a, int64(len(a)), 1)
	if how == Whiten {
		w = t.whiten.Matmul(w)
	}
	return w.DivScalar(t.scale).Float64s()
}
