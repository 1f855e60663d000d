package lejepa

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/sigreg"
	"github.com/gojepa/gojepa/sigreg/univariate"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/torch/torchtest"
)

func TestMain(m *testing.M) { torchtest.Main(m) }

func TestAgainstPyTorch(t *testing.T) {
	var cases []struct {
		Shape                             []int64 // V, N, K, M
		Globals                           int
		Seed                              uint64
		Lambda, Total, Prediction, SIGReg float64
		Grad                              []float64
	}
	raw, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &cases))
	require.NotEmpty(t, cases)
	for _, dtype := range []torch.DType{torch.Float64, torch.Float32} {
		tol, floor := 1e-9, 1e-12
		if dtype == torch.Float32 {
			tol, floor = 1e-5, 1e-7
		}
		for _, c := range cases {
			t.Run(fmt.Sprint(dtype, c.Shape, c.Lambda), func(t *testing.T) {
				torchtest.Do(t, func(s *torch.Scope) {
					v, n, k, m := c.Shape[0], c.Shape[1], c.Shape[2], c.Shape[3]
					z := s.FromFloat64(torchtest.Values(c.Seed, int(v*n*k)), v, n, k).To(dtype).Detach().SetRequiresGrad(true)
					a := s.FromFloat64(torchtest.Values(c.Seed+1, int(k*m)), k, m)
					a = a.Div(a.Square().SumDim(0, true).Sqrt()).To(dtype)
					l := Objective{Lambda: c.Lambda, Test: sigreg.Default()}.ComputeOn(s, z, c.Globals, a)
					l.Total.Backward()
					got, _ := l.Metrics(s)
					torchtest.Close(t, []float64{c.Total, c.Prediction, c.SIGReg},
						[]float64{got.Loss, got.Prediction, got.SIGReg}, tol, floor)
					torchtest.Close(t, c.Grad, z.Grad().Float64s(), tol, floor)
				})
			})
		}
	}
}

func TestFiniteDifferences(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		o := Objective{Lambda: 0.3, Test: sigreg.Default(), Slices: sigreg.Slices{Count: 8, Seed: 4}}
		at := torchtest.Values(1, 3*4*2)
		loss := func(v []float64) torch.Tensor { return s.FromFloat64(v, 3, 4, 2) }
		z := loss(at).SetRequiresGrad(true)
		o.Compute(s, z, 2, 9).Total.Backward()
		const h = 1e-5
		var want []float64
		for i := range at {
			up, down := append([]float64(nil), at...), append([]float64(nil), at...)
			up[i] += h
			down[i] -= h
			want = append(want, (o.Compute(s, loss(up), 2, 9).Total.Item()-o.Compute(s, loss(down), 2, 9).Total.Item())/(2*h))
		}
		torchtest.Close(t, want, z.Grad().Float64s(), 1e-8, 0)
	})
}

// TestAnyTest trains with every kind of slices and another test, which need not be smooth in its directions.
func TestAnyTest(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		z := s.FromFloat64(torchtest.Values(1, 2*64*8), 2, 64, 8).SetRequiresGrad(true)
		for _, o := range []Objective{
			{Lambda: 1, Test: univariate.AndersonDarling{}, Slices: sigreg.Slices{Count: 12, Sampling: sigreg.Orthogonal, Every: 2}},
			{Lambda: 1, Test: sigreg.Default(), Clip: 0.7, Slices: sigreg.Slices{Count: 12}},
		} {
			l := o.Compute(s, z, 1, 3)
			a := o.Slices.At(s, torch.Float64, 3, 8)
			want := o.Test.Statistic(s, z.Detach().Matmul(a)).Float64s()
			var mean float64
			for i := range want {
				if want[i] < o.Clip {
					want[i] = 0
				}
				mean += want[i] / float64(len(want))
			}
			torchtest.Close(t, want, l.Statistics.Float64s(), 1e-12, 0)
			torchtest.Close(t, []float64{mean, mean}, []float64{l.SIGReg.Item(), l.Total.Item()}, 1e-12, 0)
			l.Total.Backward()
			assert.Positive(t, z.Grad().Norm().Item())
		}
	})
}

func TestSixteenBitProjections(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		o := Objective{Lambda: 0.5, Test: sigreg.Default(), Slices: sigreg.Slices{Count: 4}}
		z := s.FromFloat64(torchtest.Values(1, 2*64*8), 2, 64, 8).To(torch.BFloat16).SetRequiresGrad(true)
		l := o.Compute(s, z, 1, 0)
		l.Total.Backward()
		assert.Equal(t, torch.Float32, l.Total.DType())
		assert.Equal(t, torch.BFloat16, z.Grad().DType())
		want, _ := o.Compute(s, z.To(torch.Float32), 1, 0).Metrics(s)
		got, _ := l.Metrics(s)
		assert.Equal(t, want, got, "the same as float32 of the same values")
	})
}

