package torch_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/sugarme/gotch/libtch"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

func TestParallelDoesEveryPieceOnce(t *testing.T) {
	for _, n := range []int{1, 2, 4} {
		th := torchtest.Threads(t, n)
		for _, pieces := range []int{0, 1, 3, 50} {
			require.NoError(t, th.Do(ctx, func(s *torch.Scope) {
				sums := s.Zeros(torch.Float32, 50)
				var busy [4]atomic.Bool
				s.Parallel(pieces, func(s *torch.Scope, worker, piece int) {
					assert.Less(t, worker, n)
					assert.True(t, busy[worker].CompareAndSwap(false, true), "a worker does one piece at a time")
					s.Use(sums).Select(0, int64(piece)).Add_(s.Full(torch.Float32, float64(piece)))
					busy[worker].Store(false)
				})
				want := make([]float32, 50)
				for i := range pieces {
					want[i] = float32(i)
				}
				assert.Equal(t, want, sums.Float32s())
			}))
		}
		usable(t, th)
	}
}

// TestParallelIsOneThread: inside, an operation is computed as on one thread, and outside as before.
func TestParallelIsOneThread(t *testing.T) {
	require.NoError(t, torchtest.Threads(t, 2).Do(ctx, func(s *torch.Scope) {
		x := s.FromFloat64(torchtest.Values(1, 1<<20), 1<<20).To(torch.Float32)
		var inside [2]float64
		s.Parallel(2, func(s *torch.Scope, _, piece int) { inside[piece] = s.Use(x).Sum().Item() })
		outside := x.Sum().Item()
		require.NoError(t, torchtest.Threads(t, 1).Do(ctx, func(s *torch.Scope) {
			assert.Equal(t, []float64{s.Use(x).Sum().Item(), s.Use(x).Sum().Item()}, inside[:])
		}))
		assert.InDelta(t, inside[0], outside, 1)
		assert.NotEqual(t, inside[0], outside, "two threads add up in another order: the comparison above tells")
		assert.Equal(t, 2, s.NumThreads())
	}))
}

func TestParallelModes(t *testing.T) {
	for _, n := range []int{1, 2} {
		require.NoError(t, torchtest.Threads(t, n).Do(ctx, func(s *torch.Scope) {
			x := s.Ones(torch.Float32, 2, 2).SetRequiresGrad(true)
			s.Autocast(torch.BFloat16, func() {
				s.Parallel(4, func(s *torch.Scope, _, _ int) {
					y := s.Use(x).Matmul(x)
					assert.False(t, y.RequiresGrad(), "no gradients inside")
					assert.Equal(t, torch.Float32, y.DType(), "no autocast inside")
				})
				y := x.Matmul(x)
				assert.True(t, y.RequiresGrad(), "gradients outside, as before")
				assert.Equal(t, torch.BFloat16, y.DType(), "autocast outside, as before")
			})
		}))
	}
}

func TestParallelFailures(t *testing.T) {
	for _, n := range []int{1, 2} {
		th := torchtest.Threads(t, n)
		err := th.Do(ctx, func(s *torch.Scope) {
			x := s.Zeros(torch.Float32, 2, 3)
			s.Parallel(8, func(s *torch.Scope, _, piece int) {
				s.Use(x).AddScalar(1) // owned by the piece's scope
				if piece == 3 {
					s.Child(func(s *torch.Scope) torch.Tensor { return s.Use(x).Matmul(x) })
				}
			})
		})
		var e *torch.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, "matmul", e.Op)
		assert.Zero(t, torch.LiveHandles())
		usable(t, th)

		oops := errors.New("oops")
		func() {
			defer func() {
				p, ok := recover().(*torch.Panic)
				require.True(t, ok)
				assert.Equal(t, oops, p.Value)
				assert.Contains(t, string(p.Stack), "TestParallelFailures", "the stack of the panic")
			}()
			_ = th.Do(ctx, func(s *torch.Scope) {
				s.Parallel(2, func(*torch.Scope, int, int) { panic(oops) })
			})
		}()
		usable(t, th)
	}
}

