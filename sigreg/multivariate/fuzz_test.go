package multivariate_test

import (
	"math"
	"testing"

	"github.com/gojepa/gojepa/sigreg/internal/testkit"
	"github.com/gojepa/gojepa/sigreg/multivariate"
	"github.com/gojepa/gojepa/torch"
)

// someBandwidth is mostly one that is allowed.
func someBandwidth(in *testkit.Bytes) float64 {
	switch b := in.Byte(); {
	case b < 8:
		return in.Value()
	case b < 64:
		return 0
	default:
		return math.Pow(10, float64(b)/21-6) // 1e-3 to 1e6
	}
}

// options reads a test, with options that may be out of range.
func options(in *testkit.Bytes) testkit.Tester {
	switch in.Byte() % 4 {
	case 0:
		return multivariate.BHEP{Beta: someBandwidth(in), Standardise: in.Bool()}
	case 1:
		return multivariate.HenzeZirkler{Standardise: in.Bool()}
	case 2:
		return multivariate.HenzeVisagie{Gamma: someBandwidth(in), Log: in.Bool(), Standardise: in.Bool()}
	default:
		return multivariate.COMB{Gamma: someBandwidth(in), Signed: in.Bool(), Standardise: in.Bool()}
	}
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
		in := testkit.Bytes(b)
		test := options(&in)
		testkit.Survives(t, test, func(s *torch.Scope) { check(t, s, test, in.Tensor(s)) }, testkit.Prefix(test))
	})
}

func check(t *testing.T, s *torch.Scope, test testkit.Tester, x torch.Tensor) {
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
