// Package train pretrains encoders by LeJEPA. [Run] is a run from beginning to end; the unexported step of its trainer is
// one step.
package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/gojepa/gojepa/lejepa"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/train/progress"
	"github.com/gojepa/gojepa/vision/images"
	"github.com/gojepa/gojepa/vision/views"
)

// Option replaces a part of a run by one's own: what a configuration file cannot hold.
type Option func(*options)

type options struct {
	source, test images.Source
	encoder      func(s *torch.Scope, seed uint64) (lejepa.Encoder, error)
	transform    views.Transform
	output       io.Writer
	baselines    bool
	serve        string
}

// WithSource trains on images of one's own source, in place of the configuration's folder. If it is images.Labelled, its
// labels are used for evaluation.
func WithSource(s images.Source) Option { return func(o *options) { o.source = s } }

// WithTest evaluates on images of one's own source.
func WithTest(s images.Source) Option { return func(o *options) { o.test = s } }

// WithEncoder trains one's own encoder. make is called on the run's thread and leaves the encoder's parameters to the run,
// which closes them.
func WithEncoder(make func(s *torch.Scope, seed uint64) (lejepa.Encoder, error)) Option {
	return func(o *options) { o.encoder = make }
}

// WithTransform makes views in one's own way. Its first group holds the global views.
func WithTransform(t views.Transform) Option { return func(o *options) { o.transform = t } }

// WithOutput shows progress and messages on w; without it a run is silent.
func WithOutput(w io.Writer) Option { return func(o *options) { o.output = w } }

// WithBaselines also evaluates raw pixels and the encoder before training, at the end of a run with labels.
func WithBaselines() Option { return func(o *options) { o.baselines = true } }

// WithServer serves the run's report while it trains, at PORT, :PORT or HOST:PORT; port 0 is any that is free. The page follows
// the run by itself, and is seen from this machine only unless a host is given. The address is among the messages.
func WithServer(address string) Option { return func(o *options) { o.serve = address } }

// Result is what a run came to.
type Result struct {
	Out     string             // the run's folder
	Steps   int                // optimiser steps done, over all sessions
	Last    lejepa.Metrics     // figures of the last step
	Elapsed time.Duration      // training time over all sessions
	Values  map[string]float64 // of the last evaluation, as [runlog.Eval] has them: "rankme", "sigreg" and others of some images, and with labels "knn", "linear" and the same after "ema_", of averaged weights, and with baselines after "pixels_" and "untrained_", in [0, 1]
	Broken  map[string]string  // images that could not be read, by name, and why; over all sessions
	Config  config.Config      // resolved

	BadTexts map[string]string // images whose captions could not be used, likewise
}

// Interrupted is the error of a run that its context ended. Everything is saved, and the same call goes on from there.
type Interrupted struct {
	Step, Steps int // done, and in all
	Out         string
	Cause       error
}

// Error says how far the run was and where it is saved.
func (e *Interrupted) Error() string {
	return fmt.Sprintf("interrupted after step %d of %d; the run is saved in %s", e.Step, e.Steps, e.Out)
}

// Unwrap returns the context's error.
func (e *Interrupted) Unwrap() error { return e.Cause }

// Run pretrains an encoder as cfg says and leaves in cfg.Out its weights, the run's record and a report. If cfg.Out holds
// a run of the same configuration that was not finished, Run goes on with it; a finished one is evaluated again.
//
// Errors: what is wrong with cfg, all at once; *[config.MismatchError] if cfg.Out belongs to another configuration;
// *[DivergedError]; *[Interrupted] when ctx ends, with the run saved; what reading images or writing files failed with.
func Run(ctx context.Context, cfg config.Config, opts ...Option) (*Result, error) {
	r, err := open(ctx, cfg, opts)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if err := r.train(ctx); err != nil {
		return nil, err
	}
	return r.finish(ctx)
}

