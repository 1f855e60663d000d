package eval

import (
	"context"
	"fmt"
	"math"

	"github.com/gojepa/gojepa/torch"
)

// scaling is what is done to features before a linear classifier.
type scaling int

const (
	standardised scaling = iota // each feature to mean 0 and variance 1 over the training set
	layerNormed                 // each sample to mean 0 and variance 1 over its features
)

// Linear is a linear classifier of features.
type Linear struct {
	Weight []float32 // [classes, D], of scaled features
	Bias   []float32 // [classes]

	// Mean and Scale are [D]: a feature x is scaled to (x - Mean) / Scale. Nil where each sample is scaled by its own mean
	// and standard deviation, as LayerNorm does without weights.
	Mean, Scale []float32

	L2          float64 // the strength of regularisation that was used; of L-BFGS
	Loss        float64 // mean cross-entropy over the training samples, weighted as in training, without regularisation
	Evaluations int     // of the objective and its gradient, the choice of L2 included
	Converged   bool    // whether L-BFGS reached its tolerance

	classes []string
	n, d    int
}

// Predict returns the most likely class of each sample.
func (l *Linear) Predict(ctx context.Context, th *torch.Thread, f Features) ([]int, error) {
	var out []int
	err := l.logits(ctx, th, f, func(logits torch.Tensor) {
		for _, c := range logits.Argmax(1).Int64s() {
			out = append(out, int(c))
		}
	})
	return out, err
}

// Probabilities are those of each class for each sample, [N, classes].
func (l *Linear) Probabilities(ctx context.Context, th *torch.Thread, f Features) ([]float64, error) {
	var out []float64
	err := l.logits(ctx, th, f, func(logits torch.Tensor) {
		out = append(out, logits.To(torch.Float64).Softmax(1).Float64s()...)
	})
	return out, err
}

// logits calls g with those of some samples at a time, [·, classes], in order.
func (l *Linear) logits(ctx context.Context, th *torch.Thread, f Features, g func(logits torch.Tensor)) error {
	if err := f.check("features"); err != nil {
		return err
	}
	if f.D != l.d {
		return fmt.Errorf("eval: features: %d a sample: expected %d, as in training", f.D, l.d)
	}
	rows := max(1, chunkElements/max(l.d, l.n))
	for from := 0; from < f.N; from += rows {
		err := th.Do(ctx, func(s *torch.Scope) {
			n := min(rows, f.N-from)
			x := s.FromFloat32(f.X[from*f.D:(from+n)*f.D], int64(n), int64(f.D))
			l.scale(s, x)
			w := s.FromFloat32(l.Weight, int64(l.n), int64(l.d))
			g(x.Linear(w, s.FromFloat32(l.Bias, int64(l.n))))
		})
		if err != nil {
			return fmt.Errorf("eval: linear classifier: %w", err)
		}
	}
	return nil
}

// Accuracy is how often the classifier is right on test.
func (l *Linear) Accuracy(ctx context.Context, th *torch.Thread, test Features) (Accuracy, error) {
	labels, err := checkTest(test, l.d, l.n, l.classes)
	if err != nil {
		return Accuracy{}, err
	}
	predicted, err := l.Predict(ctx, th, test)
	if err != nil {
		return Accuracy{}, err
	}
	return accuracy(predicted, labels, l.n, l.classes), nil
}

// Classify is [Classify] of the classifier's probabilities for test.
func (l *Linear) Classify(ctx context.Context, th *torch.Thread, test Features) (Classification, error) {
	labels, err := checkTest(test, l.d, l.n, l.classes)
	if err != nil {
		return Classification{}, err
	}
	p, err := l.Probabilities(ctx, th, test)
	if err != nil {
		return Classification{}, err
	}
	return Classify(p, labels, l.n, l.classes), nil
}

