package multivariate_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
)

// BenchmarkStatistic is forward and backward of the tests on 2048 samples of 128 dimensions, on two threads.
func BenchmarkStatistic(b *testing.B) {
	for _, c := range all {
		if !slices.Contains([]string{"BHEP", "HenzeZirkler", "HenzeVisagie", "COMB", "COMB standardised"}, c.name) {
			continue
		}
		b.Run(c.name, func(b *testing.B) {
			th, err := torch.Start(torch.Options{Threads: 2})
			require.NoError(b, err)
			defer th.Close()
			require.NoError(b, th.Do(b.Context(), func(s *torch.Scope) {
				x := s.Randn(rand.New(rand.NewPCG(1, 1)), torch.Float32, 2048, 128).SetRequiresGrad(true)
				b.ResetTimer()
				for range b.N {
					s.Child(func(s *torch.Scope) torch.Tensor {
						c.test.Statistic(s, x).Backward()
						return torch.Tensor{}
					})
				}
			}))
		})
	}
}
