package sigreg_test

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/sigreg"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// gradient returns Mean's values and the gradient by z, at z taken to a type.
func gradient(s *torch.Scope, e sigreg.EppsPulley, z, a torch.Tensor, dtype torch.DType) (mean, statistics, grad torch.Tensor) {
	z = z.Detach().Clone().To(dtype).SetRequiresGrad(true)
	mean, statistics = e.Mean(s, z, a.To(dtype))
	mean.Backward()
	return mean, statistics, z.Grad()
}

// formula is gradient by autograd of the formula, in float64.
func formula(s *torch.Scope, e sigreg.EppsPulley, z, a torch.Tensor) (mean, statistics, grad torch.Tensor) {
	z = z.Detach().To(torch.Float64).SetRequiresGrad(true)
	statistics = e.Direct(s, z, a.To(torch.Float64))
	mean = statistics.Mean()
	mean.Backward()
	return mean, statistics, z.Grad()
}

// TestAccuracyNearOptimum holds float32 to the formula in float64 where it is hardest: for samples of a standard Gaussian
// the gradient is of order 1/√N, made of cosines and sines of order one. The bound is 1e-5 of the gradient's largest
// element, at any N.
func TestAccuracyNearOptimum(t *testing.T) {
	for _, n := range []int64{2, 64, 257, 2048, 4099, 16384, 32768, 65536} {
		torchtest.Do(t, func(s *torch.Scope) {
			z := s.Randn(newRand(), torch.Float32, 1, n, 8)
			a := sigreg.Directions(s, torch.Float32, 1, uint64(n), 8, 16)
			_, want, wantGrad := formula(s, sigreg.Default(), z, a)
			_, got, grad := gradient(s, sigreg.Default(), z, a, torch.Float32)
			torchtest.Close(t, want.Float64s(), got.Float64s(), 1e-5, 0, "statistics of ", n)
			torchtest.Close(t, wantGrad.Float64s(), grad.Float64s(), 1e-5, 0, "gradient of ", n)
			t.Logf("N = %d: gradient off by %.1e of its largest element", n,
				grad.Sub(wantGrad).Abs().Max().Item()/wantGrad.Abs().Max().Item())
		})
	}
}

// TestTiles takes numbers of samples around the borders of blocks and tiles, samples too many for one tile, slabs that are
// not full, and rules of few and many knots, on one thread and on several.
func TestTiles(t *testing.T) {
	uniform := sigreg.EppsPulley{Knots: 64, TMax: 6, Weight: sigreg.UniformWeight}
	for i, c := range []struct {
		shape []int64
		rule  sigreg.EppsPulley
	}{
		{[]int64{1, 1, 2, 3}, sigreg.Default()},
		{[]int64{2, 255, 3, 5}, sigreg.Paper()},
		{[]int64{1, 256, 3, 4}, sigreg.EppsPulley{Knots: 2, TMax: 1}},
		{[]int64{3, 257, 3, 7}, uniform},
		{[]int64{1, 513, 2, 9}, sigreg.EppsPulley{Knots: 4, TMax: 2, Symmetric: true}},
		{[]int64{2, 1009, 3, 8}, sigreg.Default()},
		{[]int64{5, 16, 3, 200}, sigreg.Default()},
		{[]int64{1, 30000, 2, 3}, sigreg.Default()},                      // a row does not fit a tile
		{[]int64{1, 40000, 2, 2}, sigreg.Paper()},                        // nor is it cut evenly
		{[]int64{2, 2048, 2, 600}, sigreg.EppsPulley{Knots: 3, TMax: 2}}, // more than a slab
	} {
		for n := 1; n <= 3; n += 1 + i%2 {
			require.NoError(t, torchtest.Threads(t, n).Do(t.Context(), func(s *torch.Scope) {
				z, a := inputs(s, torch.Float64, c.shape, uint64(i), 1)
				wantMean, want, wantGrad := formula(s, c.rule, z, a)
				mean, got, grad := gradient(s, c.rule, z, a, torch.Float64)
				where := fmt.Sprint(c, " on threads: ", n)
				torchtest.Close(t, want.Float64s(), got.Float64s(), 1e-11, 1e-12, where)
				torchtest.Close(t, wantMean.Float64s(), mean.Float64s(), 1e-11, 1e-12, where)
				torchtest.Close(t, wantGrad.Float64s(), grad.Float64s(), 1e-10, 1e-14, where)
			}))
		}
	}
}

