// Package model holds what commands over trained weights have in common: the flags that name the encoder and say how to
// run it.
package model

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/weights"
	"github.com/gojepa/gojepa/torch/weights/layout"
	"github.com/gojepa/gojepa/vision"
)

// Flags name an encoder and say how to run it over many images.
type Flags struct {
	Encoder `yaml:",inline"`

	Workers   int    `yaml:"workers" flag:"workers" arg:"N" help:"images that are decoded at a time" group:"Machine"`
	BatchSize int    `yaml:"batch_size" flag:"batch-size" arg:"N" help:"images that go through the encoder at a time" group:"Machine"`
	Precision string `yaml:"precision" flag:"precision" enum:"fp32,bf16" arg:"fp32|bf16" help:"arithmetic of the encoder" group:"Machine"`
}

// Encoder names an encoder, and the device that it is loaded to. Numbers of 0 and empty lists are as the file of weights says.
type Encoder struct {
	Weights string `yaml:"weights" flag:"weights" arg:"FILE" help:"the encoder's weights: a run's encoder.safetensors, or any .safetensors, .pt or .pth, or the index of one in shards" group:"Encoder"`

	Name       string `yaml:"model" flag:"model" arg:"NAME" help:"timm's name of the encoder; what gojepa has trained says it itself" group:"Encoder"`
	ImageSize  int    `yaml:"image_size" flag:"image-size" arg:"PX" help:"side that images are resized and cropped to; 0 is the size that the encoder was trained with" group:"Encoder"`
	PatchSize  int    `yaml:"patch_size" flag:"patch-size" arg:"PX" help:"side of a ViT's patches; 0 is as in the file" group:"Encoder"`
	Channels   int    `yaml:"channels" flag:"channels" arg:"N" help:"channels of the images; 0 is as in the file" group:"Encoder"`
	NumClasses int    `yaml:"num_classes" flag:"num-classes" arg:"N" help:"width of the head, if the encoder has one and its file does not say so" group:"Encoder"`
	Width      int    `yaml:"width" flag:"width" arg:"N" help:"width, if it is not the model's own and the file does not say so" group:"Encoder"`
	Depth      int    `yaml:"depth" flag:"depth" arg:"N" help:"depth, likewise" group:"Encoder"`
	Heads      int    `yaml:"heads" flag:"heads" arg:"N" help:"attention heads, likewise" group:"Encoder"`
	Pool       string `yaml:"pool" flag:"pool" arg:"token|avg" help:"what a ViT's embedding is: its class token, or the average of its patches' tokens; without it, as the file says or else the model's own" group:"Encoder"`

	LayerScale float64 `yaml:"layer_scale" flag:"layer-scale" arg:"X" help:"above 0: the ViT's residual branches are scaled, and neither its name nor the file says so" group:"Encoder"`
	QKNorm     bool    `yaml:"qk_norm" flag:"qk-norm" help:"its queries and keys are normalised, likewise" group:"Encoder"`
	SwiGLU     bool    `yaml:"swiglu" flag:"swiglu" help:"its MLPs are gated, likewise" group:"Encoder"`

	Key      string   `yaml:"key" flag:"key" arg:"KEY" help:"path of the state dict in a file that holds several, such as teacher; without it, it is looked for" group:"Encoder"`
	Layout   string   `yaml:"layout" flag:"layout" arg:"NAME" help:"whose names the keys are: timm, or one that weights ls --help lists; without it, the keys tell" group:"Encoder"`
	Prefix   string   `yaml:"prefix" flag:"prefix" arg:"TEXT" help:"take only keys that begin so, and take it off them" group:"Encoder"`
	Drop     []string `yaml:"drop" flag:"drop" arg:"TEXT,…" help:"leave out keys that begin so" group:"Encoder"`
	Rename   []string `yaml:"rename" flag:"rename" arg:"OLD=NEW,…" help:"other beginnings of keys" group:"Encoder"`
	DropHead bool     `yaml:"drop_head" flag:"drop-head" help:"leave out the file's classifier, and take the features below it" group:"Encoder"`
	Strict   bool     `yaml:"strict" flag:"strict" help:"every key of the encoder is in the file, and no other; with --strict=false what is missing has initial values" group:"Encoder"`

	Mean []float64 `yaml:"mean" flag:"mean" help:"mean of each channel, of samples in [0, 1]; by default as in the file, else ImageNet's for 3 channels and 0.5 otherwise" group:"Encoder"`
	Std  []float64 `yaml:"std" flag:"std" help:"standard deviation of each channel, likewise" group:"Encoder"`

	Device  string `yaml:"device" flag:"device" arg:"DEV" help:"auto, cpu, cuda or cuda:N; auto is a GPU if there is one" group:"Machine"`
	Threads int    `yaml:"threads" flag:"threads" arg:"N" help:"threads of computation; 0 is one per core" group:"Machine"`
}

// Default names no encoder.
func Default() Flags {
	return Flags{Encoder: DefaultEncoder(), Workers: runtime.GOMAXPROCS(0), BatchSize: 64, Precision: "fp32"}
}

// DefaultEncoder names no encoder.
func DefaultEncoder() Encoder { return Encoder{Device: "auto", Strict: true} }

// number is the value of a flag, and the least that it may be.
type number struct {
	flag        string
	value, from int
}

