// Command evaluate measures how good an encoder's features are, by images with labels.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gojepa/gojepa/cmd/internal/model"
	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/internal/cli"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/views"
)

// options are the command's flags.
type options struct {
	Train string `yaml:"train" flag:"train" arg:"PATH" help:"images to learn from, with labels: a folder for each class, a list, .tar, .parquet, .npy or .npz files, as cmd/train takes them; without --train and --test: the MNIST digits"`
	Test  string `yaml:"test" flag:"test" arg:"PATH" help:"images to be tested on, likewise"`

	Collection config.Collection `yaml:",inline"`

	Embeddings bool `yaml:"embeddings" flag:"embeddings" help:"--train and --test are sets of embeddings that embed has written with --labels, in place of images: there is no encoder to load"`

	ClassTokens  int       `yaml:"class_tokens" flag:"class-tokens" arg:"N" help:"features are the class tokens of a ViT's last N blocks, normalised and one after the other, rather than its embedding; the LeJEPA paper's probe takes 2"`
	Probe        string    `yaml:"probe" flag:"probe" enum:"lbfgs,adamw" arg:"lbfgs|adamw" help:"linear classifier: lbfgs is the optimum of logistic regression on standardised features; adamw the LeJEPA paper's, on features after LayerNorm"`
	L2           []float64 `yaml:"l2" flag:"l2" arg:"LIST" help:"strengths of regularisation of lbfgs; of several, one is chosen on a fifth of the training images"`
	ClassWeights string    `yaml:"class_weights" flag:"class-weights" enum:"none,balanced" arg:"none|balanced" help:"balanced: classes count the same in lbfgs and in --fine-tune, however many images each has"`
	K            int       `yaml:"k" flag:"k" help:"neighbours that vote in k-NN"`
	Temperature  float64   `yaml:"temperature" flag:"temperature" help:"of the votes' weights, exp(cosine similarity / temperature)"`
	Pixels       bool      `yaml:"pixels" flag:"pixels" help:"also measure the images' own pixels, to compare with"`
	Shots        []string  `yaml:"shots" flag:"shots" arg:"N,…" help:"also fit linear probes to so many images of each class, such as 1,5,10,all: logistic regression on standardised features"`
	Draws        int       `yaml:"draws" flag:"draws" arg:"N" help:"how often --shots draws them; the mean over draws has a 95 % interval"`
	ShotsC       float64   `yaml:"shots_c" flag:"shots-c" arg:"C" help:"scikit-learn's C of these probes: the sum of cross-entropies plus |weights|²/(2·C) is least"`
	Retrieval    string    `yaml:"retrieval" flag:"retrieval" enum:"none,gallery,leave-one-out" arg:"gallery|leave-one-out" help:"also look for images of the same class by cosine similarity: for each test image among the training images (gallery), or among the other test images (leave-one-out)"`
	RecallAt     []int     `yaml:"recall_at" flag:"recall-at" arg:"K,…" help:"of --retrieval: shares of images that have one of their class among the K nearest"`
	TargetColumn string    `yaml:"target_column" flag:"target-column" arg:"NAME" help:"what is to be predicted is not a class but a number, in this column of a list (or as --label-column names labels elsewhere): ridge regression, with --l2 strengths to choose from; in a column of nothing but whole numbers −1 is none"`
	MultiLabel   string    `yaml:"multi_label" flag:"multi-label" arg:"SEP" help:"a label is several, with SEP between them, and a SEP alone is none: a linear probe for each; an image without any text is left out"`
	LabelFree    bool      `yaml:"label_free" flag:"label-free" help:"also measure what needs no labels: RankMe, participation ratio, α-ReQ, SIGReg, LiDAR, alignment and uniformity of the test images; without --train that alone"`
	Views        string    `yaml:"views" flag:"views" arg:"NAME|FILE" help:"how --label-free makes views: a preset of train's, or a run's config.yaml; without it, the one beside the weights, else paper"`
	ViewCount    int       `yaml:"view_count" flag:"view-count" arg:"N" help:"views of each image, all global"`
	ViewImages   int       `yaml:"view_images" flag:"view-images" arg:"N" help:"images that views are made of, at most; the seed draws them"`
	Seed         uint64    `yaml:"seed" flag:"seed" help:"names what is random: the images that --l2 is chosen on, the order of adamw, draws of --shots, views"`
	JSON         bool      `yaml:"json" flag:"json" help:"print JSON, with the accuracy of each class, top-5 accuracy, macro F1, AUROC and average precision, and the confusion matrix of up to 200 classes, rather than a table"`

	Model     model.Flags `yaml:",inline"`
	Untrained bool        `yaml:"untrained" flag:"untrained" help:"the encoder that --model names, or that the file of --weights is of, with initial weights drawn from --seed, to compare with" group:"Encoder"`

	FineTune bool   `yaml:"fine_tune" flag:"fine-tune" help:"also train the encoder, with a linear head on it, end to end on the training images' classes; with --untrained that is supervised training from scratch; with --shots also on so many of each class" group:"Fine-tuning"`
	Save     string `yaml:"save" flag:"save" arg:"FILE" help:"where the fine-tuned classifier goes, .safetensors or .pt, with timm's keys" group:"Fine-tuning"`
	Tune     tune   `yaml:"tune" group:"Fine-tuning"`
}

