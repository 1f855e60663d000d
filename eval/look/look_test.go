package look

import (
	"encoding/json"
	"image"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/torch/torchtest"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/images"
)

func TestMain(m *testing.M) { torchtest.Main(m) }

func start(t *testing.T) *torch.Thread {
	th, err := torch.Start(torch.Options{Threads: 1})
	require.NoError(t, err)
	t.Cleanup(th.Close)
	return th
}

func golden(t *testing.T, name string, to any) {
	data, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, to))
}

func single(x []float64) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v)
	}
	return out
}

func TestPCAEqualsNumPy(t *testing.T) {
	var all []struct {
		N, D                      int
		Mean, Variance, Projected []float64
		Components                [][]float64
	}
	golden(t, "pca.json", &all)
	th := start(t)
	for _, g := range all {
		x := torchtest.Values(1, g.N*g.D)
		for i := range x {
			x[i] = x[i]*float64(1+i%g.D) + float64(i%g.D)
		}
		p, err := NewPCA(t.Context(), th, single(x), g.D, 3)
		require.NoError(t, err)
		torchtest.Close(t, g.Mean, p.Mean, 1e-9, 0)
		torchtest.Close(t, g.Variance, p.Variance, 1e-9, 0)
		for i, c := range g.Components {
			torchtest.Close(t, c, p.Components[i], 1e-8, 0)
		}
		assert.GreaterOrEqual(t, p.Total, p.Variance[0]+p.Variance[1]+p.Variance[2])
		torchtest.Close(t, g.Projected, p.Project(single(x)), 1e-8, 0)
	}
}

// TestAttentionEqualsTimm: the maps are those of timm's class token.
func TestAttentionEqualsTimm(t *testing.T) {
	var want []float64
	golden(t, "attention.json", &want)
	m, err := vision.LoadFile(filepath.Join("testdata", "vit.safetensors"), vision.LoadOptions{
		Spec: vision.Spec{Name: "vit_tiny_patch16_224", ImageSize: 16, PatchSize: 4, Width: 12, Depth: 2, Heads: 2, Channels: 1},
	})
	require.NoError(t, err)
	defer m.Close()
	require.NoError(t, m.Thread.Do(t.Context(), func(s *torch.Scope) {
		maps, err := NewMaps(s, m.Encoder, s.FromFloat32(single(torchtest.Values(7, 3*16*16)), 3, 1, 16, 16))
		require.NoError(t, err)
		assert.Equal(t, ClassAttention, maps.Of)
		assert.Equal(t, []int{3, 4, 2}, []int{maps.N, maps.Side, maps.Heads})
		got := make([]float64, len(maps.Weights))
		for i, v := range maps.Weights {
			got[i] = float64(v)
		}
		torchtest.Close(t, want, got, 1e-5, 0)
		assert.InDelta(t, (maps.Map(1, 0)[3]+maps.Map(1, 1)[3])/2, maps.Map(1, -1)[3], 1e-7)
	}))
}

// TestMaps: every family has tokens and weights, which add up to 1, and says what these are.
func TestMaps(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		for _, c := range []struct {
			spec        vision.Spec
			of          string
			side, heads int
		}{
			{vision.Spec{Name: "vit_tiny_patch16_224", ImageSize: 32, PatchSize: 8, Width: 12, Depth: 1, Heads: 3, Registers: 2}, ClassAttention, 4, 3},
			{vision.Spec{Name: "vit_small_patch16_dinov3", ImageSize: 32, PatchSize: 8, Width: 24, Depth: 1, Heads: 2}, ClassAttention, 4, 2},
			{vision.Spec{Name: "vit_huge_patch14_gap_224", ImageSize: 32, PatchSize: 8, Width: 12, Depth: 1, Heads: 2}, MeanAttention, 4, 2},
			{vision.Spec{Name: "resnet18", ImageSize: 128, Width: 4}, Energy, 4, 1},
			{vision.Spec{Name: "resnet18", ImageSize: 64, Width: 4}, Energy, 4, 1}, // whose tokens are 2×2
			{vision.Spec{Name: "resnet18", ImageSize: 8, Width: 4}, Energy, 4, 1},  // of the stem
		} {
			e, err := vision.New(s, c.spec, 1, torch.Float32)
			require.NoError(t, err, c.spec.Name)
			x := s.FromFloat32(single(torchtest.Values(3, 2*3*c.spec.ImageSize*c.spec.ImageSize)), 2, 3, int64(c.spec.ImageSize), int64(c.spec.ImageSize))
			m, err := NewMaps(s, e, x)
			require.NoError(t, err, c.spec.Name)
			assert.Equal(t, c.of, m.Of, c.spec.Name)
			assert.Equal(t, []int{2, c.side, c.heads}, []int{m.N, m.Side, m.Heads}, c.spec.Name)
			assert.Len(t, m.Weights, 2*c.heads*c.side*c.side)
			for of := range slices.Chunk(m.Weights, c.side*c.side) {
				var sum float64
				for _, v := range of {
					sum += float64(v)
				}
				assert.InDelta(t, 1, sum, 1e-5)
			}
			tokens := e.Tokens(s, x, nn.Pass{})
			all := tokens.Float32s()
			if tokens.Size(1) < int64(c.side*c.side) {
				all = levelTokens(s, e, x).Float32s()
			}
			d := len(m.Tokens) / (2 * c.side * c.side)
			assert.Equal(t, all[e.Prefix()*d:(e.Prefix()+1)*d], m.Tokens[:d])
			e.Close()
		}
	})
}

