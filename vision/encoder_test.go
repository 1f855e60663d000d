package vision

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// TestInitialWeightsFollowTimm compares mean, standard deviation and kurtosis of each parameter with timm's, within six
// standard errors of both, and constants exactly.
func TestInitialWeightsFollowTimm(t *testing.T) {
	raw, err := os.ReadFile("testdata/init.json")
	require.NoError(t, err)
	var models map[string]map[string][3]float64
	require.NoError(t, json.Unmarshal(raw, &models))
	th := torchtest.Thread(t)
	for name, params := range models {
		require.NoError(t, th.Do(context.Background(), func(s *torch.Scope) {
			spec := parseSpec(t, name)
			spec.NumClasses = 64
			e, err := New(s, spec, 1, torch.Float32)
			require.NoError(t, err)
			defer e.Close()
			assert.Len(t, params, len(e.Params().Trained()))
			for _, q := range e.Params().Trained() {
				want, ok := params[q.Name]
				require.True(t, ok, q.Name)
				v := s.Use(q.Value).Float64s()
				mean, std, kurtosis := moments(v)
				if want[1] == 0 {
					assert.InDelta(t, want[0], mean, 1e-12, "%s of %s is constant", q.Name, name)
					assert.Less(t, std, 1e-12, "%s of %s is constant", q.Name, name)
					continue
				}
				se := 6 * math.Sqrt(2/float64(len(v)))
				assert.InDelta(t, want[0], mean, se*want[1], "mean of %s of %s", q.Name, name)
				assert.InDelta(t, 1, std/want[1], se, "deviation of %s of %s", q.Name, name)
				if len(v) > 10_000 {
					assert.InDelta(t, want[2], kurtosis, 0.5, "kurtosis of %s of %s", q.Name, name)
				}
			}
		}))
	}
}

func moments(v []float64) (mean, std, kurtosis float64) {
	n := float64(len(v))
	for _, x := range v {
		mean += x
	}
	mean /= n
	var m2, m4 float64
	for _, x := range v {
		d := (x - mean) * (x - mean)
		m2 += d
		m4 += d * d
	}
	return mean, math.Sqrt(m2 / n), n * m4 / (m2 * m2)
}

func TestSeedNamesTheWeights(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		first := func(seed uint64) []float64 {
			e, err := tinyModels[0].variant.encoder(s, Spec{}, torch.NewParams(seed, torch.Float32))
			require.NoError(t, err)
			defer e.Close()
			return s.Use(e.Params().Get("pos_embed").Value).Float64s()
		}
		assert.Equal(t, first(1), first(1))
		assert.NotEqual(t, first(1), first(2))
	})
}

// TestDropPathRisesWithDepth drops the last branch with near certainty, which leaves what the blocks before it compute.
func TestDropPathRisesWithDepth(t *testing.T) {
	assert.Equal(t, []float64{0, 0.05, 0.1}, []float64{nn.DropPathRate(0.1, 0, 3), nn.DropPathRate(0.1, 1, 3), nn.DropPathRate(0.1, 2, 3)})
	assert.Zero(t, nn.DropPathRate(0.1, 0, 1))
	torchtest.Do(t, func(s *torch.Scope) {
		g := openGolden(t, "vit")
		encoder := func(dropPath float64) *Encoder {
			m := tinyModels[0]
			m.spec.DropPath = dropPath
			e, err := m.variant.encoder(s, m.spec, torch.NewBlankParams(torch.Float64))
			require.NoError(t, err)
			g.load(s, e)
			return e
		}
		whole, dropped, some := encoder(0), encoder(1-1e-15), encoder(0.5)
		defer whole.Close()
		defer dropped.Close()
		defer some.Close()
		x := input(s, 1, 32, 2, 16, 16)
		train := nn.Pass{Train: true, Seed: 1, Step: 1}
		first := *whole.net.(*vitNet)
		first.blocks = first.blocks[:1]
		assert.Equal(t, first.forward(s, x, nn.Pass{}).Float64s(), dropped.Forward(s, x, train).Float64s())
		assert.Equal(t, whole.Forward(s, x, nn.Pass{}).Float64s(), dropped.Forward(s, x, nn.Pass{}).Float64s())

		y := some.Forward(s, x, train).Float64s()
		assert.Equal(t, y, some.Forward(s, x, train).Float64s())
		train.Step = 2
		assert.NotEqual(t, y, some.Forward(s, x, train).Float64s())
	})
}

