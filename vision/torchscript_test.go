package vision

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/torch/torchtest"
	"github.com/gojepa/gojepa/vision/images"
)

// scriptedViT is an encoder of the table that is made in no time.
var scriptedViT = Spec{Name: "vit_tiny_patch16_224", ImageSize: 32, PatchSize: 8, Channels: 2, Width: 24, Depth: 2, Heads: 2, Registers: 2}

func scripted(s *torch.Scope, n, c, size int64) torch.Tensor {
	return s.FromFloat64(torchtest.Values(uint64(n), int(n*c*size*size)), n, c, size, size).To(torch.Float32)
}

// Every kind of block must come through the tracer: the encoder and the module are compared at batches of other sizes by
// SaveTorchScript itself, and here under the module's own parameters.
func TestTorchScriptOfEveryBlock(t *testing.T) {
	dir := t.TempDir()
	for _, m := range blockModels {
		t.Run(m.name, func(t *testing.T) {
			torchtest.Do(t, func(s *torch.Scope) {
				spec := m.spec
				spec.Channels = 2
				e, err := variant{name: m.name, size: 32, family: m.family}.encoder(s, spec, torch.NewParams(1, torch.Float32))
				require.NoError(t, err)
				defer e.Close()
				path := filepath.Join(dir, m.name+".pt")
				require.NoError(t, e.SaveTorchScript(s, path, TraceOptions{}))
				script, err := LoadTorchScript(s, path, ScriptOptions{})
				require.NoError(t, err)
				defer script.Close()
				assert.Equal(t, e.Dim(), script.Dim())
				assert.Equal(t, 2, script.Spec().Channels, "as the file says")
				x := scripted(s, 5, 2, 32)
				for _, p := range e.Params().All() {
					q := script.Params().Get(p.Name)
					require.NotNil(t, q, p.Name)
					assert.Equal(t, p.Buffer, q.Buffer, p.Name)
					s.NoGrad(func() { s.Use(q.Value).Copy_(s.Use(p.Value).MulScalar(0.9)); s.Use(p.Value).Copy_(q.Value) })
				}
				assert.Len(t, script.Params().All(), len(e.Params().All()))
				s.NoGrad(func() {
					torchtest.Close(t, e.Forward(s, x, nn.Pass{}).Float64s(), script.Forward(s, x, nn.Pass{}).Float64s(), 1e-5, 1e-5)
				})
			})
		})
	}
}

func TestTorchScriptIsTrainedOrFrozen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.pt")
	torchtest.Do(t, func(s *torch.Scope) {
		e, err := New(s, scriptedViT, 1, torch.Float32)
		require.NoError(t, err)
		defer e.Close()
		require.NoError(t, e.SaveTorchScript(s, path, TraceOptions{}))
		script, err := LoadTorchScript(s, path, ScriptOptions{})
		require.NoError(t, err)
		defer script.Close()
		frozen, err := LoadTorchScript(s, path, ScriptOptions{Frozen: true})
		require.NoError(t, err)
		defer frozen.Close()
		assert.Empty(t, frozen.Params().Trained())
		require.Len(t, script.Params().Trained(), len(e.Params().Trained()))

		// Gradients of the module's parameters are those of the encoder's.
		x := scripted(s, 3, 2, 32)
		for _, enc := range []*Encoder{e, script} {
			enc.Params().ZeroGrad(s)
			enc.Forward(s, x, nn.Pass{}).Sin().Sum().Backward()
		}
		for _, p := range e.Params().Trained() {
			torchtest.Close(t, p.Value.Grad().Float64s(), script.Params().Get(p.Name).Value.Grad().Float64s(), 1e-4, 1e-4)
		}

		// A trained module is written as it is.
		s.NoGrad(func() { s.Use(script.Params().Trained()[0].Value).AddScalar_(1) })
		again := filepath.Join(filepath.Dir(path), "again.pt")
		require.NoError(t, script.SaveTorchScript(s, again, TraceOptions{}))
		other, err := LoadTorchScript(s, again, ScriptOptions{Channels: 2, ImageSize: 32})
		require.NoError(t, err)
		defer other.Close()
		want := script.Forward(s, x, nn.Pass{}).Float32s()
		assert.Equal(t, want, other.Forward(s, x, nn.Pass{}).Float32s())
		assert.NotEqual(t, want, frozen.Forward(s, x, nn.Pass{}).Float32s())
	})
}

