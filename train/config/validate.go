package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gojepa/gojepa/internal/fields"
	"github.com/gojepa/gojepa/train/runlog"
	"github.com/gojepa/gojepa/vision/images"
)

// problems gathers what is wrong with a configuration.
type problems []error

// check adds a problem unless ok.
func (p *problems) check(ok bool, key string, value any, expected string) {
	if !ok {
		*p = append(*p, fmt.Errorf("%s: %v, expected %s", key, value, expected))
	}
}

// atLeast checks a number that may be open.
func (p *problems) atLeast(least int, key string, a Auto[int]) {
	n, set := a.Get()
	p.check(!set || n >= least, key, a, fmt.Sprintf("%d or more, or auto", least))
}

var devicePattern = regexp.MustCompile(`^(auto|cpu|cuda|cuda:[0-9]+)$`)

// Validate reports every value that cannot be, joined, one line each: key, value and what was expected. Whether there
// is a model of that name, a device of that number or a folder at that path is not for it to say.
func (c Config) Validate() error {
	var p problems
	p.check(c.Data.MaxBroken >= 0 && c.Data.MaxBroken <= 1, "data.max_broken", c.Data.MaxBroken, "a share from 0 to 1")
	if _, err := images.ParseStretch(c.Data.Stretch); err != nil {
		p.check(false, "data.stretch", strconv.Quote(c.Data.Stretch), "auto, file, window, zscale, asinh, LOW:HIGH or percentile:LOW:HIGH")
	}
	e := c.Encoder
	p.check(e.Name != "", "encoder.model", `""`, "a model's name, or auto")
	p.atLeast(1, "encoder.image_size", e.ImageSize)
	p.atLeast(1, "encoder.patch_size", e.PatchSize)
	p.atLeast(1, "encoder.channels", e.Channels)
	p.atLeast(1, "encoder.width", e.Width)
	p.atLeast(1, "encoder.depth", e.Depth)
	p.atLeast(1, "encoder.heads", e.Heads)
	p.atLeast(1, "encoder.registers", e.Registers)
	scale, set := e.LayerScale.Get()
	p.check(!set || scale > 0, "encoder.layer_scale", e.LayerScale, "a number above 0, or auto")
	p.check(e.NumClasses >= 0, "encoder.num_classes", e.NumClasses, "0 or more")
	p.check(e.DropPath >= 0 && e.DropPath < 1, "encoder.drop_path", e.DropPath, "0 or more and less than 1")
	e.checkViT(&p)
	c.checkPatches(&p)
	c.Views.check(&p, e)
	c.Text.check(&p, c.Data.CaptionColumn)

	l := c.Loss
	p.check(l.Lambda >= 0 && l.Lambda <= 1, "loss.lambda", l.Lambda, "a number from 0 to 1")
	p.check(l.Slices >= 1, "loss.slices", l.Slices, "1 or more")
	p.check(l.Knots >= 2, "loss.knots", l.Knots, "2 or more")
	p.check(l.TMax > 0, "loss.t_max", l.TMax, "a number above 0")
	p.check(l.ResampleEvery >= 1, "loss.resample_every", l.ResampleEvery, "1 or more")
	p.check(l.Clip >= 0, "loss.clip", l.Clip, "0 or more")
	for _, h := range c.Projector.Hidden {
		p.check(h >= 1, "projector.hidden", h, "widths of 1 or more")
	}
	p.check(c.Projector.Dim >= 1, "projector.dim", c.Projector.Dim, "1 or more")

	s := c.Schedule
	p.atLeast(1, "schedule.batch_size", s.BatchSize)
	p.atLeast(0, "schedule.epochs", s.Epochs)
	p.atLeast(0, "schedule.steps", s.Steps)
	if _, both := s.Epochs.Get(); both {
		steps, both := s.Steps.Get()
		p.check(!both, "schedule.steps", steps, fmt.Sprintf("auto, as schedule.epochs is %s: one says how long to train", s.Epochs))
	}

	c.Optim.check(&p)

	for _, f := range fields.Of(&c) {
		if last := len(f.Enum) - 1; last > 0 {
			expected := strings.Join(f.Enum[:last], ", ") + " or " + f.Enum[last]
			p.check(slices.Contains(f.Enum, f.String()), f.Path, strconv.Quote(f.String()), expected)
		}
	}
	p.check(devicePattern.MatchString(c.Device), "device", strconv.Quote(c.Device), "auto, cpu, cuda or cuda:N")
	p.atLeast(1, "threads", c.Threads)
	p.atLeast(1, "schedule.micro_batch", c.Schedule.MicroBatch)
	p.atLeast(1, "workers", c.Workers)
	p.check(c.KeepCheckpoints >= 1, "keep_checkpoints", c.KeepCheckpoints, "1 or more")
	for _, f := range c.Log {
		p.check(slices.Contains(runlog.Formats(), f), "log", strconv.Quote(f), strings.Join(runlog.Formats(), " or "))
	}
	p.check(c.CheckpointEvery.Share == 0, "checkpoint_every", c.CheckpointEvery, "never, 500 (steps), 2epochs or a time such as 10m")
	p.check(c.EvalSamples >= 2, "eval_samples", c.EvalSamples, "2 or more")
	p.check(c.Out != "", "out", `""`, "a folder, or auto")
	return errors.Join(p...)
}

