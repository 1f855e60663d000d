package torch

// #include <stdlib.h>
// #include "native.h"
import "C"

import (
	"unsafe"

	"github.com/sugarme/gotch/libtch"
)

// outSlots is how many results one operation can have.
const outSlots = 8

// intSlots and tensorSlots bound the lists that fit the scratch memory; longer ones are allocated for the call.
const (
	intSlots    = 64
	tensorSlots = 256
)

// scratch is C memory for the arguments and results of one call. Go checks the whole object that a pointer passed to C
// points into, and moves what is passed to the heap; memory of C's own is free of both.
type scratch struct {
	out     *libtch.Ctensor
	outs    []libtch.Ctensor
	ints    [4][]int64
	tensors []libtch.Ctensor
	scalars [2]libtch.Cscalar
	block   unsafe.Pointer
}

func newScratch() *scratch {
	const words = outSlots + 4*intSlots + tensorSlots
	m := &scratch{block: C.calloc(words, 8)}
	p := m.block
	take := func(n int) unsafe.Pointer {
		q := p
		p = unsafe.Add(p, n*8)
		return q
	}
	m.out = (*libtch.Ctensor)(take(outSlots))
	m.outs = unsafe.Slice(m.out, outSlots)
	for i := range m.ints {
		m.ints[i] = unsafe.Slice((*int64)(take(intSlots)), intSlots)
	}
	m.tensors = unsafe.Slice((*libtch.Ctensor)(take(tensorSlots)), tensorSlots)
	for i := range m.scalars {
		m.scalars[i] = libtch.Cscalar(C.gojepa_scalar_new())
	}
	return m
}

func (m *scratch) free() {
	C.free(m.block)
	for _, s := range m.scalars {
		C.gojepa_scalar_free(unsafe.Pointer(s))
	}
}

// list copies v into the i-th scratch list. The slice returned has at least one element even where v is empty, as
// libtch takes the address of the first.
func (m *scratch) list(i int, v ...int64) []int64 {
	if len(v) > intSlots {
		return append([]int64(nil), v...)
	}
	copy(m.ints[i], v)
	return m.ints[i]
}

// handles copies the handles of ts into scratch memory.
func (m *scratch) handles(ts []Tensor) []libtch.Ctensor {
	buf := m.tensors
	if len(ts) > len(buf) {
		buf = make([]libtch.Ctensor, len(ts))
	}
	for i, t := range ts {
		buf[i] = t.c
	}
	return buf
}

// float puts v into the i-th scratch scalar.
func (m *scratch) float(i int, v float64) libtch.Cscalar {
	C.gojepa_scalar_set_double(unsafe.Pointer(m.scalars[i]), C.double(v))
	return m.scalars[i]
}

// int puts v into the i-th scratch scalar.
func (m *scratch) int(i int, v int64) libtch.Cscalar {
	C.gojepa_scalar_set_int(unsafe.Pointer(m.scalars[i]), C.int64_t(v))
	return m.scalars[i]
}

// message turns a C string that we own into a Go one.
func message(c *C.char) string {
	if c == nil {
		return ""
	}
	defer C.free(unsafe.Pointer(c))
	return C.GoString(c)
}

// lastError takes the pending error of this OS thread out of libtch; "" if there is none.
func lastError() string { return message((*C.char)(unsafe.Pointer(libtch.GetAndResetLastErr()))) }

func dlopenCUDA() string { return message(C.gojepa_dlopen_cuda()) }

// Version is the version of libtorch that the program was compiled with, such as "2.11.0".
func Version() string { return C.GoString(C.gojepa_version()) }

func setNumThreads(n int)   { C.gojepa_set_num_threads(C.int(n)) }
func threadsFit(n int) bool { return C.gojepa_threads_fit(C.int(n)) != 0 }
func getNumThreads() int    { return int(C.gojepa_get_num_threads()) }
func gradEnabled() bool     { return C.gojepa_grad_enabled() != 0 }

// autocastState is whether autocast is on for one type of device, and to which type it casts.
type autocastState struct {
	enabled bool
	dtype   DType
}

func deviceType(d Device) C.int {
	if d.IsCUDA() {
		return 1
	}
	return 0
}

func getAutocast(d Device) autocastState {
	var enabled, dtype C.int
	C.gojepa_autocast_get(deviceType(d), &enabled, &dtype)
	return autocastState{enabled != 0, DType(dtype)}
}

func setAutocast(d Device, a autocastState) {
	var enabled C.int
	if a.enabled {
		enabled = 1
	}
	C.gojepa_autocast_set(deviceType(d), enabled, C.int(a.dtype))
}

