package optim_test

import (
	"encoding/json"
	"fmt"
	"math"
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

// golden is a run of a published implementation, made by scripts/golden/optim.py, which says what it trains on.
type golden struct {
	Steps                          int
	LR, WeightDecay, Momentum, Eps float64
	Beta1, Beta2                   float64
	Trust                          float64 // LARS
	Original, Exact                bool    // Muon
	Params, Average                map[string][]float64
}

func (g golden) adamw() optim.Config {
	return optim.Config{WeightDecay: g.WeightDecay, Beta1: g.Beta1, Beta2: g.Beta2, Eps: g.Eps}
}

func read(t *testing.T, name string) (cases []golden) {
	raw, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &cases))
	require.NotEmpty(t, cases)
	return cases
}

func fixed(seed uint64) torch.Init {
	return func(_ *rand.Rand, _ []int64, dst []float64) { copy(dst, torchtest.Values(seed, len(dst))) }
}

// problem is what the golden runs train: parameters of several shapes, one of which has half the learning rate.
type problem struct {
	*torch.Params
	x       torch.Tensor
	factors map[string]torch.Tensor
}

func newProblem(s *torch.Scope, dtype torch.DType) *problem {
	p := &problem{Params: torch.NewParams(0, dtype), factors: map[string]torch.Tensor{}}
	for i, q := range []struct {
		name  string
		shape []int64
	}{{"weight", []int64{3, 4}}, {"bias", []int64{3}}, {"kernel", []int64{4, 2, 2, 3}}, {"tall", []int64{6, 4}}, {"other", []int64{2, 5}},
		{"unused", []int64{2, 2}}} {
		p.Root().Param(s, q.name, fixed(uint64(i+1)), q.shape...)
	}
	p.Get("kernel").LRScale = 0.5
	p.x = s.FromFloat64(torchtest.Values(30, 5*4), 5, 4).To(dtype)
	for i, name := range []string{"kernel", "tall", "other"} {
		shape := p.Get(name).Value.Shape()
		p.factors[name] = s.FromFloat64(torchtest.Values(uint64(31+i), int(p.Get(name).Value.Numel())), shape...).To(dtype)
	}
	return p
}

// step is the n-th of a golden run, 0 being the first.
func (p *problem) step(s *torch.Scope, o optim.Optimiser, lr float64, n int) {
	o.ZeroGrad(s)
	total := p.x.Linear(p.Get("weight").Value, p.Get("bias").Value).Sin().Sum()
	for name, f := range p.factors {
		total = total.Add(p.Get(name).Value.Mul(f).Sin().Sum())
	}
	total.Backward()
	o.Step(s, lr*float64(1+n%3))
}

func (p *problem) check(t *testing.T, want map[string][]float64, tol float64) {
	t.Helper()
	require.Len(t, want, len(p.Trained()))
	for _, q := range p.Trained() {
		torchtest.Close(t, want[q.Name], q.Value.Float64s(), tol, 0)
	}
}

// against has an optimiser do what the golden runs did.
func against(t *testing.T, file string, tolerance func(golden, torch.DType) float64, make func(*torch.Scope, golden, torch.DType, *problem) optim.Optimiser) {
	for i, c := range read(t, file) {
		for _, dtype := range []torch.DType{torch.Float64, torch.Float32} {
			t.Run(fmt.Sprint(i, dtype), func(t *testing.T) {
				torchtest.Do(t, func(s *torch.Scope) {
					p := newProblem(s, dtype)
					defer p.Close()
					o := make(s, c, dtype, p)
					defer o.Close()
					for n := range c.Steps {
						p.step(s, o, c.LR, n)
					}
					tol := tolerance(c, dtype)
					p.check(t, c.Params, tol)
					assert.Equal(t, float64(c.Steps), o.Counters()["steps"])
					o.Eval(s)
					if c.Average == nil {
						c.Average = c.Params
					}
					p.check(t, c.Average, tol)
				})
			})
		}
	}
}

func rounding(_ golden, dtype torch.DType) float64 {
	if dtype == torch.Float32 {
		return 1e-5
	}
	return 1e-12
}

func TestAdamWAgainstPyTorch(t *testing.T) {
	against(t, "adamw.json", rounding, func(s *torch.Scope, g golden, _ torch.DType, p *problem) optim.Optimiser {
		return optim.NewAdamW(s, g.adamw(), p.Params)
	})
}

func TestLARSAgainstTimm(t *testing.T) {
	against(t, "lars.json", rounding, func(s *torch.Scope, g golden, _ torch.DType, p *problem) optim.Optimiser {
		return optim.NewLARS(s, optim.LARSConfig{WeightDecay: g.WeightDecay, Momentum: g.Momentum, Trust: g.Trust, Eps: g.Eps}, p.Params)
	})
}

// TestMuonAgainstPyTorch: PyTorch makes matrices orthogonal in bfloat16, whose products round in another order wherever sizes
// or instructions differ, so that steps agree to bfloat16; the exact runs are PyTorch's with that one type exchanged.
func TestMuonAgainstPyTorch(t *testing.T) {
	tolerance := func(g golden, dtype torch.DType) float64 {
		if g.Exact {
			return rounding(g, dtype)
		}
		return 2e-2 * g.LR * float64(g.Steps)
	}
	against(t, "muon.json", tolerance, func(s *torch.Scope, g golden, dtype torch.DType, p *problem) optim.Optimiser {
		c := optim.MuonConfig{AdamW: g.adamw(), Momentum: g.Momentum, Original: g.Original, DType: torch.BFloat16,
			Others: []*torch.Param{p.Get("other")}}
		if g.Exact {
			c.DType = dtype
		}
		return optim.NewMuon(s, c, p.Params)
	})
}

