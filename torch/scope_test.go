package torch_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

func TestScopeOwnsAndFrees(t *testing.T) {
	before := torch.LiveHandles()
	torchtest.Do(t, func(s *torch.Scope) {
		x := s.Ones(torch.Float32, 2)
		y := s.Child(func(s *torch.Scope) torch.Tensor {
			for range 10 {
				x.AddScalar(1)
			}
			assert.Equal(t, before+11, torch.LiveHandles())
			return x.MulScalar(3)
		})
		assert.Equal(t, before+2, torch.LiveHandles())
		assert.Equal(t, []float32{3, 3}, y.Float32s())

		same := s.Child(func(*torch.Scope) torch.Tensor { return x })
		assert.Equal(t, x, same, "a tensor of an outer scope passes through")

		var a, b torch.Tensor
		s.Child(func(c *torch.Scope) torch.Tensor {
			a, b = x.Neg(), x.Square()
			c.Return(a, b)
			return torch.Tensor{}
		})
		assert.Equal(t, []float32{-1, -1}, a.Float32s())
		assert.Equal(t, []float32{1, 1}, b.Float32s())
	})
	assert.Equal(t, before, torch.LiveHandles())
}

func TestKeep(t *testing.T) {
	th := torchtest.Thread(t)
	before := torch.LiveHandles()
	var kept torch.Tensor
	require.NoError(t, th.Do(ctx, func(s *torch.Scope) {
		x := s.Ones(torch.Float32, 2)
		s.Child(func(*torch.Scope) torch.Tensor {
			kept = x.AddScalar(1).Keep()
			return torch.Tensor{}
		})
	}))
	assert.Equal(t, before+1, torch.LiveHandles())
	assert.PanicsWithValue(t, "torch: operation outside Do", func() { kept.Neg() })
	require.NoError(t, th.Do(ctx, func(s *torch.Scope) {
		assert.Equal(t, []float32{2, 2}, kept.Float32s())
		assert.Panics(t, func() { kept.Keep() }, "kept already")
	}))
	kept.Free()
	torch.Tensor{}.Free()
	assert.Equal(t, before, torch.LiveHandles())
}

func TestBackwardThroughFreedHandles(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		x := s.Full(torch.Float64, 2, 3).SetRequiresGrad(true)
		y := x
		for range 20 { // each layer frees its intermediates before the backward
			y = s.Child(func(*torch.Scope) torch.Tensor { return y.MulScalar(3).SubScalar(1).DivScalar(3) })
		}
		assert.LessOrEqual(t, s.Live(), 21, "handles at the time of backward: one for each layer")
		y.Sum().Backward()
		torchtest.Close(t, []float64{1, 1, 1}, x.Grad().Float64s(), 1e-12, 0)
	})
}

// TestMemoryStaysFlat runs 10,000 steps of a small training loop and looks at resident memory.
func TestMemoryStaysFlat(t *testing.T) {
	th := torchtest.Thread(t)
	params := torch.NewParams(1, torch.Float32)
	defer params.Close()
	var w torch.Tensor
	require.NoError(t, th.Do(ctx, func(s *torch.Scope) {
		w = params.Root().Param(s, "weight", ones, 16, 16)
		params.Flatten(s)
	}))
	step := func(i int) {
		require.NoError(t, th.Do(ctx, func(s *torch.Scope) {
			params.ZeroGrad(s)
			x := s.FromFloat32(make([]float32, 32*16), 32, 16)
			for range 4 {
				x = s.Child(func(*torch.Scope) torch.Tensor { return x.Linear(w, torch.Tensor{}).Relu() })
			}
			x.Square().Mean().Backward()
			s.NoGrad(func() { w.AddScaled_(w.Grad(), -0.01) })
		}))
		if i%50 == 0 { // failures must not leak either; they are slow, as C++ walks its stack
			_ = th.Do(ctx, func(s *torch.Scope) { s.Zeros(torch.Float32, 2).Reshape(3) })
		}
	}
	for i := range 1000 {
		step(i)
	}
	before := torchtest.Memory(t, "VmRSS")
	for i := range 10_000 {
		step(i)
	}
	assert.Less(t, torchtest.Memory(t, "VmRSS")-before, int64(8<<20), "bytes gained in 10,000 steps")
}

func TestTry(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		x := s.Ones(torch.Float32, 2)
		live := s.Live()
		err := s.Try(func(s *torch.Scope) {
			s.Child(func(*torch.Scope) torch.Tensor { return x.AddScalar(1).Reshape(3) })
		})
		assert.ErrorContains(t, err, "torch: reshape(float32[2])")
		assert.Equal(t, live, s.Live(), "scopes that were open are closed")
		assert.NoError(t, s.Try(func(s *torch.Scope) { assert.Equal(t, []float32{2, 2}, x.AddScalar(1).Float32s()) }))
		assert.Equal(t, live, s.Live())
		s.Child(func(*torch.Scope) torch.Tensor { return x.AddScalar(1) }) // s is the innermost scope again
		assert.PanicsWithValue(t, "not of libtorch", func() { _ = s.Try(func(*torch.Scope) { panic("not of libtorch") }) })
	})
}
