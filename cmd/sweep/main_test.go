package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/cmd/internal/cmdtest"
	"github.com/gojepa/gojepa/torch/torchtest"
	"github.com/gojepa/gojepa/train/runlog"
	"github.com/gojepa/gojepa/train/sweep"
)

// asCommand makes the test binary the command itself, for what needs a process of its own.
const asCommand = "GOJEPA_TEST_AS_SWEEP"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	torchtest.Main(m)
}

// file writes a sweep of runs that take a moment.
func file(t *testing.T, steps int, more string) (path, out string) {
	dir := t.TempDir()
	out = filepath.Join(dir, "out")
	path = filepath.Join(dir, "sweep.yaml")
	require.NoError(t, os.WriteFile(path, fmt.Appendf(nil, `
config:
  data: {path: %s, labels: true}
  encoder: {model: vit_tiny_patch16_224, image_size: 16, patch_size: 4, width: 16, depth: 1, heads: 2}
  views: {global: {count: 2}, local: {count: 1}, blur: {kernel: 3}}
  loss: {slices: 8}
  schedule: {batch_size: 8, steps: %d}
  precision: fp32
  eval_every: never
out: %s
%s`, cmdtest.Folder(t, 40), steps, out, more), 0o644))
	return path, out
}

func execute(line ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = command(line, &out, &err)
	return code, out.String(), err.String()
}

// process is the command as a process of its own.
func process(t *testing.T, line ...string) (*exec.Cmd, *bytes.Buffer) {
	cmd := exec.Command(os.Args[0], line...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	said := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = said, said
	_, err := cmd.StdinPipe() // open until it ends
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	return cmd, said
}

// lastStep is how far a run is.
func lastStep(out, name string) int {
	s, _ := runlog.Last(filepath.Join(out, name, "metrics.jsonl"))
	return s.Step
}

// figures are a run's losses.
func figures(t *testing.T, dir string) (losses []float64) {
	log, err := runlog.Read(filepath.Join(dir, "metrics.jsonl"))
	require.NoError(t, err)
	for i, s := range log.Steps {
		require.Equal(t, i+1, s.Step, "each step once")
		losses = append(losses, s.Loss)
	}
	require.NotEmpty(t, log.Evals)
	require.Contains(t, log.Evals[len(log.Evals)-1].Values, "linear")
	return losses
}

// TestSweep tells a sweep to stop, kills the next session, and lets the third end: runs have the losses of runs that nobody disturbed.
func TestSweep(t *testing.T) {
	const steps = 60
	path, out := file(t, steps, "grid: {lambda: [0.02, 0.2], lr: [1e-4, 1e-3]}\n")
	names := []string{"lambda=0.02_lr=0.0001", "lambda=0.02_lr=0.001", "lambda=0.2_lr=0.0001", "lambda=0.2_lr=0.001"}
	line := []string{path, "--jobs", "2", "--threads", "1"}
	begun := func(name string) func() bool { return func() bool { return lastStep(out, name) > 5 } }

	cmd, said := process(t, line...)
	require.Eventually(t, begun(names[0]), 2*time.Minute, time.Millisecond)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.Error(t, cmd.Wait())
	assert.Equal(t, 75, cmd.ProcessState.ExitCode(), said.String())
	assert.Contains(t, said.String(), "The same command goes on with them")
	states, err := sweep.ReadStatus(out)
	require.NoError(t, err)
	require.Equal(t, sweep.Interrupted, states[0].State)
	require.FileExists(t, filepath.Join(out, names[0], "checkpoint.safetensors"))

	cmd, said = process(t, line...)
	require.Eventually(t, begun(names[2]), 2*time.Minute, time.Millisecond, said.String())
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	cmd, said = process(t, line...)
	require.NoError(t, cmd.Wait(), said.String())
	// The runs of the session that was killed were told, too.
	text, err := os.ReadFile(filepath.Join(out, names[2], runlog.OutputFile))
	require.NoError(t, err)
	assert.Contains(t, string(text), "the run is saved in "+filepath.Join(out, names[2]))
	for _, name := range names {
		assert.Contains(t, said.String(), "finished  "+name)
		assert.Len(t, figures(t, filepath.Join(out, name)), steps)
	}

	alone := filepath.Join(t.TempDir(), "alone")
	cmd, said = process(t, asTrain, "--config", filepath.Join(out, "plan", names[2]+".yaml"), "--threads", "1", "--workers", "1", "--out", alone)
	require.NoError(t, cmd.Wait(), said.String())
	assert.Equal(t, figures(t, alone), figures(t, filepath.Join(out, names[2])))

	code, stdout, stderr := execute(line...)
	assert.Equal(t, 0, code, stderr)
	assert.Equal(t, 4, strings.Count(stdout, "finished"))
	assert.NotContains(t, stderr, "begins", "there is nothing left to do")
	code, _, stderr = execute(path, "--jobs", "2", "--threads", "1", "--extend")
	assert.Equal(t, 0, code, stderr)

	text, err = os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, bytes.Replace(text, []byte("slices: 8"), []byte("slices: 16"), 1), 0o644))
	code, _, stderr = execute(line...)
	assert.Equal(t, 2, code)
	assert.Contains(t, stderr, "loss.slices: 16 here, 8 there")
}

