package torch

import (
	"fmt"
	"math/rand/v2"
	"unsafe"

	"github.com/sugarme/gotch/libtch"
)

// none is the receiver of what makes a tensor from nothing. A trace takes what is made as a constant: it sees neither what
// is then written to its memory, nor should it say on which device to make it.
func (s *Scope) none() Tensor {
	if s.th.tracing {
		pauseTrace(true)
	}
	return Tensor{th: s.th}
}

// take makes s, which need not be the innermost scope, the owner of what a constructor made.
func (s *Scope) take(op string) Tensor {
	if s.th.tracing {
		pauseTrace(false)
	}
	c := s.th.mem.outs[0]
	if c == nil {
		panic(newError(op, lastError(), nil))
	}
	return s.own(c)
}

// Empty makes a tensor whose elements are not set.
func (s *Scope) Empty(dtype DType, shape ...int64) Tensor {
	t := s.none()
	libtch.AtgEmpty(t.out(), t.th.mem.list(0, shape...), len(shape), int32(dtype), s.th.device.id())
	return s.take("empty")
}

// Zeros makes a tensor of zeros.
func (s *Scope) Zeros(dtype DType, shape ...int64) Tensor {
	t := s.none()
	libtch.AtgZeros(t.out(), t.th.mem.list(0, shape...), len(shape), int32(dtype), s.th.device.id())
	return s.take("zeros")
}

// Ones makes a tensor of ones.
func (s *Scope) Ones(dtype DType, shape ...int64) Tensor { return s.Full(dtype, 1, shape...) }

// Full makes a tensor whose elements are all v.
func (s *Scope) Full(dtype DType, v float64, shape ...int64) Tensor {
	t := s.none()
	m := t.mem()
	libtch.AtgFull(t.out(), m.list(0, shape...), len(shape), m.float(0, v), int32(dtype), s.th.device.id())
	return s.take("full")
}

// Arange makes the integers 0 … n-1.
func (s *Scope) Arange(n int64) Tensor {
	t := s.none()
	m := t.mem()
	libtch.AtgArange(t.out(), m.int(0, n), int32(Int64), s.th.device.id())
	return s.take("arange")
}

// Randn makes a tensor of independent standard normal values drawn from r on the CPU, so that they are equal on every
// device.
func (s *Scope) Randn(r *rand.Rand, dtype DType, shape ...int64) Tensor {
	v := make([]float64, numel(shape))
	for i := range v {
		v[i] = r.NormFloat64()
	}
	return s.FromFloat64(v, shape...).To(dtype)
}

// OnCPU runs f with constructors and [Scope.Parallel] working on the CPU, whatever the scope's device: for what is made there and
// moved when it is done.
func (s *Scope) OnCPU(f func()) {
	was := s.th.device
	s.th.device = CPU
	defer func() { s.th.device = was }()
	f()
}

// FromFloat32 copies data, in C order, into a tensor on the scope's device.
func (s *Scope) FromFloat32(data []float32, shape ...int64) Tensor {
	return from(s, Float32, data, shape)
}

// FromFloat64 copies data, in C order, into a tensor on the scope's device.
func (s *Scope) FromFloat64(data []float64, shape ...int64) Tensor {
	return from(s, Float64, data, shape)
}

// FromInt64 copies data, in C order, into a tensor on the scope's device.
func (s *Scope) FromInt64(data []int64, shape ...int64) Tensor {
	return from(s, Int64, data, shape)
}

// FromUint8 copies data, in C order, into a tensor on the scope's device.
func (s *Scope) FromUint8(data []uint8, shape ...int64) Tensor {
	return from(s, Uint8, data, shape)
}

// FromBytes copies the memory of a tensor, little endian and in C order, as [Tensor.Bytes] returns it.
func (s *Scope) FromBytes(dtype DType, data []byte, shape ...int64) Tensor {
	if want := numel(shape) * int64(dtype.Size()); int64(len(data)) != want {
		panic(fmt.Sprintf("torch: %d bytes for %s%v, expected %d", len(data), dtype, shape, want))
	}
	var p unsafe.Pointer
	if len(data) > 0 {
		p = unsafe.Pointer(&data[0])
	}
	return s.fromMemory(dtype, p, shape)
}

func from[T element](s *Scope, dtype DType, data []T, shape []int64) Tensor {
	if want := numel(shape); int64(len(data)) != want {
		panic(fmt.Sprintf("torch: %d values for %s%v, expected %d", len(data), dtype, shape, want))
	}
	var p unsafe.Pointer
	if len(data) > 0 {
		p = unsafe.Pointer(&data[0])
	}
	return s.fromMemory(dtype, p, shape)
}

func (s *Scope) fromMemory(dtype DType, p unsafe.Pointer, shape []int64) Tensor {
	t := s.none()
	m := t.mem()
	if s.th.device.IsCUDA() {
		t.native("from_host", nativeFromHost(t.out(), p, m.list(0, shape...), len(shape), dtype, s.th.device))
		return s.take("from_host")
	}
	m.outs[0] = libtch.AtTensorOfData(p, m.list(0, shape...), uint(len(shape)), uint(dtype.Size()), int(dtype))
	return s.take("tensor_of_data")
}

func numel(shape []int64) int64 {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	return n
}
