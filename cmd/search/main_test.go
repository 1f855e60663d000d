package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/cmd/internal/model"
	"github.com/gojepa/gojepa/eval/store"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/images"
)

func TestMain(m *testing.M) { torchtest.Main(m) }

// place makes weights, seven images in two classes, and the set of their features in shards of three.
func place(t *testing.T) (dir string) {
	dir = t.TempDir()
	weights := func(name string, width int) {
		spec := vision.Spec{Name: "vit_tiny_patch16_224", ImageSize: 16, PatchSize: 4, Channels: 3, Width: width, Depth: 1, Heads: 2}
		torchtest.Do(t, func(s *torch.Scope) {
			e, err := vision.New(s, spec, 1, torch.Float32)
			require.NoError(t, err)
			defer e.Close()
			meta := vision.Metadata(spec, 16, []float64{0.1, 0.2, 0.3}, []float64{0.5, 0.5, 0.5})
			require.NoError(t, e.Params().Save(s, filepath.Join(dir, name), meta))
		})
	}
	weights("w.safetensors", 12)
	weights("wide.safetensors", 16)
	var names []string
	var labels []int
	for i := range 7 {
		class := []string{"cat", "dog"}[i/4]
		name := fmt.Sprintf("%s/%d.png", class, i)
		m := image.NewRGBA(image.Rect(0, 0, 24, 16))
		for j := range 24 * 16 {
			m.SetRGBA(j%24, j/24, color.RGBA{uint8(j * (i + 1)), uint8(i * 35), uint8(j / (i + 1)), 255})
		}
		var b bytes.Buffer
		require.NoError(t, png.Encode(&b, m))
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "images", class), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "images", name), b.Bytes(), 0o644))
		names, labels = append(names, name), append(labels, i/4)
	}
	flags := model.Default()
	flags.Weights = filepath.Join(dir, "w.safetensors")
	m, err := vision.Load("", flags.Weights, torch.CPU)
	require.NoError(t, err)
	defer m.Close()
	encoder, err := flags.JSON()
	require.NoError(t, err)
	hash, err := flags.Hash()
	require.NoError(t, err)
	_, err = store.Write(context.Background(), store.Options{
		Path: filepath.Join(dir, "set.npy"), Images: 7, ShardRows: 3, Dim: 12, Named: true, Labelled: true, Classes: []string{"cat", "dog"},
		Encoder: encoder, MadeWith: map[string]string{"weights": "SHA-256 " + hash, "data": filepath.Join(dir, "images"), "precision": "fp32"},
	}, func(ctx context.Context, from, to int, add func(store.Rows) error) ([]store.LeftOut, error) {
		for i := from; i < to; i++ {
			data, err := os.ReadFile(filepath.Join(dir, "images", names[i]))
			if err != nil {
				return nil, err
			}
			img, err := images.Decode(data, images.DefaultOptions())
			if err != nil {
				return nil, err
			}
			rows, err := m.Embed(ctx, []*images.Image{img})
			if err != nil {
				return nil, err
			}
			if err := add(store.Rows{X: rows[0], Names: names[i : i+1], Labels: labels[i : i+1]}); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	require.NoError(t, err)
	return dir
}

func search(line ...string) (out, log string, err error) {
	o := defaults()
	args, err := command(&o).Parse(append(line, "--device", "cpu"))
	if err != nil {
		return "", "", err
	}
	var stdout, stderr bytes.Buffer
	err = run(context.Background(), o, args, &stdout, &stderr)
	return stdout.String(), stderr.String(), err
}

// TestImages: an image of the set finds itself first, and a row finds the same rows after itself.
func TestImages(t *testing.T) {
	dir := place(t)
	set, first, fifth := filepath.Join(dir, "set.npy"), filepath.Join(dir, "images", "cat", "0.png"), filepath.Join(dir, "images", "dog", "5.png")
	decode := func(text string) (r []result) {
		require.NoError(t, json.Unmarshal([]byte(text), &r))
		return r
	}
	out, log, err := search(set, first, fifth, "--neighbours", "4", "--json")
	require.NoError(t, err)
	assert.Empty(t, log)
	both := decode(out)
	require.Len(t, both, 2)
	for i, name := range []string{"cat/0.png", "dog/5.png"} {
		require.Len(t, both[i].Neighbours, 4)
		own := both[i].Neighbours[0]
		assert.Equal(t, name, own.Name)
		assert.Equal(t, strings.Split(name, "/")[0], own.Class)
		assert.InDelta(t, 1, own.Similarity, 1e-5)
	}
	for _, flag := range []string{"--row=5", "--name=dog/5.png"} {
		out, _, err = search(set, flag, "--neighbours", "3", "--json")
		require.NoError(t, err)
		got := decode(out)[0]
		assert.Equal(t, 5, *got.Row)
		require.Len(t, got.Neighbours, 3)
		for i, n := range got.Neighbours {
			assert.Equal(t, i+1, n.Rank)
			assert.Equal(t, both[1].Neighbours[i+1].Row, n.Row)
			assert.InDelta(t, both[1].Neighbours[i+1].Similarity, n.Similarity, 1e-5)
		}
	}
	out, _, err = search(set, first, "--neighbours", "1")
	require.NoError(t, err)
	assert.Equal(t, []string{"rank", "similarity", "class", "name", "1", "1.0000", "cat", "cat/0.png"}, strings.Fields(out)[1:])
}

func TestSheet(t *testing.T) {
	dir := place(t)
	sheet := filepath.Join(dir, "near.png")
	_, _, err := search(filepath.Join(dir, "set.npy"), filepath.Join(dir, "images", "cat", "1.png"), "--neighbours", "3", "--sheet", sheet)
	require.NoError(t, err)
	f, err := os.Open(sheet)
	require.NoError(t, err)
	defer f.Close()
	m, err := png.Decode(f)
	require.NoError(t, err)
	// Pictures of 24×16 pixels are 160×106, and their captions 15 high.
	assert.Equal(t, image.Rect(0, 0, 4+4*164, 4+106+15+4), m.Bounds())

	moved := filepath.Join(dir, "moved")
	require.NoError(t, os.Rename(filepath.Join(dir, "images"), moved))
	_, _, err = search(filepath.Join(dir, "set.npy"), "--row", "0", "--sheet", sheet)
	assert.ErrorContains(t, err, "--data says where")
	_, _, err = search(filepath.Join(dir, "set.npy"), "--row", "0", "--sheet", sheet, "--data", moved)
	assert.NoError(t, err)
}

func TestBadInput(t *testing.T) {
	dir := place(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, os.WriteFile(at("bad.png"), []byte("\x89PNG\r\n\x1a\ncut"), 0o644))
	require.NoError(t, os.WriteFile(at("no.index.json"), []byte("{}"), 0o644))
	good := at("images/cat/0.png")
	for want, line := range map[string][]string{
		"no arguments, expected the index":      {},
		"nothing to search for":                 {at("set.npy")},
		"expected no images beside":             {at("set.npy"), good, "--row", "1"},
		"--row and --name: expected one":        {at("set.npy"), "--row", "1", "--name", "a"},
		"--row: -2, expected 0":                 {at("set.npy"), "--row=-2"},
		"--row: index":                          {at("set.npy"), "--row", "7"},
		"there is no row 8, expected 0 to 6":    {at("set.npy"), "--row", "8"},
		`there is no row "gone"`:                {at("set.npy"), "--name", "gone"},
		"there is no gone.index.json beside it": {at("gone.npy"), good},
		`format "", expected`:                   {at("no.index.json"), good},
		"bad.png":                               {at("set.npy"), at("bad.png")},
		"gone.png":                              {at("set.npy"), good, at("gone.png")},
		"16 features, expected 12":              {at("set.npy"), good, "--weights", at("wide.safetensors")},
		"which --weights names":                 {at("set.npy"), good, "--weights", at("gone.safetensors")},
		"--neighbours: 0, expected 1":           {at("set.npy"), good, "--neighbours", "0"},
		"--sheet: \"x.jpg\", expected a name":   {at("set.npy"), good, "--sheet", "x.jpg"},
		"--sheet: there is no folder":           {at("set.npy"), good, "--sheet", at("none/x.png")},
	} {
		_, _, err := search(line...)
		assert.ErrorContains(t, err, want)
	}
}
