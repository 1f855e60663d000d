// Package config is the configuration of a training run: one typed struct, from which YAML keys, flags and help are
// made. It knows nothing of libtorch.
//
// A Config goes through three states. [Default] and what the user gives make one in which some values are still "auto";
// [Config.Adopt] takes those over from the run that is resumed, if there is one; [Config.Resolve] works the others out
// from the data and the machine. What is saved beside a run is resolved, so it says what was really done.
package config

import (
	"fmt"
	"io"
	"os"

	"go.yaml.in/yaml/v3"

	"github.com/gojepa/gojepa/internal/atomicfile"
	"github.com/gojepa/gojepa/internal/fields"
)

// Config is everything that determines a training run, but for what is passed to it in Go. Zeros are literal: a Lambda
// of 0 trains without SIGReg. Fields of type [Auto] have a zero that means "auto".
type Config struct {
	Data      Data      `yaml:"data" group:"Data"`
	Encoder   Encoder   `yaml:"encoder" group:"Encoder"`
	Views     Views     `yaml:"views" group:"Views"`
	Text      Text      `yaml:"text" group:"Captions"`
	Loss      Loss      `yaml:"loss" group:"Objective"`
	Projector Projector `yaml:"projector" group:"Objective"`
	Schedule  Schedule  `yaml:"schedule" group:"Schedule"`
	Optim     Optim     `yaml:"optim" group:"Optimiser"`

	Precision string    `yaml:"precision" flag:"precision" enum:"auto,fp32,bf16" arg:"fp32|bf16" group:"Machine" help:"arithmetic of encoder and projector; auto is bf16 where the machine computes it natively. Weights, optimiser and loss stay in fp32"`
	Device    string    `yaml:"device" flag:"device" arg:"DEVICE" resume:"free" group:"Machine" help:"auto, cpu, cuda or cuda:N; auto is the first GPU if there is one"`
	Threads   Auto[int] `yaml:"threads" flag:"threads" arg:"N" resume:"free" group:"Machine" help:"threads that compute on the CPU; auto is one for each core"`
	Workers   Auto[int] `yaml:"workers" flag:"workers" arg:"N" resume:"free" group:"Machine" help:"goroutines that decode images and make views; auto is one for each core"`

	Out             string   `yaml:"out" flag:"out" arg:"DIR" resume:"free" group:"Run" help:"folder for checkpoints, metrics, weights and report; auto is runs/ and the name of the data"`
	Resume          bool     `yaml:"resume" flag:"resume" resume:"free" group:"Run" help:"go on where the run in --out stopped; with --resume=false a run that is there already is an error"`
	CheckpointEvery Every    `yaml:"checkpoint_every" flag:"checkpoint-every" arg:"EVERY" resume:"free" group:"Run" help:"time between checkpoints: never, 500 (steps), 2epochs or 10m. There is one at the end, and at Ctrl-C, in any case"`
	KeepCheckpoints int      `yaml:"keep_checkpoints" flag:"keep-checkpoints" arg:"N" resume:"free" group:"Run" help:"checkpoints to keep, 1 or more: where the newest is damaged, a run goes on from the one before"`
	OnDivergence    string   `yaml:"on_divergence" flag:"on-divergence" enum:"stop,back" arg:"stop|back" resume:"free" group:"Run" help:"what is done when loss or gradient is not finite: stop, or go back to the last checkpoint and on with another seed, three times at most. The batch and the state before it are saved in any case, for --replay"`
	EvalEvery       Every    `yaml:"eval_every" flag:"eval-every" arg:"EVERY" resume:"free" group:"Run" help:"time between evaluations on some of the images: rank and Gaussianity and, where there are labels, k-NN and linear probe. Written likewise, or 2% for as often as fits into that share of the time; auto is 5%. Which steps a share comes to depends on the machine; a count of steps does not. There is one at the end, of all images, in any case"`
	EvalSamples     int      `yaml:"eval_samples" flag:"eval-samples" arg:"N" resume:"free" group:"Run" help:"images that evaluations during training look at, drawn by the seed from those to test with or, without them, from all; where there are labels, as many again teach k-NN and probe. They are decoded once if they take less than 256 MB"`
	Maps            bool     `yaml:"maps" flag:"maps" resume:"free" group:"Run" help:"the report at the end has maps of some of those images, principal components of patch tokens and attention, and the embeddings of all of them in a plane"`
	Log             []string `yaml:"log" flag:"log" arg:"csv,tensorboard" resume:"free" group:"Run" help:"formats for the figures of all steps and evaluations besides metrics.jsonl: csv, tensorboard, or both"`
	Profile         Profile  `yaml:"profile" flag:"profile" arg:"[FIRST:LAST]" alone:"auto" resume:"free" group:"Run" help:"steps to profile, such as 100:105, or alone five soon after the beginning: where their time went goes into trace.json, for chrome://tracing and ui.perfetto.dev, and as tables into the report. It changes nothing of what is computed"`
	Seed            uint64   `yaml:"seed" flag:"seed" group:"Run" help:"names everything random: initial weights, order, views, slices, drop path"`
}