func TestMetrics(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		l := Loss{
			Total: s.Full(torch.Float64, 3), Prediction: s.Full(torch.Float64, 1), SIGReg: s.Full(torch.Float64, 2),
			Statistics: s.FromFloat64([]float64{1, 2, 3, 3, 4, 5}, 2, 3), // means over views: 2, 3, 4
		}
		m, also := l.Metrics(s, s.Full(torch.Float32, 5))
		assert.Equal(t, Metrics{Loss: 3, Prediction: 1, SIGReg: 2, SIGRegSE: math.Sqrt(1. / 3)}, m)
		assert.Equal(t, []float64{5}, also)
		l.Statistics = s.Ones(torch.Float64, 2, 1)
		m, _ = l.Metrics(s)
		assert.Zero(t, m.SIGRegSE, "one slice has no spread")
	})
	assert.True(t, Metrics{Loss: 1}.Finite())
	assert.False(t, Metrics{Loss: math.NaN()}.Finite())
	assert.False(t, Metrics{Loss: math.Inf(-1)}.Finite())
}

func TestStepsNameDirections(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		o := Default()
		o.Slices.Count = 16
		z := s.FromFloat64(torchtest.Values(3, 2*8*4), 2, 8, 4)
		value := func(seed, step uint64) float64 {
			o.Slices.Seed = seed
			return o.Compute(s, z, 1, step).SIGReg.Item()
		}
		assert.Equal(t, value(1, 5), value(1, 5))
		assert.NotEqual(t, value(1, 5), value(1, 6))
		assert.NotEqual(t, value(1, 5), value(2, 5))
		assert.PanicsWithValue(t, "lejepa: 3 global views of 2", func() { o.Compute(s, z, 3, 0) })
		assert.Panics(t, func() { o.Compute(s, z, 0, 0) })
	})
}

func TestValidate(t *testing.T) {
	assert.NoError(t, Default().Validate())
	err := Objective{Lambda: 1.5, Clip: -1, Test: sigreg.EppsPulley{Knots: 17}}.Validate()
	assert.ErrorContains(t, err, "lambda: 1.5, expected a number from 0 to 1")
	assert.ErrorContains(t, err, "slices: 0, expected 1 or more")
	assert.ErrorContains(t, err, "tmax: 0, expected a number above 0")
	assert.ErrorContains(t, err, "clip: -1, expected a number from 0")
	assert.ErrorContains(t, Objective{}.Validate(), "test: none")
	err = ProjectorConfig{Hidden: []int{8, 0}}.Validate()
	assert.ErrorContains(t, err, "hidden[1]: 0, expected 1 or more")
	assert.ErrorContains(t, err, "dim: 0, expected 1 or more")
}

// meanColour is an encoder that takes the mean colour of an image and remembers the passes.
type meanColour struct {
	params *torch.Params
	parts  []uint64
}

func (e *meanColour) Forward(_ *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	e.parts = append(e.parts, p.Part)
	return x.MeanDims(false, 2, 3)
}
func (e *meanColour) Dim() int64            { return 3 }
func (e *meanColour) Params() *torch.Params { return e.params }

func TestModelKeepsViewsAndSamplesInOrder(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		e := &meanColour{params: torch.NewParams(1, torch.Float64)}
		m := Model{Encoder: e, Projector: NewProjector(s, 3, ProjectorConfig{Dim: 2}, 1, torch.Float64)}
		defer m.Projector.Params().Close()
		global := s.FromFloat64(torchtest.Values(1, 2*5*3*4*4), 2, 5, 3, 4, 4)
		local := s.FromFloat64(torchtest.Values(2, 3*5*3*2*2), 3, 5, 3, 2, 2)
		z := m.Forward(s, []torch.Tensor{global, local}, nn.Pass{Train: true})
		assert.Equal(t, []int64{5, 5, 2}, z.Shape())
		assert.Equal(t, []uint64{0, 1}, e.parts, "global and local views draw different drop-path masks")
		one := m.Projector.Forward(s, local.Select(0, 1).Narrow(0, 3, 1).MeanDims(false, 2, 3), nn.Pass{})
		torchtest.Close(t, one.Float64s(), z.Select(0, 3).Select(0, 3).Float64s(), 1e-12, 0)
	})
}

// TestProjectorNormalisesAllViewsJointly: hidden statistics are those of all rows, so shifting one view changes the
// projections of the others.
func TestProjectorNormalisesAllViewsJointly(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		p := NewProjector(s, 3, ProjectorConfig{Hidden: []int{8, 6}, Dim: 2}, 1, torch.Float64)
		defer p.Params().Close()
		var names []string
		for _, q := range p.Params().All() {
			names = append(names, q.Name)
		}
		assert.Equal(t, []string{
			"0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked",
			"4.weight", "4.bias", "5.weight", "5.bias", "5.running_mean", "5.running_var", "5.num_batches_tracked",
			"8.weight", "8.bias",
		}, names, "the keys of torchvision.ops.MLP")

		x := s.FromFloat64(torchtest.Values(1, 12*3), 12, 3)
		y := x.Clone()
		y.Narrow(0, 6, 6).AddScalar_(5)
		train := nn.Pass{Train: true}
		a, b := p.Forward(s, x, train), p.Forward(s, y, train)
		assert.Greater(t, a.Narrow(0, 0, 6).Sub(b.Narrow(0, 0, 6)).Abs().Max().Item(), 0.01)
		a, b = p.Forward(s, x, nn.Pass{}), p.Forward(s, y, nn.Pass{})
		assert.Equal(t, a.Narrow(0, 0, 6).Float64s(), b.Narrow(0, 0, 6).Float64s(), "not so in evaluation")
	})
}
