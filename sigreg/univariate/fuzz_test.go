package univariate_test

import (
	"math"
	"testing"

	"github.com/gojepa/gojepa/sigreg"
	"github.com/gojepa/gojepa/sigreg/internal/testkit"
	"github.com/gojepa/gojepa/sigreg/univariate"
	"github.com/gojepa/gojepa/torch"
)

// options reads a test, with options that may be out of range.
func options(in *testkit.Bytes) testkit.Tester {
	switch in.Byte() % 10 {
	case 9:
		return sigreg.EppsPulley{Knots: in.Small(40), TMax: in.Value(), Symmetric: in.Byte()%2 == 1, Weight: sigreg.Weight(in.Small(2))}
	case 0:
		return univariate.AndersonDarling{}
	case 1:
		return univariate.CramerVonMises{}
	case 2:
		return univariate.Watson{}
	case 3:
		return univariate.ShapiroWilk{Scores: univariate.Scores(in.Small(3)), Covariance: univariate.Covariance(in.Small(2))}
	case 4:
		return univariate.VCReg{}
	case 5:
		return univariate.ExtendedJarqueBera{}
	case 6:
		return univariate.Moments{KMax: in.Small(21)}
	case 7:
		return univariate.Entropy{M: in.Small(9), Right: in.Byte()%2 == 1, Eps: math.Abs(in.Value())}
	default:
		return univariate.NLL{K: in.Small(9)}
	}
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
