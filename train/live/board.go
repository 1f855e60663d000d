// Package live shows a run while it trains: a [Board] holds what the run says of itself, and a [Server] serves it as the page
// that package report writes, which follows the run by itself.
package live

import (
	"sync"
	"time"

	"github.com/gojepa/gojepa/train/report"
	"github.com/gojepa/gojepa/train/runlog"
)

// Board is what is known of a run, written by the run and read by a server at any time. Its memory does not grow with the run,
// and who reads never keeps the run for longer than it takes to copy the curves, which is once a second at most.
type Board struct {
	mu      sync.Mutex
	report  report.Report
	curves  report.Curves
	phase   string
	steps   int         // of the whole run
	first   runlog.Step // of this session
	stepAt  time.Time   // when the last step was done
	content int         // counts changes of the report
}

// Set changes what the page shows besides curves.
func (b *Board) Set(change func(*report.Report)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.report)
	b.content++
}

// Phase says what the run is doing, in a word or two, and how many steps it will have.
func (b *Board) Phase(phase string, steps int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.phase, b.steps = phase, steps
}

// Past adds the record of a step of an earlier session.
func (b *Board) Past(s runlog.Step) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.curves.Step(s)
}

// Step adds the record of a step that is done now.
func (b *Board) Step(s runlog.Step) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.curves.Step(s)
	b.stepAt = time.Now()
	if b.first.Step == 0 {
		b.first = s
	}
}

// Eval adds the record of an evaluation.
func (b *Board) Eval(e runlog.Eval) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.curves.Eval(e)
	b.content++
}

// Curves is a copy of the curves.
func (b *Board) Curves() *report.Curves {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.curves.Clone()
}

// snapshot is the report as it is.
func (b *Board) snapshot() *report.Report {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.report
	r.Curves, r.Live = b.curves.Clone(), true
	return &r
}

// Status is how far a run is, as JSON.
type Status struct {
	Phase    string       `json:"phase"`
	Step     int          `json:"step"`               // done
	Steps    int          `json:"steps"`              // of the whole run
	StepAge  *float64     `json:"step_age_s"`         // seconds since the last step was done; null before the first of this session
	TimeLeft *float64     `json:"time_left_s"`        // seconds of training that are left, at this session's pace; likewise
	Last     *runlog.Step `json:"last"`               // the record of the last step; null if there is none
	Eval     *runlog.Eval `json:"evaluation"`         // of the last evaluation; likewise
	Versions [2]int       `json:"versions,omitempty"` // of what changes with each step, and of all else
}

func (b *Board) status(now time.Time) Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Status{Phase: b.phase, Steps: b.steps, Versions: [2]int{b.curves.Last().Step, b.content}}
	if last := b.curves.Last(); last.Step > 0 {
		s.Step, s.Last = last.Step, &last
		if n := last.Step - b.first.Step; b.first.Step > 0 && n > 0 {
			left := (last.Seconds - b.first.Seconds) / float64(n) * float64(max(0, b.steps-last.Step))
			s.TimeLeft = &left
		}
	}
	if e := b.curves.LastEval(); e.Step > 0 {
		s.Eval = &e
	}
	if !b.stepAt.IsZero() {
		age := max(0, now.Sub(b.stepAt).Seconds())
		s.StepAge = &age
	}
	return s
}

// Report is what the page shows, for a page that stands alone.
func (b *Board) Report() *report.Report {
	r := b.snapshot()
	r.Live = false
	return r
}
