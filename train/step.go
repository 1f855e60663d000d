package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/gojepa/gojepa/lejepa"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/torch/optim"
	"github.com/gojepa/gojepa/train/runlog"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/views"
)

// ErrDiverged is wrapped by the error of a run whose loss or gradient became infinite or NaN: a *[DivergedError].
var ErrDiverged = errors.New("loss or gradient is not finite")

// DivergedError says where a run diverged. Weights and checkpoints are those from before that step.
type DivergedError struct {
	Dir      string         // folder with the batch and the state before the step, which [Replay] repeats; "" if it could not be saved
	Step     int            // the step, 1 being the first
	Metrics  lejepa.Metrics // its figures
	GradNorm float64        // norm of its gradient
	Files    []string       // the images of its batch
}

// Error names the step, the parts of the loss and the first files of the batch.
func (e *DivergedError) Error() string {
	files := e.Files
	more := ""
	if n := len(files) - 10; n > 0 {
		files, more = files[:10], fmt.Sprintf(" and %d more", n)
	}
	repeat := ""
	if e.Dir != "" {
		repeat = fmt.Sprintf(" Its batch and the state before it are in %s; this repeats it: train --replay %s --at %d", e.Dir, e.Dir, e.Step)
	}
	return fmt.Sprintf("step %d: %v (prediction %g, SIGReg %g, gradient's norm %g); --on-divergence back goes on from the last checkpoint with another seed; with another --out, a lower --lr or a limit on the norm, --optim.clip_norm, may help. Images of the batch: %s%s.%s",
		e.Step, ErrDiverged, e.Metrics.Prediction, e.Metrics.SIGReg, e.GradNorm, strings.Join(files, ", "), more, repeat)
}

// Unwrap returns [ErrDiverged].
func (e *DivergedError) Unwrap() error { return ErrDiverged }

// trainer is everything that a step changes or reads.
type trainer struct {
	th        *torch.Thread
	model     *lejepa.Model // of images
	text      *lejepa.Model // of their captions; nil for none
	objective lejepa.Objective
	expected  float64 // of SIGReg, where projections are standard Gaussian
	optimiser optim.Optimiser
	average   *optim.EMA // of the encoder's weights; nil for none
	schedule  optim.Schedule
	bf16      bool
	clip      float64 // largest norm of the gradient, 0 for no limit
	micro     int     // images that are encoded at a time, 0 for all
	segments  bool    // activations within the encoder's blocks are computed again
	seed      uint64
	mean, std []float64 // of each channel, of samples in [0, 1]
	before    buffers   // as they were before the step
}

// figures are what one step came to.
type figures struct {
	lejepa.Metrics
	gradNorm, lr float64
	texts        *runlog.Texts // nil without captions
}

// finite reports whether the step may change the weights.
func (f figures) finite() bool {
	return f.Finite() && !math.IsNaN(f.gradNorm) && !math.IsInf(f.gradNorm, 0)
}

// step is one optimiser step on a batch, step 0 being the first of the run.
func (t *trainer) step(ctx context.Context, step int, b *views.Batch) (figures, error) {
	f := figures{lr: t.schedule.At(step)}
	err := t.th.Do(ctx, func(s *torch.Scope) {
		t.before.take(s, t.parts())
		end := s.Span("optimiser")
		t.optimiser.ZeroGrad(s)
		end()
		loss := t.gradients(s, step, b)
		defer s.Span("optimiser")()
		// The one place of a step where the host waits for the device.
		metrics, also := loss.Metrics(s, append(textLoss(loss), t.optimiser.GradNorm(s))...)
		f.Metrics, f.gradNorm = metrics, also[len(also)-1]
		if t.text != nil {
			f.texts = textFigures(textsOf(b), also[:len(also)-1])
		}
		if !f.finite() {
			t.before.restore(s)
			return // the weights stay as they are
		}
		if t.clip > 0 && f.gradNorm > t.clip {
			t.optimiser.ScaleGrad(s, t.clip/f.gradNorm)
		}
		t.optimiser.Step(s, f.lr)
		if t.average != nil {
			t.average.Update(s, step+1)
		}
	})
	if err != nil {
		return f, fmt.Errorf("step %d: %w", step+1, err)
	}
	if !f.finite() {
		return f, &DivergedError{Step: step + 1, Metrics: f.Metrics, GradNorm: f.gradNorm, Files: names(b)}
	}
	return f, nil
}

