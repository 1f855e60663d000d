package optim_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/optim"
	"github.com/gojepa/gojepa/torch/torchtest"
)

func TestMain(m *testing.M) { torchtest.Main(m) }

// golden is a run of torch.optim.AdamW on two parameters, made by scripts/golden/optim.py.
type golden struct {
	LR, WeightDecay, Beta1, Beta2, Eps float64
	Steps                              int
	Weight, Bias                       []float64
}

func fixed(seed uint64) torch.Init {
	return func(_ *rand.Rand, _ []int64, dst []float64) { copy(dst, torchtest.Values(seed, len(dst))) }
}

func TestAdamWAgainstPyTorch(t *testing.T) {
	var cases []golden
	raw, err := os.ReadFile("testdata/adamw.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &cases))
	require.NotEmpty(t, cases)
	for _, dtype := range []torch.DType{torch.Float64, torch.Float32} {
		tol := 1e-12
		if dtype == torch.Float32 {
			tol = 1e-5
		}
		for _, c := range cases {
			t.Run(fmt.Sprint(dtype, c.WeightDecay, c.Steps), func(t *testing.T) {
				torchtest.Do(t, func(s *torch.Scope) {
					p := torch.NewParams(0, dtype)
					defer p.Close()
					w := p.Root().Param(s, "weight", fixed(1), 3, 4)
					b := p.Root().Param(s, "bias", fixed(2), 3)
					x := s.FromFloat64(torchtest.Values(3, 5*4), 5, 4).To(dtype)
					o := optim.NewAdamW(s, optim.Config{WeightDecay: c.WeightDecay, Beta1: c.Beta1, Beta2: c.Beta2, Eps: c.Eps}, p)
					defer o.Close()
					for step := range c.Steps {
						o.ZeroGrad(s)
						x.Linear(w, b).Sin().Sum().Backward()
						o.Step(s, c.LR*float64(1+step%3))
					}
					torchtest.Close(t, c.Weight, w.Float64s(), tol, 0)
					torchtest.Close(t, c.Bias, b.Float64s(), tol, 0)
					assert.Equal(t, c.Steps, o.Steps())
				})
			})
		}
	}
}

func TestStateRestoresTheRun(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		make := func() (*torch.Params, torch.Tensor, *optim.AdamW) {
			p := torch.NewParams(0, torch.Float32)
			p.Root().Param(s, "bias", fixed(2), 3)
			w := p.Root().Param(s, "weight", fixed(1), 3, 4)
			return p, w, optim.NewAdamW(s, optim.Default(), p)
		}
		step := func(p *torch.Params, o *optim.AdamW) {
			o.ZeroGrad(s)
			p.Get("weight").Value.Sin().Sum().Add(p.Get("bias").Value.Square().Sum()).Backward()
			o.Step(s, 0.1)
		}
		p, w, o := make()
		defer p.Close()
		defer o.Close()
		for range 3 {
			step(p, o)
		}
		q, v, r := make()
		defer q.Close()
		defer r.Close()
		from := map[string]optim.Moments{}
		for _, m := range o.State(s) {
			from[m.Param.Name] = m
		}
		for _, m := range r.State(s) {
			m.ExpAvg.Copy_(from[m.Param.Name].ExpAvg)
			m.ExpAvgSq.Copy_(from[m.Param.Name].ExpAvgSq)
		}
		require.NoError(t, r.SetSteps(3))
		s.NoGrad(func() {
			for _, e := range q.Trained() {
				e.Value.Copy_(p.Get(e.Name).Value)
			}
		})
		step(p, o)
		step(q, r)
		assert.Equal(t, w.Float32s(), v.Float32s())
		assert.Error(t, r.SetSteps(-1))
	})
}

func TestGradNorm(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		p := torch.NewParams(0, torch.Float64)
		defer p.Close()
		w := p.Root().Param(s, "weight", fixed(1), 1, 1)
		b := p.Root().Param(s, "bias", fixed(2), 1)
		o := optim.NewAdamW(s, optim.Default(), p)
		defer o.Close()
		w.MulScalar(3).Sum().Add(b.MulScalar(4).Sum()).Backward()
		assert.InDelta(t, 5, o.GradNorm(s), 1e-12)
		o.ScaleGrad(s, 0.5)
		assert.InDelta(t, 2, b.Grad().Item(), 1e-12)
	})
}

func TestSchedule(t *testing.T) {
	c := optim.Schedule{Peak: 2, Final: 0.001, Warmup: 4, Steps: 105}
	assert.Equal(t, []float64{0.5, 1, 1.5, 2}, []float64{c.At(0), c.At(1), c.At(2), c.At(3)})
	assert.Equal(t, 2.0, c.At(4))
	assert.InDelta(t, (2+0.002)/2, c.At(54), 1e-12, "half way")
	assert.Equal(t, 0.002, c.At(104), "the last step has the floor")
	assert.Equal(t, 0.002, c.At(1000))
	for i := 5; i < 105; i++ {
		assert.Less(t, c.At(i), c.At(i-1))
	}
	assert.Equal(t, 3.0, optim.Schedule{Peak: 3, Final: 1, Steps: 10}.At(0), "no warm-up")
	assert.Equal(t, 1.5, optim.Schedule{Peak: 3, Final: 0.5, Steps: 1}.At(0), "one step")
	assert.Equal(t, 1.0, optim.Schedule{Peak: 3, Final: 0.5, Steps: 2, Warmup: 3}.At(0), "warm-up longer than the run")
}
