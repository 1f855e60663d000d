//go:build cgo

package views

// allKernels are those that this machine can run.
func allKernels() map[string]kernels {
	all := map[string]kernels{"plain": plain{}}
	for level := range fastest().(compiled).level + 1 {
		all["compiled, level "+string(rune('0'+level))] = compiled{level}
	}
	return all
}
