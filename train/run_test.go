package train

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/lejepa"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/torch/torchtest"
	"github.com/gojepa/gojepa/torch/weights"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/train/runlog"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/images"
)

func TestMain(m *testing.M) { torchtest.Main(m) }

// stripes is a source of 16-pixel images of two classes, stripes that lie and stripes that stand, with noise.
type stripes struct {
	n      int
	broken map[int]bool
}

func (s *stripes) Len() int          { return s.n }
func (s *stripes) Name(i int) string { return fmt.Sprintf("stripe-%d", i) }
func (s *stripes) Classes() []string { return []string{"lying", "standing"} }

func (s *stripes) Label(i int) (int, bool) { return i % 2, true }

func (s *stripes) Image(_ context.Context, i int) (*images.Image, error) {
	if s.broken[i] {
		return nil, errors.New("torn")
	}
	r := rng.New(1, rng.Sample, uint64(i), 0)
	m := images.New(1, 16, 16)
	for y := range 16 {
		for x := range 16 {
			at := y
			if i%2 == 1 {
				at = x
			}
			m.Pix[y*16+x] = uint8(100*(at/2%2) + r.IntN(100))
		}
	}
	return m, nil
}

// small is a configuration that trains a tiny ViT in moments.
func small(t *testing.T) config.Config {
	c := config.Default()
	c.Encoder.Name = "vit_tiny_patch16_224"
	c.Encoder.ImageSize, c.Encoder.PatchSize = config.Of(16), config.Of(4)
	c.Encoder.Width, c.Encoder.Depth, c.Encoder.Heads = config.Of(16), config.Of(2), config.Of(2)
	c.Views.Global.Count, c.Views.Local.Count = 2, 1
	c.Views.Blur.Kernel = 3
	c.Loss.Slices = 16
	c.Projector = config.Projector{Hidden: []int{16}, Dim: 4}
	c.Schedule.BatchSize, c.Schedule.Steps = config.Of(8), config.Of(6)
	c.Precision, c.Threads, c.Workers = "fp32", config.Of(1), config.Of(2)
	c.Out = filepath.Join(t.TempDir(), "run")
	return c
}

func TestRunLeavesWhatItPromises(t *testing.T) {
	c := small(t)
	c.Log = []string{runlog.CSV, runlog.TensorBoard}
	var log bytes.Buffer
	res, err := Run(context.Background(), c, WithSource(&stripes{n: 40}), WithOutput(&log), WithBaselines())
	require.NoError(t, err)
	assert.Equal(t, 6, res.Steps)
	assert.True(t, res.Last.Finite())
	assert.Positive(t, res.Last.SIGRegSE)
	for _, key := range []string{"knn", "linear", "pixels_knn", "pixels_linear", "untrained_knn", "untrained_linear"} {
		assert.Contains(t, res.Values, key)
	}
	assert.Contains(t, log.String(), "vit_tiny_patch16_224")
	assert.Contains(t, log.String(), "step 6/6")

	saved, err := config.Load(filepath.Join(c.Out, "config.yaml"))
	require.NoError(t, err)
	assert.Empty(t, config.Differences(res.Config, saved))
	metrics, err := runlog.Read(filepath.Join(c.Out, "metrics.jsonl"))
	require.NoError(t, err)
	require.Len(t, metrics.Steps, 6)
	require.Len(t, metrics.Evals, 1)
	assert.Equal(t, res.Last.Loss, metrics.Steps[5].Loss)
	assert.InDelta(t, (1-0.02)*res.Last.Prediction+0.02*res.Last.SIGReg, res.Last.Loss, 1e-5)
	assert.Positive(t, metrics.Steps[5].GradNorm)
	assert.InDelta(t, 1.0525, metrics.Steps[5].SIGRegExpected, 1e-4)
	assert.Contains(t, log.String(), "(Gaussian 1.05)")

	for _, name := range []string{"encoder.safetensors", "encoder.pt"} {
		m, err := vision.Load("", filepath.Join(c.Out, name), torch.CPU)
		require.NoError(t, err, name)
		assert.Equal(t, 16, m.Encoder.Spec().Width)
		assert.Equal(t, 2, m.Encoder.Spec().Depth)
		assert.Equal(t, 16, m.Size)
		assert.Equal(t, res.Config.ViewsConfig().Mean, m.Mean)
		embeddings, err := m.Embed(context.Background(), []*images.Image{images.New(1, 16, 16)})
		require.NoError(t, err)
		assert.Len(t, embeddings[0], 16)
		m.Close()
	}
	page, err := os.ReadFile(filepath.Join(c.Out, "report.html"))
	require.NoError(t, err)
	assert.Contains(t, string(page), "LeJEPA on its own source")
	assert.NoFileExists(t, filepath.Join(c.Out, "bad_files.txt"))
	rows, err := os.ReadFile(filepath.Join(c.Out, "metrics.csv"))
	require.NoError(t, err)
	assert.Equal(t, 7, bytes.Count(rows, []byte("\n")), "a row for each step")
	events, err := filepath.Glob(filepath.Join(c.Out, "events.out.tfevents.*"))
	require.NoError(t, err)
	assert.Len(t, events, 1)
}

