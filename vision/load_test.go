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

var (
	smallViT    = Spec{Name: "vit_tiny_patch16_224", ImageSize: 16, PatchSize: 4, Channels: 1, NumClasses: 5, Width: 24, Depth: 2, Heads: 2}
	smallResNet = Spec{Name: "resnet18", ImageSize: 32, Channels: 3, Width: 2, Depth: 1}
)

// saveModel writes a model with initial weights of seed 1 and returns what it makes of x [n, c, size, size].
func saveModel(t *testing.T, spec Spec, path string, meta map[string]string, x []float32) (y []float32) {
	require.NoError(t, torchtest.Thread(t).Do(context.Background(), func(s *torch.Scope) {
		e, err := New(s, spec, 1, torch.Float32)
		require.NoError(t, err)
		defer e.Close()
		require.NoError(t, e.Params().Save(s, path, meta))
		n := int64(len(x) / (spec.Channels * spec.ImageSize * spec.ImageSize))
		in := s.FromFloat32(x, n, int64(spec.Channels), int64(spec.ImageSize), int64(spec.ImageSize))
		s.NoGrad(func() { y = e.Forward(s, in, nn.Pass{}).Float32s() })
	}))
	return y
}

func pixels(n int) []float32 {
	x := make([]float32, n)
	for i, v := range torchtest.Values(1, n) {
		x[i] = float32(v)
	}
	return x
}

func TestLoadKnowsTheModelFromItsFile(t *testing.T) {
	ctx := context.Background()
	whole := smallViT
	whole.Pool, whole.Registers, whole.LayerScale, whole.QKNorm, whole.SwiGLU = "avg", 3, 0.25, true, true
	for _, spec := range []Spec{smallViT, smallResNet, whole} {
		for _, ext := range []string{".safetensors", ".pt"} {
			path := filepath.Join(t.TempDir(), "encoder"+ext)
			x := pixels(3 * spec.Channels * spec.ImageSize * spec.ImageSize)
			mean, std := make([]float64, spec.Channels), make([]float64, spec.Channels)
			for i := range mean {
				mean[i], std[i] = 0.1, 0.2
			}
			want := saveModel(t, spec, path, Metadata(spec, spec.ImageSize, mean, std), x)
			for _, name := range []string{"", spec.Name} {
				m, err := Load(name, path, torch.CPU)
				require.NoError(t, err)
				complete, err := spec.Complete()
				require.NoError(t, err)
				assert.Equal(t, complete, m.Encoder.Spec())
				assert.Equal(t, mean, m.Mean)
				assert.Equal(t, std, m.Std)
				assert.Equal(t, spec.ImageSize, m.Size)
				got, err := m.Pixels(ctx, x, 3, spec.Channels, spec.ImageSize, spec.ImageSize)
				require.NoError(t, err)
				assert.Equal(t, want, got)
				_, err = m.Pixels(ctx, x, 2, spec.Channels, spec.ImageSize, spec.ImageSize)
				assert.ErrorContains(t, err, "for 2 images")
				m.Close()
			}
		}
	}
}

func TestLoadReadsSizesFromShapes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "encoder.pt")
	spec := smallViT
	spec.NumClasses = 0
	saveModel(t, spec, path, nil, nil)
	m, err := LoadSpec(Spec{Name: spec.Name, Width: 24, Depth: 2, Heads: 2}, path, torch.Options{})
	require.NoError(t, err)
	spec.Pool = "token"
	assert.Equal(t, spec, m.Encoder.Spec())
	assert.Equal(t, []float64{0.5}, m.Mean)
	m.Close()

	path = filepath.Join(t.TempDir(), "resnet.pt")
	saveModel(t, smallResNet, path, nil, nil)
	m, err = LoadSpec(Spec{Name: "resnet18", Width: 2, Depth: 1}, path, torch.Options{Threads: 1})
	require.NoError(t, err)
	assert.Equal(t, 224, m.Size)
	assert.Equal(t, []float64{0.485, 0.456, 0.406}, m.Mean)
	m.Close()
}

