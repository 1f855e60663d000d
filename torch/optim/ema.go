package optim

import "github.com/gojepa/gojepa/torch"

// EMA is a running average of a model's weights over the steps, and of its buffers: w̄ ← d·w̄ + (1−d)·w, as timm's
// ModelEmaV3 has it. Nothing that is trained depends on it. Averages of long memory are often better than the last weights.
type EMA struct {
	decay  float64
	values []averaged
	on     bool // the model holds the averages
}

// averaged is a run of memory with its average.
type averaged struct {
	params  []*torch.Param // whose memory it is
	value   torch.Tensor
	average torch.Tensor // of value's shape; kept
	trained torch.Tensor // what value held before Eval; kept until Train
}

// NewEMA averages the parameters of a set, which an optimiser has flattened, and its buffers. Decay is in [0, 1). The caller
// closes it.
func NewEMA(s *torch.Scope, decay float64, p *torch.Params) *EMA {
	e := &EMA{decay: decay}
	add := func(value torch.Tensor, params ...*torch.Param) {
		e.values = append(e.values, averaged{params: params, value: value, average: s.Use(value).Detach().Clone().Keep()})
	}
	s.NoGrad(func() {
		for _, g := range p.Flatten(s) {
			add(g.Value, g.Params...)
		}
		for _, q := range p.All() {
			if q.Buffer {
				add(q.Value, q)
			}
		}
	})
	return e
}

// Update takes the weights after a step, 1 being the first, into the average. After the first it is these. Counts among the
// buffers are not averaged but taken.
func (e *EMA) Update(s *torch.Scope, step int) {
	if e.on {
		panic("optim: Update between Eval and Train")
	}
	weight := 1 - e.decay
	if step <= 1 {
		weight = 1
	}
	s.NoGrad(func() {
		for _, v := range e.values {
			if v.value.DType().IsFloat() {
				s.Use(v.average).Lerp_(v.value, weight)
			} else {
				s.Use(v.average).Copy_(v.value)
			}
		}
	})
}

// Eval puts the averages into the model. Train puts back what was there, bit for bit. Twice is as good as once.
func (e *EMA) Eval(s *torch.Scope) {
	if e.on {
		return
	}
	e.on = true
	s.NoGrad(func() {
		for i := range e.values {
			v := &e.values[i]
			v.trained = s.Use(v.value).Clone().Keep()
			s.Use(v.value).Copy_(v.average)
		}
	})
}

// Train is Eval's opposite.
func (e *EMA) Train(s *torch.Scope) {
	if !e.on {
		return
	}
	e.on = false
	s.NoGrad(func() {
		for i := range e.values {
			v := &e.values[i]
			s.Use(v.value).Copy_(v.trained)
			v.trained.Free()
			v.trained = torch.Tensor{}
		}
	})
}

// State is the averages, under the name "ema", as views into them: writing into them sets them.
func (e *EMA) State(s *torch.Scope) (all []Slot) {
	for _, v := range e.values {
		eachOf(s, v.params, func(p *torch.Param, view func(torch.Tensor) torch.Tensor) {
			all = append(all, Slot{p, "ema", view(v.average)})
		})
	}
	return all
}

// Close frees the averages.
func (e *EMA) Close() {
	for _, v := range e.values {
		v.average.Free()
		v.trained.Free()
	}
	e.values = nil
}