// Data says which images to train on.
type Data struct {
	Path       string `yaml:"path" flag:"data" arg:"PATH" help:"folder of images, searched through; list of them (.csv, .tsv, .txt); or .tar, .parquet, .npy, .npz or .h5 files: one, a folder of them, or a pattern such as 'shard-{000..099}.tar'. Without it, the MNIST digits (a Go module of 12 MB, fetched once)"`
	TestPath   string `yaml:"test_path" flag:"test-data" arg:"PATH" resume:"free" help:"images to evaluate on, laid out like those of --data; without it, a fifth of the training images tests the probe that the others train"`
	Labels     bool   `yaml:"labels" flag:"labels" resume:"free" help:"the folders' names are classes, or the usual column of labels; used for evaluation only, never in training"`
	Collection `yaml:",inline"`
	MaxBroken  float64 `yaml:"max_broken" flag:"max-broken" arg:"SHARE" resume:"free" help:"share of the images that may be unreadable before the run stops, from 0 to 1; they are left out and listed. One is never too many"`
	Index      string  `yaml:"index" arg:"DIR" resume:"free" help:"folder to keep in what is found out about large collections, so that they are opened faster next time; auto is the run's own, none keeps nothing"`
	Rescan     bool    `yaml:"rescan" flag:"rescan" resume:"free" help:"look through all the data again: files that are added or removed are noticed in any case, edits not always"`
}

// Labelled reports whether labels are asked for.
func (d Data) Labelled() bool { return d.Labels || d.LabelColumn != "" }

// Encoder is the network whose features are wanted.
type Encoder struct {
	Name       string        `yaml:"model" flag:"model" arg:"NAME" help:"timm's name, such as vit_small_patch16_224 or resnet18; auto is vit_tiny on a CPU and vit_small on a GPU"`
	Init       string        `yaml:"init" flag:"init" arg:"FILE" help:"weights to begin with: .safetensors, .pt or .pth of any kind that evaluate takes, and its sizes with them; or a TorchScript module, which is the encoder then"`
	ImageSize  Auto[int]     `yaml:"image_size" flag:"image-size" arg:"PX" help:"side of global views; auto is the images' own shorter side, up to 128 on a CPU and 224 on a GPU"`
	PatchSize  Auto[int]     `yaml:"patch_size" flag:"patch-size" arg:"PX" help:"side of a ViT's patches; auto is what the model's name says or, with an auto model, what suits the image size"`
	Channels   Auto[int]     `yaml:"channels" flag:"channels" arg:"N" help:"channels of the images; auto is the data's own, 1 or 3"`
	Width      Auto[int]     `yaml:"width" flag:"width" arg:"N" help:"width of a ViT's tokens, or of a ResNet's first stage, which doubles from stage to stage; auto is the model's own"`
	Depth      Auto[int]     `yaml:"depth" flag:"depth" arg:"N" help:"blocks of a ViT, or of each stage of a ResNet; auto is the model's own"`
	Heads      Auto[int]     `yaml:"heads" flag:"heads" arg:"N" help:"attention heads of a ViT, which divide its width; auto is the model's own"`
	Pool       string        `yaml:"pool" flag:"pool" enum:"auto,token,avg" arg:"token|avg" help:"what a ViT's embedding is: its class token, or the average of its patches' tokens; auto is the model's own"`
	Registers  Auto[int]     `yaml:"registers" flag:"registers" arg:"N" help:"tokens of a ViT that belong to no patch and keep what is of the whole image; auto is the model's own, mostly none"`
	LayerScale Auto[float64] `yaml:"layer_scale" flag:"layer-scale" arg:"X" help:"initial scale of a ViT's residual branches, learnt for each feature, such as 1e-5; auto is the model's own, mostly none"`
	QKNorm     bool          `yaml:"qk_norm" flag:"qk-norm" help:"a ViT's queries and keys are normalised, head by head; false is the model's own, mostly not"`
	SwiGLU     bool          `yaml:"swiglu" flag:"swiglu" help:"a ViT's MLPs are gated, with as many parameters; false is the model's own, mostly not"`
	NumClasses int           `yaml:"num_classes" flag:"num-classes" arg:"N" help:"width of a linear head between the pooled features and the projector; 0 is no head"`
	DropPath   float64       `yaml:"drop_path" flag:"drop-path" arg:"P" help:"stochastic depth: probability to drop the last block's residual branches, rising from 0 in the first; below 1"`
}

