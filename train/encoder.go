package train

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gojepa/gojepa/lejepa"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/vision"
)

// spec is the encoder that the configuration asks for.
func (r *run) spec() vision.Spec { return EncoderSpec(r.cfg.Encoder) }

// EncoderSpec is the encoder that a configuration asks for, with 0 for what it leaves open.
func EncoderSpec(e config.Encoder) vision.Spec {
	pool := e.Pool
	if pool == "auto" {
		pool = ""
	}
	return vision.Spec{
		Name: e.Name, ImageSize: e.ImageSize.Or(0), PatchSize: e.PatchSize.Or(0), Channels: e.Channels.Or(0),
		Width: e.Width.Or(0), Depth: e.Depth.Or(0), Heads: e.Heads.Or(0), NumClasses: e.NumClasses, DropPath: e.DropPath,
		Pool: pool, Registers: e.Registers.Or(0), LayerScale: e.LayerScale.Or(0), QKNorm: e.QKNorm, SwiGLU: e.SwiGLU,
	}
}

// begin gives a configuration that begins with a file's weights the sizes of the file's encoder, and says what else the
// file says. What the configuration says itself has to be as in the file, but for the size and the channels of the images,
// to which weights are adapted.
func begin(cfg config.Config) (config.Config, vision.FileInfo, error) {
	e := &cfg.Encoder
	if e.Init == "" {
		return cfg, vision.FileInfo{}, nil
	}
	info, err := vision.Inspect(e.Init, initOptions(cfg))
	if err != nil {
		return cfg, info, fmt.Errorf("--init: %w", err)
	}
	s := info.Spec
	e.Name = s.Name
	take := func(to *config.Auto[int], size int) {
		if size > 0 {
			*to = config.Of(size)
		}
	}
	take(&e.PatchSize, s.PatchSize)
	take(&e.Width, s.Width)
	take(&e.Depth, s.Depth)
	take(&e.Heads, s.Heads)
	take(&e.Registers, s.Registers)
	if s.Pool != "" {
		e.Pool = s.Pool
	}
	if s.LayerScale > 0 {
		e.LayerScale = config.Of(s.LayerScale)
	}
	e.QKNorm, e.SwiGLU = s.QKNorm, s.SwiGLU
	if s.Name == vision.TorchScript { // which takes what it was made for
		take(&e.Channels, cmp.Or(s.Channels, e.Channels.Or(3)))
		if _, set := e.ImageSize.Get(); !set {
			take(&e.ImageSize, info.ImageSize)
		}
	}
	return cfg, info, nil
}

// initOptions say how the file of --init is read: without its classifier, unless the run has one.
func initOptions(cfg config.Config) vision.LoadOptions {
	spec := EncoderSpec(cfg.Encoder)
	if spec.Name == "auto" {
		spec.Name = ""
	}
	return vision.LoadOptions{Spec: spec, DropHead: spec.NumClasses == 0, Resample: true}
}

// newEncoder makes the encoder with its initial weights, or, if a checkpoint has the weights, as it was made.
func (r *run) newEncoder(s *torch.Scope, resume bool) (lejepa.Encoder, error) {
	e := r.cfg.Encoder
	kept := filepath.Join(r.cfg.Out, initFile)
	switch {
	case r.options.encoder != nil:
		return r.options.encoder(s, r.cfg.Seed)
	case e.Name == vision.TorchScript && e.Init == "":
		return nil, fmt.Errorf("encoder.model: %s, expected the module as encoder.init", e.Name)
	case e.Name == vision.TorchScript:
		if _, err := os.Stat(kept); err == nil {
			return r.scripted(s, kept)
		}
		return r.scripted(s, e.Init)
	case e.Init == "" || resume:
		return vision.New(s, r.spec(), r.cfg.Seed, torch.Float32)
	}
	encoder, err := vision.LoadEncoder(s, e.Init, initOptions(r.cfg))
	if err != nil {
		return nil, fmt.Errorf("--init: %w", err)
	}
	return encoder, nil
}

// checkSegments reports an encoder whose activations cannot be computed again, if they are to be.
func (r *run) checkSegments() error {
	if !r.segments {
		return nil
	}
	e, scripted := r.model.Encoder.(*vision.Encoder)
	if _, ok := r.model.Encoder.(lejepa.Segmented); ok && !(scripted && e.Scripted()) {
		return nil
	}
	return fmt.Errorf("--checkpoint-activations: %s has no segments to compute again; expected an encoder of this module, or a lejepa.Segmented of one's own; --micro-batch saves memory with any",
		r.encoderName())
}

// scripted makes the encoder of a TorchScript module, which has to take views of every size.
func (r *run) scripted(s *torch.Scope, file string) (lejepa.Encoder, error) {
	layout := r.transform.Layout()
	e, err := vision.LoadTorchScript(s, file, vision.ScriptOptions{Channels: layout[0].Channels, ImageSize: layout[0].Size})
	if err != nil {
		return nil, fmt.Errorf("--init: %w", err)
	}
	for _, l := range layout[1:] {
		err := s.Try(func(s *torch.Scope) {
			black := s.Zeros(torch.Float32, 2, int64(l.Channels), int64(l.Size), int64(l.Size))
			s.NoGrad(func() { e.Forward(s, black, nn.Pass{}) })
		})
		if err != nil {
			e.Close()
			return nil, fmt.Errorf("--init: %s does not take local views of %d×%d pixels; expected --local-views 0, or a --local-size that it takes: %w",
				file, l.Size, l.Size, err)
		}
	}
	return e, nil
}

// keepScript copies the TorchScript module that the run begins with into its folder, where a resumed run finds it.
func (r *run) keepScript() error {
	e := r.cfg.Encoder
	if r.options.encoder != nil || e.Name != vision.TorchScript {
		return nil
	}
	return keepCopy(e.Init, filepath.Join(r.cfg.Out, initFile), "--init")
}
