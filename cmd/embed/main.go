// Command embed writes the features that an encoder makes of images.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gojepa/gojepa/cmd/internal/model"
	"github.com/gojepa/gojepa/eval/store"
	"github.com/gojepa/gojepa/internal/cli"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/images"
)

// options are the command's flags.
type options struct {
	Data       string            `yaml:"data" flag:"data" arg:"PATH" help:"images: a folder, a list, .tar or .parquet files, as cmd/train takes them; or a .npy file of float32 [N, C, H, W] that is taken as it is: not resized, not normalised, unless --kind is arrays"`
	Labels     bool              `yaml:"labels" flag:"labels" help:"the folders' names are classes, or the usual column of labels, and are written beside the features"`
	Collection config.Collection `yaml:",inline"`
	Out        string            `yaml:"out" flag:"out" arg:"FILE" help:"what to write: .npy, .safetensors, .parquet or .csv"`
	ShardRows  int               `yaml:"shard_rows" flag:"shard-rows" arg:"N" help:"images in a file; where there are more, NAME-00000-of-00012.npy and so on are written"`
	Resume     bool              `yaml:"resume" flag:"resume" help:"go on after the last whole file of a set in several that was interrupted; with --resume=false it is made anew"`
	Model      model.Flags       `yaml:",inline"`
}

func defaults() options {
	return options{Collection: config.OpenCollection(), ShardRows: 100_000, Resume: true, Model: model.Default()}
}

func main() {
	o := defaults()
	os.Exit(command(&o).Main(os.Args[1:], os.Stdout, os.Stderr, func(ctx context.Context, _ []string) error {
		return run(ctx, o, os.Stderr)
	}))
}

func command(o *options) *cli.Command {
	cmd := &cli.Command{
		Name:     "embed",
		Synopsis: "writes the features that an encoder makes of images, a row for each.",
		About: `Rows are in the order of the files' names. For a folder, a .csv or .parquet names the file of each row, and beside a .npy
or a .safetensors (tensor "features") a text file does: features.npy has features.files.txt. An image that cannot be
read is named, and has no row. features.index.json lists the files, with their checksums, what was left out and the
encoder; gaussianity takes it.

Features are written as they are made. More images than --shard-rows come in several files, each of as many images; the
same command goes on where it was interrupted, and refuses if weights, images or options are other ones.`,
		Examples: []cli.Example{
			{For: "the features of a folder of images, by what a run has trained", Line: "embed --weights runs/photos/encoder.safetensors --data photos --out photos.npy"},
			{For: "timm's weights, on images prepared elsewhere", Line: "embed --weights model.pt --model resnet50 --data images.npy --out features.csv"},
			{For: "a large collection, as Parquet for pyarrow and datasets", Line: "embed --weights encoder.safetensors --data 'shards/{000..099}.tar' --labels --out all.parquet"},
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
	if ext := strings.ToLower(filepath.Ext(o.Out)); !slices.Contains(store.Formats, ext) {
		errs = append(errs, fmt.Errorf("--out: %q, expected a name that ends in %s", o.Out, strings.Join(store.Formats, ", ")))
	} else if info, err := os.Stat(filepath.Dir(o.Out)); err != nil || !info.IsDir() {
		errs = append(errs, fmt.Errorf("--out: there is no folder %s", filepath.Dir(o.Out)))
	}
	if o.ShardRows < 1 {
		errs = append(errs, fmt.Errorf("--shard-rows: %d, expected 1 or more", o.ShardRows))
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
	var in *input
	prepared := strings.EqualFold(filepath.Ext(o.Data), ".npy") && o.Collection.Kind != string(images.ArraysKind)
	if prepared {
		if o.Labels {
			return fmt.Errorf("--labels: %s has none; with --kind arrays labels.npy may lie beside it", o.Data)
		}
		in, err = array(m, o)
	} else {
		in, err = collection(ctx, m, o, log)
	}
	if err != nil {
		return err
	}
	defer in.finish()
	encoder, err := o.Model.JSON()
	if err != nil {
		return err
	}
	made, err := madeWith(m, o, in)
	if err != nil {
		return err
	}
	x, err := store.Write(ctx, store.Options{
		Path: o.Out, Images: in.images, ShardRows: o.ShardRows, Dim: int(m.Encoder.Dim()),
		Named: in.named, Labelled: in.labelled, Classes: in.classes,
		Encoder: encoder, MadeWith: made, Resume: o.Resume,
		Note: func(note string) { fmt.Fprintln(log, note) },
	}, in.produce)
	if err != nil {
		return err
	}
	in.finish()
	if n := x.LeftOut(); n > 0 {
		fmt.Fprintf(log, "left out %d of %d images\n", n, x.Images)
	}
	fmt.Fprintf(log, "%s: %d rows of %d features by %s\n", o.written(x), x.Rows, x.Dim, m.Encoder.Spec().Name)
	return nil
}

// written are the files of the set, the index being beside them.
func (o options) written(x *store.Index) string {
	if n := len(x.Shards); n > 1 {
		return fmt.Sprintf("%s, of %d files", store.IndexPath(o.Out), n)
	}
	files := o.Out
	if list := x.Shards[0].Files; list != "" {
		files += ", " + filepath.Join(filepath.Dir(o.Out), list)
	}
	return files
}

// madeWith is what decides about the features: the encoder and how it is used, the images and how they are read.
func madeWith(m *vision.Model, o options, in *input) (map[string]string, error) {
	hash, err := o.Model.Hash()
	if err != nil {
		return nil, err
	}
	keys := o.Model.Encoder
	keys.Weights = "" // their hash tells
	flags, err := keys.JSON()
	if err != nil {
		return nil, err
	}
	spec, err := json.Marshal(m.Encoder.Spec())
	if err != nil {
		return nil, err
	}

	reading, err := json.Marshal(o.Collection)
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"weights": "SHA-256 " + hash, "encoder": string(spec), "flags": string(flags), "image_size": fmt.Sprint(m.Size),
		"mean": fmt.Sprint(m.Mean), "std": fmt.Sprint(m.Std), "precision": o.Model.Precision,
		"data": o.Data, "files": in.identity, "reading": string(reading), "labels": fmt.Sprint(o.Labels), "format": strings.ToLower(filepath.Ext(o.Out)),
	}, nil
}
