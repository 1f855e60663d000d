package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/cmd/internal/model"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
	"github.com/gojepa/gojepa/torch/weights"
	"github.com/gojepa/gojepa/train"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/images"
)

func TestMain(m *testing.M) { torchtest.Main(m) }

// source are a few grey images.
type source struct{}

func (source) Len() int          { return 8 }
func (source) Name(i int) string { return string(rune('a' + i)) }
func (source) Image(_ context.Context, i int) (*images.Image, error) {
	m := images.New(1, 16, 16)
	for p := range m.Pix {
		m.Pix[p] = uint8(p*(i+3) + i)
	}
	return m, nil
}

// trained makes a run of a few steps, and returns its folder.
func trained(t *testing.T) string {
	t.Helper()
	c := config.Default()
	c.Encoder.Name = "vit_tiny_patch16_224"
	c.Encoder.ImageSize, c.Encoder.PatchSize = config.Of(16), config.Of(4)
	c.Encoder.Width, c.Encoder.Depth, c.Encoder.Heads = config.Of(12), config.Of(2), config.Of(2)
	c.Views.Global.Count, c.Views.Local.Count = 2, 0
	c.Loss.Slices, c.Projector = 8, config.Projector{Hidden: []int{8}, Dim: 4}
	c.Schedule.BatchSize, c.Schedule.Steps = config.Of(4), config.Of(2)
	c.Threads, c.Workers = config.Of(1), config.Of(1)
	c.Out = filepath.Join(t.TempDir(), "run")
	_, err := train.Run(context.Background(), c, train.WithSource(source{}))
	require.NoError(t, err)
	return c.Out
}

// export runs a command line as main does, and returns what it says.
func export(t *testing.T, line ...string) (string, int) {
	t.Helper()
	o := options{Model: model.DefaultEncoder()}
	var out bytes.Buffer
	code := command(&o).Main(append(line, "--device", "cpu", "--threads", "1"), &out, &out, func(ctx context.Context, _ []string) error {
		return run(ctx, o, &out)
	})
	return out.String(), code
}

// embeddings are those of the source's images by a file.
func embeddings(t *testing.T, o vision.LoadOptions, file string) [][]float32 {
	t.Helper()
	m, err := vision.LoadFile(file, o)
	require.NoError(t, err)
	defer m.Close()
	var all []*images.Image
	for i := range 8 {
		img, err := source{}.Image(context.Background(), i)
		require.NoError(t, err)
		all = append(all, img)
	}
	rows, err := m.Embed(context.Background(), all)
	require.NoError(t, err)
	return rows
}

func TestExportOfARun(t *testing.T) {
	dir := trained(t)
	out := t.TempDir()
	files := []string{filepath.Join(out, "a.safetensors"), filepath.Join(out, "a.pt"), filepath.Join(out, "a.torchscript"), filepath.Join(out, "b.torchscript")}
	said, code := export(t, "--run", dir, "--out", files[0]+","+files[1]+","+files[2])
	require.Zero(t, code, said)
	assert.Contains(t, said, "a.torchscript: vit_tiny_patch16_224, 0.")
	assert.Contains(t, said, "run/encoder.safetensors")
	said, code = export(t, "--run", dir, "--out", files[3], "--pixels")
	require.Zero(t, code, said)

	want := embeddings(t, vision.LoadOptions{}, filepath.Join(dir, "encoder.safetensors"))
	for _, file := range files {
		for i, row := range embeddings(t, vision.LoadOptions{}, file) {
			assert.InDeltaSlice(t, want[i], row, 1e-5, "%s, image %d", file, i)
		}
	}
	left, err := filepath.Glob(filepath.Join(out, "*"))
	require.NoError(t, err)
	assert.Len(t, left, len(files), "no temporary file is left")

	f, err := weights.Open(files[1])
	require.NoError(t, err)
	defer f.Close()
	_, ok := f.Lookup("blocks.1.attn.qkv.weight")
	assert.True(t, ok, "timm's keys")
}

func TestExportOfARunThatGoesOn(t *testing.T) {
	dir := trained(t)
	want := embeddings(t, vision.LoadOptions{}, filepath.Join(dir, "encoder.safetensors"))
	require.NoError(t, os.Remove(filepath.Join(dir, "encoder.safetensors")))
	file := filepath.Join(t.TempDir(), "a.pt")
	said, code := export(t, "--run", dir, "--out", file)
	require.Zero(t, code, said)
	assert.Contains(t, said, "checkpoint.safetensors, as the run is not finished")
	assert.Equal(t, want, embeddings(t, vision.LoadOptions{}, file))
}

func TestExportOfATorchScriptModule(t *testing.T) {
	dir := trained(t)
	out := t.TempDir()
	script, state := filepath.Join(out, "a.torchscript"), filepath.Join(out, "a.pt")
	said, code := export(t, "--run", dir, "--out", script)
	require.Zero(t, code, said)
	said, code = export(t, "--weights", script, "--out", state+","+filepath.Join(out, "b.torchscript"))
	require.Zero(t, code, said)
	spec := vision.Spec{Name: "vit_tiny_patch16_224", Width: 12, Depth: 2, Heads: 2}
	want := embeddings(t, vision.LoadOptions{}, script)
	assert.Equal(t, want, embeddings(t, vision.LoadOptions{}, filepath.Join(out, "b.torchscript")))
	for i, row := range embeddings(t, vision.LoadOptions{Spec: spec}, state) {
		assert.InDeltaSlice(t, want[i], row, 1e-5)
	}
	said, code = export(t, "--weights", script, "--pixels", "--out", filepath.Join(out, "c.torchscript"))
	assert.NotZero(t, code)
	assert.Contains(t, said, "a TorchScript module already")
}

func TestExportRefuses(t *testing.T) {
	empty := t.TempDir()
	for _, c := range []struct {
		line []string
		says string
	}{
		{[]string{"--out", "a.pt"}, "--run: missing"},
		{[]string{"--run", empty}, "--out: missing"},
		{[]string{"--run", empty, "--weights", "x.pt", "--out", "a.pt"}, "expected one of them"},
		{[]string{"--run", empty, "--out", "a.onnx"}, `"a.onnx", expected a name that ends in`},
		{[]string{"--run", empty, "--out", filepath.Join(empty, "no", "a.pt")}, "there is no folder"},
		{[]string{"--run", empty, "--out", "a.pt", "--pixels"}, "--pixels: expected a .torchscript"},
		{[]string{"--run", empty, "--out", filepath.Join(empty, "a.pt")}, "there is no run with weights yet"},
		{[]string{"--weights", filepath.Join(empty, "no.pt"), "--out", filepath.Join(empty, "a.pt")}, "no.pt"},
	} {
		said, code := export(t, c.line...)
		assert.NotZero(t, code, c.line)
		assert.Contains(t, said, c.says)
	}
}

func TestTorchScriptKeepsDropPathOut(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		e, err := vision.New(s, vision.Spec{Name: "resnet18", Width: 8, Depth: 1, DropPath: 0.9, ImageSize: 32}, 1, torch.Float32)
		require.NoError(t, err)
		defer e.Close()
		require.NoError(t, e.SaveTorchScript(s, filepath.Join(t.TempDir(), "a.torchscript"), vision.TraceOptions{}))
	})
}
