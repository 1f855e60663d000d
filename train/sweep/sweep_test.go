package sweep

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/train/config"
)

// plan reads a sweep that has to be right.
func plan(t *testing.T, text string) *Plan {
	p, err := decode([]byte(text), "s.yaml")
	require.NoError(t, err)
	return p
}

func names(p *Plan) (all []string) {
	for _, r := range p.Runs {
		all = append(all, r.Name)
	}
	return all
}

func TestGrid(t *testing.T) {
	p := plan(t, `
config: {loss: {slices: 64}, views: {preset: minimal}}
out: runs/x/
grid:
  lambda: [0.005, 2e-2]     # the flag's name
  optim.lr: [1e-4, 0.5e-3]  # the path
  drop_path: [0]            # the last part of one path only
`)
	assert.Equal(t, "runs/x", p.Out)
	assert.Equal(t, []string{"lambda=0.005_lr=0.0001_drop_path=0", "lambda=0.005_lr=0.0005_drop_path=0",
		"lambda=0.02_lr=0.0001_drop_path=0", "lambda=0.02_lr=0.0005_drop_path=0"}, names(p))
	want := config.Default()
	want.Views = config.PresetViews("minimal")
	want.Loss.Slices, want.Loss.Lambda, want.Optim.LR, want.Encoder.DropPath = 64, 0.02, config.Of(1e-4), 0
	want.Out = "runs/x/lambda=0.02_lr=0.0001_drop_path=0"
	assert.Equal(t, want, p.Runs[2].Config)
	assert.Equal(t, []Value{{"loss.lambda", "0.02"}, {"optim.lr", "0.0001"}, {"encoder.drop_path", "0"}}, p.Runs[2].Set)
}

func TestTogether(t *testing.T) {
	p := plan(t, `
out: x
grid:
  size:
    - {model: resnet18, encoder.width: 32}
    - {encoder: {model: vit_tiny_patch16_224, width: 64, heads: 2}, projector.hidden: [64, 64]}
  projector: [{dim: 8}, {dim: 16}]
  views: [satellite]
  flip: [0.25]
`)
	require.Len(t, p.Runs, 4)
	assert.Equal(t, "model=resnet18_width=32_dim=8_preset=satellite_flip=0.25", p.Runs[0].Name)
	c := p.Runs[3].Config
	assert.Equal(t, "vit_tiny_patch16_224", c.Encoder.Name)
	assert.Equal(t, []int{64, 64}, c.Projector.Hidden)
	assert.Equal(t, 16, c.Projector.Dim)
	want := config.PresetViews("satellite")
	want.Flip = 0.25
	assert.Equal(t, want, c.Views, "a preset, and what is changed in it")

	p = plan(t, `
out: x
grid:
  views.steps:
    - [{dihedral: {p: 1}}]
    - [{blur: {p: 0.5, kernel: 7, sigma: [0.1, 2]}}]
  projector.hidden: [[], [32, 32], 64]
`)
	require.Len(t, p.Runs, 6)
	assert.Len(t, p.Runs[5].Config.Views.Steps, 1)
	assert.Equal(t, [][]int{{}, {32, 32}, {64}}, [][]int{p.Runs[0].Config.Projector.Hidden, p.Runs[1].Config.Projector.Hidden, p.Runs[2].Config.Projector.Hidden})
	for _, n := range names(p) {
		assert.Regexp(t, `^[A-Za-z0-9][A-Za-z0-9._=+-]*$`, n)
		assert.LessOrEqual(t, len(n), 255)
	}
}

func TestRuns(t *testing.T) {
	p := plan(t, `
out: x
runs:
  - {name: long, steps: 20000, encoder: {width: 64, depth: 4}}
  - {lambda: 0.1}
  - {}
`)
	assert.Equal(t, []string{"long", "lambda=0.1", "base"}, names(p))
	assert.Equal(t, config.Of(64), p.Runs[0].Config.Encoder.Width)
	assert.Equal(t, "x/long", p.Runs[0].Config.Out)
}