// checkpointOf is the tensors of a run's checkpoint.
func checkpointOf(t *testing.T, out string) map[string][]byte {
	f, err := weights.OpenOptions(filepath.Join(out, "checkpoint.safetensors"), weights.Options{Raw: true})
	require.NoError(t, err)
	defer f.Close()
	all := map[string][]byte{}
	for _, info := range f.Tensors() {
		data, err := f.Read(info.Name)
		require.NoError(t, err)
		all[info.Name] = data
	}
	return all
}

// TestResumeIsExact interrupts a run and goes on with it: weights and moments are bit for bit those of a run that was
// never interrupted, and so is the record.
func TestResumeIsExact(t *testing.T) {
	src := &stripes{n: 40}
	for _, how := range []struct {
		workers, threads int
		precision        string
		optimiser        string
		ema              float64
	}{
		{1, 1, "fp32", config.AdamW, 0}, {3, 1, "bf16", config.AdamW, 0.9}, {2, 2, "fp32", config.AdamW, 0},
		{2, 1, "fp32", config.LARS, 0}, {2, 1, "bf16", config.Muon, 0.5}, {2, 1, "fp32", config.ScheduleFree, 0},
	} {
		t.Run(fmt.Sprint(how), func(t *testing.T) {
			whole := small(t)
			whole.Threads, whole.Precision, whole.Optim.Name = config.Of(how.threads), how.precision, how.optimiser
			whole.Optim.EMA = how.ema
			_, err := Run(context.Background(), whole, WithSource(src))
			require.NoError(t, err)

			c := small(t)
			c.Optim.EMA = how.ema
			c.Threads, c.Precision, c.Workers, c.Optim.Name = whole.Threads, whole.Precision, config.Of(how.workers), how.optimiser
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			encoder := &cancelling{after: 4, cancel: cancel}
			_, err = Run(ctx, c, WithSource(src), WithEncoder(encoder.make(t)))
			var stopped *Interrupted
			require.ErrorAs(t, err, &stopped)
			assert.ErrorIs(t, err, context.Canceled)
			assert.Equal(t, 6, stopped.Steps)
			require.Positive(t, stopped.Step)
			require.Less(t, stopped.Step, 6)

			res, err := Run(context.Background(), c, WithSource(src))
			require.NoError(t, err)
			assert.Equal(t, 6, res.Steps)
			assert.Equal(t, checkpointOf(t, whole.Out), checkpointOf(t, c.Out))
			assert.Equal(t, counters(t, whole.Out), counters(t, c.Out))
			a, err := runlog.Read(filepath.Join(whole.Out, "metrics.jsonl"))
			require.NoError(t, err)
			b, err := runlog.Read(filepath.Join(c.Out, "metrics.jsonl"))
			require.NoError(t, err)
			require.Len(t, b.Steps, len(a.Steps))
			for i := range a.Steps {
				assert.Equal(t, a.Steps[i].Loss, b.Steps[i].Loss)
			}
		})
	}
}

// counters are those of the optimiser in a run's checkpoint.
func counters(t *testing.T, out string) map[string]float64 {
	f, err := weights.OpenOptions(filepath.Join(out, "checkpoint.safetensors"), weights.Options{Raw: true})
	require.NoError(t, err)
	defer f.Close()
	var at position
	require.NoError(t, json.Unmarshal([]byte(f.Metadata()[progressKey]), &at))
	require.NotEmpty(t, at.Optimiser)
	return at.Optimiser
}

