// Command export takes what a run has trained to PyTorch: as a state dict, or as a module that runs by itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gojepa/gojepa/cmd/internal/model"
	"github.com/gojepa/gojepa/internal/cli"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/train"
	"github.com/gojepa/gojepa/vision"
)

// options are the command's flags.
type options struct {
	Run    string        `yaml:"run" flag:"run" arg:"DIR" group:"Export" help:"a run's folder: its encoder, or that of its last checkpoint while it is not finished; --weights takes a file instead"`
	Out    []string      `yaml:"out" flag:"out" arg:"FILE,…" group:"Export" help:"what to write: .safetensors or .pt for a state dict with timm's keys, .torchscript for a module that torch.jit.load runs"`
	Pixels bool          `yaml:"pixels" flag:"pixels" group:"Export" help:"the TorchScript module takes samples in [0, 1], and normalises them itself"`
	Model  model.Encoder `yaml:",inline"`
}

func main() {
	o := options{Model: model.DefaultEncoder()}
	os.Exit(command(&o).Main(os.Args[1:], os.Stdout, os.Stderr, func(ctx context.Context, _ []string) error {
		return run(ctx, o, os.Stderr)
	}))
}

func command(o *options) *cli.Command {
	cmd := &cli.Command{
		Name:     "export",
		Synopsis: "writes a trained encoder for PyTorch.",
		About: `A state dict has timm's keys: timm.create_model(NAME).load_state_dict takes it. A TorchScript module is the encoder
itself, [N, C, H, W] to [N, D], traced at the side --image-size: Python runs it by torch.jit.load without this project, in
batches of any size. It is read again and compared with the encoder before the command ends. All three say in their
metadata which images they are for.`,
		Examples: []cli.Example{
			{For: "for torch.jit.load", Line: "export --run runs/photos --out photos.torchscript"},
			{For: "a module for whoever has pixels in [0, 1], and the weights beside it", Line: "export --run runs/photos --pixels --out photos.torchscript,photos.pt"},
			{For: "weights of others with timm's keys, without the classifier", Line: "export --weights dinov2.pth --model vit_small_patch14_dinov2 --out dinov2.safetensors"},
		},
		Check: o.check,
	}
	cmd.Flags("", o)
	return cmd
}

// writers are what can be written, by the ending of the file's name.
var writers = map[string]func(s *torch.Scope, path string, m *vision.Model, pixels bool) error{
	".safetensors": writeState,
	".pt":          writeState,
	".pth":         writeState,
	".torchscript": writeScript,
}

func ending(path string) string { return strings.ToLower(filepath.Ext(path)) }

func (o *options) check() error {
	var errs []error
	scripts := 0
	for _, path := range o.Out {
		if writers[ending(path)] == nil {
			errs = append(errs, fmt.Errorf("--out: %q, expected a name that ends in .safetensors, .pt, .pth or .torchscript", path))
		} else if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
			errs = append(errs, fmt.Errorf("--out: there is no folder %s", filepath.Dir(path)))
		}
		if ending(path) == ".torchscript" {
			scripts++
		}
	}
	if len(o.Out) == 0 {
		errs = append(errs, errors.New("--out: missing; expected files to write"))
	}
	if o.Pixels && scripts == 0 {
		errs = append(errs, errors.New("--pixels: expected a .torchscript among --out, as a state dict normalises nothing"))
	}
	enc := o.Model
	if o.Run != "" {
		if enc.Weights != "" {
			errs = append(errs, errors.New("--run and --weights: expected one of them"))
		}
		enc.Weights = o.Run
	} else if enc.Weights == "" {
		return errors.Join(append(errs, errors.New("--run: missing; expected a run's folder, or --weights FILE"))...)
	}
	return errors.Join(append(errs, enc.Check())...)
}

// run writes what the options say and reports to log.
func run(ctx context.Context, o options, log io.Writer) error {
	from := "the weights of " + o.Model.Weights
	if o.Run != "" {
		w, err := train.Weights(o.Run)
		if err != nil {
			return err
		}
		if o.Model.Prefix == "" {
			o.Model.Prefix = w.Prefix
		}
		o.Model.Weights, from = w.File, w.String()
	}
	m, err := o.Model.Load()
	if err != nil {
		return err
	}
	defer m.Close()
	for _, path := range o.Out {
		var failed error
		err := m.Thread.Do(ctx, func(s *torch.Scope) { failed = writers[ending(path)](s, path, m, o.Pixels) })
		if err := errors.Join(err, failed); err != nil {
			return fmt.Errorf("--out: %w", err)
		}
		var size int64
		if info, err := os.Stat(path); err == nil {
			size = info.Size()
		}
		fmt.Fprintf(log, "%s: %s, %.1f MB, from %s\n", path, m.Encoder.Spec().Name, float64(size)/1e6, from)
	}
	return nil
}

func writeState(s *torch.Scope, path string, m *vision.Model, _ bool) error {
	return m.Encoder.Params().Save(s, path, vision.Metadata(m.Encoder.Spec(), m.Size, m.Mean, m.Std))
}

func writeScript(s *torch.Scope, path string, m *vision.Model, pixels bool) error {
	return m.Encoder.SaveTorchScript(s, path, vision.TraceOptions{ImageSize: m.Size, Mean: m.Mean, Std: m.Std, Pixels: pixels})
}
