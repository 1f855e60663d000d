package vision

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// TestTablesEqualTimm allows 1e-5 of the largest value: timm sets positions in float32.
func TestTablesEqualTimm(t *testing.T) {
	g := openGolden(t, "blocks")
	torchtest.Do(t, func(s *torch.Scope) {
		for _, c := range [][2]int64{{1, 2}, {2, 3}, {3, 2}, {7, 4}, {4, 7}} {
			from, to := 2*c[0]-1, 2*c[1]-1
			table := resampledTable(s, input(s, 1, from*from, 2).To(torch.Float32), c[1])
			assert.Equal(t, []int64{to * to, 2}, table.Shape())
			torchtest.Close(t, g.values(fmt.Sprintf("tables/%d-%d", c[0], c[1])), table.Float64s(), 1e-5, 0, c)
		}
	})
}

// TestLoadOtherWindows: weights of images of 224 pixels give, in a model for 96, what timm makes of them; the windows of its
// last two stages are smaller. Tables that no window has are an error.
func TestLoadOtherWindows(t *testing.T) {
	ctx := context.Background()
	spec := Spec{Name: "swin_tiny_patch4_window7_224", Width: 6, Depth: 2, Channels: 2}
	path := filepath.Join(t.TempDir(), "swin.safetensors")
	bad := filepath.Join(t.TempDir(), "bad.safetensors")
	const key = "layers.3.blocks.1.attn.relative_position_bias_table"
	var x []float32
	require.NoError(t, torchtest.Thread(t).Do(ctx, func(s *torch.Scope) {
		e, err := New(s, spec, 1, torch.Float32)
		require.NoError(t, err)
		defer e.Close()
		setBlockWeights(s, e)
		require.NoError(t, e.Params().Save(s, path, nil))
		x = input(s, 15, 2, 2, 96, 96).To(torch.Float32).Float32s()
		e.Params().Replace(s, key, s.Zeros(torch.Float32, 24*24, 24))
		require.NoError(t, e.Params().Save(s, bad, nil))
	}))
	spec.ImageSize = 96
	m, err := LoadSpec(spec, path, torch.Options{Threads: 1})
	require.NoError(t, err)
	defer m.Close()
	assert.Equal(t, 96, m.Size)
	assert.Equal(t, []int64{25, 24}, m.Encoder.Params().Get(key).Value.Shape())
	got, err := m.Pixels(ctx, x, 2, 2, 96, 96)
	require.NoError(t, err)
	torchtest.Close(t, openGolden(t, "blocks").values("tables/out"), wide(got), 2e-5, 0)

	_, err = LoadSpec(spec, bad, torch.Options{Threads: 1})
	assert.ErrorContains(t, err, key+" float32[576 24], expected float32[25 24]")
}

// TestSwinDropsPathsAsTimm: rates rise from block to block, over all stages.
func TestSwinDropsPathsAsTimm(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		spec := Spec{DropPath: 0.3}
		e := blockEncoder(t, s, variant{"swin", 64, tinySwin.cut(4)}, spec, torch.NewShapes(torch.Float32))
		defer e.Close()
		var rates []float64
		layers := map[uint32]bool{}
		for _, level := range e.net.(*cnn).levels {
			for _, l := range level {
				if b, ok := l.(*swinBlock); ok {
					assert.InDelta(t, b.dropPath1.Rate, b.dropPath2.Rate, 0)
					rates = append(rates, b.dropPath1.Rate)
					layers[b.dropPath1.Layer], layers[b.dropPath2.Layer] = true, true
				}
			}
		}
		assert.InDeltaSlice(t, []float64{0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3}, rates, 1e-12)
		assert.Len(t, layers, 14, "each branch has masks of its own")
	})
}

// TestShiftedWindowsMix: what changes in the first row reaches the window's other rows, and in a shifted block no rows at
// the image's other end, although they share its window.
func TestShiftedWindowsMix(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		e := blockEncoder(t, s, variant{"swin", 32, tinySwin.cut(4)}, Spec{}, torch.NewBlankParams(torch.Float64))
		defer e.Close()
		setBlockWeights(s, e)
		level := e.net.(*cnn).levels[0]
		for i, reached := range [][]int{{0, 1, 2, 3}, {0, 1}} { // rows of a map of 8, in windows of 4, by its first one
			b := level[2+i].(*swinBlock)
			assert.EqualValues(t, 2*i, b.shift)
			x := input(s, 1, 1, 8, 8, 8)
			other := x.Clone()
			other.Select(2, 0).MulScalar_(2)
			d := b.forward(s, other, nn.Pass{}).Sub(b.forward(s, x, nn.Pass{})).Abs()
			var rows []int
			for row := range 8 {
				if d.Select(2, int64(row)).Max().Item() > 1e-9 {
					rows = append(rows, row)
				}
			}
			assert.Equal(t, reached, rows)
		}
	})
}
