package optim

import "math"

// Schedule is a learning rate over the steps of a run: a linear warm-up, then half a cosine from Peak to Peak·Final at
// the last step (Loshchilov & Hutter, arXiv 1608.03983).
type Schedule struct {
	Peak   float64
	Final  float64 // of Peak, in [0, 1]
	Warmup int     // steps of warm-up; the first step has Peak/Warmup
	Steps  int     // of the whole run
}

// At is the learning rate of a step, 0 being the first. Steps after the last have its rate.
func (c Schedule) At(step int) float64 {
	if step < c.Warmup {
		return c.Peak * float64(step+1) / float64(c.Warmup)
	}
	floor := c.Peak * c.Final
	length := c.Steps - 1 - c.Warmup
	if step >= c.Steps-1 || length <= 0 {
		return floor
	}
	done := float64(step-c.Warmup) / float64(length)
	return floor + (c.Peak-floor)*(1+math.Cos(math.Pi*done))/2
}
