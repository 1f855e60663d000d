package vision

import (
	"math"
	"strings"

	"github.com/gojepa/gojepa/torch"
)

// attend is softmax(q·kᵀ/√d)·v for q, k and v [N, heads, T, d] of one sequence length. It chooses between libtorch's fused
// operation and the plain one by what is faster, so that the two differ in rounding only.
func attend(s *torch.Scope, q, k, v torch.Tensor) torch.Tensor {
	if fused(s.Device(), q.DType(), q.Size(2)) {
		return q.ScaledDotProductAttention(k, v)
	}
	return plainAttention(s, q, k, v)
}

// plainAttention keeps the T×T weights of every head for the backward pass, which the fused operation computes again.
func plainAttention(s *torch.Scope, q, k, v torch.Tensor) torch.Tensor {
	return s.Child(func(*torch.Scope) torch.Tensor { return attentionWeights(q, k).Matmul(v) })
}

// attentionWeights is softmax(q·kᵀ/√d) [N, heads, T, T]: how much of each token every token takes.
func attentionWeights(q, k torch.Tensor) torch.Tensor {
	return q.MulScalar(1 / math.Sqrt(float64(q.Size(3)))).Matmul(k.Transpose(2, 3)).Softmax(-1)
}

// plainTokens bounds the sequences for which plain attention in bfloat16 is worth its T×T weights: 123 MB per layer at this
// length, for 64 images and 6 heads.
const plainTokens = 400

// fused reports whether to use libtorch's operation, which is never slower in float32 and on CUDA. In bfloat16 on the CPU
// it took 2 to 7 times as long as the plain one at every length from 17 to 785 tokens (BenchmarkAttention), and in the
// backward pass of libtorch 2.1 it crashes.
func fused(d torch.Device, dtype torch.DType, tokens int64) bool {
	if d.IsCUDA() || dtype != torch.BFloat16 {
		return true
	}
	return tokens > plainTokens && !strings.HasPrefix(torch.Version(), "2.1.")
}
