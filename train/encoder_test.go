package train

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/vision"
)

// TestViTOptions trains ViTs with what a ViT may have besides, and loads them by what their files say alone: they are the
// same networks, and embed alike.
func TestViTOptions(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(*config.Encoder)
		want vision.Spec // what differs from the sizes of small
		keys []string    // that a plain ViT has not
		gone []string    // that only a plain ViT has
	}{
		"every option": {
			func(e *config.Encoder) {
				e.Pool, e.Registers, e.LayerScale, e.QKNorm, e.SwiGLU = "avg", config.Of(3), config.Of(0.25), true, true
			},
			vision.Spec{Name: "vit_tiny_patch16_224", Pool: "avg", Registers: 3, LayerScale: 0.25, QKNorm: true, SwiGLU: true},
			[]string{"reg_token", "fc_norm.weight", "blocks.1.ls2.gamma", "blocks.0.attn.q_norm.weight"}, []string{"norm.weight"},
		},
		"a class token for a variant without": {
			func(e *config.Encoder) { e.Name, e.Pool = "vit_little_patch16_reg4_gap_256", "token" },
			vision.Spec{Name: "vit_little_patch16_reg4_gap_256", Pool: "token", Registers: 4, LayerScale: 1e-5},
			[]string{"reg_token", "cls_token", "norm.weight"}, []string{"fc_norm.weight"},
		},
		"another variant's own": {
			func(e *config.Encoder) { e.Name = "vit_small_plus_patch16_dinov3" },
			vision.Spec{Name: "vit_small_plus_patch16_dinov3", Pool: "avg", Registers: 4, LayerScale: 1e-5, SwiGLU: true},
			[]string{"reg_token", "blocks.0.mlp.fc1_g.weight", "blocks.0.gamma_1"}, []string{"pos_embed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			cfg := small(t)
			cfg.Schedule.Steps = config.Of(2)
			c.set(&cfg.Encoder)
			r, err := open(ctx, cfg, []Option{WithSource(&stripes{n: 40})})
			require.NoError(t, err)
			defer r.close()
			require.NoError(t, r.train(ctx))
			_, err = r.finish(ctx)
			require.NoError(t, err)
			x := make([]float32, 3*16*16)
			for i := range x {
				x[i] = float32(i%23)/11 - 1
			}
			var trained []float32
			require.NoError(t, r.th.Do(ctx, func(s *torch.Scope) {
				s.NoGrad(func() {
					trained = r.model.Encoder.Forward(s, s.FromFloat32(x, 3, 1, 16, 16), nn.Pass{}).Float32s()
				})
			}))

			want := c.want
			want.ImageSize, want.PatchSize, want.Channels, want.Width, want.Depth, want.Heads, want.DropPath = 16, 4, 1, 16, 2, 2, 0.1
			for _, file := range []string{"encoder.safetensors", "encoder.pt"} {
				m, err := vision.LoadFile(filepath.Join(cfg.Out, file), vision.LoadOptions{Torch: torch.Options{Threads: 1}})
				require.NoError(t, err)
				assert.Equal(t, want, m.Encoder.Spec())
				loaded, err := m.Pixels(ctx, x, 3, 1, 16, 16)
				require.NoError(t, err)
				assert.Equal(t, trained, loaded)
				for _, key := range c.keys {
					assert.NotNil(t, m.Encoder.Params().Get(key), key)
				}
				for _, key := range c.gone {
					assert.Nil(t, m.Encoder.Params().Get(key), key)
				}
				m.Close()
			}
		})
	}
}

// TestResumeKeepsViTOptions: a run goes on with what it was made with, and only so.
func TestResumeKeepsViTOptions(t *testing.T) {
	c := small(t)
	c.Schedule.Steps = config.Of(1)
	e := &c.Encoder
	e.Pool, e.Registers, e.LayerScale, e.QKNorm, e.SwiGLU = "avg", config.Of(3), config.Of(0.25), true, true
	_, err := Run(context.Background(), c, WithSource(&stripes{n: 40}))
	require.NoError(t, err)

	open := c
	open.Schedule.Steps = config.Of(2)
	open.Encoder.Pool, open.Encoder.Registers, open.Encoder.LayerScale = "auto", config.Auto[int]{}, config.Auto[float64]{}
	res, err := Run(context.Background(), open, WithSource(&stripes{n: 40}))
	require.NoError(t, err, "what is left open is the run's own")
	made := res.Config.Encoder
	made.Channels = e.Channels // which were open, too
	assert.Equal(t, *e, made)

	e.Pool, e.Registers, e.LayerScale, e.QKNorm, e.SwiGLU = "token", config.Of(4), config.Of(0.5), false, false
	c.Schedule.Steps = config.Of(2)
	_, err = Run(context.Background(), c, WithSource(&stripes{n: 40}))
	var mismatch *config.MismatchError
	require.ErrorAs(t, err, &mismatch)
	for _, line := range []string{
		"encoder.pool: token here, avg in that run", "encoder.registers: 4 here, 3 in that run",
		"encoder.layer_scale: 0.5 here, 0.25 in that run", "encoder.qk_norm: false here, true in that run",
		"encoder.swiglu: false here, true in that run",
	} {
		assert.ErrorContains(t, err, line)
	}
}
