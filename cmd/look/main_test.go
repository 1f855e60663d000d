package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/cmd/internal/cmdtest"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
	"github.com/gojepa/gojepa/train"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/vision"
)

func TestMain(m *testing.M) { torchtest.Main(m) }

// place makes weights and five images, of which one is broken.
func place(t *testing.T, spec vision.Spec) (dir string) {
	dir = t.TempDir()
	torchtest.Do(t, func(s *torch.Scope) {
		e, err := vision.New(s, spec, 1, torch.Float32)
		require.NoError(t, err)
		defer e.Close()
		meta := vision.Metadata(spec, spec.ImageSize, []float64{0.1, 0.2, 0.3}, []float64{0.5, 0.5, 0.5})
		require.NoError(t, e.Params().Save(s, filepath.Join(dir, "w.safetensors"), meta))
	})
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "images"), 0o755))
	for i := range 5 {
		m := image.NewGray(image.Rect(0, 0, 40, 40))
		for j := range m.Pix {
			m.Pix[j] = uint8(j * (i + 1))
		}
		var b bytes.Buffer
		require.NoError(t, png.Encode(&b, m))
		data := b.Bytes()
		if i == 2 {
			data = data[:40]
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, "images", fmt.Sprint(i, ".png")), data, 0o644))
	}
	return dir
}

func drawn(line ...string) (string, error) {
	o := defaults()
	if _, err := command(&o).Parse(line); err != nil {
		return "", err
	}
	var log bytes.Buffer
	err := run(context.Background(), o, &log)
	return log.String(), err
}

// TestPictures: sheets of the images that can be read, the same at each call.
func TestPictures(t *testing.T) {
	for name, c := range map[string]struct {
		spec    vision.Spec
		says    string
		columns int // of attention.png
	}{
		"vit":    {vision.Spec{Name: "vit_tiny_patch16_224", ImageSize: 32, PatchSize: 8, Channels: 3, Width: 12, Depth: 1, Heads: 2}, "class token", 4},
		"resnet": {vision.Spec{Name: "resnet18", ImageSize: 64, Channels: 3, Width: 4}, "no attention", 2},
	} {
		dir := place(t, c.spec)
		line := []string{"--weights", filepath.Join(dir, "w.safetensors"), "--data", filepath.Join(dir, "images"), "--device", "cpu", "--neighbours", "2"}
		out := filepath.Join(dir, "new", "pictures")
		log, err := drawn(append(line, "--out", out)...)
		require.NoError(t, err)
		assert.Contains(t, log, c.says)
		_, err = drawn(append(line, "--out", dir)...)
		require.NoError(t, err)
		for file, columns := range map[string]int{"pca.png": 3, "attention.png": c.columns, "neighbours.png": 3, "projection.png": 0} {
			data, err := os.ReadFile(filepath.Join(out, file))
			require.NoError(t, err)
			m, err := png.Decode(bytes.NewReader(data))
			require.NoError(t, err)
			if want := image.Rect(0, 0, 4+columns*164, 4+4*164); columns > 0 {
				assert.Equal(t, want, m.Bounds(), "%s of %s", file, name)
			}
			again, err := os.ReadFile(filepath.Join(dir, file))
			require.NoError(t, err)
			assert.True(t, bytes.Equal(data, again), "%s of %s", file, name)
		}
	}
}

// TestOfARun: encoder, images and labels are the run's, of a checkpoint too; other images can be named.
func TestOfARun(t *testing.T) {
	c := config.Default()
	c.Data.Path, c.Data.Labels = cmdtest.Folder(t, 24), true
	c.Data.TestPath = cmdtest.Folder(t, 10)
	c.Encoder.Name = "vit_tiny_patch16_224"
	c.Encoder.ImageSize, c.Encoder.PatchSize = config.Of(16), config.Of(4)
	c.Encoder.Width, c.Encoder.Depth, c.Encoder.Heads = config.Of(12), config.Of(1), config.Of(2)
	c.Views.Global.Count, c.Views.Local.Count = 2, 0
	c.Loss.Slices, c.Projector = 8, config.Projector{Hidden: []int{8}, Dim: 4}
	c.Schedule.BatchSize, c.Schedule.Steps = config.Of(8), config.Of(1)
	c.Threads, c.Workers, c.Maps = config.Of(1), config.Of(1), false
	c.Out = filepath.Join(t.TempDir(), "run")
	_, err := train.Run(t.Context(), c)
	require.NoError(t, err)

	width := func(file string) int {
		f, err := os.Open(file)
		require.NoError(t, err)
		defer f.Close()
		m, err := png.Decode(f)
		require.NoError(t, err)
		return m.Bounds().Dx()
	}
	out := filepath.Join(t.TempDir(), "pictures")
	log, err := drawn("--run", c.Out, "--out", out, "--device", "cpu")
	require.NoError(t, err)
	assert.Contains(t, log, "neighbours.png of 8 images; projection.png of 10", "those to test with")
	assert.Equal(t, 900, width(filepath.Join(out, "projection.png")), "with a legend")
	before, err := os.ReadFile(filepath.Join(out, "pca.png"))
	require.NoError(t, err)

	log, err = drawn("--run", c.Out, "--data", c.Data.Path, "--out", out, "--device", "cpu")
	require.NoError(t, err)
	assert.Contains(t, log, "projection.png of 24")
	assert.Equal(t, 700, width(filepath.Join(out, "projection.png")), "no labels were asked for")

	require.NoError(t, os.Remove(filepath.Join(c.Out, "encoder.safetensors")))
	_, err = drawn("--run", c.Out, "--out", out, "--device", "cpu")
	require.NoError(t, err)
	after, err := os.ReadFile(filepath.Join(out, "pca.png"))
	require.NoError(t, err)
	assert.True(t, bytes.Equal(before, after), "the checkpoint's encoder is the run's")

	require.NoError(t, os.Remove(filepath.Join(c.Out, "config.yaml")))
	_, err = drawn("--run", c.Out, "--out", out, "--device", "cpu")
	assert.ErrorContains(t, err, "--data says which images")
}

func TestBadInput(t *testing.T) {
	dir := place(t, vision.Spec{Name: "vit_tiny_patch16_224", ImageSize: 32, PatchSize: 8, Channels: 3, Width: 12, Depth: 1, Heads: 2})
	at := func(name string) string { return filepath.Join(dir, name) }
	for want, line := range map[string][]string{
		"--weights: missing":              {"--data", at("images"), "--out", at("o")},
		"--data: missing":                 {"--weights", at("w.safetensors"), "--out", at("o")},
		"--out: missing":                  {"--weights", at("w.safetensors"), "--data", at("images")},
		"--neighbours: 0, expected 1":     {"--weights", at("w.safetensors"), "--data", at("images"), "--out", at("o"), "--neighbours", "0"},
		"there is no such file or folder": {"--weights", at("w.safetensors"), "--data", at("gone"), "--out", at("o")},
		"expected multiples of the patch": {"--weights", at("w.safetensors"), "--data", at("images"), "--out", at("o"), "--image-size", "30"},
		"there is no run with weights":    {"--run", dir, "--out", at("o")},
		"expected one of them":            {"--run", dir, "--weights", at("w.safetensors"), "--out", at("o")},
		"not a directory":                 {"--weights", at("w.safetensors"), "--data", at("images"), "--out", at("w.safetensors")},
	} {
		_, err := drawn(line...)
		assert.ErrorContains(t, err, want)
	}
}