// TestHandlesDuringBackward: the handles that are alive when the backward pass begins are the scope's own few.
func TestHandlesDuringBackward(t *testing.T) {
	forTiny(t, func(t *testing.T, s *torch.Scope, _ golden, i int, e *Encoder) {
		x := input(s, 1, tinyModels[i].sizes["native"]...)
		before := s.Live()
		y := e.Forward(s, x, nn.Pass{Train: true})
		assert.Equal(t, before+1, s.Live())
		y.Sum().Backward()
	})
}

// TestAutocast: bfloat16 has 8 bits of precision, and errors of a network add up.
func TestAutocast(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		for _, m := range tinyModels {
			g := openGolden(t, m.file)
			e, err := m.variant.encoder(s, m.spec, torch.NewBlankParams(torch.Float32))
			require.NoError(t, err)
			g.load(s, e)
			x := input(s, goldenSeeds["native"], m.sizes["native"]...)
			s.Autocast(torch.BFloat16, func() {
				y := e.Forward(s, x, nn.Pass{})
				torchtest.Close(t, g.values("native/out32"), y.Float64s(), 0.05, 0, m.file)
				e.Forward(s, x, nn.Pass{Train: true}).To(torch.Float32).Sum().Backward()
			})
			for _, q := range e.Params().Trained() {
				grad := s.Use(q.Value).Grad()
				assert.Equal(t, torch.Float32, grad.DType(), q.Name)
				assert.True(t, grad.AllFinite(), q.Name)
			}
			e.Close()
		}
	})
}

func TestAttentionBothWays(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		for dtype, tol := range map[torch.DType]float64{torch.Float64: 1e-12, torch.Float32: 1e-5, torch.BFloat16: 0.02} {
			run := func(f func(q, k, v torch.Tensor) torch.Tensor) (out, grad []float64) {
				qkv := input(s, 3, 3, 2, 2, 33, 8).To(dtype).Detach().SetRequiresGrad(true)
				p := qkv.Unbind(0)
				y := f(p[0], p[1], p[2])
				y.Mul(input(s, 4, y.Shape()...).To(dtype)).Sum().Backward()
				return y.Float64s(), qkv.Grad().Float64s()
			}
			plain, plainGrad := run(func(q, k, v torch.Tensor) torch.Tensor { return plainAttention(s, q, k, v) })
			fused, fusedGrad := run(func(q, k, v torch.Tensor) torch.Tensor { return q.ScaledDotProductAttention(k, v) })
			torchtest.Close(t, plain, fused, tol, 0, dtype)
			torchtest.Close(t, plainGrad, fusedGrad, tol, 0, dtype, "gradient")
			either, _ := run(func(q, k, v torch.Tensor) torch.Tensor { return attend(s, q, k, v) })
			assert.Contains(t, [][]float64{plain, fused}, either)
		}
	})
	assert.False(t, fused(torch.CPU, torch.BFloat16, 65))
	assert.True(t, fused(torch.CPU, torch.Float32, 65))
	assert.True(t, fused(torch.CUDA(0), torch.BFloat16, 65))
}

