package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/train/runlog"
	"github.com/gojepa/gojepa/train/sweep"
)

func execute(line ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = command(line, &out, &err)
	return code, out.String(), err.String()
}

// made is a run whose loss goes to base + 1/step, with evaluations every 50 steps if it has an accuracy.
type made struct {
	name           string
	lambda, base   float64
	accuracy, rank float64
}

const steps = 200

// write makes the run's folder. Its accuracy rises to what is given.
func (m made) write(t *testing.T, parent string, change func(*config.Config)) {
	dir := filepath.Join(parent, m.name)
	require.NoError(t, os.MkdirAll(dir, 0o755))
	cfg := config.Default()
	cfg.Loss.Lambda, cfg.Schedule.Steps = m.lambda, config.Of(steps)
	if change != nil {
		change(&cfg)
	}
	require.NoError(t, cfg.Save(filepath.Join(dir, "config.yaml")))
	w, err := runlog.Open(filepath.Join(dir, "metrics.jsonl"), 0)
	require.NoError(t, err)
	for n := 1; n <= steps; n++ {
		loss := m.base + 1/float64(n)
		require.NoError(t, w.Step(runlog.Step{Step: n, Epoch: float64(n), Loss: loss, Prediction: loss / 2, SIGReg: loss}))
		if m.accuracy == 0 || n%50 != 0 {
			continue
		}
		values := map[string]float64{"online_linear": m.accuracy * (1 - 10/float64(n)), "rankme": m.rank, "participation": m.rank / 2, "alpha_req": 1 + m.rank/10, "sigreg": 1}
		if n == 50 { // the other way round
			values["online_linear"] = 1 - m.accuracy
		}
		if n == steps {
			values["linear"] = m.accuracy
		}
		require.NoError(t, w.Eval(runlog.Eval{Step: n, Values: values}))
	}
	require.NoError(t, w.Close())
}

// five runs: by loss / λ^0.4 in the order of their accuracies, and by the loss alone in none.
func five(t *testing.T) (dir string, all []string) {
	dir = t.TempDir()
	for _, m := range []made{
		{"a", 0.32, 0.60, 0.9, 5}, // score 0.95
		{"b", 0.01, 0.20, 0.8, 4}, // 1.26
		{"c", 0.32, 1.00, 0.7, 1}, // 1.58
		{"d", 0.01, 0.30, 0.6, 2}, // 1.89
		{"e", 0.05, 0.70, 0.5, 3}, // 2.32
	} {
		m.write(t, dir, nil)
		all = append(all, filepath.Join(dir, m.name))
	}
	return dir, slices.Clip(all)
}

func TestText(t *testing.T) {
	_, runs := five(t)
	code, out, stderr := execute(runs...)
	require.Equal(t, 0, code, stderr)
	assert.Empty(t, stderr)
	assert.True(t, strings.HasPrefix(out, "score = loss / λ^0.4; less is better\n"))
	lines := strings.Split(out, "\n")
	for i, name := range []string{"a", "b", "c", "d", "e"} {
		f := strings.Fields(lines[3+i])
		assert.Equal(t, []string{fmt.Sprint(i + 1), name}, []string{f[0], f[len(f)-1]})
	}
	assert.Contains(t, lines[3], "1.00      1  0.32  0.6053     5.0            2.5   1.50       1  90.00 %  a")
	for _, part := range []string{
		"loss: mean of the last 20 of 200 steps",
		"Agreement with accuracy (linear) over 5 runs",
		"loss / λ^0.4         1.000   [1.000, 1.000]   0.00 %   [0.00 %, 0.00 %]   a\n",
		"loss                 0.300  ", // 1 − 6·14/120
		"RankMe               0.600  ", // 1 − 6·8/120
		"|α-ReQ − 1|          -0.600  ",
		"held-out SIGReg      –       [–, –]           20.00 %  [6.00 %, 26.00 %]  –\n",
		"  α    0.0    0.1    0.2    0.3    0.4",
	} {
		assert.Contains(t, out, part)
	}
	assert.NotContains(t, out, "warning")
	_, none, _ := execute(append(runs, "--metric", "none")...)
	assert.NotContains(t, none, "Agreement")
	assert.NotContains(t, none, "90.00")
	_, auto, _ := execute(append(runs, "--alpha", "auto")...)
	assert.Contains(t, auto, "score = loss / λ^0.0476 (auto: λ·(SIGReg − prediction) / loss, of the run in the middle)", "of e, 0.05·(1 − 1/2) / (0.95/2 + 0.05)")
}

