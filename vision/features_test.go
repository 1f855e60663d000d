package vision

import (
	"context"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// TestFeaturesAndTokens holds shapes, and what is left over: the results alone.
func TestFeaturesAndTokens(t *testing.T) {
	forBlocks(t, func(t *testing.T, s *torch.Scope, name string, e *Encoder) {
		x := input(s, 1, 2, 2, 64, 96)
		before := s.Live()
		maps := e.Features(s, x, nn.Pass{})
		assert.Equal(t, before+len(maps), s.Live())
		for _, m := range maps {
			assert.Len(t, m.Shape(), 4)
			assert.Equal(t, 3*m.Size(2), 2*m.Size(3))
		}
		last := maps[len(maps)-1]
		tokens := e.Tokens(s, x, nn.Pass{})
		assert.Equal(t, []int64{2, int64(e.Prefix()) + last.Size(2)*last.Size(3)}, tokens.Shape()[:2])
		assert.Equal(t, before+len(maps)+1, s.Live())
	})
}

// TestClassTokens: the last block's token is the embedding where that is the class token, and what has none says what it has.
func TestClassTokens(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		e, err := New(s, Spec{Name: smallViT.Name, ImageSize: 16, PatchSize: 8, Width: 8, Depth: 3, Heads: 2}, 1, torch.Float32)
		require.NoError(t, err)
		defer e.Close()
		x := input(s, 1, 2, 3, 16, 16)
		c, err := e.ClassTokens(3)
		require.NoError(t, err)
		assert.Equal(t, int64(24), c.Dim())
		before := s.Live()
		y := c.Forward(s, x, nn.Pass{})
		assert.Equal(t, before+1, s.Live())
		assert.Equal(t, []int64{2, 24}, y.Shape())
		assert.Equal(t, e.Forward(s, x, nn.Pass{}).Float64s(), y.Narrow(1, 16, 8).Float64s())
		for _, n := range []int{0, 4} {
			_, err = e.ClassTokens(n)
			assert.ErrorContains(t, err, "expected 1 to 3")
		}
		for name, want := range map[string]string{
			"resnet18":                     "class tokens of resnet18: it has none, but the average over the places of its last map",
			"vit_wee_patch16_reg1_gap_256": "class tokens of vit_wee_patch16_reg1_gap_256: it has none, but 1 registers and the average of its patches' tokens",
		} {
			v, err := find(name)
			require.NoError(t, err)
			e, err := v.encoder(s, Spec{Name: name}, torch.NewShapes(torch.Float32))
			require.NoError(t, err)
			_, err = e.ClassTokens(2)
			assert.EqualError(t, err, "vision: "+want)
			e.Close()
		}
	})
}

// TestAttentionMaps: rows add up to 1, and with the values give what the block computes.
func TestAttentionMaps(t *testing.T) {
	forBlocks(t, func(t *testing.T, s *torch.Scope, name string, e *Encoder) {
		x := input(s, 1, 2, 2, 64, 96)
		n, ok := e.net.(*vitNet)
		if !ok {
			assert.Panics(t, func() { e.Attention(s, x, nn.Pass{}) })
			assert.Panics(t, func() { e.LastAttention(s, x, nn.Pass{}) })
			return
		}
		maps := e.Attention(s, x, nn.Pass{})
		require.Len(t, maps, len(n.blocks))
		before := s.Live()
		tokens, last := e.LastAttention(s, x, nn.Pass{})
		assert.Equal(t, before+2, s.Live())
		assert.Equal(t, e.Tokens(s, x, nn.Pass{}).Float64s(), tokens.Float64s())
		assert.Equal(t, maps[len(maps)-1].Float64s(), last.Float64s())
		x = e.cast(x)
		r := n.rotary(s, 8, 12)
		in := n.embedded(s, x, 8, 12)
		for i, b := range n.blocks {
			tokens := int64(e.Prefix() + 8*12)
			assert.Equal(t, []int64{2, 2, tokens, tokens}, maps[i].Shape())
			for _, sum := range maps[i].SumDim(-1, false).Float64s() {
				assert.InDelta(t, 1, sum, 1e-5)
			}
			y := b.norm1.Forward(s, in)
			_, _, v := b.qkv(s, y, r)
			mixed := b.attn.proj.Forward(s, maps[i].Matmul(v).Transpose(1, 2).Reshape(2, tokens, n.width))
			torchtest.Close(t, b.attention(s, y, r).Float64s(), mixed.Float64s(), 1e-5, 0)
			in = b.forward(s, in, r, nn.Pass{})
		}
	})
}

