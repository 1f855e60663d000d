//go:build linux

package torch_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// resident is the process's memory in bytes.
func resident(t *testing.T) (bytes int64) {
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	for _, line := range strings.Split(string(status), "\n") {
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &bytes); n == 1 {
			return bytes << 10
		}
	}
	t.Fatal("no VmRSS in /proc/self/status")
	return 0
}

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
			before := resident(t)
			many()
			assert.Less(t, resident(t)-before, int64(1<<20), name)
		})
	}
}