func TestTypes(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		z, a := inputs(s, torch.Float32, []int64{2, 50, 4, 6}, 3, 1)
		for _, dtype := range []torch.DType{torch.BFloat16, torch.Float16} {
			half := z.Detach().To(dtype)
			want, statistics, wantGrad := gradient(s, sigreg.Default(), half, a, torch.Float32)
			half.SetRequiresGrad(true)
			got, gotStatistics := sigreg.Default().Mean(s, half, a)
			got.Backward()
			assert.Equal(t, torch.Float32, got.DType())
			assert.Equal(t, want.Item(), got.Item())
			assert.Equal(t, statistics.Float64s(), gotStatistics.Float64s())
			assert.Equal(t, dtype, half.Grad().DType())
			assert.Equal(t, wantGrad.To(dtype).Float64s(), half.Grad().Float64s())
		}
		got, _, grad := gradient(s, sigreg.Default(), z, a, torch.Float64)
		assert.Equal(t, torch.Float64, got.DType())
		assert.Equal(t, torch.Float64, grad.DType())
	})
}

// TestHandles: whatever the type, two tensors are left in the caller's scope.
func TestHandles(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		for _, dtype := range []torch.DType{torch.Float32, torch.BFloat16} {
			z, a := inputs(s, dtype, []int64{2, 50, 4, 6}, 3, 1)
			live := s.Live()
			sigreg.Default().Mean(s, z, a)
			assert.Equal(t, live+2, s.Live(), dtype)
		}
	})
}

// TestMeanOfStridedInput takes embeddings as a network may leave them.
func TestMeanOfStridedInput(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		_, a := inputs(s, torch.Float64, []int64{1, 1, 6, 5}, 4, 1)
		x := s.FromFloat64(torchtest.Values(8, 3*7*12), 3, 7, 12)
		for name, z := range map[string]torch.Tensor{
			"narrowed":           x.Narrow(2, 3, 6),
			"samples first":      x.Narrow(2, 0, 6).Transpose(0, 1),
			"channels first":     x.Reshape(3, 12, 7).Narrow(1, 0, 6).Transpose(1, 2),
			"one view, expanded": x.Narrow(0, 1, 1).Narrow(2, 1, 6).Expand(4, -1, -1),
		} {
			want, statistics, wantGrad := formula(s, sigreg.Default(), z, a)
			leaf := z.Detach().SetRequiresGrad(true)
			got, gotStatistics := sigreg.Default().Mean(s, leaf, a.T().Contiguous().T())
			got.Backward()
			torchtest.Close(t, want.Float64s(), got.Float64s(), 1e-12, 0, name)
			torchtest.Close(t, statistics.Float64s(), gotStatistics.Float64s(), 1e-12, 0, name)
			torchtest.Close(t, wantGrad.Float64s(), leaf.Grad().Float64s(), 1e-11, 0, name)
		}
	})
}

// TestStatisticOfProjections: the statistic of projections that are there already is what Mean makes of them.
func TestStatisticOfProjections(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		for _, shape := range [][]int64{{2, 9, 4, 5}, {3, 5000, 2, 150}, {2000, 4, 3, 2}} {
			z, a := inputs(s, torch.Float64, shape, 6, 1)
			_, want, wantGrad := gradient(s, sigreg.Default(), z, a, torch.Float64)
			got := sigreg.Default().Statistic(s, z.Matmul(a))
			got.Mean().Backward()
			torchtest.Close(t, want.Float64s(), got.Float64s(), 1e-12, 0)
			torchtest.Close(t, wantGrad.Float64s(), z.Grad().Float64s(), 1e-12, 1e-16)
		}
	})
}

func TestExpected(t *testing.T) {
	assert.InDelta(t, 1.0525, sigreg.Default().Expected(), 5e-5)
	torchtest.Do(t, func(s *torch.Scope) {
		for _, e := range []sigreg.EppsPulley{sigreg.Default(), sigreg.Paper(), {Knots: 9, TMax: 2, Weight: sigreg.UniformWeight}} {
			v := e.Statistic(s, s.Randn(newRand(), torch.Float64, 16, 40000)) // 40,000 sets of 16 samples
			standardError := sigreg.StandardError(v.Unsqueeze(0))
			assert.InDelta(t, e.Expected(), v.Mean().Item(), 4*standardError, "%+v", e)
			assert.Less(t, standardError, 0.01*e.Expected(), "enough samples to tell")
		}
	})
}