func TestSpecs(t *testing.T) {
	s, err := Spec{Name: "vit_tiny_patch16_224"}.Complete()
	require.NoError(t, err)
	assert.Equal(t, Spec{Name: "vit_tiny_patch16_224", ImageSize: 224, PatchSize: 16, Channels: 3, Width: 192, Depth: 12, Heads: 3,
		Pool: "token"}, s)
	s, err = Spec{Name: "resnet50", ImageSize: 100, Channels: 1}.Complete()
	require.NoError(t, err)
	assert.Equal(t, Spec{Name: "resnet50", ImageSize: 100, Channels: 1, Width: 64}, s)
	for name, want := range map[string]int{"vit_small_patch8_224": 8, "resnet18": 1, "swin_tiny_patch4_window7_224": 4} {
		step, err := Spec{Name: name}.SizeStep()
		require.NoError(t, err)
		assert.Equal(t, want, step)
	}

	for want, s := range map[string]Spec{
		`unknown model "vit_tiny_patch8_224" (did you mean vit_tiny_patch16_224?): expected one of vit_tiny_patch16_224, `: {Name: "vit_tiny_patch8_224"},
		`unknown model "ResNet-50" (did you mean resnet50?)`:                                                               {Name: "ResNet-50"},
		`unknown model "": expected one of`:                                                                                {},
		`image size 100, which its patch size 16 does not divide: try 96`:                                                  {Name: "vit_tiny_patch16_224", ImageSize: 100},
		`image size 5, which its patch size 8 does not divide: try 8`:                                                      {Name: "vit_small_patch8_224", ImageSize: 5},
		`image size -1: expected 0 or more`:                                                                                {Name: "resnet18", ImageSize: -1},
		`channels -2: expected 0 or more`:                                                                                  {Name: "resnet18", Channels: -2},
		`num classes -1: expected 0 or more`:                                                                               {Name: "resnet18", NumClasses: -1},
		`resnet18 with patch size 8: expected 0`:                                                                           {Name: "resnet18", PatchSize: 8},
		`resnet18 with 8 heads`:                                                                                            {Name: "resnet18", Heads: 8},
		`width 192, which 5 heads do not divide: try 190`:                                                                  {Name: "vit_tiny_patch16_224", Heads: 5},
		`drop path 1: expected 0 or more and less than 1`:                                                                  {Name: "resnet18", DropPath: 1},
		`convnext_atto with 8 heads: expected 0, as it is no ViT`:                                                          {Name: "convnext_atto", Heads: 8},
		`mobilenetv3_small_050 with width 8: expected 0, as its stages are as wide`:                                        {Name: "mobilenetv3_small_050", Width: 8},
		`efficientnet_b0 with depth 1: expected 0, as its stages are as deep`:                                              {Name: "efficientnet_b0", Depth: 1},
		`resnet18 with 4 registers: expected 0, as it is no ViT`:                                                           {Name: "resnet18", Registers: 4},
		`wren_nano with layer scale 1: expected 0, as it is no ViT`:                                                        {Name: "wren_nano", LayerScale: 1},
		`resnet18 with pool, qk-norm or SwiGLU: it is no ViT`:                                                              {Name: "resnet18", Pool: "avg"},
		`pool "max": expected token or avg`:                                                                                {Name: "vit_tiny_patch16_224", Pool: "max"},
		`layer scale -1: expected 0 or more`:                                                                               {Name: "vit_tiny_patch16_224", LayerScale: -1},
		`registers -1: expected 0 or more`:                                                                                 {Name: "vit_tiny_patch16_224", Registers: -1},
		`width 32, which the 3 heads of its first stage do not divide: try 33`:                                             {Name: "swin_tiny_patch4_window7_224", Width: 32},
		`swin_s3_tiny_224 with 4 heads: expected 0, as it is no ViT`:                                                       {Name: "swin_s3_tiny_224", Heads: 4},
		`image size 98, which its patch size 4 does not divide: try 100`:                                                   {Name: "swin_tiny_patch4_window7_224", ImageSize: 98},
		`64 heads of 6 features: expected a multiple of 4, for rotary embeddings`:                                          {Name: "vit_small_patch16_dinov3", Heads: 64},
		`drop path NaN`: {Name: "resnet18", DropPath: math.NaN()},
	} {
		assert.ErrorContains(t, s.Validate(), want)
		torchtest.Do(t, func(scope *torch.Scope) {
			_, err := New(scope, s, 1, torch.Float32)
			assert.ErrorContains(t, err, want)
		})
	}
}

func TestImagesThatDoNotFit(t *testing.T) {
	th := torchtest.Thread(t)
	var vit, res *Encoder
	require.NoError(t, th.Do(context.Background(), func(s *torch.Scope) {
		var err error
		vit, err = tinyModels[0].variant.encoder(s, Spec{}, torch.NewParams(1, torch.Float32))
		require.NoError(t, err)
		res, err = tinyModels[1].variant.encoder(s, Spec{}, torch.NewParams(1, torch.Float32))
		require.NoError(t, err)
	}))
	defer vit.Close()
	defer res.Close()
	for want, c := range map[string]struct {
		e     *Encoder
		shape []int64
	}{
		"images of 4 dimensions":                               {vit, []int64{3, 16, 16}},
		"2 channels: expected 3":                               {vit, []int64{1, 2, 16, 16}},
		"16×18 pixels: expected multiples of the patch size 4": {vit, []int64{1, 3, 16, 18}},
		"0×16 pixels":                                          {res, []int64{1, 3, 0, 16}},
	} {
		err := th.Do(context.Background(), func(s *torch.Scope) {
			c.e.Forward(s, s.Zeros(torch.Float32, c.shape...), nn.Pass{})
		})
		assert.ErrorContains(t, err, want)
		var e *torch.Error
		assert.ErrorAs(t, err, &e)
	}
}
