package nn

import (
	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/torch"
)

// DropPath is stochastic depth: in training it zeroes a residual branch for some samples of the batch and divides the
// others by the probability to be kept, so that the expectation stays (Huang et al., arXiv 1603.09382).
type DropPath struct {
	Rate  float64 // probability to drop, in [0, 1]
	Layer uint32  // separates the masks of one pass
}

// DropPathRate is the rate of the i-th of n blocks, rising linearly from 0 in the first to last in the last; 0 for a single one.
func DropPathRate(last float64, i, n int) float64 {
	if n < 2 {
		return 0
	}
	return last * float64(i) / float64(n-1)
}

// Forward applies one mask value to each of the N rows of x [N, ...]. Masks depend on the Pass, the layer and the row,
// never on the device or on what was drawn before. Gradient flows through the rows that are kept.
func (d DropPath) Forward(s *torch.Scope, x torch.Tensor, p Pass) torch.Tensor {
	if d.Rate == 0 || !p.Train {
		return x
	}
	return s.Child(func(s *torch.Scope) torch.Tensor {
		shape := make([]int64, x.Dim())
		for i := range shape {
			shape[i] = 1
		}
		shape[0] = x.Size(0)
		return x.Mul(d.Keep(s, shape[0], p).Reshape(shape...).To(x.DType()))
	})
}

// Keep returns the factors [n] of the rows that Forward would have, in float32; the zero Tensor if all are 1.
func (d DropPath) Keep(s *torch.Scope, n int64, p Pass) torch.Tensor {
	if d.Rate == 0 || !p.Train {
		return torch.Tensor{}
	}
	return s.FromFloat32(d.mask(int(n), p), n)
}

func (d DropPath) mask(n int, p Pass) []float32 {
	r := rng.New(p.Seed, rng.DropPath, p.Step, p.Part<<32|uint64(d.Layer))
	for range p.Row {
		r.Float64()
	}
	keep := 1 - d.Rate
	mask := make([]float32, n)
	for i := range mask {
		if r.Float64() < keep {
			mask[i] = float32(1 / keep)
		}
	}
	return mask
}
