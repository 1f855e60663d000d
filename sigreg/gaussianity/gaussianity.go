// Package gaussianity measures how far a set of embeddings is from samples of an isotropic Gaussian, which is what SIGReg
// drives embeddings to (Balestriero & LeCun 2025, arXiv 2511.08544).
//
// [Examine] takes the embeddings through the tests of packages sigreg, univariate and multivariate, looks at the spectrum
// of their covariance, and searches for the directions on which they are least Gaussian. What each number comes to for
// Gaussian samples is found by simulation: as many samples of as many dimensions are drawn, put through the same steps
// with the same directions, and counted. P-values are thereby exact at any number of samples and dimensions, for the
// search too, which finds something odd in any set.
//
// A p-value says whether a difference is more than chance, not whether it is large: with enough samples the smallest
// difference shows. How large it is say [Statistic.Ratio], [Sliced.Beyond] and the spectrum.
package gaussianity

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/gojepa/gojepa/torch"
)

// Options say how embeddings are examined.
type Options struct {
	Standardise Standardise
	Samples     int    // rows to examine at most, drawn at random if there are more; 0 for all
	Slices      int    // random directions, 2 or more
	Simulations int    // sets of Gaussian samples to compare with, 19 or more: p-values are multiples of 1/(Simulations+1)
	Directions  int    // least Gaussian directions to describe, 0 or more; no more than there are dimensions
	Seed        uint64 // names all that is random: the rows, the slices, the simulated samples

	// Progress, if not nil, is told how many sets have been measured, of Simulations + 1. It is called from one thread at a
	// time.
	Progress func(done, total int)
}

// DefaultOptions take up to 2,048 rows, centred and of variance 1 on average, through 256 slices, beside 99 simulated sets.
func DefaultOptions() Options {
	return Options{Standardise: Scale, Samples: 2048, Slices: 256, Simulations: 99, Directions: 3}
}

// Fewer samples say nothing, and fewer simulations cannot show a p-value of 5 %.
const leastSamples, leastSimulations = 8, 19

// Validate reports every option that is out of range.
func (o Options) Validate() error {
	var errs []error
	if o.Standardise < None || o.Standardise > Whiten {
		errs = append(errs, fmt.Errorf("standardise: %v, expected None, Scale or Whiten", o.Standardise))
	}
	if o.Samples != 0 && o.Samples < leastSamples {
		errs = append(errs, fmt.Errorf("samples: %d, expected 0 for all, or %d or more", o.Samples, leastSamples))
	}
	for _, n := range []struct {
		name        string
		value, from int
	}{{"slices", o.Slices, 2}, {"simulations", o.Simulations, leastSimulations}, {"directions", o.Directions, 0}} {
		if n.value < n.from {
			errs = append(errs, fmt.Errorf("%s: %d, expected %d or more", n.name, n.value, n.from))
		}
	}
	return errors.Join(errs...)
}

// Examine measures embeddings z [N, K] of a floating-point type, one in each row. Rows are taken for independent: views of
// one image are not, and belong into sets of their own. All is computed in float64, and does not depend on the number of
// threads but for rounding.
//
// The error is ctx's if it was done before the end, or names what cannot be measured: a z of another shape or type, fewer
// than 8 rows, values that are not finite or beyond 1e60, rows that are all equal where they are to be scaled, and a
// covariance without an inverse where they are to be whitened. libtorch's own failures, such as a lack of memory, panic as
// all operations do.
func Examine(ctx context.Context, s *torch.Scope, z torch.Tensor, o Options) (report *Report, err error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s.NoGrad(func() {
		s.Child(func(s *torch.Scope) torch.Tensor {
			var d data
			if d, err = take(s, z, o); err != nil {
				return torch.Tensor{}
			}
			report, err = newExam(s, o, d).run(ctx, s)
			return torch.Tensor{}
		})
	})
	return report, err
}

// largest is the magnitude that values may have: their fourth powers, and sums of these, stay finite.
const largest = 1e60

// data are the rows that are examined.
type data struct {
	z          torch.Tensor // [N, K], float64
	total      int          // rows that there are
	rows       []int        // which these are, rising
	duplicates int          // that equal a row before them
	constant   []int        // columns without variance
}

// take chooses the rows to examine and looks for what cannot be.
func take(s *torch.Scope, z torch.Tensor, o Options) (data, error) {
	if !z.Defined() || z.Dim() != 2 || !z.DType().IsFloat() {
		return data{}, fmt.Errorf("embeddings are %v, expected a floating-point type of shape [N, K]", z)
	}
	n, k := int(z.Size(0)), int(z.Size(1))
	if n < leastSamples || k < 1 {
		return data{}, fmt.Errorf("embeddings are %v: expected %d rows or more, of one column or more", z, leastSamples)
	}
	z = z.Detach().ToDevice(s.Device())
	if !z.AllFinite() {
		return data{}, notFinite(z.Float64s(), k)
	}
	d := data{total: n, rows: Sample(n, o.Samples, o.Seed)}
	index := make([]int64, len(d.rows))
	for i, row := range d.rows {
		index[i] = int64(row)
	}
	d.z = z.IndexSelect(0, s.FromInt64(index, int64(len(index)))).To(torch.Float64).Contiguous()
	values := d.z.Float64s()
	for i, v := range values {
		if math.Abs(v) > largest {
			return data{}, fmt.Errorf("row %d, column %d is %g: expected values up to %g", d.rows[i/k], i%k, v, largest)
		}
	}
	d.duplicates, d.constant = duplicates(values, k), constant(values, k)
	return d, nil
}