func defaults() options {
	knn := eval.DefaultKNN()
	return options{
		Collection: config.OpenCollection(), Probe: "lbfgs", ClassWeights: "none", Retrieval: "none", RecallAt: []int{1, 5, 10}, L2: eval.DefaultProbe().L2, K: knn.K, Temperature: knn.Temperature,
		Draws: 10, ShotsC: 1, ViewCount: 10, ViewImages: 1000, Model: model.Default(), Tune: defaultTune(),
	}
}

func main() {
	o := defaults()
	os.Exit(command(&o).Main(os.Args[1:], os.Stdout, os.Stderr, func(ctx context.Context, _ []string) error {
		return run(ctx, o, os.Stdout, os.Stderr)
	}))
}

func command(o *options) *cli.Command {
	cmd := &cli.Command{
		Name:     "evaluate",
		Synopsis: "measures an encoder's features: how well k-NN and a linear probe tell classes by them, and what needs no labels.",
		About: `The encoder stays as it is: its features of the training images are what neighbours are looked for among and a linear
classifier is fitted to, and the test images' are classified. Classes are matched by their names. An image that cannot be
read, or has no label, is named or counted, and left out.`,
		Examples: []cli.Example{
			{For: "what a run has trained", Line: "evaluate --weights runs/photos/encoder.safetensors --train photos/train --test photos/test"},
			{For: "the demo's encoder beside raw pixels, on MNIST", Line: "evaluate --weights runs/demo/encoder.safetensors --pixels"},
			{For: "with 1, 5, 10 and all images of each class", Line: "evaluate --weights runs/photos/encoder.safetensors --train a --test b --shots 1,5,10,all --draws 10"},
			{For: "fine-tuned end to end, and supervised training from scratch to compare with", Line: "evaluate --weights runs/photos/encoder.safetensors --train a --test b --fine-tune --save tuned.pt"},
			{Line: "evaluate --weights runs/photos/encoder.safetensors --train a --test b --fine-tune --untrained"},
			{For: "embeddings that embed has written", Line: "evaluate --embeddings --train train.npy --test test.npy --shots 1,10,all"},
			{For: "images without labels", Line: "evaluate --weights runs/photos/encoder.safetensors --label-free --test photos"},
			{For: "timm's weights, for a program to read", Line: "evaluate --weights model.pt --model resnet50 --train a --test b --json"},
		},
		Check: o.check,
	}
	cmd.Flags("Evaluation", o)
	return cmd
}

// alone says whether there is nothing to learn from: only what needs no labels is measured.
func (o *options) alone() bool { return o.LabelFree && o.Train == "" && o.Test != "" }

func (o options) balancedClasses() bool { return o.ClassWeights == "balanced" }

func (o *options) check() error {
	var errs []error
	if (o.Train == "") != (o.Test == "") && !o.alone() {
		errs = append(errs, errors.New("--train and --test: expected both, or neither for MNIST"))
	}
	if o.balancedClasses() && o.Probe != "lbfgs" {
		errs = append(errs, fmt.Errorf("--class-weights: balanced is for --probe lbfgs, not %s", o.Probe))
	}
	for _, k := range o.RecallAt {
		if k < 1 {
			errs = append(errs, fmt.Errorf("--recall-at: %d, expected 1 or more", k))
		}
	}
	if o.ViewCount < 2 {
		errs = append(errs, fmt.Errorf("--view-count: %d, expected 2 or more", o.ViewCount))
	}
	if o.ViewImages < 2 {
		errs = append(errs, fmt.Errorf("--view-images: %d, expected 2 or more", o.ViewImages))
	}
	if o.Views != "" && !o.LabelFree {
		errs = append(errs, errors.New("--views: is for --label-free"))
	}
	if o.ClassTokens < 0 {
		errs = append(errs, fmt.Errorf("--class-tokens: %d, expected 0 or more", o.ClassTokens))
	}
	if o.K < 1 {
		errs = append(errs, fmt.Errorf("--k: %d, expected 1 or more", o.K))
	}
	if !(o.Temperature > 0) {
		errs = append(errs, fmt.Errorf("--temperature: %v, expected more than 0", o.Temperature))
	}
	if len(o.L2) == 0 {
		errs = append(errs, errors.New("--l2: empty, expected one number or several"))
	}
	for _, l := range o.L2 {
		if !(l >= 0) {
			errs = append(errs, fmt.Errorf("--l2: %v, expected 0 or more", l))
		}
	}
	if _, err := o.fewShot(); err != nil {
		errs = append(errs, err)
	}
	encoder := o.Model.Check
	switch {
	case o.Embeddings:
		encoder = o.checkEmbeddings
	case o.Untrained:
		encoder = o.Model.CheckUntrained
	}
	return errors.Join(append(errs, o.checkTargets(), o.checkTune(), model.CheckImages(o.Collection), encoder())...)
}