// TestEmbed compares with the parts put together by hand: resize and crop, normalise, encode.
func TestEmbed(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "encoder.safetensors")
	saveModel(t, smallViT, path, Metadata(smallViT, 16, []float64{0.25}, []float64{0.5}), nil)
	for _, size := range []int{16, 24} {
		m, err := LoadSpec(Spec{ImageSize: size}, path, torch.Options{Threads: 1})
		require.NoError(t, err)
		imgs := make([]*images.Image, 70)
		for i := range imgs {
			imgs[i] = images.New(1, size, size+2*i)
			for j := range imgs[i].Pix {
				imgs[i].Pix[j] = uint8(i*j*7 + j/3)
			}
		}
		got, err := m.Embed(ctx, imgs)
		require.NoError(t, err)
		require.Len(t, got, 70)
		for _, i := range []int{0, 1, 69} {
			x := make([]float32, 0, size*size)
			for y := range size {
				for c := range size {
					x = append(x, float32(imgs[i].Pix[y*imgs[i].Width+i+c])) // the centre: rows are as high as the crop
				}
			}
			for j := range x {
				x[j] = (x[j]/255 - 0.25) / 0.5
			}
			want, err := m.Pixels(ctx, x, 1, 1, size, size)
			require.NoError(t, err)
			require.Len(t, got[i], 5)
			torchtest.Close(t, wide(want), wide(got[i]), 1e-5, 0, "image ", i)
		}

		again, err := m.Embed(ctx, nil)
		require.NoError(t, err)
		assert.Empty(t, again)
		_, err = m.Embed(ctx, []*images.Image{imgs[0], images.New(3, 20, 20)})
		assert.ErrorContains(t, err, "image 1: image has 3 channels, expected 1")
		_, err = m.Embed(ctx, []*images.Image{nil})
		assert.ErrorContains(t, err, "image 0: no image")
		done, cancel := context.WithCancel(ctx)
		cancel()
		_, err = m.Embed(done, imgs)
		assert.ErrorIs(t, err, context.Canceled)

		m.BF16 = true
		rough, err := m.Embed(ctx, imgs[:1])
		require.NoError(t, err)
		assert.NotEqual(t, got[0], rough[0])
		torchtest.Close(t, wide(got[0]), wide(rough[0]), 0.1, 0)
		m.Close()
	}
}

func wide(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	plain, named, odd := filepath.Join(dir, "plain.pt"), filepath.Join(dir, "named.pt"), filepath.Join(dir, "odd.pt")
	saveModel(t, smallViT, plain, nil, nil)
	saveModel(t, smallViT, named, Metadata(smallViT, 16, []float64{0}, []float64{1}), nil)
	meta := Metadata(smallViT, 16, []float64{0}, []float64{1})
	meta["gojepa.mean"] = "0.5"
	saveModel(t, smallViT, odd, meta, nil)
	text := filepath.Join(dir, "text.pt")
	require.NoError(t, os.WriteFile(text, []byte("hello"), 0o600))
	flat := Metadata(smallViT, 16, []float64{0}, []float64{0})
	saveModel(t, smallViT, filepath.Join(dir, "flat.pt"), flat, nil)
	flat["gojepa.spec"] = "{"
	saveModel(t, smallViT, filepath.Join(dir, "cut.pt"), flat, nil)

	for want, c := range map[string]struct {
		spec Spec
		file string
	}{
		"none.pt":                                                    {Spec{}, filepath.Join(dir, "none.pt")},
		"text.pt: unknown format":                                    {Spec{}, text},
		"does not say which model it is of":                          {Spec{}, plain},
		`unknown model "vit_tinny"`:                                  {Spec{Name: "vit_tinny"}, plain},
		"images of -4×-4 pixels":                                     {Spec{ImageSize: -4}, named},
		"multiples of the patch size 4":                              {Spec{ImageSize: 18}, named},
		"missing keys (100): conv1.weight":                           {Spec{Name: "resnet18"}, plain},
		"unexpected keys (32): cls_token":                            {Spec{Name: "resnet18"}, plain},
		"cls_token float32[1 1 24], expected":                        {Spec{Name: "vit_tiny_patch16_224"}, plain},
		"unexpected keys (2): head.":                                 {Spec{Name: "vit_tiny_patch16_224"}, plain},
		`metadata gojepa.mean is "0.5": expected a list of numbers`:  {Spec{}, odd},
		"standard deviation [0]: expected more than 0":               {Spec{}, filepath.Join(dir, "flat.pt")},
		`metadata gojepa.spec is "{": expected the sizes`:            {Spec{}, filepath.Join(dir, "cut.pt")},
		"mean of 1 and standard deviation of 1 channels: expected 3": {Spec{Channels: 3}, named},
	} {
		m, err := LoadSpec(c.spec, c.file, torch.Options{Threads: 1})
		if assert.ErrorContains(t, err, want) {
			assert.ErrorContains(t, err, filepath.Base(c.file))
			assert.Nil(t, m)
		}
	}
	_, err := Load("", named, torch.CUDA(99))
	assert.ErrorContains(t, err, "cuda:99")
	assert.PanicsWithValue(t, "vision: metadata gojepa.mean of [NaN]: json: unsupported value: NaN",
		func() { Metadata(smallViT, 16, []float64{nan()}, nil) })
}

func nan() float64 { var zero float64; return zero / zero }
