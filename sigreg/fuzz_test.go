package sigreg_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/gojepa/gojepa/sigreg"
	"github.com/gojepa/gojepa/sigreg/univariate"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// input reads tensors from fuzzed bytes; what is missing reads as 0.
type input []byte

func (in *input) byte() byte {
	if len(*in) == 0 {
		return 0
	}
	b := (*in)[0]
	*in = (*in)[1:]
	return b
}

var dtypes = []torch.DType{torch.Float32, torch.Float64, torch.BFloat16, torch.Float16, torch.Int64, torch.Bool}

// special are values that embeddings may have beside ordinary ones.
var special = []float64{0, math.Copysign(0, -1), 1e-45, 1e4, -1e4, 3e38, -3e38, 1e300, math.Inf(1), math.Inf(-1), math.NaN()}

// tensor has up to four dimensions, of a size that is mostly right, and any type, layout and values.
func (in *input) tensor(s *torch.Scope, likely ...int64) torch.Tensor {
	dtype := torch.Float32
	if b := in.byte(); b >= 128 {
		dtype = dtypes[int(b)%len(dtypes)]
	}
	shape := append([]int64(nil), likely...)
	switch b := in.byte(); {
	case b < 160:
	case b < 200:
		shape[int(b)%len(shape)] = int64(in.byte() % 4)
	case b < 230:
		shape = shape[1:]
	default:
		shape = append(shape, int64(b%3))
	}
	layout := in.byte()
	numel := int64(1)
	for _, n := range shape {
		numel *= n
	}
	v := make([]float64, numel)
	for i := range v {
		b := in.byte()
		v[i] = (float64(b) - 144) / 32
		if int(b) < len(special) {
			v[i] = special[b]
		}
	}
	x := s.FromFloat64(v, shape...).To(dtype)
	if d := int64(len(shape)); d >= 2 && layout >= 128 {
		switch layout % 3 {
		case 0:
			x = x.Transpose(-1, -2).Contiguous().Transpose(-1, -2)
		case 1:
			x = torch.Cat([]torch.Tensor{x, x}, d-1).Narrow(d-1, 0, shape[d-1])
		case 2:
			x = x.Narrow(0, 0, min(1, shape[0])).Expand(shape...)
		}
	}
	return x
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
		in := input(b)
		tests := []sigreg.Test{sigreg.Default(), sigreg.Paper(), univariate.AndersonDarling{}, univariate.VCReg{}, sigreg.EppsPulley{Knots: 2, TMax: 0.5, Weight: sigreg.Uniform}}
		sliced := sigreg.Sliced{Test: tests[int(in.byte())%len(tests)], Reduction: sigreg.Reduction(in.byte() % 3), Clip: float64(in.byte()%4) / 4}
		n, k, m := int64(in.byte()%70)+1, int64(in.byte()%6)+1, int64(in.byte()%9)+1
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
			if !strings.HasPrefix(message, "sigreg: ") && !strings.HasPrefix(message, "univariate: ") {
				t.Fatalf("%+v: panic %v\n%s", sliced, expected.Value, expected.Stack)
			}
		}()
		err := th.Do(t.Context(), func(s *torch.Scope) {
			check(t, s, sliced, in.tensor(s, 2, n, k), in.tensor(s, k, m))
		})
		if failed := new(torch.Error); errors.As(err, &failed) {
			t.Fatalf("%+v: %v", sliced, err)
		}
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
	if sliced.Reduction == sigreg.None {
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
