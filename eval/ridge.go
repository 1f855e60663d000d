package eval

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gojepa/gojepa/torch"
)

// Ridge is linear regression of features to numbers.
type Ridge struct {
	Weight      []float64 // [targets, D], of standardised features
	Bias        []float64 // [targets]: the training samples' means
	Mean, Scale []float32 // [D]: a feature x is standardised to (x − Mean) / Scale
	L2          float64   // the strength of regularisation that was used

	names []string
	d     int
}

// DefaultRidge are strengths to choose from.
func DefaultRidge() []float64 { return []float64{1e1, 1, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5} }

// FitRidge minimises Σ (y − prediction)² / N + L2·|weights|² for each target, on features that are standardised over the training
// set; the bias is not regularised. It is solved exactly, in float64: the optimum is that of scikit-learn's Ridge with alpha = L2·N on
// StandardScaler's output. Of several strengths the one is taken of the least squared error, averaged over targets, where each sample
// is predicted by all others, as RidgeCV does; of equal ones the larger. It takes the time of N·D² + D³ multiplications and D² numbers.
func FitRidge(ctx context.Context, th *torch.Thread, train Features, y Targets, l2 []float64) (*Ridge, error) {
	if len(l2) == 0 {
		return nil, fmt.Errorf("eval: ridge: no strength of regularisation: expected one or several")
	}
	for _, l := range l2 {
		if !(l >= 0) || math.IsInf(l, 0) {
			return nil, fmt.Errorf("eval: ridge: L2 of %v: expected 0 or more", l)
		}
	}
	if err := checkTargets("training features", train, y, false); err != nil {
		return nil, err
	}
	r := &Ridge{names: y.Names, d: train.D, Bias: make([]float64, y.D)}
	r.Mean, r.Scale = moments(train)
	for i, v := range y.Y {
		r.Bias[i%y.D] += v / float64(train.N)
	}
	f := &ridgeFit{ctx: ctx, th: th, ridge: r, train: train, y: make([]float64, len(y.Y)), targets: y.D}
	for i, v := range y.Y {
		f.y[i] = v - r.Bias[i%y.D]
	}
	err := f.decompose()
	defer f.free()
	if err == nil {
		err = f.choose(l2)
	}
	if err == nil {
		err = th.Do(ctx, func(s *torch.Scope) {
			r.Weight = s.Use(f.vectors).Matmul(f.coefficients(s, r.L2)).T().Contiguous().Float64s()
		})
	}
	if err != nil {
		return nil, fmt.Errorf("eval: ridge: %w", err)
	}
	return r, nil
}

// ridgeFit is ridge regression in the basis in which features are uncorrelated, where every strength is a division.
type ridgeFit struct {
	ctx     context.Context
	th      *torch.Thread
	ridge   *Ridge
	train   Features
	y       []float64 // [N, targets], of mean 0
	targets int

	vectors, cross torch.Tensor // [D, D], of the covariance, and [D, targets], of them with y; kept
	variances      []float64    // [D]
}

func (f *ridgeFit) free() {
	f.vectors.Free()
	f.cross.Free()
}