// TestBlocksInEveryMode runs every kind of block in bfloat16 and with dropped paths, forward and backward.
func TestBlocksInEveryMode(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		for _, m := range blockModels {
			spec := m.spec
			spec.DropPath = 0.5
			e := blockEncoder(t, s, variant{m.name, 64, m.family}, spec, torch.NewBlankParams(torch.Float32))
			setBlockWeights(s, e)
			x := input(s, 1, 8, 2, 64, 64)
			whole := e.Forward(s, x, nn.Pass{}).Float64s()
			step := func(n uint64) (y torch.Tensor) {
				s.Autocast(torch.BFloat16, func() { y = e.Forward(s, x, nn.Pass{Train: true, Seed: 1, Step: n}) })
				return y.To(torch.Float32)
			}
			assert.NotEqual(t, step(1).Float64s(), step(2).Float64s(), "%s drops paths", m.name)
			step(3).Sum().Backward()
			for _, q := range e.Params().Trained() {
				grad := s.Use(q.Value).Grad()
				assert.True(t, grad.Defined() && grad.AllFinite(), "%s of %s", q.Name, m.name)
			}
			setBlockWeights(s, e) // and the running statistics
			s.Autocast(torch.BFloat16, func() {
				torchtest.Close(t, whole, e.Forward(s, x, nn.Pass{}).Float64s(), 0.1, 0, m.name)
			})
			e.Close()
		}
	})
}

// TestHandlesOfBlocks: the handles that are alive when the backward pass begins are the scope's own few.
func TestHandlesOfBlocks(t *testing.T) {
	forBlocks(t, func(t *testing.T, s *torch.Scope, _ string, e *Encoder) {
		x := input(s, 1, 2, 2, 64, 64)
		before := s.Live()
		e.Forward(s, x, nn.Pass{Train: true})
		assert.Equal(t, before+1, s.Live())
	})
}

func TestAdaptInputEqualsTimm(t *testing.T) {
	g := openGolden(t, "blocks")
	torchtest.Do(t, func(s *torch.Scope) {
		w := input(s, 1, 2, 3, 2, 2).To(torch.Float32)
		for _, n := range []int64{1, 2, 3, 4, 7} {
			got := adaptInput(w, n)
			assert.Equal(t, []int64{2, n, 2, 2}, got.Shape())
			torchtest.Close(t, g.values("channels/"+strconv.FormatInt(n, 10)), got.Float64s(), 1e-6, 0, n, " channels")
		}
	})
}

// TestInferSizes: every family reads channels out of a state dict, and ViTs all but width, depth and heads.
func TestInferSizes(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		for _, m := range blockModels {
			own, _ := m.own()
			spec := m.spec
			spec.Channels, spec.ImageSize = 5, 96
			if own.PatchSize > 0 {
				spec.PatchSize = 6
			}
			v := variant{m.name, 64, m.family}
			e, err := v.encoder(s, spec, torch.NewShapes(torch.Float32))
			require.NoError(t, err)
			got := v.infer(func(key string) []int64 {
				if q := e.Params().Get(key); q != nil {
					return q.Value.Shape()
				}
				return nil
			})
			want := Spec{Channels: 5, PatchSize: spec.PatchSize, Registers: e.Spec().Registers}
			if e.Params().Get("pos_embed") != nil {
				want.ImageSize = 96
			}
			assert.Equal(t, want, got, m.name)
			e.Close()
		}
	})
}

// TestLoadOtherChannels: grey images give what the same images give with three channels alike.
func TestLoadOtherChannels(t *testing.T) {
	ctx := context.Background()
	for _, spec := range []Spec{smallViT, smallResNet, {Name: "convnext_atto", ImageSize: 32, Width: 8, Depth: 1}, {Name: "wren_nano", ImageSize: 32}} {
		spec.Channels, spec.NumClasses = 3, 0
		path := filepath.Join(t.TempDir(), "encoder.safetensors")
		n := spec.ImageSize * spec.ImageSize
		grey := pixels(n)
		colours := append(append(append([]float32{}, grey...), grey...), grey...)
		want := saveModel(t, spec, path, nil, colours)
		for channels, x := range map[int][]float32{1: grey, 6: append(append([]float32{}, colours...), colours...)} {
			want := want
			other := spec
			other.Channels = channels
			m, err := LoadSpec(other, path, torch.Options{Threads: 1})
			require.NoError(t, err)
			assert.Equal(t, channels, m.Encoder.Spec().Channels)
			got, err := m.Pixels(ctx, x, 1, channels, spec.ImageSize, spec.ImageSize)
			require.NoError(t, err)
			torchtest.Close(t, wide(want), wide(got), 1e-4, 0, spec.Name, channels)
			m.Close()
		}
	}
}
