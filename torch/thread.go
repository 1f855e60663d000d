package torch

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/sugarme/gotch/libtch"
)

// Options of [Start]. The zero value is the CPU with libtorch's own choice of threads.
type Options struct {
	Device  Device
	Threads int // intra-op threads, 0 for libtorch's default (one per core)
}

// Thread is an OS thread on which libtorch work of one device runs, one closure at a time.
type Thread struct {
	device Device
	jobs   chan *job
	quit   chan struct{}
	closed sync.Once
	done   chan struct{}
	tid    atomic.Int64

	// What follows belongs to the OS thread alone.
	mem     *scratch
	cur     *Scope    // innermost open scope, nil outside Do
	pool    []*Scope  // closed scopes, for reuse
	workers []*Thread // what the threads of Parallel work with
	tracing bool      // what is done becomes a Script
	profile profile
}

type job struct {
	f        func(*Scope)
	err      error
	panicked *Panic
	goexit   bool
	done     chan struct{}
}

// Start makes a thread for a device. It fails where the machine does not have the device. The caller closes it.
func Start(o Options) (*Thread, error) {
	if err := o.Device.check(); err != nil {
		return nil, err
	}
	if o.Threads < 0 {
		return nil, fmt.Errorf("torch: %d threads: expected 0 (libtorch's default) or more", o.Threads)
	}
	// libtorch's pools wait forever for a thread that could not be made, and OpenMP's ends the process.
	if o.Threads > 0 && !threadsFit(o.Threads) {
		return nil, fmt.Errorf("torch: %d threads: the system does not give this process so many: see its limits of memory and of processes (ulimit -v, ulimit -u)", o.Threads)
	}
	t := &Thread{device: o.Device, jobs: make(chan *job), quit: make(chan struct{}), done: make(chan struct{})}
	ready := make(chan error)
	go func() {
		// Never unlocked: the OS thread ends with the goroutine, and nothing else inherits its state.
		runtime.LockOSThread()
		if o.Device.IsCUDA() {
			// What is asked for without saying where, such as page-locked memory, else belongs to the first device.
			if msg := nativeSetDevice(o.Device); msg != "" {
				ready <- fmt.Errorf("torch: device %s: %s", o.Device, withoutBacktrace(msg))
				return
			}
		}
		t.tid.Store(int64(syscall.Gettid()))
		t.mem = newScratch()
		if o.Threads > 0 {
			setNumThreads(o.Threads)
		}
		ready <- nil
		t.serve()
	}()
	if err := <-ready; err != nil {
		return nil, err
	}
	return t, nil
}

// Device is the device that the thread was started for.
func (t *Thread) Device() Device { return t.device }

// Do runs f on the thread and waits for it. The scope passed to f, and everything made in it, ends with f. Grad mode and
// autocast are as they were at the start of f again afterwards.
//
// The error is ctx's if it was done before f began (a closure that has begun is never cut short), *[Error] if an
// operation failed, [ErrNested] or [ErrClosed]. A panic of f arrives as a panic with a *[Panic], and runtime.Goexit,
// with which testing's FailNow ends a test, as Goexit.
func (t *Thread) Do(ctx context.Context, f func(s *Scope)) error {
	if t.tid.Load() == int64(syscall.Gettid()) {
		return ErrNested
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	j := &job{f: f, done: make(chan struct{})}
	select {
	case t.jobs <- j:
	case <-t.quit:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	<-j.done
	if j.panicked != nil {
		panic(j.panicked)
	}
	if j.goexit {
		runtime.Goexit()
	}
	return j.err
}

// Close ends the thread after the closure that it is running. Tensors that were kept stay valid and can still be freed.
func (t *Thread) Close() {
	t.closed.Do(func() { close(t.quit) })
	if t.tid.Load() != int64(syscall.Gettid()) {
		<-t.done
	}
}

// serve runs jobs until the thread is closed.
func (t *Thread) serve() {
	exiting := true
	defer func() {
		// A closure called runtime.Goexit, which unwinds this goroutine and cannot be stopped, but deferred calls may
		// run as long as they like: this one goes on serving, on the same OS thread with its state and its OpenMP team.
		if exiting {
			t.serve()
		}
	}()
	for {
		select {
		case j := <-t.jobs:
			t.run(j)
		case <-t.quit:
			exiting = false
			t.free()
			close(t.done)
			return
		}
	}
}

// free gives back the memory of t and of the workers that Parallel had, theirs too.
func (t *Thread) free() {
	t.mem.free()
	for _, w := range t.workers {
		w.free()
	}
}

// run does one job and restores the thread's state whatever way the job ends.
func (t *Thread) run(j *job) {
	grad, auto := gradEnabled(), getAutocast(t.device)
	returned := false
	defer func() {
		p := recover()
		t.unwind(nil)
		t.profile.endSpans(0)
		libtch.AtGradSetEnabled(boolToInt(grad))
		setAutocast(t.device, auto)
		switch e := p.(type) {
		case nil:
			j.goexit = !returned
		case *Error:
			j.err = e
		case *Panic: // of Parallel
			j.panicked = e
		default:
			j.panicked = &Panic{Value: p, Stack: debug.Stack()}
		}
		close(j.done)
	}()
	j.f(t.open(nil))
	returned = true
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
