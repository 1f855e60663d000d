// Command look draws what an encoder makes of images.
package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"

	"github.com/gojepa/gojepa/cmd/internal/model"
	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/eval/look"
	"github.com/gojepa/gojepa/internal/atomicfile"
	"github.com/gojepa/gojepa/internal/cli"
	"github.com/gojepa/gojepa/train"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/vision/images"
)

// options are the command's flags.
type options struct {
	Run        string            `yaml:"run" flag:"run" arg:"DIR" help:"a run's folder: its encoder, or that of its last checkpoint while it is not finished, and its images, those of --test-data if it had any; in place of --weights, and of --data if no others are wanted"`
	Data       string            `yaml:"data" flag:"data" arg:"PATH" help:"images: a folder, a list, .tar or .parquet files, as cmd/train takes them"`
	Labels     bool              `yaml:"labels" flag:"labels" help:"the folders' names are classes, or the usual column of labels, and colour the projection; with --run, as the run had them"`
	Collection config.Collection `yaml:",inline"`
	Out        string            `yaml:"out" flag:"out" arg:"DIR" help:"folder for the pictures; it is made if it is not there"`
	Images     int               `yaml:"images" flag:"images" arg:"N" help:"images to draw, evenly over the collection"`
	Among      int               `yaml:"among" flag:"among" arg:"N" help:"images to look for neighbours among, and of the projection, likewise"`
	Neighbours int               `yaml:"neighbours" flag:"neighbours" arg:"N" help:"nearest images of each"`
	Model      model.Flags       `yaml:",inline"`

	test bool // the images are a run's to test with
}

func defaults() options {
	return options{Collection: config.OpenCollection(), Images: 8, Among: 1000, Neighbours: 8, Model: model.Default()}
}

func main() {
	o := defaults()
	os.Exit(command(&o).Main(os.Args[1:], os.Stdout, os.Stderr, func(ctx context.Context, _ []string) error {
		return run(ctx, o, os.Stderr)
	}))
}

func command(o *options) *cli.Command {
	cmd := &cli.Command{
		Name:     "look",
		Synopsis: "draws what an encoder makes of images, as PNG.",
		About: `pca.png has each image beside the first three principal components of its patches' tokens, as red, green and blue that
mean the same in all images. attention.png has the attention of a ViT's class token to patches in the last block, the mean of all
heads and then each; without class token it is that of all patches, and of encoders without attention the length of the tokens.
neighbours.png has the nearest images by the cosine of their features, the image itself first. projection.png has features as
dots, on the two principal components of the largest variance, coloured by class if there are --labels.`,
		Examples: []cli.Example{
			{For: "what a run has trained, on its own images", Line: "look --run runs/photos --out pictures"},
			{For: "other images, whose folders are classes", Line: "look --run runs/photos --data others --labels --out pictures"},
			{For: "timm's weights", Line: "look --weights model.pt --model vit_small_patch16_224 --data photos --out pictures"},
		},
		Check: o.check,
	}
	cmd.Flags("Data", o)
	return cmd
}

func (o *options) check() error {
	var errs []error
	if o.Data == "" && o.Run == "" {
		errs = append(errs, errors.New("--data: missing; expected a folder of images or the like"))
	}
	if o.Out == "" {
		errs = append(errs, errors.New("--out: missing; expected a folder"))
	}
	for _, n := range []struct {
		flag  string
		value int
	}{{"images", o.Images}, {"among", o.Among}, {"neighbours", o.Neighbours}} {
		if n.value < 1 {
			errs = append(errs, fmt.Errorf("--%s: %d, expected 1 or more", n.flag, n.value))
		}
	}
	enc := o.Model
	if o.Run != "" {
		if enc.Weights != "" {
			errs = append(errs, errors.New("--run and --weights: expected one of them"))
		}
		enc.Weights = o.Run // what it has is known once it is looked into
	}
	return errors.Join(append(errs, model.CheckImages(o.Collection), enc.Check())...)
}

// run draws what the options say and reports to log.
func run(ctx context.Context, o options, log io.Writer) error {
	if o.Run != "" {
		var err error
		if o, err = o.ofRun(); err != nil {
			return err
		}
	}
	m, err := o.Model.Load()
	if err != nil {
		return err
	}
	defer m.Close()
	src, err := o.source(ctx, len(m.Mean), log)
	if err != nil {
		return err
	}
	extract := o.Model.Extract(m)
	extract.Deep = src.Deep
	prepared, err := eval.Prepare(ctx, images.Subset{Source: src, Index: images.Evenly(o.Images, src.Len())}, extract)
	if err != nil {
		return err
	}
	var shown []*images.Image
	for row := 0; prepared.Image(row) != nil; row++ {
		shown = append(shown, prepared.Image(row))
	}
	if len(shown) == 0 {
		return fmt.Errorf("images of %s: none of those looked at can be read", o.Data)
	}
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return err
	}
	components, attention, of, err := drawMaps(ctx, m, shown)
	if err != nil {
		return err
	}
	among := images.Subset{Source: src, Index: images.Evenly(max(o.Among, o.Images), src.Len())}
	f, err := eval.Extract(ctx, m.Thread, m.Encoder, among, extract)
	if err != nil {
		return err
	}
	near, err := neighbours(ctx, m, o, f, among)
	if err != nil {
		return err
	}
	plane, err := train.Projection(ctx, m.Thread, f.Features)
	if err != nil {
		return err
	}
	sheet := func(rows [][]image.Image) func(io.Writer) error {
		return func(w io.Writer) error { return png.Encode(w, look.Arrange(rows)) }
	}
	drawings := map[string]func(io.Writer) error{"pca.png": sheet(components), "attention.png": sheet(attention), "neighbours.png": sheet(near)}
	if plane != nil {
		drawings["projection.png"] = func(w io.Writer) error { return drawProjection(w, plane) }
	}
	for name, drawing := range drawings {
		path := filepath.Join(o.Out, name)
		if err := atomicfile.Write(path, drawing); err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
	}
	fmt.Fprintf(log, "%s: pca.png, attention.png (%s), neighbours.png of %d images; projection.png of %d\n", o.Out, of, len(shown), f.N)
	return nil
}