// run evaluates what the options say, prints the result to out and all else to log.
func run(ctx context.Context, o options, out, log io.Writer) error {
	r := result{Weights: o.Model.Weights, Untrained: o.Untrained}
	measure := o.measureImages
	if o.Embeddings {
		measure = o.measureEmbeddings
	}
	if err := measure(ctx, &r, log); err != nil {
		return err
	}
	if o.JSON {
		return r.writeJSON(out)
	}
	return r.writeTable(out)
}

// measureImages adds to r what an encoder's features of images come to.
func (o options) measureImages(ctx context.Context, r *result, log io.Writer) error {
	m, err := o.load()
	if err != nil {
		return err
	}
	defer m.Close()
	r.Model, r.ImageSize = m.Encoder.Spec().Name, m.Size
	if o.alone() {
		return o.withoutLabels(ctx, m, r, log)
	}
	return o.withLabels(ctx, m, r, log)
}

// load makes the encoder.
func (o options) load() (*vision.Model, error) {
	if o.Untrained {
		return o.Model.Untrained(o.Seed)
	}
	m, err := o.Model.Load()
	if err == nil && o.FineTune && m.Encoder.Layers() == nil {
		m.Close()
		return nil, errors.New("--fine-tune: a TorchScript module has no place for a head: expected an encoder with weights under timm's keys")
	}
	return m, err
}

// withoutLabels adds to r what the test images say by themselves.
func (o options) withoutLabels(ctx context.Context, m *vision.Model, r *result, log io.Writer) error {
	s, err := o.collection(ctx, "test", o.Test, len(m.Mean))
	if err != nil {
		return err
	}
	features, err := o.encoder(m)
	if err != nil {
		return err
	}
	x, err := features.of(ctx, s, log, true)
	if err != nil {
		return err
	}
	r.Test = s.describe()
	r.Test.Used = x.N
	l, err := o.labelFree(ctx, m, s, x.Features, log)
	r.LabelFree = &l
	return err
}

// features are what is taken of m, and what they are called.
func (o options) features(m *vision.Model) (eval.Encoder, string, error) {
	if o.ClassTokens == 0 {
		return m.Encoder, "encoder", nil
	}
	c, err := m.Encoder.ClassTokens(o.ClassTokens)
	if err != nil {
		return nil, "", fmt.Errorf("--class-tokens: %w", err)
	}
	return c, "class tokens", nil
}

// encoder is the features that m makes.
func (o options) encoder(m *vision.Model) (kind, error) {
	features, name, err := o.features(m)
	return kind{name, func(ctx context.Context, s source) (eval.Extracted, error) {
		extract := o.Model.Extract(m)
		extract.Deep = s.deep
		return eval.Extract(ctx, m.Thread, features, s, extract)
	}}, err
}

// withLabels adds to r how well classes can be told by features.
func (o options) withLabels(ctx context.Context, m *vision.Model, r *result, log io.Writer) error {
	features, err := o.encoder(m)
	if err != nil {
		return err
	}
	train, test, err := o.open(ctx, len(m.Mean))
	if err != nil {
		return err
	}
	if err := o.checkShots(train); err != nil {
		return err
	}
	described := train.describe()
	r.Train, r.Test = &described, test.describe()
	kinds := []kind{features}
	if o.Pixels {
		kinds = append(kinds, kind{"pixels", func(ctx context.Context, s source) (eval.Extracted, error) {
			return eval.Pixels(ctx, s, m.Size, views.Kind{Channels: len(m.Mean), Deep: s.deep})
		}})
	}
	for i, k := range kinds {
		a, err := k.labelled(ctx, train, log, i == 0)
		if err != nil {
			return err
		}
		b, err := k.labelled(ctx, test, log, i == 0)
		if err != nil {
			return err
		}
		if err := o.measureKind(ctx, m.Thread, k.name, of{train, a}, of{test, b}, r); err != nil {
			return err
		}
		if i == 0 && o.LabelFree {
			l, err := o.labelFree(ctx, m, test, b.Features, log)
			if err != nil {
				return err
			}
			r.LabelFree = &l
		}
		if i == 0 && o.FineTune {
			if r.FineTuned, err = o.fineTune(ctx, m, of{train, a}, of{test, b}, log); err != nil {
				return err
			}
		}
	}
	return nil
}

// measureKind adds to r how well classes, or targets, can be told by one kind of features.
func (o options) measureKind(ctx context.Context, th *torch.Thread, name string, train, test of, r *result) error {
	r.Train.Used, r.Test.Used = train.N, test.N
	if o.hasTargets() {
		return o.measureTargets(ctx, th, name, train, test, r)
	}
	return o.measureClasses(ctx, th, name, train, test, r)
}