// gradients adds those of a batch to the parameters', at once or in pieces, and returns the loss.
func (t *trainer) gradients(s *torch.Scope, step int, b *views.Batch) lejepa.Loss {
	pass := nn.Pass{Train: true, Seed: t.seed, Step: uint64(step)}
	objective := func(s *torch.Scope, z []torch.Tensor) lejepa.Loss {
		defer s.Span("loss")()
		found := []lejepa.Views{{Z: z[0], Globals: globals(b)}}
		if t.text != nil {
			found = append(found, lejepa.Views{Z: z[1], Samples: textsOf(b).Samples})
		}
		return t.objective.ComputeJoint(s, found, int64(b.Rows()), uint64(step))
	}
	if micro := t.micro > 0 && t.micro < b.Rows(); micro || t.segments {
		cut := lejepa.Micro{Images: int64(b.Rows()), Cast: t.precision(), Segments: t.segments}
		if micro {
			cut.Images = int64(t.micro)
		}
		return t.joint().Accumulate(s, t.kinds(b), cut, pass, objective)
	}
	loss := objective(s, t.forward(s, b, pass))
	defer s.Span("backward")()
	loss.Total.Backward()
	return loss
}

// precision is what encoder and projector compute in.
func (t *trainer) precision() torch.DType {
	if t.bf16 {
		return torch.BFloat16
	}
	return torch.Float32
}

// joint is what is trained, kind of views by kind.
func (t *trainer) joint() lejepa.Joint {
	if t.text == nil {
		return lejepa.Joint{t.model}
	}
	return lejepa.Joint{t.model, t.text}
}

// kinds are a batch's views: of images and, in a run on captions, of these.
func (t *trainer) kinds(b *views.Batch) []lejepa.Kind {
	all := []lejepa.Kind{{Crops: t.crops(b), N: int64(b.Rows())}}
	if t.text != nil {
		all = append(all, textKind(textsOf(b)))
	}
	return all
}

// forward moves a batch to the device and returns the projections [V, N, K] of each kind of views, global ones first.
func (t *trainer) forward(s *torch.Scope, b *views.Batch, p nn.Pass) (z []torch.Tensor) {
	s.Child(func(s *torch.Scope) torch.Tensor {
		end := s.Span("transfer")
		kinds := t.kinds(b)
		all := make([][]torch.Tensor, len(kinds))
		for i, k := range kinds {
			for _, c := range k.Crops {
				all[i] = append(all[i], c.Images(s, 0, c.Views*k.N).Unflatten(0, c.Views, k.N))
			}
		}
		end()
		defer s.Span("forward")()
		s.Autocast(t.precision(), func() { z = t.joint().Forward(s, all, p) })
		s.Return(z...)
		return torch.Tensor{}
	})
	return z
}

// crops are the views of a batch's images, which are moved to the device when they are asked for.
func (t *trainer) crops(b *views.Batch) []lejepa.Crops {
	all := make([]lejepa.Crops, len(b.Groups))
	for i, g := range b.Groups {
		all[i] = lejepa.Crops{Views: int64(g.Views), Images: func(s *torch.Scope, from, to int64) torch.Tensor {
			return vision.NormaliseRows(s, &g, int(from), int(to), t.mean, t.std)
		}}
	}
	return all
}

// globals is the number of global views, which come first.
func globals(b *views.Batch) int {
	n := 0
	for _, g := range b.Groups {
		if g.Global {
			n += g.Views
		}
	}
	return n
}

func names(b *views.Batch) []string {
	all := make([]string, b.Rows())
	for i := range all {
		all[i] = b.Name(i)
	}
	return all
}