// scale changes x [n, D] in place.
func (l *Linear) scale(s *torch.Scope, x torch.Tensor) {
	if l.Mean != nil {
		x.Sub_(s.FromFloat32(l.Mean, int64(l.d)))
		x.Div_(s.FromFloat32(l.Scale, int64(l.d)))
		return
	}
	x.Sub_(x.MeanDim(1, true))
	x.Div_(x.VarDim(1, false, true).AddScalar(layerNormEps).Sqrt())
}

// layerNormEps is PyTorch's.
const layerNormEps = 1e-5

// newLinear makes a classifier without weights for what train holds.
func newLinear(train Features, how scaling) *Linear {
	l := &Linear{classes: train.Classes, n: train.classes(), d: train.D}
	if how == standardised {
		l.Mean, l.Scale = moments(train)
	}
	return l
}

// moments are the mean and the standard deviation of each feature, the latter 1 where a feature is constant.
func moments(f Features) (mean, scale []float32) {
	m, v := make([]float64, f.D), make([]float64, f.D)
	for i := range f.N {
		for j, x := range f.Row(i) {
			m[j] += float64(x)
		}
	}
	for j := range m {
		m[j] /= float64(f.N)
	}
	for i := range f.N {
		for j, x := range f.Row(i) {
			d := float64(x) - m[j]
			v[j] += d * d
		}
	}
	mean, scale = make([]float32, f.D), make([]float32, f.D)
	for j := range m {
		mean[j], scale[j] = float32(m[j]), 1
		// A constant feature differs from its mean by rounding alone.
		if sd := math.Sqrt(v[j] / float64(f.N)); sd > 1e-6*math.Abs(m[j]) && float32(sd) > 0 {
			scale[j] = float32(sd)
		}
	}
	return mean, scale
}

// dataset is a training set on the device: scaled features [N, D] and classes [N], or labels [N, labels], kept.
type dataset struct {
	x, y torch.Tensor
	n    int
}

// upload scales and uploads the rows of train that order names, in that order.
func (l *Linear) upload(ctx context.Context, th *torch.Thread, train Features, order []int) (dataset, error) {
	classes := make([]int64, len(order))
	for i, r := range order {
		classes[i] = int64(train.Labels[r])
	}
	return l.uploadWith(ctx, th, train, order, func(s *torch.Scope) torch.Tensor { return s.FromInt64(classes, int64(len(classes))) })
}

// uploadWith is upload with other targets than classes.
func (l *Linear) uploadWith(ctx context.Context, th *torch.Thread, train Features, order []int, y func(*torch.Scope) torch.Tensor) (dataset, error) {
	data := dataset{n: len(order)}
	err := th.Do(ctx, func(s *torch.Scope) {
		data.x = s.Empty(torch.Float32, int64(data.n), int64(l.d)).Keep()
		data.y = y(s).Keep()
	})
	rows := max(1, chunkElements/l.d)
	for from := 0; from < data.n && err == nil; from += rows {
		part := order[from:min(from+rows, data.n)]
		buf := make([]float32, 0, len(part)*l.d)
		for _, r := range part {
			buf = append(buf, train.Row(r)...)
		}
		err = th.Do(ctx, func(s *torch.Scope) {
			x := s.FromFloat32(buf, int64(len(part)), int64(l.d))
			l.scale(s, x)
			data.x.Narrow(0, int64(from), int64(len(part))).Copy_(x)
		})
	}
	if err != nil {
		data.free()
	}
	return data, err
}

// chunks calls f with samples from … to - 1, as many at a time as keeps their logits small. What f makes is freed.
func (d dataset) chunks(s *torch.Scope, from, to, classes int, f func(x, y torch.Tensor)) {
	rows := max(1, chunkElements/4/classes)
	for ; from < to; from += rows {
		n := int64(min(rows, to-from))
		s.Child(func(s *torch.Scope) torch.Tensor {
			f(s.Use(d.x).Narrow(0, int64(from), n), s.Use(d.y).Narrow(0, int64(from), n))
			return torch.Tensor{}
		})
	}
}

func (d dataset) free() {
	d.x.Free()
	d.y.Free()
}