// TestFailing: a run that cannot be does not stop the other, and another program may do them.
func TestFailing(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.pt")
	require.NoError(t, os.WriteFile(broken, []byte("no weights"), 0o644))
	path, out := file(t, 3, "runs: [{name: bad, init: "+broken+"}, {name: good}]\n")
	cmd, said := process(t, path)
	require.Error(t, cmd.Wait())
	assert.Equal(t, 1, cmd.ProcessState.ExitCode())
	for _, part := range []string{"bad: failed (code 1), see " + out + "/bad/output.log", broken, "finished  good", "1 of 2 runs in " + out + " did not finish"} {
		assert.Contains(t, said.String(), part)
	}
	path, out = file(t, 3, "runs: [{}]\n")
	program := filepath.Join(t.TempDir(), "train")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\necho \"$@\"\n"), 0o755))
	code, stdout, stderr := execute(path, "--train", program, "--threads", "5")
	require.Equal(t, 0, code, stderr)
	assert.Equal(t, "finished  base\n", stdout)
	text, err := os.ReadFile(filepath.Join(out, "base", runlog.OutputFile))
	require.NoError(t, err)
	assert.Contains(t, string(text), "--config "+out+"/plan/base.yaml --threads 5 --workers 5\n")
}

func TestInPlaceOfTraining(t *testing.T) {
	path, out := file(t, 30, "grid: {lambda: [0.02, 0.2], projector.dim: [16]}\nstop: {at: [10]}\n")
	code, stdout, stderr := execute(path, "--dry-run")
	require.Equal(t, 0, code, stderr)
	assert.Contains(t, stdout, "lambda=0.02_dim=16  loss.lambda=0.02  projector.dim=16\n")
	assert.Contains(t, stdout, "2 runs in "+out+"; early stopping: {at: [10], keep: 0.5, alpha: 0.4}\n")
	assert.Empty(t, stderr)
	assert.NoDirExists(t, out)
	code, _, stderr = execute(path, "--slurm")
	assert.Equal(t, 2, code)
	assert.Contains(t, stderr, "has stop, which needs one process")

	path, _ = file(t, 30, "grid: {projector.dim: [16, 32]}\nstop: {at: [10]}\n")
	_, _, stderr = execute(path, "--dry-run")
	assert.Contains(t, stderr, "warning: stop: losses may not be comparable, as these make the loss another function: projector.dim (16, 32)")

	path, out = file(t, 30, "grid: {lambda: [0.02, 0.2]}\n")
	code, stdout, stderr = execute(path, "--slurm", "--jobs", "1", "--threads", "4")
	require.Equal(t, 0, code, stderr)
	assert.Contains(t, stdout, "#SBATCH --array=0-1%1\n#SBATCH --cpus-per-task=4\n")
	assert.Contains(t, stdout, "srun train --config")
	assert.FileExists(t, filepath.Join(out, "plan", "lambda=0.2.yaml"))
	assert.NoDirExists(t, filepath.Join(out, "lambda=0.2"))
}

func TestMistakes(t *testing.T) {
	good, _ := file(t, 30, "runs: [{}]\n")
	model, _ := file(t, 30, "grid: {model: [vit_tinny_patch16_224]}\n")
	heads, _ := file(t, 30, "grid: {heads: [3, 2]}\n")
	data, _ := file(t, 30, "grid: {data.path: [/no/such/photos]}\n")
	key, _ := file(t, 30, "grid: {lamda: [0.1]}\n")
	for name, c := range map[string]struct {
		line []string
		want []string
	}{
		"no file":     {nil, []string{"0 arguments, expected one: the sweep's file"}},
		"missing":     {[]string{"none.yaml"}, []string{"reading the sweep: open none.yaml"}},
		"model":       {[]string{model}, []string{"encoder: ", "did you mean vit_tiny_patch16_224"}},
		"heads":       {[]string{heads}, []string{"run heads=3: encoder: ", "heads"}},
		"data":        {[]string{data}, []string{"data.path: stat /no/such/photos"}},
		"key":         {[]string{key}, []string{"sweep.yaml:11: lamda: no such key of a configuration; did you mean lambda?"}},
		"jobs":        {[]string{good, "--jobs", "-1"}, []string{"--jobs: -1, expected 0 or more"}},
		"threads":     {[]string{good, "--threads", "-1"}, []string{"--threads: -1, expected 0 or more"}},
		"two of them": {[]string{good, "--dry-run", "--slurm"}, []string{"--slurm: expected without --dry-run"}},
	} {
		code, stdout, stderr := execute(c.line...)
		assert.Equal(t, 2, code, name)
		assert.Empty(t, stdout, name)
		for _, part := range c.want {
			assert.Contains(t, stderr, part, name)
		}
	}
	code, stdout, _ := execute("--help")
	assert.Equal(t, 0, code)
	assert.Contains(t, stdout, "--jobs N")
}
