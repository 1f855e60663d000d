package gaussianity

import (
	"cmp"
	"math"
	"slices"

	"github.com/gojepa/gojepa/sigreg"
	"github.com/gojepa/gojepa/torch"
)

// climbers is how many candidates a search begins from.
const climbers = 16

// climbs are the steps of its rounds: after each the worse half of the climbers stay behind.
var climbs = [...]int{4, 6, 6, 10}

// kurtosisStarts is how many slices of high kurtosis, and how many of low, the iteration of [kurtosis] begins from, and
// kurtosisSteps how often it is repeated.
const kurtosisStarts, kurtosisSteps = 32, 8

// Angles of the steps on the sphere, in radians. A climber whose next step would be less than the last has arrived.
const (
	firstAngle   = 0.2
	largestAngle = 0.8
	leastAngle   = 0.01
)

// statistic is SIGReg's, and what the search maximises.
var statistic = sigreg.Default()

const statisticName = "EppsPulley"

// direction is a unit vector and the statistic of the projections on it.
type direction struct {
	a     []float64
	value float64
}

// candidates are the directions to begin a search from, with the statistics of t.y on them: the slices [K, M], of which
// they are known, the principal components, the axes, the mean's if there is one, and those that kurtosis leads to.
func candidates(s *torch.Scope, slices torch.Tensor, known []float64, t standard) []direction {
	k := int(slices.Size(0))
	var all []direction
	for i, a := range chunks(slices.T().Float64s(), k) {
		all = append(all, direction{a, known[i]})
	}
	rows := chunks(t.axes.T().Float64s(), k)
	for i := range k {
		axis := make([]float64, k)
		axis[i] = 1
		rows = append(rows, axis)
	}
	mean := t.y.MeanDim(0, false).Float64s()
	if normalise(mean) > 1e-9 {
		rows = append(rows, mean)
	}
	rows = append(rows, kurtosis(s, slices, t)...)
	return append(all, evaluate(s, t.y, rows)...)
}

// evaluate finds the statistics of y on unit vectors.
func evaluate(s *torch.Scope, y torch.Tensor, rows [][]float64) []direction {
	var all []direction
	s.Child(func(s *torch.Scope) torch.Tensor {
		for i, v := range statistic.Statistics(s, y.Unsqueeze(0), columns(s, rows)).Float64s() {
			all = append(all, direction{rows[i], v})
		}
		return torch.Tensor{}
	})
	return all
}

// kurtosis returns directions on which the embeddings' fourth moments are extreme: where a few steps of the fixed-point
// iteration of FastICA (Hyvärinen & Oja 1997, "A fast fixed-point algorithm for independent component analysis") lead from
// the slices, on whitened embeddings. They find a single odd direction from further away than the statistic's gradient
// does: among K dimensions if there are some K² samples.
func kurtosis(s *torch.Scope, slices torch.Tensor, t standard) [][]float64 {
	n, k := t.y.Size(0), t.y.Size(1)
	if t.rank == 0 {
		return nil
	}
	var rows [][]float64
	s.Child(func(s *torch.Scope) torch.Tensor {
		white := t.white()
		y := t.y.Sub(t.y.MeanDim(0, false)).Matmul(white)
		b := extreme(y, unit(slices.Narrow(0, 0, int64(t.rank))), kurtosisStarts)
		for range kurtosisSteps {
			p := y.Matmul(b)
			b = unit(y.T().Matmul(p.Square().Mul(p)).DivScalar(float64(n)).Sub(b.MulScalar(3)))
		}
		rows = chunks(unit(white.Matmul(b)).T().Float64s(), int(k))
		return torch.Tensor{}
	})
	return rows
}

// extreme returns those columns of b on which the fourth moment of y is largest, and as many on which it is least.
func extreme(y, b torch.Tensor, each int64) torch.Tensor {
	moments := y.Matmul(b).Square().Square().MeanDim(0, false)
	if 2*each >= moments.Numel() {
		return b
	}
	_, most := moments.Topk(each, 0)
	_, least := moments.Neg().Topk(each, 0)
	return b.IndexSelect(1, torch.Cat([]torch.Tensor{most, least}, 0))
}

// unit divides the columns of a by their lengths.
func unit(a torch.Tensor) torch.Tensor {
	return a.Div(a.Square().SumDim(0, true).Sqrt().Clamp(0x1p-1022, math.Inf(1)))
}

func chunks(v []float64, n int) [][]float64 {
	return slices.Collect(slices.Chunk(v, n))
}

