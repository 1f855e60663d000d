package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/lejepa"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/torch/weights"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/train/runlog"
	"github.com/gojepa/gojepa/vision/images"
)

// recordOf is a run's record, times left out.
func recordOf(t *testing.T, out string) *runlog.Log {
	log, err := runlog.Read(filepath.Join(out, metricsFile))
	require.NoError(t, err)
	for i := range log.Steps {
		s := &log.Steps[i]
		s.ImagesPerS, s.WaitShare, s.Seconds = 0, 0, 0
		require.Equal(t, i+1, s.Step, "each step once")
	}
	return log
}

// sameRun holds two finished runs to the same bits.
func sameRun(t *testing.T, want, got string) {
	t.Helper()
	is := checkpointOf(t, got)
	for name, data := range checkpointOf(t, want) {
		require.True(t, bytes.Equal(data, is[name]), "%s differs", name)
	}
	assert.Equal(t, counters(t, want), counters(t, got))
	assert.Equal(t, recordOf(t, want), recordOf(t, got))
}

// often is small with a checkpoint after every two of its steps.
func often(t *testing.T, steps int) config.Config {
	c := small(t)
	c.CheckpointEvery, c.Schedule.Steps = config.Every{Steps: 2}, config.Of(steps)
	return c
}

// flip damages a byte of a file.
func flip(t *testing.T, path string, at func(size int) int) {
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	b[at(len(b))] ^= 4
	require.NoError(t, os.WriteFile(path, b, 0o644))
}

func last(size int) int { return size - 1 }

func TestCheckpointsThatAreKept(t *testing.T) {
	for keep, want := range map[int][]string{
		1: {"checkpoint.safetensors"},
		2: {"checkpoint-00000006.safetensors", "checkpoint.safetensors"},
		3: {"checkpoint-00000004.safetensors", "checkpoint-00000006.safetensors", "checkpoint.safetensors"},
		9: {"checkpoint-00000002.safetensors", "checkpoint-00000004.safetensors", "checkpoint-00000006.safetensors", "checkpoint.safetensors"},
	} {
		c := often(t, 7)
		c.KeepCheckpoints = keep
		_, err := Run(context.Background(), c, WithSource(&stripes{n: 40}))
		require.NoError(t, err)
		found, err := filepath.Glob(filepath.Join(c.Out, "checkpoint*"))
		require.NoError(t, err)
		for i := range found {
			found[i] = filepath.Base(found[i])
		}
		assert.Equal(t, want, found)
		f, err := weights.Open(filepath.Join(c.Out, checkpointFile))
		require.NoError(t, err)
		defer f.Close()
		meta := f.Metadata()
		assert.Contains(t, meta[progressKey], `"step":7`)
		assert.Equal(t, "1", meta[formatKey])
		assert.NotEmpty(t, meta[versionKey])
		assert.Contains(t, meta[machineKey], torch.Version())
	}
}

// TestDamagedCheckpoints: the run says which is damaged and goes on from the newest that is whole, to the same bits.
func TestDamagedCheckpoints(t *testing.T) {
	src := &stripes{n: 40}
	whole := often(t, 7)
	whole.EvalEvery = config.Every{Steps: 3}
	_, err := Run(context.Background(), whole, WithSource(src))
	require.NoError(t, err)
	for name, c := range map[string]struct {
		damaged []string
		at      func(int) int
		says    []string
	}{
		"data":   {[]string{checkpointFile}, last, []string{"key", "damaged", "going on from", "after step 6"}},
		"header": {[]string{checkpointFile}, func(int) int { return 3000 }, []string{"checkpoint.safetensors", "after step 6"}},
		"two":    {[]string{checkpointFile, keptFile(6)}, last, []string{"checkpoint-00000006.safetensors", "after step 4"}},
		"cut":    {[]string{checkpointFile}, nil, []string{"checkpoint.safetensors", "after step 6"}},
		"gone":   {nil, nil, []string{"after step 6"}},
	} {
		t.Run(name, func(t *testing.T) {
			run := often(t, 7)
			run.EvalEvery = whole.EvalEvery
			require.NoError(t, os.CopyFS(run.Out, os.DirFS(whole.Out)))
			for _, file := range c.damaged {
				path := filepath.Join(run.Out, file)
				if c.at == nil {
					require.NoError(t, os.Truncate(path, 5000))
				} else {
					flip(t, path, c.at)
				}
			}
			if name == "gone" {
				require.NoError(t, os.Remove(filepath.Join(run.Out, checkpointFile)))
			}
			var said bytes.Buffer
			_, err := Run(context.Background(), run, WithSource(src), WithOutput(&said))
			require.NoError(t, err)
			for _, part := range c.says {
				assert.Contains(t, said.String(), part)
			}
			sameRun(t, whole.Out, run.Out)
			kept, err := keptIn(run.Out)
			require.NoError(t, err)
			for _, k := range kept {
				f, err := openCheckpoint(k.path)
				require.NoError(t, err, "what was damaged is not kept")
				require.NoError(t, f.file.Close())
			}
		})
	}

	run := often(t, 7)
	require.NoError(t, os.CopyFS(run.Out, os.DirFS(whole.Out)))
	for _, file := range []string{checkpointFile, keptFile(6), keptFile(4)} {
		flip(t, filepath.Join(run.Out, file), last)
	}
	before := snapshot(t, run.Out)
	_, err = Run(context.Background(), run, WithSource(src))
	assert.ErrorContains(t, err, "no checkpoint that is whole")
	assert.ErrorContains(t, err, keptFile(4))
	assert.Equal(t, before, snapshot(t, run.Out), "nothing is begun anew over what is left")
}

