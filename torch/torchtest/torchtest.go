// Package torchtest helps tests of packages that work with libtorch: a CPU thread per test, comparison of tensors, and
// the check that no tensor handle is left over.
package torchtest

import (
	"context"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest/simcuda"
)

// DeviceVariable names the device of tests that can do without the CPU: "cuda", or "simulated" for a CUDA device that the CPU
// plays (package simcuda). Without it they are on the CPU.
const DeviceVariable = "GOJEPA_TEST_DEVICE"

// Device is the device of tests that can do without the CPU.
func Device() torch.Device {
	if os.Getenv(DeviceVariable) == "" {
		return torch.CPU
	}
	return torch.CUDA(0)
}

// Main runs the tests of a package and fails if tensor handles are left over. A package's TestMain calls it.
func Main(m *testing.M) {
	switch v := os.Getenv(DeviceVariable); v {
	case "", "cuda":
	case "simulated":
		if err := simcuda.Register(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	default:
		fmt.Fprintf(os.Stderr, "%s=%s: expected cuda or simulated\n", DeviceVariable, v)
		os.Exit(1)
	}
	code := m.Run()
	if n := torch.LiveHandles(); n != 0 {
		fmt.Fprintf(os.Stderr, "%d tensor handles are still alive after the tests\n", n)
		code = 1
	}
	os.Exit(code)
}

// Thread starts a CPU thread that ends with the test.
func Thread(t testing.TB) *torch.Thread { return Threads(t, 1) }

// Threads is Thread with n threads of libtorch behind it.
func Threads(t testing.TB, n int) *torch.Thread {
	th, err := torch.Start(torch.Options{Threads: n})
	require.NoError(t, err)
	t.Cleanup(th.Close)
	return th
}

// Do runs f on a CPU thread of its own.
func Do(t testing.TB, f func(s *torch.Scope)) {
	t.Helper()
	require.NoError(t, Thread(t).Do(context.Background(), f))
}

// Memory is a size of this process in bytes, by its name in /proc/self/status: "VmRSS" is what is resident, "VmHWM" the most
// that was. It skips the test on systems that do not tell.
func Memory(t testing.TB, name string) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("the memory of a process is read from /proc, which is missing here")
	}
	_, after, found := strings.Cut(string(status), name+":")
	require.True(t, found, "no %s in /proc/self/status", name)
	var kib int64
	_, err = fmt.Sscan(after, &kib)
	require.NoError(t, err)
	return kib << 10
}

// Close asserts that got differs from want by at most tol times the largest absolute value of want, or floor where that
// is larger.
func Close(t testing.TB, want, got []float64, tol, floor float64, msg ...any) {
	t.Helper()
	require.Len(t, got, len(want), msg...)
	limit := floor
	for _, w := range want {
		limit = max(limit, tol*math.Abs(w))
	}
	for i := range want {
		if d := math.Abs(want[i] - got[i]); !(d <= limit) {
			require.Failf(t, "values differ", "element %d of %d: want %g, got %g, differ by %g, allowed %g %s",
				i, len(want), want[i], got[i], d, limit, fmt.Sprint(msg...))
		}
	}
}

// Values are n numbers of mean 0 and variance 1, uniform on ±√3, from splitmix64. They are the inputs of golden tests:
// scripts/golden/common.py makes the same, so that golden files need only hold results.
func Values(seed uint64, n int) []float64 {
	v := make([]float64, n)
	state := seed
	for i := range v {
		state += 0x9e3779b97f4a7c15
		z := state
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		z ^= z >> 31
		v[i] = (float64(z>>11)/(1<<52) - 1) * math.Sqrt(3)
	}
	return v
}