// TestScheduleFreeWeights: what is saved and evaluated is the average, and training, which goes on with other weights, is none
// the worse for evaluations in between.
func TestScheduleFreeWeights(t *testing.T) {
	src := &stripes{n: 40}
	c := small(t)
	c.Optim.Name = config.ScheduleFree
	res, err := Run(context.Background(), c, WithSource(src))
	require.NoError(t, err)
	saved := checkpointOf(t, c.Out)
	file, err := weights.OpenOptions(filepath.Join(c.Out, "encoder.safetensors"), weights.Options{Raw: true})
	require.NoError(t, err)
	defer file.Close()
	apart := 0
	for _, info := range file.Tensors() {
		encoder, err := file.Read(info.Name)
		require.NoError(t, err)
		assert.Equal(t, saved["encoder."+info.Name], encoder, info.Name)
		if y := saved["y.encoder."+info.Name]; y != nil && !bytes.Equal(y, encoder) {
			apart++
		}
	}
	assert.Positive(t, apart, "weights in training are others")

	often := small(t)
	often.Optim.Name, often.EvalEvery, often.CheckpointEvery = config.ScheduleFree, config.Every{Steps: 1}, config.Every{Steps: 2}
	again, err := Run(context.Background(), often, WithSource(src))
	require.NoError(t, err)
	assert.Equal(t, saved, checkpointOf(t, often.Out))
	assert.Equal(t, res.Values, again.Values)
	assert.Equal(t, 6, evaluations(t, often.Out))

	c.Optim.Name = config.AdamW
	_, err = Run(context.Background(), c, WithSource(src))
	assert.ErrorContains(t, err, "optim.name: adamw here, schedulefree in that run")
}

// TestEMA: the average is evaluated and saved beside the weights, and changes nothing about them.
func TestEMA(t *testing.T) {
	src := &stripes{n: 40}
	plain := small(t)
	plain.Optim.LR = config.Of(0.01)
	without, err := Run(context.Background(), plain, WithSource(src))
	require.NoError(t, err)
	assert.NoFileExists(t, filepath.Join(plain.Out, "encoder_ema.safetensors"))
	c := small(t)
	c.Optim.LR, c.Optim.EMA, c.EvalEvery = config.Of(0.01), 0.9, config.Every{Steps: 2}
	with, err := Run(context.Background(), c, WithSource(src))
	require.NoError(t, err)

	saved := checkpointOf(t, c.Out)
	file, err := weights.OpenOptions(filepath.Join(c.Out, "encoder_ema.safetensors"), weights.Options{Raw: true})
	require.NoError(t, err)
	defer file.Close()
	apart := 0
	for _, info := range file.Tensors() {
		average, err := file.Read(info.Name)
		require.NoError(t, err)
		assert.Equal(t, saved["ema.encoder."+info.Name], average, info.Name)
		if !bytes.Equal(average, saved["encoder."+info.Name]) {
			apart++
		}
		delete(saved, "ema.encoder."+info.Name)
	}
	assert.Positive(t, apart)
	assert.Equal(t, checkpointOf(t, plain.Out), saved)
	assert.Equal(t, without.Values["knn"], with.Values["knn"])
	assert.Contains(t, with.Values, "ema_knn")
	assert.Contains(t, with.Values, "ema_linear")
	m, err := vision.Load("", filepath.Join(c.Out, "encoder_ema.safetensors"), torch.CPU)
	require.NoError(t, err)
	m.Close()
	log, err := runlog.Read(filepath.Join(c.Out, "metrics.jsonl"))
	require.NoError(t, err)
	require.Len(t, log.Evals, 3)
	assert.Contains(t, log.Evals[0].Values, "ema_online_knn")
	page, err := os.ReadFile(filepath.Join(c.Out, "report.html"))
	require.NoError(t, err)
	assert.Contains(t, string(page), "its averaged weights")
}

// TestScheduleFreeBatchNorm says whose statistics the saved encoder has.
func TestScheduleFreeBatchNorm(t *testing.T) {
	c := small(t)
	c.Encoder = config.Default().Encoder
	c.Encoder.Name, c.Encoder.ImageSize, c.Encoder.Width, c.Encoder.Depth = "resnet18", config.Of(16), config.Of(8), config.Of(1)
	c.Optim.Name, c.Schedule.Steps = config.ScheduleFree, config.Of(1)
	var log bytes.Buffer
	_, err := Run(context.Background(), c, WithSource(&stripes{n: 40}), WithOutput(&log))
	require.NoError(t, err)
	assert.Contains(t, log.String(), "running statistics of the encoder's BatchNorm are those of the weights in training")
}

