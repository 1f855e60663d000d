package torch

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/sugarme/gotch/libtch"
)

// Tensor is a handle of a libtorch tensor: a small value, copied freely, owned by a [Scope] or, after [Tensor.Keep], by
// the caller. Methods run on the thread of the receiver and give their result to its innermost scope; arguments may have
// been kept from another thread of the same device. The zero Tensor stands for "none" where an argument is optional.
type Tensor struct {
	c  libtch.Ctensor
	th *Thread
}

// Defined reports whether t is a tensor, and not the zero value.
func (t Tensor) Defined() bool { return t.c != nil }

// mem returns the scratch memory for a call with t as its receiver.
func (t Tensor) mem() *scratch {
	if t.th == nil {
		panic("torch: operation on the zero Tensor")
	}
	if t.th.cur == nil {
		panic("torch: operation outside Do")
	}
	return t.th.mem
}

// out returns the slot for the result of an operation, emptied.
func (t Tensor) out() *libtch.Ctensor {
	m := t.mem()
	m.outs[0] = nil
	return m.out
}

// result turns the slot into a tensor of the innermost scope. An operation that failed leaves its slot empty, so that
// success costs no extra call.
func (t Tensor) result(op string, args ...Tensor) Tensor {
	c := t.th.mem.outs[0]
	if c == nil {
		panic(newError(op, lastError(), args))
	}
	return t.th.cur.own(c)
}

// drop frees the handle that an in-place operation returned, which is one more reference to its receiver.
func (t Tensor) drop(op string, args ...Tensor) {
	c := t.th.mem.outs[0]
	if c == nil {
		panic(newError(op, lastError(), args))
	}
	libtch.AtFree(c)
}

// Keep makes the caller the owner of t, which outlives Do, and returns t. It panics if no open scope owns t.
func (t Tensor) Keep() Tensor {
	t.mem()
	for s := t.th.cur; s != nil; s = s.parent {
		if s.disown(t.c) {
			return t
		}
	}
	panic("torch: Keep of a tensor that no open scope owns")
}

// Free releases a tensor that was kept. Its memory goes when nothing else refers to it. Freeing the zero Tensor does
// nothing; freeing twice is an error that cannot be detected.
func (t Tensor) Free() {
	if t.c == nil {
		return
	}
	libtch.AtFree(t.c)
	liveHandles.Add(-1)
}

// Shape is the size of each dimension.
func (t Tensor) Shape() []int64 {
	shape := make([]int64, t.Dim())
	if len(shape) > 0 {
		libtch.AtShape(t.c, unsafe.Pointer(&shape[0]))
	}
	return shape
}

// Size is the size of dimension d; a negative d counts from the last.
func (t Tensor) Size(d int) int64 {
	m := t.mem()
	n := t.Dim()
	if d < 0 {
		d += n
	}
	if d < 0 || d >= n {
		panic(fmt.Sprintf("torch: Size(%d) of %s", d, t.describe()))
	}
	dims := m.ints[0]
	if n > len(dims) {
		return t.Shape()[d]
	}
	libtch.AtShape(t.c, unsafe.Pointer(&dims[0]))
	return dims[d]
}

// handle is t.c. The zero Tensor would end the process inside libtorch; here it panics.
func (t Tensor) handle() libtch.Ctensor {
	if t.c == nil {
		panic("torch: the zero Tensor has neither shape nor type")
	}
	return t.c
}

// Dim is the number of dimensions.
func (t Tensor) Dim() int { return int(libtch.AtDim(t.handle())) }

// Numel is the number of elements.
func (t Tensor) Numel() int64 { return numel(t.Shape()) }

// DType is the type of t's elements.
func (t Tensor) DType() DType { return DType(libtch.AtScalarType(t.handle())) }

// Device is where t lives.
func (t Tensor) Device() Device { return deviceOf(int(int32(libtch.AtDevice(t.handle())))) }

// RequiresGrad reports whether gradients flow into t.
func (t Tensor) RequiresGrad() bool { return libtch.AtRequiresGrad(t.handle()) }

// IsContiguous reports whether the elements lie in memory in C order without gaps.
func (t Tensor) IsContiguous() bool { return libtch.AtIsContiguous(t.c) }

// describe says type and shape for messages, such as "float32[2 3]".
func (t Tensor) describe() string {
	if t.c == nil || !libtch.AtDefined(t.c) {
		return "none"
	}
	return fmt.Sprintf("%s%v", t.DType(), t.Shape())
}

// String says type, shape and device, and for a tensor of one element its value.
func (t Tensor) String() string {
	s := t.describe()
	if t.c == nil || t.th.cur == nil {
		return s
	}
	if d := t.Device(); d.IsCUDA() {
		s += " " + d.String()
	}
	if t.Numel() == 1 {
		s += fmt.Sprintf(" = %g", t.Item())
	}
	return s
}

// Item is the value of a tensor of one element. On CUDA it waits for the device.
func (t Tensor) Item() float64 {
	if n := t.Numel(); n != 1 {
		panic(fmt.Sprintf("torch: Item of %s: expected one element", t.describe()))
	}
	v := libtch.AtDoubleValueAtIndexes(t.c, nil, 0)
	if msg := lastError(); msg != "" {
		panic(newError("item", msg, []Tensor{t}))
	}
	return v
}

