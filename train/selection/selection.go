// Package selection ranks training runs without labels, and says how well such a ranking agrees with accuracies.
//
// LeJEPA's training loss tells how good features are: over runs with different hyper-parameters its Spearman correlation with
// the accuracy of a linear probe is about 0.85, and up to 0.99 for
//
//	score = train loss / λ^α,   α ≈ 0.4,
//
// in the paper's experiments, each of which has one encoder and one data set (Balestriero & LeCun 2025, arXiv 2511.08544, section 6.2,
// equation 8 and figure 11). The loss is the whole objective, (1 − λ)·prediction + λ·SIGReg, and less is better.
package selection

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/train/runlog"
)

// Alpha is the paper's exponent of λ.
const Alpha = 0.4

// Run is what is known of a training run: its configuration, and its record without what was undone by steps back.
type Run struct {
	Name   string // its folder's
	Dir    string
	Config config.Config // resolved
	Steps  []Step        // Steps[i] is step i+1
	Evals  []runlog.Eval // by step, ascending
	Epoch  float64       // passes over the data done
}

// Step is the part of a step's record that tells runs apart. Figures that were not finite are NaN.
type Step struct{ Loss, Prediction, SIGReg float64 }

// Open reads a run's folder. The run may still be going on.
func Open(dir string) (*Run, error) {
	path := filepath.Join(dir, runlog.ConfigFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(dir); err != nil {
			return nil, fmt.Errorf("%s: no such folder", dir)
		}
		return nil, fmt.Errorf("%s: not a run's folder: it has no config.yaml", dir)
	}
	cfg, err := config.Load(path)
	if err != nil {
		return nil, fmt.Errorf("the run in %s: %w", dir, err)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	r := &Run{Name: filepath.Base(abs), Dir: dir, Config: cfg}
	var gap error
	err = runlog.Each(filepath.Join(dir, runlog.MetricsFile), func(s runlog.Step) {
		switch n := s.Step - 1; {
		case n < 0 || n > len(r.Steps):
			gap = errors.Join(gap, fmt.Errorf("%s: metrics.jsonl: step %d follows step %d", dir, s.Step, len(r.Steps)))
		default:
			r.back(n)
			r.Steps = append(r.Steps, Step{s.Loss, s.Prediction, s.SIGReg})
			r.Epoch = s.Epoch
		}
	}, func(e runlog.Eval) { r.Evals = append(r.Evals, e) }, func(b runlog.Back) { r.back(b.Step) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: the run has no metrics.jsonl: nothing was trained yet", dir)
	}
	if err := errors.Join(err, gap); err != nil {
		return nil, err
	}
	if len(r.Steps) == 0 {
		return nil, fmt.Errorf("%s: metrics.jsonl has no steps: nothing was trained yet", dir)
	}
	return r, nil
}

// back forgets what came after some steps.
func (r *Run) back(steps int) {
	if steps >= len(r.Steps) {
		return
	}
	r.Steps = r.Steps[:max(steps, 0)]
	for len(r.Evals) > 0 && r.Evals[len(r.Evals)-1].Step > steps {
		r.Evals = r.Evals[:len(r.Evals)-1]
	}
}

// Unfinished says how far a run is that has not done all its steps, "" if it has.
func (r *Run) Unfinished() string {
	s := r.Config.Schedule
	if steps, set := s.Steps.Get(); set {
		if len(r.Steps) < steps {
			return fmt.Sprintf("not finished: step %d of %d", len(r.Steps), steps)
		}
		return ""
	}
	// The last step of the last epoch ends within a batch of its end, and an epoch drops less than a batch.
	if epochs, set := s.Epochs.Get(); set && epochs > 0 && len(r.Steps) > 0 && r.Epoch < float64(epochs)-0.5*r.Epoch/float64(len(r.Steps)) {
		return fmt.Sprintf("not finished: epoch %.4g of %d", r.Epoch, epochs)
	}
	return ""
}

// EvalAt returns the last evaluation after at most the given number of steps, and whether there is one.
func (r *Run) EvalAt(step int) (runlog.Eval, bool) {
	for i := len(r.Evals) - 1; i >= 0; i-- {
		if r.Evals[i].Step <= step {
			return r.Evals[i], true
		}
	}
	return runlog.Eval{}, false
}

// EvaluatedSteps are the numbers of steps after which every one of the runs was evaluated, ascending.
func EvaluatedSteps(runs []*Run) (steps []int) {
	count := map[int]int{}
	for _, r := range runs {
		for _, e := range r.Evals {
			count[e.Step]++
		}
	}
	for step, n := range count {
		if n == len(runs) {
			steps = append(steps, step)
		}
	}
	slices.Sort(steps)
	return steps
}

// Elasticity is d log L / d log λ of the loss L = (1 − λ)·P + λ·S of a run that is optimal for its λ: λ·(S − P) / L, since by the
// envelope theorem dL/dλ = S − P there. It is at most 1.
//
// Trade-offs between prediction loss P and SIGReg S that differ in λ alone are about equally good (the fronts of figure 10 of
// arXiv 2511.08544). A score loss/λ^α that is to be the same for them needs this α.
func Elasticity(lambda, prediction, sigreg float64) float64 {
	return lambda * (sigreg - prediction) / ((1-lambda)*prediction + lambda*sigreg)
}

// Score is loss / λ^α. It is NaN where λ is 0 and α above 0, as such a loss cannot be compared.
func Score(loss, lambda, alpha float64) float64 {
	if lambda == 0 && alpha != 0 {
		return math.NaN()
	}
	return loss / math.Pow(lambda, alpha)
}
