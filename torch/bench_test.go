package torch_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// BenchmarkTinyOp is an addition of two tensors of four elements, with its handle made and freed: what the layer costs.
// scripts/bench/tiny_op.py is the same in Python.
func BenchmarkTinyOp(b *testing.B) {
	torchtest.Do(b, func(s *torch.Scope) {
		x, y := s.Ones(torch.Float32, 4), s.Ones(torch.Float32, 4)
		b.ReportAllocs()
		b.ResetTimer()
		for range b.N {
			s.Child(func(*torch.Scope) torch.Tensor {
				x.Add(y)
				return torch.Tensor{}
			})
		}
	})
}

// BenchmarkDo is the cost of handing a closure to the thread and back.
func BenchmarkDo(b *testing.B) {
	th := torchtest.Thread(b)
	b.ReportAllocs()
	for range b.N {
		_ = th.Do(ctx, func(*torch.Scope) {})
	}
}

func TestTinyOpsDoNotAllocate(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		x, y := s.Ones(torch.Float32, 2, 2), s.Ones(torch.Float32, 2, 2)
		work := func() {
			s.Child(func(*torch.Scope) torch.Tensor {
				z := x.Add(y).MulScalar(2).Reshape(4, 1).Matmul(x.Narrow(0, 0, 1).Reshape(1, 2))
				z.Add_(z)
				z.Size(0)
				return torch.Tensor{}
			})
		}
		work()
		assert.Zero(t, testing.AllocsPerRun(100, work))
	})
}