func TestRandom(t *testing.T) {
	text := func(samples int) string {
		return `
out: x
random:
  samples: ` + strconv.Itoa(samples) + `
  seed: 5
  lambda: {log: [0.005, 0.5]}
  weight_decay: {uniform: [0.01, 0.1]}
  depth: {int: [1, 3]}
  proj-dim: {log_int: [4, 512]}
  model: [resnet18, resnet34]
`
	}
	p := plan(t, text(300))
	require.Len(t, p.Runs, 300)
	below, depths, dims, models := 0, map[int]int{}, 0, map[string]int{}
	for _, r := range p.Runs {
		c := r.Config
		assert.True(t, c.Loss.Lambda >= 0.005 && c.Loss.Lambda <= 0.5)
		if c.Loss.Lambda < 0.05 {
			below++
		}
		d, _ := c.Encoder.Depth.Get()
		depths[d]++
		assert.True(t, c.Projector.Dim >= 4 && c.Projector.Dim <= 512)
		if c.Projector.Dim < 45 {
			dims++
		}
		models[c.Encoder.Name]++
		digits := strings.TrimLeft(strings.ReplaceAll(r.Set[0].Value, ".", ""), "0")
		assert.LessOrEqual(t, len(digits), 3, r.Set[0].Value)
	}
	// Of 300 draws each share is within four standard deviations, 0.115 for a half.
	assert.InDelta(t, 150, below, 35, "λ is uniform in its logarithm")
	assert.InDelta(t, 150, dims, 35)
	assert.InDelta(t, 150, models["resnet34"], 35)
	for d := 1; d <= 3; d++ {
		assert.InDelta(t, 100, depths[d], 33)
	}
	assert.Len(t, depths, 3)
	assert.Equal(t, names(plan(t, text(20))), names(p)[:20], "a longer search begins as a shorter one")
	other := plan(t, strings.Replace(text(20), "seed: 5", "seed: 6", 1))
	assert.NotEqual(t, names(other), names(p)[:20])
}

