package selection

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/train/runlog"
)

// synthetic is a run whose loss is the given one, with noise that lasts from step to step, as AR(1) with coefficient ar.
func synthetic(name string, lambda, loss, noise, ar float64, steps int, seed uint64) *Run {
	cfg := config.Default()
	cfg.Loss.Lambda = lambda
	cfg.Schedule.Steps = config.Of(steps)
	r := &Run{Name: name, Dir: name, Config: cfg}
	g := rng.New(seed, rng.Simulation, 1, 0)
	e := 0.0
	for range steps {
		e = ar*e + math.Sqrt(1-ar*ar)*g.NormFloat64()
		r.Steps = append(r.Steps, Step{Loss: loss + noise*e, Prediction: 0.5 * loss, SIGReg: loss})
	}
	return r
}

func TestRank(t *testing.T) {
	runs := []*Run{
		synthetic("worst", 0.02, 0.9, 0.01, 0, 1000, 1),
		synthetic("best", 0.02, 0.5, 0.01, 0, 1000, 2),
		synthetic("middle", 0.02, 0.7, 0.01, 0, 1000, 3),
	}
	r, err := Rank(runs, DefaultOptions())
	require.NoError(t, err)
	for i, want := range []string{"best", "middle", "worst"} {
		s := r.Runs[i]
		assert.Equal(t, want, s.Name)
		assert.Equal(t, []int{i + 1, i + 1}, []int{s.RankLow, s.RankHigh}, "there is no doubt")
		assert.Equal(t, 100, s.Steps, "the last tenth")
		assert.InDelta(t, s.Loss/math.Pow(0.02, 0.4), s.Score, 1e-12)
		assert.InDelta(t, 0.01/math.Sqrt(100), s.LossSE, 5e-4)
		assert.InDelta(t, s.LossSE/math.Pow(0.02, 0.4), s.ScoreSE, 1e-12)
	}
	assert.Equal(t, 1.0, r.Runs[0].PFirst)
	assert.Empty(t, r.Warnings)
	assert.True(t, r.Paired)

	// The same loss at a larger λ is the better run, from α > 0 on.
	runs = append(runs, synthetic("large λ", 0.2, 0.5, 0, 0, 1000, 1))
	r, err = Rank(runs, DefaultOptions())
	require.NoError(t, err)
	assert.Equal(t, "large λ", r.Runs[0].Name)
	assert.InDelta(t, 0.5/math.Pow(0.2, 0.4), r.Runs[0].Score, 1e-12)
}

func TestRankInDoubt(t *testing.T) {
	// The difference of the means is a quarter of its standard error.
	a, b := synthetic("a", 0.1, 1, 0.1, 0, 400, 7), synthetic("b", 0.1, 1, 0.1, 0, 400, 8)
	o := DefaultOptions()
	o.Window, o.Resamples = 1, 4000
	first, err := Rank([]*Run{a, b}, o)
	require.NoError(t, err)
	s := first.Runs
	se := math.Hypot(s[0].LossSE, s[1].LossSE)
	z := (s[1].Loss - s[0].Loss) / se
	normal := 0.5 * math.Erfc(-z/math.Sqrt2)
	assert.InDelta(t, normal, s[0].PFirst, 0.04, "as a normal distribution has it")
	assert.InDelta(t, 1, s[0].PFirst+s[1].PFirst, 1e-12)
	assert.Equal(t, []int{1, 2}, []int{s[0].RankLow, s[0].RankHigh})

	// Runs that saw the same batches differ by little and always the same: drawn together, they can be told apart.
	c := synthetic("c", 0.1, 1.01, 0.1, 0, 400, 7)
	paired, err := Rank([]*Run{a, c}, o)
	require.NoError(t, err)
	assert.True(t, paired.Paired)
	assert.Equal(t, 1.0, paired.Runs[0].PFirst)
	c.Steps = c.Steps[:399] // not the same steps any more
	c.Config.Schedule.Steps = config.Of(399)
	alone, err := Rank([]*Run{a, c}, o)
	require.NoError(t, err)
	assert.False(t, alone.Paired)
	assert.Less(t, alone.Runs[0].PFirst, 0.95)
	assert.Contains(t, strings.Join(alone.Warnings, "\n"), "number of steps")
}

// TestStandardErrorOfDependentSteps: losses that depend on the step before have a larger error of the mean than others, which
// blocks see most of, and the bootstrap has the same spread as the formula.
func TestStandardErrorOfDependentSteps(t *testing.T) {
	const n, ar, trials = 500, 0.5, 200
	var mean float64
	for i := range trials {
		r := synthetic("r", 0.1, 1, 1, ar, n, uint64(i))
		values := make([]float64, n)
		for j, s := range r.Steps {
			values[j] = s.Loss
		}
		mean += blocksOf(values).standardError() / trials
	}
	independent := 1 / math.Sqrt(n)
	want := independent * math.Sqrt((1+ar)/(1-ar))
	assert.InDelta(t, want, mean, 0.15*want)
	assert.Greater(t, mean, 1.4*independent)

	b := blocksOf([]float64{3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4, 6, 2, 6, 4, 3, 3, 8})
	assert.Equal(t, 3, b.length)
	g := rng.New(0, rng.Simulation, 0, 0)
	var sum, squares float64
	const draws = 40000
	for range draws {
		m := b.resampled(b.draw(g, nil))
		sum, squares = sum+m, squares+m*m
	}
	sd := math.Sqrt(squares/draws - sum*sum/draws/draws)
	assert.InDelta(t, b.mean, sum/draws, 0.02)
	assert.InDelta(t, b.standardError(), sd*math.Sqrt(27.0/26), 0.01*sd)
}

