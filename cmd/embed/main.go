// Command embed writes the features that an encoder makes of images.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gojepa/gojepa/cmd/internal/model"
	"github.com/gojepa/gojepa/internal/cli"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/vision/images"
)

// options are the command's flags.
type options struct {
	Data       string            `yaml:"data" flag:"data" arg:"PATH" help:"images: a folder, a list, .tar or .parquet files, as cmd/train takes them; or a .npy file of float32 [N, C, H, W] that is taken as it is: not resized, not normalised, unless --kind is arrays"`
	Collection config.Collection `yaml:",inline"`
	Out        string            `yaml:"out" flag:"out" arg:"FILE" help:"what to write: .npy, .safetensors or .csv"`
	Model      model.Flags       `yaml:",inline"`
}

// formats are the endings of what can be written.
var formats = []string{".npy", ".safetensors", ".csv"}

func main() {
	o := options{Collection: config.OpenCollection(), Model: model.Default()}
	os.Exit(command(&o).Main(os.Args[1:], os.Stdout, os.Stderr, func(ctx context.Context, _ []string) error {
		return run(ctx, o, os.Stderr)
	}))
}

func command(o *options) *cli.Command {
	cmd := &cli.Command{
		Name:     "embed",
		Synopsis: "writes the features that an encoder makes of images, a row for each.",
		About: `Rows are in the order of the files' names. For a folder, a .csv names the file of each row, and beside a .npy or a
.safetensors (tensor "features") a text file does: features.npy has features.files.txt. An image that cannot be read is
named, and has no row.`,
		Examples: []cli.Example{
			{For: "the features of a folder of images, by what a run has trained", Line: "embed --weights runs/photos/encoder.safetensors --data photos --out photos.npy"},
			{For: "timm's weights, on images prepared elsewhere", Line: "embed --weights model.pt --model resnet50 --data images.npy --out features.csv"},
		},
		Check: o.check,
	}
	cmd.Flags("Data", o)
	return cmd
}

func (o *options) check() error {
	var errs []error
	if o.Data == "" {
		errs = append(errs, errors.New("--data: missing; expected a folder of images or the like, or a .npy file"))
	}
	if ext := strings.ToLower(filepath.Ext(o.Out)); !slices.Contains(formats, ext) {
		errs = append(errs, fmt.Errorf("--out: %q, expected a name that ends in %s", o.Out, strings.Join(formats, ", ")))
	} else if info, err := os.Stat(filepath.Dir(o.Out)); err != nil || !info.IsDir() {
		errs = append(errs, fmt.Errorf("--out: there is no folder %s", filepath.Dir(o.Out)))
	}
	return errors.Join(append(errs, model.CheckImages(o.Collection), o.Model.Check())...)
}

// run embeds what the options say and reports to log.
func run(ctx context.Context, o options, log io.Writer) error {
	m, err := o.Model.Load()
	if err != nil {
		return err
	}
	defer m.Close()
	var f features
	if strings.EqualFold(filepath.Ext(o.Data), ".npy") && o.Collection.Kind != string(images.ArraysKind) {
		f, err = embedArray(ctx, m, o)
	} else {
		f, err = embedImages(ctx, m, o, log)
	}
	if err != nil {
		return err
	}
	files, err := f.save(o.Out)
	if err != nil {
		return err
	}
	fmt.Fprintf(log, "%s: %d rows of %d features by %s\n", strings.Join(files, ", "), f.rows(), f.dim, m.Encoder.Spec().Name)
	return nil
}
