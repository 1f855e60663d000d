package sweep

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/train/runlog"
)

// asTrain makes the test binary a program like train, which keeps its promises to a sweep without training anything.
const asTrain = "GOJEPA_TEST_AS_TRAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asTrain) != "" {
		os.Exit(fakeTrain())
	}
	os.Exit(m.Run())
}

// fakeTrain makes a record, with less loss for a larger learning rate. The seed says what becomes of the run: 1 fails, 2 diverges, 3
// is killed once, 4 dawdles. Where it is told to stop it goes on the next time.
func fakeTrain() int {
	file := flag.String("config", "", "")
	flag.String("threads", "", "")
	flag.String("workers", "", "")
	flag.String("device", "", "")
	flag.Parse()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop <- syscall.SIGTERM
	}()
	cfg, err := config.Load(*file)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	log := filepath.Join(cfg.Out, runlog.MetricsFile)
	before := lastStep(Run{Config: cfg})
	w, err := runlog.Open(log, before)
	if err != nil || cfg.Save(filepath.Join(cfg.Out, "config.yaml")) != nil {
		return 1
	}
	steps, _ := cfg.Schedule.Steps.Get()
	lr, _ := cfg.Optim.LR.Get()
	for n := before + 1; n <= steps; n++ {
		if w.Step(runlog.Step{Step: n, Loss: 1/lr + 1/math.Sqrt(float64(n)), Prediction: 1, SIGReg: 1}) != nil {
			return 1
		}
		switch {
		case n == 5 && cfg.Seed == 1:
			fmt.Println("train: step 5\ntrain: no images left")
			return 1
		case n == 5 && cfg.Seed == 2:
			_ = os.Mkdir(filepath.Join(cfg.Out, "diverged-00000005"), 0o755)
			fmt.Println("train: step 5: loss NaN")
			return 1
		case n == 5 && cfg.Seed == 3:
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		pause := time.Duration(0)
		if cfg.Seed == 4 {
			pause = 40 * time.Millisecond
		}
		select {
		case <-stop:
			fmt.Println("interrupted after step", n)
			return 75
		case <-time.After(pause):
		}
	}
	return 0
}

// said is what a sweep says, from several goroutines.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func fake(t *testing.T, jobs int) (Options, *said) {
	t.Setenv(asTrain, "1")
	out := new(said)
	return Options{Train: []string{os.Args[0]}, Jobs: jobs, Output: out}, out
}

// saved is a plan of runs that fakeTrain does, written down.
func saved(t *testing.T, text string) *Plan {
	p := plan(t, "out: "+filepath.Join(t.TempDir(), "out")+"\nconfig: {schedule: {steps: 40}}\n"+text)
	require.NoError(t, p.Save(false))
	return p
}

func states(all []Status) (s []State) {
	for _, r := range all {
		s = append(s, r.State)
	}
	return s
}

func TestExecute(t *testing.T) {
	p := saved(t, "grid: {seed: [0, 1, 2, 3, 5]}")
	o, out := fake(t, 2)
	o.Threads, o.Devices = 3, []string{"cuda:0", "cuda:1"}
	all, err := Execute(t.Context(), p, o)
	require.NoError(t, err)
	assert.Equal(t, []State{Finished, Failed, Diverged, Killed, Finished}, states(all))
	assert.Equal(t, []int{0, 1, 1, 128 + 9, 0}, []int{all[0].Code, all[1].Code, all[2].Code, all[3].Code, all[4].Code})
	assert.Equal(t, "train: step 5\ntrain: no images left", strings.SplitN(all[1].Message, "\n", 2)[1], "the last lines of three")
	assert.Contains(t, out.String(), "seed=1: failed (code 1), see "+p.Runs[1].Config.Out+"/output.log\n")
	assert.Contains(t, out.String(), "2 of 5 runs finished")
	kept, err := ReadStatus(p.Out)
	require.NoError(t, err)
	assert.Equal(t, all, kept)
	log, err := os.ReadFile(filepath.Join(p.Runs[1].Config.Out, runlog.OutputFile))
	require.NoError(t, err)
	assert.Regexp(t, `^# \d{4}-\d\d-\d\d \d\d:\d\d:\d\d: .* --config \S+/plan/seed=1.yaml --threads 3 --workers 3 --device cuda:[01]\n`, string(log))

	// Again: what is finished stays, what was killed goes on, what failed is left alone unless it is asked for.
	all, err = Execute(t.Context(), p, o)
	require.NoError(t, err)
	assert.Equal(t, []State{Finished, Failed, Diverged, Finished, Finished}, states(all))
	assert.NotContains(t, out.String()[strings.LastIndex(out.String(), "seed=3: begins"):], "seed=0: begins")
	o.Retry = true
	all, err = Execute(t.Context(), p, o)
	require.NoError(t, err)
	assert.Equal(t, []State{Finished, Finished, Finished, Finished, Finished}, states(all), "they go on after the step that they failed at")
}

