package nn_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/torch/torchtest"
)

func TestMain(m *testing.M) { torchtest.Main(m) }

// with makes a parameter set and runs f with its root.
func with(t *testing.T, f func(s *torch.Scope, p torch.Path, all *torch.Params)) {
	t.Helper()
	all := torch.NewParams(1, torch.Float64)
	defer all.Close()
	require.NoError(t, torchtest.Thread(t).Do(context.Background(), func(s *torch.Scope) { f(s, all.Root(), all) }))
}

func names(all *torch.Params) (out []string) {
	for _, q := range all.All() {
		out = append(out, q.Name)
	}
	return out
}

func TestLayersComputeWhatTheirOperationsDo(t *testing.T) {
	with(t, func(s *torch.Scope, p torch.Path, all *torch.Params) {
		x := s.FromFloat64([]float64{1, 2, 3, 4}, 2, 2)
		lin := nn.NewLinear(s, p.Sub("fc"), 2, 3, nn.Options{Weight: nn.Ones, Bias: nn.Ones})
		assert.Equal(t, []float64{4, 4, 4, 8, 8, 8}, lin.Forward(s, x).Float64s())
		free := nn.NewLinear(s, p.Sub("free"), 2, 1, nn.Options{Weight: nn.Ones, NoBias: true})
		assert.Equal(t, []float64{3, 7}, free.Forward(s, x).Float64s())

		norm := nn.NewLayerNorm(s, p.Sub("norm"), 2, 0)
		assert.Equal(t, []float64{-1, 1, -1, 1}, norm.Forward(s, x).Float64s())

		img := s.Ones(torch.Float64, 1, 2, 4, 4)
		c := nn.Conv{In: 2, Out: 2, Kernel: 3, Stride: 2, Padding: 1}
		conv := nn.NewConv2d(s, p.Sub("conv"), c, nn.Options{Weight: nn.Ones, NoBias: true})
		assert.Equal(t, []float64{8, 12, 12, 18, 8, 12, 12, 18}, conv.Forward(s, img).Float64s())
		c.Groups = 2
		depth := nn.NewConv2d(s, p.Sub("depth"), c, nn.Options{Weight: nn.Ones, Bias: nn.Ones})
		assert.Equal(t, []int64{2, 1, 3, 3}, depth.Weight.Shape())
		assert.Equal(t, []float64{5, 7, 7, 10, 5, 7, 7, 10}, depth.Forward(s, img).Float64s())

		assert.Equal(t, []string{"fc.weight", "fc.bias", "free.weight", "norm.weight", "norm.bias", "conv.weight",
			"depth.weight", "depth.bias"}, names(all))
	})
}