// snapshot is what a folder holds, besides the lock.
func snapshot(t *testing.T, dir string) map[string]string {
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		content := []byte(info.Mode().String())
		if !d.IsDir() {
			content, err = os.ReadFile(path)
			require.NoError(t, err)
			content = append(content, info.ModTime().String()...)
		}
		if d.Name() != lockFile {
			all[path] = string(content)
		}
		return nil
	}))
	return all
}

func TestNewerFormat(t *testing.T) {
	c := often(t, 4)
	_, err := Run(context.Background(), c, WithSource(&stripes{n: 40}))
	require.NoError(t, err)
	path := filepath.Join(c.Out, checkpointFile)
	f, err := weights.OpenOptions(path, weights.Options{Raw: true})
	require.NoError(t, err)
	meta := f.Metadata()
	meta[formatKey], meta[versionKey] = "2", "v9.1.0"
	other := filepath.Join(t.TempDir(), "newer.safetensors")
	delete(meta, "gojepa.crc32c")
	require.NoError(t, weights.SaveChecked(other, f.Entries(), meta))
	require.NoError(t, f.Close())
	require.NoError(t, os.Rename(other, path))
	before := snapshot(t, c.Out)
	_, err = Run(context.Background(), c, WithSource(&stripes{n: 40}))
	assert.ErrorContains(t, err, "has the format 2, made by gojepa v9.1.0; this gojepa")
	assert.ErrorContains(t, err, "knows formats up to 1")
	assert.Equal(t, before, snapshot(t, c.Out), "an older checkpoint is no way around it")
}

// watched is a source that calls a function before each image, and can lose all of them.
type watched struct {
	stripes
	before func()
	lost   atomic.Bool
}

func (s *watched) Image(ctx context.Context, i int) (*images.Image, error) {
	if s.before != nil {
		s.before()
	}
	if s.lost.Load() {
		return nil, fmt.Errorf("stripe-%d: %w", i, fs.ErrNotExist)
	}
	return s.stripes.Image(ctx, i)
}

// TestInterruptedAnywhere ends the context of a run while images are read for training, for evaluations and for the report, after
// more and more of them, and has the run go on.
func TestInterruptedAnywhere(t *testing.T) {
	whole := often(t, 6)
	whole.EvalEvery, whole.Workers = config.Every{Steps: 3}, config.Of(1)
	count := atomic.Int64{}
	_, err := Run(context.Background(), whole, WithSource(&watched{stripes: stripes{n: 40}, before: func() { count.Add(1) }}))
	require.NoError(t, err)
	all := count.Load()
	stages := 7
	stopped := 0
	for i := range stages {
		c := often(t, 6)
		c.EvalEvery, c.Workers = whole.EvalEvery, whole.Workers
		ctx, cancel := context.WithCancel(context.Background())
		left := atomic.Int64{}
		left.Store(all * int64(i+1) / int64(stages+1))
		_, err := Run(ctx, c, WithSource(&watched{stripes: stripes{n: 40}, before: func() {
			if left.Add(-1) == 0 {
				cancel()
			}
		}}))
		if errors.As(err, new(*Interrupted)) {
			stopped++
			assert.FileExists(t, filepath.Join(c.Out, checkpointFile))
		} else if err != nil { // nil if it was as good as done
			require.ErrorIs(t, err, context.Canceled)
		}
		_, err = Run(context.Background(), c, WithSource(&stripes{n: 40}))
		require.NoError(t, err)
		sameRun(t, whole.Out, c.Out)
		cancel()
	}
	assert.Greater(t, stopped, stages/2)
}