func TestJSONAndPlot(t *testing.T) {
	_, runs := five(t)
	dir := t.TempDir()
	picture, file := filepath.Join(dir, "p.png"), filepath.Join(dir, "r.json")
	code, _, stderr := execute(append(runs, "--plot", picture, "--json", file, "--by-step")...)
	require.Equal(t, 0, code, stderr)
	f, err := os.Open(picture)
	require.NoError(t, err)
	defer f.Close()
	m, err := png.Decode(f)
	require.NoError(t, err)
	assert.Equal(t, 1500, m.Bounds().Dx())
	colours := map[[3]uint32]bool{}
	for y := range m.Bounds().Dy() {
		for x := range m.Bounds().Dx() {
			r, g, b, _ := m.At(x, y).RGBA()
			colours[[3]uint32{r >> 8, g >> 8, b >> 8}] = true
		}
	}
	assert.True(t, colours[[3]uint32{0x0b, 0x2a, 0x55}] && colours[[3]uint32{0x9f, 0xc8, 0xf0}], "runs of the largest and of the least λ are there")

	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var got struct {
		Alpha float64
		Runs  []struct {
			Run                     string
			Score, Loss             float64
			PFirst                  float64 `json:"p_first"`
			RankLow                 int     `json:"rank_low"`
			Evaluation              map[string]float64
			Step, Steps, EvalStep   int
			Lambda, LossSE, ScoreSE float64
		}
		Comparison struct {
			Metric     string
			Agreements []struct {
				Measure, Chosen string
				Rho, Regret     *float64
			}
			Alphas []struct{ Alpha, Rho float64 }
		}
		ByStep []struct {
			Step       int
			Agreements []struct{ Rho float64 }
			Last       float64 `json:"rho_with_last"`
		} `json:"by_step"`
	}
	require.NoError(t, json.Unmarshal(text, &got))
	require.Len(t, got.Runs, 5)
	assert.Equal(t, "a", got.Runs[0].Run)
	assert.Equal(t, 0.9, got.Runs[0].Evaluation["linear"])
	assert.Equal(t, "linear", got.Comparison.Metric)
	assert.Equal(t, 1.0, *got.Comparison.Agreements[0].Rho)
	assert.InDelta(t, 0.1, *got.Comparison.Agreements[1].Regret, 1e-12, "the loss alone would have chosen b")
	assert.Nil(t, got.Comparison.Agreements[5].Rho, "held-out SIGReg is the same for all")
	assert.Len(t, got.Comparison.Alphas, 11)
	require.Len(t, got.ByStep, 4)
	for i, want := range []float64{-1, 1, 1, 1} {
		assert.Equal(t, 50*(i+1), got.ByStep[i].Step)
		assert.InDelta(t, want, got.ByStep[i].Agreements[0].Rho, 1e-12)
		assert.InDelta(t, 1, got.ByStep[i].Last, 1e-12, "of accuracies at the end")
	}

	code, out, _ := execute(append(runs, "--json", "-")...)
	require.Equal(t, 0, code)
	assert.True(t, json.Valid([]byte(out)))
}

func TestSteps(t *testing.T) {
	_, runs := five(t)
	code, out, stderr := execute(append(runs, "--at", "60")...)
	require.Equal(t, 0, code, stderr)
	assert.Contains(t, out, "Agreement with accuracy (online_linear) over 5 runs")
	assert.Contains(t, out, "loss / λ^0.4         -1.000")
	assert.Contains(t, out, "loss: mean of the last 20 of 60 steps")
	code, out, _ = execute(append(runs, "--by-step")...)
	require.Equal(t, 0, code)
	assert.Contains(t, out, "ρ after so many steps, with the accuracy then (online_linear)")
	assert.Regexp(t, `(?m)^ +50 +0.4 +-1.000 .* 1.000$`, strings.ReplaceAll(out, " \n", "\n"))
}

func TestAccuracies(t *testing.T) {
	dir, runs := five(t)
	file := filepath.Join(t.TempDir(), "test.csv")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o644)) }
	write("seed,run,accuracy\n0,a,50\n0,b,60\n0,c,70\n0," + filepath.Join(dir, "d") + "/, 80\n0,other,1\n")
	code, out, stderr := execute(append(runs, "--accuracies", file)...)
	require.Equal(t, 0, code, stderr)
	assert.Contains(t, out, "Agreement with accuracy (test.csv) over 4 runs")
	assert.Contains(t, out, "loss / λ^0.4         -1.000  [-1.000, -1.000]  30  ")
	assert.Contains(t, out, "without an accuracy: e\nwarning: of 4 runs ρ says little")
	for text, want := range map[string]string{
		"":                                 "empty, expected a first line with run and accuracy",
		"run,acc\na,1\n":                   "test.csv:1: columns run, acc, expected run and accuracy among them",
		"run,accuracy\na,x\nb,NaN\n":       `test.csv:2: a: accuracy: "x" is not a number`,
		"run,accuracy\na,1\na,2\n":         `test.csv:3: run: "a", expected the name of a run, each once`,
		"run,accuracy\nnone,1\nnobody,2\n": "0 of the ranked runs have one, expected 2 or more",
		"run,accuracy\na\n":                "wrong number of fields",
	} {
		write(text)
		code, _, stderr := execute(append(runs, "--accuracies", file)...)
		assert.Equal(t, 1, code)
		assert.Contains(t, stderr, want)
	}
}

