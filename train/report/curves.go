package report

import (
	"maps"
	"math"
	"slices"

	"github.com/gojepa/gojepa/train/runlog"
)

// mostBuckets is how many points a curve has at most, which is what a screen can show. A curve of more steps has half to all of
// them.
const mostBuckets = 480

// Curves are the figures of a run thinned out to what a page can show, in memory that does not depend on the run's length.
// Neighbouring records are joined; their least and greatest values stay, so that a spike of one step among 200,000 is seen.
// The zero value is ready for use. It is not safe for use by several goroutines at once.
type Curves struct {
	last   runlog.Step
	steps  track
	evals  track
	latest runlog.Eval
}

// stepFigures are what a page shows of a step.
var stepFigures = map[string]func(runlog.Step) float64{
	"loss":       func(s runlog.Step) float64 { return s.Loss },
	"prediction": func(s runlog.Step) float64 { return s.Prediction },
	"sigreg":     func(s runlog.Step) float64 { return s.SIGReg },
	"grad":       func(s runlog.Step) float64 { return s.GradNorm },
	"lr":         func(s runlog.Step) float64 { return s.LR },
	"rate":       func(s runlog.Step) float64 { return s.ImagesPerS },
	"wait":       func(s runlog.Step) float64 { return 100 * s.WaitShare },
}

// CurvesOf are those of a whole log.
func CurvesOf(log *runlog.Log) *Curves {
	c := new(Curves)
	for _, s := range log.Steps {
		c.Step(s)
	}
	for _, e := range log.Evals {
		c.Eval(e)
	}
	return c
}

// Step adds a record. Records come in the order of their steps.
func (c *Curves) Step(s runlog.Step) {
	c.last = s
	b := c.steps.next(float64(s.Step))
	for name, of := range stepFigures {
		b.add(name, of(s))
	}
	if t := s.Texts; t != nil {
		b.add("text_prediction", t.Prediction)
		b.add("text_sigreg", t.SIGReg)
	}
}

// Eval adds a record, likewise.
func (c *Curves) Eval(e runlog.Eval) {
	c.latest = e
	b := c.evals.next(float64(e.Step))
	for name, v := range e.Values {
		b.add(name, v)
	}
	if e.Seconds > 0 {
		b.add("share", e.Share)
	}
}

// Last is the record of the last step, the zero value if there is none.
func (c *Curves) Last() runlog.Step { return c.last }

// LastEval is the record of the last evaluation, likewise.
func (c *Curves) LastEval() runlog.Eval { return c.latest }

// Clone is a copy that later records do not change.
func (c *Curves) Clone() *Curves {
	d := *c
	d.steps, d.evals = c.steps.clone(), c.evals.clone()
	return &d
}

// track joins records as they come.
type track struct {
	buckets []joined
	size    int // records in each bucket but the last
}

// joined is some neighbouring records.
type joined struct {
	n       int
	x       float64 // sum of their steps
	figures map[string]summary
}

// summary is what some values of a figure come to; those that are not finite are left out.
type summary struct {
	n         int
	sum       float64
	low, high float64
}

// next is the bucket that a record at x belongs to.
func (t *track) next(x float64) *joined {
	t.size = max(t.size, 1)
	if n := len(t.buckets); n > 0 && t.buckets[n-1].n < t.size {
		t.buckets[n-1].n++
		t.buckets[n-1].x += x
		return &t.buckets[n-1]
	}
	if len(t.buckets) == mostBuckets {
		for i := range mostBuckets / 2 {
			t.buckets[i] = join(t.buckets[2*i], t.buckets[2*i+1])
		}
		t.buckets, t.size = slices.Delete(t.buckets, mostBuckets/2, mostBuckets), 2*t.size
	}
	t.buckets = append(t.buckets, joined{1, x, map[string]summary{}})
	return &t.buckets[len(t.buckets)-1]
}

func (b *joined) add(name string, v float64) {
	if !math.IsNaN(v) && !math.IsInf(v, 0) {
		b.figures[name] = both(b.figures[name], summary{1, v, v, v})
	}
}

func join(a, b joined) joined {
	j := joined{a.n + b.n, a.x + b.x, a.figures}
	for name, s := range b.figures {
		j.figures[name] = both(j.figures[name], s)
	}
	return j
}

func both(a, b summary) summary {
	switch {
	case a.n == 0:
		return b
	case b.n == 0:
		return a
	}
	return summary{a.n + b.n, a.sum + b.sum, min(a.low, b.low), max(a.high, b.high)}
}

func (t track) clone() track {
	t.buckets = slices.Clone(t.buckets)
	for i := range t.buckets {
		t.buckets[i].figures = maps.Clone(t.buckets[i].figures)
	}
	return t
}

// curve is one figure, its values multiplied.
func (t track) curve(name string, factor float64) (all []bucket) {
	for _, b := range t.buckets {
		if s := b.figures[name]; s.n > 0 {
			all = append(all, bucket{b.x / float64(b.n), factor * s.sum / float64(s.n), factor * s.low, factor * s.high})
		}
	}
	return all
}
