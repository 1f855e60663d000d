package sigreg

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/torch"
)

// Slices says which directions embeddings are projected on.
type Slices struct {
	Count    int      // M, 1 or more; 1024 in the published recipe
	Sampling Sampling // how they are drawn together
	Every    int      // steps for which they stay the same; 0 and 1: new ones at each
	Seed     uint64   // names them, together with the step
}

// Sampling is how the directions of one step are drawn. Each by itself is uniform on the sphere in any case.
type Sampling int

// The ways of drawing directions.
const (
	Independent Sampling = iota // of each other: normalised Gaussian vectors
	// Orthogonal draws bases: every K directions are at right angles to each other, K the width of the embeddings, and
	// independent of the rest. They cover the sphere more evenly, which lowers the variance of the mean over slices where
	// K is small beside their number.
	Orthogonal
)

// String returns the name of s: "independent" or "orthogonal".
func (s Sampling) String() string {
	switch s {
	case Independent:
		return "independent"
	case Orthogonal:
		return "orthogonal"
	}
	return fmt.Sprintf("(%d)", int(s))
}

// Validate reports every value that is out of range.
func (d Slices) Validate() error {
	var errs []error
	if d.Count < 1 {
		errs = append(errs, fmt.Errorf("slices: %d, expected 1 or more", d.Count))
	}
	if d.Sampling != Independent && d.Sampling != Orthogonal {
		errs = append(errs, fmt.Errorf("sampling: %d, expected Independent or Orthogonal", d.Sampling))
	}
	if d.Every < 0 {
		errs = append(errs, fmt.Errorf("every: %d, expected 0 or more steps", d.Every))
	}
	return errors.Join(errs...)
}

// At draws the unit vectors of a step as the columns of a tensor [k, Count]. No gradient. They are drawn on the CPU and
// depend on d, step and k alone: equal on every device and every rank. (Orthogonal ones go through a QR decomposition in
// float64, whose last digits depend on the kind of processor and on the number of threads.) It panics if d does not pass
// Validate, and where k is less than 1.
func (d Slices) At(s *torch.Scope, dtype torch.DType, step uint64, k int) torch.Tensor {
	if err := d.Validate(); err != nil {
		panic(fmt.Sprintf("sigreg: Slices: %v", err))
	}
	if k < 1 {
		panic(fmt.Sprintf("sigreg: Slices: directions of %d dimensions, expected 1 or more", k))
	}
	if d.Every > 1 {
		step /= uint64(d.Every)
	}
	if d.Sampling == Orthogonal {
		return d.bases(s, dtype, step, k)
	}
	return d.independent(s, dtype, step, k)
}

// bases draws orthonormal bases, or a part of one: Q of the QR decomposition of a Gaussian matrix, with the signs that make
// it uniform among all (Mezzadri 2007, "How to generate random matrices from the classical compact groups").
func (d Slices) bases(s *torch.Scope, dtype torch.DType, step uint64, k int) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		width := min(k, d.Count)
		count := (d.Count + width - 1) / width
		var bases torch.Tensor
		s.OnCPU(func() {
			a := s.FromFloat64(normal(d.Seed, step, count*k, width), int64(count), int64(k), int64(width))
			bases = s.Empty(torch.Float64, int64(count), int64(k), int64(width))
			s.Parallel(count, func(s *torch.Scope, _, i int) {
				q, r := s.Use(a).Select(0, int64(i)).QR()
				s.Use(bases).Select(0, int64(i)).Copy_(q.Mul(r.Diagonal().Sign()))
			})
		})
		// [count, k, width] to columns.
		columns := bases.Transpose(1, 2).Reshape(int64(count*width), int64(k)).Narrow(0, 0, int64(d.Count)).T()
		return columns.To(dtype).ToDevice(s.Device()).Contiguous()
	})
}

// Directions draws m independent unit vectors, uniform on the sphere of k dimensions, as the columns of a tensor [k, m]:
// [Slices] without options.
func Directions(s *torch.Scope, dtype torch.DType, seed, step uint64, k, m int) torch.Tensor {
	return Slices{Count: m, Seed: seed}.At(s, dtype, step, k)
}

// independent draws unit vectors that have nothing to do with each other.
func (d Slices) independent(s *torch.Scope, dtype torch.DType, step uint64, k int) torch.Tensor {
	m := d.Count
	a := normal(d.Seed, step, k, m)
	norm := make([]float64, m)
	for i := range k {
		for j, v := range a[i*m : (i+1)*m] {
			norm[j] += v * v
		}
	}
	for j := range norm {
		norm[j] = 1 / math.Sqrt(norm[j])
	}
	if dtype == torch.Float32 { // the usual case, without a copy in between
		unit := make([]float32, k*m)
		for i, v := range a {
			unit[i] = float32(v * norm[i%m])
		}
		return s.FromFloat32(unit, int64(k), int64(m))
	}
	for i := range a {
		a[i] *= norm[i%m]
	}
	return s.FromFloat64(a, int64(k), int64(m)).To(dtype)
}

// normal draws independent standard Gaussian numbers [rows, columns], each row from a stream of its own.
func normal(seed, step uint64, rows, columns int) []float64 {
	a := make([]float64, rows*columns)
	const part = 1 << 14 // numbers, of about 10 ns each
	size := max(1, part/columns)
	var w sync.WaitGroup
	for first := 0; first < rows; first += size {
		w.Add(1)
		go func() {
			defer w.Done()
			for i := first; i < min(rows, first+size); i++ {
				r := rng.New(seed, rng.Slices, step, uint64(i))
				row := a[i*columns : (i+1)*columns]
				for j := range row {
					row[j] = r.NormFloat64()
				}
			}
		}()
	}
	w.Wait()
	return a
}