// TestLostImages: a run whose images vanish ends with what it has, says why, and goes on when they are back.
func TestLostImages(t *testing.T) {
	whole := often(t, 6)
	_, err := Run(context.Background(), whole, WithSource(&stripes{n: 40}))
	require.NoError(t, err)
	c := often(t, 6)
	c.CheckpointEvery = config.Every{}
	src := &watched{stripes: stripes{n: 40}}
	count := 0
	c.Workers = config.Of(1)
	src.before = func() {
		if count++; count == 100 {
			src.lost.Store(true)
		}
	}
	_, err = Run(context.Background(), c, WithSource(src))
	require.ErrorContains(t, err, "file does not exist")
	assert.ErrorContains(t, err, "the run is saved in "+c.Out)
	src.before = nil
	src.lost.Store(false)
	_, err = Run(context.Background(), c, WithSource(src))
	require.NoError(t, err)
	assert.Equal(t, checkpointOf(t, whole.Out), checkpointOf(t, c.Out))
}

// TestLockBeforeReading: a folder in which another process trains is not even read.
func TestLockBeforeReading(t *testing.T) {
	c := small(t)
	lock, err := lockFolder(c.Out)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(c.Out, configFile), []byte("half a conf"), 0o644))
	_, err = Run(context.Background(), c, WithSource(&stripes{n: 40}))
	assert.ErrorContains(t, err, "another process is training there")
	lock.release()
	_, err = Run(context.Background(), c, WithSource(&stripes{n: 40}))
	assert.ErrorContains(t, err, configFile)

	c = small(t)
	c.Data.Path = filepath.Join(t.TempDir(), "nowhere")
	_, err = Run(context.Background(), c)
	require.Error(t, err)
	assert.NoDirExists(t, c.Out, "a run that cannot begin leaves no folder")
}

// TestStaleFiles: what a process that was killed while it wrote left behind is removed, and nothing else.
func TestStaleFiles(t *testing.T) {
	c := often(t, 2)
	require.NoError(t, os.MkdirAll(c.Out, 0o755))
	_, err := Run(context.Background(), c, WithSource(&stripes{n: 40}))
	require.NoError(t, err)
	stale, other := filepath.Join(c.Out, ".checkpoint.safetensors.999-0.tmp"), filepath.Join(c.Out, ".thesis.tex.999-0.tmp")
	for _, path := range []string{stale, other} {
		require.NoError(t, os.WriteFile(path, []byte("half"), 0o644))
	}
	_, err = Run(context.Background(), c, WithSource(&stripes{n: 40}))
	require.NoError(t, err)
	assert.NoFileExists(t, stale)
	assert.FileExists(t, other)
}

// bursting is the encoder of a configuration that gives infinities at some steps of some seeds.
type bursting struct {
	lejepa.Encoder
	at func(seed, step uint64) bool
}

func (e *bursting) Forward(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	z := e.Encoder.Forward(s, x, p)
	if p.Train && e.at(p.Seed, p.Step) {
		return z.MulScalar(math.Inf(1))
	}
	return z
}

// burst trains the encoder of c with such bursts.
func burst(c config.Config, at func(seed, step uint64) bool) Option {
	return WithEncoder(func(s *torch.Scope, seed uint64) (lejepa.Encoder, error) {
		r := &run{cfg: c}
		r.cfg.Encoder.Channels, r.cfg.Seed = config.Of(1), seed
		inner, err := r.newEncoder(s, false)
		return &bursting{inner, at}, err
	})
}

// convolutional is often with an encoder whose forward pass changes running statistics.
func convolutional(t *testing.T, steps int) config.Config {
	c := often(t, steps)
	c.Encoder = config.Default().Encoder
	c.Encoder.Name, c.Encoder.ImageSize, c.Encoder.Width, c.Encoder.Depth = "resnet18", config.Of(16), config.Of(8), config.Of(1)
	return c
}

