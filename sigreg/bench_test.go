package sigreg_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/sigreg"
	"github.com/gojepa/gojepa/torch"
)

func newRand() *rand.Rand { return rng.New(1, rng.Sample, 0, 0) }

// BenchmarkMean is forward and backward with the directions given, on two threads; scripts/bench/sigreg.py runs the same
// shapes in PyTorch, eager and compiled.
func BenchmarkMean(b *testing.B) {
	for _, c := range [][4]int64{{1, 128, 64, 256}, {1, 512, 64, 1024}, {1, 2048, 128, 1024}, {1, 4096, 512, 1024}, {6, 64, 64, 1024}} {
		b.Run(fmt.Sprintf("V=%d/N=%d/K=%d/M=%d", c[0], c[1], c[2], c[3]), func(b *testing.B) {
			th, err := torch.Start(torch.Options{Threads: 2})
			require.NoError(b, err)
			defer th.Close()
			require.NoError(b, th.Do(b.Context(), func(s *torch.Scope) {
				z := s.Randn(newRand(), torch.Float32, c[0], c[1], c[2]).SetRequiresGrad(true)
				a := sigreg.Directions(s, torch.Float32, 1, 1, int(c[2]), int(c[3]))
				b.ResetTimer()
				for range b.N {
					s.Child(func(s *torch.Scope) torch.Tensor {
						mean, _ := sigreg.Default().Mean(s, z, a)
						mean.Backward()
						return torch.Tensor{}
					})
				}
			}))
		})
	}
}

func BenchmarkDirections(b *testing.B) {
	th, err := torch.Start(torch.Options{})
	require.NoError(b, err)
	defer th.Close()
	require.NoError(b, th.Do(b.Context(), func(s *torch.Scope) {
		for i := range b.N {
			s.Child(func(s *torch.Scope) torch.Tensor { return sigreg.Directions(s, torch.Float32, 1, uint64(i), 128, 1024) })
		}
	}))
}
