package train

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/torch/torchtest"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/vision"
)

// backbone writes an encoder as others leave it: with a classifier, and without a word about itself.
func backbone(t *testing.T, spec vision.Spec) (state, script string) {
	t.Helper()
	dir := t.TempDir()
	state, script = filepath.Join(dir, "m.pt"), filepath.Join(dir, "m.torchscript")
	torchtest.Do(t, func(s *torch.Scope) {
		e, err := vision.New(s, spec, 5, torch.Float32)
		require.NoError(t, err)
		defer e.Close()
		require.NoError(t, e.SaveTorchScript(s, script, vision.TraceOptions{Mean: make([]float64, e.Spec().Channels), Std: slices.Repeat([]float64{0.5}, e.Spec().Channels)}))
		require.NoError(t, e.Params().Save(s, state, nil))
	})
	return state, script
}

var backboneViT = vision.Spec{Name: "vit_tiny_patch16_224", ImageSize: 32, PatchSize: 4, Width: 24, Depth: 1, Heads: 2, NumClasses: 7}

func TestInitFromAStateDict(t *testing.T) {
	state, _ := backbone(t, backboneViT)
	cfg := small(t)
	cfg.Encoder = config.Encoder{Name: backboneViT.Name, Init: state, Pool: "auto", ImageSize: config.Of(16), PatchSize: config.Of(4), Width: config.Of(24), Depth: config.Of(1), Heads: config.Of(2)}
	cfg.Schedule.Steps = config.Of(2)
	r, err := open(context.Background(), cfg, []Option{WithSource(&stripes{n: 40})})
	require.NoError(t, err)
	defer func() { r.close() }()
	m, err := vision.LoadFile(state, vision.LoadOptions{Spec: vision.Spec{Name: backboneViT.Name, ImageSize: 16, Channels: 1, Width: 24, Depth: 1, Heads: 2}, DropHead: true})
	require.NoError(t, err)
	defer m.Close()
	var want, got []float32
	require.NoError(t, m.Thread.Do(context.Background(), func(s *torch.Scope) {
		s.NoGrad(func() { want = m.Encoder.Forward(s, s.Ones(torch.Float32, 1, 1, 16, 16), nn.Pass{}).Float32s() })
	}))
	require.NoError(t, r.th.Do(context.Background(), func(s *torch.Scope) {
		s.NoGrad(func() { got = r.model.Encoder.Forward(s, s.Ones(torch.Float32, 1, 1, 16, 16), nn.Pass{}).Float32s() })
		assert.Equal(t, []int64{1, 17, 24}, r.model.Encoder.Params().Get("pos_embed").Value.Shape(), "resampled for the run's images")
	}))
	assert.InDeltaSlice(t, want, got, 1e-5, "the file's weights, for one channel and the run's size")
	require.NoError(t, r.train(context.Background()))
	require.NoError(t, r.checkpoint())
	r.close()

	// The file is not needed any more once there is a checkpoint.
	require.NoError(t, os.Remove(state))
	r, err = open(context.Background(), cfg, []Option{WithSource(&stripes{n: 40})})
	require.NoError(t, err)
	assert.Equal(t, 2, r.at.Step)
}

func TestInitFromATorchScriptModule(t *testing.T) {
	_, script := backbone(t, vision.Spec{Name: "resnet18", Width: 8, Depth: 1, ImageSize: 16, Channels: 1})
	cfg := small(t)
	cfg.Encoder = config.Encoder{Name: "auto", Pool: "auto", Init: script}
	cfg.Schedule.Steps = config.Of(3)
	r, err := open(context.Background(), cfg, []Option{WithSource(&stripes{n: 40})})
	require.NoError(t, err)
	assert.Equal(t, vision.TorchScript, r.cfg.Encoder.Name)
	assert.Equal(t, 16, r.cfg.Encoder.ImageSize.Or(0), "as the file says")
	assert.Equal(t, []float64{0.5}, r.std, "likewise")
	before := r.model.Encoder.Params().Get("conv1.weight").Value.Float32s
	var first []float32
	require.NoError(t, r.th.Do(context.Background(), func(*torch.Scope) { first = before() }))
	r.close()

	res, err := Run(context.Background(), cfg, WithSource(&stripes{n: 40}))
	require.NoError(t, err)
	require.NoError(t, os.Remove(script))

	// What is left trains on, and is the trained module.
	cfg.Schedule.Steps = config.Of(4)
	_, err = Run(context.Background(), cfg, WithSource(&stripes{n: 40}))
	require.NoError(t, err)
	w, err := Weights(res.Out)
	require.NoError(t, err)
	assert.Equal(t, "encoder.torchscript", filepath.Base(w.File))
	m, err := vision.LoadFile(w.File, vision.LoadOptions{})
	require.NoError(t, err)
	defer m.Close()
	require.NoError(t, m.Thread.Do(context.Background(), func(*torch.Scope) {
		assert.NotEqual(t, first, m.Encoder.Params().Get("conv1.weight").Value.Float32s())
	}))
}

func TestInitRefuses(t *testing.T) {
	spec := backboneViT
	spec.Channels, spec.ImageSize = 1, 16
	state, script := backbone(t, spec)
	for says, set := range map[string]func(*config.Config){
		"no such file": func(c *config.Config) { c.Encoder.Init = filepath.Join(t.TempDir(), "none.pt") },
		"the file does not say which model it is of": func(c *config.Config) {
			c.Encoder = config.Encoder{Name: "auto", Pool: "auto", Init: state}
		},
		"expected no model's name with it": func(c *config.Config) {
			c.Encoder = config.Encoder{Name: "resnet18", Pool: "auto", Init: script}
		},
		"does not take local views of 8×8 pixels": func(c *config.Config) {
			c.Encoder = config.Encoder{Name: "auto", Pool: "auto", Init: script}
			c.Views.Local.Count, c.Views.Local.Size = 1, config.Of(8)
		},
		"expected the module as encoder.init": func(c *config.Config) {
			c.Encoder = config.Encoder{Name: vision.TorchScript, Pool: "auto"}
		},
	} {
		cfg := small(t)
		set(&cfg)
		_, err := Run(context.Background(), cfg, WithSource(&stripes{n: 40}))
		assert.ErrorContains(t, err, says)
	}
}
