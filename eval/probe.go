package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/optimize"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/torch"
)

// ProbeOptions are those of [LinearProbe].
type ProbeOptions struct {
	// L2 are the strengths of regularisation to choose from, 0 or more: the classifier minimises the mean cross-entropy
	// plus L2/2 · |weights|². Of several, the one is taken that is most often right on samples held out of the training
	// set, the larger of equals; the classifier is then fitted to all of it. They are tried from the largest down, until
	// one does worse than the best before.
	L2 []float64

	// Balanced weighs each training sample by N / (classes · samples of its class), so that classes count the same whatever
	// their size: scikit-learn's class_weight="balanced". The choice of L2 then goes by balanced accuracy.
	Balanced bool

	HoldOut        float64 // share of each class's training samples to hold out for the choice, above 0 and below 1
	Tolerance      float64 // the optimiser stops where no derivative of the objective is larger; float32 allows some 1e-5
	MaxEvaluations int     // or after so many evaluations of the objective, for each strength
	Seed           uint64  // names the samples that are held out
}

// DefaultProbe chooses among five strengths on a fifth of the training set.
func DefaultProbe() ProbeOptions {
	return ProbeOptions{
		L2:             []float64{1e-1, 1e-2, 1e-3, 1e-4, 1e-5},
		HoldOut:        0.2,
		Tolerance:      1e-4,
		MaxEvaluations: 200,
	}
}

func (o ProbeOptions) check() error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf("eval: linear probe: "+format, a...)) }
	if len(o.L2) == 0 {
		bad("L2 is empty: expected at least one strength of regularisation")
	}
	for _, l := range o.L2 {
		if !(l >= 0) || math.IsInf(l, 0) {
			bad("L2 of %v: expected 0 or more", l)
		}
	}
	if len(o.L2) > 1 && !(o.HoldOut > 0 && o.HoldOut < 1) {
		bad("HoldOut is %v: expected a share above 0 and below 1", o.HoldOut)
	}
	if !(o.Tolerance > 0) {
		bad("Tolerance is %v: expected a number above 0", o.Tolerance)
	}
	if o.MaxEvaluations < 1 {
		bad("MaxEvaluations is %d: expected 1 or more", o.MaxEvaluations)
	}
	return errors.Join(errs...)
}

// LinearProbe fits a classifier to train by [FitLinear] and says how often it is right on test.
func LinearProbe(ctx context.Context, th *torch.Thread, train, test Features, o ProbeOptions) (Accuracy, error) {
	// Found out before the work: a test set that does not fit.
	if err := checkTraining(train); err != nil {
		return Accuracy{}, err
	}
	if _, err := checkTest(test, train.D, train.classes(), train.Classes); err != nil {
		return Accuracy{}, err
	}
	l, err := FitLinear(ctx, th, train, o)
	if err != nil {
		return Accuracy{}, err
	}
	return l.Accuracy(ctx, th, test)
}

// FitLinear fits multinomial logistic regression to features that are scaled to mean 0 and variance 1 each over the
// training set, by L-BFGS with a line search that meets the strong Wolfe conditions. Biases are not regularised. A limit
// of evaluations that is reached is no error: see [Linear.Converged].
//
// For three classes or more the optimum is that of scikit-learn's LogisticRegression with C = 1 / (L2 · N) on
// StandardScaler's output; for two classes, which scikit-learn gives one vector of weights, that of C = 2 / (L2 · N).
// Products are in float32 and sums in float64.
func FitLinear(ctx context.Context, th *torch.Thread, train Features, o ProbeOptions) (*Linear, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := checkTraining(train); err != nil {
		return nil, err
	}
	order, held := holdOut(train, o)
	l := newLinear(train, standardised)
	data, err := l.upload(ctx, th, train, order)
	if err != nil {
		return nil, fmt.Errorf("eval: linear probe: %w", err)
	}
	defer data.free()
	f := &fit{ctx: ctx, th: th, data: data, classes: l.n, dim: l.d, limit: o.MaxEvaluations}
	f.objective = f.crossEntropy
	if o.Balanced {
		f.weights = balancedWeights(train)
	}

	w, err := f.choose(o, held, f.right)
	if err != nil {
		return nil, err
	}
	l.L2 = f.l2
	l.Weight, l.Bias = f.split(w)
	l.Loss, l.Evaluations, l.Converged = f.loss, f.evaluations, f.converged
	return l, nil
}

