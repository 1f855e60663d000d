package torch

// #include "native.h"
import "C"

import (
	"runtime/cgo"
	"sync"
	"sync/atomic"

	"github.com/sugarme/gotch/libtch"
)

// Parallel calls f for piece = 0 … n-1 on the threads that libtorch itself computes with, as its own operations do, and
// returns when all calls have. An operation inside f runs on one thread: work that is cut into pieces which fit the cache
// pays for the start of the threads once, and not once for each operation.
//
// f gets a scope that ends with its call, without gradients and without autocast, and a worker, 0 … NumThreads-1, whose
// buffers nobody else uses meanwhile. The pieces must be independent of each other; they run in no particular order.
// Tensors of outer scopes may only be arguments in f: [Scope.Use] makes them receivers. The first panic in f is that of
// Parallel, after the calls that had begun; runtime.Goexit in f is not allowed.
//
// On CUDA the calls are made one after the other.
func (s *Scope) Parallel(n int, f func(s *Scope, worker, piece int)) {
	// Always the whole team: libgomp ends the threads that a smaller one does not need, and starts them again afterwards.
	team := s.NumThreads()
	if s.th.device.IsCUDA() {
		team = 1
	}
	for len(s.th.workers) < team {
		s.th.workers = append(s.th.workers, &Thread{mem: newScratch()})
	}
	for _, w := range s.th.workers {
		w.device = s.th.device // which OnCPU changes
	}
	p := &parallel{n: int64(n), f: f, threads: s.th.workers}
	cur := s.th.cur
	s.th.cur = nil // receivers of outer scopes are mistakes, and are found as such
	defer func() { s.th.cur = cur }()
	if team < 2 || n < 1 || !p.start(team) {
		p.work(0)
	}
	if p.panicked != nil {
		panic(p.panicked)
	}
}

// parallel is one call of [Scope.Parallel].
type parallel struct {
	n       int64
	next    atomic.Int64
	f       func(s *Scope, worker, piece int)
	threads []*Thread

	mu       sync.Mutex
	panicked any // *Error, or *Panic
}

// start works on a team of threads. It returns false where there is none.
func (p *parallel) start(team int) bool {
	job := cgo.NewHandle(p)
	defer job.Delete()
	return C.gojepa_parallel(C.uintptr_t(job), C.int(team)) != 0
}

//export gojepaParallelWorker
func gojepaParallelWorker(job C.uintptr_t, id C.int) {
	cgo.Handle(job).Value().(*parallel).work(int(id))
}

// work does pieces until there are none left. It runs on an OpenMP thread, whose libtorch state it leaves as it was.
func (p *parallel) work(id int) {
	t := p.threads[id]
	grad, auto := gradEnabled(), getAutocast(t.device)
	libtch.AtGradSetEnabled(boolToInt(false))
	if auto.enabled {
		setAutocast(t.device, autocastState{dtype: auto.dtype})
	}
	defer func() {
		if v := recover(); v != nil {
			p.fail(v)
			t.unwind(nil)
		}
		libtch.AtGradSetEnabled(boolToInt(grad))
		if auto.enabled {
			setAutocast(t.device, auto)
		}
	}()
	for {
		i := p.next.Add(1) - 1
		if i >= p.n {
			return
		}
		s := t.open(nil)
		p.f(s, id, int(i))
		s.close()
	}
}

// fail keeps the first panic, and has no more pieces begun.
func (p *parallel) fail(v any) {
	p.next.Store(p.n)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.panicked != nil {
		return
	}
	p.panicked = carried(v)
}