func TestScheduleFreeAgainstPublished(t *testing.T) {
	against(t, "schedulefree.json", rounding, func(s *torch.Scope, g golden, _ torch.DType, p *problem) optim.Optimiser {
		return optim.NewScheduleFree(s, g.adamw(), p.Params)
	})
}

// makers are all optimisers with settings of their own.
var makers = map[string]func(*torch.Scope, ...*torch.Params) optim.Optimiser{
	"adamw": func(s *torch.Scope, p ...*torch.Params) optim.Optimiser {
		return optim.NewAdamW(s, optim.Default(), p...)
	},
	"lars": func(s *torch.Scope, p ...*torch.Params) optim.Optimiser {
		return optim.NewLARS(s, optim.DefaultLARS(), p...)
	},
	"muon": func(s *torch.Scope, p ...*torch.Params) optim.Optimiser {
		return optim.NewMuon(s, optim.DefaultMuon(), p...)
	},
	"schedulefree": func(s *torch.Scope, p ...*torch.Params) optim.Optimiser {
		return optim.NewScheduleFree(s, optim.Default(), p...)
	},
}

func (p *problem) bits() map[string][]float64 {
	all := map[string][]float64{}
	for _, q := range p.Trained() {
		all[q.Name] = q.Value.Float64s()
	}
	return all
}

// TestStateRestoresTheRun saves the state while the weights to use are in place, as checkpoints do, and goes on with it.
func TestStateRestoresTheRun(t *testing.T) {
	for name, make := range makers {
		t.Run(name, func(t *testing.T) {
			torchtest.Do(t, func(s *torch.Scope) {
				p := newProblem(s, torch.Float32)
				defer p.Close()
				o := make(s, p.Params)
				defer o.Close()
				for n := range 5 {
					p.step(s, o, 0.1, n)
				}
				trained := p.bits()
				q := newProblem(s, torch.Float32)
				defer q.Close()
				r := make(s, q.Params)
				defer r.Close()

				o.Eval(s)
				o.Eval(s)
				if name == "schedulefree" {
					assert.NotEqual(t, trained, p.bits())
				} else {
					assert.Equal(t, trained, p.bits())
				}
				type key struct{ param, name string }
				from := map[key]torch.Tensor{}
				for _, m := range o.State(s) {
					assert.Equal(t, m.Param.Value.Shape(), m.Value.Shape())
					from[key{m.Param.Name, m.Name}] = m.Value
				}
				s.NoGrad(func() {
					for _, e := range q.Trained() {
						e.Value.Copy_(p.Get(e.Name).Value)
					}
				})
				to := r.State(s)
				require.Len(t, to, len(from))
				s.NoGrad(func() {
					for _, m := range to {
						m.Value.Copy_(from[key{m.Param.Name, m.Name}])
					}
				})
				require.NoError(t, r.SetCounters(o.Counters()))
				o.Train(s)
				o.Train(s)
				assert.Equal(t, trained, p.bits(), "training goes on where it was")
				assert.Equal(t, trained, q.bits())
				for n := 5; n < 8; n++ {
					p.step(s, o, 0.1, n)
					q.step(s, r, 0.1, n)
				}
				assert.NotEqual(t, trained, p.bits())
				assert.Equal(t, p.bits(), q.bits())
				assert.Equal(t, o.Counters(), r.Counters())
			})
		})
	}
}

func TestCountersThatCannotBe(t *testing.T) {
	for name, make := range makers {
		torchtest.Do(t, func(s *torch.Scope) {
			p := newProblem(s, torch.Float32)
			defer p.Close()
			o := make(s, p.Params)
			defer o.Close()
			for counter := range o.Counters() {
				for _, v := range []float64{-1, math.NaN(), math.Inf(1)} {
					c := o.Counters()
					c[counter] = v
					assert.Error(t, o.SetCounters(c), "%s: %s %v", name, counter, v)
				}
				c := o.Counters()
				delete(c, counter)
				assert.ErrorContains(t, o.SetCounters(c), counter, name)
			}
			c := o.Counters()
			c["speed"] = 1
			assert.ErrorContains(t, o.SetCounters(c), "speed", name)
			assert.ErrorContains(t, o.SetCounters(map[string]float64{"steps": 0.5, "weight_sum": 0, "lr_max": 0}), "", name)
		})
	}
}

// TestScheduleFreeEval: there are no steps while the weights to use are in place, and none before the first step.
func TestScheduleFreeEval(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		p := newProblem(s, torch.Float32)
		defer p.Close()
		o := optim.NewScheduleFree(s, optim.Default(), p.Params)
		defer o.Close()
		before := p.bits()
		o.Eval(s)
		assert.Equal(t, before, p.bits())
		p.step(s, o, 0.1, 0)
		o.Eval(s)
		assert.PanicsWithValue(t, "optim: Step between Eval and Train", func() { o.Step(s, 0.1) })
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
		assert.InDelta(t, 5, o.GradNorm(s).Item(), 1e-12)
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
