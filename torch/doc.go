// Package torch is a thin, typed layer over libtorch, and the only package of gojepa that calls it.
//
// # Threads
//
// Grad mode, autocast, error slots and OpenMP teams of libtorch belong to an OS thread, while goroutines move between
// threads. All work therefore runs on a [Thread], an OS thread of its own, to which it is handed over a step at a time:
//
//	th, err := torch.Start(torch.Options{Device: torch.CPU})
//	defer th.Close()
//	err = th.Do(ctx, func(s *torch.Scope) {
//		x := s.Randn(r, torch.Float32, 4, 3)
//		y = x.Matmul(x.T()).Sum().Item()
//	})
//
// # Lifetimes
//
// There are no finalizers. A [Scope] owns every tensor made while it is the innermost one and frees them when it ends;
// [Scope.Child] hands one tensor to the parent, [Scope.Return] more, and [Tensor.Keep] makes the caller the owner, who
// then calls [Tensor.Free]. A handle is a reference: freeing one never breaks an autograd graph or a view that still
// uses the memory. [LiveHandles] counts those that exist.
//
// # Errors
//
// Inside Do a failing operation panics with *[Error], which names the operation and the shapes; Do returns it as its
// error. Other panics, and runtime.Goexit, reach the goroutine that called Do, and the thread stays usable.
package torch