// Loss is the objective: (1 − Lambda) · prediction + Lambda · SIGReg.
type Loss struct {
	Lambda        float64 `yaml:"lambda" flag:"lambda" help:"weight of SIGReg, from 0 to 1; the prediction loss has the rest. 0.02 to 0.05 are good starts"`
	Slices        int     `yaml:"slices" flag:"slices" help:"random directions that SIGReg tests"`
	Directions    string  `yaml:"directions" enum:"independent,orthogonal" help:"how they are drawn: each by itself, or as orthonormal bases, which cover few dimensions more evenly"`
	ResampleEvery int     `yaml:"resample_every" help:"steps for which they stay the same, 1 or more"`
	Test          string  `yaml:"test" enum:"epps-pulley,anderson-darling,cramer-von-mises,watson,shapiro-wilk,vcreg,jarque-bera,moments,entropy,nll" arg:"TEST" help:"what each slice is put to: epps-pulley, which is LeJEPA's own and by far the fastest, anderson-darling, cramer-von-mises, watson, jarque-bera, vcreg, moments or nll; shapiro-wilk and entropy work too, but do not see collapse"`
	Knots         int     `yaml:"knots" help:"of epps-pulley: points of the integral over t, 2 or more"`
	TMax          float64 `yaml:"t_max" help:"of epps-pulley: end of the range of t, above 0"`
	Symmetric     bool    `yaml:"symmetric" help:"of epps-pulley: integrate over [-t_max, t_max], as the paper's algorithm does, and not over [0, t_max] counted twice"`
	Weight        string  `yaml:"weight" enum:"gaussian,uniform" help:"of epps-pulley: weight of the points of the integral"`
	Clip          float64 `yaml:"clip" help:"slices whose statistic is below it count as 0 and are left alone; 0: every slice counts"`
}

// Projector is the MLP between features and objective; it is not used after training.
type Projector struct {
	Hidden []int `yaml:"hidden" arg:"N,N,…" help:"widths of its hidden layers"`
	Dim    int   `yaml:"dim" flag:"proj-dim" help:"width of the projections that the objective sees"`
}

// Schedule is the length of the run. At least one of Epochs and Steps is auto.
type Schedule struct {
	BatchSize  Auto[int] `yaml:"batch_size" flag:"batch-size" arg:"N" help:"images in a step; auto is 128 on a CPU and 256 on a GPU, or all images if they are fewer"`
	MicroBatch Auto[int] `yaml:"micro_batch" flag:"micro-batch" arg:"N" resume:"free" help:"images that are encoded at a time, for batches that are larger than the memory: gradients stay those of the whole batch, for about 30% more time (docs/memory.md); auto is all"`
	Checkpoint bool      `yaml:"checkpoint_activations" flag:"checkpoint-activations" resume:"free" help:"keep for the backward pass what goes into each of the encoder's blocks, and compute what is in them again: the same gradients in much less memory, for about 40% more time. It goes with --micro-batch, and both take half as much again (docs/memory.md)"`
	Epochs     Auto[int] `yaml:"epochs" flag:"epochs" arg:"N" resume:"longer" help:"passes over the images; auto aims at an hour: 120,000 images on a CPU, 2 million on a GPU"`
	Steps      Auto[int] `yaml:"steps" flag:"steps" arg:"N" resume:"longer" help:"length of the run in steps, in place of --epochs"`
}

// Optim is the optimiser, with a linear warm-up and a cosine decay of the learning rate.
type Optim struct {
	Name        string        `yaml:"name" flag:"optimizer" enum:"adamw,lars,muon,schedulefree" arg:"NAME" help:"adamw, lars (for large batches), muon (matrices by Muon, the rest by AdamW) or schedulefree (AdamW whose weights are averaged, in place of a schedule)"`
	LR          Auto[float64] `yaml:"lr" flag:"lr" arg:"X" help:"peak learning rate; auto is 0.0005, 0.0025 for schedulefree and 0.3 for lars at 256 images in a step, in proportion to them"`
	WeightDecay Auto[float64] `yaml:"weight_decay" flag:"weight-decay" arg:"X" help:"weight decay of weight matrices, decoupled but for lars; auto is 0.05 for a ViT and 0.0005 for other models, and 1e-6 for lars"`
	LayerDecay  float64       `yaml:"layer_decay" flag:"layer-decay" help:"learning rate of each layer of the encoder as a share of the next one's, for encoders that begin with weights; 1 is one rate for all"`
	WarmupSteps Length        `yaml:"warmup_steps" flag:"warmup-steps" arg:"LENGTH" help:"in which the learning rate rises to its peak: 500 (steps), 2epochs or 100000images; auto is a tenth of the run"`
	FinalLR     Auto[float64] `yaml:"final_lr_fraction" arg:"X" help:"learning rate at the end, as a fraction of its peak; auto is 0.001, and 1 for schedulefree"`
	Betas       [2]float64    `yaml:"betas" help:"of AdamW: decay of the running means of gradients and of their squares"`
	Eps         float64       `yaml:"eps" help:"of AdamW and lars: added to the root of the mean square, and to the gradient's norm"`
	Momentum    Auto[float64] `yaml:"momentum" arg:"X" help:"of lars and muon: decay of the running mean of gradients; auto is 0.9 for lars and 0.95 for muon"`
	Trust       float64       `yaml:"trust" help:"of lars: share of a weight's norm that its step has at a learning rate of 1"`
	MuonScale   string        `yaml:"muon_scale" enum:"rms,original" help:"of muon: rms makes steps as large as AdamW's, so that its learning rates will do; original is its author's scale"`
	EMA         float64       `yaml:"ema" flag:"ema" arg:"DECAY" help:"decay of a running average of the encoder's weights, such as 0.9998, which is evaluated and saved beside them as encoder_ema.safetensors; 0 is none"`
	ClipNorm    Clip          `yaml:"clip_norm" arg:"X" help:"gradients are scaled down to this L2 norm where theirs is larger; none is no limit"`
}

