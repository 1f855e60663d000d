package gotchbridge_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/sugarme/gotch"
	gotchnn "github.com/sugarme/gotch/nn"
	"github.com/sugarme/gotch/ts"

	"github.com/gojepa/gojepa/lejepa"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/gotchbridge"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/torch/torchtest"
)

var _ lejepa.Encoder = (*gotchbridge.Encoder)(nil)

func TestMain(m *testing.M) { torchtest.Main(m) }

// network is gotch's way to write a small network: 4 inputs, a hidden layer with batch normalisation, 3 outputs.
func network() (*gotchnn.VarStore, ts.ModuleT) {
	vs := gotchnn.NewVarStore(gotch.CPU)
	p := vs.Root()
	first := gotchnn.NewLinear(p.Sub("first"), 4, 8, gotchnn.DefaultLinearConfig())
	norm := gotchnn.BatchNorm1D(p.Sub("norm"), 8, gotchnn.DefaultBatchNormConfig())
	last := gotchnn.NewLinear(p.Sub("last"), 8, 3, gotchnn.DefaultLinearConfig())
	net := gotchnn.SeqT()
	net.AddFn(gotchnn.NewFunc(func(x *ts.Tensor) *ts.Tensor { return x.MustView([]int64{-1, 4}, false) }))
	net.Add(first)
	net.Add(norm)
	net.AddFn(gotchnn.NewFunc(func(x *ts.Tensor) *ts.Tensor { return x.MustRelu(false) }))
	net.Add(last)
	return vs, net
}

func images(s *torch.Scope) torch.Tensor {
	return s.FromFloat64(torchtest.Values(1, 20), 5, 1, 2, 2).To(torch.Float32)
}

func TestTensorsShareMemoryBothWays(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		theirs := ts.MustOfSlice([]float32{1, 2, 3})
		ours := gotchbridge.Import(s, theirs)
		ours.MulScalar_(10)
		assert.Equal(t, []float64{10, 20, 30}, theirs.Float64Values())

		back := gotchbridge.Export(ours)
		assert.NotEqual(t, theirs.Ctensor(), back.Ctensor(), "each side has a reference of its own")
		theirs.MustDrop()
		assert.Equal(t, []float32{10, 20, 30}, ours.Float32s(), "dropping a gotch tensor leaves ours")
		ours.AddScalar_(1)
		assert.Equal(t, []float64{11, 21, 31}, back.Float64Values())
	})
}

func TestExportedTensorOutlivesItsScope(t *testing.T) {
	var out *ts.Tensor
	torchtest.Do(t, func(s *torch.Scope) { out = gotchbridge.Export(s.Full(torch.Float32, 7, 2)) })
	assert.Equal(t, []float64{7, 7}, out.Float64Values())
	assert.Zero(t, torch.LiveHandles())
}

func TestImportOfDroppedTensorPanics(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		gone := ts.MustOfSlice([]float32{1})
		gone.MustDrop()
		assert.PanicsWithValue(t, "torch: FromHandle of a handle without a tensor", func() { gotchbridge.Import(s, gone) })
		assert.Panics(t, func() { gotchbridge.Import(s, ts.NewTensor()) })
	})
}

func TestGradientFlowsAcross(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		w := s.FromFloat32([]float32{1, 2, 3}, 3).SetRequiresGrad(true)
		square := gotchbridge.Export(w).MustMul(gotchbridge.Export(w), true)
		gotchbridge.Import(s, square).MulScalar(0.5).Sum().Backward()
		assert.Equal(t, []float32{1, 2, 3}, w.Grad().Float32s())
	})
}

func TestVarStoreOrderIsThatOfNames(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		vs, _ := network()
		p, err := gotchbridge.ImportVarStore(s, vs)
		require.NoError(t, err)
		defer p.Close()
		var names []string
		for _, q := range p.All() {
			names = append(names, fmt.Sprintf("%s buffer=%v decay=%v", q.Name, q.Buffer, q.Decay))
		}
		assert.Equal(t, []string{
			"first.bias buffer=false decay=false",
			"first.weight buffer=false decay=true",
			"last.bias buffer=false decay=false",
			"last.weight buffer=false decay=true",
			"norm.bias buffer=false decay=false",
			"norm.running_mean buffer=true decay=false",
			"norm.running_var buffer=true decay=false",
			"norm.weight buffer=false decay=false",
		}, names)
		assert.Equal(t, torch.Float32, p.DType())
	})
}

// forward runs the gotch module itself, as a gotch program would.
func forward(s *torch.Scope, m ts.ModuleT, x torch.Tensor) []float64 {
	in := gotchbridge.Export(x)
	defer runtime.KeepAlive(in)
	return m.ForwardT(in, false).Float64Values()
}

func TestTrainingTheEncoderTrainsTheModule(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		vs, m := network()
		enc, err := gotchbridge.NewEncoder(s, m, vs, 3)
		require.NoError(t, err)
		defer enc.Close()
		assert.EqualValues(t, 3, enc.Dim())
		x := images(s)

		loss := func() torch.Tensor { return enc.Forward(s, x, nn.Pass{Train: true}).Square().Mean() }
		before, start := loss().Item(), forward(s, m, x)
		for range 50 {
			enc.Params().ZeroGrad(s)
			loss().Backward()
			s.NoGrad(func() {
				for _, g := range enc.Params().Flatten(s) {
					g.Value.AddScaled_(g.Grad, -0.1)
				}
			})
		}
		assert.Less(t, loss().Item(), 0.1*before)

		after := forward(s, m, x)
		assert.NotEqual(t, start, after, "the gotch module, transposed views included, sees the new weights")
		assert.Equal(t, after, enc.Forward(s, x, nn.Pass{}).Float64s())
	})
}

