package train

import (
	"context"
	"io"

	"golang.org/x/sys/cpu"

	"github.com/gojepa/gojepa/text/tokenize"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/vision"
)

// newRun is a run that has the caller's options and nothing else yet.
func newRun(opts []Option) *run {
	r := &run{output: io.Discard}
	for _, o := range opts {
		o(&r.options)
	}
	if r.options.output != nil {
		r.output = r.options.output
	}
	return r
}

// deviceOf is the device of a configuration. What is wrong with any of it is the error.
func deviceOf(cfg config.Config) (torch.Device, error) {
	if err := cfg.Validate(); err != nil {
		return torch.Device{}, err
	}
	return torch.ParseDevice(cfg.Device)
}

// prepare finds the images, and resolves the configuration by them, by the device and, if the run begins now, by the file
// whose weights it begins with. out is the run's folder, and note is told what is worth knowing.
func (r *run) prepare(ctx context.Context, cfg config.Config, begins bool, device torch.Device, out string, note func(string)) (err error) {
	var file vision.FileInfo // that the run begins with
	var tokenizer *tokenize.Tokenizer
	if cfg.Text.On() {
		if tokenizer, err = openTexts(cfg, out); err != nil {
			return err
		}
	}
	if begins {
		if cfg, file, err = begin(cfg); err != nil {
			return err
		}
		if cfg, err = beginText(cfg, tokenizer); err != nil {
			return err
		}
	}
	if r.data, err = openData(ctx, cfg, r.options, out, note); err != nil {
		return err
	}
	if n := len(file.Mean); n == r.data.channels {
		if _, set := cfg.Views.Mean.Get(); !set {
			cfg.Views.Mean, cfg.Views.Std = config.ListOf(file.Mean...), config.ListOf(file.Std...)
		}
	}
	facts, err := r.data.facts(ctx, cfg)
	if err != nil {
		return err
	}
	r.data.samples = nil // they may be large
	facts.GPU = device.IsCUDA()
	facts.BF16 = device.IsCUDA() || cpu.X86.HasAVX512BF16
	r.cfg = cfg.Resolve(facts)
	if err := r.cfg.Validate(); err != nil || tokenizer == nil {
		return err
	}
	return r.prepareTexts(ctx, tokenizer)
}
