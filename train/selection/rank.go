package selection

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/train/config"
)

// Options say how runs are ranked.
type Options struct {
	Alpha     float64 // exponent of λ, from 0
	Auto      bool    // take the runs' median Elasticity, from 0 to 1, in place of Alpha
	At        int     // rank by what was known after so many steps; 0 for the end, which unfinished runs have not reached
	Window    float64 // share of the steps, the last ones, whose loss is averaged: above 0, up to 1
	Resamples int     // of the bootstrap, 1 or more
	Seed      uint64  // names the resamples
}

// DefaultOptions are the paper's exponent and the mean of the last tenth: a cosine schedule has brought the learning rate below a
// fortieth of its peak by then, so that the weights hardly move and what is left is the noise of batches and slices.
func DefaultOptions() Options { return Options{Alpha: Alpha, Window: 0.1, Resamples: 2000} }

// leastWindow is how many steps are averaged at least, if there are as many.
const leastWindow = 20

// Validate reports every value that cannot be, joined, one line each.
func (o Options) Validate() error {
	var errs []error
	if !(o.Alpha >= 0) || math.IsInf(o.Alpha, 0) {
		errs = append(errs, fmt.Errorf("alpha: %v, expected 0 or more", o.Alpha))
	}
	if o.At < 0 {
		errs = append(errs, fmt.Errorf("at: %d, expected a step, or 0 for the end", o.At))
	}
	if !(o.Window > 0 && o.Window <= 1) {
		errs = append(errs, fmt.Errorf("window: %v, expected a share above 0, up to 1", o.Window))
	}
	if o.Resamples < 1 {
		errs = append(errs, fmt.Errorf("resamples: %d, expected 1 or more", o.Resamples))
	}
	return errors.Join(errs...)
}

// Scored is a run with what it is ranked by.
type Scored struct {
	Name       string             `json:"run"`
	Dir        string             `json:"dir"`
	Lambda     float64            `json:"lambda"`
	Step       int                `json:"step"`    // the last that counts
	Steps      int                `json:"steps"`   // that are averaged
	Loss       float64            `json:"loss"`    // mean of those
	LossSE     float64            `json:"loss_se"` // its standard error, for losses that depend on each other from step to step
	Prediction float64            `json:"prediction"`
	SIGReg     float64            `json:"sigreg"`
	Score      float64            `json:"score"` // loss / λ^α
	ScoreSE    float64            `json:"score_se"`
	PFirst     float64            `json:"p_first"`   // share of the bootstrap's resamples in which it is first
	RankLow    int                `json:"rank_low"`  // 2.5 % of resamples have it before this rank
	RankHigh   int                `json:"rank_high"` // and 2.5 % behind this one
	EvalStep   int                `json:"eval_step,omitempty"`
	Values     map[string]float64 `json:"evaluation,omitempty"` // the last one's by then; finite ones only

	run    *Run
	window []float64 // losses
}

// Skipped is a run that could not be ranked.
type Skipped struct {
	Name string `json:"run"`
	Why  string `json:"why"`
}

// Ranking is runs in the order of their scores, the least first, which is the best.
type Ranking struct {
	Alpha    float64   `json:"alpha"`
	Auto     bool      `json:"alpha_auto"`
	Paired   bool      `json:"paired"` // the same steps were drawn of all runs
	Runs     []Scored  `json:"runs"`
	Skipped  []Skipped `json:"skipped,omitempty"`
	Warnings []string  `json:"warnings,omitempty"`
}

// Rank orders runs by their scores and says how sure the order is.
//
// How sure: blocks of steps are drawn again and again, so that losses which depend on their neighbours stay together (the circular
// block bootstrap of Politis & Romano 1992, with blocks of the cube root of the number of steps). Of runs that averaged the same steps
// the same blocks are drawn: with one seed they saw the same batches and slices, and what those have in common cancels. It
// is the noise of steps that is measured, and not that of other seeds.
//
// Runs that cannot be ranked are listed with the reason; fewer than two that can are an error.
func Rank(runs []*Run, o Options) (*Ranking, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	r := &Ranking{Alpha: o.Alpha, Auto: o.Auto}
	for _, run := range runs {
		s, why := scored(run, o)
		if why != "" {
			r.Skipped = append(r.Skipped, Skipped{run.Name, why})
			continue
		}
		r.Runs = append(r.Runs, s)
	}
	if o.Auto && len(r.Runs) > 0 {
		r.Alpha = medianElasticity(r.Runs)
	}
	r.Runs = slices.DeleteFunc(r.Runs, func(s Scored) bool {
		if s.Lambda == 0 && r.Alpha > 0 {
			r.Skipped = append(r.Skipped, Skipped{s.Name, "λ is 0: loss / λ^α is not defined"})
			return true
		}
		return false
	})
	if len(r.Runs) < 2 {
		return nil, fmt.Errorf("%d of %d runs can be ranked, expected 2 or more%s", len(r.Runs), len(runs), reasons(r.Skipped))
	}
	for i := range r.Runs {
		s := &r.Runs[i]
		s.Score, s.ScoreSE = Score(s.Loss, s.Lambda, r.Alpha), Score(s.LossSE, s.Lambda, r.Alpha)
	}
	slices.SortStableFunc(r.Runs, func(a, b Scored) int { return cmp.Compare(a.Score, b.Score) })
	r.resample(o)
	r.warn()
	return r, nil
}

// warn adds what makes the ranking doubtful.
func (r *Ranking) warn() {
	configs := make([]config.Config, len(r.Runs))
	for i, s := range r.Runs {
		configs[i] = s.run.Config
	}
	r.Warnings = Differing(configs)
	if slices.ContainsFunc(r.Runs, func(s Scored) bool { return s.Step != r.Runs[0].Step }) {
		r.Warnings = append(r.Warnings, "runs differ in their number of steps: a longer one has the lower loss, and costs more")
	}
}

