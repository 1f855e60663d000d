package views

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/vision/images"
)

func TestCenterCropRefuses(t *testing.T) {
	_, err := NewCenterCrop(8, 9, Kind{Channels: 0}, 5)
	for _, want := range []string{
		"centre crop: resize: 8, expected 9 (the size) to 16384 pixels", "channels: 0, expected at least 1",
		"interpolation: Interpolation(5), expected bilinear or bicubic",
	} {
		assert.ErrorContains(t, err, want)
	}
	_, err = NewCenterCrop(0, 0, Kind{Channels: 1}, Bilinear)
	assert.ErrorContains(t, err, "size: 0, expected 1 to 16384 pixels")

	c, err := NewCenterCrop(8, 8, Kind{Channels: 1}, Bilinear)
	require.NoError(t, err)
	w, b := c.NewWorker(), NewBatch(1, c.Layout())
	assert.ErrorContains(t, w.Generate(images.New(3, 9, 9), 0, 0, b, 0), "image has 3 channels, expected 1")
	assert.ErrorContains(t, w.Generate(&images.Image{}, 0, 0, b, 0), "sizes must be positive")
	assert.ErrorContains(t, w.Generate(images.New(1, 1, 2000), 0, 0, b, 0), "image of 2000×1 pixels: one side is more than 1024 times the other")
	assert.NoError(t, w.Generate(images.New(1, 1000, 1), 0, 0, b, 0))
}