// TestElasticity trains nothing: it minimises the objective over a front of trade-offs, and takes the derivative by differences.
func TestElasticity(t *testing.T) {
	// On the front P = a/(S+b): the least of (1−λ)·P + λ·S.
	least := func(lambda float64) (loss, p, s float64) {
		const a, b = 0.3, 0.2
		s = math.Sqrt((1-lambda)*a/lambda) - b
		p = a / (s + b)
		return (1-lambda)*p + lambda*s, p, s
	}
	for _, lambda := range []float64{0.01, 0.05, 0.2} {
		_, p, s := least(lambda)
		const h = 1e-5
		up, _, _ := least(lambda * math.Exp(h))
		down, _, _ := least(lambda * math.Exp(-h))
		assert.InDelta(t, (math.Log(up)-math.Log(down))/(2*h), Elasticity(lambda, p, s), 1e-6)
	}
	// So that runs on one front have about the same score, and what is better for every λ comes first.
	var runs []*Run
	for i, lambda := range []float64{0.02, 0.025, 0.03} {
		for _, worse := range []float64{1, 1.02} {
			loss, p, s := least(lambda)
			r := synthetic(fmt.Sprintf("%d-%v", i, worse), lambda, worse*loss, 0, 0, 100, 0)
			for j := range r.Steps {
				r.Steps[j] = Step{worse * loss, worse * p, worse * s}
			}
			runs = append(runs, r)
		}
	}
	o := DefaultOptions()
	o.Auto = true
	ranking, err := Rank(runs, o)
	require.NoError(t, err)
	_, p, s := least(0.025)
	assert.InDelta(t, Elasticity(0.025, p, s), ranking.Alpha, 1e-9, "of the run in the middle")
	for i, s := range ranking.Runs {
		assert.Equal(t, i < 3, strings.HasSuffix(s.Name, "-1"), "%d: %s", i, s.Name)
	}
	raw, err := Rank(runs, Options{Window: 0.1, Resamples: 1})
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(raw.Runs[1].Name, "0-"), "the loss itself has the least λ first: %v", raw.Runs[1].Name)
}

func TestWhatCannotBeRanked(t *testing.T) {
	good := synthetic("good", 0.1, 1, 0, 0, 100, 0)
	nan := synthetic("nan", 0.1, 1, 0, 0, 100, 0)
	nan.Steps[95].Loss = math.NaN()
	short := synthetic("short", 0.1, 1, 0, 0, 100, 0)
	short.Steps = short.Steps[:40]
	zero := synthetic("zero", 0, 1, 0, 0, 100, 0)
	one := synthetic("one", 0.1, 1, 0, 0, 1, 0)
	all := []*Run{good, nan, short, zero, one}

	_, err := Rank(all, DefaultOptions())
	require.Error(t, err)
	for _, part := range []string{"1 of 5 runs can be ranked, expected 2 or more", "nan: its loss is not finite in step 96",
		"short: not finished: step 40 of 100", "zero: λ is 0", "one: it has one step"} {
		assert.Contains(t, err.Error(), part)
	}
	r, err := Rank(all, Options{At: 40, Window: 0.1, Resamples: 10, Alpha: 0.4})
	require.NoError(t, err)
	assert.Len(t, r.Runs, 3, "nan, too, was finite by then")
	assert.Equal(t, []Skipped{{"one", "it has 1 steps, and not 40"}, {"zero", "λ is 0: loss / λ^α is not defined"}}, r.Skipped)
	r, err = Rank([]*Run{good, zero}, Options{Window: 0.1, Resamples: 10})
	require.NoError(t, err)
	assert.Len(t, r.Runs, 2, "losses as they are can be compared")

	for _, o := range []Options{{Alpha: -1, Window: 0.1, Resamples: 1}, {Alpha: math.NaN(), Window: 0.1, Resamples: 1}, {Window: 0, Resamples: 1},
		{Window: 1.1, Resamples: 1}, {Window: 0.1}, {Window: 0.1, Resamples: 1, At: -1}} {
		_, err := Rank(all, o)
		assert.ErrorContains(t, err, "expected")
	}
}

