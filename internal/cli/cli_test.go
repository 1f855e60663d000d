package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

type options struct {
	Config string `yaml:"config" flag:"config" arg:"FILE" help:"settings to begin with; flags win over them"`
	JSON   bool   `yaml:"json" flag:"json" help:"print one JSON object"`
}

type settings struct {
	Optim struct {
		LR     float64 `yaml:"lr" flag:"lr" help:"peak learning rate"`
		Warmup int     `yaml:"warmup_steps" flag:"warmup-steps" help:"steps over which the learning rate rises in a straight line to its peak, counted in the steps of the schedule"`
		Eps    float64 `yaml:"eps" help:"AdamW's ε"`
	} `yaml:"optim" group:"Optimiser"`
	Precision string `yaml:"precision" flag:"precision" enum:"fp32,bf16" help:"arithmetic of the encoder" group:"Machine"`
	Workers   int    `yaml:"workers" help:"goroutines that load images" group:"Machine"`
	Labels    bool   `yaml:"labels" flag:"labels" help:"folders are classes" group:"Data"`
	Out       string `yaml:"out" flag:"out" arg:"DIR" help:"where results go" group:"Data"`
	Profile   string `yaml:"profile" arg:"[STEPS]" alone:"auto" help:"steps to profile" group:"Data"`
}

func defaults() *settings {
	s := &settings{Precision: "bf16", Workers: 2, Labels: true}
	s.Optim.LR, s.Optim.Eps = 5e-4, 1e-8
	return s
}

func command() (*Command, *options, *settings) {
	c := &Command{
		Name:     "train",
		Synopsis: "pretrains an image encoder without labels, with the objective of LeJEPA, on one machine.",
		About:    "A second paragraph.",
		Examples: []Example{{"on one's own images", "train --out runs/x"}, {"with less", "train --lr 1e-4"}},
	}
	o, s := new(options), defaults()
	c.Flags("Files", o)
	c.Flags("Other", s)
	return c, o, s
}