// cancelling is the encoder of a configuration that ends the run's context after some forward passes.
type cancelling struct {
	lejepa.Encoder
	after  int
	cancel context.CancelFunc
}

func (e *cancelling) make(t *testing.T) func(s *torch.Scope, seed uint64) (lejepa.Encoder, error) {
	return func(s *torch.Scope, seed uint64) (lejepa.Encoder, error) {
		r := &run{cfg: small(t)}
		r.cfg.Encoder.Channels = config.Of(1)
		r.cfg.Seed = seed
		inner, err := r.newEncoder(s, false)
		e.Encoder = inner
		return e, err
	}
}

func (e *cancelling) Forward(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	if e.after--; e.after == 0 {
		e.cancel()
	}
	return e.Encoder.Forward(s, x, p)
}

func TestFinishedRunIsEvaluatedAgain(t *testing.T) {
	c := small(t)
	c.Schedule.Steps = config.Of(2)
	_, err := Run(context.Background(), c, WithSource(&stripes{n: 40}))
	require.NoError(t, err)
	before := checkpointOf(t, c.Out)
	res, err := Run(context.Background(), c, WithSource(&stripes{n: 40}))
	require.NoError(t, err)
	assert.Equal(t, 2, res.Steps)
	assert.NotEmpty(t, res.Values)
	assert.Equal(t, before, checkpointOf(t, c.Out))

	c.Resume = false
	_, err = Run(context.Background(), c, WithSource(&stripes{n: 40}))
	assert.ErrorContains(t, err, "holds a run already")
}

func TestOutOfAnotherConfiguration(t *testing.T) {
	c := small(t)
	c.Schedule.Steps = config.Of(1)
	_, err := Run(context.Background(), c, WithSource(&stripes{n: 40}))
	require.NoError(t, err)
	c.Loss.Lambda = 0.5
	c.Optim.LR = config.Of(1.0)
	_, err = Run(context.Background(), c, WithSource(&stripes{n: 40}))
	var mismatch *config.MismatchError
	require.ErrorAs(t, err, &mismatch)
	assert.ErrorContains(t, err, "loss.lambda: 0.5 here, 0.02 in that run")
	assert.ErrorContains(t, err, "optim.lr")

	c = small(t)
	require.NoError(t, os.MkdirAll(c.Out, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(c.Out, "thesis.tex"), nil, 0o644))
	_, err = Run(context.Background(), c, WithSource(&stripes{n: 40}))
	assert.ErrorContains(t, err, "the folder has files but no run")
	assert.NoFileExists(t, filepath.Join(c.Out, lockFile), "nothing is left in a folder that is somebody else's")
}

// exploding is an encoder whose second step gives infinities.
type exploding struct {
	lejepa.Encoder
	calls int
}

func (e *exploding) Forward(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	z := e.Encoder.Forward(s, x, p)
	if e.calls++; e.calls > 2 {
		return z.MulScalar(math.Inf(1))
	}
	return z
}

func TestDivergence(t *testing.T) {
	c := small(t)
	c.Views.Local.Count = 0
	c.CheckpointEvery = config.Every{Steps: 1}
	e := &exploding{}
	inner := &cancelling{after: -1}
	_, err := Run(context.Background(), c, WithSource(&stripes{n: 40}), WithEncoder(func(s *torch.Scope, seed uint64) (lejepa.Encoder, error) {
		made, err := inner.make(t)(s, seed)
		e.Encoder = made
		return e, err
	}))
	require.ErrorIs(t, err, ErrDiverged)
	var d *DivergedError
	require.ErrorAs(t, err, &d)
	assert.Equal(t, 3, d.Step)
	assert.Len(t, d.Files, 8)
	assert.ErrorContains(t, err, "step 3: loss or gradient is not finite")
	assert.ErrorContains(t, err, d.Files[0])
	f, err := weights.OpenOptions(filepath.Join(c.Out, "checkpoint.safetensors"), weights.Options{Raw: true})
	require.NoError(t, err)
	defer f.Close()
	assert.Contains(t, f.Metadata()[progressKey], `"step":2`, "the last checkpoint is from before")
}