// The names of optimisers.
const (
	AdamW        = "adamw"
	LARS         = "lars"
	Muon         = "muon"
	ScheduleFree = "schedulefree"
)

// Default returns the published recipe, with "auto" where it depends on data or machine: λ = 0.02, 1024 slices, 17 knots
// on [0, 3], two global and six local views, a projector with two hidden layers of 2048, AdamW with cosine decay to a
// thousandth of its learning rate (arXiv 2511.08544, section 6 and its code).
func Default() Config {
	return Config{
		Data:            Data{Collection: OpenCollection(), MaxBroken: 0.01, Index: auto},
		Encoder:         Encoder{Name: auto, Pool: auto, DropPath: 0.1},
		Views:           PresetViews("paper"),
		Text:            defaultText(),
		Loss:            Loss{Lambda: 0.02, Slices: 1024, Directions: "independent", ResampleEvery: 1, Test: "epps-pulley", Knots: 17, TMax: 3, Weight: "gaussian"},
		Projector:       Projector{Hidden: []int{2048, 2048}, Dim: 16},
		Optim:           Optim{Name: AdamW, LayerDecay: 1, Betas: [2]float64{0.9, 0.999}, Eps: 1e-8, Trust: 1e-3, MuonScale: "rms"},
		Precision:       auto,
		Device:          auto,
		Out:             auto,
		Resume:          true,
		Log:             []string{},
		CheckpointEvery: Every{Time: defaultCheckpointEvery},
		EvalEvery:       Every{Share: autoShare},
		EvalSamples:     2048,
		Maps:            true,
		KeepCheckpoints: 3,
		OnDivergence:    "stop",
	}
}

// Load reads a YAML file over the defaults. The error names every mistake of the file.
func Load(path string) (Config, error) {
	c := Default()
	if err := c.Read(path); err != nil {
		return Config{}, err
	}
	return c, nil
}

// Read sets what a YAML file gives and leaves the rest. The error joins all mistakes of the file, one line each: keys
// that do not exist, with the nearest that does, and values of the wrong type.
func (c *Config) Read(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading configuration: %w", err)
	}
	return c.Decode(text, path)
}

// Decode is Read for text in memory; name says in errors where it is from.
//
// A preset of views replaces all of them, before the text's other values of views are set.
func (c *Config) Decode(text []byte, name string) error {
	var given givenPreset
	// What is wrong with the text is for the real decoder to say.
	if _ = yaml.Unmarshal(text, &given); given.Views.Preset != "" {
		c.Views = PresetViews(given.Views.Preset)
	}
	return fields.DecodeYAML(text, name, c)
}

// DecodeNode is Decode for a part of a YAML document.
func (c *Config) DecodeNode(n *yaml.Node, name string) error {
	var given givenPreset
	if _ = n.Decode(&given); given.Views.Preset != "" {
		c.Views = PresetViews(given.Views.Preset)
	}
	return fields.DecodeNode(n, name, c)
}

// givenPreset is what has to be known of a configuration before its other values.
type givenPreset struct {
	Views struct {
		Preset string `yaml:"preset"`
	} `yaml:"views"`
}

// Encode returns the configuration as YAML that Decode reads, with help as comments.
func (c Config) Encode() ([]byte, error) { return fields.EncodeYAML(&c) }

// Save writes the configuration to a YAML file that Load reads. It replaces a file whole or not at all.
func (c Config) Save(path string) error {
	text, err := c.Encode()
	if err != nil {
		return fmt.Errorf("saving configuration: %w", err)
	}
	if err := atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	}); err != nil {
		return fmt.Errorf("saving configuration: %w", err)
	}
	return nil
}
