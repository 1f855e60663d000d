package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/torch/optim"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/images"
	"github.com/gojepa/gojepa/vision/views"
)

// Classifier is what [FineTuner] trains: an encoder whose features are a score for each class, such as
// [vision.Encoder.WithHead] makes.
type Classifier interface {
	Encoder
	// Params are the weights. They are trained in place.
	Params() *torch.Params
	// Layers says in which layer parameters are, as [vision.Encoder.Layers] does; nil where that is not known.
	Layers() map[string]int
}

// FineTuneOptions are those of [FineTuner].
type FineTuneOptions struct {
	Epochs     int // passes over the training images
	LeastSteps int // sets of few images are gone through more often, until so many steps are taken
	BatchSize  int // images a step; all if there are fewer

	// LR are the learning rates to choose from: the peak, which is reached after a linear warm-up and falls to 0 along half a
	// cosine. Of several, the one is taken that is most often right on images held out of the training set, the first of
	// equals; the classifier is then trained on all of it. One with which the loss stops being finite is not taken.
	LR      []float64
	HoldOut float64 // share of each class's training images to hold out for the choice, above 0 and below 1

	Warmup      float64 // share of the steps that the warm-up takes, from 0 to 1
	WeightDecay float64 // AdamW's; not of biases and normalisations
	LayerDecay  float64 // a layer's learning rate over that of the layer after it, above 0 and at most 1
	Smoothing   float64 // share of each target that goes to all classes alike (Szegedy et al., arXiv 1512.00567), in [0, 1)
	ClipNorm    float64 // largest norm of the gradient; 0: no limit

	// Balanced weighs images as [ProbeOptions] does samples, so that classes count the same; LR is then chosen by balanced accuracy.
	Balanced bool

	// Views are what training images become: one global view of each, of which the size is Images'. Without any views they are
	// cropped as for testing.
	Views views.Config

	Images ExtractOptions // size, normalisation, precision and workers; its BatchSize is for testing
	Seed   uint64         // names the order of images, their views, dropped paths, and what is held out

	// OnStep, if not nil, is told of each step how many of how many are done, and its loss.
	OnStep func(done, of int, loss float64)
}

// DefaultFineTune is what ViTs that were pretrained without labels are commonly fine-tuned with, in fewer epochs, and with
// crops and mirroring alone (He et al., arXiv 2111.06377, table 9).
func DefaultFineTune() FineTuneOptions {
	return FineTuneOptions{
		Epochs: 30, LeastSteps: 200, BatchSize: 64, LR: []float64{5e-4}, HoldOut: 0.2, Warmup: 0.1,
		WeightDecay: 0.05, LayerDecay: 0.75, Smoothing: 0.1, ClipNorm: 1, Views: FineTuneViews(), Images: DefaultExtract(),
	}
}

// FineTuneViews are crops of a third of the image and more, mirrored half the time.
func FineTuneViews() views.Config {
	c := views.Config{Flip: 0.5}
	c.Global = views.GlobalConfig{Count: 1, Scale: [2]float64{1. / 3, 1}, Ratio: [2]float64{3. / 4, 4. / 3}}
	return c
}

