package eval

import (
	"context"
	"errors"
	"fmt"

	"github.com/gojepa/gojepa/sigreg"
	"github.com/gojepa/gojepa/torch"
)

// GaussianOptions are those of [MeasureGaussian].
type GaussianOptions struct {
	SetSize int // samples that a statistic is of; all if there are fewer
	Slices  sigreg.Slices
	Test    sigreg.EppsPulley
}

// DefaultGaussian is what training minimises by default: 1024 directions and batches of 256.
func DefaultGaussian() GaussianOptions {
	return GaussianOptions{SetSize: 256, Slices: sigreg.Slices{Count: 1024}, Test: sigreg.Default()}
}

func (o GaussianOptions) check() error {
	var errs []error
	if o.SetSize < 1 {
		errs = append(errs, fmt.Errorf("SetSize is %d: expected 1 or more", o.SetSize))
	}
	if err := errors.Join(append(errs, o.Slices.Validate(), o.Test.Validate())...); err != nil {
		return fmt.Errorf("eval: SIGReg: %w", err)
	}
	return nil
}

// Gaussian says how far features are from an isotropic Gaussian.
type Gaussian struct {
	// SIGReg is the mean of the Epps-Pulley statistic over directions and sets (arXiv 2511.08544, section 4.2), of features that
	// are moved to mean 0 and scaled by one number to variance 1 on average, as training leaves an encoder's both open. It
	// grows with the size of sets, unless features are Gaussian. NaN where all samples are equal.
	SIGReg   float64
	Expected float64 // what it is on average for a standard Gaussian
	SetSize  int     // samples in a set
	Sets     int     // what is left over of the samples goes unseen
}

// MeasureGaussian is SIGReg of held-out features, in float32. It needs no labels.
func MeasureGaussian(ctx context.Context, th *torch.Thread, f Features, o GaussianOptions) (Gaussian, error) {
	if err := o.check(); err != nil {
		return Gaussian{}, err
	}
	if err := f.check("features"); err != nil {
		return Gaussian{}, err
	}
	g := Gaussian{SetSize: min(o.SetSize, f.N), Expected: o.Test.Expected()}
	g.Sets = f.N / g.SetSize
	err := th.Do(ctx, func(s *torch.Scope) {
		s.NoGrad(func() {
			x := s.FromFloat32(f.X[:g.Sets*g.SetSize*f.D], int64(g.Sets), int64(g.SetSize), int64(f.D))
			x = x.Sub(x.MeanDims(true, 0, 1))
			x = x.Div(x.Square().Mean().Sqrt())
			mean, _ := sigreg.Sliced{Test: o.Test}.Mean(s, x, o.Slices.At(s, torch.Float32, 0, f.D))
			g.SIGReg = mean.Item()
		})
	})
	if err != nil {
		return Gaussian{}, fmt.Errorf("eval: SIGReg: %w", err)
	}
	return g, nil
}
