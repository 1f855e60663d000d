package train

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/lejepa"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/vision"
)

// pageOf trains and returns the page that the run leaves.
func pageOf(t *testing.T, c config.Config, opts ...Option) string {
	var log strings.Builder
	_, err := Run(context.Background(), c, append(opts, WithOutput(&log))...)
	require.NoError(t, err)
	assert.NotContains(t, log.String(), "the page shows no")
	page, err := os.ReadFile(filepath.Join(c.Out, "report.html"))
	require.NoError(t, err)
	return string(page)
}

// TestMapsOnThePage: with labels and without, of images that are kept in memory; and none if they are not wanted.
func TestMapsOnThePage(t *testing.T) {
	page := pageOf(t, small(t), WithSource(&stripes{n: 60, broken: map[int]bool{11: true}}))
	assert.Equal(t, 9, strings.Count(page, "alt=\"components of stripe-"), "images")
	assert.Equal(t, 9, strings.Count(page, "alt=\"weights of stripe-"))
	assert.Contains(t, page, "then attention of the class token in the last block: red is most")
	assert.Contains(t, page, "images on the two principal components")
	assert.Contains(t, page, "</i>lying <small>")
	assert.Contains(t, page, "</i>standing <small>")

	c := small(t)
	c.Maps = false
	page = pageOf(t, c, WithSource(&stripes{n: 40}))
	assert.NotContains(t, page, "components of stripe-")
	assert.NotContains(t, page, "principal components of their embeddings")
}

func TestMapsOfEncoders(t *testing.T) {
	c := small(t)
	c.Encoder = config.Default().Encoder
	c.Encoder.Name, c.Encoder.ImageSize, c.Encoder.Width, c.Encoder.Depth = "resnet18", config.Of(16), config.Of(4), config.Of(1)
	page := pageOf(t, c, WithSource(&stripes{n: 60}))
	assert.Contains(t, page, "length of the tokens")
	assert.Equal(t, 9, strings.Count(page, "alt=\"components of stripe-"))

	c = small(t)
	page = pageOf(t, c, WithSource(&stripes{n: 40}), WithEncoder(func(s *torch.Scope, seed uint64) (lejepa.Encoder, error) {
		spec := EncoderSpec(c.Encoder)
		spec.Channels = 1
		e, err := vision.New(s, spec, seed, torch.Float32)
		return struct{ lejepa.Encoder }{e}, err // of no type that has maps
	}))
	assert.NotContains(t, page, "components of stripe-")
	assert.Contains(t, page, "principal components of their embeddings")
}

// TestMappedImages: those that are read again are those that were kept in memory, in the same order.
func TestMappedImages(t *testing.T) {
	src := &stripes{n: 40, broken: map[int]bool{0: true, 7: true}}
	r := &run{cfg: small(t), data: data{channels: 1}}
	r.mean, r.std = []float64{0}, []float64{1}
	test, err := r.draw(t.Context(), src, 0)
	require.NoError(t, err)
	require.NotNil(t, test.kept)
	r.online.test = test
	for i := range 40 {
		if !src.broken[i] {
			r.online.features.Samples = append(r.online.features.Samples, i)
		}
	}
	r.online.features.N = 38
	rows, kept, err := r.mapped(t.Context())
	require.NoError(t, err)
	test.kept = nil
	again, read, err := r.mapped(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []int{0, 4, 8, 12, 16, 21, 25, 29, 33}, rows, "evenly over them")
	assert.Equal(t, rows, again)
	require.Len(t, kept, 9)
	assert.Equal(t, kept, read)
	first, err := src.Image(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, first.Pix, kept[0].Pix)

	src.broken[1] = true
	_, _, err = r.mapped(t.Context())
	assert.ErrorContains(t, err, "cannot be read any more")
}

func TestProjection(t *testing.T) {
	th, err := torch.Start(torch.Options{Threads: 1})
	require.NoError(t, err)
	defer th.Close()
	f := eval.Features{X: []float32{0, 0, 9, 4, 0, 9, 0, 2, 9, 4, 2, 9}, N: 4, D: 3, Labels: []int{0, 1, -1, 1}, Classes: []string{"a", "b"}}
	s, err := Projection(t.Context(), th, f)
	require.NoError(t, err)
	torchtest.Close(t, []float64{-2, 2, -2, 2}, s.X, 1e-12, 0)
	torchtest.Close(t, []float64{-1, -1, 1, 1}, s.Y, 1e-12, 0)
	assert.Equal(t, []string{"a", "b", "", "b"}, s.Labels)
	assert.Equal(t, "first, with 80.0 % of the variance", s.XLabel)
	assert.Equal(t, "second, with 20.0 % of the variance", s.YLabel)

	f.X = make([]float32, 12)
	f.Classes, f.Labels = nil, nil
	s, err = Projection(t.Context(), th, f)
	require.NoError(t, err)
	assert.Equal(t, "first", s.XLabel)
	assert.Nil(t, s.Labels)
	s, err = Projection(t.Context(), th, eval.Features{X: []float32{1, 2}, N: 2, D: 1})
	require.NoError(t, err)
	assert.Nil(t, s)
}
