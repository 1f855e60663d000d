package eval

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/torch"
)

// MultiLabelProbe is a linear classifier for each of several labels, any number of which a sample may have.
type MultiLabelProbe struct {
	L2        float64 // the strength of regularisation that was used
	Loss      float64 // mean over training samples of the sum over labels of the binary cross-entropy, without regularisation
	Converged bool    // whether L-BFGS reached its tolerance

	linear *Linear // a class for each label
	names  []string
}

// FitMultiLabel fits logistic regression for each label of y, which are 0 or 1, to features that are standardised over the training
// set, as [FitLinear] does for classes that exclude each other: it minimises, for each label, the mean binary cross-entropy plus
// L2/2 · |weights|². The optimum is that of scikit-learn's OneVsRestClassifier of LogisticRegression with C = 1 / (L2 · N) on
// StandardScaler's output. Of several L2 the one is taken of the least cross-entropy on samples held out; HoldOut is a share of
// all samples then. Balanced is an error.
func FitMultiLabel(ctx context.Context, th *torch.Thread, train Features, y Targets, o ProbeOptions) (*MultiLabelProbe, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Balanced {
		return nil, fmt.Errorf("eval: multi-label probe: Balanced is for classes that exclude each other")
	}
	if err := checkTargets("training features", train, y, true); err != nil {
		return nil, err
	}
	order := rng.New(o.Seed, rng.Probe, 0, 0).Perm(train.N)
	held := 0
	if len(o.L2) > 1 {
		held = min(int(o.HoldOut*float64(train.N)), train.N-1)
	} else {
		slices.Sort(order)
	}
	l := &Linear{n: y.D, d: train.D}
	l.Mean, l.Scale = moments(train)
	data, err := l.uploadWith(ctx, th, train, order, func(s *torch.Scope) torch.Tensor {
		return s.FromFloat64(y.Select(order).Y, int64(train.N), int64(y.D))
	})
	if err != nil {
		return nil, fmt.Errorf("eval: multi-label probe: %w", err)
	}
	defer data.free()
	f := &fit{ctx: ctx, th: th, data: data, classes: l.n, dim: l.d, limit: o.MaxEvaluations, objective: binaryCrossEntropy}

	w, err := f.choose(o, held, f.likelihood)
	if err != nil {
		return nil, err
	}
	l.Weight, l.Bias = f.split(w)
	return &MultiLabelProbe{L2: f.l2, Loss: f.loss, Converged: f.converged, linear: l, names: y.Names}, nil
}

// binaryCrossEntropy is the mean over samples of the sum over labels of log(1 + e^x) − x·y.
func binaryCrossEntropy(_ *torch.Scope, x, y torch.Tensor) torch.Tensor {
	softplus := x.Relu().Add(x.Abs().Neg().Exp().AddScalar(1).Log())
	return softplus.Sub(x.Mul(y)).SumDim(1, false).Mean()
}

// likelihood is minus the objective of the samples from row from on, without regularisation.
func (f *fit) likelihood(w []float64, from int) (float64, error) {
	weight, bias := f.split(w)
	loss := 0.
	err := f.th.Do(f.ctx, func(s *torch.Scope) {
		s.NoGrad(func() {
			wt, bt := s.FromFloat32(weight, int64(f.classes), int64(f.dim)), s.FromFloat32(bias, int64(f.classes))
			f.data.chunks(s, from, f.data.n, f.classes, func(x, y torch.Tensor) {
				share := float64(x.Size(0)) / float64(f.data.n-from)
				loss += share * f.objective(s, x.Linear(wt, bt).To(torch.Float64), y).Item()
			})
		})
	})
	if err != nil {
		return 0, fmt.Errorf("eval: multi-label probe: %w", err)
	}
	return -loss, nil
}

// Probabilities are those of each label for each sample, [N, labels].
func (m *MultiLabelProbe) Probabilities(ctx context.Context, th *torch.Thread, f Features) ([]float64, error) {
	var out []float64
	err := m.linear.logits(ctx, th, f, func(logits torch.Tensor) {
		out = append(out, logits.To(torch.Float64).Sigmoid().Float64s()...)
	})
	return out, err
}

// Compare is [CompareLabels] of the probabilities for test, whose labels are matched by name.
func (m *MultiLabelProbe) Compare(ctx context.Context, th *torch.Thread, test Features, y Targets) (MultiLabel, error) {
	if err := checkTargets("test features", test, y, true); err != nil {
		return MultiLabel{}, err
	}
	y, err := y.As(m.names)
	if err != nil {
		return MultiLabel{}, err
	}
	if y.D != m.linear.n {
		return MultiLabel{}, fmt.Errorf("eval: test features: %d labels: expected %d, as in training", y.D, m.linear.n)
	}
	p, err := m.Probabilities(ctx, th, test)
	if err != nil {
		return MultiLabel{}, err
	}
	return CompareLabels(p, y), nil
}

// checkTargets reports why y are no targets of f, which role names; binary ones are 0 or 1.
func checkTargets(role string, f Features, y Targets, binary bool) error {
	if err := f.check(role); err != nil {
		return err
	}
	if y.D < 1 || len(y.Y) != f.N*y.D {
		return fmt.Errorf("eval: %s: %d numbers for %d targets of %d samples", role, len(y.Y), y.D, f.N)
	}
	for i, v := range y.Y {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("eval: %s: target %s of sample %d is %v: expected finite numbers", role, y.Name(i%y.D), i/y.D, v)
		}
		if binary && v != 0 && v != 1 {
			return fmt.Errorf("eval: %s: label %s of sample %d is %v: expected 0 or 1", role, y.Name(i%y.D), i/y.D, v)
		}
	}
	return nil
}
