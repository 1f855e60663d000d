package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/train/progress"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/images"
	"github.com/gojepa/gojepa/vision/views"
)

// tune says how --fine-tune trains.
type tune struct {
	Epochs      int       `yaml:"epochs" flag:"tune-epochs" arg:"N" help:"passes over the training images"`
	LeastSteps  int       `yaml:"least_steps" flag:"tune-steps" arg:"N" help:"small sets are gone through more often, until so many steps are taken"`
	BatchSize   int       `yaml:"batch_size" flag:"tune-batch-size" arg:"N" help:"images a step"`
	LR          []float64 `yaml:"lr" flag:"tune-lr" arg:"LIST" help:"learning rate at its peak, between a linear warm-up and half a cosine to 0; of several, one is chosen on a fifth of the training images"`
	WeightDecay float64   `yaml:"weight_decay" flag:"tune-weight-decay" arg:"X" help:"AdamW's weight decay"`
	LayerDecay  float64   `yaml:"layer_decay" flag:"tune-layer-decay" arg:"X" help:"a layer's learning rate over that of the layer after it; 0 is 0.75, and 1 with --untrained"`
	DropPath    float64   `yaml:"drop_path" flag:"tune-drop-path" arg:"P" help:"probability to drop the last residual branches, rising from 0 in the first"`
	Views       string    `yaml:"views" flag:"tune-views" arg:"crops|none|NAME|FILE" help:"what training images become: crops, of a third of the image and more, mirrored half the time; none, as in testing; or the global views of a preset of train's or of a run's config.yaml"`
	Flip        float64   `yaml:"flip" flag:"tune-flip" arg:"P" help:"probability of mirroring crops left to right; 0 where left and right mean something, as of digits"`
	Smoothing   float64   `yaml:"smoothing" arg:"X" help:"share of each target that goes to all classes alike"`
	Warmup      float64   `yaml:"warmup" arg:"X" help:"share of the steps that the warm-up takes"`
	ClipNorm    float64   `yaml:"clip_norm" arg:"X" help:"largest norm of the gradient; 0 is no limit"`
}

func defaultTune() tune {
	d := eval.DefaultFineTune()
	return tune{Epochs: d.Epochs, LeastSteps: d.LeastSteps, BatchSize: d.BatchSize, LR: d.LR, WeightDecay: d.WeightDecay, DropPath: 0.1, Views: "crops", Flip: d.Views.Flip,
		Smoothing: d.Smoothing, Warmup: d.Warmup, ClipNorm: d.ClipNorm}
}

// fineTuned is how good the encoder is after fine-tuning.
type fineTuned struct {
	eval.FineTuned
	FewShot []eval.FewShot `json:"few_shot,omitempty"`
	Saved   string         `json:"saved,omitempty"`
}

// tuning is what the flags say of fine-tuning, but for what has to do with images.
func (o options) tuning() eval.FineTuneOptions {
	t, f := o.Tune, eval.DefaultFineTune()
	f.Epochs, f.LeastSteps, f.BatchSize, f.LR, f.WeightDecay, f.LayerDecay = t.Epochs, t.LeastSteps, t.BatchSize, t.LR, t.WeightDecay, t.LayerDecay
	f.Smoothing, f.Warmup, f.ClipNorm, f.Balanced, f.Seed = t.Smoothing, t.Warmup, t.ClipNorm, o.balancedClasses(), o.Seed
	if f.LayerDecay == 0 {
		f.LayerDecay = eval.DefaultFineTune().LayerDecay
		if o.Untrained {
			f.LayerDecay = 1
		}
	}
	return f
}

func (o options) checkTune() error {
	var errs []error
	if !o.FineTune {
		if o.Save != "" {
			errs = append(errs, errors.New("--save: is for --fine-tune"))
		}
		return errors.Join(errs...)
	}
	if o.alone() {
		errs = append(errs, errors.New("--fine-tune: expected --train and --test"))
	}
	if err := o.tuning().Check(); err != nil {
		errs = append(errs, fmt.Errorf("--fine-tune: %w", err))
	}
	if p := o.Tune.DropPath; !(p >= 0 && p < 1) {
		errs = append(errs, fmt.Errorf("--tune-drop-path: %v, expected 0 or more, below 1", p))
	}
	if p := o.Tune.Flip; !(p >= 0 && p <= 1) {
		errs = append(errs, fmt.Errorf("--tune-flip: %v, expected a probability, from 0 to 1", p))
	}
	if _, err := o.tuneViews(); err != nil {
		errs = append(errs, err)
	}
	if o.Save != "" {
		if !slices.Contains([]string{".safetensors", ".pt", ".pth"}, filepath.Ext(o.Save)) {
			errs = append(errs, fmt.Errorf("--save: %s, expected a name that ends in .safetensors, .pt or .pth", o.Save))
		}
		if _, err := os.Stat(filepath.Dir(o.Save)); err != nil {
			errs = append(errs, fmt.Errorf("--save: %w", err))
		}
	}
	return errors.Join(errs...)
}