// holdOut orders the samples such that those held out come last, and says how many they are: the share of each class
// that o asks for, rounded down, so that every class stays in training. None are if there is nothing to choose.
func holdOut(train Features, o ProbeOptions) (order []int, held int) {
	order = rng.New(o.Seed, rng.Probe, 0, 0).Perm(train.N)
	if len(o.L2) == 1 {
		slices.Sort(order)
		return order, 0
	}
	left := make([]int, train.classes())
	for _, l := range train.Labels {
		left[l]++
	}
	for c, n := range left {
		left[c] = int(o.HoldOut * float64(n))
	}
	var kept, out []int
	for _, i := range order {
		if c := train.Labels[i]; left[c] > 0 {
			left[c]--
			out = append(out, i)
		} else {
			kept = append(kept, i)
		}
	}
	return append(kept, out...), len(out)
}

// balancedWeights are those of each class's samples; a class without samples has 0.
func balancedWeights(train Features) []float64 {
	classes := byClass(train.Labels, train.classes())
	present := 0
	for _, rows := range classes {
		if len(rows) > 0 {
			present++
		}
	}
	weights := make([]float64, len(classes))
	for c, rows := range classes {
		if len(rows) > 0 {
			weights[c] = float64(train.N) / float64(present*len(rows))
		}
	}
	return weights
}

// choose fits the strengths of o to all samples but those held out, the last ones, and the best of them to all. quality is that of
// variables on the samples from a row on, more being better.
func (f *fit) choose(o ProbeOptions, held int, quality func(w []float64, from int) (float64, error)) (w []float64, err error) {
	strengths := slices.Clone(o.L2)
	slices.Sort(strengths)
	slices.Reverse(strengths)
	best := make([]float64, f.classes*(f.dim+1))
	f.l2 = strengths[0]
	if len(strengths) > 1 && held > 0 {
		w, most := slices.Clone(best), math.Inf(-1)
		for _, l2 := range strengths {
			// From the strongest on, each starts where the one before ended, as optima lie on a path.
			if w, err = f.minimize(w, l2, o.Tolerance, f.data.n-held); err != nil {
				return nil, err
			}
			q, err := quality(w, f.data.n-held)
			if err != nil {
				return nil, err
			}
			if q < most {
				break
			}
			if q > most {
				most, f.l2 = q, l2
				copy(best, w)
			}
		}
	}
	return f.minimize(best, f.l2, o.Tolerance, f.data.n)
}

// fit is logistic regression on one dataset. Variables are the weights [classes, D] and then the biases [classes].
type fit struct {
	ctx          context.Context
	th           *torch.Thread
	data         dataset
	classes, dim int
	limit        int
	weights      []float64                                                 // of each class's samples; nil: 1
	objective    func(s *torch.Scope, logits, y torch.Tensor) torch.Tensor // a mean over samples, without regularisation

	evaluations int
	l2          float64 // that was chosen
	loss        float64 // of the last minimum, without regularisation
	converged   bool
}

// split takes variables apart.
func (f *fit) split(w []float64) (weight, bias []float32) {
	out := make([]float32, len(w))
	for i, v := range w {
		out[i] = float32(v)
	}
	return out[:f.classes*f.dim], out[f.classes*f.dim:]
}

