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
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/images"
)

// options are the command's flags.
type options struct {
	Data       string            `yaml:"data" flag:"data" arg:"PATH" help:"images: a folder, a list, .tar or .parquet files, as cmd/train takes them"`
	Collection config.Collection `yaml:",inline"`
	Out        string            `yaml:"out" flag:"out" arg:"DIR" help:"folder for the pictures; it is made if it is not there"`
	Images     int               `yaml:"images" flag:"images" arg:"N" help:"images to draw, evenly over the collection"`
	Among      int               `yaml:"among" flag:"among" arg:"N" help:"images to look for neighbours among, likewise"`
	Neighbours int               `yaml:"neighbours" flag:"neighbours" arg:"N" help:"nearest images of each"`
	Model      model.Flags       `yaml:",inline"`
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
neighbours.png has the nearest images by the cosine of their features, the image itself first.`,
		Examples: []cli.Example{{For: "what a run has trained", Line: "look --weights runs/photos/encoder.safetensors --data photos --out pictures"}},
		Check:    o.check,
	}
	cmd.Flags("Data", o)
	return cmd
}

func (o *options) check() error {
	var errs []error
	if o.Data == "" {
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
	return errors.Join(append(errs, model.CheckImages(o.Collection), o.Model.Check())...)
}

// spread is n images of a collection, evenly over it.
func spread(src images.Source, n int) images.Subset {
	n = min(n, src.Len())
	s := images.Subset{Source: src}
	for i := range n {
		s.Index = append(s.Index, i*src.Len()/n)
	}
	return s
}

// run draws what the options say and reports to log.
func run(ctx context.Context, o options, log io.Writer) error {
	m, err := o.Model.Load()
	if err != nil {
		return err
	}
	defer m.Close()
	src, err := model.OpenImages(ctx, o.Data, o.Collection, len(m.Mean), func(opts *images.OpenOptions) {
		opts.Note = func(note string) { fmt.Fprintln(log, note) }
	})
	if err != nil {
		return err
	}
	extract := o.Model.Extract(m)
	extract.Deep = src.Deep
	prepared, err := eval.Prepare(ctx, spread(src, o.Images), extract)
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
	maps, err := look.MapsOf(ctx, m.Thread, m.Encoder, shown, m.Mean, m.Std)
	if err != nil {
		return err
	}
	colours, err := look.Colours(ctx, m.Thread, maps.Tokens, maps.N, maps.Side, maps.Side)
	if err != nil {
		return err
	}
	var components, attention [][]image.Image
	for i, img := range shown {
		p := look.Thumbnail(img, side)
		size := p.Bounds().Size()
		components = append(components, []image.Image{p, look.Scale(colours[i], size.X, size.Y, false), look.Scale(colours[i], size.X, size.Y, true)})
		row := []image.Image{p, look.Heat(maps.Map(i, -1), maps.Side, p)}
		for h := 0; h < maps.Heads && maps.Heads > 1; h++ {
			row = append(row, look.Heat(maps.Map(i, h), maps.Side, p))
		}
		attention = append(attention, row)
	}
	near, err := neighbours(ctx, m, o, extract, src)
	if err != nil {
		return err
	}
	for name, rows := range map[string][][]image.Image{"pca.png": components, "attention.png": attention, "neighbours.png": near} {
		path := filepath.Join(o.Out, name)
		if err := atomicfile.Write(path, func(w io.Writer) error { return png.Encode(w, look.Arrange(rows)) }); err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
	}
	fmt.Fprintf(log, "%s: pca.png, attention.png (%s), neighbours.png of %d images\n", o.Out, maps.Of, len(shown))
	return nil
}

// neighbours are the rows of the sheet of nearest images.
func neighbours(ctx context.Context, m *vision.Model, o options, extract eval.ExtractOptions, src images.Source) ([][]image.Image, error) {
	among := spread(src, max(o.Among, o.Images))
	f, err := eval.Extract(ctx, m.Thread, m.Encoder, among, extract)
	if err != nil {
		return nil, err
	}
	queries := eval.Features{D: f.D}
	for i := range min(o.Images, f.N) {
		queries.X = append(queries.X, f.Row(i*f.N/min(o.Images, f.N))...)
		queries.N++
	}
	found, err := eval.Neighbours(ctx, m.Thread, eval.Features{X: f.X, N: f.N, D: f.D}, queries, o.Neighbours+1)
	if err != nil {
		return nil, err
	}
	var rows [][]image.Image
	for _, list := range found {
		var row []image.Image
		for _, n := range list {
			img, err := among.Image(ctx, f.Samples[n.Index])
			if err != nil {
				return nil, err
			}
			row = append(row, look.Thumbnail(img, side))
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// side is the longer side of a picture on a sheet, in pixels.
const side = 160