// search returns a direction of y [N, K], at right angles to those found already, on which the statistic has a maximum:
// the largest that it comes to by gradient ascent on the sphere from the best candidates.
func search(s *torch.Scope, y torch.Tensor, candidates, found []direction) direction {
	var all []*climber
	for _, d := range begin(s, y, candidates, found) {
		all = append(all, &climber{ahead: d.a, angle: firstAngle})
	}
	for _, steps := range climbs {
		for range steps {
			climb(s, y, all, found)
		}
		slices.SortStableFunc(all, func(a, b *climber) int { return cmp.Compare(b.at.value, a.at.value) })
		all = all[:(len(all)+1)/2]
	}
	return all[0].at
}

// climber is on its way to a maximum.
type climber struct {
	at     direction
	uphill []float64 // unit tangent of the steepest ascent, at right angles to what was found
	angle  float64   // of the next step
	ahead  []float64 // where that leads
}

// climb has every climber look ahead, and go there if it is higher. Steps grow where they succeed and shrink where not.
func climb(s *torch.Scope, y torch.Tensor, all []*climber, found []direction) {
	var moving []*climber
	var ahead [][]float64
	for _, c := range all {
		if c.angle >= leastAngle {
			moving, ahead = append(moving, c), append(ahead, c.ahead)
		}
	}
	if len(moving) == 0 {
		return
	}
	values, gradients := slope(s, y, ahead)
	for i, c := range moving {
		switch {
		case c.uphill == nil || values[i] > c.at.value:
			if c.uphill != nil {
				c.angle = min(1.5*c.angle, largestAngle)
			}
			c.at = direction{c.ahead, values[i]}
			c.uphill = gradients[i]
			aside(c.uphill, append(found[:len(found):len(found)], c.at))
		default:
			c.angle *= 0.4
		}
		c.ahead = turn(c.at.a, c.uphill, c.angle)
	}
}

// begin chooses the candidates with the largest statistics that are not nearly the same.
func begin(s *torch.Scope, y torch.Tensor, candidates []direction, found []direction) []direction {
	free := candidates
	if len(found) > 0 {
		var rows [][]float64
		for _, c := range candidates {
			if a := slices.Clone(c.a); aside(a, found) > 1e-3 {
				rows = append(rows, a)
			}
		}
		free = evaluate(s, y, rows)
	}
	free = slices.SortedStableFunc(slices.Values(free), func(a, b direction) int { return cmp.Compare(b.value, a.value) })
	var chosen []direction
	for _, f := range free {
		if !slices.ContainsFunc(chosen, func(c direction) bool { return math.Abs(dot(c.a, f.a)) > 0.9 }) {
			if chosen = append(chosen, f); len(chosen) == climbers {
				break
			}
		}
	}
	return chosen
}

// aside turns a into the unit vector along its part at right angles to what was found, and returns that part's length.
func aside(a []float64, found []direction) float64 {
	length := 1.0
	for range 2 { // the first leaves the rounding errors of what it took away
		for _, f := range found {
			subtract(a, f.a)
		}
		length *= normalise(a)
	}
	return length
}

// slope returns the statistics of y on the directions, and their gradients by them.
func slope(s *torch.Scope, y torch.Tensor, directions [][]float64) (values []float64, gradients [][]float64) {
	s.Child(func(s *torch.Scope) torch.Tensor {
		a := columns(s, directions).SetRequiresGrad(true)
		s.EnableGrad(func() {
			v := statistic.Statistic(s, y.Matmul(a))
			v.Sum().Backward()
			values = v.Float64s()
		})
		gradients = chunks(a.Grad().T().Float64s(), len(directions[0]))
		return torch.Tensor{}
	})
	return values, gradients
}

// columns makes a tensor [K, M] of M directions.
func columns(s *torch.Scope, directions [][]float64) torch.Tensor {
	m, k := len(directions), len(directions[0])
	return s.FromFloat64(slices.Concat(directions...), int64(m), int64(k)).T().Contiguous()
}

// turn walks from the unit vector a along the great circle that leaves it in the direction of the unit tangent t.
func turn(a, t []float64, angle float64) []float64 {
	sin, cos := math.Sincos(angle)
	b := make([]float64, len(a))
	for i := range b {
		b[i] = cos*a[i] + sin*t[i]
	}
	normalise(b)
	return b
}

// subtract takes the part of v along the unit vector u out of it.
func subtract(v, u []float64) {
	d := dot(v, u)
	for i := range v {
		v[i] -= d * u[i]
	}
}

func dot(a, b []float64) float64 {
	var sum float64
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

// normalise divides v by its length, which it returns. A zero stays one.
func normalise(v []float64) float64 {
	length := math.Sqrt(dot(v, v))
	if length > 0 {
		for i := range v {
			v[i] /= length
		}
	}
	return length
}
