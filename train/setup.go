package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gojepa/gojepa/internal/atomicfile"
	"github.com/gojepa/gojepa/lejepa"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/optim"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/train/live"
	"github.com/gojepa/gojepa/train/progress"
	"github.com/gojepa/gojepa/train/runlog"
	"github.com/gojepa/gojepa/vision/images"
	"github.com/gojepa/gojepa/vision/views"
)

// The files of a run's folder.
const (
	configFile     = runlog.ConfigFile
	metricsFile    = runlog.MetricsFile
	checkpointFile = "checkpoint.safetensors"
	encoderFile    = "encoder.safetensors"
	encoderPTFile  = "encoder.pt"
	encoderEMAFile = "encoder_ema.safetensors"
	scriptFile     = "encoder.torchscript"
	traceFile      = "trace.json"
	initFile       = "init.torchscript"
	reportFile     = "report.html"
	brokenFile     = "bad_files.txt"
	lockFile       = ".lock"

	textEncoderFile   = "text_encoder.safetensors"
	textEncoderPTFile = "text_encoder.pt"
	projectorsFile    = "projectors.safetensors" // of a run on captions
	tokenizerFile     = "tokenizer.json"
	badTextsFile      = "bad_captions.txt"
)

// run is a run that is under way.
type run struct {
	trainer
	cfg       config.Config // resolved
	options   options
	data      data
	texts     *texts // nil without captions
	transform views.Transform
	steps     int      // in all
	at        position // done
	newest    int      // step of the newest checkpoint, if it is whole and checkpoint.safetensors; or -1
	extra     bool     // whether that is an extra one
	damaged   []string // checkpoints that are
	log       *runlog.Writer
	lock      *folderLock
	evaluated time.Time // when features were last evaluated
	online    online
	stepTime  time.Duration // of a step of this session, on average

	trained, waited time.Duration // time of this session's steps but the first, and the part of it that waited for data
	profile         profile
	board           *live.Board
	server          *live.Server // nil if nothing is served
	output          io.Writer
	bar             *progress.Bar // while training
}

// open makes everything ready: the data, the resolved configuration, the model, and the state of a run that goes on.
func open(ctx context.Context, cfg config.Config, opts []Option) (_ *run, err error) {
	r := newRun(opts)
	device, err := deviceOf(cfg)
	if err != nil {
		return nil, err
	}
	r.board = &live.Board{}
	defer func() {
		if err != nil {
			r.lock.undo()
			r.close()
		}
	}()
	if r.server, err = listen(r.options.serve); err != nil {
		return nil, err
	}
	out := cfg.Out
	if out == "auto" {
		out = cfg.Resolve(config.Facts{}).Out
	}
	// Before anything is read that another process could be writing.
	if r.lock, err = lockFolder(out); err != nil {
		return nil, err
	}
	if err := atomicfile.RemoveStale(out, ours); err != nil {
		return nil, fmt.Errorf("removing what a process that was killed had begun to write: %w", err)
	}
	before, err := previous(out)
	if err != nil {
		return nil, err
	}
	if before != nil {
		if !cfg.Resume {
			return nil, fmt.Errorf("%s holds a run already: go on with it by --resume, or give another --out", out)
		}
		cfg = cfg.Adopt(*before)
	}
	if err := r.prepare(ctx, cfg, before == nil, device, out, func(s string) { r.printf("%s\n", s) }); err != nil {
		return nil, err
	}
	cfg = r.cfg
	if before != nil {
		if err := config.CheckResume(out, *before, cfg); err != nil {
			return nil, err
		}
	}
	if cfg.Data.Labelled() {
		if _, _, ok := r.data.evaluation(cfg.Seed); !ok {
			return nil, fmt.Errorf("--labels: %s has images of fewer than two classes: expected labels of two or more, or a folder for each, right below --data and --test-data", r.data.name)
		}
	}
	from, err := r.findCheckpoint()
	if err != nil {
		return nil, err
	}
	if err := r.ready(ctx, device, from); err != nil {
		return nil, err
	}
	if err := r.planProfile(); err != nil {
		return nil, err
	}
	if before != nil && from == nil {
		r.printf("%s has no checkpoint yet: starting over\n", cfg.Out)
	}
	if err := r.keepScript(); err != nil {
		return nil, err
	}
	if err := cfg.Save(filepath.Join(cfg.Out, configFile)); err != nil {
		return nil, err
	}
	if err := r.keepTokenizer(); err != nil { // after the configuration, without which a folder is no run's
		return nil, err
	}
	if err := r.openLog(); err != nil {
		return nil, err
	}
	r.announce()
	return r, r.watch(ctx)
}

