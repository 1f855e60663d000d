package train

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/lejepa"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
	"github.com/gojepa/gojepa/torch/weights"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/vision"
)

// TestLayerDecayAgainstTimm compares shares of the learning rate and weight decay with timm's groups: see
// scripts/golden/layers.py.
func TestLayerDecayAgainstTimm(t *testing.T) {
	var cases []struct {
		Model      string
		LayerDecay float64
		Params     map[string]struct {
			Scale float64
			Decay bool
		}
	}
	raw, err := os.ReadFile("testdata/layer_decay.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &cases))
	require.Len(t, cases, 2)
	sizes := map[string]vision.Spec{
		"vit_tiny_patch16_224": {ImageSize: 16, PatchSize: 4, Width: 16, Depth: 2, Heads: 2, Channels: 1},
		"resnet18":             {Width: 8, Depth: 1, Channels: 1},
	}
	for _, c := range cases {
		torchtest.Do(t, func(s *torch.Scope) {
			spec := sizes[c.Model]
			spec.Name = c.Model
			encoder, err := vision.New(s, spec, 1, torch.Float32)
			require.NoError(t, err)
			r := &run{trainer: trainer{model: &lejepa.Model{Encoder: encoder,
				Projector: lejepa.NewProjector(s, encoder.Dim(), lejepa.ProjectorConfig{Dim: 4}, 1, torch.Float32)}}}
			defer encoder.Params().Close()
			defer r.model.Projector.Params().Close()
			r.cfg = config.Default()
			r.cfg.Optim.LayerDecay = c.LayerDecay
			r.optimiser, err = r.newOptimiser(s)
			require.NoError(t, err)
			defer r.optimiser.Close()
			groups := encoder.Params().Flatten(s)
			seen := 0
			for _, g := range groups {
				for _, p := range g.Params {
					want, ok := c.Params[p.Name]
					require.True(t, ok, p.Name)
					assert.InDelta(t, want.Scale, g.LRScale, 1e-15, p.Name)
					assert.Equal(t, want.Decay, g.Decay, p.Name)
					seen++
				}
			}
			assert.Len(t, c.Params, seen)
			for _, g := range r.model.Projector.Params().Flatten(s) {
				assert.Equal(t, 1.0, g.LRScale)
			}
		})
	}
}

// TestLayersMoveByTheirShare: AdamW's first step is the learning rate of each value, whatever its gradient.
func TestLayersMoveByTheirShare(t *testing.T) {
	after := func(steps int) *weights.File {
		c := small(t)
		c.Optim.LayerDecay, c.Optim.LR, c.Optim.FinalLR = 0.5, config.Of(0.01), config.Of(1.0)
		c.Encoder.DropPath = 0
		c.Schedule.Steps = config.Of(steps)
		_, err := Run(context.Background(), c, WithSource(&stripes{n: 40}))
		require.NoError(t, err)
		f, err := weights.OpenOptions(filepath.Join(c.Out, encoderFile), weights.Options{Raw: true})
		require.NoError(t, err)
		t.Cleanup(func() { f.Close() })
		return f
	}
	before, moved := after(0), after(1)
	for name, share := range map[string]float64{"patch_embed.proj.bias": 0.25, "blocks.0.mlp.fc1.bias": 0.5, "blocks.1.mlp.fc1.bias": 1} {
		torchtest.Do(t, func(s *torch.Scope) {
			read := func(f *weights.File) torch.Tensor {
				data, err := f.Read(name)
				require.NoError(t, err)
				return s.FromBytes(torch.Float32, data, int64(len(data)/4))
			}
			assert.InEpsilon(t, 0.01*share, read(moved).Sub(read(before)).Abs().Max().Item(), 1e-2, name)
		})
	}
}

// TestLayerDecayOfUnknownLayers: one's own encoder has to say which they are.
func TestLayerDecayOfUnknownLayers(t *testing.T) {
	c := small(t)
	c.Optim.LayerDecay = 0.75
	_, err := Run(context.Background(), c, WithSource(&stripes{n: 40}), WithEncoder((&cancelling{after: -1}).make(t)))
	assert.ErrorContains(t, err, "optim.layer_decay: 0.75, expected 1, as the layers of its own encoder are not known")
}
