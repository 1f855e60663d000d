package gaussianity

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/sigreg"
	"github.com/gojepa/gojepa/torch"
)

// exam holds what is the same for all sets that are measured.
type exam struct {
	Options
	data   data
	n, k   int
	slices torch.Tensor // [K, M]
	pairs  torch.Tensor // the rows that joint tests take
}

func newExam(s *torch.Scope, o Options, d data) *exam {
	x := &exam{Options: o, data: d, n: int(d.z.Size(0)), k: int(d.z.Size(1))}
	if x.k == 1 {
		x.Slices = 1 // there is one direction
	}
	x.slices = sigreg.Slices{Count: x.Slices, Seed: o.Seed}.At(s, torch.Float64, 0, x.k)
	rows := Sample(x.n, jointSamples, o.Seed)
	index := make([]int64, len(rows))
	for i, row := range rows {
		index[i] = int64(row)
	}
	x.pairs = s.FromInt64(index, int64(len(index)))
	return x
}

// measured is what a set came to.
type measured struct {
	eigenvalues []float64 // falling
	spectrum    spectrum
	mean        float64     // length of the mean
	sliced      [][]float64 // of each of slicedTests, on each slice
	joint       []float64   // of each of jointTests
	norms       []float64   // squared lengths of the rows
	worst       direction
	projection  []float64 // on it
	shape       Shape     // of the projection
}

// run examines the embeddings.
func (x *exam) run(ctx context.Context, s *torch.Scope) (*Report, error) {
	observed, err := standardise(x.data.z, x.Standardise)
	if err != nil {
		return nil, err
	}
	sets, err := x.sets(ctx, s, observed)
	if err != nil {
		return nil, err
	}
	r := x.report(sets)
	r.Rank, r.Mean, r.Scale = observed.rank, observed.mean.Float64s(), observed.scale
	r.Directions, err = x.worst(ctx, s, observed, sets)
	return r, err
}

// sets measures the embeddings as observed, and the simulated sets, each on one thread.
func (x *exam) sets(ctx context.Context, s *torch.Scope, observed standard) ([]measured, error) {
	all := make([]measured, 1+x.Simulations)
	var mu sync.Mutex
	done := 0
	s.Parallel(len(all), func(s *torch.Scope, _, i int) {
		if ctx.Err() != nil {
			return
		}
		t := observed.use(s)
		if i > 0 {
			var err error
			if t, err = standardise(x.simulate(s, i), x.Standardise); err != nil {
				panic(err) // there are enough samples, and Gaussian ones are of full rank
			}
		}
		all[i] = x.measure(s, t)
		mu.Lock()
		defer mu.Unlock()
		if done++; x.Progress != nil {
			x.Progress(done, len(all))
		}
	})
	return all, ctx.Err()
}

// simulate draws samples of N(0, I), set number i.
func (x *exam) simulate(s *torch.Scope, i int) torch.Tensor {
	return s.Randn(rng.New(x.Seed, rng.Simulation, uint64(i), 0), torch.Float64, int64(x.n), int64(x.k))
}

// measure takes a set through all steps.
func (x *exam) measure(s *torch.Scope, t standard) measured {
	a := s.Use(x.slices)
	var m measured
	rising := t.values.Float64s()
	for i := range rising {
		m.eigenvalues = append(m.eigenvalues, max(0, rising[len(rising)-1-i]))
	}
	m.spectrum = newSpectrum(m.eigenvalues)
	m.mean = t.mean.Norm().Item()
	m.sliced = sliced(s, t.y, a)
	m.joint = joint(s, t.y.IndexSelect(0, s.Use(x.pairs)))
	m.norms = t.y.Square().SumDim(1, false).Float64s()
	m.worst = search(s, t.y, candidates(s, a, m.sliced[0], t), nil)
	m.projection = project(s, t.y, m.worst.a)
	m.shape = newShape(m.projection)
	return m
}

// project returns the projections of y [N, K] on a.
func project(s *torch.Scope, y torch.Tensor, a []float64) []float64 {
	var p []float64
	s.Child(func(s *torch.Scope) torch.Tensor {
		p = y.Matmul(s.FromFloat64(a, int64(len(a)), 1)).Float64s()
		return torch.Tensor{}
	})
	return p
}

// worst describes the least Gaussian directions, each at right angles to those before. Their p-values compare with the
// worst of each simulated set: what a search finds in Gaussian samples.
func (x *exam) worst(ctx context.Context, s *torch.Scope, t standard, sets []measured) ([]Direction, error) {
	var gaussian []float64
	var shapes []Shape
	for _, m := range sets[1:] {
		gaussian = append(gaussian, m.worst.value)
		shapes = append(shapes, m.shape)
	}
	from := candidates(s, x.slices, sets[0].sliced[0], t)
	all := []Direction{}
	var found []direction
	for len(all) < min(x.Directions, x.k) && ctx.Err() == nil {
		d := sets[0].worst
		if len(found) > 0 {
			d = search(s, t.y, from, found)
		}
		found = append(found, d)
		w := t.weights(s, d.a, x.Standardise)
		if orient(w) < 0 {
			d.a = scaled(d.a, -1)
			w = scaled(w, -1)
		}
		p := project(s, t.y, d.a)
		shape := newShape(p)
		least, greatest := extremes(p, x.data.rows)
		all = append(all, Direction{
			Statistic: d.value, P: pValue(d.value, gaussian, Upper), Shape: shape, Deviations: deviations(shape, x.n, shapes),
			Weights: w, Least: least, Greatest: greatest, Projection: p,
		})
	}
	return all, ctx.Err()
}

// orient returns the element of v with the largest magnitude: of a direction and its opposite, one has it above 0.
func orient(v []float64) float64 {
	return slices.MaxFunc(v, func(a, b float64) int { return cmp.Compare(math.Abs(a), math.Abs(b)) })
}

func scaled(v []float64, factor float64) []float64 {
	w := make([]float64, len(v))
	for i := range v {
		w[i] = factor * v[i]
	}
	return w
}

// finite is v, or the number nearest to it where it is infinite: JSON has no other.
func finite(v float64) float64 { return min(max(v, -math.MaxFloat64), math.MaxFloat64) }