func TestBrokenImages(t *testing.T) {
	c := small(t)
	c.Schedule.BatchSize = config.Of(100)
	c.Schedule.Steps = config.Of(2)
	var log bytes.Buffer
	res, err := Run(context.Background(), c, WithSource(&stripes{n: 200, broken: map[int]bool{7: true}}), WithOutput(&log))
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"stripe-7": "torn"}, res.Broken)
	listed := func(out string) string {
		list, err := os.ReadFile(filepath.Join(out, "bad_files.txt"))
		require.NoError(t, err)
		return string(list)
	}
	assert.Equal(t, "stripe-7\ttorn\n", listed(c.Out))
	assert.Contains(t, log.String(), "left out stripe-7: torn")

	// The list survives the end of the run's process.
	_, err = Run(context.Background(), c, WithSource(&stripes{n: 200, broken: map[int]bool{7: true}}))
	require.NoError(t, err)
	assert.Equal(t, "stripe-7\ttorn\n", listed(c.Out))

	c = small(t)
	_, err = Run(context.Background(), c, WithSource(&stripes{n: 40, broken: map[int]bool{1: true}}))
	assert.NoError(t, err, "one is never too many")

	c = small(t)
	_, err = Run(context.Background(), c, WithSource(&stripes{n: 40, broken: map[int]bool{1: true, 2: true, 3: true}}))
	assert.ErrorContains(t, err, "too many broken images")
	assert.NotEmpty(t, listed(c.Out))
	c = small(t)
	c.Data.MaxBroken = 0.5
	_, err = Run(context.Background(), c, WithSource(&stripes{n: 40, broken: map[int]bool{1: true, 2: true, 3: true}}))
	assert.NoError(t, err)
}

func TestBadConfiguration(t *testing.T) {
	c := small(t)
	c.Loss.Lambda = 2
	c.Encoder.PatchSize = config.Of(5)
	c.Precision = "int3"
	_, err := Run(context.Background(), c, WithSource(&stripes{n: 40}))
	for _, part := range []string{"loss.lambda: 2", "encoder.image_size: 16", `precision: "int3"`} {
		assert.ErrorContains(t, err, part)
	}
	assert.NoDirExists(t, c.Out, "nothing is left of a run that could not begin")

	for what, change := range map[string]func(*config.Config){
		"unknown model":                   func(c *config.Config) { c.Encoder.Name = "vit_tini_patch16_224" },
		"there is no such file or folder": func(c *config.Config) { c.Data.Path = filepath.Join(t.TempDir(), "nowhere") },
		"fewer than a batch":              func(c *config.Config) { c.Schedule.BatchSize = config.Of(41) },
		"cuda:99":                         func(c *config.Config) { c.Device = "cuda:99" },
		"expected 1, as the sou":          func(c *config.Config) { c.Encoder.Channels = config.Of(3) },
	} {
		c := small(t)
		change(&c)
		opts := []Option{WithSource(&stripes{n: 40})}
		if c.Data.Path != "" {
			opts = nil
		}
		_, err := Run(context.Background(), c, opts...)
		assert.ErrorContains(t, err, what)
	}
}

// TestOtherImages: a run does not go on with other images than it saw, as its order counts on them.
func TestOtherImages(t *testing.T) {
	c := small(t)
	c.Schedule.Steps = config.Of(2)
	_, err := Run(context.Background(), c, WithSource(&stripes{n: 40}))
	require.NoError(t, err)
	c.Schedule.Steps = config.Of(4)
	_, err = Run(context.Background(), c, WithSource(&stripes{n: 41}))
	assert.ErrorContains(t, err, "it had 40 and there are 41 now")
	res, err := Run(context.Background(), c, WithSource(&stripes{n: 40}))
	require.NoError(t, err, "longer is fine")
	assert.Equal(t, 4, res.Steps)
}

// TestEditedConfigFile: what a checkpoint was made with is in the checkpoint, whatever becomes of config.yaml.
func TestEditedConfigFile(t *testing.T) {
	c := small(t)
	c.Schedule.Steps = config.Of(1)
	_, err := Run(context.Background(), c, WithSource(&stripes{n: 40}))
	require.NoError(t, err)
	edited, err := config.Load(filepath.Join(c.Out, "config.yaml"))
	require.NoError(t, err)
	edited.Loss.Lambda = 0.7
	require.NoError(t, edited.Save(filepath.Join(c.Out, "config.yaml")))
	c.Loss.Lambda = 0.7
	_, err = Run(context.Background(), c, WithSource(&stripes{n: 40}))
	assert.ErrorContains(t, err, "loss.lambda: 0.7 here, 0.02 in that run")
}