func TestSweepsFolder(t *testing.T) {
	dir := t.TempDir()
	out, file := filepath.Join(dir, "out"), filepath.Join(dir, "s.yaml")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, "out: %s\nconfig: {schedule: {steps: %d}}\ngrid: {lambda: [0.1, 0.2, 0.3]}\n", out, steps), 0o644))
	p, err := sweep.Load(file)
	require.NoError(t, err)
	require.NoError(t, p.Save(false))
	made{"lambda=0.1", 0.1, 0.5, 0, 0}.write(t, out, nil)
	made{"lambda=0.2", 0.2, 0.5, 0, 0}.write(t, out, func(c *config.Config) { c.Projector.Dim = 3 })
	code, text, stderr := execute(out)
	require.Equal(t, 0, code, stderr)
	assert.Regexp(t, `(?m)^ *1 .* –  +lambda=0.2$`, text)
	assert.Contains(t, text, "not ranked: lambda=0.3: not begun\n")
	assert.Contains(t, text, "warning: losses may not be comparable, as these make the loss another function: projector.dim (3, 16)")
	assert.NotContains(t, text, "Agreement", "there are no labels")
	code, _, stderr = execute(out, "--plot", filepath.Join(dir, "p.png"))
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "--plot: the runs have no accuracies to draw")
	code, _, stderr = execute(out, "--by-step")
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "--by-step: there is no step after which all runs were evaluated with labels")
	code, _, stderr = execute(out, "--metric", "linear")
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "--metric: linear is in no run's evaluations, which have nothing")

	code, text, _ = execute(out, filepath.Join(out, "lambda=0.1"))
	require.Equal(t, 0, code)
	assert.Equal(t, 1, strings.Count(text, "lambda=0.1\n"), "named twice, ranked once")
	made{"lambda=0.1", 0.1, 0.4, 0, 0}.write(t, dir, nil)
	_, text, _ = execute(out, filepath.Join(dir, "lambda=0.1"))
	assert.Contains(t, text, "  "+dir+"/lambda=0.1\n", "of two with one name")
}

func TestMistakes(t *testing.T) {
	dir, runs := five(t)
	for name, c := range map[string]struct {
		line []string
		code int
		want string
	}{
		"nothing":         {nil, 2, "0 runs, expected 2 or more folders of runs, or the folder of a sweep"},
		"one":             {runs[:1], 2, "1 runs, expected 2 or more"},
		"no run":          {[]string{runs[0], dir}, 1, "not a run's folder: it has no config.yaml"},
		"no folder":       {[]string{runs[0], dir + "/none"}, 1, "none: no such folder"},
		"alpha":           {append(runs, "--alpha", "x"), 2, `--alpha: "x" is not a number, expected one, or auto`},
		"negative alpha":  {append(runs, "--alpha", "-1"), 2, "--alpha: -1, expected 0 or more"},
		"at":              {append(runs, "--at", "-1"), 2, "--at: -1, expected a step"},
		"at, too late":    {append(runs, "--at", "1000"), 1, "0 of 5 runs can be ranked, expected 2 or more"},
		"window":          {append(runs, "--window", "0"), 2, "--window: 0, expected a share above 0"},
		"resamples":       {append(runs, "--resamples", "0"), 2, "--resamples: 0, expected 1 or more"},
		"metric":          {append(runs, "--metric", "lineal"), 1, "--metric: lineal is in no run's evaluations, which have alpha_req, linear, online_linear, participation, rankme, sigreg"},
		"no metric":       {append(runs, "--metric", ""), 2, "--metric: empty"},
		"plot's name":     {append(runs, "--plot", "p.jpg"), 2, "expected a name that ends in .png"},
		"plot's folder":   {append(runs, "--plot", dir+"/none/p.png"), 2, "--plot: there is no folder"},
		"plot of nothing": {append(runs, "--plot", "p.png", "--metric", "none"), 2, "--plot: expected with accuracies"},
		"two at once":     {append(runs, "--by-step", "--at", "3"), 2, "--by-step: expected without --at"},
		"file and metric": {append(runs, "--accuracies", "a.csv", "--metric", "knn"), 2, "--accuracies: expected without --metric"},
		"no file":         {append(runs, "--accuracies", dir+"/none.csv"), 1, "--accuracies: open"},
	} {
		code, stdout, stderr := execute(c.line...)
		assert.Equal(t, c.code, code, name)
		assert.Empty(t, stdout, name)
		assert.Contains(t, stderr, c.want, name)
	}
}
