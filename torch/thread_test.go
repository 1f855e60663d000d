package torch_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

func TestMain(m *testing.M) { torchtest.Main(m) }

var ctx = context.Background()

// usable fails unless th still computes, with gradients and without autocast.
func usable(t *testing.T, th *torch.Thread) {
	t.Helper()
	err := th.Do(ctx, func(s *torch.Scope) {
		x := s.Full(torch.Float32, 3, 2).SetRequiresGrad(true)
		x.Square().Sum().Backward()
		assert.Equal(t, []float32{6, 6}, x.Grad().Float32s())
		_, on := s.AutocastDType()
		assert.False(t, on)
		assert.True(t, s.GradEnabled())
	})
	require.NoError(t, err)
}

func TestFailureBecomesError(t *testing.T) {
	th := torchtest.Thread(t)
	err := th.Do(ctx, func(s *torch.Scope) {
		s.NoGrad(func() {
			s.Autocast(torch.BFloat16, func() {
				s.Zeros(torch.Float32, 2, 3).Matmul(s.Zeros(torch.Float32, 4, 5))
			})
		})
	})
	var e *torch.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, "matmul", e.Op)
	assert.Equal(t, []string{"float32[2 3]", "float32[4 5]"}, e.Args)
	assert.True(t, strings.HasPrefix(err.Error(), "torch: matmul(float32[2 3], float32[4 5]): mat1 and mat2 shapes"), err)
	assert.NotContains(t, err.Error(), "Exception raised", "no C++ backtrace")
	usable(t, th)
}

func TestEveryKindOfFailureIsReported(t *testing.T) {
	th := torchtest.Thread(t)
	for op, f := range map[string]func(s *torch.Scope){
		"reshape":        func(s *torch.Scope) { s.Zeros(torch.Float32, 6).Reshape(4, 2) },
		"cat":            func(s *torch.Scope) { torch.Cat([]torch.Tensor{s.Zeros(6, 1), s.Zeros(6, 2, 2)}, 0) },
		"add_":           func(s *torch.Scope) { s.Zeros(torch.Float32, 2).Add_(s.Zeros(torch.Float32, 3)) },
		"addcmul_":       func(s *torch.Scope) { z := s.Zeros(6, 2); z.Addcmul_(z, s.Zeros(6, 3), 1) },
		"copy_":          func(s *torch.Scope) { s.Zeros(torch.Float32, 2).Copy_(s.Zeros(torch.Float32, 3)) },
		"backward":       func(s *torch.Scope) { s.Zeros(torch.Float32).Backward() },
		"empty":          func(s *torch.Scope) { s.Empty(torch.Float32, -1) },
		"requires_grad_": func(s *torch.Scope) { s.Zeros(torch.Int64, 1).SetRequiresGrad(true) },
	} {
		err := th.Do(ctx, f)
		var e *torch.Error
		if assert.ErrorAs(t, err, &e, op) {
			assert.Equal(t, op, e.Op)
			assert.NotEmpty(t, e.Msg)
		}
	}
	usable(t, th)
}

func TestPanicReachesCaller(t *testing.T) {
	th := torchtest.Thread(t)
	cause := errors.New("cause")
	func() {
		defer func() {
			p, ok := recover().(*torch.Panic)
			require.True(t, ok)
			assert.Equal(t, cause, p.Value)
			assert.ErrorIs(t, p, cause)
			assert.Contains(t, string(p.Stack), "TestPanicReachesCaller", "the stack shows where it came from")
		}()
		_ = th.Do(ctx, func(s *torch.Scope) {
			s.Child(func(s *torch.Scope) torch.Tensor {
				s.Zeros(torch.Float32, 8)
				panic(cause)
			})
		})
		t.Error("Do returned")
	}()
	usable(t, th)
}

func TestGoexitReachesCaller(t *testing.T) {
	th := torchtest.Thread(t)
	for range 3 { // more than once: the thread goes on from inside the unwinding
		returned := false
		var wg sync.WaitGroup
		wg.Add(1)
		go func() {
			defer wg.Done()
			_ = th.Do(ctx, func(s *torch.Scope) {
				s.NoGrad(func() {
					s.Zeros(torch.Float32, 8)
					runtime.Goexit()
				})
			})
			returned = true
		}()
		wg.Wait()
		assert.False(t, returned, "Goexit inside Do must end the goroutine that called Do")
		usable(t, th)
	}
}

func TestRequireInsideDo(t *testing.T) {
	th := torchtest.Thread(t)
	probe := &testing.T{}
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		_ = th.Do(ctx, func(*torch.Scope) { require.Equal(probe, 1, 2) })
		t.Error("went on after a failed require")
	}()
	wg.Wait()
	assert.True(t, probe.Failed())
	usable(t, th)
}

