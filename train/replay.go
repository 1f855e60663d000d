package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/train/runlog"
	"github.com/gojepa/gojepa/vision/views"
)

// ReplayConfig says which step of which run is done again.
type ReplayConfig struct {
	Run  string // folder of the run, or the one in it that a step which diverged was saved in
	Step int    // as metrics.jsonl counts, 1 being the first
	Out  string // folder for what comes of it, not within Run; "" is beside the run, with the step in its name

	Data    string // where the images are; "" is where they were
	Device  string // "" is the run's
	Threads int    // of the CPU; 0 is as many as the run had, which bits of results depend on
	Workers int    // that make views; 0 is the run's choice
}

// Replayed is what came of a step that was done again.
type Replayed struct {
	Out      string            // the folder with its views
	From     int               // steps that the checkpoint had done that it began with, 0 being none
	Step     runlog.Step       // its figures; times are zero
	Recorded bool              // whether the run's record has the step
	Figures  []runlog.Compared // its figures beside those of the record, if there are any
	Diverged bool              // whether loss or gradient was not finite
	// Parted is the first step since From whose figures are not those of the record; 0 if there is none.
	Parted int
}

// Identical reports whether all figures are bit for bit those of the record.
func (r *Replayed) Identical() bool {
	return r.Recorded && !slices.ContainsFunc(r.Figures, func(c runlog.Compared) bool { return !c.Identical })
}

// Replay does a step of a run again, from the nearest checkpoint at or before it that is kept, or else from the beginning.
// On the same kind of processor with the same libtorch and as many threads it comes to the same bits. It writes to c.Out: the
// step's views as pictures and exact tensors, its images' names (step.json), and its figures (metrics.jsonl). The run's folder
// is only read. A step that diverges is no error.
func Replay(ctx context.Context, c ReplayConfig, opts ...Option) (_ *Replayed, err error) {
	r := newRun(opts)
	if c.Step < 1 {
		return nil, fmt.Errorf("replay: step %d, expected 1 or more, as metrics.jsonl counts them", c.Step)
	}
	out, err := replayFolder(c)
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	from, last, err := r.recall(c)
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	if err := r.open(ctx, from); err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	defer r.close()
	if c.Step > r.steps {
		return nil, fmt.Errorf("replay: step %d, expected %d at most, the length of the run", c.Step, r.steps)
	}
	record, err := runlog.Read(filepath.Join(c.Run, metricsFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("replay: %w", err)
	}
	if last != nil {
		if last.at.Data != r.at.Data {
			return nil, fmt.Errorf("replay: %s was trained on other images: it had %d and there are %d now, or their names have changed; --data says where they are",
				c.Run, last.at.Data.Images, r.at.Data.Images)
		}
		// It knows of steps back that lay ahead of the checkpoint that is begun with.
		r.at.Backs = last.at.Backs
	}
	if err := r.reseed(); err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	return r.replay(ctx, c.Step, out, record)
}

// replayFolder is the folder that a replay writes to. It may have been written by one before.
func replayFolder(c ReplayConfig) (string, error) {
	run, err := filepath.Abs(c.Run)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(run); err != nil {
		return "", err
	}
	if parent := filepath.Dir(run); isRun(parent) {
		run = parent // of a step that diverged
	}
	out := c.Out
	if out == "" {
		out = fmt.Sprintf("%s-step-%d", run, c.Step)
	}
	abs, err := filepath.Abs(out)
	if err != nil {
		return "", err
	}
	if rel, err := filepath.Rel(run, abs); err == nil && filepath.IsLocal(rel) {
		return "", fmt.Errorf("--out %s: expected a folder outside of the run's, %s, which is only read", out, run)
	}
	entries, err := os.ReadDir(out)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("--out: %w", err)
	}
	before := slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == batchFile })
	if len(entries) > 0 && (!before || isRun(out)) {
		return "", fmt.Errorf("--out %s: the folder has other files than a replay's: give an empty or a new one", out)
	}
	return out, nil
}

func isRun(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, configFile))
	return err == nil
}

