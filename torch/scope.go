package torch

import (
	"sync/atomic"

	"github.com/sugarme/gotch/libtch"
)

// liveHandles counts the tensor handles that exist in the process. It is a gauge for tests, never a means of control.
var liveHandles atomic.Int64

// LiveHandles is the number of tensor handles that exist: owned by open scopes, or kept and not freed.
func LiveHandles() int64 { return liveHandles.Load() }

// Scope owns the tensors made while it is the innermost open scope of its thread, and frees them when it ends. It is
// valid only inside the closure that it was passed to.
type Scope struct {
	th     *Thread
	parent *Scope
	owned  []libtch.Ctensor
}

// Device is the device of the scope's thread, on which the scope's constructors make tensors.
func (s *Scope) Device() Device { return s.th.device }

// Child runs f in a scope of its own and hands the one tensor that f returns to s. Everything else made in f is freed.
// A module's Forward opens a child scope, so that handles of its intermediates are gone by the time of the backward.
func (s *Scope) Child(f func(s *Scope) Tensor) Tensor {
	c := s.th.open(s)
	// Not deferred: where f panics, run closes every open scope, and a deferred call would cost on each module.
	t := f(c)
	if t.Defined() {
		c.Return(t)
	}
	c.close()
	return t
}

// Try runs f in a scope of its own and returns the error of an operation that failed in it. What f made is freed, and s goes on.
// Other panics go on too.
func (s *Scope) Try(f func(s *Scope)) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *Error:
			s.th.unwind(s)
			err = p
		default:
			panic(p)
		}
	}()
	s.Child(func(s *Scope) Tensor {
		f(s)
		return Tensor{}
	})
	return nil
}

// Return makes the parent scope the owner of tensors of s. Tensors that s does not own are left with their owners.
func (s *Scope) Return(ts ...Tensor) {
	if s.parent == nil {
		panic("torch: Return from the outermost scope: use Keep to take a tensor out of Do")
	}
	for _, t := range ts {
		if s.disown(t.c) {
			s.parent.owned = append(s.parent.owned, t.c)
		}
	}
}

// Use returns t with s's thread as the one that works on it. Tensors that were kept on another thread of the same device
// need it where they are the receiver of a method.
func (s *Scope) Use(t Tensor) Tensor { return Tensor{c: t.c, th: s.th} }

// Live is the number of handles that s and its ancestors own.
func (s *Scope) Live() int {
	n := 0
	for ; s != nil; s = s.parent {
		n += len(s.owned)
	}
	return n
}

// open makes a scope and makes it the innermost one.
func (t *Thread) open(parent *Scope) *Scope {
	if parent != t.cur {
		panic("torch: Child of a scope that is not the innermost one")
	}
	var s *Scope
	if n := len(t.pool); n > 0 {
		s, t.pool = t.pool[n-1], t.pool[:n-1]
	} else {
		s = &Scope{th: t}
	}
	s.parent = parent
	t.cur = s
	return s
}

// close frees what s owns and makes its parent the innermost scope.
func (s *Scope) close() {
	for _, c := range s.owned {
		libtch.AtFree(c)
	}
	liveHandles.Add(-int64(len(s.owned)))
	s.owned = s.owned[:0]
	s.th.cur = s.parent
	s.th.pool = append(s.th.pool, s)
}

// unwind closes the scopes that a panic left open inside of to, and forgets what libtch said of it, which must not be blamed
// on the next operation.
func (t *Thread) unwind(to *Scope) {
	for t.cur != to {
		t.cur.close()
	}
	lastError()
}

// own takes a fresh handle into s.
func (s *Scope) own(c libtch.Ctensor) Tensor {
	s.owned = append(s.owned, c)
	liveHandles.Add(1)
	return Tensor{c: c, th: s.th}
}

// disown takes c out of s. It searches from the end, as what leaves a scope is mostly what was made last.
func (s *Scope) disown(c libtch.Ctensor) bool {
	for i := len(s.owned) - 1; i >= 0; i-- {
		if s.owned[i] == c {
			last := len(s.owned) - 1
			s.owned[i] = s.owned[last]
			s.owned = s.owned[:last]
			return true
		}
	}
	return false
}