func enterAutocast() { C.gojepa_autocast_enter() }
func leaveAutocast() { C.gojepa_autocast_leave() }

func nativeAdd(self, other libtch.Ctensor, alpha float64) string {
	return message(C.gojepa_add_(unsafe.Pointer(self), unsafe.Pointer(other), C.double(alpha)))
}

func nativeAddcmul(self, a, b libtch.Ctensor, value float64) string {
	return message(C.gojepa_addcmul_(unsafe.Pointer(self), unsafe.Pointer(a), unsafe.Pointer(b), C.double(value)))
}

func nativeAddcdiv(self, a, b libtch.Ctensor, value float64) string {
	return message(C.gojepa_addcdiv_(unsafe.Pointer(self), unsafe.Pointer(a), unsafe.Pointer(b), C.double(value)))
}

func nativeAddcmulOut(out, self, a, b libtch.Ctensor, value float64) string {
	return message(C.gojepa_addcmul_out(unsafe.Pointer(out), unsafe.Pointer(self), unsafe.Pointer(a), unsafe.Pointer(b), C.double(value)))
}

func nativeAddmm(out *libtch.Ctensor, self, a, b libtch.Ctensor, beta, alpha float64) string {
	return message(C.gojepa_addmm((*unsafe.Pointer)(unsafe.Pointer(out)), unsafe.Pointer(self), unsafe.Pointer(a), unsafe.Pointer(b),
		C.double(beta), C.double(alpha)))
}

func nativeAttention(out *libtch.Ctensor, q, k, v libtch.Ctensor) string {
	return message(C.gojepa_attention((*unsafe.Pointer)(unsafe.Pointer(out)), unsafe.Pointer(q), unsafe.Pointer(k), unsafe.Pointer(v)))
}

func nativeUnbind(out *libtch.Ctensor, self libtch.Ctensor, dim int64) string {
	return message(C.gojepa_unbind((*unsafe.Pointer)(unsafe.Pointer(out)), outSlots, unsafe.Pointer(self), C.int64_t(dim)))
}

func nativeChannelsLast(out *libtch.Ctensor, self libtch.Ctensor) string {
	return message(C.gojepa_channels_last((*unsafe.Pointer)(unsafe.Pointer(out)), unsafe.Pointer(self)))
}

func nativeGelu(out *libtch.Ctensor, self libtch.Ctensor, tanh bool) string {
	var approximate C.int
	if tanh {
		approximate = 1
	}
	return message(C.gojepa_gelu((*unsafe.Pointer)(unsafe.Pointer(out)), unsafe.Pointer(self), approximate))
}

func nativeQR(outs *libtch.Ctensor, self libtch.Ctensor) string {
	return message(C.gojepa_qr((*unsafe.Pointer)(unsafe.Pointer(outs)), unsafe.Pointer(self)))
}

func nativeEigh(outs *libtch.Ctensor, self libtch.Ctensor) string {
	return message(C.gojepa_eigh((*unsafe.Pointer)(unsafe.Pointer(outs)), unsafe.Pointer(self)))
}

func nativeWithGradient(out *libtch.Ctensor, self, x, grad libtch.Ctensor) string {
	return message(C.gojepa_with_gradient((*unsafe.Pointer)(unsafe.Pointer(out)), unsafe.Pointer(self), unsafe.Pointer(x), unsafe.Pointer(grad)))
}

func nativeMemory(self libtch.Ctensor, write bool) (p unsafe.Pointer, msg string) {
	var w C.int
	if write {
		w = 1
	}
	msg = message(C.gojepa_memory(&p, unsafe.Pointer(self), w))
	return p, msg
}

func nativeFromHost(out *libtch.Ctensor, data unsafe.Pointer, shape []int64, dims int, dtype DType, d Device) string {
	return message(C.gojepa_from_host((*unsafe.Pointer)(unsafe.Pointer(out)), data, (*C.int64_t)(unsafe.Pointer(&shape[0])), C.int(dims),
		C.int(dtype), C.int(d.id())))
}

func nativeUpload(out *libtch.Ctensor, self libtch.Ctensor, d Device) string {
	return message(C.gojepa_upload((*unsafe.Pointer)(unsafe.Pointer(out)), unsafe.Pointer(self), C.int(d.id())))
}

func nativeSetDevice(d Device) string { return message(C.gojepa_set_device(C.int(d.id()))) }

func nativeSetData(self, data libtch.Ctensor) string {
	return message(C.gojepa_set_data(unsafe.Pointer(self), unsafe.Pointer(data)))
}

func nativeSetGrad(self, grad libtch.Ctensor) string {
	return message(C.gojepa_set_grad(unsafe.Pointer(self), unsafe.Pointer(grad)))
}
