package sigreg_test

import (
	"testing"

	"github.com/gojepa/gojepa/sigreg"
	"github.com/gojepa/gojepa/sigreg/internal/testkit"
	"github.com/gojepa/gojepa/sigreg/univariate"
	"github.com/gojepa/gojepa/torch"
)

// tensor reads one that has mostly the likely shape and a type that is taken.
func tensor(in *testkit.Bytes, s *torch.Scope, likely ...int64) torch.Tensor {
	dtype := torch.Float32
	if in.Byte() >= 128 {
		dtype = in.DType()
	}
	shape := append([]int64(nil), likely...)
	switch b := in.Byte(); {
	case b < 160:
	case b < 200:
		shape[int(b)%len(shape)] = int64(in.Byte() % 4)
	case b < 230:
		shape = shape[1:]
	default:
		shape = append(shape, int64(b%3))
	}
	layout := byte(0)
	if b := in.Byte(); b >= 128 {
		layout = b
	}
	return in.Filled(s, dtype, layout, shape...)
}

// FuzzSliced: whatever embeddings and directions are, a test takes them or panics with a word of its own. What it takes
// gives values of the promised type and shape, finite ones where embeddings are moderate.
func FuzzSliced(f *testing.F) {
	for i := range byte(8) {
		f.Add([]byte{i, i, 2, 40, 5, 3, 7, 0, 0, 0, 200, 90, 120, 250, 33, 160, 70, 180, 230, 99, 144, 150, 60})
		f.Add([]byte{0, i, 1, 3, 2, 2, 129 + i, 170, 130 + i, 9, 9, 3, 3, 200, 100})
		f.Add([]byte{i, 0, 1, 9, 1, 1, 0, 220, 0, 8, 8, 8, 128, 240, 1})
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		in := testkit.Bytes(b)
		tests := []sigreg.Test{sigreg.Default(), sigreg.Paper(), univariate.AndersonDarling{}, univariate.VCReg{}, sigreg.EppsPulley{Knots: 2, TMax: 0.5, Weight: sigreg.UniformWeight}}
		sliced := sigreg.Sliced{Test: tests[int(in.Byte())%len(tests)], Reduction: sigreg.Reduction(in.Byte() % 3), Clip: float64(in.Byte()%4) / 4}
		n, k, m := int64(in.Byte()%70)+1, int64(in.Byte()%6)+1, int64(in.Byte()%9)+1
		testkit.Survives(t, sliced, func(s *torch.Scope) {
			check(t, s, sliced, tensor(&in, s, 2, n, k), tensor(&in, s, k, m))
		}, "sigreg: ", "univariate: ")
	})
}

func check(t *testing.T, s *torch.Scope, sliced sigreg.Sliced, z, a torch.Tensor) {
	if z.DType().IsFloat() {
		z = z.Detach().SetRequiresGrad(true)
	}
	v := sliced.Statistic(s, z, a)
	if wide := z.DType() == torch.Float64; wide != (v.DType() == torch.Float64) || !wide && v.DType() != torch.Float32 {
		t.Fatalf("%+v of %v on %v: %v", sliced, z, a, v)
	}
	want := 0
	if sliced.Reduction == sigreg.ReduceNone {
		want = z.Dim() - 1
	}
	if v.Dim() != want {
		t.Fatalf("%+v of %v on %v: %v", sliced, z, a, v)
	}
	v.Sum().Backward()
	grad := z.Grad()
	moderate := func(x torch.Tensor, most float64) bool {
		return x.AllFinite() && x.To(torch.Float64).Abs().Max().Item() <= most
	}
	if !moderate(z, 1e4) || !moderate(a, 10) || z.DType() == torch.Float16 {
		return
	}
	if !v.AllFinite() || !grad.AllFinite() {
		t.Fatalf("%+v of %v on %v: %v, gradient %v", sliced, z.Float64s(), a.Float64s(), v.Float64s(), grad.Float64s())
	}
}