// element is what can be copied out of, and into, a tensor.
type element interface {
	~float32 | ~float64 | ~int64 | ~uint8
}

func copyOut[T element](t Tensor, want DType) []T {
	t.mem()
	u := t
	if t.DType() != want {
		u = t.Detach().To(want)
	}
	out := make([]T, u.Numel())
	if len(out) == 0 {
		return out
	}
	libtch.AtCopyData(u.c, unsafe.Pointer(&out[0]), uint(len(out)), uint(want.Size()))
	if msg := lastError(); msg != "" {
		panic(newError("copy_data", msg, []Tensor{t}))
	}
	return out
}

// Float32s copies t's elements in C order, converted to float32.
func (t Tensor) Float32s() []float32 { return copyOut[float32](t, Float32) }

// Float64s copies t's elements in C order, converted to float64.
func (t Tensor) Float64s() []float64 { return copyOut[float64](t, Float64) }

// Int64s copies t's elements in C order, converted to int64.
func (t Tensor) Int64s() []int64 { return copyOut[int64](t, Int64) }

// Bytes copies t's memory in C order, in its own type, little endian.
func (t Tensor) Bytes() []byte {
	out := make([]byte, t.Numel()*int64(t.DType().Size()))
	if len(out) == 0 {
		return out
	}
	u := t.Detach()
	libtch.AtCopyData(u.c, unsafe.Pointer(&out[0]), uint(t.Numel()), uint(t.DType().Size()))
	if msg := lastError(); msg != "" {
		panic(newError("copy_data", msg, []Tensor{t}))
	}
	return out
}

// memory is t's own memory, for as long as t lives, if t is on the CPU and in C order, and nil otherwise. Whoever writes to
// it says so first.
func (t Tensor) memory(write bool) []byte {
	t.mem()
	p, msg := nativeMemory(t.c, write)
	if msg != "" {
		panic(newError("data_ptr", msg, []Tensor{t}))
	}
	if p == nil {
		return nil
	}
	return unsafe.Slice((*byte)(p), t.Numel()*int64(t.DType().Size()))
}

// Backward computes the gradient of t, a tensor of one element, and adds it to the gradients of all leaves that t depends
// on. The graph is freed.
func (t Tensor) Backward() {
	t.mem()
	libtch.AtBackward(t.c, 0, 0)
	if msg := lastError(); msg != "" {
		panic(newError("backward", msg, []Tensor{t}))
	}
}

// Grad is the gradient that backward passes have added up in the leaf t; the zero Tensor if there is none yet.
func (t Tensor) Grad() Tensor {
	libtch.AtgGrad(t.out(), t.c)
	g := t.result("grad", t)
	if !libtch.AtDefined(g.c) {
		return Tensor{}
	}
	return g
}

// SetGrad makes g, of t's type and shape, the tensor into which backward passes add the gradient of the leaf t.
func (t Tensor) SetGrad(g Tensor) {
	t.mem()
	if msg := nativeSetGrad(t.c, g.c); msg != "" {
		panic(newError("set_grad", msg, []Tensor{t, g}))
	}
}

// setData makes the leaf t use data's memory, keeping t's identity for those who hold its handle.
func (t Tensor) setData(data Tensor) {
	t.mem()
	if msg := nativeSetData(t.c, data.c); msg != "" {
		panic(newError("set_data", msg, []Tensor{t, data}))
	}
}

// SetRequiresGrad turns the leaf t into one that gradients flow into, or back, and returns t.
func (t Tensor) SetRequiresGrad(on bool) Tensor {
	libtch.AtgRequiresGrad_(t.out(), t.c, int32(boolToInt(on)))
	t.drop("requires_grad_", t)
	return t
}

// WithGradient returns t as if it had been computed from x with the derivative grad, of x's shape: a backward adds grad times
// the gradient that arrives at the result, broadcast to it. t and grad count as constants, and there are no derivatives of
// second order. All are of x's type. A backward that frees the graph works in grad's memory, unless a handle of it, or of
// another tensor of that memory, still exists.
func (t Tensor) WithGradient(x, grad Tensor) Tensor {
	args := []Tensor{t, x, grad}
	if x.DType() != t.DType() || x.DType() != grad.DType() || !slices.Equal(x.Shape(), grad.Shape()) || !broadcasts(t.Shape(), x.Shape()) {
		panic(newError("with_gradient", "expected three tensors of one type, the last two of one shape, to which the first can be broadcast", args))
	}
	if msg := nativeWithGradient(t.out(), t.c, x.c, grad.c); msg != "" {
		panic(newError("with_gradient", msg, args))
	}
	return t.result("with_gradient", args...)
}

// broadcasts reports whether a tensor of the shape from can be repeated to the shape to.
func broadcasts(from, to []int64) bool {
	skip := len(to) - len(from)
	if skip < 0 {
		return false
	}
	for i, n := range from {
		if n != 1 && n != to[skip+i] {
			return false
		}
	}
	return true
}

// Detach returns a tensor of the same memory that no gradient flows through.
func (t Tensor) Detach() Tensor {
	libtch.AtgDetach(t.out(), t.c)
	return t.result("detach", t)
}
