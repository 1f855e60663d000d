package univariate_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/sigreg/internal/testkit"
	"github.com/gojepa/gojepa/sigreg/univariate"
	"github.com/gojepa/gojepa/torch"
)

// BenchmarkStatistic is forward and backward of the tests on 512 samples in 1024 slices, on two threads.
func BenchmarkStatistic(b *testing.B) {
	for _, test := range []testkit.Tester{
		univariate.AndersonDarling{}, univariate.CramerVonMises{}, univariate.Watson{}, univariate.ShapiroWilk{}, univariate.VCReg{},
		univariate.ExtendedJarqueBera{}, univariate.DefaultMoments(), univariate.DefaultEntropy(), univariate.NLL{},
	} {
		b.Run(fmt.Sprintf("%T", test)[len("univariate."):], func(b *testing.B) {
			th, err := torch.Start(torch.Options{Threads: 2})
			require.NoError(b, err)
			defer th.Close()
			require.NoError(b, th.Do(b.Context(), func(s *torch.Scope) {
				x := s.Randn(rand.New(rand.NewPCG(1, 1)), torch.Float32, 512, 1024).SetRequiresGrad(true)
				b.ResetTimer()
				for range b.N {
					s.Child(func(s *torch.Scope) torch.Tensor {
						test.Statistic(s, x).Mean().Backward()
						return torch.Tensor{}
					})
				}
			}))
		})
	}
}