func TestTorchScriptThatTakesPixels(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.pt")
	mean, std := []float64{0.2, 0.4}, []float64{0.5, 0.25}
	torchtest.Do(t, func(s *torch.Scope) {
		e, err := New(s, scriptedViT, 1, torch.Float32)
		require.NoError(t, err)
		defer e.Close()
		require.NoError(t, e.SaveTorchScript(s, path, TraceOptions{Mean: mean, Std: std, Pixels: true}))
		script, err := LoadTorchScript(s, path, ScriptOptions{})
		require.NoError(t, err)
		defer script.Close()
		x := s.Full(torch.Float32, 1, 1, 2, 32, 32)
		x.Narrow(1, 0, 1).MulScalar_(0.5)
		normal := torch.Cat([]torch.Tensor{s.Full(torch.Float32, (0.5-0.2)/0.5, 1, 1, 32, 32), s.Full(torch.Float32, (1-0.4)/0.25, 1, 1, 32, 32)}, 1)
		s.NoGrad(func() {
			torchtest.Close(t, e.Forward(s, normal, nn.Pass{}).Float64s(), script.Forward(s, x, nn.Pass{}).Float64s(), 1e-5, 1e-5)
		})
		assert.ErrorContains(t, e.SaveTorchScript(s, path, TraceOptions{Pixels: true}), "expected a mean and a standard deviation")
	})
}

func TestLoadFileTakesTorchScript(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.pt")
	mean, std := []float64{0.2, 0.4}, []float64{0.5, 0.25}
	state := filepath.Join(filepath.Dir(path), "m.safetensors")
	torchtest.Do(t, func(s *torch.Scope) {
		e, err := New(s, scriptedViT, 1, torch.Float32)
		require.NoError(t, err)
		defer e.Close()
		require.NoError(t, e.SaveTorchScript(s, path, TraceOptions{Mean: mean, Std: std}))
		require.NoError(t, e.Params().Save(s, state, Metadata(e.Spec(), 32, mean, std)))
	})
	img := images.New(2, 32, 32)
	for i := range img.Pix {
		img.Pix[i] = uint8(i * 7)
	}
	var rows [][][]float32
	for _, file := range []string{state, path} {
		m, err := LoadFile(file, LoadOptions{})
		require.NoError(t, err)
		assert.Equal(t, 32, m.Size)
		assert.Equal(t, mean, m.Mean)
		y, err := m.Embed(context.Background(), []*images.Image{img, img, img})
		require.NoError(t, err)
		rows = append(rows, y)
		m.Close()
	}
	for i := range rows[0] {
		assert.InDeltaSlice(t, rows[0][i], rows[1][i], 1e-5)
	}

	_, err := LoadFile(path, LoadOptions{Spec: Spec{Name: "resnet18"}})
	assert.ErrorContains(t, err, "a TorchScript module, which is an encoder by itself")
	_, err = LoadFile(path, LoadOptions{DropHead: true})
	assert.ErrorContains(t, err, "its head cannot be dropped")
	_, err = LoadFile(path, LoadOptions{Key: "teacher"})
	assert.ErrorContains(t, err, "its keys cannot be chosen")
	_, err = LoadFile(path, LoadOptions{Spec: Spec{ImageSize: 40}})
	assert.ErrorContains(t, err, "the module does not take images of 2 channels and 40×40 pixels")
}

// Modules of scripts that PyTorch's users wrote: Python's own, and those of another library.
func TestLoadTorchScriptOfOthers(t *testing.T) {
	file := filepath.Join("..", "..", "shared", "data", "checkpoints", "torchscript_foo1.pt")
	if _, err := os.Stat(file); err != nil {
		t.Skip("../shared/data/checkpoints is absent")
	}
	torchtest.Do(t, func(s *torch.Scope) {
		_, err := LoadTorchScript(s, file, ScriptOptions{})
		assert.ErrorContains(t, err, "torchscript_foo1.pt: ", "a module that is no encoder")
	})
}

func TestScriptsHaveEmbeddingsOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.pt")
	var e *Encoder
	torchtest.Do(t, func(s *torch.Scope) {
		v, err := New(s, scriptedViT, 1, torch.Float32)
		require.NoError(t, err)
		defer v.Close()
		require.NoError(t, v.SaveTorchScript(s, path, TraceOptions{}))
		e, err = LoadTorchScript(s, path, ScriptOptions{})
		require.NoError(t, err)
		defer e.Close()
		x := scripted(s, 1, 2, 32)
		assert.Panics(t, func() { e.Tokens(s, x, nn.Pass{}) })
		assert.Panics(t, func() { e.Features(s, x, nn.Pass{}) })
		assert.Panics(t, func() { e.Attention(s, x, nn.Pass{}) })
		assert.Panics(t, func() { e.Forward(s, scripted(s, 1, 3, 32), nn.Pass{}) })
	})
}
