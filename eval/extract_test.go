package eval_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/torch/torchtest"
	"github.com/gojepa/gojepa/vision/images"
	"github.com/gojepa/gojepa/vision/views"
)

// plain are images of one colour: image i has samples 10·i. Every seventh is broken if any are; labels are 0, 1, none, …
type plain struct {
	n, channels int
	broken      bool
	classes     []string
}

func (p plain) Len() int          { return p.n }
func (p plain) Name(i int) string { return fmt.Sprint("plain ", i) }
func (p plain) Classes() []string { return p.classes }

func (p plain) Label(i int) (int, bool) { return i % 3, i%3 < 2 }

func (p plain) Image(_ context.Context, i int) (*images.Image, error) {
	if p.broken && i%7 == 3 {
		return nil, errors.New("torn")
	}
	m := images.New(p.channels, 5, 6+i)
	for j := range m.Pix {
		m.Pix[j] = uint8(10 * i)
	}
	return m, nil
}

// average is an encoder whose features are the mean of each channel. It remembers how it was called.
type average struct {
	passes   []nn.Pass
	shapes   [][]int64
	autocast bool
	grad     bool
}

func (a *average) Forward(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	a.passes, a.shapes = append(a.passes, p), append(a.shapes, x.Shape())
	_, a.autocast = s.AutocastDType()
	a.grad = s.GradEnabled()
	return x.MeanDims(false, 2, 3)
}

func (a *average) Dim() int64 { return 2 }

func TestExtract(t *testing.T) {
	o := eval.DefaultExtract()
	o.Size, o.Channels, o.Mean, o.Std = 4, 2, []float64{0, 0.5}, []float64{1, 2}
	o.BatchSize, o.Workers, o.MaxBroken = 4, 3, 0.5
	enc := &average{}
	src := plain{n: 11, channels: 2, broken: true, classes: []string{"zero", "one"}}
	f, err := eval.Extract(ctx, torchtest.Thread(t), enc, src, o)
	require.NoError(t, err)

	assert.Equal(t, []int{0, 1, 2, 4, 5, 6, 7, 8, 9}, f.Samples, "in order, without the broken ones")
	require.Len(t, f.Broken, 2)
	assert.Equal(t, "plain 3", f.Broken[0].Name)
	assert.EqualError(t, f.Broken[1].Err, "torn")
	assert.Equal(t, []int{0, 1, -1, 1, -1, 0, 1, -1, 0}, f.Labels)
	assert.Equal(t, src.classes, f.Classes)
	assert.Equal(t, 9, f.N)
	assert.Equal(t, 2, f.D)
	for row, i := range f.Samples {
		v := float64(10*i) / 255
		assert.InDelta(t, v, f.Row(row)[0], 1e-6)
		assert.InDelta(t, (v-0.5)/2, f.Row(row)[1], 1e-6)
	}
	assert.Equal(t, [][]int64{{3, 2, 4, 4}, {4, 2, 4, 4}, {2, 2, 4, 4}}, enc.shapes)
	assert.Equal(t, []nn.Pass{{}, {}, {}}, enc.passes, "inference")
	assert.False(t, enc.grad)
	assert.False(t, enc.autocast)

	l := f.Labelled()
	assert.Equal(t, []int{0, 1, 4, 6, 7, 9}, l.Samples)
	assert.Equal(t, []int{0, 1, 1, 0, 1, 0}, l.Labels)
	assert.Equal(t, 6, l.N)
	assert.Equal(t, f.Row(3), l.Row(2))

	kept, err := eval.Prepare(ctx, src, o)
	require.NoError(t, err)
	for range 2 {
		again, err := kept.Extract(ctx, torchtest.Thread(t), enc)
		require.NoError(t, err)
		assert.Equal(t, f, again, "of images that are kept")
	}
	assert.Equal(t, uint8(60), kept.Image(5).Pix[0])
	assert.Len(t, kept.Image(8).Pix, int(o.PreparedBytes(1)))
	assert.Nil(t, kept.Image(9))

	o.BF16 = true
	_, err = eval.Extract(ctx, torchtest.Thread(t), enc, src, o)
	require.NoError(t, err)
	assert.True(t, enc.autocast)
}

func TestExtractWithoutLabels(t *testing.T) {
	o := eval.DefaultExtract()
	o.Size, o.Channels = 4, 2 // a normalisation is at hand for any number of channels
	f, err := eval.Extract(ctx, torchtest.Thread(t), &average{}, plain{n: 3, channels: 2}, o)
	require.NoError(t, err)
	assert.Nil(t, f.Labels)
	assert.Nil(t, f.Classes)
	assert.Zero(t, f.Labelled().N)
	assert.InDelta(t, (20./255-0.5)/0.5, f.Row(2)[1], 1e-6)
}

func TestPixels(t *testing.T) {
	f, err := eval.Pixels(ctx, plain{n: 5, channels: 1, broken: true, classes: []string{"a", "b"}}, 2, views.Kind{Channels: 1})
	require.NoError(t, err)
	assert.Equal(t, 4, f.D)
	assert.Equal(t, []int{0, 1, 2, 4}, f.Samples)
	assert.Equal(t, []int{0, 1, -1, 1}, f.Labels)
	v := float32(20) / 255
	assert.Equal(t, []float32{v, v, v, v}, f.Row(2))
}

func TestExtractErrors(t *testing.T) {
	th := torchtest.Thread(t)
	o := eval.DefaultExtract()
	o.Size, o.Channels = 4, 2
	_, err := eval.Extract(ctx, th, &average{}, plain{n: 20, channels: 2, broken: true}, o)
	assert.ErrorContains(t, err, "too many broken images")
	assert.ErrorContains(t, err, "plain 3: torn")

	_, err = eval.Extract(ctx, th, &average{}, plain{n: 2, channels: 1}, o)
	assert.ErrorContains(t, err, "image has 1 channels, expected 2")

	o.Mean, o.Std = []float64{0.5}, []float64{0.5}
	_, err = eval.Extract(ctx, th, &average{}, plain{n: 2, channels: 2}, o)
	assert.EqualError(t, err, "eval: mean of 1 and standard deviation of 1 channels: expected 2, as the images have")

	_, err = eval.Pixels(ctx, plain{n: 2, channels: 3}, 2, views.Kind{Channels: 1})
	assert.EqualError(t, err, "eval: none of 2 images could be read, the last being plain 1: image has 3 channels, expected 1")
	_, err = eval.Pixels(ctx, plain{n: 2, channels: 3}, 0, views.Kind{Channels: 3})
	assert.ErrorContains(t, err, "eval: pixels: centre crop: size: 0")

	done, cancel := context.WithCancel(ctx)
	cancel()
	_, err = eval.Pixels(done, plain{n: 2, channels: 1}, 2, views.Kind{Channels: 1})
	assert.ErrorIs(t, err, context.Canceled)
}
