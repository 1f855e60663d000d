package main

import (
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/gojepa/gojepa/cmd/internal/model"
	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/eval/look"
	"github.com/gojepa/gojepa/eval/store"
	"github.com/gojepa/gojepa/internal/atomicfile"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/vision/images"
)

// ofImages searches for files of images, encoded as those of the set were.
func ofImages(ctx context.Context, o options, set *store.Set, files []string, log io.Writer) ([]result, error) {
	flags, err := encoderOf(o, set, log)
	if err != nil {
		return nil, err
	}
	m, err := flags.Load()
	if err != nil {
		return nil, err
	}
	defer m.Close()
	if d := int(m.Encoder.Dim()); d != set.Dim {
		return nil, fmt.Errorf("weights %s: an encoder of %d features, expected %d, as the rows of %s have", flags.Weights, d, set.Dim, set.Path)
	}
	src, err := openFiles(ctx, set, files, len(m.Mean))
	if err != nil {
		return nil, err
	}
	extract := flags.Extract(m)
	extract.Deep, extract.MaxBroken = src.Deep, 0
	queries, err := eval.Extract(ctx, m.Thread, m.Encoder, src, extract)
	if err != nil {
		return nil, err
	}
	near, err := set.Neighbours(ctx, m.Thread, queries.Features, o.Neighbours)
	if err != nil {
		return nil, err
	}
	var all []result
	for i, file := range files {
		r := result{Query: file}
		for _, h := range near[i] {
			r.add(h)
		}
		all = append(all, r)
	}
	return all, nil
}

// encoderOf is the encoder that the set was made with, as it was used, or that with the weights that the options name.
func encoderOf(o options, set *store.Set, log io.Writer) (model.Flags, error) {
	flags := model.Default()
	var err error
	if len(set.Encoder) > 0 {
		if flags.Encoder, err = model.Named(set.Encoder); err != nil {
			return flags, fmt.Errorf("index %s: %w", set.Path, err)
		}
	}
	if o.Weights != "" {
		flags.Weights = o.Weights
	}
	flags.Device, flags.Threads = o.Device, o.Threads
	if p := set.MadeWith["precision"]; p != "" {
		flags.Precision = p
	}
	if err := flags.Check(); err != nil {
		return flags, fmt.Errorf("index %s: %w", set.Path, err)
	}
	hash, err := flags.Hash()
	if err != nil {
		return flags, fmt.Errorf("weights of the encoder, which --weights names if they are elsewhere now: %w", err)
	}
	if was, is := set.MadeWith["weights"], "SHA-256 "+hash; was != "" && was != is {
		fmt.Fprintf(log, "%s is not the file that the set was made with, of %s: unless it has the same weights, similarities mean nothing\n", flags.Weights, was)
	}
	return flags, nil
}

// reading is how the images of the set were read.
func reading(set *store.Set) (config.Collection, error) {
	c := config.OpenCollection()
	if text := set.MadeWith["reading"]; text != "" {
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			return c, fmt.Errorf("index %s: made_with.reading: %w", set.Path, err)
		}
	}
	return c, nil
}

// files are images in files of their own.
type files struct {
	paths []string
	how   images.Options
}

func (f files) Len() int          { return len(f.paths) }
func (f files) Name(i int) string { return f.paths[i] }

func (f files) Image(_ context.Context, i int) (*images.Image, error) {
	data, err := os.ReadFile(f.paths[i])
	if err != nil {
		return nil, err
	}
	m, err := images.Decode(data, f.how)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.paths[i], err)
	}
	return m, nil
}

// openFiles opens images for an encoder of so many channels, read as the set's were.
func openFiles(ctx context.Context, set *store.Set, paths []string, channels int) (*images.UniformSource, error) {
	c, err := reading(set)
	if err != nil {
		return nil, err
	}
	how, err := c.Options()
	if err != nil {
		return nil, fmt.Errorf("index %s: made_with.reading: %w", set.Path, err)
	}
	src, _, err := images.Alike(ctx, files{paths, how.Options}, channels, 0)
	return src, err
}

// side is the longer side of a picture on the sheet, in pixels.
const side = 160

// drawSheet draws each query and its neighbours.
func drawSheet(ctx context.Context, o options, set *store.Set, results []result) error {
	path := o.Data
	if path == "" {
		path = set.MadeWith["data"]
	}
	if path == "" {
		return fmt.Errorf("--sheet: index %s does not say where its images are, expected --data", set.Path)
	}
	c, err := reading(set)
	if err != nil {
		return err
	}
	src, err := model.OpenImages(ctx, path, c, 0, func(*images.OpenOptions) {})
	if err != nil {
		return fmt.Errorf("--sheet: %w; --data says where the set's images are now", err)
	}
	at, err := find(src, results)
	if err != nil {
		return fmt.Errorf("--sheet: images of %s: %w; expected those that the set was made of, which --data names", path, err)
	}
	var sheet [][]image.Image
	for _, r := range results {
		var query *images.Image
		if r.Row != nil {
			query, err = src.Image(ctx, at[r.Query])
		} else {
			query, err = one(ctx, set, r.Query)
		}
		if err != nil {
			return fmt.Errorf("--sheet: %w", err)
		}
		row := []image.Image{look.Caption(look.Thumbnail(query, side), side, "query")}
		for _, n := range r.Neighbours {
			m, err := src.Image(ctx, at[n.Name])
			if err != nil {
				return fmt.Errorf("--sheet: %w", err)
			}
			row = append(row, look.Caption(look.Thumbnail(m, side), side, fmt.Sprintf("%.3f %s", n.Similarity, n.Class)))
		}
		sheet = append(sheet, row)
	}
	if err := atomicfile.Write(o.Sheet, func(w io.Writer) error { return png.Encode(w, look.Arrange(sheet)) }); err != nil {
		return fmt.Errorf("writing %s: %w", o.Sheet, err)
	}
	return nil
}

// one reads a query again, for it to be seen as it is.
func one(ctx context.Context, set *store.Set, path string) (*images.Image, error) {
	src, err := openFiles(ctx, set, []string{path}, 0)
	if err != nil {
		return nil, err
	}
	return src.Image(ctx, 0)
}

// find tells where in the collection the rows' images are, by name.
func find(src images.Source, results []result) (map[string]int, error) {
	at := map[string]int{}
	for _, r := range results {
		if r.Row != nil {
			at[r.Query] = -1
		}
		for _, n := range r.Neighbours {
			if n.Name == "" {
				return nil, fmt.Errorf("row %d of the set has no name to find its image by", n.Row)
			}
			at[n.Name] = -1
		}
	}
	for i := range src.Len() {
		if was, wanted := at[src.Name(i)]; wanted && was < 0 {
			at[src.Name(i)] = i
		}
	}
	for _, name := range slices.Sorted(maps.Keys(at)) {
		if at[name] < 0 {
			return nil, fmt.Errorf("there is no %s", name)
		}
	}
	return at, nil
}
