// Package gotchbridge passes tensors, parameters and modules of github.com/sugarme/gotch to gojepa and back, for programs
// that have them already. No data is copied in either direction: both sides refer to the same libtorch tensor, so a
// change on one is seen on the other, and gradients flow across.
//
// # Ownership
//
// Each side frees only its own references: what enters gojepa belongs to a scope or to a [torch.Params], and what enters
// gotch to Go's garbage collector, as all gotch tensors do (Drop frees earlier). The memory goes with the last reference.
//
// # Threads
//
// Gradient mode, autocast and gotch's error slot belong to an OS thread. Do gotch work that meets gojepa's tensors inside
// [torch.Thread.Do]. A gotch function whose name begins with Must ends the process where it fails, inside Do as well.
//
// Importing gotch makes the folder ~/.cache/gotch, unless GOTCH_CACHE names another.
package gotchbridge

import (
	"runtime"

	"github.com/sugarme/gotch/ts"

	"github.com/gojepa/gojepa/torch"
)

// Import returns t as a tensor of the scope: the same tensor under a new reference, which s owns. t stays the caller's and
// may be dropped at once. It panics if t was dropped or holds nothing.
func Import(s *torch.Scope, t *ts.Tensor) torch.Tensor {
	// The finalizer may free t as soon as nothing mentions it, also during the call that is given its handle only.
	defer runtime.KeepAlive(t)
	return s.FromHandle(t.Ctensor())
}

// Export returns t as a gotch tensor: the same tensor under a new reference, which the garbage collector frees, or Drop.
// It outlives t and its scope.
func Export(t torch.Tensor) *ts.Tensor { return ts.FromCtensor(t.NewHandle()) }