func TestHelp(t *testing.T) {
	for _, all := range []bool{false, true} {
		name := map[bool]string{false: "help.txt", true: "help-all.txt"}[all]
		t.Run(name, func(t *testing.T) {
			c, _, s := command()
			s.Optim.LR = 77 // help shows what the values were at first
			var b bytes.Buffer
			require.NoError(t, c.Help(&b, all))
			golden := filepath.Join("testdata", name)
			if *update {
				require.NoError(t, os.WriteFile(golden, b.Bytes(), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			assert.Equal(t, string(want), b.String())
			for _, line := range strings.Split(b.String(), "\n") {
				assert.LessOrEqual(t, len([]rune(line)), lineWidth, line)
			}
		})
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		line string
		want func(*options, *settings)
	}{
		{"", func(*options, *settings) {}},
		{"--lr 1e-3", func(_ *options, s *settings) { s.Optim.LR = 1e-3 }},
		{"--lr=1e-3", func(_ *options, s *settings) { s.Optim.LR = 1e-3 }},
		{"-lr 1e-3", func(_ *options, s *settings) { s.Optim.LR = 1e-3 }},
		{"--optim.lr 1e-3", func(_ *options, s *settings) { s.Optim.LR = 1e-3 }},
		{"--lr 1 --lr 2", func(_ *options, s *settings) { s.Optim.LR = 2 }},
		{"--profile", func(_ *options, s *settings) { s.Profile = "auto" }},
		{"--profile --lr 2", func(_ *options, s *settings) { s.Profile, s.Optim.LR = "auto", 2 }},
		{"--profile 3:4", func(_ *options, s *settings) { s.Profile = "3:4" }},
		{"--profile=3:4", func(_ *options, s *settings) { s.Profile = "3:4" }},
		{"--lr -1", func(_ *options, s *settings) { s.Optim.LR = -1 }},
		{"--lr 0", func(_ *options, s *settings) { s.Optim.LR = 0 }},
		{"--json", func(o *options, _ *settings) { o.JSON = true }},
		{"--json --labels=false", func(o *options, s *settings) { o.JSON, s.Labels = true, false }},
		{"--labels false --json", func(o *options, s *settings) { o.JSON, s.Labels = true, false }},
		{"--out=", func(_ *options, s *settings) { s.Out = "" }},
		{"--out=--x", func(_ *options, s *settings) { s.Out = "--x" }},
		{"--out a=b", func(_ *options, s *settings) { s.Out = "a=b" }},
		{"--out -", func(_ *options, s *settings) { s.Out = "-" }},
	} {
		t.Run(tt.line, func(t *testing.T) {
			c, o, s := command()
			args, err := c.Parse(strings.Fields(tt.line))
			require.NoError(t, err)
			assert.Empty(t, args)
			wantO, wantS := new(options), defaults()
			tt.want(wantO, wantS)
			assert.Equal(t, wantO, o)
			assert.Equal(t, wantS, s)
		})
	}
}

func TestMistakes(t *testing.T) {
	for _, tt := range []struct {
		line string
		want []string
	}{
		{"--lrr 1", []string{"--lrr: no such flag; did you mean --lr?"}},
		{"--warmup_stesp 1", []string{"--warmup_stesp: no such flag; did you mean --warmup-steps?"}},
		{"--eps 1", []string{"--eps: no such flag; did you mean --optim.eps?"}},
		{"--momentum=1", []string{"--momentum: no such flag"}},
		{"--lr", []string{"--lr: needs a value (X)"}},
		{"--lr --json", []string{"--lr: needs a value (X)"}},
		{"--lr fast", []string{`--lr: "fast" is not a number`}},
		{"--labels=maybe", []string{`--labels: "maybe" is not true or false`}},
		{"photos", []string{`"photos": train takes no arguments, only flags`}},
		{"--json photos", []string{`"photos": train takes no arguments, only flags`}},
		{"-- --json", []string{`"--json": train takes no arguments, only flags`}},
		{"--=1", []string{"--: no such flag"}},
		{"--lr fast --precision fp16 --warmup-steps 1.5 --worker 3", []string{
			"--worker: no such flag; did you mean --workers?",
			`--lr: "fast" is not a number`,
			`--precision: "fp16" is not one of fp32, bf16`,
			`--warmup-steps: "1.5" is not a whole number`,
		}},
	} {
		t.Run(tt.line, func(t *testing.T) {
			c, _, _ := command()
			_, err := c.Parse(strings.Fields(tt.line))
			assert.EqualError(t, err, strings.Join(tt.want, "\n"))
		})
	}
}

func TestArguments(t *testing.T) {
	c, o, _ := command()
	c.Args = "FILE…"
	args, err := c.Parse([]string{"a", "--json", "b", "-", "--", "--lr", "-h"})
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b", "-", "--lr", "-h"}, args)
	assert.True(t, o.JSON)
}

func TestFileThenFlagsThenCheck(t *testing.T) {
	c, o, s := command()
	var order []string
	c.FileFlag = "config"
	c.File = func(path string) error {
		order = append(order, "file "+path)
		s.Optim.LR, s.Out = 1, "from the file"
		return nil
	}
	c.Check = func() error {
		order = append(order, fmt.Sprint("check ", s.Optim.LR, " ", s.Out))
		return nil
	}
	_, err := c.Parse([]string{"--lr", "2", "--config", "a.yaml"})
	require.NoError(t, err)
	assert.Equal(t, []string{"file a.yaml", "check 2 from the file"}, order)
	assert.Equal(t, "a.yaml", o.Config)

	c.File = func(string) error { return errors.New("a.yaml:1: lrr: no such key") }
	c.Check = func() error { return errors.New("steps: -1 is negative") }
	_, err = c.Parse([]string{"--config=a.yaml", "--lr", "fast"})
	assert.EqualError(t, err, "a.yaml:1: lrr: no such key\n--lr: \"fast\" is not a number\nsteps: -1 is negative",
		"mistakes of the file, of flags and of the whole are all named")
}

func TestNamesTwice(t *testing.T) {
	c, o, _ := command()
	assert.PanicsWithValue(t, "cli: two flags are named --config", func() { c.Flags("Again", o) })
}

func TestMainCodes(t *testing.T) {
	for _, tt := range []struct {
		name           string
		line           string
		run            error
		code           int
		stdout, stderr string
	}{
		{"success", "--lr 1", nil, OK, "ran\n", ""},
		{"help", "--lr fast -h", nil, OK, "train pretrains", ""},
		{"all help", "--help-all", nil, OK, "train pretrains", ""},
		{"misuse", "--lr fast --lrr 2", nil, Misused, "",
			"train: --lrr: no such flag; did you mean --lr?\ntrain: --lr: \"fast\" is not a number\ntrain: --help lists the flags\n"},
		{"failure", "", errors.New("no images\nnone at all\n"), Failed, "ran\n", "train: no images\ntrain: none at all\n"},
		{"misuse found late", "", fmt.Errorf("run: %w", Usage(errors.New("x"))), Misused, "ran\n", "train: run: x\n"},
		{"cancelled by itself", "", context.Canceled, Failed, "ran\n", "train: context canceled\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _, _ := command()
			var stdout, stderr bytes.Buffer
			code := c.Main(strings.Fields(tt.line), &stdout, &stderr, func(context.Context, []string) error {
				fmt.Fprintln(&stdout, "ran")
				return tt.run
			})
			assert.Equal(t, tt.code, code)
			if strings.HasSuffix(tt.stdout, "\n") || tt.stdout == "" {
				assert.Equal(t, tt.stdout, stdout.String())
			} else {
				assert.True(t, strings.HasPrefix(stdout.String(), tt.stdout), stdout.String())
				assert.Equal(t, tt.name == "all help", strings.Contains(stdout.String(), "--workers"))
			}
			assert.Equal(t, tt.stderr, stderr.String())
		})
	}
	assert.NoError(t, Usage(nil))
}

func TestInterrupt(t *testing.T) {
	c, _, _ := command()
	var stderr bytes.Buffer
	code := c.Main(nil, &stderr, &stderr, func(ctx context.Context, _ []string) error {
		require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGINT))
		<-ctx.Done()
		return fmt.Errorf("training: %w", ctx.Err())
	})
	assert.Equal(t, Interrupted, code)
	assert.Empty(t, stderr.String())
}
