package vision

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// BenchmarkBlock is forward and backward of the branches of a ViT-Ti's block on one thread, fused and by separate operations.
func BenchmarkBlock(b *testing.B) {
	th, err := torch.Start(torch.Options{Threads: 1})
	require.NoError(b, err)
	defer th.Close()
	for _, tokens := range []int64{17, 65, 197} {
		for _, branch := range []string{"attention", "mlp"} {
			for _, how := range []string{"fused", "separate"} {
				b.Run(fmt.Sprintf("%s/tokens=%d/%s", branch, tokens, how), func(b *testing.B) {
					all := torch.NewParams(1, torch.Float32)
					defer all.Close()
					require.NoError(b, th.Do(context.Background(), func(s *torch.Scope) {
						v := vit{width: 192, heads: 3, depth: 1, ratio: vitMLPRatio, eps: vitNormEps}
						block := v.block(s, all.Root(), 0, 0)
						x := s.Randn(rng.New(1, rng.Sample, 0, 0), torch.Float32, 8192/tokens, tokens, 192).SetRequiresGrad(true)
						once := map[string]func(s *torch.Scope) torch.Tensor{
							"attention/fused": func(s *torch.Scope) torch.Tensor {
								return branchOf(s, x, block.norm1, block.attn.linear, block.attn.proj, nn.DropPath{}, nn.Pass{}).Attention(s, 3)
							},
							"attention/separate": func(s *torch.Scope) torch.Tensor {
								return x.Add(block.attention(s, block.norm1.Forward(s, x), nil))
							},
							"mlp/fused": func(s *torch.Scope) torch.Tensor {
								return branchOf(s, x, block.norm2, block.mlp.fc1, block.mlp.fc2, nn.DropPath{}, nn.Pass{}).MLP(s)
							},
							"mlp/separate": func(s *torch.Scope) torch.Tensor {
								return x.Add(block.mlp.forward(s, block.norm2.Forward(s, x)))
							},
						}[branch+"/"+how]
						up := s.Randn(rng.New(2, rng.Sample, 0, 0), torch.Float32, x.Shape()...)
						shortest := time.Duration(math.MaxInt64)
						for b.Loop() {
							start := time.Now()
							s.Child(func(s *torch.Scope) torch.Tensor {
								once(s).Mul(up).Sum().Backward()
								return torch.Tensor{}
							})
							shortest = min(shortest, time.Since(start))
						}
						b.ReportMetric(float64(shortest.Microseconds())/1000, "ms")
					}))
				})
			}
		}
	}
}
