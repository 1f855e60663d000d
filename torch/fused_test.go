package torch_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// separate is what a branch computes, by the operations one by one.
func separate(b torch.Branch, heads int64) torch.Tensor {
	y := b.X.LayerNorm(b.NormWeight, b.NormBias, b.Eps).Linear(b.Weight1, b.Bias1)
	if heads > 0 {
		q := y.Unflatten(2, 3, heads, -1).Permute(2, 0, 3, 1, 4).Unbind(0)
		w := q[0].MulScalar(1 / math.Sqrt(float64(q[0].Size(3)))).Matmul(q[1].Transpose(2, 3)).Softmax(-1)
		y = w.Matmul(q[2]).Transpose(1, 2).Flatten(2, 3)
	} else {
		y = y.Gelu()
	}
	y = y.Linear(b.Weight2, b.Bias2)
	if b.Keep.Defined() {
		y = y.Mul(b.Keep.To(y.DType()).Reshape(-1, 1, 1))
	}
	return b.X.Add(y)
}

// TestBranchesEqualTheirOperations compares values and all gradients, over one chunk of samples and several, some of them
// dropped, with one thread and two.
func TestBranchesEqualTheirOperations(t *testing.T) {
	for _, c := range []struct {
		samples, tokens, threads int64
		dtype                    torch.DType
		autocast, drop           bool
		tolerance                float64
	}{
		{samples: 3, tokens: 5, threads: 1, dtype: torch.Float64, tolerance: 1e-12},
		{samples: 3, tokens: 5, threads: 2, dtype: torch.Float64, drop: true, tolerance: 1e-12},
		{samples: 40, tokens: 130, threads: 1, dtype: torch.Float64, drop: true, tolerance: 1e-12},
		{samples: 40, tokens: 130, threads: 2, dtype: torch.Float64, tolerance: 1e-12},
		{samples: 1, tokens: 1, threads: 2, dtype: torch.Float64, tolerance: 1e-12},
		{samples: 40, tokens: 130, threads: 2, dtype: torch.Float32, drop: true, tolerance: 3e-6},
		{samples: 7, tokens: 9, threads: 2, dtype: torch.Float32, autocast: true, drop: true, tolerance: 2e-2},
	} {
		for heads := range int64(3) {
			t.Run(fmt.Sprintf("%+v, %d heads", c, heads), func(t *testing.T) {
				const width = 8
				th, err := torch.Start(torch.Options{Threads: int(c.threads)})
				require.NoError(t, err)
				defer th.Close()
				require.NoError(t, th.Do(context.Background(), func(s *torch.Scope) {
					r := rng.New(1, rng.Sample, 0, 0)
					leaf := func(scale float64, shape ...int64) torch.Tensor {
						return s.Randn(r, c.dtype, shape...).MulScalar(scale).SetRequiresGrad(true)
					}
					in, out := int64(12), int64(12)
					if heads > 0 {
						in, out = 3*width, width
					}
					// Not in C order, as what an encoder cuts out of more tokens.
					x := leaf(1, c.tokens, c.samples, width)
					b := torch.Branch{
						X: x.Transpose(0, 1), NormWeight: leaf(1, width), NormBias: leaf(1, width), Eps: 1e-6,
						Weight1: leaf(0.3, in, width), Bias1: leaf(1, in), Weight2: leaf(0.3, width, out), Bias2: leaf(1, width),
					}
					if c.drop {
						keep := make([]float32, c.samples)
						for i := range keep {
							keep[i] = float32(i%3) / 2
						}
						b.Keep = s.FromFloat32(keep, c.samples)
					}
					up := s.Randn(r, c.dtype, c.samples, c.tokens, width)
					leaves := []torch.Tensor{x, b.NormWeight, b.NormBias, b.Weight1, b.Bias1, b.Weight2, b.Bias2}
					run := func(f func() torch.Tensor) (all [][]float64) {
						for _, l := range leaves {
							l.SetGrad(torch.Tensor{})
						}
						var y torch.Tensor
						if c.autocast {
							s.Autocast(torch.BFloat16, func() { y = f() })
						} else {
							y = f()
						}
						y.Mul(up).Sum().Backward()
						all = append(all, y.Float64s())
						for _, l := range leaves {
							all = append(all, l.Grad().Float64s())
						}
						return all
					}
					want := run(func() torch.Tensor { return separate(b, heads) })
					fused := func() torch.Tensor {
						if heads > 0 {
							return b.Attention(s, heads)
						}
						return b.MLP(s)
					}
					got := run(fused)
					for i, name := range []string{"value", "x", "norm.weight", "norm.bias", "weight1", "bias1", "weight2", "bias2"} {
						assert.LessOrEqual(t, distance(want[i], got[i]), c.tolerance, name)
					}
					assert.Equal(t, got, run(fused), "to the bit in every run")
					s.NoGrad(func() {
						assert.LessOrEqual(t, distance(want[0], fused().Float64s()), max(c.tolerance, 1e-12), "without a graph")
					})
				}))
			})
		}
	}
}

// distance is the norm of a − b, relative to a's.
func distance(a, b []float64) float64 {
	var difference, norm float64
	for i := range a {
		difference += (a[i] - b[i]) * (a[i] - b[i])
		norm += a[i] * a[i]
	}
	return math.Sqrt(difference / norm)
}

func TestBranchSaysWhatDoesNotFit(t *testing.T) {
	err := torchtest.Thread(t).Do(context.Background(), func(s *torch.Scope) {
		one := func(shape ...int64) torch.Tensor { return s.Ones(torch.Float32, shape...) }
		torch.Branch{X: one(2, 3, 4), NormWeight: one(4), NormBias: one(4), Weight1: one(6, 5), Bias1: one(6), Weight2: one(4, 6), Bias2: one(4)}.MLP(s)
	})
	assert.ErrorContains(t, err, "mlp_branch(float32[2 3 4]")
}
