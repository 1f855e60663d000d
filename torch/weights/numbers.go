package weights

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/bits"
)

// small describes the floats of up to 8 bits. Their exponent and mantissa fill
// what the sign leaves.
type small struct {
	bits, mantissa, bias int
	sign                 bool // the top bit is one
	inf                  bool // the highest exponent is that of infinity and NaN
	top                  bool // all ones but the sign are NaN
	negZero              bool // what would be -0 is NaN, and there is no other
}

var smallFloats = map[DType]small{
	F8E5M2:     {bits: 8, mantissa: 2, bias: 15, sign: true, inf: true},
	F8E4M3:     {bits: 8, mantissa: 3, bias: 7, sign: true, top: true},
	F8E5M2FNUZ: {bits: 8, mantissa: 2, bias: 16, sign: true, negZero: true},
	F8E4M3FNUZ: {bits: 8, mantissa: 3, bias: 8, sign: true, negZero: true},
	F4x2:       {bits: 4, mantissa: 1, bias: 1, sign: true},
}

func (s small) value(b byte) float64 {
	ones := byte(1)<<(s.bits-1) - 1
	exponent, mantissa := int(b&ones)>>s.mantissa, b&(1<<s.mantissa-1)
	infinite := s.inf && exponent == int(ones)>>s.mantissa
	negative := b > ones
	var v float64
	switch {
	case infinite && mantissa == 0:
		v = math.Inf(1)
	case infinite, s.top && b&ones == ones, s.negZero && negative && b&ones == 0:
		return math.NaN()
	case exponent == 0:
		v = math.Ldexp(float64(mantissa), 1-s.bias-s.mantissa)
	default:
		v = math.Ldexp(float64(int(mantissa)+1<<s.mantissa), exponent-s.bias-s.mantissa)
	}
	if negative {
		return -v
	}
	return v
}

// Float64s appends the numbers that data hold to dst: little endian elements of
// type d. Complex elements are two numbers, the real part first, and so are the
// bytes of F4x2, the low half first. Integers beyond 2⁵³ are rounded.
func (d DType) Float64s(dst []float64, data []byte) []float64 {
	le := binary.LittleEndian
	word := 1
	if d > Invalid && d < numDTypes {
		word = dtypes[d].word
	}
	s, isSmall := smallFloats[d]
	for ; len(data) >= word; data = data[word:] {
		var v float64
		switch d {
		case Bool, U8:
			v = float64(data[0])
		case I8:
			v = float64(int8(data[0]))
		case I16:
			v = float64(int16(le.Uint16(data)))
		case U16:
			v = float64(le.Uint16(data))
		case I32:
			v = float64(int32(le.Uint32(data)))
		case U32:
			v = float64(le.Uint32(data))
		case I64:
			v = float64(int64(le.Uint64(data)))
		case U64:
			v = float64(le.Uint64(data))
		case F16, C32:
			v = float64(fromHalf(le.Uint16(data)))
		case BF16:
			v = float64(math.Float32frombits(uint32(le.Uint16(data)) << 16))
		case F32, C64:
			v = float64(math.Float32frombits(le.Uint32(data)))
		case F64, C128:
			v = math.Float64frombits(le.Uint64(data))
		case F8E8M0:
			v = math.Ldexp(1, int(data[0])-127)
			if data[0] == 0xff {
				v = math.NaN()
			}
		case F4x2:
			dst = append(dst, s.value(data[0]&15))
			v = s.value(data[0] >> 4)
		default:
			if !isSmall {
				return dst
			}
			v = s.value(data[0])
		}
		dst = append(dst, v)
	}
	return dst
}

// isFloat reports whether elements are single real floats.
func (d DType) isFloat() bool {
	switch d {
	case F16, BF16, F32, F64, F8E5M2, F8E4M3, F8E8M0, F8E5M2FNUZ, F8E4M3FNUZ:
		return true
	}
	return false
}

// canHold reports whether numbers can be rounded to d.
func (d DType) canHold() bool { return d == F16 || d == BF16 || d == F32 || d == F64 }