func TestMistakes(t *testing.T) {
	for text, want := range map[string][]string{
		"":                                  {"s.yaml: expected keys and values: base, config, out, grid, random, runs, stop"},
		"a: [":                              {"s.yaml: line 1"},
		"out: x":                            {"s.yaml:1: no runs: expected grid, random or runs"},
		"grid: {lambda: [1]}":               {"out: missing, expected the folder"},
		"out: [1]\ngrid: {lambda: [1]}":     {"s.yaml:1: out: expected a folder"},
		"out: x\nfoo: 3":                    {"s.yaml:2: foo: no such key, expected one of base"},
		"out: x\nout: y\nruns: [{}]":        {"s.yaml:2: out: given twice, first on line 1"},
		"out: x\nbase: none.yaml\nruns: []": {"none.yaml: no such file"},
		"out: x\nbase: {a: 1}":              {"s.yaml:2: base: expected the name of a configuration file"},
		"out: x\nconfig:\n  loss: {lamda: 3}\n  optim: {lr: fast}\nruns: [{}]":    {"s.yaml:3: loss.lamda: no such key; did you mean loss.lambda?", `s.yaml:4: optim.lr: "fast" is not a number`},
		"out: x\ngrid:\n  optimizer.lr: [1]":                                      {"s.yaml:3: optimizer.lr: no such key of a configuration; did you mean optim.lr?"},
		"out: x\ngrid:\n  wieght-decay: [1]":                                      {"did you mean optim.weight_decay?"},
		"out: x\ngrid:\n  p: [1]":                                                 {"s.yaml:3: p: expected one of views.rotation.p"},
		"out: x\ngrid:\n  lambda: 0.1":                                            {"s.yaml:3: grid: lambda: expected a list of values"},
		"out: x\ngrid: [lambda]":                                                  {"s.yaml:2: grid: expected keys and values"},
		"out: x\ngrid:\n  lambda: [7,\n    a]":                                    {`s.yaml:4: loss.lambda: "a" is not a number`, "loss.lambda: 7, expected a number from 0 to 1"},
		"out: x\ngrid: {lambda: [0.1, 0.10]}":                                     {"lambda=0.1: the same run as lambda=0.1"},
		"out: x\ngrid: {lambda: [0.1], loss.lambda: [0.2]}":                       {"loss.lambda: set twice for one run"},
		"out: x\ngrid: {size: [{width: 3}, 4]}":                                   {"views.local.size: expected a value, found keys and values"},
		"out: x\ngrid: {size: [{widht: 3}]}":                                      {"widht: no such key of a configuration; did you mean"},
		"out: x\ngrid: {out: [a]}":                                                {"out: cannot be set for a run, the sweep does"},
		"out: x\nruns: {a: 1}":                                                    {"runs: expected a list of runs"},
		"out: x\nruns: [3]":                                                       {"runs: run 1: expected keys and values"},
		"out: x\nruns: [{name: ../a}]":                                            {`name: "../a", expected letters, digits`},
		"out: x\nruns: [{name: plan}]":                                            {`name: "plan"`},
		"out: x\nruns: [{name: a, lambda: 0.1}, {name: a, lambda: 0.2}]":          {"name: a is another run's"},
		"out: x\nruns: [{encoder: 3}]":                                            {"encoder: no such key"},
		"out: x\nruns: [{encoder: {widht: 3}}]":                                   {"encoder.widht: no such key of a configuration; did you mean encoder.width?"},
		"out: x\nrandom: {samples: 0}":                                            {"random: samples: 0, expected how many runs to draw", "expected keys besides samples and seed"},
		"out: x\nrandom: {samples: 2, seed: -1, lambda: [1]}":                     {"random: seed: -1, expected a whole number"},
		"out: x\nrandom: {lambda: {log: [0, 1]}}":                                 {"samples: missing", "above 0 for a logarithm"},
		"out: x\nrandom: {samples: 2, lambda: {lgo: [0.1, 1]}}":                   {"random: lambda: expected a list of values, or one of {log: …}, {uniform: …}, {int: …}, {log_int: [LEAST, MOST]}"},
		"out: x\nrandom: {samples: 2, lambda: {log: [0.1]}}":                      {"expected a list of values, or one of"},
		"out: x\nrandom: {samples: 2, lambda: {log: [a, 1]}}":                     {`lambda: log: "a" is not a number`},
		"out: x\nrandom: {samples: 2, depth: {int: [1.5, 3]}}":                    {`"1.5" is not a whole number`},
		"out: x\nrandom: {samples: 2, depth: {uniform: [1, 3]}}":                  {"is not a whole number"},
		"out: x\nrandom: {samples: 2, lamda: {log: [1, 3]}}":                      {"lamda: no such key"},
		"out: x\nruns: [{}]\nstop: {keep: 2, alpha: -1, foo: 1}":                  {"stop: keep: 2, expected the share", "stop: alpha: -1", "stop: foo: no such key", "stop: at: missing"},
		"out: x\nruns: [{}]\nstop: {at: [5, 3]}":                                  {"stop: at: expected a list of steps, rising"},
		"out: x\nruns: [{lambda: 0, steps: 50}]\nstop: {at: [10, 50], keep: 0.5}": {"has a λ of 0", "has 50 steps, expected more than in at"},
	} {
		_, err := decode([]byte(text), "s.yaml")
		if assert.Error(t, err, text) {
			for _, part := range want {
				assert.Contains(t, err.Error(), part, text)
			}
		}
	}
	_, err := Load("none.yaml")
	assert.ErrorContains(t, err, "reading the sweep: open none.yaml")
}

