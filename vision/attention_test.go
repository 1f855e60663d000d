package vision

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

func TestMain(m *testing.M) { torchtest.Main(m) }

// BenchmarkAttention is what the choice in fused rests on: forward and backward of both ways, on one core, with about
// the same number of tokens in all at each length.
func BenchmarkAttention(b *testing.B) {
	th, err := torch.Start(torch.Options{Threads: 1})
	require.NoError(b, err)
	defer th.Close()
	for _, dtype := range []torch.DType{torch.Float32, torch.BFloat16} {
		for _, tokens := range []int64{17, 37, 65, 101, 145, 197, 257, 401, 785} {
			for name, attention := range map[string]func(s *torch.Scope, q, k, v torch.Tensor) torch.Tensor{
				"plain": plainAttention,
				"fused": func(_ *torch.Scope, q, k, v torch.Tensor) torch.Tensor { return q.ScaledDotProductAttention(k, v) },
			} {
				b.Run(fmt.Sprintf("%s/%d/%s", dtype, tokens, name), func(b *testing.B) {
					n := 4096 / tokens
					require.NoError(b, th.Do(context.Background(), func(s *torch.Scope) {
						qkv := s.Randn(rng.New(1, rng.Sample, 0, 0), dtype, n, tokens, 3, 3, 64).SetRequiresGrad(true)
						for b.Loop() {
							s.Child(func(s *torch.Scope) torch.Tensor {
								p := qkv.Permute(2, 0, 3, 1, 4).Unbind(0)
								attention(s, p[0], p[1], p[2]).Transpose(1, 2).Reshape(n, tokens, 192).Sum().Backward()
								return torch.Tensor{}
							})
						}
					}))
				})
			}
		}
	}
}
