//go:build linux

package torch_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// TestCallsLeaveNothingBehind: neither handles nor the C memory of arguments. gotch leaks 32 bytes for each argument that is text.
func TestCallsLeaveNothingBehind(t *testing.T) {
	for name, op := range map[string]func(x torch.Tensor){
		"gelu":      func(x torch.Tensor) { x.Gelu() },
		"gelu tanh": func(x torch.Tensor) { x.GeluTanh() },
		"qr":        func(x torch.Tensor) { x.QR() },
		"eigh":      func(x torch.Tensor) { x.Eigh() },
	} {
		torchtest.Do(t, func(s *torch.Scope) {
			x := s.Ones(torch.Float32, 1, 1)
			many := func() {
				for range 60_000 {
					s.Child(func(*torch.Scope) torch.Tensor {
						op(x)
						return torch.Tensor{}
					})
				}
			}
			many()
			before := torchtest.Memory(t, "VmRSS")
			many()
			assert.Less(t, torchtest.Memory(t, "VmRSS")-before, int64(1<<20), name)
		})
	}
}