// recall finds the checkpoint before a step and sets r's configuration to what the step was done with. The checkpoint is nil where
// none is kept. last is the newest checkpoint, closed, or nil.
func (r *run) recall(c ReplayConfig) (from, last *saved, err error) {
	skipped := func(_ string, err error) { r.printf("%v\n", err) }
	find := func(wanted func(at position) bool) (*saved, error) { return newest(c.Run, wanted, skipped) }
	last, err = find(func(position) bool { return true })
	if err != nil {
		return nil, nil, err
	}
	var on machine
	if last != nil {
		on = last.on
		if err := last.file.Close(); err != nil {
			return nil, nil, err
		}
	}
	made, err := madeWith(c, last)
	if err != nil {
		return nil, nil, err
	}
	if from, err = find(func(at position) bool { return at.Step < c.Step }); err != nil {
		return nil, nil, err
	}
	if c.Data != "" {
		made.Data.Path = c.Data
	}
	if c.Device != "" {
		made.Device = c.Device
	} else if on.Device != "" {
		made.Device = strings.ToLower(on.Device)
	}
	if c.Workers > 0 {
		made.Workers = config.Of(c.Workers)
	}
	switch {
	case c.Threads > 0:
		made.Threads = config.Of(c.Threads)
	case on.Threads > 0:
		made.Threads = config.Of(on.Threads)
	}
	if on.Libtorch != "" && on.Libtorch != torch.Version() {
		r.printf("the run was made with libtorch %s, this is %s: figures may differ\n", on.Libtorch, torch.Version())
	}
	made.Data.Index = "none" // as its folder may be the run's
	made.Out = c.Run         // to read from
	if from != nil {
		from.made.Data.Path = made.Data.Path
	}
	r.cfg = made
	return from, last, nil
}

// madeWith is the configuration of a step: that of the first checkpoint after it, as a run may have been made longer since, or
// else the run's newest.
func madeWith(c ReplayConfig, last *saved) (config.Config, error) {
	others, err := keptIn(c.Run)
	if err != nil {
		return config.Config{}, err
	}
	slices.Reverse(others)
	for _, k := range others {
		if k.step < c.Step {
			continue
		}
		if next, err := openCheckpoint(k.path); err == nil {
			return next.made, next.file.Close()
		}
	}
	if last != nil && last.at.Step >= c.Step {
		return last.made, nil
	}
	made, err := config.Load(filepath.Join(c.Run, configFile))
	if errors.Is(err, fs.ErrNotExist) && last != nil {
		return last.made, nil
	}
	if err != nil {
		return config.Config{}, fmt.Errorf("%s holds no run: %w", c.Run, err)
	}
	return made, nil
}

// open makes data, views, model and optimiser of a configuration that is resolved, with a checkpoint's state.
func (r *run) open(ctx context.Context, from *saved) (err error) {
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	device, err := deviceOf(r.cfg)
	if err != nil {
		return err
	}
	if r.data, err = openData(ctx, r.cfg, r.options, "", func(string) {}); err != nil {
		return err
	}
	r.data.samples = nil
	if r.cfg.Text.On() {
		t, err := openTexts(r.cfg, r.cfg.Out)
		if err != nil {
			return err
		}
		if err := r.prepareTexts(ctx, t); err != nil {
			return err
		}
	}
	return r.ready(ctx, device, from)
}

// replay does the steps up to one, and that with its views written to a folder.
func (r *run) replay(ctx context.Context, step int, out string, record *runlog.Log) (*Replayed, error) {
	res := &Replayed{Out: out, From: r.at.Step}
	var loader *views.Loader
	defer func() {
		if loader != nil {
			loader.Close()
		}
	}()
	for {
		if seed := r.at.seed(r.cfg.Seed, r.at.Step); loader == nil || seed != r.seed {
			if loader != nil {
				loader.Close()
			}
			if err := r.reseed(); err != nil {
				return nil, fmt.Errorf("replay: %w", err)
			}
			var err error
			if loader, err = r.loader(ctx); err != nil {
				return nil, fmt.Errorf("replay: %w", err)
			}
		}
		batch, err := loader.Next(ctx)
		if err != nil {
			return nil, fmt.Errorf("replay: %w", err)
		}
		if r.at.Step+1 == step {
			if err := os.MkdirAll(out, 0o755); err != nil {
				return nil, fmt.Errorf("replay: --out: %w", err)
			}
			if err := writeBatch(ctx, out, r.data.train, batch, step, r.seed); err != nil {
				return nil, fmt.Errorf("replay: %w", err)
			}
		}
		f, err := r.step(ctx, r.at.Step, batch)
		res.Diverged = errors.Is(err, ErrDiverged)
		if err != nil && !(res.Diverged && r.at.Step+1 == step) {
			return nil, fmt.Errorf("replay: %w", err)
		}
		res.compare(r.recordOf(f), record)
		if r.at.Step++; r.at.Step == step {
			return res, res.write()
		}
	}
}

// compare puts a step beside the record of it.
func (r *Replayed) compare(s runlog.Step, record *runlog.Log) {
	r.Step, r.Recorded, r.Figures = s, false, nil
	if record == nil {
		return
	}
	i, found := slices.BinarySearchFunc(record.Steps, s.Step, func(a runlog.Step, step int) int { return a.Step - step })
	if !found {
		return
	}
	r.Recorded, r.Figures = true, runlog.Compare(record.Steps[i], s)
	if r.Parted == 0 && !r.Identical() {
		r.Parted = s.Step
	}
}

// write leaves the step's figures beside its views.
func (r *Replayed) write() error {
	log, err := runlog.Open(filepath.Join(r.Out, metricsFile), 0)
	if err == nil {
		err = errors.Join(log.Step(r.Step), log.Close())
	}
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	return nil
}
