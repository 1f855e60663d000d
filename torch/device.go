package torch

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/sugarme/gotch/libtch"
)

// Device says where tensors live: the CPU or one CUDA device. The zero value is the CPU.
type Device struct {
	cuda int // index + 1; 0 is the CPU
}

// CPU is the host.
var CPU = Device{}

// CUDA returns the CUDA device of an index, 0 being the first. Whether it exists is found out by [Start].
func CUDA(index int) Device { return Device{cuda: index + 1} }

// IsCUDA reports whether d is a CUDA device.
func (d Device) IsCUDA() bool { return d.cuda > 0 }

// String returns "cpu" or "cuda:N".
func (d Device) String() string {
	if d.cuda == 0 {
		return "cpu"
	}
	return "cuda:" + strconv.Itoa(d.cuda-1)
}

// id is the device number of gotch's C API: -1 for the CPU, the index for CUDA.
func (d Device) id() int32 { return int32(d.cuda) - 1 }

func deviceOf(id int) Device { return Device{cuda: id + 1} }

// ParseDevice reads "cpu", "cuda", "cuda:N" or "auto", which is the first CUDA device where there is one and the CPU
// elsewhere. It is an error to name a CUDA device that this machine does not have.
func ParseDevice(name string) (Device, error) {
	switch {
	case name == "cpu":
		return CPU, nil
	case name == "auto":
		if CUDADevices() > 0 {
			return CUDA(0), nil
		}
		return CPU, nil
	case name == "cuda":
		return CUDA(0), CUDA(0).check()
	case strings.HasPrefix(name, "cuda:"):
		n, err := strconv.Atoi(strings.TrimPrefix(name, "cuda:"))
		if err != nil || n < 0 {
			break
		}
		return CUDA(n), CUDA(n).check()
	}
	return CPU, fmt.Errorf("torch: device %q: expected auto, cpu, cuda or cuda:N", name)
}

// check reports why d cannot be used on this machine.
func (d Device) check() error {
	if !d.IsCUDA() {
		return nil
	}
	n := CUDADevices()
	if d.cuda <= n {
		return nil
	}
	if err := loadCUDA(); err != nil {
		return fmt.Errorf("torch: device %s: %w", d, err)
	}
	if n == 0 {
		return fmt.Errorf("torch: device %s: libtorch finds no GPU: expected one that nvidia-smi shows, with a driver as new as libtorch's CUDA, and that CUDA_VISIBLE_DEVICES does not hide", d)
	}
	return fmt.Errorf("torch: device %s: this machine has %d CUDA devices: expected cuda:0 to cuda:%d", d, n, n-1)
}

// CUDADevices is the number of usable CUDA devices: 0 where libtorch has no CUDA library, or the machine no GPU.
func CUDADevices() int {
	if loadCUDA() != nil {
		return 0
	}
	return max(0, int(libtch.AtcCudaDeviceCount()))
}

// loadCUDA brings libtorch's CUDA half into the process, once. Binaries are not linked to it, so that one binary runs
// on machines with and without CUDA; its registration with libtorch takes effect as it is loaded.
var loadCUDA = sync.OnceValue(func() error {
	if msg := dlopenCUDA(); msg != "" {
		return fmt.Errorf("no CUDA: %s", msg)
	}
	return nil
})
