package eval

import (
	"context"
	"fmt"
	"math"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/vision/images"
	"github.com/gojepa/gojepa/vision/views"
)

// ViewFeatures are the features of several views of each of some images.
type ViewFeatures struct {
	X       []float32 // [N, V, D]: of each image, a row for each view
	N, V, D int

	Samples []int          // by image: its index in the source
	Broken  []views.Broken // images that could not be read, which have no rows
}

// rows are all views as samples of their own.
func (f ViewFeatures) rows() Features { return Features{X: f.X, N: f.N * f.V, D: f.D} }

// check reports what is wrong with f.
func (f ViewFeatures) check() error {
	if f.N < 2 || f.V < 2 {
		return fmt.Errorf("eval: features of views: %d images of %d views: expected at least two of each", f.N, f.V)
	}
	return f.rows().check("features of views")
}

// ExtractViews embeds the views that t makes of each image, as [Extract] does whole images; t has views of one size. They are
// those of t's epoch 0. Size and Deep of o do not matter.
func ExtractViews(ctx context.Context, th *torch.Thread, encoder Encoder, src images.Source, t views.Transform, o ExtractOptions) (ViewFeatures, error) {
	if err := o.normalise(); err != nil {
		return ViewFeatures{}, err
	}
	layout := t.Layout()
	if len(layout) != 1 {
		return ViewFeatures{}, fmt.Errorf("eval: features of views: views of %d sizes: expected one", len(layout))
	}
	f := ViewFeatures{V: layout[0].Views, D: int(encoder.Dim())}
	embed := o.embedder(ctx, th, encoder)
	o.BatchSize = max(1, o.BatchSize/f.V) // images, so that as many views as elsewhere are embedded at a time
	err := o.eachOf(ctx, src, t, func(b views.Broken) { f.Broken = append(f.Broken, b) }, func(b *views.Batch) error {
		x, err := embed(&b.Groups[0], b.Rows())
		if err != nil {
			return err
		}
		for i := range b.Rows() {
			for v := range f.V {
				from := (v*b.Rows() + i) * f.D
				f.X = append(f.X, x[from:from+f.D]...)
			}
		}
		f.Samples = append(f.Samples, b.Samples...)
		return nil
	})
	if err != nil {
		return ViewFeatures{}, fmt.Errorf("eval: features of views: %w", err)
	}
	f.N = len(f.Samples)
	return f, nil
}

// Agreement says what views of images have in common, and what sets images apart. It needs no labels.
type Agreement struct {
	// LiDAR is e to the entropy of the eigenvalues' shares in their sum, of Σw^(-1/2)·Σb·Σw^(-1/2), from about 1 to the lesser
	// of N − 1 and D: in how many directions images differ by more than their views do. Σb is the covariance of images' means
	// over their views, Σw that of views about them plus 1e-4 on the diagonal, each divided by the number of its samples
	// (Thilak et al. 2023, arXiv 2312.04000, section 4). NaN where all images' means are equal.
	LiDAR float64
	// Alignment is the mean of ‖x − y‖² over pairs of views x and y of an image, features being scaled to length 1: from 0,
	// where they are all equal, to 4 (Wang & Isola 2020, arXiv 2005.10242, with α = 2).
	Alignment float64
	// Uniformity is log of the mean of exp(−2·‖x − y‖²) over pairs of images, features being scaled to length 1, on average over
	// views: from about −4, where they are spread evenly on the sphere, to 0, where they are all equal (the same, with t = 2).
	Uniformity float64
}

const (
	lidarDelta = 1e-4 // on the diagonal of Σw, as in the paper
	uniformity = 2    // the t of exp(−t·‖x − y‖²)
)

// MeasureAgreement compares views of images, in float64. It takes the time of N·V·D² + V·N²·D multiplications and the memory of
// D² numbers and of all features.
func MeasureAgreement(ctx context.Context, th *torch.Thread, f ViewFeatures) (Agreement, error) {
	if err := f.check(); err != nil {
		return Agreement{}, err
	}
	var a Agreement
	within, between, err := f.scatter(ctx, th)
	if err != nil {
		return a, fmt.Errorf("eval: LiDAR: %w", err)
	}
	err = th.Do(ctx, func(s *torch.Scope) {
		s.NoGrad(func() {
			a.LiDAR = lidar(s.FromFloat64(within, int64(f.D), int64(f.D)), s.FromFloat64(between, int64(f.D), int64(f.D)))
		})
	})
	if err != nil {
		return a, fmt.Errorf("eval: LiDAR: %w", err)
	}
	if a.Alignment, err = f.alignment(ctx, th); err != nil {
		return a, fmt.Errorf("eval: alignment: %w", err)
	}
	if a.Uniformity, err = f.uniformity(ctx, th); err != nil {
		return a, fmt.Errorf("eval: uniformity: %w", err)
	}
	return a, nil
}