// train does the steps that are left.
func (r *run) train(ctx context.Context) (err error) {
	if r.at.Step >= r.steps {
		return nil
	}
	bar := progress.New(r.output, progress.Options{Total: r.steps, Start: r.at.Step, Unit: "step", Item: "images", Every: 10 * time.Second})
	defer bar.Finish()
	r.bar = bar
	defer func() { r.bar = nil }()
	// Also where the run does not get to its end, which may be because of them.
	defer func() { err = errors.Join(err, r.writeBroken()) }()

	if r.at.Step == 0 && r.newest < 0 && r.cfg.OnDivergence == "back" {
		if err := r.checkpoint(); err != nil { // to go back to, before there is another
			return err
		}
	}
	loader, err := r.loader(ctx)
	if err != nil {
		return err
	}
	defer func() { loader.Close() }()
	images, first := 0, r.at.Step
	r.board.Phase("training", r.steps)
	saved := time.Now()
	r.evaluated, r.online.began = saved, saved
	if err := r.evaluateIfDue(ctx, loader.Steps()); err != nil { // where a run goes on that was stopped before
		return r.stop(ctx, err)
	}
	defer r.endProfile()
	for r.at.Step < r.steps {
		r.profileStep()
		began := time.Now()
		batch, err := loader.Next(ctx)
		if err != nil {
			return r.stop(ctx, r.withoutData(ctx, err))
		}
		wait := time.Since(began)
		r.badTexts(batch)
		r.profile.spans.Add(mainLane, "waiting for data", began, began.Add(wait))
		f, err := r.step(ctx, r.at.Step, batch)
		if d := (*DivergedError)(nil); errors.As(err, &d) {
			r.endProfile()
			if loader, err = r.diverged(ctx, loader, batch, d, f); err != nil {
				return r.stop(ctx, err)
			}
			continue
		}
		if err != nil {
			return r.stop(ctx, err)
		}
		took := time.Since(began)
		record := r.recordOf(f)
		r.at.Step++
		r.at.Elapsed += took
		if images > 0 {
			r.trained, r.waited = r.trained+took, r.waited+wait // since the first batch, which nothing could be done before
		}
		images += batch.Rows()
		bar.Set(r.at.Step, images, append([]string{fmt.Sprintf("loss %.4f", f.Loss), fmt.Sprintf("prediction %.4f", f.Prediction),
			fmt.Sprintf("SIGReg %.3g (Gaussian %.3g)", f.SIGReg, r.expected), fmt.Sprintf("waiting for data %.1f %%", 100*share(r.waited, r.trained))}, r.online.shown...)...)
		record.ImagesPerS, record.WaitShare, record.Seconds = float64(batch.Rows())/took.Seconds(), share(wait, took), r.at.Elapsed.Seconds()
		if err := r.log.Step(record); err != nil {
			return err
		}
		r.board.Step(record)
		r.stepTime = r.trained / time.Duration(max(1, r.at.Step-first-1))
		// Before the checkpoint, which says whether it has been done.
		if err := r.evaluateIfDue(ctx, loader.Steps()); err != nil {
			return r.stop(ctx, err)
		}
		if r.cfg.CheckpointEvery.Due(r.at.Step, loader.Steps(), time.Since(saved)) {
			end := r.profile.spans.Span(mainLane, "checkpoint")
			if err := r.checkpoint(); err != nil {
				return err
			}
			end()
			saved = time.Now()
		}
	}
	r.endProfile()
	return r.checkpoint()
}

// evaluateIfDue evaluates after some steps, but for the last, after which [run.finish] does. Figures that cannot be had do not
// end a run: an error is of the context, or of the record.
func (r *run) evaluateIfDue(ctx context.Context, stepsPerEpoch int) error {
	if r.at.Step == 0 || r.at.Step >= r.steps || r.at.Evaluated == r.at.Step || !r.evaluationDue(stepsPerEpoch) {
		return nil
	}
	end := r.profile.spans.Span(mainLane, "evaluation")
	if err := r.evaluateOnline(ctx); err != nil {
		return err
	}
	end()
	r.at.Evaluated = r.at.Step
	return nil
}

// share is a part of a time, 0 if there was none.
func share(part, whole time.Duration) float64 {
	if whole <= 0 {
		return 0
	}
	return part.Seconds() / whole.Seconds()
}

// withoutData ends a run whose images cannot be had any more. What was trained until then is saved.
func (r *run) withoutData(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	if path := r.cfg.Data.Path; r.options.source == nil && path != "" {
		if _, gone := os.Stat(path); errors.Is(gone, fs.ErrNotExist) {
			err = fmt.Errorf("--data %s: it was there when the run began, and is not any more: %w", path, err)
		}
	}
	if failed := r.checkpointNow(); failed != nil {
		return errors.Join(err, failed)
	}
	return fmt.Errorf("%w\nthe run is saved in %s after step %d of %d; the same command goes on with it", err, r.cfg.Out, r.at.Step, r.steps)
}

// stop ends a run early. If its context has ended, the run is saved first. A run that diverged keeps its last checkpoint.
func (r *run) stop(ctx context.Context, err error) error {
	if ctx.Err() == nil || errors.Is(err, ErrDiverged) {
		return err
	}
	if failed := r.checkpointNow(); failed != nil {
		return errors.Join(err, failed)
	}
	return &Interrupted{Step: r.at.Step, Steps: r.steps, Out: r.cfg.Out, Cause: ctx.Err()}
}