// ready makes views, model and optimiser, with the state of a checkpoint, which it closes, or, if that is nil, the initial one.
func (r *run) ready(ctx context.Context, device torch.Device, from *saved) (err error) {
	if from != nil {
		defer func() { err = errors.Join(err, from.file.Close()) }()
		if err := config.CheckResume(r.cfg.Out, from.made, r.cfg); err != nil {
			return err
		}
	}
	r.steps = r.cfg.TotalSteps(r.data.train.Len())
	r.at = position{Data: fingerprintOf(r.data.train), Broken: map[string]string{}}
	if from != nil && from.at.Data != r.at.Data {
		return fmt.Errorf("%s was trained on other images: it had %d and there are %d now, or their names have changed: give another --out",
			r.cfg.Out, from.at.Data.Images, r.at.Data.Images)
	}
	if from != nil {
		r.at = from.at
	}
	if err := r.reseed(); err != nil {
		return err
	}
	if r.th, err = torch.Start(torch.Options{Device: device, Threads: r.cfg.Threads.Or(runtime.NumCPU())}); err != nil {
		return err
	}
	return r.build(ctx, from)
}

// openLog opens the run's record, cut to where the run is.
func (r *run) openLog() (err error) {
	if r.log, err = runlog.Open(filepath.Join(r.cfg.Out, metricsFile), r.at.Step, r.at.Backs...); err != nil {
		return err
	}
	if r.texts != nil {
		r.log.WithTexts()
	}
	return r.log.Also(r.cfg.Out, r.cfg.Log...)
}

// previous is the configuration of the run in a folder, nil if there is none. A folder with other things in it that has no
// run is an error, as a run's files would be lost among them, or overwrite them.
func previous(out string) (*config.Config, error) {
	entries, err := os.ReadDir(out)
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
		return slices.Contains([]string{lockFile, indexFolder, runlog.OutputFile}, e.Name())
	})
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("--out: %w", err)
	}
	path := filepath.Join(out, configFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("--out %s: the folder has files but no run (no %s): give an empty or a new one", out, configFile)
	}
	c, err := config.Load(path)
	if err != nil {
		return nil, fmt.Errorf("the run in %s: %w", out, err)
	}
	return &c, nil
}

// views makes the transform.
func (r *run) views() error {
	v := r.cfg.ViewsConfig()
	r.mean, r.std = v.Mean, v.Std
	r.transform = r.options.transform
	if r.transform == nil {
		t, err := views.New(v, r.data.kind(), r.seed)
		if err != nil {
			return err
		}
		r.transform = t
	}
	layout := r.transform.Layout()
	if len(layout) == 0 || !layout[0].Global {
		return fmt.Errorf("views: the first group of the transform must be global views")
	}
	return nil
}

// projectorSeed keeps the projector's initial weights from being those of an encoder.
const projectorSeed = 1 << 63