func (n number) check() error {
	if n.value < n.from {
		return fmt.Errorf("--%s: %d, expected %d or more", n.flag, n.value, n.from)
	}
	return nil
}

// Check names everything that can be seen to be wrong before the weights are read.
func (f Flags) Check() error {
	return errors.Join(f.Encoder.Check(), number{"workers", f.Workers, 1}.check(), number{"batch-size", f.BatchSize, 1}.check())
}

// CheckMachine names what can be seen to be wrong with where there are computations, and nothing of the encoder.
func (f Encoder) CheckMachine() error { return number{"threads", f.Threads, 0}.check() }

// Load makes the encoder. The caller closes it.
func (f Flags) Load() (*vision.Model, error) {
	m, err := f.Encoder.Load()
	if err != nil {
		return nil, err
	}
	m.BF16 = f.Precision == "bf16"
	return m, nil
}

// Check names everything that can be seen to be wrong before the weights are read.
func (f Encoder) Check() error {
	var errs []error
	if f.Weights == "" {
		errs = append(errs, errors.New("--weights: missing; expected a file of weights"))
	}
	if len(f.Mean) != len(f.Std) {
		errs = append(errs, fmt.Errorf("--mean has %d numbers and --std %d: expected one for each channel in both", len(f.Mean), len(f.Std)))
	}
	if _, err := weights.ParseRename(f.Rename); err != nil {
		errs = append(errs, fmt.Errorf("--rename: %w", err))
	}
	if f.Layout != "" && f.Layout != "timm" {
		if _, err := layout.Find(f.Layout); err != nil {
			errs = append(errs, fmt.Errorf("--layout: %w", err))
		}
	}
	for _, n := range []number{
		{"image-size", f.ImageSize, 0}, {"patch-size", f.PatchSize, 0}, {"channels", f.Channels, 0}, {"num-classes", f.NumClasses, 0},
		{"width", f.Width, 0}, {"depth", f.Depth, 0}, {"heads", f.Heads, 0}, {"threads", f.Threads, 0},
	} {
		errs = append(errs, n.check())
	}
	return errors.Join(errs...)
}

// options are those of loading the weights.
func (f Encoder) options() (vision.LoadOptions, error) {
	device, err := torch.ParseDevice(f.Device)
	if err != nil {
		return vision.LoadOptions{}, err
	}
	rename, err := weights.ParseRename(f.Rename)
	return vision.LoadOptions{
		Spec: vision.Spec{
			Name: f.Name, ImageSize: f.ImageSize, PatchSize: f.PatchSize, Channels: f.Channels, NumClasses: f.NumClasses,
			Width: f.Width, Depth: f.Depth, Heads: f.Heads,
			Pool: f.Pool, LayerScale: f.LayerScale, QKNorm: f.QKNorm, SwiGLU: f.SwiGLU,
		},
		Torch:    torch.Options{Device: device, Threads: f.Threads},
		Key:      f.Key,
		Names:    weights.Mapping{Prefix: f.Prefix, Drop: f.Drop, Rename: rename},
		Layout:   f.Layout,
		DropHead: f.DropHead,
		Lenient:  !f.Strict,
	}, err
}

// Load makes the encoder. The caller closes it.
func (f Encoder) Load() (*vision.Model, error) {
	o, err := f.options()
	if err != nil {
		return nil, err
	}
	m, err := vision.LoadFile(f.Weights, o)
	if err != nil {
		return nil, err
	}
	if len(f.Mean) > 0 {
		if err := vision.CheckMeanStd(f.Mean, f.Std, len(m.Mean)); err != nil {
			m.Close()
			return nil, fmt.Errorf("--mean and --std: %w", err)
		}
		m.Mean, m.Std = f.Mean, f.Std
	}
	return m, nil
}

// CheckUntrained is Check for [Flags.Untrained], which can do without weights.
func (f Flags) CheckUntrained() error {
	if f.Weights == "" && f.Name == "" {
		return errors.New("--untrained: of which encoder? expected --model, or --weights of a file that says it")
	}
	if f.Weights == "" {
		f.Weights = "none"
	}
	return f.Check()
}

// Untrained makes the encoder that --model names, or that the file of weights is of, with initial weights drawn from seed. The
// caller closes it.
func (f Flags) Untrained(seed uint64) (*vision.Model, error) {
	o, err := f.options()
	if err != nil {
		return nil, err
	}
	info := vision.FileInfo{Spec: o.Spec}
	if f.Weights != "" {
		if info, err = vision.Inspect(f.Weights, o); err != nil {
			return nil, err
		}
	}
	if len(f.Mean) > 0 {
		info.Mean, info.Std = f.Mean, f.Std
	}
	m, err := vision.Untrained(info, seed, o.Torch)
	if err != nil {
		return nil, fmt.Errorf("--untrained: %w", err)
	}
	m.BF16 = f.Precision == "bf16"
	return m, nil
}

// Extract are the options for features of m. Every image may be broken: what cannot be read is left out and reported by
// the command.
func (f Flags) Extract(m *vision.Model) eval.ExtractOptions {
	return eval.ExtractOptions{
		Size: m.Size, Channels: len(m.Mean), Mean: m.Mean, Std: m.Std,
		BatchSize: f.BatchSize, Workers: f.Workers, BF16: m.BF16, MaxBroken: 1,
	}
}