// Check names everything that is wrong with o, but for what has to do with images.
func (o FineTuneOptions) Check() error {
	var errs []error
	expect := func(ok bool, name string, value any, want string) {
		if !ok {
			errs = append(errs, fmt.Errorf("eval: fine-tuning: %s is %v: expected %s", name, value, want))
		}
	}
	expect(o.Epochs >= 1, "Epochs", o.Epochs, "1 or more")
	expect(o.LeastSteps >= 0, "LeastSteps", o.LeastSteps, "0 or more")
	expect(o.BatchSize >= 1, "BatchSize", o.BatchSize, "1 or more")
	expect(len(o.LR) > 0, "LR", o.LR, "one learning rate or several")
	for _, lr := range o.LR {
		expect(lr > 0 && finite(lr), "LR", lr, "a number above 0")
	}
	if len(o.LR) > 1 {
		expect(o.HoldOut > 0 && o.HoldOut < 1, "HoldOut", o.HoldOut, "a share above 0 and below 1")
	}
	expect(o.Warmup >= 0 && o.Warmup <= 1, "Warmup", o.Warmup, "a share from 0 to 1")
	expect(o.WeightDecay >= 0 && finite(o.WeightDecay), "WeightDecay", o.WeightDecay, "0 or more")
	expect(o.LayerDecay > 0 && o.LayerDecay <= 1, "LayerDecay", o.LayerDecay, "a number above 0, at most 1")
	expect(o.Smoothing >= 0 && o.Smoothing < 1, "Smoothing", o.Smoothing, "0 or more, below 1")
	expect(o.ClipNorm >= 0 && finite(o.ClipNorm), "ClipNorm", o.ClipNorm, "0 or more")
	return errors.Join(errs...)
}

// steps of a run over so many images.
func (o FineTuneOptions) steps(images int) int {
	batch := min(o.BatchSize, images)
	return max(o.LeastSteps, (o.Epochs*images+batch-1)/batch, 1)
}

// FineTuner trains classifiers end to end on images with labels: encoders that were pretrained, or, for supervised training
// from scratch, encoders that were not. Everything is a function of the seed, the images, the initial weights and the options.
type FineTuner struct {
	Thread *torch.Thread
	Train  images.Labelled
	Test   images.Labelled // may be nil, if nothing is tested
	FineTuneOptions

	// New makes a classifier of so many classes on s's device with its initial weights, those of its head drawn from seed. The
	// tuner closes what it does not return.
	New func(s *torch.Scope, classes int, seed uint64) (Classifier, error)

	test *Prepared // Test, if it was small enough to be kept
}

// FineTuned is how good a classifier is after fine-tuning.
type FineTuned struct {
	Classification         // of the test images
	LR             float64 `json:"lr"` // that was chosen
	Steps          int     `json:"steps"`
	Images         int     `json:"images"` // that it was trained on
	Loss           float64 `json:"loss"`   // mean over the last epoch, with smoothed labels
}

// labels are the classes of the training images, as features of no values.
func (t *FineTuner) labels() (Features, error) {
	f := Features{N: t.Train.Len(), Classes: t.Train.Classes()}
	for i := range f.N {
		l, ok := t.Train.Label(i)
		if !ok || l < 0 || l >= len(f.Classes) {
			return f, fmt.Errorf("eval: fine-tuning: %s has no label: expected one of %d classes for each training image", t.Train.Name(i), len(f.Classes))
		}
		f.Labels = append(f.Labels, l)
	}
	return f, f.checkClasses("training images")
}

// Fit trains a classifier on all training images and tests it. The caller closes it.
func (t *FineTuner) Fit(ctx context.Context) (Classifier, FineTuned, error) {
	labels, err := t.labels()
	if err != nil {
		return nil, FineTuned{}, err
	}
	if err := t.Check(); err != nil {
		return nil, FineTuned{}, err
	}
	rows := make([]int, labels.N)
	for i := range rows {
		rows[i] = i
	}
	c, r, err := t.fit(ctx, labels, rows, t.Seed)
	if err != nil {
		return nil, r, err
	}
	if r.Classification, err = t.score(ctx, c, t.Test, &t.test); err != nil {
		c.Params().Close()
		return nil, r, err
	}
	return c, r, nil
}