// TestEvidenceOfDivergence: the folder that the error names holds the batch and the state right before the step, running
// statistics too, and a replay of it repeats the step.
func TestEvidenceOfDivergence(t *testing.T) {
	src := &stripes{n: 40}
	whole := convolutional(t, 4)
	_, err := Run(context.Background(), whole, WithSource(src))
	require.NoError(t, err)

	c := convolutional(t, 9)
	c.Schedule.Steps = config.Of(4)
	c.CheckpointEvery = config.Every{}
	at := func(_, step uint64) bool { return step == 2 }
	_, err = Run(context.Background(), c, WithSource(src), burst(c, at))
	var d *DivergedError
	require.ErrorAs(t, err, &d)
	assert.Equal(t, filepath.Join(c.Out, "diverged-00000003"), d.Dir)
	assert.ErrorContains(t, err, "train --replay "+d.Dir+" --at 3")
	state := checkpointOf(t, d.Dir)
	f, err := openCheckpoint(filepath.Join(whole.Out, keptFile(2)))
	require.NoError(t, err)
	defer f.file.Close()
	for _, info := range f.file.Tensors() {
		want, err := f.file.Read(info.Name)
		require.NoError(t, err)
		require.Equal(t, want, state[info.Name], info.Name)
	}
	for _, name := range []string{batchFile, viewsFile, "views-000.png", metricsFile} {
		assert.FileExists(t, filepath.Join(d.Dir, name))
	}

	before := snapshot(t, c.Out)
	res, err := Replay(context.Background(), ReplayConfig{Run: d.Dir, Step: 3}, WithSource(src), burst(c, at))
	require.NoError(t, err)
	assert.True(t, res.Diverged)
	assert.True(t, res.Identical())
	assert.Equal(t, c.Out+"-step-3", res.Out)
	assert.Equal(t, before, snapshot(t, c.Out))
	for _, name := range []string{viewsFile, batchFile, "views-000.png"} {
		was, err := os.ReadFile(filepath.Join(d.Dir, name))
		require.NoError(t, err)
		is, err := os.ReadFile(filepath.Join(res.Out, name))
		require.NoError(t, err)
		assert.Equal(t, was, is, name)
	}
	sound, err := Replay(context.Background(), ReplayConfig{Run: d.Dir, Step: 3}, WithSource(src))
	require.NoError(t, err)
	assert.False(t, sound.Diverged)
	assert.Equal(t, 3, sound.Parted)
	assert.Equal(t, recordOf(t, whole.Out).Steps[2].Loss, sound.Step.Loss, "without the burst the step is that of a sound run")
}

// TestReplay does every step of a run again, from checkpoints and from the beginning.
func TestReplay(t *testing.T) {
	src := &stripes{n: 40}
	for name, change := range map[string]func(*config.Config){
		"plain":           func(*config.Config) {},
		"bf16, two":       func(c *config.Config) { c.Precision, c.Threads = "bf16", config.Of(2) },
		"averages":        func(c *config.Config) { c.Optim.EMA, c.Optim.Name = 0.9, config.Muon },
		"schedule-free":   func(c *config.Config) { c.Optim.Name = config.ScheduleFree },
		"one kept, small": func(c *config.Config) { c.KeepCheckpoints, c.Schedule.MicroBatch = 1, config.Of(3) },
	} {
		t.Run(name, func(t *testing.T) {
			c := often(t, 7)
			change(&c)
			_, err := Run(context.Background(), c, WithSource(src))
			require.NoError(t, err)
			before := snapshot(t, c.Out)
			for step := 1; step <= 7; step++ {
				res, err := Replay(context.Background(), ReplayConfig{Run: c.Out, Step: step}, WithSource(src))
				require.NoError(t, err)
				from := 0
				if step > 6 && c.KeepCheckpoints > 1 {
					from = 6
				} else if step > 4 && c.KeepCheckpoints > 1 {
					from = 4
				}
				assert.Equal(t, from, res.From, "step %d", step)
				assert.True(t, res.Identical(), "step %d: %v", step, res.Figures)
				assert.Zero(t, res.Parted)
				f, err := weights.Open(filepath.Join(res.Out, viewsFile))
				require.NoError(t, err)
				global, ok := f.Lookup("views.0")
				require.True(t, ok)
				assert.Equal(t, []int64{2, 8, 1, 16, 16}, global.Shape)
				require.NoError(t, f.Close())
			}
			assert.Equal(t, before, snapshot(t, c.Out), "the run is only read")
		})
	}
}