// scatter are the covariances [D, D] of views about their images' means, and of those means.
func (f ViewFeatures) scatter(ctx context.Context, th *torch.Thread) (within, between []float64, err error) {
	means := make([]float64, f.N*f.D)
	step := max(1, chunkElements/(f.V*f.D))
	var sum torch.Tensor
	err = th.Do(ctx, func(s *torch.Scope) { sum = s.Zeros(torch.Float64, int64(f.D), int64(f.D)).Keep() })
	if err != nil {
		return nil, nil, err
	}
	defer sum.Free()
	for from := 0; from < f.N; from += step {
		n := min(step, f.N-from)
		err := th.Do(ctx, func(s *torch.Scope) {
			s.NoGrad(func() {
				x := s.FromFloat32(f.X[from*f.V*f.D:(from+n)*f.V*f.D], int64(n), int64(f.V), int64(f.D)).To(torch.Float64)
				m := x.MeanDim(1, true)
				copy(means[from*f.D:], m.Float64s())
				d := x.Sub(m).Flatten(0, 1)
				sum.Add_(d.T().Matmul(d))
			})
		})
		if err != nil {
			return nil, nil, err
		}
	}
	err = th.Do(ctx, func(s *torch.Scope) {
		s.NoGrad(func() {
			within = s.Use(sum).DivScalar(float64(f.N * f.V)).Float64s()
			m := s.FromFloat64(means, int64(f.N), int64(f.D))
			m = m.Sub(m.MeanDim(0, true))
			between = m.T().Matmul(m).DivScalar(float64(f.N)).Float64s()
		})
	})
	return within, between, err
}

// lidar is the effective rank of between where within, with a little on its diagonal, is white.
func lidar(within, between torch.Tensor) float64 {
	values, vectors := within.Eigh()
	white := vectors.Div(values.Clamp(0, math.Inf(1)).AddScalar(lidarDelta).Sqrt())
	shares, _ := white.T().Matmul(between).Matmul(white).Eigh()
	return effectiveRank(notNegative(shares.Float64s()))
}

// alignment uses that the squared distances of V points' pairs come to V times those to their mean.
func (f ViewFeatures) alignment(ctx context.Context, th *torch.Thread) (float64, error) {
	step := max(1, chunkElements/(f.V*f.D))
	var sum float64
	for from := 0; from < f.N; from += step {
		n := min(step, f.N-from)
		err := th.Do(ctx, func(s *torch.Scope) {
			s.NoGrad(func() {
				x := normalised(s, f.rows(), from*f.V, n*f.V).To(torch.Float64).Unflatten(0, int64(n), int64(f.V))
				sum += x.Sub(x.MeanDim(1, true)).Square().Sum().Item()
			})
		})
		if err != nil {
			return 0, err
		}
	}
	return 2 * sum / float64(f.N*(f.V-1)), nil
}

// uniformity compares the images of each view with each other.
func (f ViewFeatures) uniformity(ctx context.Context, th *torch.Thread) (float64, error) {
	step := max(1, chunkElements/max(f.N, f.D))
	view := Features{N: f.N, D: f.D, X: make([]float32, f.N*f.D)}
	var mean float64
	for v := range f.V {
		for i := range f.N {
			copy(view.Row(i), f.X[(i*f.V+v)*f.D:(i*f.V+v+1)*f.D])
		}
		sum, err := closeness(ctx, th, view, step)
		if err != nil {
			return 0, err
		}
		// Each is at distance 0 from itself.
		mean += math.Log((sum-float64(f.N))/float64(f.N*(f.N-1))) / float64(f.V)
	}
	return mean, nil
}

// closeness is the sum of exp(−2·‖x − y‖²) over all pairs of rows, each with itself too, so many rows with all at a time.
func closeness(ctx context.Context, th *torch.Thread, f Features, step int) (sum float64, err error) {
	var all, squares torch.Tensor
	err = th.Do(ctx, func(s *torch.Scope) {
		all = normalised(s, f, 0, f.N).To(torch.Float64).Keep()
		squares = all.Square().SumDim(1, false).Keep()
	})
	if err != nil {
		return 0, err
	}
	defer all.Free()
	defer squares.Free()
	for from := 0; from < f.N; from += step {
		err := th.Do(ctx, func(s *torch.Scope) {
			s.NoGrad(func() {
				all, squares := s.Use(all), s.Use(squares)
				n := int64(min(step, f.N-from))
				distances := all.Narrow(0, int64(from), n).Matmul(all.T()).MulScalar(-2).Add(squares).Add(squares.Narrow(0, int64(from), n).Unsqueeze(1))
				sum += distances.MulScalar(-uniformity).Exp().Sum().Item()
			})
		})
		if err != nil {
			return 0, err
		}
	}
	return sum, nil
}
