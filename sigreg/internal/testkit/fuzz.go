package testkit

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// special are values that samples are drawn from besides the fuzzer's own numbers.
var special = []float64{0, math.Copysign(0, -1), 1, -1, 1e-45, -1e-30, 1e4, -1e4, 3e38, -3e38, 1e300, math.Inf(1), math.Inf(-1), math.NaN()}

var dtypes = []torch.DType{torch.Float32, torch.Float64, torch.BFloat16, torch.Float16, torch.Int64, torch.Bool, torch.Uint8}

// Bytes are what a fuzzer gives, read from the front; what is missing reads as 0.
type Bytes []byte

// Byte reads one.
func (in *Bytes) Byte() byte {
	if len(*in) == 0 {
		return 0
	}
	b := (*in)[0]
	*in = (*in)[1:]
	return b
}

// Bool reads a yes or no.
func (in *Bytes) Bool() bool { return in.Byte()%2 == 1 }

// Small is between -1 and n.
func (in *Bytes) Small(n int) int { return int(in.Byte())%(n+2) - 1 }

// Value reads a number of any kind, mostly one of a Gaussian's size.
func (in *Bytes) Value() float64 {
	switch b := in.Byte(); {
	case b < 24:
		return special[int(b)%len(special)]
	case b < 32 && len(*in) >= 8:
		v := math.Float64frombits(binary.LittleEndian.Uint64(*in))
		*in = (*in)[8:]
		return v
	default:
		return (float64(b) - 144) / 32 // −3.5 to 3.5, with ties
	}
}

// DType reads any type.
func (in *Bytes) DType() torch.DType { return dtypes[int(in.Byte())%len(dtypes)] }

// Tensor reads one of any type, layout and shape up to four dimensions.
func (in *Bytes) Tensor(s *torch.Scope) torch.Tensor {
	dtype := in.DType()
	layout := in.Byte()
	shape := make([]int64, in.Byte()%5)
	for i := range shape {
		shape[i] = int64(in.Byte() % 12)
	}
	return in.Filled(s, dtype, layout, shape...)
}

// Filled reads the values of a tensor, and lays it out in one of four ways: in C order, with its last dimensions
// exchanged, the half of another, or that several times over.
func (in *Bytes) Filled(s *torch.Scope, dtype torch.DType, layout byte, shape ...int64) torch.Tensor {
	numel := int64(1)
	for _, n := range shape {
		numel *= n
	}
	v := make([]float64, numel)
	for i := range v {
		v[i] = in.Value()
	}
	x := s.FromFloat64(v, shape...).To(dtype)
	if len(shape) < 2 {
		return x
	}
	switch d := int64(len(shape)); layout % 4 {
	case 1:
		return x.Transpose(-1, -2)
	case 2:
		return x.Narrow(d-1, shape[d-1]/2, shape[d-1]-shape[d-1]/2)
	case 3:
		return x.Unsqueeze(0).Expand(append([]int64{3}, shape...)...)
	}
	return x
}

// Survives runs f, which may panic with a message that has one of the prefixes, and fails on any other panic and on
// failures of libtorch. what says in messages what was tried.
func Survives(t *testing.T, what any, f func(s *torch.Scope), prefixes ...string) {
	th := torchtest.Thread(t)
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		expected, ok := p.(*torch.Panic)
		if !ok {
			panic(p)
		}
		message, _ := expected.Value.(string)
		for _, prefix := range prefixes {
			if strings.HasPrefix(message, prefix) {
				return
			}
		}
		t.Fatalf("%#v: panic %v\n%s", what, expected.Value, expected.Stack)
	}()
	err := th.Do(t.Context(), f)
	if failed := new(torch.Error); errors.As(err, &failed) {
		t.Fatalf("%#v: %v", what, err)
	}
}
