package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gojepa/gojepa/internal/atomicfile"
	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/train/runlog"
	"github.com/gojepa/gojepa/vision/views"
)

// maxBacks is how often a run may step back. One that diverges more often has another fault than bad luck.
const maxBacks = 3

// diverged keeps the evidence of a step that was not finite. With on_divergence "back" the run then stands where its last
// checkpoint was made, and the loader that is returned goes on from there with other random streams, in place of the one given.
// Otherwise the error is d.
func (r *run) diverged(ctx context.Context, loader *views.Loader, batch *views.Batch, d *DivergedError, f figures) (*views.Loader, error) {
	dir := filepath.Join(r.cfg.Out, fmt.Sprintf("diverged-%08d", d.Step))
	if n := len(r.at.Backs); n > 0 {
		dir += fmt.Sprintf("-%d", n+1)
	}
	if err := r.keepEvidence(ctx, dir, batch, f); err != nil {
		r.printf("the batch of step %d could not be saved: %v\n", d.Step, err) // which is no reason to say less about the step
	} else {
		d.Dir = dir
	}
	if r.cfg.OnDivergence != "back" {
		return loader, d
	}
	if n := len(r.at.Backs); n >= maxBacks {
		return loader, fmt.Errorf("the run stepped back %d times already: %w", n, d)
	}
	if err := r.back(ctx, d); err != nil {
		return loader, err
	}
	next, err := r.loader(ctx)
	if err != nil {
		return loader, err
	}
	loader.Close()
	return next, nil
}

// keepEvidence saves what repeats a step: the state before it, and in readable form its views, images and figures.
func (r *run) keepEvidence(ctx context.Context, dir string, batch *views.Batch, f figures) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := r.saveState(filepath.Join(dir, checkpointFile)); err != nil {
		return err
	}
	for _, name := range []string{initFile, tokenizerFile} { // that a run begins with, if it does
		if err := atomicfile.Link(filepath.Join(r.cfg.Out, name), filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	log, err := runlog.Open(filepath.Join(dir, metricsFile), 0)
	if err != nil {
		return err
	}
	if err := errors.Join(log.Step(r.recordOf(f)), log.Close()); err != nil {
		return err
	}
	return writeBatch(context.WithoutCancel(ctx), dir, r.data.train, batch, r.at.Step+1, r.seed)
}

// recordOf is what is known of the step that follows, times aside.
func (r *run) recordOf(f figures) runlog.Step {
	return runlog.Step{
		Step: r.at.Step + 1, Epoch: r.epoch(r.at.Step + 1), Loss: f.Loss, Prediction: f.Prediction,
		SIGReg: f.SIGReg, SIGRegSE: f.SIGRegSE, SIGRegExpected: r.expected, LR: f.lr, GradNorm: f.gradNorm,
		Texts: f.texts,
	}
}

// back puts the run where its last checkpoint was made that it did not go back to yet, with other random streams from there on.
// The checkpoint is written again with that, so that a run which is killed goes on in the same way.
func (r *run) back(ctx context.Context, d *DivergedError) error {
	skipped := func(path string, err error) { r.printf("%v: looking for one before it\n", err) }
	fresh := func(at position) bool {
		return at.Step < d.Step && !slices.ContainsFunc(r.at.Backs, func(b runlog.Back) bool { return b.Step == at.Step })
	}
	c, err := newest(r.cfg.Out, func(at position) bool { return fresh(at) && !at.Extra }, skipped)
	if c == nil && err == nil {
		c, err = newest(r.cfg.Out, fresh, skipped)
	}
	if err != nil {
		return errors.Join(d, err)
	}
	if c == nil {
		return fmt.Errorf("there is no other checkpoint to go back to: %w", d)
	}
	defer c.file.Close()
	at := c.at
	at.Elapsed, at.Broken, at.BadTexts, at.Backs = r.at.Elapsed, r.at.Broken, r.at.BadTexts, r.at.Backs
	at.Backs = append(at.Backs[:len(at.Backs):len(at.Backs)], runlog.Back{
		Step: at.Step, Epoch: r.epoch(at.Step), From: d.Step,
		Seed: rng.New(r.cfg.Seed, rng.Retry, uint64(len(r.at.Backs)+1), 0).Uint64(),
	})
	var failed error
	err = r.th.Do(ctx, func(s *torch.Scope) { failed = r.restore(s, c) })
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	r.at = at
	if err := r.reseed(); err != nil {
		return err
	}
	r.printf("%v\n", d)
	r.printf("going back to the checkpoint after step %d, and on with the seed %d\n", at.Step, r.seed)
	if err := r.checkpoint(); err != nil {
		return err
	}
	if err := r.log.Close(); err != nil {
		return err
	}
	return r.openLog()
}

// reseed has views and slices use the random streams of the run's next step.
func (r *run) reseed() error {
	r.seed = r.at.seed(r.cfg.Seed, r.at.Step)
	r.objective.Slices.Seed = r.seed
	return r.views()
}

// buffers are copies of what a forward pass changes besides gradients: running statistics. They are what a step that came to
// nothing gives back.
type buffers struct {
	values, copies []torch.Tensor
	known          bool
}

// take copies them.
func (b *buffers) take(s *torch.Scope, parts []part) {
	s.NoGrad(func() {
		if !b.known {
			for _, p := range parts {
				for _, q := range p.params.All() {
					if q.Buffer {
						b.values = append(b.values, q.Value)
						b.copies = append(b.copies, s.Use(q.Value).Clone().Keep())
					}
				}
			}
			b.known = true
			return
		}
		for i, v := range b.values {
			s.Use(b.copies[i]).Copy_(v)
		}
	})
}

// restore puts them back.
func (b *buffers) restore(s *torch.Scope) {
	s.NoGrad(func() {
		for i, v := range b.values {
			s.Use(v).Copy_(b.copies[i])
		}
	})
}

// free frees the copies.
func (b *buffers) free() {
	for _, c := range b.copies {
		c.Free()
	}
	*b = buffers{}
}