// TestInterrupted ends a sweep of two runs at a time, and starts it again.
func TestInterrupted(t *testing.T) {
	p := saved(t, "grid: {seed: [4], lr: [0.1, 0.2, 0.3]}")
	o, out := fake(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for lastStep(p.Runs[0]) < 3 || lastStep(p.Runs[1]) < 3 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	all, err := Execute(ctx, p, o)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, []State{Interrupted, Interrupted, Waiting}, states(all), out.String())
	assert.Equal(t, 75, all[0].Code)
	assert.Less(t, lastStep(p.Runs[0]), 40)

	all, err = Execute(t.Context(), p, o)
	require.NoError(t, err)
	assert.Equal(t, []State{Finished, Finished, Finished}, states(all))
	for _, r := range p.Runs {
		log, err := runlog.Read(filepath.Join(r.Config.Out, runlog.MetricsFile))
		require.NoError(t, err)
		assert.Len(t, log.Steps, 40)
	}
}

func TestOneSweepAtATime(t *testing.T) {
	p := saved(t, "runs: [{}]")
	l, err := lock(p.Out)
	require.NoError(t, err)
	o, _ := fake(t, 1)
	_, err = Execute(t.Context(), p, o)
	assert.ErrorContains(t, err, "another process does a sweep there")
	require.NoError(t, l.Close())
	o.Train = []string{"/no/such/train"}
	all, err := Execute(t.Context(), p, o)
	require.NoError(t, err)
	assert.Equal(t, Failed, all[0].State)
	assert.Contains(t, all[0].Message, "starting /no/such/train")
}

// TestStop halves eight runs, one of which fails, after steps 4 and 8: 4 of 7 go on, and 2 of those.
func TestStop(t *testing.T) {
	p := saved(t, "runs: [{lr: 1}, {lr: 2}, {lr: 3}, {lr: 4}, {lr: 5}, {lr: 6}, {lr: 7}, {lr: 8, seed: 1}]\nstop: {at: [6, 12]}")
	for i := range p.Runs[:7] { // so that each is stopped soon after the step, and not at its end
		p.Runs[i].Config.Seed = 4
	}
	require.NoError(t, os.RemoveAll(p.Out))
	require.NoError(t, p.Save(false))
	o, out := fake(t, 3)
	all, err := Execute(t.Context(), p, o)
	require.NoError(t, err)
	assert.Equal(t, []State{Stopped, Stopped, Stopped, Stopped, Stopped, Finished, Finished, Failed}, states(all), out.String())
	assert.Regexp(t, `^score .* after step 6 is number 7 of 7, and 4 go on$`, all[0].Message)
	assert.Regexp(t, `^score .* after step 12 is number 3 of 4, and 2 go on$`, all[4].Message)
	assert.Less(t, lastStep(p.Runs[0]), 40)
	again, err := Execute(t.Context(), p, o)
	require.NoError(t, err)
	assert.Equal(t, all, again, "decisions stand")
}

// TestStopIsTheSameInAnyOrder: decisions are made by figures of the same step, whatever the number of jobs and however often
// the sweep is interrupted.
func TestStopIsTheSameInAnyOrder(t *testing.T) {
	text := "grid: {seed: [4], lr: [0.5, 3, 1, 2]}\nstop: {at: [5, 10], keep: 0.5}"
	p := saved(t, text)
	o, out := fake(t, 1)
	var all []Status
	for sessions := 0; ; sessions++ {
		require.Less(t, sessions, 50)
		ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
		var err error
		all, err = Execute(ctx, p, o)
		cancel()
		if err == nil {
			assert.Greater(t, sessions, 1)
			break
		}
	}
	assert.Equal(t, []State{Stopped, Finished, Stopped, Stopped}, states(all), out.String())
	q := saved(t, text)
	o.Jobs = 4
	at4, err := Execute(t.Context(), q, o)
	require.NoError(t, err)
	for i := range all {
		assert.Equal(t, all[i].Message, at4[i].Message)
	}
}