// check reports what cannot be of an optimiser, and what the one that is named does not have.
func (o Optim) check(p *problems) {
	lr, set := o.LR.Get()
	p.check(!set || lr >= 0, "optim.lr", o.LR, "0 or more, or auto")
	decay, set := o.WeightDecay.Get()
	p.check(!set || decay >= 0, "optim.weight_decay", o.WeightDecay, "0 or more, or auto")
	p.check(o.LayerDecay > 0 && o.LayerDecay <= 1, "optim.layer_decay", o.LayerDecay, "a number above 0, up to 1")
	p.check(o.WarmupSteps.count >= 0, "optim.warmup_steps", o.WarmupSteps, "0 or more, or auto")
	final, set := o.FinalLR.Get()
	p.check(!set || final >= 0 && final <= 1, "optim.final_lr_fraction", o.FinalLR, "a number from 0 to 1, or auto")
	for _, b := range o.Betas {
		p.check(b >= 0 && b < 1, "optim.betas", b, "0 or more and less than 1")
	}
	p.check(o.Eps > 0, "optim.eps", o.Eps, "a number above 0")
	momentum, set := o.Momentum.Get()
	p.check(!set || momentum >= 0 && momentum < 1, "optim.momentum", o.Momentum, "0 or more and less than 1, or auto")
	p.check(o.Trust > 0, "optim.trust", o.Trust, "a number above 0")
	p.check(o.EMA >= 0 && o.EMA < 1, "optim.ema", o.EMA, "0 or more and less than 1")
	p.check(!o.ClipNorm.On || o.ClipNorm.Norm > 0, "optim.clip_norm", o.ClipNorm, "a number above 0, or none")
	switch o.Name {
	case AdamW, ScheduleFree:
		p.check(!set, "optim.momentum", o.Momentum, fmt.Sprintf("auto, as optim.name is %s: optim.betas has its decay", o.Name))
	}
	if o.Name == ScheduleFree {
		p.check(o.EMA == 0, "optim.ema", o.EMA, "0, as optim.name is schedulefree, whose weights are an average")
		p.check(o.Betas[0] > 0, "optim.betas", o.Betas[0], "above 0 as the first, as optim.name is schedulefree")
	}
}

// checkViT reports what only a ViT can have, of a model that is none.
func (e Encoder) checkViT(p *problems) {
	if e.Name == "" || e.Name == auto || isViT(e.Name) {
		return
	}
	why := ", as " + e.Name + " is no ViT"
	p.check(e.Pool == "" || e.Pool == auto, "encoder.pool", e.Pool, auto+why)
	p.check(!e.Registers.set, "encoder.registers", e.Registers, auto+why)
	p.check(!e.LayerScale.set, "encoder.layer_scale", e.LayerScale, auto+why)
	p.check(!e.QKNorm, "encoder.qk_norm", e.QKNorm, "false"+why)
	p.check(!e.SwiGLU, "encoder.swiglu", e.SwiGLU, "false"+why)
}

// checkPatches reports sizes that patches do not divide, where both are known.
func (c Config) checkPatches(p *problems) {
	patch := c.Encoder.PatchSize.Or(namedPatch(c.Encoder.Name))
	if patch < 1 {
		return
	}
	for _, size := range []struct {
		key string
		px  Auto[int]
	}{{"encoder.image_size", c.Encoder.ImageSize}, {"views.local.size", c.Views.Local.Size}} {
		n := size.px.Or(0)
		p.check(n%patch == 0, size.key, n, fmt.Sprintf("a multiple of the patch size %d, such as %d", patch, multiple(float64(n), patch)))
	}
}

// multiple returns the multiple of step that is nearest to x, step itself at least.
func multiple(x float64, step int) int { return max(int(x/float64(step)+0.5), 1) * step }

var patchPattern = regexp.MustCompile(`_patch([0-9]+)_`)

// namedPatch returns the patch size that a model's name tells, 0 if it tells none.
func namedPatch(name string) int {
	m := patchPattern.FindStringSubmatch(name)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return 0
	}
	return n
}

func isViT(name string) bool { return strings.HasPrefix(name, "vit_") }