func TestBatchNormFollowsPyTorch(t *testing.T) {
	with(t, func(s *torch.Scope, p torch.Path, all *torch.Params) {
		bn := nn.NewBatchNorm(s, p, 2, nil)
		assert.Equal(t, []string{"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}, names(all))
		assert.Equal(t, torch.Int64, bn.Batches.DType())

		x := s.FromFloat64([]float64{1, 10, 3, 30, 5, 20}, 3, 2)
		y := bn.Forward(s, x, nn.Pass{Train: true})
		r := 2 / math.Sqrt(8./3+1e-5)
		q := 10 / math.Sqrt(200./3+1e-5)
		torchtest.Close(t, []float64{-r, -q, 0, q, r, 0}, y.Float64s(), 1e-12, 0)
		torchtest.Close(t, []float64{0.3, 2}, bn.RunningMean.Float64s(), 1e-12, 0)
		torchtest.Close(t, []float64{0.9 + 0.4, 0.9 + 10}, bn.RunningVar.Float64s(), 1e-12, 0, "without bias")
		assert.Equal(t, []int64{1}, bn.Batches.Int64s())

		y = bn.Forward(s, x, nn.Pass{})
		torchtest.Close(t, []float64{0.7 / math.Sqrt(1.3+1e-5)}, y.Narrow(0, 0, 1).Narrow(1, 0, 1).Float64s(), 1e-12, 0)
		assert.Equal(t, []int64{1}, bn.Batches.Int64s(), "inference leaves the running statistics")
		bn.Forward(s, x.Reshape(1, 2, 3, 1), nn.Pass{Train: true})
		assert.Equal(t, []int64{2}, bn.Batches.Int64s())
	})
	err := torchtest.Thread(t).Do(context.Background(), func(s *torch.Scope) {
		all := torch.NewParams(1, torch.Float32)
		defer all.Close()
		nn.NewBatchNorm(s, all.Root(), 2, nn.Zeros).Forward(s, s.Ones(torch.Float32, 1, 2), nn.Pass{Train: true})
	})
	assert.ErrorContains(t, err, "batch_norm(float32[1 2]", "one value per channel has no variance")
}

// TestInitialValues holds each distribution to its mean, variance and bound, at five standard errors of n draws.
func TestInitialValues(t *testing.T) {
	shape := []int64{64, 32, 3, 3}
	const n, in, out = 64 * 32 * 9, 32 * 9, 64 * 9
	for name, c := range map[string]struct {
		init            torch.Init
		variance, bound float64
	}{
		"normal":                 {nn.Normal(0.02), 4e-4, math.Inf(1)},
		"truncated, std .02":     {nn.TruncNormal(0.02), 4e-4, 2},
		"truncated, std 1":       {nn.TruncNormal(1), 1 - 2*2*math.Exp(-2)/math.Sqrt(2*math.Pi)/math.Erf(math.Sqrt2), 2},
		"uniform":                {nn.Uniform(3), 3, 3},
		"xavier uniform":         {nn.XavierUniform, 2. / (in + out), math.Sqrt(6. / (in + out))},
		"kaiming uniform":        {nn.KaimingUniform(5), 1. / 3 / in, math.Sqrt(1. / in)},
		"kaiming normal fan out": {nn.KaimingNormalFanOut, 2. / out, math.Inf(1)},
	} {
		v := make([]float64, n)
		c.init(rand.New(rand.NewPCG(1, 2)), shape, v)
		var sum, sq, top float64
		for _, x := range v {
			sum += x
			sq += x * x
			top = max(top, math.Abs(x))
		}
		std := math.Sqrt(c.variance)
		assert.InDelta(t, 0, sum/n, 5*std/math.Sqrt(n), name)
		assert.InDelta(t, 1, sq/n/c.variance, 5*math.Sqrt(2./n), name)
		assert.LessOrEqual(t, top, c.bound, name)
		if !math.IsInf(c.bound, 1) && std > 0.1*c.bound {
			assert.Greater(t, top, 0.99*c.bound, "%s reaches its bound", name)
		}
	}
	with(t, func(s *torch.Scope, p torch.Path, _ *torch.Params) {
		b := nn.NewLinear(s, p, 4, 10_000, nn.Options{}).Bias
		torchtest.Close(t, []float64{0.5}, b.Abs().Max().Float64s(), 1e-3, 0, "within 1/√fan_in")
	})
}

func TestDropPath(t *testing.T) {
	with(t, func(s *torch.Scope, _ torch.Path, _ *torch.Params) {
		const n = 10_000
		d := nn.DropPath{Rate: 0.2, Layer: 3}
		pass := nn.Pass{Train: true, Seed: 1, Step: 2, Part: 1}
		x := s.Ones(torch.Float64, n, 2, 3).SetRequiresGrad(true)
		y := d.Forward(s, x, pass)
		v := y.Float64s()
		var kept float64
		for i := 0; i < len(v); i += 6 {
			for _, w := range v[i : i+6] {
				require.Equal(t, v[i], w, "one value per row")
			}
			if v[i] != 0 {
				kept++
				require.InDelta(t, 1.25, v[i], 1e-6)
			}
		}
		assert.InDelta(t, 0.8, kept/n, 5*math.Sqrt(0.2*0.8/n))
		y.Sum().Backward()
		assert.Equal(t, v, x.Grad().Float64s(), "gradient passes through the mask")

		again := func(d nn.DropPath, p nn.Pass) []float64 { return d.Forward(s, x, p).Float64s() }
		assert.Equal(t, v, again(d, pass))
		for name, w := range map[string][]float64{
			"layer": again(nn.DropPath{Rate: 0.2, Layer: 4}, pass),
			"seed":  again(d, nn.Pass{Train: true, Seed: 2, Step: 2, Part: 1}),
			"step":  again(d, nn.Pass{Train: true, Seed: 1, Step: 3, Part: 1}),
			"part":  again(d, nn.Pass{Train: true, Seed: 1, Step: 2, Part: 2}),
		} {
			assert.NotEqual(t, v, w, "another %s", name)
		}

		assert.Equal(t, x, d.Forward(s, x, nn.Pass{}), "none in inference")
		assert.Equal(t, x, nn.DropPath{}.Forward(s, x, pass), "none at rate 0")
		assert.Zero(t, nn.DropPath{Rate: 1}.Forward(s, x, pass).Sum().Item(), "everything at rate 1")
	})
}
