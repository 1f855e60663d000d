package raster

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Kind is what the bits of a number mean.
type Kind uint8

// The kinds of numbers.
const (
	Unsigned Kind = iota
	Signed        // in two's complement
	Float         // of IEEE 754
)

// Type is a type of numbers in a file.
type Type struct {
	Kind Kind
	Bits int // 8, 16, 32 or 64; Float has no 8
}

func (t Type) String() string {
	return fmt.Sprintf("%d-bit %s", t.Bits, [...]string{"unsigned integers", "signed integers", "floats"}[t.Kind])
}

// Size is the bytes of a number.
func (t Type) Size() int { return t.Bits / 8 }

// Limits sets r's Low and High to the limits of integers, and Bytes.
func (t Type) Limits(r *Raster) {
	if t.Kind != Float {
		r.Integers(t.Bits, t.Kind == Signed)
	}
}

// Numbers writes a number to each of dst, from every step-th byte of src on. It panics if src is too short or the type has
// none of the sizes that there are.
func (t Type) Numbers(dst []float32, src []byte, step int, order binary.ByteOrder) {
	switch t {
	case Type{Unsigned, 8}:
		for i := range dst {
			dst[i] = float32(src[i*step])
		}
	case Type{Signed, 8}:
		for i := range dst {
			dst[i] = float32(int8(src[i*step]))
		}
	case Type{Unsigned, 16}:
		numbers(dst, src, step, func(b []byte) float32 { return float32(order.Uint16(b)) })
	case Type{Signed, 16}:
		numbers(dst, src, step, func(b []byte) float32 { return float32(int16(order.Uint16(b))) })
	case Type{Unsigned, 32}:
		numbers(dst, src, step, func(b []byte) float32 { return float32(order.Uint32(b)) })
	case Type{Signed, 32}:
		numbers(dst, src, step, func(b []byte) float32 { return float32(int32(order.Uint32(b))) })
	case Type{Unsigned, 64}:
		numbers(dst, src, step, func(b []byte) float32 { return float32(order.Uint64(b)) })
	case Type{Signed, 64}:
		numbers(dst, src, step, func(b []byte) float32 { return float32(int64(order.Uint64(b))) })
	case Type{Float, 16}:
		numbers(dst, src, step, func(b []byte) float32 { return half(order.Uint16(b)) })
	case Type{Float, 32}:
		numbers(dst, src, step, func(b []byte) float32 { return math.Float32frombits(order.Uint32(b)) })
	case Type{Float, 64}:
		numbers(dst, src, step, func(b []byte) float32 { return float32(math.Float64frombits(order.Uint64(b))) })
	default:
		panic(fmt.Sprintf("raster: %v", t))
	}
}

func numbers(dst []float32, src []byte, step int, number func([]byte) float32) {
	for i := range dst {
		dst[i] = number(src[i*step:])
	}
}

// half is the value of a float of 16 bits.
func half(b uint16) float32 {
	sign, exponent, fraction := uint32(b>>15)<<31, uint32(b>>10&31), uint32(b&1023)
	switch exponent {
	case 0:
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)/(1<<24)))
	case 31:
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
}
