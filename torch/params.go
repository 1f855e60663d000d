package torch

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/gojepa/gojepa/internal/rng"
)

// Init sets the initial values of a parameter of the given shape, drawing from r.
type Init func(r *rand.Rand, shape []int64, dst []float64)

// Param is one entry of a state dict: a parameter that is trained, or a buffer that only travels with it.
type Param struct {
	Name   string // PyTorch's name, such as "blocks.0.attn.qkv.weight"
	Value  Tensor // kept; owned by its Params
	Buffer bool   // not trained: running statistics and the like
	Decay  bool   // subject to weight decay

	// LRScale is the parameter's learning rate as a share of the run's: 1 unless it is set before Flatten.
	LRScale float64

	adopted bool // its memory is shared with another library, which may hold views of it
}

// Params is the ordered set of a model's parameters and buffers. Its order is that of PyTorch's state_dict, since models
// create their parameters in that order. It owns them; Close frees them.
type Params struct {
	seed   uint64
	dtype  DType
	list   []*Param
	byName map[string]*Param
	flat   []*FlatGroup
	blank  bool   // parameters get memory, and no initial values
	shapes bool   // parameters get neither
	also   func() // frees what the parameters belong to
}

// NewParams makes an empty set. Initial values come from streams named by seed and the parameter's index; they are drawn
// in float64 and rounded to dtype, so that models of different types start alike.
func NewParams(seed uint64, dtype DType) *Params {
	return &Params{seed: seed, dtype: dtype, byName: map[string]*Param{}}
}

// NewBlankParams makes an empty set for a model whose weights are loaded: parameters are not drawn, and hold what their
// memory happens to hold until then. Buffers get their initial values.
func NewBlankParams(dtype DType) *Params {
	return &Params{dtype: dtype, byName: map[string]*Param{}, blank: true}
}

// NewShapes makes an empty set that a model is built in to learn names, order and shapes: parameters and buffers are one
// value, expanded to their shape, whatever their size. They can be neither trained nor loaded.
func NewShapes(dtype DType) *Params {
	return &Params{dtype: dtype, byName: map[string]*Param{}, shapes: true}
}

// DType is the type of the parameters.
func (p *Params) DType() DType { return p.dtype }

// Root is the path with the empty prefix.
func (p *Params) Root() Path { return Path{p: p} }

// All lists parameters and buffers in PyTorch's order.
func (p *Params) All() []*Param { return p.list }

// Trained lists the parameters in PyTorch's order, without the buffers.
func (p *Params) Trained() []*Param {
	var out []*Param
	for _, q := range p.list {
		if !q.Buffer {
			out = append(out, q)
		}
	}
	return out
}

// Get is the entry of a name, nil if there is none.
func (p *Params) Get(name string) *Param { return p.byName[name] }

// Count is the number of trained values.
func (p *Params) Count() int64 {
	var n int64
	for _, q := range p.Trained() {
		n += numel(q.Value.Shape())
	}
	return n
}

// Join appends the entries of other, which p owns from then on.
func (p *Params) Join(other *Params) {
	if p.flat != nil || other.flat != nil {
		panic("torch: Join after Flatten")
	}
	for _, q := range other.list {
		p.add(q)
	}
	other.list, other.byName = nil, map[string]*Param{}
}

// Replace gives the parameter of a name the values of t, and its shape. Handles that models hold stay valid. It panics if
// there is no such parameter, on another type, and after Flatten.
func (p *Params) Replace(s *Scope, name string, t Tensor) {
	q := p.byName[name]
	if q == nil || p.flat != nil {
		panic(fmt.Sprintf("torch: Replace of %q, which is no parameter or in flat memory", name))
	}
	s.NoGrad(func() { s.Use(q.Value).setData(t.Detach().Clone()) })
}

// Close frees all parameters and buffers.
func (p *Params) Close() {
	for _, g := range p.flat {
		g.Value.Free()
		g.Grad.Free()
	}
	for _, q := range p.list {
		q.Value.Free()
	}
	p.list, p.byName, p.flat = nil, map[string]*Param{}, nil
	if p.also != nil {
		p.also()
		p.also = nil
	}
}

func (p *Params) add(q *Param) {
	p.mustBeNew(q.Name)
	p.list = append(p.list, q)
	p.byName[q.Name] = q
}

func (p *Params) mustBeNew(name string) {
	if p.byName[name] != nil {
		panic(fmt.Sprintf("torch: parameter %q exists already", name))
	}
}

// Path is a place in the tree of parameter names.
type Path struct {
	p      *Params
	prefix string
}

// Sub is the path of a part, such as a block or a layer.
func (a Path) Sub(name string) Path { return Path{p: a.p, prefix: a.prefix + name + "."} }

// At is the path of the i-th element of a list.
func (a Path) At(i int) Path { return a.Sub(fmt.Sprint(i)) }

// Param makes a trained parameter. Weight decay applies to it by timm's rule: not to vectors, scalars and biases.
func (a Path) Param(s *Scope, name string, init Init, shape ...int64) Tensor {
	decay := len(shape) > 1 && name != "bias"
	return a.make(s, &Param{Name: a.prefix + name, Decay: decay, LRScale: 1}, a.p.dtype, init, shape)
}

