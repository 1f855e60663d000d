package sweep

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gojepa/gojepa/internal/fields"
	"github.com/gojepa/gojepa/train/selection"
)

// Stop is a rule for early stopping, successive halving (Jamieson & Talwalkar 2016, arXiv 1502.07943) by a score that needs no labels.
// After each of the steps At all runs wait for each other; the share Keep of them goes on, rounded up, those with the least
// loss / λ^Alpha ([selection.Rank]), and the rest are stopped for good. Runs that failed or diverged are not counted. The zero value
// stops none.
type Stop struct {
	At    []int   `yaml:"at,flow"`
	Keep  float64 `yaml:"keep"`
	Alpha float64 `yaml:"alpha"`
}

// String is the rule as the file has it.
func (s Stop) String() string {
	if s.At == nil {
		return "none"
	}
	return fmt.Sprintf("{at: [%s], keep: %v, alpha: %v}", strings.Trim(strings.Join(strings.Fields(fmt.Sprint(s.At)), ", "), "[]"), s.Keep, s.Alpha)
}

// readStop reads {at: [step, …], keep: share, alpha: x}.
func (f *file) readStop(n *yaml.Node) Stop {
	s := Stop{Keep: 0.5, Alpha: selection.Alpha}
	number := func(k, v *yaml.Node, to *float64, ok func(x float64) bool, expected string) {
		x, err := fields.ParseFloat(v.Value)
		if v.Kind != yaml.ScalarNode || err != nil || !ok(x) {
			f.fail(v, "stop: %s: %s, expected %s", k.Value, v.Value, expected)
		}
		*to = x
	}
	f.each(n, "stop", func(k, v *yaml.Node) {
		switch k.Value {
		case "at":
			if err := v.Decode(&s.At); err != nil || len(s.At) == 0 || !slices.IsSorted(s.At) || s.At[0] < 2 || len(slices.Compact(slices.Clone(s.At))) < len(s.At) {
				f.fail(v, "stop: at: expected a list of steps, rising, from 2 on")
			}
		case "keep":
			number(k, v, &s.Keep, func(x float64) bool { return x > 0 && x < 1 }, "the share of runs that goes on, above 0 and below 1")
		case "alpha":
			number(k, v, &s.Alpha, func(x float64) bool { return x >= 0 }, "the exponent of λ in the score, 0 or more")
		default:
			f.fail(k, "stop: %s: no such key, expected at, keep or alpha", k.Value)
		}
	})
	if s.At == nil {
		f.fail(n, "stop: at: missing, expected a list of steps")
	}
	return s
}

// checkStop reports runs that the rule cannot compare.
func (f *file) checkStop(n *yaml.Node, p *Plan) {
	for _, r := range p.Runs {
		if r.Config.Loss.Lambda == 0 && p.Stop.Alpha > 0 {
			f.fail(n, "stop: run %s has a λ of 0, for which loss / λ^α is not defined", r.Name)
		}
		if steps, set := r.Config.Schedule.Steps.Get(); set && steps <= p.Stop.At[len(p.Stop.At)-1] {
			f.fail(n, "stop: at: run %s has %d steps, expected more than in at", r.Name, steps)
		}
	}
}

// undecided says why runs cannot be compared after some steps, "" if they can.
func (e *execution) undecided(step int) string {
	var short []string
	for i, s := range e.record.all() {
		if s.open(false) && lastStep(e.plan.Runs[i]) < step {
			short = append(short, s.Name+" ("+string(s.State)+")")
		}
	}
	if short == nil {
		return ""
	}
	return strings.Join(short, ", ") + " did not get there; the same command goes on"
}

// decide compares the runs after the steps of a decision, and stops those that are not kept.
func (e *execution) decide(i int) error {
	rule := e.plan.Stop
	var runs []*selection.Run
	for j, s := range e.record.all() {
		if !s.open(false) && s.State != Finished || lastStep(e.plan.Runs[j]) < rule.At[i] {
			continue
		}
		run, err := selection.Open(e.plan.Runs[j].Config.Out)
		if err != nil {
			return fmt.Errorf("comparing runs after step %d: %w", rule.At[i], err)
		}
		runs = append(runs, run)
	}
	if len(runs) < 2 {
		return e.record.update(func(f *recordFile) { f.Decisions++ })
	}
	o := selection.DefaultOptions()
	o.Alpha, o.At, o.Resamples = rule.Alpha, rule.At[i], 1
	ranking, err := selection.Rank(runs, o)
	if err != nil {
		return fmt.Errorf("comparing runs after step %d: %w", rule.At[i], err)
	}
	keep := int(math.Ceil(rule.Keep * float64(len(ranking.Runs))))
	scores := map[string]string{}
	for rank, s := range ranking.Runs {
		if rank >= keep {
			scores[s.Name] = fmt.Sprintf("score %.4g after step %d is number %d of %d, and %d go on", s.Score, rule.At[i], rank+1, len(ranking.Runs), keep)
		}
	}
	fmt.Fprintf(e.watch.bar, "after step %d the best %d of %d runs go on\n", rule.At[i], keep, len(ranking.Runs))
	return e.record.update(func(f *recordFile) {
		f.Decisions++
		for j := range f.Runs {
			if s := &f.Runs[j]; s.State != Finished && scores[s.Name] != "" {
				s.State, s.Message = Stopped, scores[s.Name]
			}
		}
	})
}
