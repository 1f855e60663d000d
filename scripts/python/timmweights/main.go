// Command timmweights is the Go side of check_weights.py.
//
//	timmweights write DIR   writes models, and what they make of random images, for timm to read
//	timmweights read DIR    reads the models that timm wrote, and writes what they make of timm's images
//
// Each model is a folder of DIR. Both sides write encoder.safetensors, encoder.pt, input.npy [N, C, H, W] and output.npy
// [N, Dim]; "write" adds spec.json, and "read" answers with answer_safetensors.npy and answer_pt.npy.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gojepa/gojepa/internal/npy"
	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/vision"
)

// specs are one model of each kind of block, at sizes of their own and at others.
var specs = []vision.Spec{
	{Name: "vit_tiny_patch16_224"},
	{Name: "vit_tiny_patch16_224", ImageSize: 64, PatchSize: 8, Channels: 1, NumClasses: 512},
	{Name: "vit_small_patch8_224", ImageSize: 128},
	{Name: "resnet18", ImageSize: 96, Channels: 2, NumClasses: 10},
	{Name: "resnet50"},
	{Name: "resnet34d", ImageSize: 64},
	{Name: "vit_xsmall_patch16_clip_224", ImageSize: 64},
	{Name: "vit_wee_patch16_reg1_gap_256", ImageSize: 64},
	{Name: "vit_tiny_patch16_dinov3_qkvb", ImageSize: 96},
	{Name: "convnext_atto", ImageSize: 64},
	{Name: "convnextv2_atto", ImageSize: 64},
	{Name: "swin_tiny_patch4_window7_224", ImageSize: 96},
	{Name: "swinv2_tiny_window8_256", ImageSize: 96},
	{Name: "mobilenetv3_small_050", ImageSize: 64},
	{Name: "efficientnet_b0", ImageSize: 64},
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "timmweights:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 2 && args[0] == "write" {
		return write(args[1])
	}
	if len(args) == 2 && args[0] == "read" {
		return read(args[1])
	}
	return fmt.Errorf("expected write DIR or read DIR")
}

func write(dir string) error {
	th, err := torch.Start(torch.Options{Threads: 1})
	if err != nil {
		return err
	}
	defer th.Close()
	for i, spec := range specs {
		spec, err := spec.Complete()
		if err != nil {
			return err
		}
		to := filepath.Join(dir, fmt.Sprintf("%d_%s", i, spec.Name))
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		var failed error
		err = th.Do(context.Background(), func(s *torch.Scope) { failed = writeModel(s, spec, to) })
		if err := errors.Join(err, failed); err != nil {
			return fmt.Errorf("%s: %w", spec.Name, err)
		}
	}
	return nil
}

func writeModel(s *torch.Scope, spec vision.Spec, to string) error {
	e, err := vision.New(s, spec, 1, torch.Float32)
	if err != nil {
		return err
	}
	defer e.Close()
	shape := []int64{2, int64(spec.Channels), int64(spec.ImageSize), int64(spec.ImageSize)}
	x := s.Randn(rng.New(1, rng.Sample, 0, 0), torch.Float32, shape...)
	var y torch.Tensor
	s.NoGrad(func() {
		disturb(s, e.Params())
		e.Forward(s, x, nn.Pass{Train: true}) // for running statistics
		y = e.Forward(s, x, nn.Pass{})
	})
	mean, std := vision.DefaultMeanStd(spec.Channels)
	for _, name := range []string{"encoder.safetensors", "encoder.pt"} {
		if err := e.Params().Save(s, filepath.Join(to, name), vision.Metadata(spec, spec.ImageSize, mean, std)); err != nil {
			return err
		}
	}
	text, err := json.Marshal(map[string]any{"model": spec.Name, "options": timmOptions(spec)})
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(to, "spec.json"), text, 0o644),
		writeArray(filepath.Join(to, "input.npy"), x.Shape(), x.Float32s()),
		writeArray(filepath.Join(to, "output.npy"), y.Shape(), y.Float32s()))
}

// disturb moves every parameter from its initial value, as some are 0 or 1 and would hide mistakes.
func disturb(s *torch.Scope, p *torch.Params) {
	for i, q := range p.Trained() {
		v := s.Use(q.Value)
		v.AddScaled_(s.Randn(rng.New(2, rng.Sample, uint64(i), 0), torch.Float32, v.Shape()...), 0.02)
	}
}

// timmOptions are the arguments of timm.create_model for a complete spec.
func timmOptions(s vision.Spec) map[string]int {
	o := map[string]int{"in_chans": s.Channels, "num_classes": s.NumClasses}
	if s.PatchSize > 0 {
		o["img_size"], o["patch_size"] = s.ImageSize, s.PatchSize
	}
	return o
}

// described is spec.json.
type described struct {
	Model   string
	Options struct {
		NumClasses int `json:"num_classes"` // which shapes do not decide, as a head may be unwanted
		ImageSize  int `json:"img_size"`    // which a Swin's do not decide
	}
}

func read(dir string) error {
	models, err := filepath.Glob(filepath.Join(dir, "*", "spec.json"))
	if err != nil || len(models) == 0 {
		return errors.Join(err, fmt.Errorf("no models in %s", dir))
	}
	for _, file := range models {
		var d described
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, &d); err != nil {
			return err
		}
		for _, ext := range []string{"safetensors", "pt"} {
			if err := answer(d, filepath.Dir(file), ext); err != nil {
				return err
			}
		}
	}
	return nil
}

// answer loads a model, the rest of whose sizes its shapes tell, and embeds the images beside it.
func answer(d described, dir, ext string) error {
	in, err := os.Open(filepath.Join(dir, "input.npy"))
	if err != nil {
		return err
	}
	defer in.Close()
	shape, x, err := npy.Read[float32](in)
	if err != nil {
		return err
	}
	spec := vision.Spec{Name: d.Model, NumClasses: d.Options.NumClasses, ImageSize: d.Options.ImageSize}
	m, err := vision.LoadSpec(spec, filepath.Join(dir, "encoder."+ext), torch.Options{Threads: 1})
	if err != nil {
		return err
	}
	defer m.Close()
	y, err := m.Pixels(context.Background(), x, shape[0], shape[1], shape[2], shape[3])
	if err != nil {
		return err
	}
	return writeArray(filepath.Join(dir, "answer_"+ext+".npy"), []int64{int64(shape[0]), m.Encoder.Dim()}, y)
}

func writeArray(path string, shape []int64, data []float32) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	dims := make([]int, len(shape))
	for i, d := range shape {
		dims[i] = int(d)
	}
	return errors.Join(npy.Write(f, dims, data), f.Close())
}