func TestBase(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "base.yaml"), []byte("loss: {lambda: 0.3, slices: 9}\n"), 0o644))
	path := filepath.Join(dir, "s.yaml")
	require.NoError(t, os.WriteFile(path, []byte("base: base.yaml\nconfig: {loss: {slices: 10}}\nout: x\nruns: [{}]\n"), 0o644))
	p, err := Load(path)
	require.NoError(t, err)
	assert.Equal(t, []any{0.3, 10}, []any{p.Runs[0].Config.Loss.Lambda, p.Runs[0].Config.Loss.Slices}, "beside the sweep's file, and changed by it")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "base.yaml"), []byte("los: {}\n"), 0o644))
	_, err = Load(path)
	assert.ErrorContains(t, err, "base.yaml:1: los: no such key")
}

func TestSave(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	text := "out: " + out + "\nconfig: {optim: {lr: 0.1}}\ngrid: {lambda: [0.1, 0.2]}\n"
	p := plan(t, text)
	require.NoError(t, p.Save(false))
	written, err := os.ReadFile(filepath.Join(out, "plan.yaml"))
	require.NoError(t, err)
	assert.Contains(t, string(written), "name: lambda=0.1\n      set: {loss.lambda: 0.1}")
	c, err := config.Load(p.ConfigFile(p.Runs[1]))
	require.NoError(t, err)
	assert.Equal(t, p.Runs[1].Config, c)
	dirs, err := Runs(out)
	require.NoError(t, err)
	assert.Equal(t, []string{out + "/lambda=0.1", out + "/lambda=0.2"}, dirs)
	dirs, err = Runs(t.TempDir())
	assert.NoError(t, err)
	assert.Nil(t, dirs)

	require.NoError(t, plan(t, text).Save(false), "the same again")
	require.NoError(t, plan(t, strings.Replace(text, "{optim", "{threads: 3, optim", 1)).Save(false), "what a run may be resumed with")
	for change, want := range map[[2]string]string{
		{"lr: 0.1", "lr: 0.3"}:              "lambda=0.1: optim.lr: 0.3 here, 0.1 there",
		{"[0.1, 0.2]", "[0.1]"}:             "lambda=0.2: planned there, and not any more",
		{"grid:", "stop: {at: [5]}\ngrid:"}: "stop: {at: [5], keep: 0.5, alpha: 0.4} here, none there",
	} {
		err := plan(t, strings.Replace(text, change[0], change[1], 1)).Save(true)
		e := new(ChangedError)
		require.ErrorAs(t, err, &e)
		assert.Contains(t, err.Error(), want)
		assert.Contains(t, err.Error(), "give another out", "cannot be added")
	}
	longer := plan(t, strings.Replace(text, "0.2]", "0.2, 0.3]", 1))
	err = longer.Save(false)
	assert.ErrorContains(t, err, "--extend adds them to the plan\nlambda=0.3: not planned there")
	require.NoError(t, longer.Save(true))
	dirs, err = Runs(out)
	require.NoError(t, err)
	assert.Len(t, dirs, 3)

	strange := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(strange, "thesis.tex"), nil, 0o644))
	err = plan(t, "out: "+strange+"\nruns: [{}]").Save(false)
	assert.ErrorContains(t, err, "has files but no sweep (no plan.yaml)")
	require.NoError(t, os.WriteFile(filepath.Join(strange, "plan.yaml"), []byte("runs: 3"), 0o644))
	assert.ErrorContains(t, plan(t, "out: "+strange+"\nruns: [{}]").Save(false), "reading the plan: ")
}

// TestReproduction: the plans of docs/reproduction.md can be read and are what it says they are.
func TestReproduction(t *testing.T) {
	text, err := os.ReadFile("../../docs/reproduction.md")
	require.NoError(t, err)
	files, err := filepath.Glob("../../docs/reproduction/*.yaml")
	require.NoError(t, err)
	runs := map[string]int{"eurosat": 32, "clothing": 4, "families": 12, "lambda": 14}
	require.Len(t, files, len(runs))
	for _, file := range files {
		p, err := Load(file)
		require.NoError(t, err)
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		assert.Len(t, p.Runs, runs[name], name)
		assert.Contains(t, string(text), "sweep docs/reproduction/"+name+".yaml")
	}
}