func TestDoInsideDo(t *testing.T) {
	th, other := torchtest.Thread(t), torchtest.Thread(t)
	err := th.Do(ctx, func(*torch.Scope) {
		assert.ErrorIs(t, th.Do(ctx, func(*torch.Scope) { t.Error("ran") }), torch.ErrNested)
		assert.NoError(t, other.Do(ctx, func(*torch.Scope) {}), "another thread is no nesting")
	})
	require.NoError(t, err)
}

func TestDoContext(t *testing.T) {
	th := torchtest.Thread(t)
	done, cancel := context.WithCancel(ctx)
	cancel()
	assert.ErrorIs(t, th.Do(done, func(*torch.Scope) { t.Error("ran") }), context.Canceled)

	// A Do that waits for its turn gives up when its context ends.
	started, release := make(chan struct{}), make(chan struct{})
	go func() {
		_ = th.Do(ctx, func(*torch.Scope) { close(started); <-release })
	}()
	<-started
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	assert.ErrorIs(t, th.Do(short, func(*torch.Scope) { t.Error("ran") }), context.DeadlineExceeded)
	close(release)
}

func TestClose(t *testing.T) {
	th, err := torch.Start(torch.Options{})
	require.NoError(t, err)
	var kept torch.Tensor
	require.NoError(t, th.Do(ctx, func(s *torch.Scope) { kept = s.Ones(torch.Float32, 3).Keep() }))
	th.Close()
	th.Close()
	assert.ErrorIs(t, th.Do(ctx, func(*torch.Scope) {}), torch.ErrClosed)
	kept.Free()
}

func TestConcurrentDo(t *testing.T) {
	th := torchtest.Thread(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r := rand.New(rand.NewPCG(uint64(i), 0))
			for range 50 {
				assert.NoError(t, th.Do(ctx, func(s *torch.Scope) {
					x := s.Randn(r, torch.Float32, 4, 4)
					assert.Equal(t, x.Float32s(), x.T().Contiguous().T().Float32s())
				}))
			}
		}()
	}
	wg.Wait()
}

func TestModesNestAndRestore(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		s.NoGrad(func() {
			s.NoGrad(func() {})
			assert.False(t, s.GradEnabled(), "the inner end must not switch gradients on")
			s.EnableGrad(func() { assert.True(t, s.GradEnabled()) })
			assert.False(t, s.GradEnabled())
		})
		assert.True(t, s.GradEnabled())

		x, w := s.Ones(torch.Float32, 2, 2), s.Ones(torch.Float32, 2, 2).SetRequiresGrad(true)
		s.Autocast(torch.BFloat16, func() {
			y := x.Matmul(w)
			assert.Equal(t, torch.BFloat16, y.DType())
			s.Autocast(torch.Float32, func() { assert.Equal(t, torch.Float32, x.Matmul(w).DType()) })
			assert.Equal(t, torch.BFloat16, x.Matmul(w).DType())
			y.Sum().Backward()
		})
		assert.Equal(t, torch.Float32, x.Matmul(w).DType())
		assert.Equal(t, torch.Float32, w.Grad().DType(), "gradients of float32 parameters are float32")
	})
}

func TestNumThreadsPerThread(t *testing.T) {
	a, err := torch.Start(torch.Options{Threads: 1})
	require.NoError(t, err)
	defer a.Close()
	require.NoError(t, a.Do(ctx, func(s *torch.Scope) { assert.Equal(t, 1, s.NumThreads()) }))
	_, err = torch.Start(torch.Options{Threads: -1})
	assert.ErrorContains(t, err, "-1 threads")
}

func TestDevices(t *testing.T) {
	for name, want := range map[string]torch.Device{"cpu": torch.CPU} {
		d, err := torch.ParseDevice(name)
		require.NoError(t, err)
		assert.Equal(t, want, d)
		assert.Equal(t, name, d.String())
	}
	for _, name := range []string{"", "gpu", "cuda:", "cuda:x", "cuda:-1"} {
		_, err := torch.ParseDevice(name)
		assert.ErrorContains(t, err, "expected auto, cpu, cuda or cuda:N", name)
	}
	assert.Equal(t, "cuda:3", torch.CUDA(3).String())
	n := torch.CUDADevices()
	_, err := torch.Start(torch.Options{Device: torch.CUDA(n)})
	assert.ErrorContains(t, err, "cuda:", "a device that is not there")
	auto, err := torch.ParseDevice("auto")
	require.NoError(t, err)
	assert.Equal(t, n > 0, auto.IsCUDA())
}