func TestDiffering(t *testing.T) {
	a, b := config.Default(), config.Default()
	b.Loss.Lambda, b.Optim.LR, b.Optim.WeightDecay, b.Seed, b.Schedule.Epochs = 0.5, config.Of(1.0), config.Of(0.1), 7, config.Of(3)
	b.Out, b.Threads, b.EvalSamples = "elsewhere", config.Of(2), 10
	assert.Empty(t, Differing([]config.Config{a, b}))
	b.Views.Global.Count, b.Projector.Dim, b.Loss.Slices, b.Schedule.BatchSize = 4, 32, 12, config.Of(64)
	b.Encoder.Width, b.Projector.Hidden = config.Of(64), []int{8}
	got := Differing([]config.Config{a, b, b})
	require.Len(t, got, 2)
	assert.Equal(t, "losses may not be comparable, as these make the loss another function: views.global.count (2, 4), loss.slices (1024, 12), projector.dim (16, 32), schedule.batch_size (auto, 64)", got[0])
	assert.Contains(t, got[1], "encoder.width (auto, 64), projector.hidden (2048,2048, 8)")
}

// written is a run's folder.
func written(t *testing.T, cfg config.Config, lines ...any) string {
	dir := filepath.Join(t.TempDir(), "run")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, cfg.Save(filepath.Join(dir, "config.yaml")))
	w, err := runlog.Open(filepath.Join(dir, "metrics.jsonl"), 0)
	require.NoError(t, err)
	for _, l := range lines {
		switch l := l.(type) {
		case runlog.Step:
			require.NoError(t, w.Step(l))
		case runlog.Eval:
			require.NoError(t, w.Eval(l))
		}
	}
	require.NoError(t, w.Close())
	return dir
}

func TestOpen(t *testing.T) {
	cfg := config.Default()
	cfg.Schedule.Epochs = config.Of(2)
	step := func(n int, loss float64) runlog.Step { return runlog.Step{Step: n, Epoch: float64(n) / 3, Loss: loss} }
	at := func(n int, acc float64) runlog.Eval {
		return runlog.Eval{Step: n, Values: map[string]float64{"linear": acc, "rankme": math.NaN()}}
	}
	dir := written(t, cfg, step(1, 5), step(2, 4), at(2, 0.3), step(3, math.NaN()), step(4, 3), at(4, 0.4))
	r, err := Open(dir)
	require.NoError(t, err)
	assert.Equal(t, "run", r.Name)
	require.Len(t, r.Steps, 4)
	assert.True(t, math.IsNaN(r.Steps[2].Loss))
	assert.Equal(t, "not finished: epoch 1.333 of 2", r.Unfinished())
	e, ok := r.EvalAt(3)
	assert.True(t, ok)
	assert.Equal(t, 2, e.Step)
	_, ok = r.EvalAt(1)
	assert.False(t, ok)

	// A run that stepped back to its second step, and did the next ones again.
	f, err := os.OpenFile(filepath.Join(dir, "metrics.jsonl"), os.O_APPEND|os.O_WRONLY, 0o644)
	require.NoError(t, err)
	_, err = f.WriteString(`{"step":2,"epoch":0.6,"back":{"from":5,"seed":"9"}}` + "\n" + `{"step":3,"epoch":1,"loss":7}` + "\n")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	r, err = Open(dir)
	require.NoError(t, err)
	require.Len(t, r.Steps, 3)
	assert.Equal(t, 7.0, r.Steps[2].Loss)
	require.Len(t, r.Evals, 1, "what was undone does not count")

	done := written(t, cfg, step(1, 5), step(2, 4), step(3, 4), step(4, 4), step(5, 4), step(6, 4))
	r, err = Open(done)
	require.NoError(t, err)
	assert.Empty(t, r.Unfinished())

	_, err = Open(filepath.Join(dir, "none"))
	assert.ErrorContains(t, err, "none: no such folder")
	_, err = Open(t.TempDir())
	assert.ErrorContains(t, err, "not a run's folder: it has no config.yaml")
	empty := written(t, cfg)
	_, err = Open(empty)
	assert.ErrorContains(t, err, "metrics.jsonl has no steps: nothing was trained yet")
	require.NoError(t, os.Remove(filepath.Join(empty, "metrics.jsonl")))
	_, err = Open(empty)
	assert.ErrorContains(t, err, "the run has no metrics.jsonl")
	require.NoError(t, os.WriteFile(filepath.Join(empty, "metrics.jsonl"), []byte("{}\n"), 0o644))
	_, err = Open(empty)
	assert.ErrorContains(t, err, "line 1")
	_, err = Open(written(t, cfg, step(1, 1), step(4, 1)))
	assert.ErrorContains(t, err, "step 4 follows step 1")
}

func TestEvaluatedSteps(t *testing.T) {
	with := func(steps ...int) *Run {
		r := &Run{}
		for _, s := range steps {
			r.Evals = append(r.Evals, runlog.Eval{Step: s})
		}
		return r
	}
	assert.Equal(t, []int{10, 30}, EvaluatedSteps([]*Run{with(10, 20, 30), with(5, 10, 30, 40)}))
	assert.Empty(t, EvaluatedSteps([]*Run{with(10), with(20)}))
}
