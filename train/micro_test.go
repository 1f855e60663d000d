package train

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/lejepa"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/train/runlog"
	"github.com/gojepa/gojepa/vision"
)

// TestMicroBatch trains alike whatever the number of images that are encoded at a time, and says so.
func TestMicroBatch(t *testing.T) {
	for _, name := range []string{"vit_tiny_patch16_224", "resnet18"} {
		losses := map[string][]float64{}
		for _, micro := range []string{"auto", "3"} {
			cfg := small(t)
			if name != cfg.Encoder.Name {
				cfg.Encoder = config.Encoder{Name: name, Pool: "auto", ImageSize: config.Of(16), Width: config.Of(8), Depth: config.Of(1)}
			}
			cfg.Schedule.Steps = config.Of(3)
			require.NoError(t, cfg.Schedule.MicroBatch.UnmarshalText([]byte(micro)))
			var said bytes.Buffer
			r, err := open(context.Background(), cfg, []Option{WithSource(&stripes{n: 40}), WithOutput(&said)})
			require.NoError(t, err)
			require.NoError(t, r.train(context.Background()))
			log, err := runlog.Read(filepath.Join(cfg.Out, metricsFile))
			require.NoError(t, err)
			for _, s := range log.Steps {
				losses[micro] = append(losses[micro], s.Loss, s.GradNorm)
			}
			r.close()
			if micro == "3" {
				assert.Contains(t, said.String(), "encoded 3 images at a time, with the gradients of the whole batch")
				assert.Equal(t, name == "resnet18", bytes.Contains(said.Bytes(), []byte("BatchNorm")), said.String())
			}
		}
		require.Len(t, losses["3"], 6)
		if name == "resnet18" {
			assert.NotEqual(t, losses["auto"], losses["3"], "its BatchNorm sees others")
			continue
		}
		assert.InDeltaSlice(t, losses["auto"], losses["3"], 1e-3)
	}
}

// TestCheckpointActivations trains alike with activations that are computed again, and refuses an encoder that cannot be cut.
func TestCheckpointActivations(t *testing.T) {
	losses := map[bool][]float64{}
	for _, again := range []bool{false, true} {
		cfg := small(t)
		cfg.Schedule.Steps, cfg.Schedule.Checkpoint = config.Of(3), again
		res, err := Run(context.Background(), cfg, WithSource(&stripes{n: 40}))
		require.NoError(t, err)
		log, err := runlog.Read(filepath.Join(res.Out, metricsFile))
		require.NoError(t, err)
		for _, s := range log.Steps {
			losses[again] = append(losses[again], s.Loss, s.GradNorm)
		}
	}
	require.Len(t, losses[true], 6)
	assert.InDeltaSlice(t, losses[false], losses[true], 1e-4)

	cfg := small(t)
	cfg.Schedule.Checkpoint = true
	whole := func(s *torch.Scope, seed uint64) (lejepa.Encoder, error) {
		e, err := vision.New(s, vision.Spec{Name: "vit_tiny_patch16_224", ImageSize: 16, PatchSize: 4, Channels: 1, Width: 16, Depth: 1, Heads: 2}, seed, torch.Float32)
		return struct{ lejepa.Encoder }{e}, err
	}
	_, err := Run(context.Background(), cfg, WithSource(&stripes{n: 40}), WithEncoder(whole))
	assert.ErrorContains(t, err, "--checkpoint-activations: its own encoder has no segments")
}