// Shots trains a classifier on each of several draws of a few training images of each class, those of [FewShots] for the same
// labels, and says how often it is right on all of Test. Draws differ in initial heads and order, too, so that all images are
// trained on once for each.
func (t *FineTuner) Shots(ctx context.Context, shots []int, draws int) ([]FewShot, error) {
	labels, err := t.labels()
	if err != nil {
		return nil, err
	}
	if t.Test == nil {
		return nil, errors.New("eval: fine-tuning: Test is nil: expected images to be tested on")
	}
	o := FewShotOptions{Shots: shots, Draws: draws, C: 1, Seed: t.Seed}
	if err := errors.Join(t.Check(), o.Check(labels.Labels, labels.Classes)); err != nil {
		return nil, err
	}
	var all []FewShot
	for _, n := range shots {
		r, err := eachDraw(labels, n, draws, t.Seed, func(rows []int, draw int) (Accuracy, error) {
			c, _, err := t.fit(ctx, labels, rows, rng.New(t.Seed, rng.Probe, 3, uint64(draw)).Uint64())
			if err != nil {
				return Accuracy{}, err
			}
			defer c.Params().Close()
			s, err := t.score(ctx, c, t.Test, &t.test)
			return s.Accuracy, err
		})
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// fit trains on some of the training images, with the learning rate that is best on some of those.
func (t *FineTuner) fit(ctx context.Context, labels Features, rows []int, seed uint64) (Classifier, FineTuned, error) {
	r := FineTuned{LR: t.LR[0], Steps: t.steps(len(rows)), Images: len(rows)}
	if kept, held := holdOutRows(labels, rows, t.HoldOut, seed); len(t.LR) > 1 && len(held) > 0 {
		most := math.Inf(-1)
		for _, lr := range t.LR {
			right, err := t.try(ctx, labels, kept, held, lr, seed)
			if err != nil && !errors.Is(err, errNotFinite) {
				return nil, r, err
			}
			if err == nil && right > most {
				most, r.LR = right, lr
			}
		}
	}
	c, loss, err := t.train(ctx, labels, rows, r.LR, seed)
	r.Loss = loss
	return c, r, err
}

// try is how often a classifier that is trained on some of the training images is right on others of them.
func (t *FineTuner) try(ctx context.Context, labels Features, kept, held []int, lr float64, seed uint64) (float64, error) {
	c, _, err := t.train(ctx, labels, kept, lr, seed)
	if err != nil {
		return 0, err
	}
	defer c.Params().Close()
	s, err := t.score(ctx, c, images.Subset{Source: t.Train, Index: held}, nil)
	if t.Balanced {
		return s.Balanced, err
	}
	return s.Top1, err
}

// selectLabels are those of some rows.
func selectLabels(labels Features, rows []int) Features {
	some := Features{N: len(rows), Classes: labels.Classes}
	for _, r := range rows {
		some.Labels = append(some.Labels, labels.Labels[r])
	}
	return some
}

// holdOutRows takes a share of each class's rows away, rounded down.
func holdOutRows(labels Features, rows []int, share float64, seed uint64) (kept, held []int) {
	order, n := holdOut(selectLabels(labels, rows), ProbeOptions{L2: []float64{0, 0}, HoldOut: share, Seed: seed})
	for i, at := range order {
		if i < len(order)-n {
			kept = append(kept, rows[at])
		} else {
			held = append(held, rows[at])
		}
	}
	slices.Sort(kept)
	slices.Sort(held)
	return kept, held
}

// train makes a classifier and trains it on some of the training images. The loss is the mean over the last epoch.
func (t *FineTuner) train(ctx context.Context, labels Features, rows []int, lr float64, seed uint64) (_ Classifier, loss float64, err error) {
	o := t.FineTuneOptions
	if err := o.Images.normalise(); err != nil {
		return nil, 0, err
	}
	loader, err := t.loader(ctx, rows, seed)
	if err != nil {
		return nil, 0, fmt.Errorf("eval: fine-tuning: %w", err)
	}
	defer loader.Close()
	tuning := &tuning{o: o, seed: seed, steps: o.steps(len(rows))}
	if o.Balanced {
		tuning.weights = balancedWeights(selectLabels(labels, rows))
	}
	// The rate would be 0 in the step after the last.
	tuning.schedule = optim.Schedule{Peak: lr, Warmup: int(o.Warmup * float64(tuning.steps)), Steps: tuning.steps + 1}
	var failed error
	err = t.Thread.Do(ctx, func(s *torch.Scope) { failed = tuning.begin(s, t.New, len(t.Train.Classes())) })
	if err = errors.Join(err, failed); err != nil {
		tuning.close()
		return nil, 0, fmt.Errorf("eval: fine-tuning: %w", err)
	}
	defer tuning.optimiser.Close()
	epoch := min(tuning.steps, loader.Steps())
	for step := range tuning.steps {
		l, err := tuning.step(ctx, t.Thread, loader, step)
		if err != nil {
			tuning.close()
			return nil, 0, fmt.Errorf("eval: fine-tuning: step %d of %d: %w", step+1, tuning.steps, err)
		}
		if step >= tuning.steps-epoch {
			loss += l / float64(epoch)
		}
		if o.OnStep != nil {
			o.OnStep(step+1, tuning.steps, l)
		}
	}
	return tuning.classifier, loss, nil
}

// loader makes batches of some of the training images.
func (t *FineTuner) loader(ctx context.Context, rows []int, seed uint64) (*views.Loader, error) {
	i, v := t.Images, t.Views
	kind := views.Kind{Channels: i.Channels, Deep: i.Deep}
	var transform views.Transform
	var err error
	if v.Global.Count == 0 {
		transform, err = views.NewCenterCrop(i.Size, i.Size, kind, views.Bilinear)
	} else {
		v.Global.Count, v.Global.Size, v.Local.Count, v.Mean, v.Std = 1, i.Size, 0, i.Mean, i.Std
		if len(v.Mean) == 0 {
			v.Mean, v.Std = vision.DefaultMeanStd(i.Channels)
		}
		transform, err = views.New(v, kind, seed)
	}
	if err != nil {
		return nil, err
	}
	c := views.DefaultLoaderConfig()
	c.BatchSize, c.Workers, c.Seed, c.MaxBroken = min(t.BatchSize, len(rows)), i.Workers, seed, i.MaxBroken
	return views.NewLoader(ctx, images.Subset{Source: t.Train, Index: rows}, transform, c)
}

// score is how well a classifier tells the classes of a source's images, which are kept in memory if they are few.
func (t *FineTuner) score(ctx context.Context, c Classifier, src images.Labelled, kept **Prepared) (Classification, error) {
	if src == nil {
		return Classification{}, nil
	}
	var x Extracted
	var err error
	if kept != nil && *kept == nil && t.Images.PreparedBytes(src.Len()) <= keptBytes {
		if *kept, err = Prepare(ctx, src, t.Images); err != nil {
			return Classification{}, err
		}
	}
	if kept != nil && *kept != nil {
		x, err = (*kept).Extract(ctx, t.Thread, c)
	} else {
		x, err = Extract(ctx, t.Thread, c, src, t.Images)
	}
	if err != nil {
		return Classification{}, err
	}
	return ClassifyScores(x.Features, t.Train.Classes())
}

// keptBytes bounds the test images that are kept in memory.
const keptBytes = 256 << 20

// ClassifyScores is [Classify] of the scores that a classifier gives: logits for the given classes, as features with labels. The
// labels' classes are matched by their names.
func ClassifyScores(f Features, classes []string) (Classification, error) {
	labels, err := checkTest(f, len(classes), len(classes), classes)
	if err != nil {
		return Classification{}, err
	}
	p := make([]float64, len(f.X))
	for i := range f.N {
		row, most := p[i*f.D:(i+1)*f.D], float64(slices.Max(f.Row(i)))
		sum := 0.0
		for c, v := range f.Row(i) {
			row[c] = math.Exp(float64(v) - most)
			sum += row[c]
		}
		for c := range row {
			row[c] /= sum
		}
	}
	return Classify(p, labels, len(classes), classes), nil
}

// tuning is one training of a classifier.
type tuning struct {
	o          FineTuneOptions
	seed       uint64
	steps      int
	schedule   optim.Schedule
	weights    []float64 // of each class; nil: 1
	classifier Classifier
	optimiser  *optim.AdamW
}

// begin makes classifier and optimiser.
func (t *tuning) begin(s *torch.Scope, classifier func(s *torch.Scope, classes int, seed uint64) (Classifier, error), classes int) error {
	made, err := classifier(s, classes, t.seed)
	if err != nil {
		return err
	}
	t.classifier = made
	if n := int(t.classifier.Dim()); n != classes {
		return fmt.Errorf("a classifier with %d scores: expected %d, one for each class", n, classes)
	}
	layers := t.classifier.Layers()
	if layers == nil && t.o.LayerDecay != 1 {
		return fmt.Errorf("LayerDecay is %g: expected 1, as the encoder does not say what its layers are", t.o.LayerDecay)
	}
	optim.ScaleLayers(t.classifier.Params(), layers, t.o.LayerDecay)
	c := optim.Default()
	c.WeightDecay = t.o.WeightDecay
	t.optimiser = optim.NewAdamW(s, c, t.classifier.Params())
	return nil
}

// close frees the classifier.
func (t *tuning) close() {
	if t.classifier != nil {
		t.classifier.Params().Close()
	}
}

// step takes one on the next batch, and returns its loss.
func (t *tuning) step(ctx context.Context, th *torch.Thread, loader *views.Loader, step int) (float64, error) {
	b, err := loader.Next(ctx)
	if err != nil {
		return 0, err
	}
	targets := t.targets(b.Labels, int(t.classifier.Dim()))
	dtype := torch.Float32
	if t.o.Images.BF16 {
		dtype = torch.BFloat16
	}
	var value, norm float64
	err = th.Do(ctx, func(s *torch.Scope) {
		x := vision.NormaliseRows(s, &b.Groups[0], 0, b.Rows(), t.o.Images.Mean, t.o.Images.Std)
		t.optimiser.ZeroGrad(s)
		var scores torch.Tensor
		s.Autocast(dtype, func() {
			scores = t.classifier.Forward(s, x, nn.Pass{Train: true, Seed: t.seed, Step: uint64(step)})
		})
		loss := scores.To(torch.Float32).LogSoftmax(1).Mul(s.FromFloat32(targets, scores.Shape()...)).Sum().MulScalar(-1 / float64(b.Rows()))
		loss.Backward()
		// The one place of a step where the host waits for the device.
		figures := torch.Stack([]torch.Tensor{loss.Detach().To(torch.Float64), t.optimiser.GradNorm(s)}, 0).Float64s()
		value, norm = figures[0], figures[1]
		if !finite(value) || !finite(norm) {
			return
		}
		if t.o.ClipNorm > 0 && norm > t.o.ClipNorm {
			t.optimiser.ScaleGrad(s, t.o.ClipNorm/norm)
		}
		t.optimiser.Step(s, t.schedule.At(step))
	})
	if err == nil && (!finite(value) || !finite(norm)) {
		err = fmt.Errorf("%w: it is %g and its gradient's norm %g: a lower LR may help", errNotFinite, value, norm)
	}
	return value, err
}

func finite(v float64) bool { return !math.IsInf(v, 0) && !math.IsNaN(v) }

// errNotFinite is why a training ends that has no figures to go on with.
var errNotFinite = errors.New("the loss is not finite")

// targets are the shares [N, classes] of each image in the classes' cross-entropy, which are those of PyTorch's cross_entropy with
// label_smoothing, times the weight of the image's class.
func (t *tuning) targets(labels []int, classes int) []float32 {
	shares := make([]float32, len(labels)*classes)
	for i, l := range labels {
		weight := 1.0
		if t.weights != nil {
			weight = t.weights[l]
		}
		row := shares[i*classes : (i+1)*classes]
		for c := range row {
			row[c] = float32(weight * t.o.Smoothing / float64(classes))
		}
		row[l] += float32(weight * (1 - t.o.Smoothing))
	}
	return shares
}