// evaluate returns the objective of the first rows samples, and writes its gradient.
func (f *fit) evaluate(w []float64, rows int, grad []float64) (float64, error) {
	f.evaluations++
	weight, bias := f.split(w)
	loss := 0.0
	err := f.th.Do(f.ctx, func(s *torch.Scope) {
		wt := s.FromFloat32(weight, int64(f.classes), int64(f.dim)).SetRequiresGrad(true)
		bt := s.FromFloat32(bias, int64(f.classes)).SetRequiresGrad(true)
		f.data.chunks(s, 0, rows, f.classes, func(x, y torch.Tensor) {
			share := float64(x.Size(0)) / float64(rows)
			part := f.objective(s, x.Linear(wt, bt).To(torch.Float64), y).MulScalar(share)
			part.Backward()
			loss += part.Item()
		})
		copy(grad, wt.Grad().Float64s())
		copy(grad[f.classes*f.dim:], bt.Grad().Float64s())
	})
	return loss, err
}

// crossEntropy is the mean of samples', each times its class's weight.
func (f *fit) crossEntropy(s *torch.Scope, logits, y torch.Tensor) torch.Tensor {
	if f.weights == nil {
		return logits.CrossEntropy(y)
	}
	likelihood := logits.LogSoftmax(1).Gather(1, y.Unsqueeze(1)).Flatten(0, 1)
	return likelihood.Mul(f.sampleWeights(s, y)).Mean().Neg()
}

// sampleWeights are those of samples of classes y.
func (f *fit) sampleWeights(s *torch.Scope, y torch.Tensor) torch.Tensor {
	return s.FromFloat64(f.weights, int64(f.classes)).IndexSelect(0, y)
}

// right adds up the weights of the samples from row from on that variables classify rightly: without weights, it counts them.
func (f *fit) right(w []float64, from int) (float64, error) {
	weight, bias := f.split(w)
	n := 0.
	err := f.th.Do(f.ctx, func(s *torch.Scope) {
		wt := s.FromFloat32(weight, int64(f.classes), int64(f.dim))
		bt := s.FromFloat32(bias, int64(f.classes))
		f.data.chunks(s, from, f.data.n, f.classes, func(x, y torch.Tensor) {
			right := x.Linear(wt, bt).Argmax(1).Eq(y).To(torch.Float64)
			if f.weights != nil {
				right = right.Mul(f.sampleWeights(s, y))
			}
			n += right.Sum().Item()
		})
	})
	if err != nil {
		return 0, fmt.Errorf("eval: linear probe: %w", err)
	}
	return n, nil
}

// minimize returns the optimum on the first rows samples, searched from start on.
func (f *fit) minimize(start []float64, l2, tolerance float64, rows int) ([]float64, error) {
	var (
		at      = make([]float64, len(start)) // where value and gradient are of
		grad    = make([]float64, len(start))
		value   = math.NaN()
		failure error
	)
	evaluate := func(x []float64) {
		if failure != nil || !math.IsNaN(value) && floats.Equal(at, x) {
			return
		}
		copy(at, x)
		value, failure = f.evaluate(x, rows, grad)
		weight := x[:f.classes*f.dim]
		f.loss = value
		value += l2 / 2 * floats.Dot(weight, weight)
		floats.AddScaled(grad[:len(weight)], l2, weight)
	}
	problem := optimize.Problem{
		Func: func(x []float64) float64 { evaluate(x); return value },
		Grad: func(g, x []float64) { evaluate(x); copy(g, grad) },
		Status: func() (optimize.Status, error) {
			if failure != nil {
				return optimize.Failure, failure
			}
			return optimize.NotTerminated, nil
		},
	}
	settings := &optimize.Settings{

		FuncEvaluations:   f.limit,
		GradientThreshold: tolerance,
		Converger:         optimize.NeverTerminate{},
	}
	// Steps to remember: more save evaluations, but not memory, of which 128 MB will do.
	store := min(30, max(5, 1<<23/len(start)))
	method := &optimize.LBFGS{Linesearcher: &optimize.MoreThuente{}, Store: store}
	result, err := optimize.Minimize(problem, start, settings, method)
	if failure != nil {
		return nil, fmt.Errorf("eval: linear probe: %w", failure)
	}
	if result == nil {
		return nil, fmt.Errorf("eval: linear probe: %w", err)
	}
	f.converged = result.Status == optimize.GradientThreshold
	return result.X, nil
}
