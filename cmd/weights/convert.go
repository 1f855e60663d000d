package main

import (
	"fmt"
	"io"

	"github.com/gojepa/gojepa/internal/cli"
	"github.com/gojepa/gojepa/torch/weights"
)

// conversion are the flags of convert.
type conversion struct {
	DType  string `yaml:"dtype" flag:"dtype" enum:"float16,bfloat16,float32,float64" arg:"TYPE" help:"round floats to float16, bfloat16, float32 or float64; other tensors stay as they are" group:"Writing"`
	Source source `yaml:",inline"`
}

func convert() subcommand {
	o := &conversion{}
	cmd := &cli.Command{
		Name:     "weights convert",
		Args:     "IN OUT",
		Synopsis: "writes a file's tensors in another format, under other names or in another type.",
		About: `The format is by OUT's ending: .safetensors, or .pt, .pth, .ckpt and .bin for what torch.load reads with weights_only=True.
Metadata come along. Tensors pass through memory one at a time; OUT appears whole or not at all, and may be IN.`,
		Examples: []cli.Example{
			{For: "a checkpoint of training to safetensors", Line: "weights convert --key teacher checkpoint.pth teacher.safetensors"},
			{For: "CLIP's image encoder under timm's names, in half the size", Line: "weights convert --layout auto --dtype bfloat16 pytorch_model.bin clip.safetensors"},
		},
		Check: o.Source.check,
	}
	cmd.Flags("Writing", o)
	return subcommand{cmd, 2, func(_, log io.Writer, args []string) error { return o.run(log, args[0], args[1]) }}
}

func (o *conversion) run(log io.Writer, in, out string) error {
	f, err := o.Source.open(in)
	if err != nil {
		return err
	}
	defer f.Close()
	entries := f.Entries()
	if o.DType != "" {
		d, err := weights.ParseDType(o.DType)
		if err != nil {
			return err
		}
		for i := range entries {
			if entries[i], err = entries[i].As(d); err != nil {
				return err
			}
		}
	}
	if err := weights.SaveFile(out, entries, f.Metadata()); err != nil {
		return err
	}
	var n int64
	for _, e := range entries {
		n += e.Bytes()
	}
	fmt.Fprintf(log, "%s: %s, %s\n", out, tensors(len(entries)), size(n))
	if f.layout != nil && o.Source.Layout != "" {
		fmt.Fprintf(log, "names were those of %s\n", f.layout.About)
	}
	for _, s := range f.Skipped() {
		fmt.Fprintf(log, "left out %s: %s\n", shown(s.Name), s.What)
	}
	return nil
}