// chunks calls g with standardised samples x [n, D] and y [n, targets].
func (f *ridgeFit) chunks(g func(s *torch.Scope, x, y torch.Tensor)) error {
	rows := max(1, chunkElements/f.train.D)
	for from := 0; from < f.train.N; from += rows {
		n := min(rows, f.train.N-from)
		err := f.th.Do(f.ctx, func(s *torch.Scope) {
			s.NoGrad(func() {
				g(s, f.ridge.standardised(s, f.train, from, n), s.FromFloat64(f.y[from*f.targets:(from+n)*f.targets], int64(n), int64(f.targets)))
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// standardised uploads rows of x in float64.
func (r *Ridge) standardised(s *torch.Scope, x Features, from, n int) torch.Tensor {
	t := s.FromFloat32(x.X[from*x.D:(from+n)*x.D], int64(n), int64(x.D)).To(torch.Float64)
	t.Sub_(s.FromFloat32(r.Mean, int64(r.d)).To(torch.Float64))
	t.Div_(s.FromFloat32(r.Scale, int64(r.d)).To(torch.Float64))
	return t
}

func (f *ridgeFit) decompose() error {
	d, n := int64(f.train.D), float64(f.train.N)
	var products, cross torch.Tensor
	err := f.th.Do(f.ctx, func(s *torch.Scope) {
		products, cross = s.Zeros(torch.Float64, d, d).Keep(), s.Zeros(torch.Float64, d, int64(f.targets)).Keep()
	})
	if err != nil {
		return err
	}
	defer products.Free()
	defer cross.Free()
	err = f.chunks(func(s *torch.Scope, x, y torch.Tensor) {
		s.Use(products).Add_(x.T().Matmul(x))
		s.Use(cross).Add_(x.T().Matmul(y))
	})
	if err != nil {
		return err
	}
	return f.th.Do(f.ctx, func(s *torch.Scope) {
		s.NoGrad(func() {
			values, vectors := s.Use(products).DivScalar(n).Eigh()
			f.variances = notNegative(values.Float64s())
			f.cross = vectors.T().Matmul(s.Use(cross).DivScalar(n)).Keep()
			f.vectors = vectors.Keep()
		})
	})
}

// inverses are 1 / (variance + l2) as [D, 1], and 0 of directions in which there is nothing.
func (f *ridgeFit) inverses(s *torch.Scope, l2 float64) torch.Tensor {
	least := 1e-12 * slices.Max(f.variances)
	inverse := make([]float64, len(f.variances))
	for i, v := range f.variances {
		if v > least {
			inverse[i] = 1 / (v + l2)
		}
	}
	return s.FromFloat64(inverse, int64(len(inverse)), 1)
}

// coefficients are the weights in the basis of vectors, [D, targets].
func (f *ridgeFit) coefficients(s *torch.Scope, l2 float64) torch.Tensor {
	return s.Use(f.cross).Mul(f.inverses(s, l2))
}

// choose sets L2 by what each sample's error is where it is left out: its error, over 1 less its weight in its own prediction.
func (f *ridgeFit) choose(l2 []float64) error {
	strengths := slices.Clone(l2)
	slices.Sort(strengths)
	slices.Reverse(strengths)
	f.ridge.L2 = strengths[0]
	if len(strengths) == 1 {
		return nil
	}
	squares := make([]float64, len(strengths))
	n := float64(f.train.N)
	err := f.chunks(func(s *torch.Scope, x, y torch.Tensor) {
		p := x.Matmul(s.Use(f.vectors))
		for i, l := range strengths {
			own := p.Square().Matmul(f.inverses(s, l)).DivScalar(n).AddScalar(1 / n)
			squares[i] += y.Sub(p.Matmul(f.coefficients(s, l))).Div(own.Neg().AddScalar(1)).Square().Sum().Item()
		}
	})
	if err != nil {
		return err
	}
	least := math.Inf(1)
	for i, v := range squares {
		if v < least { // never of NaN
			least, f.ridge.L2 = v, strengths[i]
		}
	}
	return nil
}

// Predict returns numbers [N, targets].
func (r *Ridge) Predict(ctx context.Context, th *torch.Thread, f Features) ([]float64, error) {
	if err := f.check("features"); err != nil {
		return nil, err
	}
	if f.D != r.d {
		return nil, fmt.Errorf("eval: features: %d a sample: expected %d, as in training", f.D, r.d)
	}
	var out []float64
	rows := max(1, chunkElements/f.D)
	for from := 0; from < f.N; from += rows {
		err := th.Do(ctx, func(s *torch.Scope) {
			targets := int64(len(r.Bias))
			w := s.FromFloat64(r.Weight, targets, int64(r.d))
			x := r.standardised(s, f, from, min(rows, f.N-from))
			out = append(out, x.Matmul(w.T()).Add(s.FromFloat64(r.Bias, targets)).Float64s()...)
		})
		if err != nil {
			return nil, fmt.Errorf("eval: ridge: %w", err)
		}
	}
	return out, nil
}

// Compare is [CompareNumbers] of the predictions for test.
func (r *Ridge) Compare(ctx context.Context, th *torch.Thread, test Features, y Targets) (Regression, error) {
	if err := checkTargets("test features", test, y, false); err != nil {
		return Regression{}, err
	}
	y, err := y.As(r.names)
	if err != nil {
		return Regression{}, err
	}
	if y.D != len(r.Bias) {
		return Regression{}, fmt.Errorf("eval: test features: %d targets: expected %d, as in training", y.D, len(r.Bias))
	}
	p, err := r.Predict(ctx, th, test)
	if err != nil {
		return Regression{}, err
	}
	return CompareNumbers(p, y), nil
}