func TestReplayMistakes(t *testing.T) {
	src := WithSource(&stripes{n: 40})
	c := often(t, 4)
	_, err := Run(context.Background(), c, src)
	require.NoError(t, err)
	full := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(full, "a"), nil, 0o644))
	for want, r := range map[string]ReplayConfig{
		"step 0, expected 1 or more":                       {Run: c.Out},
		"step 5, expected 4 at most":                       {Run: c.Out, Step: 5},
		"no such file":                                     {Run: c.Out + "x", Step: 1},
		"holds no run":                                     {Run: full, Step: 1},
		"expected a folder outside":                        {Run: c.Out, Step: 1, Out: filepath.Join(c.Out, "again")},
		"has other files than":                             {Run: c.Out, Step: 1, Out: full},
		"expected a folder outside of the run's, " + c.Out: {Run: c.Out, Step: 1, Out: c.Out},
	} {
		_, err := Replay(context.Background(), r, src)
		assert.ErrorContains(t, err, want)
	}
	_, err = Replay(context.Background(), ReplayConfig{Run: c.Out, Step: 2}, WithSource(&stripes{n: 41}))
	assert.ErrorContains(t, err, "trained on other images")
}

// TestSteppingBack: a run that diverges goes on from its last checkpoint with another seed, to the same bits whether it was
// interrupted on the way or not, and its record, report and replays know of it.
func TestSteppingBack(t *testing.T) {
	src := &stripes{n: 40}
	seeds := map[uint64]bool{}
	// Twice from the first seed's state and once from the next: the second time there is an older checkpoint to go back to.
	at := func(seed, step uint64) bool {
		seeds[seed] = true
		return step == 5 && len(seeds) == 1 || step == 6 && len(seeds) == 2
	}
	back := func(t *testing.T) config.Config {
		c := often(t, 9)
		c.OnDivergence = "back"
		return c
	}
	whole := back(t)
	var said bytes.Buffer
	_, err := Run(context.Background(), whole, WithSource(src), WithOutput(&said), burst(whole, at))
	require.NoError(t, err)
	assert.Len(t, seeds, 3)
	log := recordOf(t, whole.Out)
	require.Len(t, log.Steps, 9)
	require.Len(t, log.Backs, 2)
	assert.Equal(t, 4, log.Backs[0].Step)
	assert.Equal(t, 6, log.Backs[0].From)
	assert.Equal(t, 7, log.Backs[1].From)
	assert.Equal(t, 6, log.Backs[1].Step, "the checkpoint after step 4 was gone back to, that after 6 was not")
	assert.Contains(t, said.String(), "going back to the checkpoint after step 4")
	page, err := os.ReadFile(filepath.Join(whole.Out, reportFile))
	require.NoError(t, err)
	assert.Contains(t, string(page), "step 6 diverged; on from step 4")
	assert.DirExists(t, filepath.Join(whole.Out, "diverged-00000006"))
	assert.DirExists(t, filepath.Join(whole.Out, "diverged-00000007-2"))

	for step := 1; step <= 9; step++ {
		res, err := Replay(context.Background(), ReplayConfig{Run: whole.Out, Step: step}, WithSource(src))
		require.NoError(t, err)
		assert.True(t, res.Identical(), "step %d: %v", step, res.Figures)
	}

	for _, stop := range []int{2, 5, 7, 8, 10} { // passes until it is interrupted, in each session
		c := back(t)
		clear(seeds)
		for session := 0; ; session++ {
			require.Less(t, session, 20)
			ctx, cancel := context.WithCancel(context.Background())
			left := 2 * stop // as there are two sizes of views
			count := func(seed, step uint64) bool {
				if left--; left == 0 {
					cancel()
				}
				return at(seed, step)
			}
			_, err := Run(ctx, c, WithSource(src), burst(c, count))
			cancel()
			if err == nil {
				break
			}
			require.ErrorAs(t, err, new(*Interrupted))
		}
		sameRun(t, whole.Out, c.Out)
	}
}

// TestSteppingBackAgainAndAgain ends: each time further back, three times at most, and the error says so.
func TestSteppingBackAgainAndAgain(t *testing.T) {
	c := often(t, 9)
	c.OnDivergence = "back"
	_, err := Run(context.Background(), c, WithSource(&stripes{n: 40}), burst(c, func(_, step uint64) bool { return step == 5 }))
	require.ErrorIs(t, err, ErrDiverged)
	assert.ErrorContains(t, err, "the run stepped back 3 times already")
	log := recordOf(t, c.Out)
	var to []int
	for _, b := range log.Backs {
		to = append(to, b.Step)
	}
	assert.Equal(t, []int{4, 2, 0}, to)

	c = often(t, 9)
	c.OnDivergence = "back"
	_, err = Run(context.Background(), c, WithSource(&stripes{n: 40}), burst(c, func(_, step uint64) bool { return step == 0 }))
	require.ErrorIs(t, err, ErrDiverged)
	assert.ErrorContains(t, err, "no other checkpoint to go back to")
	assert.True(t, strings.Contains(err.Error(), "step 1:"), err)
}