// TestKilledSweep kills a sweep: its runs see that it is gone, and save.
func TestKilledSweep(t *testing.T) {
	p := saved(t, "grid: {seed: [4], lr: [0.1, 0.2]}")
	t.Setenv(asTrain, "")
	cmd := exec.Command(os.Args[0], "-test.run=^TestAsSweep$")
	cmd.Env = append(os.Environ(), "GOJEPA_TEST_SWEEP="+p.Out)
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { return lastStep(p.Runs[0]) > 2 && lastStep(p.Runs[1]) > 2 }, time.Minute, time.Millisecond)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	for _, r := range p.Runs {
		require.Eventually(t, func() bool {
			log, err := os.ReadFile(filepath.Join(r.Config.Out, runlog.OutputFile))
			return err == nil && strings.Contains(string(log), "interrupted after step")
		}, time.Minute, 5*time.Millisecond)
	}
	o, _ := fake(t, 2)
	all, err := Execute(t.Context(), p, o)
	require.NoError(t, err)
	assert.Equal(t, []State{Finished, Finished}, states(all))
}

// TestAsSweep is the process that TestKilledSweep kills.
func TestAsSweep(t *testing.T) {
	out := os.Getenv("GOJEPA_TEST_SWEEP")
	if out == "" {
		t.Skip("a process of TestKilledSweep")
	}
	p := plan(t, "out: "+out+"\nconfig: {schedule: {steps: 40}}\ngrid: {seed: [4], lr: [0.1, 0.2]}")
	o, _ := fake(t, 2)
	_, _ = Execute(t.Context(), p, o)
}

// TestFolderInUse: a run waits for a process that a sweep before it left in its folder.
func TestFolderInUse(t *testing.T) {
	p := saved(t, "runs: [{}]")
	o, out := fake(t, 1)
	l, err := lock(p.Runs[0].Config.Out)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for !strings.Contains(out.String(), "base: waits for another process that is training there") {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	all, err := Execute(ctx, p, o)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, Interrupted, all[0].State)
	time.AfterFunc(300*time.Millisecond, func() { l.Close() })
	all, err = Execute(t.Context(), p, o)
	require.NoError(t, err)
	assert.Equal(t, Finished, all[0].State)
}

func TestSlurm(t *testing.T) {
	p := saved(t, "grid: {seed: [0, 3]}")
	var b bytes.Buffer
	require.NoError(t, p.Slurm(&b, []string{"my train"}, 4, 8))
	script := b.String()
	for _, part := range []string{"#SBATCH --array=0-1%4\n", "#SBATCH --cpus-per-task=8\n", "#SBATCH --requeue", "#SBATCH --signal=TERM@120", "srun 'my train' --config"} {
		assert.Contains(t, script, part)
	}
	// The script, with what stands for Slurm's commands.
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "srun"), []byte("#!/bin/sh\nexec \"$@\"\n"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(bin, "scontrol"), []byte("#!/bin/sh\necho \"scontrol $*\"\n"), 0o755))
	b.Reset()
	require.NoError(t, p.Slurm(&b, []string{os.Args[0]}, 0, 0))
	assert.NotContains(t, b.String(), "%4")
	run := func(task string, more ...string) (string, error) {
		require.NoError(t, os.MkdirAll(p.Runs[0].Config.Out, 0o755))
		require.NoError(t, os.MkdirAll(p.Runs[1].Config.Out, 0o755))
		cmd := exec.Command("bash", "-c", b.String())
		hold, err := cmd.StdinPipe()
		require.NoError(t, err)
		defer hold.Close()
		cmd.Env = append(os.Environ(), append(more, asTrain+"=1", "PATH="+bin+":"+os.Getenv("PATH"), "SLURM_ARRAY_TASK_ID="+task, "SLURM_ARRAY_JOB_ID=7")...)
		text, err := cmd.CombinedOutput()
		return string(text), err
	}
	text, err := run("0")
	require.NoError(t, err, text)
	assert.Equal(t, 40, lastStep(p.Runs[0]))
	assert.Equal(t, 0, lastStep(p.Runs[1]))
	require.NoError(t, os.WriteFile(filepath.Join(bin, "srun"), []byte("#!/bin/sh\nexit 75\n"), 0o755))
	text, err = run("1")
	assert.Equal(t, "scontrol requeue 7_1\n", text, "put back")
	var code *exec.ExitError
	require.ErrorAs(t, err, &code)
	assert.Equal(t, 75, code.ExitCode())
	require.NoError(t, os.WriteFile(filepath.Join(bin, "srun"), []byte("#!/bin/sh\nexit 1\n"), 0o755))
	text, _ = run("1")
	assert.Empty(t, text, "a run that failed is not put back")
}

func TestReadStatus(t *testing.T) {
	s, err := ReadStatus(t.TempDir())
	assert.NoError(t, err)
	assert.Nil(t, s)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, stateFile), []byte("{"), 0o644))
	_, err = ReadStatus(dir)
	assert.ErrorContains(t, err, "reading the sweep's record: "+dir)
	var syntax *json.SyntaxError
	assert.ErrorAs(t, err, &syntax)
}
