package torch

// #include <stdlib.h>
// #include "script.h"
import "C"

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/cgo"
	"strings"
	"unsafe"

	"github.com/sugarme/gotch/libtch"
)

// Script is a TorchScript module: a graph of operations with its parameters, which libtorch runs in C++ and Python loads by
// torch.jit.load. It is made by [Scope.Trace] or read from a file by [Scope.LoadScript]. Close frees it.
type Script struct {
	ptr    unsafe.Pointer
	params *Params
}

// scriptExtra is the file inside a TorchScript archive that holds what gojepa says about the module.
const scriptExtra = "gojepa.json"

// Trace runs f once on x, without gradients, and returns what it did as a module whose forward maps x to f's result.
// Parameters and buffers of p that f used are the module's own, copies under the same names; other tensors that were there
// before f began, and those that f makes from Go's memory, are constants of it.
//
// Sizes that f read are those of x for ever, but for what [Tensor.ExpandBatch] and sizes of -1 leave open; an if of Go is
// taken as f took it. f must not call runtime.Goexit. A failing operation, or a panic of f, is that of Trace.
func (s *Scope) Trace(p *Params, x Tensor, f func(s *Scope, x Tensor) Tensor) *Script {
	if s.th.tracing {
		panic("torch: Trace inside Trace")
	}
	n := len(p.list)
	names := (*[1 << 20]*C.char)(C.calloc(C.size_t(n+1), 8))
	tensors := (*[1 << 20]unsafe.Pointer)(C.calloc(C.size_t(n+1), 8))
	buffers := (*[1 << 20]C.int)(C.calloc(C.size_t(n+1), 4))
	for i, q := range p.list {
		names[i], tensors[i], buffers[i] = C.CString(q.Name), unsafe.Pointer(q.Value.c), C.int(boolToInt(q.Buffer))
	}
	t := &trace{s: s, f: f}
	job := cgo.NewHandle(t)
	defer func() {
		job.Delete()
		s.th.tracing = false
		for _, name := range names[:n] {
			C.free(unsafe.Pointer(name))
		}
		C.free(unsafe.Pointer(names))
		C.free(unsafe.Pointer(tensors))
		C.free(unsafe.Pointer(buffers))
	}()
	m := &Script{}
	s.NoGrad(func() {
		s.th.tracing = true
		msg := message(C.gojepa_script_trace(&m.ptr, C.size_t(n), &names[0], &tensors[0], &buffers[0], unsafe.Pointer(x.c), C.uintptr_t(job)))
		s.th.tracing = false
		if t.panicked != nil {
			panic(t.panicked)
		}
		if msg != "" {
			panic(newError("trace", msg, []Tensor{x}))
		}
	})
	if err := m.adopt(s, false); err != nil {
		m.Close()
		panic(newError("trace", err.Error(), []Tensor{x}))
	}
	return m
}

// trace is one call of [Scope.Trace].
type trace struct {
	s        *Scope
	f        func(s *Scope, x Tensor) Tensor
	panicked any
}

//export gojepaTrace
func gojepaTrace(job C.uintptr_t, x unsafe.Pointer) unsafe.Pointer {
	return cgo.Handle(job).Value().(*trace).run(libtch.Ctensor(x))
}

// run calls f on the input that the tracer knows, and returns a handle of the result, nil if f panicked.
func (t *trace) run(x libtch.Ctensor) (y unsafe.Pointer) {
	th := t.s.th
	before := th.cur
	defer func() {
		if t.panicked = recover(); t.panicked == nil {
			return
		}
		t.panicked = carried(t.panicked)
		th.unwind(before)
		y = nil
	}()
	t.s.Child(func(s *Scope) Tensor {
		out := t.f(s, s.own(x))
		if !s.disown(out.c) {
			panic("torch: Trace: the function returned a tensor that it did not make")
		}
		liveHandles.Add(-1)
		y = unsafe.Pointer(out.c)
		return Tensor{}
	})
	return y
}

