package weights

import "fmt"

// DType is the type of a tensor's elements.
type DType uint8

// The element types that PyTorch stores. F4x2 is a byte that packs two 4-bit
// floats; shapes count such bytes, as PyTorch's do.
const (
	Invalid DType = iota
	Bool
	F4x2
	U8
	I8
	F8E5M2
	F8E4M3
	F8E8M0
	F8E4M3FNUZ
	F8E5M2FNUZ
	I16
	U16
	F16
	BF16
	I32
	U32
	F32
	C32
	C64
	F64
	I64
	U64
	C128
	numDTypes
)

// dtypes says how each type is named by the formats. A type without a storage
// class is pickled over torch.storage.UntypedStorage; one without a safetensors
// name cannot be stored there. safetensors orders a file's tensors by dtype, in
// the order of the constants above.
var dtypes = [numDTypes]struct {
	torch       string // attribute of the torch module
	class       string // legacy storage class of the torch module
	safetensors string
	size        int // bytes per element
	word        int // bytes per number: what a change of byte order reverses
}{
	Bool:       {"bool", "BoolStorage", "BOOL", 1, 1},
	F4x2:       {"float4_e2m1fn_x2", "", "F4", 1, 1},
	U8:         {"uint8", "ByteStorage", "U8", 1, 1},
	I8:         {"int8", "CharStorage", "I8", 1, 1},
	F8E5M2:     {"float8_e5m2", "", "F8_E5M2", 1, 1},
	F8E4M3:     {"float8_e4m3fn", "", "F8_E4M3", 1, 1},
	F8E8M0:     {"float8_e8m0fnu", "", "F8_E8M0", 1, 1},
	F8E4M3FNUZ: {"float8_e4m3fnuz", "", "F8_E4M3FNUZ", 1, 1},
	F8E5M2FNUZ: {"float8_e5m2fnuz", "", "F8_E5M2FNUZ", 1, 1},
	I16:        {"int16", "ShortStorage", "I16", 2, 2},
	U16:        {"uint16", "", "U16", 2, 2},
	F16:        {"float16", "HalfStorage", "F16", 2, 2},
	BF16:       {"bfloat16", "BFloat16Storage", "BF16", 2, 2},
	I32:        {"int32", "IntStorage", "I32", 4, 4},
	U32:        {"uint32", "", "U32", 4, 4},
	F32:        {"float32", "FloatStorage", "F32", 4, 4},
	C32:        {"complex32", "", "", 4, 2},
	C64:        {"complex64", "ComplexFloatStorage", "C64", 8, 4},
	F64:        {"float64", "DoubleStorage", "F64", 8, 8},
	I64:        {"int64", "LongStorage", "I64", 8, 8},
	U64:        {"uint64", "", "U64", 8, 8},
	C128:       {"complex128", "ComplexDoubleStorage", "", 16, 8},
}

// Size returns the bytes per element, 0 for an invalid type.
func (d DType) Size() int {
	if d >= numDTypes {
		return 0
	}
	return dtypes[d].size
}

// String returns PyTorch's name, such as float32 or bfloat16.
func (d DType) String() string {
	if d == Invalid || d >= numDTypes {
		return fmt.Sprintf("DType(%d)", uint8(d))
	}
	return dtypes[d].torch
}

// ParseDType returns the type that PyTorch or safetensors calls name
// ("bfloat16", "BF16"), or an error that quotes it.
func ParseDType(name string) (DType, error) {
	for d := Invalid + 1; d < numDTypes; d++ {
		if name != "" && (name == dtypes[d].torch || name == dtypes[d].safetensors) {
			return d, nil
		}
	}
	return Invalid, fmt.Errorf("unknown dtype %q", name)
}

// complex reports whether elements are pairs of numbers.
func (d DType) complex() bool { return d == C32 || d == C64 || d == C128 }

// signed reports whether the top bit of each number is the sign of a float.
func (d DType) signed() bool {
	switch d {
	case F8E5M2, F8E4M3, F16, BF16, F32, F64, C32, C64, C128:
		return true
	}
	return false
}