func reasons(skipped []Skipped) string {
	text := ""
	for _, s := range skipped {
		text += "\n" + s.Name + ": " + s.Why
	}
	return text
}

// scored averages a run's last losses, or says why not.
func scored(run *Run, o Options) (s Scored, why string) {
	step := len(run.Steps)
	switch {
	case o.At > step:
		return s, fmt.Sprintf("it has %d steps, and not %d", step, o.At)
	case o.At > 0:
		step = o.At
	case run.Unfinished() != "":
		return s, run.Unfinished()
	}
	if step < 2 {
		return s, "it has one step, expected 2 or more"
	}
	n := min(step, max(leastWindow, int(math.Ceil(o.Window*float64(step)))))
	s = Scored{Name: run.Name, Dir: run.Dir, Lambda: run.Config.Loss.Lambda, Step: step, Steps: n, run: run, window: make([]float64, n)}
	for i := range n {
		l := run.Steps[step-n+i]
		if sum := l.Loss + l.Prediction + l.SIGReg; math.IsNaN(sum) || math.IsInf(sum, 0) {
			return s, fmt.Sprintf("its loss is not finite in step %d", step-n+i+1)
		}
		s.window[i] = l.Loss
		s.Prediction += l.Prediction / float64(n)
		s.SIGReg += l.SIGReg / float64(n)
	}
	s.Loss = stat.Mean(s.window, nil)
	s.LossSE = blocksOf(s.window).standardError()
	if e, ok := run.EvalAt(step); ok {
		s.EvalStep, s.Values = e.Step, map[string]float64{}
		for name, v := range e.Values {
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				s.Values[name] = v
			}
		}
	}
	return s, ""
}

// medianElasticity is the exponent that makes scores the same for trade-offs of the same quality, of the run in the middle.
func medianElasticity(runs []Scored) float64 {
	var all []float64
	for _, s := range runs {
		if e := Elasticity(s.Lambda, s.Prediction, s.SIGReg); s.Lambda > 0 && !math.IsNaN(e) {
			all = append(all, e)
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return min(max((all[(len(all)-1)/2]+all[len(all)/2])/2, 0), 1)
}

// blocks are the sums of all runs of neighbours of one length, where the first value follows the last.
type blocks struct {
	n, length int
	mean      float64
	sums      []float64 // of the values from i on, less the mean of all
}

func blocksOf(values []float64) blocks {
	n := len(values)
	b := blocks{n: n, length: min(n, max(1, int(math.Round(math.Cbrt(float64(n)))))), mean: stat.Mean(values, nil), sums: make([]float64, n)}
	for i := range b.sums {
		for j := range b.length {
			b.sums[i] += values[(i+j)%n] - b.mean
		}
	}
	return b
}

// count is how many blocks make a resample.
func (b blocks) count() int { return (b.n + b.length - 1) / b.length }

// standardError is that of the mean of two or more values: the bootstrap's standard deviation, which needs no resamples.
func (b blocks) standardError() float64 {
	var squares float64
	for _, s := range b.sums {
		squares += s * s
	}
	// n-1 for n, as deviations are from the sample's own mean.
	return math.Sqrt(squares / float64(b.n) / float64(b.length) / float64(b.n-1))
}

// resample fills in how sure the order is.
func (r *Ranking) resample(o Options) {
	n := len(r.Runs)
	all := make([]blocks, n)
	r.Paired = true
	for i, s := range r.Runs {
		all[i] = blocksOf(s.window)
		r.Paired = r.Paired && s.Step == r.Runs[0].Step && s.Steps == r.Runs[0].Steps
	}
	first := make([]int, n)
	ranks := make([][]int, n) // by run, how often it had each rank
	for i := range ranks {
		ranks[i] = make([]int, n)
	}
	scores, order, starts := make([]float64, n), make([]int, n), []int(nil)
	g := rng.New(o.Seed, rng.Resample, 0, 0)
	for range o.Resamples {
		for i, b := range all {
			if i == 0 || !r.Paired {
				starts = b.draw(g, starts)
			}
			scores[i], order[i] = Score(b.resampled(starts), r.Runs[i].Lambda, r.Alpha), i
		}
		slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(scores[i], scores[j]) })
		first[order[0]]++
		for rank, i := range order {
			ranks[i][rank]++
		}
	}
	for i := range r.Runs {
		s := &r.Runs[i]
		s.PFirst = float64(first[i]) / float64(o.Resamples)
		s.RankLow, s.RankHigh = interval(ranks[i], o.Resamples)
	}
}

// draw chooses the blocks of a resample.
func (b blocks) draw(g *rand.Rand, starts []int) []int {
	starts = starts[:0]
	for range b.count() {
		starts = append(starts, g.IntN(b.n))
	}
	return starts
}

// resampled is the mean of some blocks.
func (b blocks) resampled(starts []int) float64 {
	var sum float64
	for _, i := range starts {
		sum += b.sums[i]
	}
	return b.mean + sum/float64(len(starts)*b.length)
}

// interval is the middle 95 % of ranks, counted from 1.
func interval(counts []int, total int) (low, high int) {
	tail := 0.025 * float64(total)
	for sum := 0; low < len(counts); low++ {
		if sum += counts[low]; float64(sum) > tail {
			break
		}
	}
	high = len(counts) - 1
	for sum := 0; high > low; high-- {
		if sum += counts[high]; float64(sum) > tail {
			break
		}
	}
	return low + 1, high + 1
}