// build makes model and optimiser, with the state of a checkpoint or, if that is nil, the initial one.
func (r *run) build(ctx context.Context, from *saved) error {
	c := r.cfg
	projector := lejepa.ProjectorConfig{Hidden: c.Projector.Hidden, Dim: c.Projector.Dim}
	r.objective = newObjective(c)
	if err := errors.Join(r.objective.Validate(), projector.Validate(), checkBatch(c)); err != nil {
		return err
	}
	r.schedule = optim.Schedule{Peak: c.Optim.LR.Or(0), Final: c.Optim.FinalLR.Or(0), Warmup: c.Warmup(r.data.train.Len()), Steps: r.steps}
	r.bf16 = c.Precision == "bf16"
	r.objective.Slices.Seed = r.seed
	r.micro = c.Schedule.MicroBatch.Or(0)
	r.segments = c.Schedule.Checkpoint
	if c.Optim.ClipNorm.On {
		r.clip = c.Optim.ClipNorm.Norm
	}
	r.model = &lejepa.Model{}
	var failed error
	err := r.th.Do(ctx, func(s *torch.Scope) {
		r.expected = r.objective.SIGReg().Expected(s, int64(c.Schedule.BatchSize.Or(1)))
		encoder, err := r.newEncoder(s, from != nil)
		if err != nil {
			failed = err
			return
		}
		r.model.Encoder = encoder
		if failed = r.checkSegments(); failed != nil {
			return
		}
		r.model.Projector = lejepa.NewProjector(s, r.model.Encoder.Dim(), projector, c.Seed^projectorSeed, torch.Float32)
		if r.texts != nil {
			if r.text, failed = r.newText(s, projector, from); failed != nil {
				return
			}
		}
		if r.optimiser, failed = r.newOptimiser(s); failed != nil {
			return
		}
		if c.Optim.EMA > 0 {
			r.average = optim.NewEMA(s, c.Optim.EMA, encoder.Params())
		}
		if from != nil {
			failed = r.restore(s, from)
		}
	})
	return errors.Join(err, failed)
}

// loader makes views from where the run is.
func (r *run) loader(ctx context.Context) (*views.Loader, error) {
	c := views.DefaultLoaderConfig()
	c.BatchSize = r.cfg.Schedule.BatchSize.Or(c.BatchSize)
	c.Workers = r.cfg.Workers.Or(runtime.NumCPU())
	c.Seed = r.seed
	c.Step = r.at.Step
	c.Reduce = r.cfg.Views.Reduce
	c.MaxBroken = max(r.cfg.Data.MaxBroken, 1/float64(r.data.train.Len())) // one is never too many
	c.OnBroken = r.leftOut
	c.OnImage = r.profile.onImage()
	if r.texts != nil {
		c.Beside = r.texts.beside(r.cfg.Text, r.seed)
	}
	// Not ctx: a batch that is ready when the run is interrupted may still be wanted, and Next has its own.
	return views.NewLoader(context.WithoutCancel(ctx), r.data.train, r.transform, c)
}

// leftOut takes note of an image that cannot be read.
func (r *run) leftOut(b views.Broken) {
	if _, known := r.at.Broken[b.Name]; !known {
		r.printf("left out %s: %v\n", b.Name, b.Err)
	}
	r.at.Broken[b.Name] = b.Err.Error()
}

// epoch is how many passes over the images so many steps are.
func (r *run) epoch(step int) float64 {
	return float64(step) / float64(r.cfg.StepsPerEpoch(r.data.train.Len()))
}

// close frees what the run holds.
func (r *run) close() {
	if r.server != nil {
		r.server.Close()
	}
	if r.log != nil {
		r.log.Close()
	}
	if r.optimiser != nil {
		r.optimiser.Close()
	}
	if r.average != nil {
		r.average.Close()
	}
	for _, m := range r.joint() {
		if m != nil && m.Projector != nil {
			m.Projector.Params().Close()
		}
		if m != nil && m.Encoder != nil {
			m.Encoder.Params().Close()
		}
	}
	if r.th != nil {
		r.th.Close()
	}
	r.before.free()
	r.lock.release()
}

// printf writes a message, above the bar if there is one.
func (r *run) printf(format string, a ...any) {
	if r.bar != nil {
		fmt.Fprintf(r.bar, format, a...)
		return
	}
	fmt.Fprintf(r.output, format, a...)
}

