//go:build !cgo

package views

// allKernels are those that this machine can run.
func allKernels() map[string]kernels { return map[string]kernels{"plain": plain{}} }