// NoDecay makes a trained parameter that is exempt from weight decay, as timm exempts class tokens and position
// embeddings.
func (a Path) NoDecay(s *Scope, name string, init Init, shape ...int64) Tensor {
	return a.make(s, &Param{Name: a.prefix + name, LRScale: 1}, a.p.dtype, init, shape)
}

// Buffer makes a buffer of the given type.
func (a Path) Buffer(s *Scope, name string, dtype DType, init Init, shape ...int64) Tensor {
	return a.make(s, &Param{Name: a.prefix + name, Buffer: true}, dtype, init, shape)
}

// DType is the type of the parameters made at a.
func (a Path) DType() DType { return a.p.dtype }

func (a Path) make(s *Scope, q *Param, dtype DType, init Init, shape []int64) Tensor {
	if a.p.flat != nil {
		panic(fmt.Sprintf("torch: parameter %q made after Flatten", q.Name))
	}
	a.p.mustBeNew(q.Name)
	var t Tensor
	switch {
	case a.p.shapes:
		t = s.Zeros(dtype).Expand(shape...)
	case a.p.blank && !q.Buffer:
		t = s.Empty(dtype, shape...)
	default:
		v := make([]float64, numel(shape))
		init(rng.New(a.p.seed, rng.Weights, uint64(len(a.p.list)), 0), shape, v)
		t = s.FromFloat64(v, shape...)
		if t.DType() != dtype {
			t = t.To(dtype)
		}
	}
	if !q.Buffer {
		t.SetRequiresGrad(true)
	}
	q.Value = t.Keep()
	a.p.add(q)
	return q.Value
}

// FlatGroup is one run of memory that holds parameters which an optimiser treats alike, and one that holds their gradients.
type FlatGroup struct {
	Params []*Param
	Value  Tensor // [sum of sizes]
	Grad   Tensor // [sum of sizes]
	FlatClass
}

// FlatClass is what the parameters of a group have in common.
type FlatClass struct {
	Decay   bool    // subject to weight decay
	LRScale float64 // share of the learning rate
	Class   int     // what the optimiser made of them; 0 where it makes no difference
}

// Flatten is FlattenBy with all parameters of one class.
func (p *Params) Flatten(s *Scope) []*FlatGroup {
	return p.FlattenBy(s, func(*Param) int { return 0 })
}

// FlattenBy moves the trained parameters into flat buffers, one for all that have weight decay, share of the learning rate and
// class in common, so that an optimiser step, clipping or an all-reduce is a few calls. Each parameter becomes a view of its
// buffer and its gradient a view of the gradients' buffer, which backward passes fill in place: gradients are zeroed, never
// unset. Handles that models hold stay valid; other views of a parameter do not follow, so adopted parameters are groups of
// their own in the memory that they have. Parameters with weight decay come first. Calling it again, or Flatten, returns
// the same groups.
func (p *Params) FlattenBy(s *Scope, class func(*Param) int) []*FlatGroup {
	if p.flat != nil {
		return p.flat
	}
	var adopted []*FlatGroup
	s.NoGrad(func() {
		for _, decay := range []bool{true, false} {
			groups := map[FlatClass]*FlatGroup{}
			for _, q := range p.Trained() {
				c := FlatClass{Decay: q.Decay, LRScale: q.LRScale, Class: class(q)}
				switch {
				case c.Decay != decay:
				case q.adopted:
					adopted = append(adopted, q.layInPlace(s, c))
				case groups[c] != nil:
					groups[c].Params = append(groups[c].Params, q)
				default:
					groups[c] = &FlatGroup{Params: []*Param{q}, FlatClass: c}
					p.flat = append(p.flat, groups[c])
				}
			}
		}
		for _, g := range p.flat {
			g.lay(s, p.dtype)
		}
	})
	p.flat = append(p.flat, adopted...)
	return p.flat
}

func (g *FlatGroup) lay(s *Scope, dtype DType) {
	var total int64
	for _, q := range g.Params {
		total += q.Value.Numel()
	}
	g.Value = s.Empty(dtype, total).Keep()
	g.Grad = s.Zeros(dtype, total).Keep()
	var offset int64
	for _, q := range g.Params {
		s.Child(func(s *Scope) Tensor {
			shape := q.Value.Shape()
			n := numel(shape)
			view := s.Use(g.Value).Narrow(0, offset, n).Reshape(shape...)
			view.Copy_(q.Value)
			s.Use(q.Value).setData(view)
			s.Use(q.Value).SetGrad(s.Use(g.Grad).Narrow(0, offset, n).Reshape(shape...))
			offset += n
			return Tensor{}
		})
	}
}

// ZeroGrad sets the gradients of all trained parameters to zero.
func (p *Params) ZeroGrad(s *Scope) {
	for _, g := range p.Flatten(s) {
		s.Use(g.Grad).Zero_()
	}
}

// String lists names and shapes, a line each.
func (p *Params) String() string {
	var b strings.Builder
	for _, q := range p.list {
		fmt.Fprintf(&b, "%s %s\n", q.Name, q.Value.describe())
	}
	return b.String()
}