func TestTrainingTheModuleTrainsTheEncoder(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		vs, m := network()
		enc, err := gotchbridge.NewEncoder(s, m, vs, 3)
		require.NoError(t, err)
		defer enc.Close()
		x := images(s)
		opt, err := gotchnn.DefaultSGDConfig().Build(vs, 0.1)
		require.NoError(t, err)

		loss := func() torch.Tensor { return enc.Forward(s, x, nn.Pass{Train: true}).Square().Mean() }
		before := loss().Item()
		for range 50 {
			out := m.ForwardT(gotchbridge.Export(x), true)
			require.NoError(t, opt.BackwardStep(out.MustMul(out, false).MustMean(gotch.Float, true)))
		}
		assert.Less(t, loss().Item(), 0.1*before)
		assert.Equal(t, forward(s, m, x), enc.Forward(s, x, nn.Pass{}).Float64s())
	})
}

func TestEncoderPanicsOnAnotherShape(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		vs, m := network()
		enc, err := gotchbridge.NewEncoder(s, m, vs, 7)
		require.NoError(t, err)
		defer enc.Close()
		assert.PanicsWithValue(t, "gotchbridge: the module returned float32[5 3], expected [5 7]",
			func() { enc.Forward(s, images(s), nn.Pass{}) })
	})
}

func TestIdentityModule(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		same := gotchnn.NewFunc(func(x *ts.Tensor) *ts.Tensor { return x })
		enc, err := gotchbridge.NewEncoder(s, same, gotchnn.NewVarStore(gotch.CPU), 2)
		require.NoError(t, err)
		defer enc.Close()
		x := s.FromFloat32([]float32{1, 2}, 1, 2)
		assert.Equal(t, []float32{1, 2}, enc.Forward(s, x, nn.Pass{}).Float32s())
	})
}

func TestConvertedVariablesAreRefused(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		vs := gotchnn.NewVarStore(gotch.CPU)
		gotchnn.NewLinear(vs.Root().Sub("fc"), 2, 2, gotchnn.DefaultLinearConfig())
		vs.ToDType(gotch.Double)
		_, err := gotchbridge.ImportVarStore(s, vs)
		assert.EqualError(t, err, `gotchbridge: VarStore: torch: parameter "fc.bias", float64[2]: the result of an operation, `+
			`expected a leaf, which gradients are kept in`)
	})
}

// layer is an encoder of gojepa's own.
type layer struct{ fc *nn.Linear }

func (l layer) Forward(s *torch.Scope, x torch.Tensor, _ nn.Pass) torch.Tensor {
	return l.fc.Forward(s, x)
}

func TestExportParams(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		p := torch.NewParams(1, torch.Float32)
		defer p.Close()
		l := layer{nn.NewLinear(s, p.Root().Sub("head").At(0), 2, 1, nn.Options{Weight: nn.Ones, Bias: nn.Zeros})}
		p.Root().Buffer(s, "steps", torch.Int64, nn.Zeros)
		p.Flatten(s)

		vs := gotchnn.NewVarStore(gotch.CPU)
		require.NoError(t, gotchbridge.ExportParams(s, p, vs))
		vars := vs.Variables()
		require.Len(t, vars, 3)
		assert.Len(t, vs.TrainableVariables(), 2)
		weight := vars["head.0.weight"]
		ts.NoGrad(func() { weight.MustMulScalar_(ts.FloatScalar(3)) })

		x := ts.MustOfSlice([]float32{1, 2}).MustView([]int64{1, 2}, true)
		y := gotchbridge.Module(s, l, nn.Pass{}).ForwardT(x, false)
		assert.Equal(t, []float64{9}, y.Float64Values(), "the layer sees what gotch did to the variable")

		assert.EqualError(t, gotchbridge.ExportParams(s, p, vs),
			`gotchbridge: the VarStore has a variable "head.0.weight" already`)
		runtime.KeepAlive(vs)
	})
}

func Example() {
	th, err := torch.Start(torch.Options{Device: torch.CPU, Threads: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer th.Close()

	err = th.Do(context.Background(), func(s *torch.Scope) {
		// A gotch network, as an existing program has it.
		vs := gotchnn.NewVarStore(gotch.CPU)
		config := gotchnn.DefaultLinearConfig()
		config.WsInit, config.BsInit = gotchnn.NewConstInit(0.5), gotchnn.NewConstInit(1)
		network := gotchnn.NewLinear(vs.Root().Sub("fc"), 4, 2, config)

		// The same network as an encoder of gojepa, with the same parameters.
		enc, err := gotchbridge.NewEncoder(s, network, vs, 2)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer enc.Close()
		fmt.Println(enc.Forward(s, s.Ones(torch.Float64, 1, 4), nn.Pass{}).Float64s())

		// A step of gradient descent on gojepa's side is one on gotch's.
		enc.Params().ZeroGrad(s)
		enc.Forward(s, s.Ones(torch.Float64, 1, 4), nn.Pass{Train: true}).Sum().Backward()
		s.NoGrad(func() {
			for _, g := range enc.Params().Flatten(s) {
				g.Value.AddScaled_(g.Grad, -0.1)
			}
		})
		x := ts.MustOfSlice([]float64{1, 1, 1, 1}).MustView([]int64{1, 4}, true)
		fmt.Printf("%.1f\n", network.ForwardT(x, false).Float64Values())
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// [3 3]
	// [2.5 2.5]
}
