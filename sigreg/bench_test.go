package sigreg_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/sigreg"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

func newRand() *rand.Rand { return rng.New(1, rng.Sample, 0, 0) }

// shapes are views, samples, width and slices, as in scripts/bench/sigreg.py, which runs them in PyTorch.
var shapes = [][4]int64{{1, 128, 64, 256}, {1, 512, 64, 1024}, {1, 2048, 128, 1024}, {1, 4096, 512, 1024}, {6, 64, 64, 1024}}

// firstMemory is what the first evaluation of a benchmark added to the process: testing runs a benchmark several times, and
// later ones find the memory of the first.
var firstMemory = map[string]float64{}

// BenchmarkMean is forward and backward with the directions given, on two threads. It reports the least time too, as
// PyTorch's side does, and what the first evaluation adds to the process beyond the embeddings and the directions.
func BenchmarkMean(b *testing.B) { benchmarkMean(b, shapes) }

// BenchmarkCost doubles N, M and T: the time per projection and knot should stay as it is, and the memory beyond input and
// gradient too.
func BenchmarkCost(b *testing.B) {
	var samples, slices [][4]int64
	for n := int64(1024); n <= 65536; n *= 4 {
		samples = append(samples, [4]int64{1, n, 64, 256})
	}
	for m := int64(256); m <= 4096; m *= 4 {
		slices = append(slices, [4]int64{1, 2048, 64, m})
	}
	b.Run("samples", func(b *testing.B) { benchmarkMean(b, samples) })
	b.Run("slices", func(b *testing.B) { benchmarkMean(b, slices) })
	b.Run("knots", func(b *testing.B) {
		for knots := 9; knots <= 65; knots = 2*knots - 1 {
			b.Run(fmt.Sprintf("T=%d", knots), func(b *testing.B) {
				evaluate(b, sigreg.EppsPulley{Knots: knots, TMax: 3}, [4]int64{1, 2048, 64, 1024})
			})
		}
	})
}

func benchmarkMean(b *testing.B, shapes [][4]int64) {
	for _, c := range shapes {
		b.Run(fmt.Sprintf("V=%d/N=%d/K=%d/M=%d", c[0], c[1], c[2], c[3]), func(b *testing.B) {
			evaluate(b, sigreg.Default(), c)
		})
	}
}

func evaluate(b *testing.B, e sigreg.EppsPulley, c [4]int64) {
	th, err := torch.Start(torch.Options{Threads: 2})
	require.NoError(b, err)
	defer th.Close()
	require.NoError(b, th.Do(b.Context(), func(s *torch.Scope) {
		z := s.Randn(newRand(), torch.Float32, c[0], c[1], c[2]).SetRequiresGrad(true)
		a := sigreg.Directions(s, torch.Float32, 1, 1, int(c[2]), int(c[3]))
		once := func(z, a torch.Tensor) {
			s.Child(func(s *torch.Scope) torch.Tensor {
				mean, _ := e.Mean(s, z, a)
				mean.Backward()
				return torch.Tensor{}
			})
		}
		if _, measured := firstMemory[b.Name()]; !measured {
			// Threads, code and buffers that any evaluation needs are there after a small one.
			once(s.Randn(newRand(), torch.Float32, 1, 300, 4).SetRequiresGrad(true), sigreg.Directions(s, torch.Float32, 1, 1, 4, 64))
			// The peak can be reset to what is resident now, where the kernel allows it.
			if os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) == nil {
				before := torchtest.Memory(b, "VmRSS")
				once(z, a)
				firstMemory[b.Name()] = float64(torchtest.Memory(b, "VmHWM")-before) / (1 << 20)
			}
		}
		least(b, func() { once(z, a) })
		if memory, ok := firstMemory[b.Name()]; ok {
			b.ReportMetric(memory, "MB-extra")
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(c[0]*c[1]*c[3])/float64(e.Knots), "ns/projection/knot")
	}))
}

// least runs f b.N times and reports the least time.
func least(b *testing.B, f func()) {
	shortest := time.Duration(math.MaxInt64)
	b.ResetTimer()
	for range b.N {
		start := time.Now()
		f()
		shortest = min(shortest, time.Since(start))
	}
	b.ReportMetric(float64(shortest.Microseconds())/1000, "ms")
}

// BenchmarkDirections draws the directions of a step.
func BenchmarkDirections(b *testing.B) {
	th, err := torch.Start(torch.Options{Threads: 2})
	require.NoError(b, err)
	defer th.Close()
	draw := func(b *testing.B, k int, d sigreg.Slices) {
		require.NoError(b, th.Do(b.Context(), func(s *torch.Scope) {
			step := uint64(0)
			least(b, func() {
				s.Child(func(s *torch.Scope) torch.Tensor { return d.At(s, torch.Float32, step, k) })
				step++
			})
		}))
	}
	for _, c := range shapes {
		k, m := int(c[2]), int(c[3])
		name := fmt.Sprintf("K=%d/M=%d", k, m)
		b.Run(name+"/independent", func(b *testing.B) { draw(b, k, sigreg.Slices{Count: m}) })
		b.Run(name+"/orthogonal", func(b *testing.B) { draw(b, k, sigreg.Slices{Count: m, Sampling: sigreg.Orthogonal}) })
	}
}
