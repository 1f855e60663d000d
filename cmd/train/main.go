// Command train pretrains an image encoder by LeJEPA.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/gojepa/gojepa/cmd/internal/pretrain"
	"github.com/gojepa/gojepa/internal/cli"
	"github.com/gojepa/gojepa/train"
	"github.com/gojepa/gojepa/train/config"
)

// extra are the flags that are no part of a run's configuration.
type extra struct {
	Config    string `yaml:"config" flag:"config" arg:"FILE" help:"YAML file with any of these values; flags win over it"`
	Demo      bool   `yaml:"demo" flag:"demo" help:"train a small ResNet on MNIST in about two minutes, and compare it with raw pixels and with itself untrained"`
	Preview   string `yaml:"preview" flag:"preview" arg:"FILE" help:"write a picture (PNG) of some images and their views, and train nothing"`
	Serve     string `yaml:"serve" flag:"serve" arg:"[HOST]:PORT" help:"show the report while training, at http://127.0.0.1:PORT, and keep it up to date; it is seen from this machine only, unless a HOST such as 0.0.0.0 is given. PORT 0 is any that is free"`
	Baselines bool   `yaml:"baselines" flag:"baselines" help:"evaluate raw pixels and the untrained encoder too, where there are labels"`
	Replay    string `yaml:"replay" flag:"replay" arg:"RUN" help:"do the step --at of the run in a folder again, bit for bit, and write its views, its images' names and its figures to --out, by default beside the run; also a folder that a step which diverged was saved in. --data, if the images have moved, --device, --threads and --workers may be given; all else is the run's"`
	At        int    `yaml:"at" flag:"at" arg:"STEP" help:"the step to --replay, as metrics.jsonl counts them, from 1"`
	Code      int    `yaml:"interrupted_code" flag:"interrupted-code" arg:"CODE" help:"exit code of a run that was told to stop (SIGTERM, Ctrl-C, SIGUSR2, SIGHUP) and is saved, by which batch systems know to start it again: Grid Engine's is 99"`
}

func main() { os.Exit(command(os.Args[1:], os.Stdout, os.Stderr)) }

// command runs a command line and returns the exit code.
func command(line []string, stdout, stderr io.Writer) int {
	cfg := config.Default()
	x := extra{Code: cli.TryAgain}
	// What the demo sets, a file and other flags may change, so that it has to be there before them.
	if wantsDemo(line) {
		cfg = demo()
	}
	preset := func() {
		if name, given := valueOf(line, "views", "views.preset"); given {
			cfg.Views = config.PresetViews(name)
		}
	}
	preset()
	cmd := cli.Command{
		Name:     "train",
		Synopsis: "pretrains an image encoder on images without labels, by LeJEPA.",
		About: `Without flags it trains on the MNIST digits, which a Go module holds. The run's folder, --out, gets the
encoder's weights (encoder.safetensors, with timm's keys), the run's record (metrics.jsonl), its configuration and a
report to look at. Ctrl-C or SIGTERM saves the run and ends it with code 75, the same again at once; the same
command goes on with it.`,
		Examples: []cli.Example{
			{For: "your own images", Line: "train --data photos --out runs/photos"},
			{For: "a ViT on small grey images, with the folders' names for evaluation", Line: "train --data xrays --labels --model vit_small_patch16_224 --image-size 128 --patch-size 8"},
			{For: "a look at the views of a recipe, without training", Line: "train --data tiles --views satellite --preview views.png"},
			{For: "what a finished run was made with, changed", Line: "train --config runs/photos/config.yaml --lambda 0.05 --out runs/photos-2"},
		},
		File: func(path string) error {
			err := cfg.Read(path)
			preset() // which wins over the file, and other flags over it
			return err
		},
		FileFlag: "config",
		Check:    func() error { return errors.Join(cfg.Validate(), x.validate()) },
	}
	cmd.Flags("Command", &x)
	cmd.Flags("", &cfg)
	return cmd.Main(line, stdout, stderr, func(ctx context.Context, _ []string) error {
		return run(ctx, cfg, x, stdout, stderr)
	})
}

// validate names what cannot be.
func (x extra) validate() error {
	var errs []error
	if x.Code < 1 || x.Code > 255 {
		errs = append(errs, fmt.Errorf("interrupted_code: %d, expected 1 to 255", x.Code))
	}
	if x.Replay != "" && x.At < 1 {
		errs = append(errs, fmt.Errorf("at: %d, expected the step to replay, 1 or more", x.At))
	}
	if x.Replay == "" && x.At != 0 {
		errs = append(errs, fmt.Errorf("at: %d, expected --replay RUN with it", x.At))
	}
	return errors.Join(errs...)
}

// wantsDemo looks for the flag in a command line that is not parsed yet.
func wantsDemo(line []string) bool {
	for i, arg := range line {
		switch strings.TrimLeft(arg, "-") {
		case "demo=true":
			return true
		case "demo":
			return strings.HasPrefix(arg, "-") && !(i+1 < len(line) && line[i+1] == "false")
		}
	}
	return false
}

// valueOf looks for the value of a flag, by any of its names, in a command line that is not parsed yet: the last one counts.
func valueOf(line []string, names ...string) (value string, given bool) {
	for i, arg := range line {
		name, after, joined := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if !strings.HasPrefix(arg, "-") || !slices.Contains(names, name) {
			continue
		}
		switch {
		case joined:
			value, given = after, true
		case i+1 < len(line):
			value, given = line[i+1], true
		}
	}
	return value, given
}

// run trains, with progress on stderr and what came of it on stdout.
func run(ctx context.Context, cfg config.Config, x extra, stdout, stderr io.Writer) error {
	if x.Preview != "" {
		if err := train.Preview(ctx, cfg, x.Preview); err != nil {
			return err
		}
		_, err := fmt.Fprintf(stdout, "views    %s\n", x.Preview)
		return err
	}
	if x.Replay != "" {
		return replay(ctx, cfg, x, stdout, stderr)
	}
	var opts []train.Option
	if x.Serve != "" {
		opts = append(opts, train.WithServer(x.Serve))
	}
	if x.Demo || x.Baselines {
		opts = append(opts, train.WithBaselines())
	}
	res, err := pretrain.Run(ctx, cfg, x.Code, stderr, opts...)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	pretrain.Show(&b, res)
	if x.Demo {
		b.WriteString("\nNow your own images:\n\n  . scripts/env.sh\n  go run ./cmd/train --data FOLDER\n\n")
	}
	_, err = b.WriteTo(stdout)
	return err
}