// tuneViews is what training images become.
func (o options) tuneViews() (views.Config, error) {
	switch o.Tune.Views {
	case "crops":
		c := eval.FineTuneViews()
		c.Flip = o.Tune.Flip
		return c, nil
	case "none":
		return views.Config{}, nil
	}
	c, err := recipeOf(o.Tune.Views)
	if err != nil {
		return c, fmt.Errorf("--tune-views: expected crops, none, a preset of train's, or a run's config.yaml: %w", err)
	}
	return c, nil
}

// fineTune trains classifiers that begin with m's encoder on the images that its features were taken of.
func (o options) fineTune(ctx context.Context, m *vision.Model, train, test of, log io.Writer) (*fineTuned, error) {
	f := eval.FineTuner{
		Thread: m.Thread, FineTuneOptions: o.tuning(),
		Train: images.Subset{Source: train.source.Labelled, Index: train.Samples},
		Test:  images.Subset{Source: test.source.Labelled, Index: test.Samples},
		New: func(s *torch.Scope, classes int, seed uint64) (eval.Classifier, error) {
			return m.Encoder.WithHead(s, vision.HeadOptions{Classes: classes, DropPath: o.Tune.DropPath, ImageSize: m.Size, Seed: seed})
		},
	}
	f.Images = o.Model.Extract(m)
	f.Images.Deep = train.source.deep || test.source.deep
	v, err := o.tuneViews()
	if err != nil {
		return nil, err
	}
	f.Views = v.For(views.Kind{Channels: f.Images.Channels, Deep: f.Images.Deep})
	var bar *progress.Bar
	f.OnStep = func(done, steps int, loss float64) {
		if done == 1 {
			bar = progress.New(log, progress.Options{Total: steps, Unit: "fine-tuning step", Every: 10 * time.Second})
		}
		bar.Set(done, done, fmt.Sprintf("loss %.3f", loss))
		if done == steps {
			bar.Finish()
		}
	}
	defer func() {
		if bar != nil {
			bar.Finish()
		}
	}()
	r := &fineTuned{Saved: o.Save}
	c, tuned, err := f.Fit(ctx)
	if err != nil {
		return nil, err
	}
	r.FineTuned = tuned
	err = o.saveTuned(ctx, m, c, train.Classes)
	c.Params().Close()
	if err != nil || len(o.Shots) == 0 {
		return r, err
	}
	shots, err := o.fewShot()
	if err != nil {
		return nil, err
	}
	r.FewShot, err = f.Shots(ctx, shots.Shots, shots.Draws)
	return r, err
}

// metaClasses is the key of the classes' names, as JSON, in the metadata of a classifier.
const metaClasses = "gojepa.classes"

// saveTuned writes a classifier to --save.
func (o options) saveTuned(ctx context.Context, m *vision.Model, c eval.Classifier, classes []string) error {
	e, ok := c.(*vision.Encoder)
	if o.Save == "" || !ok {
		return nil
	}
	meta := vision.Metadata(e.Spec(), m.Size, m.Mean, m.Std)
	names, err := json.Marshal(classes)
	if err != nil {
		return err
	}
	meta[metaClasses] = string(names)
	var failed error
	err = m.Thread.Do(ctx, func(s *torch.Scope) { failed = e.Params().Save(s, o.Save, meta) })
	if err = errors.Join(err, failed); err != nil {
		return fmt.Errorf("--save: %w", err)
	}
	return nil
}

// write is a table of what fine-tuning came to.
func (f *fineTuned) write(out io.Writer) error {
	if f == nil {
		return nil
	}
	fmt.Fprintf(out, "\nfine-tuned end to end on %d images in %d steps, learning rate %g\n\n", f.Images, f.Steps, f.LR)
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "accuracy\tbalanced\tmacro F1\tAUROC\t\n")
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t\n", percent(f.Top1), percent(f.Balanced), figure(f.MacroF1), figure(f.AUROC))
	if err := w.Flush(); err != nil || len(f.FewShot) == 0 {
		return err
	}
	fmt.Fprint(out, "\nfine-tuned on a few images of each class, mean of draws with its 95 % interval\n\n")
	for _, s := range f.FewShot {
		fmt.Fprintf(w, "%s\t", shots(s.Shots))
	}
	fmt.Fprintln(w)
	for _, s := range f.FewShot {
		fmt.Fprintf(w, "%s\t", percentOf(s.Top1))
	}
	fmt.Fprintln(w)
	return w.Flush()
}
