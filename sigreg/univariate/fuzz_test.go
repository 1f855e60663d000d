package univariate_test

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/gojepa/gojepa/sigreg"
	"github.com/gojepa/gojepa/sigreg/univariate"
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

// small is between -1 and n.
func (in *input) small(n int) int { return int(in.byte())%(n+2) - 1 }

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

func (in *input) test() tester {
	switch in.byte() % 10 {
	case 9:
		return sigreg.EppsPulley{Knots: in.small(40), TMax: in.value(), Symmetric: in.byte()%2 == 1, Weight: sigreg.Weight(in.small(2))}
	case 0:
		return univariate.AndersonDarling{}
	case 1:
		return univariate.CramerVonMises{}
	case 2:
		return univariate.Watson{}
	case 3:
		return univariate.ShapiroWilk{Scores: univariate.Scores(in.small(3)), Covariance: univariate.Covariance(in.small(2))}
	case 4:
		return univariate.VCReg{}
	case 5:
		return univariate.ExtendedJarqueBera{}
	case 6:
		return univariate.Moments{KMax: in.small(21)}
	case 7:
		return univariate.Entropy{M: in.small(9), Right: in.byte()%2 == 1, Eps: math.Abs(in.value())}
	default:
		return univariate.NLL{K: in.small(9)}
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
// type that it promises, NaN where NaN goes in, and finite values and gradients where no number is beyond 1e4.
func FuzzStatistic(f *testing.F) {
	for test := range byte(10) {
		f.Add([]byte{test, 1, 1, 200, 0, 0, 2, 7, 3, 40, 200, 90, 120, 250, 33, 160, 70, 180, 230, 99, 144, 150, 60})
		f.Add([]byte{test, 2, 3, 40, 1, 1, 3, 2, 9, 4, 2, 2, 2, 2, 2, 2, 13, 11, 12, 8, 9, 6, 7, 100, 4, 5, 25})
		f.Add([]byte{test, 0, 0, 0, 4, 2, 2, 5, 5, 1})
		f.Add([]byte{test, 3, 2, 60, 2, 3, 2, 0, 4})
		f.Add([]byte{test, 1, 1, 60, 0, 0, 1, 9})
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
				pkg, name := typeName(test)
				if message, ok := expected.Value.(string); !ok || !strings.HasPrefix(message, pkg+": "+name+": ") {
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
	want := append(x.Shape()[:x.Dim()-2:x.Dim()-2], x.Size(-1))
	if got := v.Shape(); len(got) != len(want) || got[len(got)-1] != want[len(want)-1] || v.Numel()*x.Size(-2) != x.Numel() {
		t.Fatalf("%#v of %v: %v", test, x, v)
	}
	if wide := x.DType() == torch.Float64; wide != (v.DType() == torch.Float64) || !wide && v.DType() != torch.Float32 {
		t.Fatalf("%#v of %v: %v", test, x, v)
	}
	if v.Numel() == 0 {
		return
	}
	largest := 0.0
	n, m := x.Size(-2), x.Size(-1)
	for i, sample := range x.Float64s() {
		largest = max(largest, math.Abs(sample))
		view := int64(i) / (n * m)
		if slice := v.Float64s()[view*m+int64(i)%m]; math.IsNaN(sample) && !math.IsNaN(slice) {
			t.Fatalf("%#v of %v: %g where NaN goes in", test, x.Float64s(), slice)
		}
	}
	v.Sum().Backward()
	grad := x.Grad()
	if grad.DType() != x.DType() || grad.Numel() != x.Numel() {
		t.Fatalf("%#v of %v: gradient %v", test, x, grad)
	}
	if k, ok := test.(univariate.Moments); ok && k.KMax > 7 {
		return // the powers of 1e4 leave float32
	}
	if !(largest <= 1e4) { // so too if it is NaN
		return
	}
	if !v.AllFinite() || x.DType() != torch.Float16 && !grad.AllFinite() { // float16 ends at 65,504
		t.Fatalf("%#v of %v: %v, gradient %v", test, x.Float64s(), v.Float64s(), grad.Float64s())
	}
}