func TestTwoProcessesInOneFolder(t *testing.T) {
	c := small(t)
	require.NoError(t, os.MkdirAll(c.Out, 0o755))
	lock, err := lockFolder(c.Out)
	require.NoError(t, err)
	_, err = Run(context.Background(), c, WithSource(&stripes{n: 40}))
	assert.ErrorContains(t, err, "another process is training there")
	lock.release()
	_, err = Run(context.Background(), c, WithSource(&stripes{n: 40}))
	assert.NoError(t, err)
}

// TestWarmUp is given in epochs and images: 40 images are five batches of eight.
func TestWarmUp(t *testing.T) {
	for length, want := range map[config.Length][]float64{
		config.StepsOf(2):    {0.005, 0.01, 0.01, 0.005, 0},
		config.EpochsOf(0.6): {0.01 / 3, 0.02 / 3, 0.01, 0.01, 0},
		config.ImagesOf(16):  {0.005, 0.01, 0.01, 0.005, 0},
	} {
		c := small(t)
		c.Optim.LR, c.Optim.FinalLR, c.Optim.WarmupSteps = config.Of(0.01), config.Of(0.0), length
		c.Schedule.Steps = config.Of(5)
		_, err := Run(context.Background(), c, WithSource(&stripes{n: 40}))
		require.NoError(t, err)
		log, err := runlog.Read(filepath.Join(c.Out, "metrics.jsonl"))
		require.NoError(t, err)
		for i, s := range log.Steps {
			assert.InDelta(t, want[i], s.LR, 1e-12, "%s: step %d", length, s.Step)
		}
	}
}

// oneClass has images whose labels are all the same, of two classes that there are.
type oneClass struct{ stripes }

func (*oneClass) Label(int) (int, bool) { return 1, true }

// TestTrainingOutlivesEvaluation: figures that cannot be had cost neither weights nor report.
func TestTrainingOutlivesEvaluation(t *testing.T) {
	c := small(t)
	c.EvalEvery = config.Every{Steps: 2}
	var log bytes.Buffer
	res, err := Run(context.Background(), c, WithSource(&oneClass{stripes{n: 40}}), WithOutput(&log))
	require.NoError(t, err)
	assert.NotContains(t, res.Values, "knn")
	assert.Contains(t, res.Values, "rankme", "what needs no labels is measured all the same")
	assert.Contains(t, log.String(), "not evaluated after step 2:")
	assert.Contains(t, log.String(), "not evaluated:")
	assert.FileExists(t, filepath.Join(c.Out, "report.html"))
}

func TestOutThatCannotBe(t *testing.T) {
	c := small(t)
	require.NoError(t, os.WriteFile(filepath.Dir(c.Out)+"/file", nil, 0o644))
	c.Out = filepath.Join(filepath.Dir(c.Out), "file", "run")
	_, err := Run(context.Background(), c, WithSource(&stripes{n: 40}))
	assert.ErrorContains(t, err, c.Out)
}

func TestLearning(t *testing.T) {
	// Stripes that lie and stripes that stand: predicting one crop from another needs no more than the direction.
	c := small(t)
	c.Views.Flip, c.Views.Solarize.P, c.Views.Jitter.P = 0.5, config.Of(0.0), 0
	c.Schedule.BatchSize, c.Schedule.Steps = config.Of(32), config.Of(60)
	c.Optim.LR = config.Of(5e-3)
	c.Loss.Lambda = 0.05
	res, err := Run(context.Background(), c, WithSource(&stripes{n: 200}))
	require.NoError(t, err)
	log, err := runlog.Read(filepath.Join(c.Out, "metrics.jsonl"))
	require.NoError(t, err)
	first, last := 0.0, 0.0
	for i := range 10 {
		first += log.Steps[i].Loss
		last += log.Steps[len(log.Steps)-1-i].Loss
	}
	assert.Less(t, last, 0.8*first, "the loss falls")
	assert.Greater(t, res.Values["knn"], 0.9)
}