func TestStandardError(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		// Means over two views of four slices: 1, 2, 3, 6. Their variance is 14/3.
		v := s.FromFloat64([]float64{0, 2, 2, 7, 2, 2, 4, 5}, 2, 4)
		assert.InDelta(t, math.Sqrt(14./3/4), sigreg.StandardError(v), 1e-12)
		assert.True(t, math.IsNaN(sigreg.StandardError(v.Narrow(1, 0, 1))), "one slice says nothing of others")
	})
}

func TestBadRanks(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		z, a := inputs(s, torch.Float64, []int64{1, 4, 2, 3}, 1, 1)
		for _, ranks := range []sigreg.Ranks{{Size: -1}, {Size: 4}, {Mean: func(*torch.Scope, torch.Tensor) {}}} {
			assert.Panics(t, func() { sigreg.Default().MeanAcross(s, z, a, ranks) })
		}
		assert.PanicsWithValue(t, "sigreg: Mean of the zero Tensor", func() { sigreg.Default().Mean(s, torch.Tensor{}, a) })
	})
}

// group is ranks that wait for each other and average, as processes of a training run do.
type group struct {
	size int
	mu   sync.Mutex
	all  *sync.Cond
	sum  []float64
	in   int // ranks that have come
	turn int
}

// mean replaces v by its mean over the ranks.
func (g *group) mean(v []float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.in == 0 {
		g.sum = make([]float64, len(v))
	}
	for i := range v {
		g.sum[i] += v[i] / float64(g.size)
	}
	if g.in++; g.in == g.size {
		g.in = 0
		g.turn++
		g.all.Broadcast()
	} else {
		for turn := g.turn; turn == g.turn; {
			g.all.Wait()
		}
	}
	copy(v, g.sum)
}

// TestRanks cuts a batch among ranks, each with a linear layer of the same weights. The value on every rank is that of the
// whole batch, and so is the weights' gradient, whether ranks sum their gradients or average them.
func TestRanks(t *testing.T) {
	const v, n, k = 2, 80, 3
	for _, m := range []int64{5, 16384} { // one slab, and several
		x := torchtest.Values(1, v*n*4)
		w := torchtest.Values(2, 4*k)
		evaluate := func(s *torch.Scope, x torch.Tensor, ranks sigreg.Ranks) (statistics []float64, mean float64, grad []float64) {
			w := s.FromFloat64(w, 4, k).SetRequiresGrad(true)
			value, all := sigreg.Default().MeanAcross(s, x.Matmul(w), sigreg.Directions(s, torch.Float64, 1, 1, k, int(m)), ranks)
			value.Backward()
			return all.Float64s(), value.Item(), w.Grad().Float64s()
		}
		var want, wantGrad []float64
		var wantMean float64
		torchtest.Do(t, func(s *torch.Scope) {
			want, wantMean, wantGrad = evaluate(s, s.FromFloat64(x, v, n, 4), sigreg.Ranks{})
		})
		for _, size := range []int{1, 2, 4} {
			for _, sum := range []bool{false, true} {
				g := &group{size: size}
				g.all = sync.NewCond(&g.mu)
				gradients := make([][]float64, size)
				var done sync.WaitGroup
				for rank := range size {
					th := torchtest.Threads(t, 1+rank%2)
					done.Add(1)
					go func() {
						defer done.Done()
						assert.NoError(t, th.Do(context.Background(), func(s *torch.Scope) {
							share := int64(n / size)
							mine := s.FromFloat64(x, v, n, 4).Narrow(1, int64(rank)*share, share)
							calls := 0
							got, mean, grad := evaluate(s, mine, sigreg.Ranks{Size: size, Sum: sum, Mean: func(s *torch.Scope, moments torch.Tensor) {
								calls++
								values := moments.Float64s()
								g.mean(values)
								moments.Copy_(s.FromFloat64(values, moments.Shape()...))
							}})
							assert.InDeltaSlice(t, want, got, 1e-11)
							assert.InDelta(t, wantMean, mean, 1e-11)
							assert.Positive(t, calls)
							gradients[rank] = grad
						}))
					}()
				}
				done.Wait()
				got := make([]float64, len(wantGrad))
				for _, grad := range gradients {
					for i := range grad {
						if sum {
							got[i] += grad[i]
						} else {
							got[i] += grad[i] / float64(size)
						}
					}
				}
				torchtest.Close(t, wantGrad, got, 1e-10, 0, fmt.Sprintf("%d slices, %d ranks, gradients summed: %v", m, size, sum))
			}
		}
	}
}