// appendRounded appends numbers as elements of d, as PyTorch rounds them: to
// float32 first, then to the nearest, of two the even one.
func (d DType) appendRounded(dst []byte, numbers []float64) []byte {
	le := binary.LittleEndian
	for _, v := range numbers {
		switch d {
		case F16:
			dst = le.AppendUint16(dst, toHalf(float32(v)))
		case BF16:
			dst = le.AppendUint16(dst, toBrain(float32(v)))
		case F32:
			dst = le.AppendUint32(dst, math.Float32bits(float32(v)))
		case F64:
			dst = le.AppendUint64(dst, math.Float64bits(v))
		}
	}
	return dst
}

// addTo adds the elements of b to those of a.
func addTo(d DType, a, b []byte) error {
	if !d.canHold() {
		return fmt.Errorf("a sum of %v", d)
	}
	x, y := d.Float64s(nil, a), d.Float64s(nil, b)
	for i := range x {
		x[i] += y[i]
	}
	d.appendRounded(a[:0], x)
	return nil
}

// fromHalf is the value of an IEEE half.
func fromHalf(h uint16) float32 {
	sign, exponent, mantissa := uint32(h&0x8000)<<16, uint32(h>>10&31), uint32(h&1023)
	switch {
	case exponent == 31:
		return math.Float32frombits(sign | 0x7f800000 | mantissa<<13)
	case exponent > 0:
		return math.Float32frombits(sign | (exponent+112)<<23 | mantissa<<13)
	case mantissa == 0:
		return math.Float32frombits(sign)
	}
	shift := uint32(bits.LeadingZeros16(uint16(mantissa))) - 5 // brings the top bit to place 10
	return math.Float32frombits(sign | (113-shift)<<23 | mantissa<<shift&1023<<13)
}

// toHalf rounds to an IEEE half.
func toHalf(v float32) uint16 {
	b := math.Float32bits(v)
	sign, b := uint16(b>>16&0x8000), b&0x7fffffff
	switch {
	case b > 0x7f800000:
		return sign | 0x7e00
	case b >= 0x47800000: // 2¹⁶ and more
		return sign | 0x7c00
	case b >= 0x38800000: // 2⁻¹⁴, the smallest with all bits; a carry may make it infinite
		b -= 112 << 23
		return sign | uint16((b+0xfff+b>>13&1)>>13)
	case b < 0x33000000: // 2⁻²⁵, half of the smallest there is
		return sign
	}
	mantissa := b&0x7fffff | 0x800000
	shift := 126 - b>>23 // how far the bits lie below those of 2⁻²⁴
	half := uint32(1)<<(shift-1) - 1
	return sign | uint16((mantissa+half+mantissa>>shift&1)>>shift)
}

// toBrain rounds to a bfloat16.
func toBrain(v float32) uint16 {
	b := math.Float32bits(v)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x7fc0
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// As returns the entry with its elements rounded to d, one of F16, BF16, F32 and
// F64, as PyTorch rounds them. Only floats are: integers, booleans and complex
// numbers stay as they are.
func (e Entry) As(d DType) (Entry, error) {
	if !d.canHold() {
		return e, fmt.Errorf("weights: key %q: to %v: only float16, bfloat16, float32 and float64 can be rounded to", e.Name, d)
	}
	if !e.DType.isFloat() || e.DType == d {
		return e, nil
	}
	from, write := e.DType, e.WriteData
	e.DType = d
	e.WriteData = func(w io.Writer) error { return write(&rounder{w: w, from: from, to: d}) }
	return e, nil
}

// rounder rounds what passes through it. A piece may end within an element.
type rounder struct {
	w        io.Writer
	from, to DType
	rest     []byte
	numbers  []float64
	out      []byte
}

func (r *rounder) Write(p []byte) (int, error) {
	const most = 64 << 10
	for at := 0; at < len(p); at += most {
		piece := p[at:min(at+most, len(p))]
		if len(r.rest) > 0 {
			piece = append(r.rest, piece...)
		}
		whole := len(piece) / r.from.Size() * r.from.Size()
		r.numbers = r.from.Float64s(r.numbers[:0], piece[:whole])
		r.out = r.to.appendRounded(r.out[:0], r.numbers)
		r.rest = append([]byte(nil), piece[whole:]...)
		if _, err := r.w.Write(r.out); err != nil {
			return at, err
		}
	}
	return len(p), nil
}