// TestColours: images share their components, so that the same token has the same colour in both.
func TestColours(t *testing.T) {
	th := start(t)
	x := single(torchtest.Values(5, 2*3*3*8))
	copy(x[9*8+4*8:][:8], x[:8])
	all, err := Colours(t.Context(), th, x, 2, 3, 3)
	require.NoError(t, err)
	require.Len(t, all, 2)
	assert.Equal(t, image.Rect(0, 0, 3, 3), all[1].Bounds())
	assert.Equal(t, all[0].At(0, 0), all[1].At(1, 1))
	assert.NotEqual(t, all[0].At(0, 0), all[0].At(1, 0))
	flat, err := Colours(t.Context(), th, make([]float32, 4*8), 1, 2, 2)
	require.NoError(t, err)
	assert.Equal(t, color.RGBA{128, 128, 128, 255}, flat[0].At(0, 0))
}

// TestHeat: it is hot where the weight is.
func TestHeat(t *testing.T) {
	under := image.NewRGBA(image.Rect(10, 10, 30, 50))
	m := Heat([]float32{0, 0, 0, 1}, 2, under)
	assert.Equal(t, image.Rect(0, 0, 20, 40), m.Bounds())
	hot, _, _, _ := m.At(19, 39).RGBA()
	cold, _, _, _ := m.At(0, 0).RGBA()
	assert.Greater(t, hot, cold)
	sheet := Arrange([][]image.Image{{m, m}, {m}})
	assert.Equal(t, image.Rect(0, 0, 3*space+40, 3*space+80), sheet.Bounds())
}

func TestBadInput(t *testing.T) {
	th := start(t)
	nan := make([]float32, 8)
	nan[5] = float32(math.NaN())
	for want, c := range map[string]struct {
		x    []float32
		d, k int
	}{
		"expected whole rows":      {make([]float32, 7), 4, 2},
		"no more components than":  {make([]float32, 8), 2, 3},
		"1 rows: expected two":     {make([]float32, 4), 4, 2},
		"number 1 of row 1 is NaN": {nan, 4, 2},
	} {
		_, err := NewPCA(t.Context(), th, c.x, c.d, c.k)
		assert.ErrorContains(t, err, want)
	}
	_, err := Colours(t.Context(), th, make([]float32, 7), 1, 2, 2)
	assert.ErrorContains(t, err, "7 numbers for 1 maps of 2×2 tokens")
	_, err = MapsOf(t.Context(), th, nil, nil, nil, nil)
	assert.ErrorContains(t, err, "no images")
	_, err = MapsOf(t.Context(), th, nil, []*images.Image{images.New(1, 8, 8), images.New(1, 8, 9)}, []float64{0}, []float64{1})
	assert.ErrorContains(t, err, "image 1 has 1 channels of 8×9 samples, deep: false; expected 1 of 8×8")
	torchtest.Do(t, func(s *torch.Scope) {
		e, err := vision.New(s, vision.Spec{Name: "vit_tiny_patch16_224", ImageSize: 16, PatchSize: 8, Width: 12, Depth: 1, Heads: 1}, 1, torch.Float32)
		require.NoError(t, err)
		defer e.Close()
		_, err = NewMaps(s, e, s.FromFloat32(make([]float32, 3*16*24), 1, 3, 16, 24))
		assert.ErrorContains(t, err, "6 tokens of an image: expected a square")
	})
}
