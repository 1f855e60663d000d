// Package simcuda plays a CUDA device on the CPU, for tests of what goes to a GPU on machines without one. Tensors of cuda:0
// go through libtorch as on a GPU, autocast's and autograd's rules for CUDA included, and the CPU's operations take the
// place of kernels. An operation that mixes devices fails, as it would, and what makes the host wait is counted.
//
// It cannot show what depends on kernels: their speed, their rounding, their limits, the memory they take, which of several
// libtorch chooses, or that the host does not touch memory while a copy from it is under way.
package simcuda

// #include <stdlib.h>
// #include "simcuda.h"
import "C"

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"
)

// Register makes the device, for as long as the process lives. It comes before anything else is done with libtorch.
func Register() error {
	if msg := C.gojepa_simcuda_register(); msg != nil {
		defer C.free(unsafe.Pointer(msg))
		return errors.New("simulating CUDA: " + C.GoString(msg))
	}
	return nil
}

// Counted runs f and returns what in it made the host wait for the device, and how often: copies to the host, copies to the
// device that block, and operations whose results the host looks at or shapes tensors by.
func Counted(f func()) map[string]int {
	C.gojepa_simcuda_start()
	f()
	text := C.gojepa_simcuda_stop()
	defer C.free(unsafe.Pointer(text))
	counts := map[string]int{}
	for line := range strings.Lines(C.GoString(text)) {
		what, n, _ := strings.Cut(strings.TrimSpace(line), "\t")
		var count int
		if _, err := fmt.Sscan(n, &count); err != nil {
			panic("simcuda: " + line)
		}
		counts[what] = count
	}
	return counts
}
