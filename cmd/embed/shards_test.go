package main

import (
	"bytes"
	"context"
	"errors"
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
)

// classes makes a folder of so many images in two classes, of which the third is broken.
func classes(t *testing.T, dir string, n int) string {
	root := filepath.Join(dir, "classes")
	for i := range n {
		folder := filepath.Join(root, []string{"cat", "dog"}[i*2/n])
		require.NoError(t, os.MkdirAll(folder, 0o755))
		m := image.NewGray(image.Rect(0, 0, 20, 18))
		for j := range m.Pix {
			m.Pix[j] = uint8(j * (i + 1))
		}
		m.SetGray(0, 0, color.Gray{uint8(i)})
		var b bytes.Buffer
		require.NoError(t, png.Encode(&b, m))
		data := b.Bytes()
		if i == 2 {
			data = data[:30]
		}
		require.NoError(t, os.WriteFile(filepath.Join(folder, fmt.Sprintf("%02d.png", i)), data, 0o644))
	}
	return root
}

// stopAfter is a log that ends a context when a line of it has the words.
type stopAfter struct {
	bytes.Buffer
	words  string
	cancel context.CancelFunc
}

func (s *stopAfter) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(s.words)) {
		s.cancel()
	}
	return s.Buffer.Write(p)
}

// TestShards: a set in several files has the rows of one in a single file, also when it was interrupted, and an interrupted
// one is gone on with by what it was begun with only.
func TestShards(t *testing.T) {
	dir := place(t)
	root := classes(t, dir, 11)
	args := []string{"--weights", filepath.Join(dir, "w.safetensors"), "--data", root, "--labels", "--device", "cpu", "--batch-size", "2"}
	_, err := embed(t, append(args, "--out", filepath.Join(dir, "whole.npy"))...)
	require.NoError(t, err)
	whole, err := store.Open(filepath.Join(dir, "whole.npy"))
	require.NoError(t, err)
	want, err := whole.Load(context.Background())
	require.NoError(t, err)
	require.Equal(t, 10, want.N)
	assert.Equal(t, []string{"cat", "dog"}, want.Classes)
	assert.Equal(t, []int{0, 0, 0, 0, 0, 1, 1, 1, 1, 1}, want.Labels)
	assert.Equal(t, "cat/03.png", want.Names[2])
	assert.FileExists(t, filepath.Join(dir, "whole.labels.npy"))
	named, err := model.Named(whole.Encoder)
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(dir, "w.safetensors"), named.Weights)
	assert.True(t, named.Strict)

	for _, ext := range []string{".npy", ".safetensors", ".parquet"} {
		out := filepath.Join(dir, "set"+ext)
		line := append(append([]string{}, args...), "--out", out, "--shard-rows", "2")
		o := defaults()
		_, err := command(&o).Parse(line)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		log := &stopAfter{words: "left out", cancel: cancel} // once the second file is made
		require.ErrorIs(t, run(ctx, o, log), context.Canceled)
		begun, err := store.ReadIndex(filepath.Join(dir, "set.index.json"))
		require.NoError(t, err)
		require.Len(t, begun.Shards, 2)
		for more, says := range map[string]string{
			"--precision=bf16": "precision was fp32 and is bf16", "--image-size=12": "image_size was 16 and is 12",
			"--mean=0,0,0 --std=1,1,1": "mean was", "--data=" + classes(t, t.TempDir(), 12): "images was 11 and is 12", "--labels=false": "labels was true and is false",
			"--shard-rows=3": "shard_rows was 2 and is 3", "--weights=" + other(t, dir): "weights was SHA-256",
		} {
			_, err := embed(t, append(line, strings.Fields(more)...)...)
			require.ErrorIs(t, err, store.ErrDiffers, more)
			assert.ErrorContains(t, err, says)
		}
		said, err := embed(t, line...)
		require.NoError(t, err)
		assert.Contains(t, said, "going on after 2 of 6 shards")
		assert.Contains(t, log.String(), "left out cat/02.png")
		assert.Contains(t, said, "set.index.json, of 6 files: 10 rows of 12 features")
		set, err := store.Open(out)
		require.NoError(t, err)
		require.NoError(t, set.Verify(context.Background()))
		got, err := set.Load(context.Background())
		require.NoError(t, err)
		assert.Equal(t, want.Names, got.Names)
		assert.Equal(t, want.Labels, got.Labels)
		assert.InDeltaSlice(t, want.X, got.X, 1e-6)
		require.Len(t, set.Shards[1].LeftOut, 1)
		assert.Equal(t, "cat/02.png", set.Shards[1].LeftOut[0].Name)
		require.NoError(t, errors.Join(os.Remove(set.Path)))
	}

	// An array goes on in its middle.
	out := filepath.Join(dir, "array.npy")
	line := []string{"--weights", filepath.Join(dir, "w.safetensors"), "--data", filepath.Join(dir, "x.npy"), "--device", "cpu", "--out"}
	_, err = embed(t, append(line, filepath.Join(dir, "one.npy"))...)
	require.NoError(t, err)
	_, err = embed(t, append(line, out, "--shard-rows", "1")...)
	require.NoError(t, err)
	set, err := store.Open(out)
	require.NoError(t, err)
	got, err := set.Load(context.Background())
	require.NoError(t, err)
	_, x := readNPY(t, filepath.Join(dir, "one.npy"))
	assert.InDeltaSlice(t, x, got.X, 1e-5)
	_, err = embed(t, append(line, out, "--labels")...)
	assert.ErrorContains(t, err, "--labels: ")
	_, err = embed(t, append(line, out, "--shard-rows", "0")...)
	assert.ErrorContains(t, err, "--shard-rows: 0, expected 1 or more")
}

// other is a file of other weights.
func other(t *testing.T, dir string) string {
	path := filepath.Join(dir, "other.safetensors")
	torchtest.Do(t, func(s *torch.Scope) {
		e, err := vision.New(s, spec, 2, torch.Float32)
		require.NoError(t, err)
		defer e.Close()
		require.NoError(t, e.Params().Save(s, path, vision.Metadata(spec, 16, []float64{0.1, 0.2, 0.3}, []float64{0.5, 0.5, 0.5})))
	})
	return path
}