// LoadScript reads a TorchScript module from a file of torch.jit.save, onto the scope's device. about is what
// [Script.Save] was given, empty if another program wrote the file. If frozen, its parameters are buffers: no gradient
// flows into them.
//
// Running a module runs what its author wrote, on libtorch's operations; load only files that you trust.
func (s *Scope) LoadScript(path string, frozen bool) (m *Script, about string, err error) {
	if _, err := os.Stat(path); err != nil {
		return nil, "", fmt.Errorf("loading a TorchScript module: %w", err)
	}
	device := C.int(-1)
	if s.th.device.IsCUDA() {
		device = C.int(s.th.device.id())
	}
	cPath, cName := C.CString(path), C.CString(scriptExtra)
	defer C.free(unsafe.Pointer(cPath))
	defer C.free(unsafe.Pointer(cName))
	m = &Script{}
	var extra *C.char
	var size C.size_t
	if msg := message(C.gojepa_script_load(&m.ptr, cPath, device, cName, &extra, &size)); msg != "" {
		return nil, "", fmt.Errorf("%s: loading a TorchScript module: %s", path, withoutBacktrace(msg))
	}
	about = C.GoStringN(extra, C.int(size))
	C.free(unsafe.Pointer(extra))
	if err := m.adopt(s, frozen); err != nil {
		m.Close()
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	return m, about, nil
}

// ReadScriptAbout is what [Script.Save] wrote about the module in a file, read without the module; empty if another program
// wrote the file.
func ReadScriptAbout(path string) (string, error) {
	z, err := zip.OpenReader(path)
	if err != nil {
		return "", fmt.Errorf("%s: reading a TorchScript module: %w", path, err)
	}
	defer z.Close()
	for _, f := range z.File {
		if !strings.HasSuffix(f.Name, "/extra/"+scriptExtra) {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return "", fmt.Errorf("%s: %s: %w", path, f.Name, err)
		}
		defer r.Close()
		const most = 1 << 20 // bytes, a thousand times what is written
		text, err := io.ReadAll(io.LimitReader(r, most))
		if err != nil {
			return "", fmt.Errorf("%s: %s: %w", path, f.Name, err)
		}
		return string(text), nil
	}
	return "", nil
}

// adopt makes the module's tensors its Params.
func (m *Script) adopt(s *Scope, frozen bool) (err error) {
	m.params = NewParams(0, Float32)
	m.params.also = func() {
		C.gojepa_script_free(m.ptr)
		m.ptr = nil
	}
	typed := false
	s.Child(func(s *Scope) Tensor {
		for i := range C.gojepa_script_size(m.ptr) {
			var e C.gojepa_script_entry
			C.gojepa_script_entry_at(m.ptr, i, &e)
			t := s.own(libtch.Ctensor(e.tensor))
			train := e.buffer == 0 && !frozen && t.DType().IsFloat()
			if !train || !t.IsContiguous() {
				t.SetRequiresGrad(false)
			}
			if train {
				if !t.IsContiguous() {
					s.NoGrad(func() { t.setData(t.Contiguous()) })
				}
				t.SetRequiresGrad(true)
			}
			if e.buffer == 0 && t.DType().IsFloat() && !typed {
				m.params.dtype, typed = t.DType(), true
			}
			err = errors.Join(err, m.params.Adopt(C.GoString(e.name), t))
		}
		return Tensor{}
	})
	return err
}

// Save writes the module to a file that torch.jit.load and [Scope.LoadScript] read, with about as an extra file named
// gojepa.json in it if it is not empty. The parameters written are those of now.
func (m *Script) Save(path, about string) error {
	cPath, cName, cAbout := C.CString(path), C.CString(scriptExtra), C.CString(about)
	defer C.free(unsafe.Pointer(cPath))
	defer C.free(unsafe.Pointer(cName))
	defer C.free(unsafe.Pointer(cAbout))
	if msg := message(C.gojepa_script_save(m.ptr, cPath, cName, cAbout, C.size_t(len(about)))); msg != "" {
		return fmt.Errorf("%s: saving a TorchScript module: %s", path, withoutBacktrace(msg))
	}
	return nil
}

// Forward runs the module on x and returns its result, or the first one if they are several. train is the mode that a
// scripted module acts by; a traced one does as it did when it was traced. What it draws at random comes from libtorch's
// generator. Gradient flows to x and to the parameters.
func (m *Script) Forward(s *Scope, x Tensor, train bool) Tensor {
	t := s.Use(x)
	if msg := message(C.gojepa_script_forward((*unsafe.Pointer)(unsafe.Pointer(t.out())), m.ptr, unsafe.Pointer(x.c), C.int(boolToInt(train)))); msg != "" {
		panic(newError("forward of a TorchScript module", msg, []Tensor{x}))
	}
	return t.result("forward of a TorchScript module", x)
}

// Params are the module's parameters and buffers, in the order of its state dict. Training them trains the module. A tensor
// that is there under several names is there once, under the first. They are freed by Close.
func (m *Script) Params() *Params { return m.params }

// Close frees the module and its Params; closing the Params does the same.
func (m *Script) Close() { m.params.Close() }

func pauseTrace(paused bool) { C.gojepa_script_pause(C.int(boolToInt(paused))) }

func nativeExpandBatch(out *libtch.Ctensor, self, like libtch.Ctensor) string {
	return message(C.gojepa_expand_batch((*unsafe.Pointer)(unsafe.Pointer(out)), unsafe.Pointer(self), unsafe.Pointer(like)))
}
