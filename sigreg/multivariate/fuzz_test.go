package multivariate_test

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/gojepa/gojepa/sigreg/multivariate"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// values that samples are drawn from besides the fuzzer's own numbers.
var special = []float64{0, math.Copysign(0, -1), 1, -1, 1e-45, -1e-30, 1e4, -1e4, 3e38, -3e38, 1e300, math.Inf(1), math.Inf(-1), math.NaN()}

// input reads a test, with options that may be out of range, and a tensor from fuzzed bytes; what is missing reads as 0.
type input []byte

func (in *input) byte() byte {
	if len(*in) == 0 {
		return 0
	}
	b := (*in)[0]
	*in = (*in)[1:]
	return b
}

func (in *input) bool() bool { return in.byte()%2 == 1 }

func (in *input) value() float64 {
	switch b := in.byte(); {
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

// bandwidth is mostly one that is allowed.
func (in *input) bandwidth() float64 {
	switch b := in.byte(); {
	case b < 8:
		return in.value()
	case b < 64:
		return 0
	default:
		return math.Pow(10, float64(b)/21-6) // 1e-3 to 1e6
	}
}

func (in *input) test() tester {
	switch in.byte() % 4 {
	case 0:
		return multivariate.BHEP{Beta: in.bandwidth(), Standardise: in.bool()}
	case 1:
		return multivariate.HenzeZirkler{Standardise: in.bool()}
	case 2:
		return multivariate.HenzeVisagie{Gamma: in.bandwidth(), Log: in.bool(), Standardise: in.bool()}
	default:
		return multivariate.COMB{Gamma: in.bandwidth(), Signed: in.bool(), Standardise: in.bool()}
	}
}

func (in *input) tensor(s *torch.Scope) torch.Tensor {
	dtypes := []torch.DType{torch.Float32, torch.Float64, torch.BFloat16, torch.Float16, torch.Int64, torch.Bool, torch.Uint8}
	dtype := dtypes[int(in.byte())%len(dtypes)]
	layout := in.byte() % 4
	shape := make([]int64, in.byte()%5)
	numel := int64(1)
	for i := range shape {
		shape[i] = int64(in.byte() % 12)
		numel *= shape[i]
	}
	v := make([]float64, numel)
	for i := range v {
		v[i] = in.value()
	}
	x := s.FromFloat64(v, shape...).To(dtype)
	if len(shape) < 2 {
		return x
	}
	switch d := int64(len(shape)); layout {
	case 1:
		return x.Transpose(-1, -2)
	case 2:
		return x.Narrow(d-1, shape[d-1]/2, shape[d-1]-shape[d-1]/2)
	case 3:
		return x.Unsqueeze(0).Expand(append([]int64{3}, shape...)...)
	}
	return x
}

// FuzzStatistic: whatever a tensor is, a test takes it or panics with a word of its own; what it takes has the shape and
// type that it promises, NaN where NaN goes in, and where no number is beyond 1e4 no NaN and finite gradients.
func FuzzStatistic(f *testing.F) {
	for test := range byte(4) {
		f.Add([]byte{test, 60, 0, 0, 1, 1, 200, 0, 0, 2, 7, 3, 40, 200, 90, 120, 250, 33, 160, 70, 180, 230, 99, 144, 150, 60})
		f.Add([]byte{test, 140, 1, 1, 0, 0, 3, 2, 9, 4, 2, 2, 2, 2, 2, 2, 13, 11, 12, 8, 9, 6, 7, 100, 4, 5, 25})
		f.Add([]byte{test, 200, 1, 0, 1, 2, 3, 2, 3, 2, 100, 130, 150, 200, 210, 90, 80, 110, 40, 220, 7, 6})
		f.Add([]byte{test, 0, 1, 1, 0, 0, 4, 2, 2, 5, 5, 1})
		f.Add([]byte{test, 60, 0, 0, 3, 2, 3, 2, 0, 4})
		f.Add([]byte{test, 60, 1, 1, 0, 0, 1, 9})
		f.Add([]byte{test})
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := input(b)
		test := in.test()
		th := torchtest.Thread(t)
		defer func() {
			if p := recover(); p != nil {
				expected, ok := p.(*torch.Panic)
				if !ok {
					panic(p)
				}
				if message, ok := expected.Value.(string); !ok || !strings.HasPrefix(message, "multivariate: "+typeName(test)+": ") {
					t.Fatalf("%#v: panic %v\n%s", test, expected.Value, expected.Stack)
				}
			}
		}()
		err := th.Do(t.Context(), func(s *torch.Scope) { check(t, s, test, in.tensor(s)) })
		if failed := new(torch.Error); errors.As(err, &failed) {
			t.Fatalf("%#v: %v", test, err)
		}
	})
}

func check(t *testing.T, s *torch.Scope, test tester, x torch.Tensor) {
	if x.DType().IsFloat() {
		x = x.Detach().SetRequiresGrad(true)
	}
	v := test.Statistic(s, x)
	if got := v.Shape(); len(got) != x.Dim()-2 || v.Numel()*x.Size(-1)*x.Size(-2) != x.Numel() {
		t.Fatalf("%#v of %v: %v", test, x, v)
	}
	if wide := x.DType() == torch.Float64; wide != (v.DType() == torch.Float64) || !wide && v.DType() != torch.Float32 {
		t.Fatalf("%#v of %v: %v", test, x, v)
	}
	if v.Numel() == 0 {
		return
	}
	largest := 0.0
	view := x.Size(-1) * x.Size(-2)
	got := v.Float64s()
	for i, sample := range x.Float64s() {
		largest = max(largest, math.Abs(sample))
		if one := got[int64(i)/view]; math.IsNaN(sample) && !math.IsNaN(one) {
			t.Fatalf("%#v of %v: %g where NaN goes in", test, x.Float64s(), one)
		}
	}
	v.Sum().Backward()
	grad := x.Grad()
	if grad.DType() != x.DType() || grad.Numel() != x.Numel() {
		t.Fatalf("%#v of %v: gradient %v", test, x, grad)
	}
	if !(largest <= 1e4) { // so too if it is NaN
		return
	}
	for _, one := range got {
		if math.IsNaN(one) {
			t.Fatalf("%#v of %v: %v", test, x.Float64s(), got)
		}
	}
	// 16-bit types have infinities where float32 has large numbers, and copies of a view add up theirs.
	if x.DType().Size() > 2 && x.IsContiguous() && !grad.AllFinite() {
		t.Fatalf("%#v of %v: %v, gradient %v", test, x.Float64s(), got, grad.Float64s())
	}
}