// announce says what is about to happen.
func (r *run) announce() {
	c := r.cfg
	r.printf("%s images of %s, %d channel(s)%s; views %s\n", thousands(r.data.train.Len()), r.data.name, r.data.channels, r.describeDecoder(), r.describeViews())
	r.printf("%s, %.1f M parameters, %s on %s; batch %d, %d steps (%.1f epochs)\n", r.encoderName(),
		float64(r.model.Encoder.Params().Count())/1e6, c.Precision, r.th.Device(), c.Schedule.BatchSize.Or(0), r.steps,
		float64(r.steps)/float64(c.StepsPerEpoch(r.data.train.Len())))
	if r.texts != nil {
		r.printf("%s\n", r.describeTexts())
	}
	if p, err := views.Preset(c.Views.Preset); err == nil && r.data.channels != 3 && r.options.transform == nil && len(c.Views.Steps) == 0 {
		if out := leftOut(p, p.For(r.data.kind()), c.ViewsConfig()); len(out) > 0 {
			r.printf("left out of the views' recipe, as images of %d channel(s) have no use for it: %s\n", r.data.channels, strings.Join(out, ", "))
		}
	}
	if batch := c.Schedule.BatchSize.Or(0); r.micro > 0 && r.micro < batch {
		r.printf("encoded %d images at a time, with the gradients of the whole batch%s\n", r.micro, r.pieces())
	}
	if c.Optim.Name == config.ScheduleFree && r.batchNorm() {
		r.printf("running statistics of the encoder's BatchNorm are those of the weights in training, not of their average\n")
	}
	if r.at.Step > 0 {
		r.printf("going on with the run in %s after step %d\n", c.Out, r.at.Step)
	}
}

// pieces says what an encoder with BatchNorm does not keep when a batch is encoded in pieces.
func (r *run) pieces() string {
	if r.batchNorm() {
		return ", but that its BatchNorm sees the statistics of those, and its running ones move by each piece"
	}
	return ""
}

// batchNorm reports whether the encoder has any.
func (r *run) batchNorm() bool {
	return slices.ContainsFunc(r.model.Encoder.Params().All(), func(p *torch.Param) bool {
		return p.Buffer && strings.HasSuffix(p.Name, "running_mean")
	})
}

// encoderName is what the encoder is called.
func (r *run) encoderName() string {
	if r.options.encoder != nil {
		return "its own encoder"
	}
	return r.cfg.Encoder.Name
}

// describeViews says how many views there are, and of what size.
func (r *run) describeViews() string {
	var parts []string
	for _, l := range r.transform.Layout() {
		parts = append(parts, fmt.Sprintf("%d × %d px", l.Views, l.Size))
	}
	return strings.Join(parts, " + ")
}

// leftOut names what a recipe has, but neither what of it suits the images nor the run's configuration.
func leftOut(recipe, suited, c views.Config) (names []string) {
	for _, a := range []struct {
		name string
		of   func(views.Config) float64
	}{
		{"saturation", func(c views.Config) float64 { return c.Jitter.Saturation }}, {"hue", func(c views.Config) float64 { return c.Jitter.Hue }},
		{"grayscale", func(c views.Config) float64 { return c.Grayscale }}, {"solarize", func(c views.Config) float64 { return c.Solarize.P }},
		{"drop_channels", func(c views.Config) float64 { return c.DropChannels.P }},
	} {
		if a.of(recipe) > 0 && a.of(suited) == 0 && a.of(c) == 0 {
			names = append(names, a.name)
		}
	}
	return names
}

// describeDecoder says what decodes JPEG files, where there may be some.
func (r *run) describeDecoder() string {
	var d images.JPEGDecoder
	if r.options.source != nil || r.cfg.Data.Path == "" || d.UnmarshalText([]byte(r.cfg.Data.JPEG)) != nil {
		return ""
	}
	return ", JPEG by " + d.Describe()
}

// thousands writes a count with separators.
func thousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// median is the middle of some values.
func median(v []int) int {
	slices.Sort(v)
	return v[len(v)/2]
}
