package optim_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/torch/optim"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// emaModel is the model of scripts/golden/optim.py's ema.
func emaModel(s *torch.Scope, dtype torch.DType) *torch.Params {
	p := torch.NewParams(1, dtype)
	nn.NewLinear(s, p.Root().At(0), 4, 3, nn.Options{})
	nn.NewBatchNorm(s, p.Root().At(1), 3, nil)
	return p
}

// setEMA sets all values to those of a step, 1 being the first.
func setEMA(s *torch.Scope, p *torch.Params, step int) {
	s.NoGrad(func() {
		for i, q := range p.All() {
			v := s.Use(q.Value)
			if !v.DType().IsFloat() {
				v.Zero_()
				v.AddInt_(int64(7 * step))
				continue
			}
			v.Copy_(s.FromFloat64(torchtest.Values(uint64(10*step+i), int(v.Numel())), v.Shape()...))
		}
	})
}

func TestEMAAgainstTimm(t *testing.T) {
	var cases []struct {
		Steps   int
		Decay   float64
		Average map[string][]float64
	}
	raw, err := os.ReadFile("testdata/ema.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &cases))
	require.NotEmpty(t, cases)
	for _, c := range cases {
		for dtype, tol := range map[torch.DType]float64{torch.Float64: 1e-13, torch.Float32: 1e-6} {
			torchtest.Do(t, func(s *torch.Scope) {
				p := emaModel(s, dtype)
				defer p.Close()
				e := optim.NewEMA(s, c.Decay, p)
				defer e.Close()
				for step := range c.Steps {
					setEMA(s, p, step+1)
					e.Update(s, step+1)
				}
				e.Eval(s)
				require.Len(t, c.Average, len(p.All()))
				for _, q := range p.All() {
					torchtest.Close(t, c.Average[q.Name], q.Value.Float64s(), tol, 0)
				}
			})
		}
	}
}

// TestEMAState: what is trained is back after an evaluation, and another average goes on from the state of the first.
func TestEMAState(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		values := func(p *torch.Params) map[string][]float64 {
			all := map[string][]float64{}
			for _, q := range p.All() {
				all[q.Name] = q.Value.Float64s()
			}
			return all
		}
		p, q := emaModel(s, torch.Float32), emaModel(s, torch.Float32)
		defer p.Close()
		defer q.Close()
		a, b := optim.NewEMA(s, 0.9, p), optim.NewEMA(s, 0.9, q)
		defer a.Close()
		defer b.Close()
		for step := 1; step <= 3; step++ {
			setEMA(s, p, step)
			a.Update(s, step)
		}
		trained := values(p)
		a.Eval(s)
		a.Eval(s)
		assert.NotEqual(t, trained, values(p))
		assert.PanicsWithValue(t, "optim: Update between Eval and Train", func() { a.Update(s, 4) })
		from := map[string]torch.Tensor{}
		for _, m := range a.State(s) {
			assert.Equal(t, "ema", m.Name)
			from[m.Param.Name] = m.Value
		}
		to := b.State(s)
		require.Len(t, to, len(p.All()))
		for _, m := range to {
			m.Value.Copy_(from[m.Param.Name])
		}
		a.Train(s)
		a.Train(s)
		assert.Equal(t, trained, values(p))
		setEMA(s, p, 4)
		setEMA(s, q, 4)
		a.Update(s, 4)
		b.Update(s, 4)
		a.Eval(s)
		b.Eval(s)
		assert.Equal(t, values(p), values(q))
	})
}