func TestWithGradient(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		data := func(v ...float64) torch.Tensor { return s.FromFloat64(v, int64(len(v))) }
		x := data(1, 2, 3).SetRequiresGrad(true)

		// y = x², given a gradient that is not its own, and used twice.
		y := x.Detach().Square().WithGradient(x, data(10, 20, 30))
		assert.Equal(t, []float64{1, 4, 9}, y.Float64s())
		y.Square().Sum().Backward()
		assert.Equal(t, []float64{20, 160, 540}, x.Grad().Float64s())

		// A scalar of many, and one value for each column.
		x = s.FromFloat64([]float64{1, 2, 3, 4}, 2, 2).SetRequiresGrad(true)
		s.Child(func(s *torch.Scope) torch.Tensor {
			scalar := s.Full(torch.Float64, 7).WithGradient(x, s.FromFloat64([]float64{1, 2, 3, 4}, 2, 2))
			columns := s.FromFloat64([]float64{5, 6}, 1, 2).WithGradient(x, s.Ones(torch.Float64, 2, 2))
			scalar.MulScalar(2).Add(columns.Mul(s.FromFloat64([]float64{10, 20}, 2)).Sum()).Backward()
			return torch.Tensor{}
		})
		assert.Equal(t, []float64{12, 24, 16, 28}, x.Grad().Float64s())

		// The gradient that a handle still refers to stays as it is, and so does one whose memory is another's too.
		for _, view := range []bool{false, true} {
			grad := s.Ones(torch.Float64, 2, 2)
			given := grad
			if view {
				given = grad.T()
			}
			s.Full(torch.Float64, 7).WithGradient(x, given).MulScalar(5).Backward()
			assert.Equal(t, []float64{1, 1, 1, 1}, grad.Float64s())
		}

		// Without anything to flow into, and where gradients are off, it is its value.
		assert.False(t, data(1).WithGradient(data(2), data(3)).RequiresGrad())
		s.NoGrad(func() { assert.False(t, data(1).WithGradient(data(2).SetRequiresGrad(true), data(3)).RequiresGrad()) })
	})
}

// TestWithGradientTakesMemory: a backward that frees the graph leaves the gradient where it was.
func TestWithGradientTakesMemory(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		address := func(t torch.Tensor) unsafe.Pointer {
			h := libtch.Ctensor(t.NewHandle())
			defer libtch.AtFree(h)
			return libtch.AtDataPtr(h)
		}
		x := s.Ones(torch.Float32, 1000).SetRequiresGrad(true)
		var given unsafe.Pointer
		y := s.Child(func(s *torch.Scope) torch.Tensor {
			grad := s.Ones(torch.Float32, 1000)
			given = address(grad)
			return s.Full(torch.Float32, 7).WithGradient(x, grad)
		})
		y.MulScalar(3).Backward()
		assert.Equal(t, given, address(x.Grad()))
		assert.Equal(t, float64(3), x.Grad().Max().Item())
	})
}

// TestParallelFindsOuterReceivers: on any number of threads.
func TestParallelFindsOuterReceivers(t *testing.T) {
	for _, n := range []int{1, 2} {
		th := torchtest.Threads(t, n)
		func() {
			defer func() {
				p, ok := recover().(*torch.Panic)
				require.True(t, ok)
				assert.Equal(t, "torch: operation outside Do", p.Value)
			}()
			_ = th.Do(ctx, func(s *torch.Scope) {
				x := s.Ones(torch.Float32, 2)
				s.Parallel(2, func(*torch.Scope, int, int) { x.AddScalar(1) })
			})
		}()
		usable(t, th)
	}
}

func TestZeroTensor(t *testing.T) {
	for _, f := range []func(){
		func() { torch.Tensor{}.DType() }, func() { torch.Tensor{}.Shape() }, func() { torch.Tensor{}.Device() },
		func() { torch.Tensor{}.RequiresGrad() },
	} {
		assert.PanicsWithValue(t, "torch: the zero Tensor has neither shape nor type", f)
	}
}

func TestWithGradientFails(t *testing.T) {
	for message, f := range map[string]func(s *torch.Scope){
		"expected three tensors of one type, the last two of one shape, to which the first can be broadcast": func(s *torch.Scope) {
			s.Ones(torch.Float32, 1).WithGradient(s.Ones(torch.Float32, 2), s.Ones(torch.Float32, 3))
		},
		"float64[1], float32[2], float32[2]": func(s *torch.Scope) {
			s.Ones(torch.Float64, 1).WithGradient(s.Ones(torch.Float32, 2), s.Ones(torch.Float32, 2))
		},
		"float32[5], float32[1], float32[1]": func(s *torch.Scope) {
			s.Ones(torch.Float32, 5).WithGradient(s.Ones(torch.Float32, 1), s.Ones(torch.Float32, 1))
		},
		"backward": func(s *torch.Scope) {
			x := s.Ones(torch.Float32, 2).SetRequiresGrad(true)
			y := s.Ones(torch.Float32).WithGradient(x, s.Ones(torch.Float32, 2))
			y.Backward()
			y.Backward()
		},
	} {
		th := torchtest.Thread(t)
		assert.ErrorContains(t, th.Do(ctx, f), message)
		usable(t, th)
	}
}
