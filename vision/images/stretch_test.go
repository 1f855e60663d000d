package images

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/vision/images/raster"
)

func TestFromRaster(t *testing.T) {
	r := raster.New(2, 1, 2)
	copy(r.Plane(0), []float32{-1024, 3071})
	copy(r.Plane(1), []float32{float32(math.NaN()), 7166})
	m, err := FromRaster(r, -1024, 3071)
	require.NoError(t, err)
	require.NoError(t, m.Check())
	assert.Equal(t, []float32{0, 1}, m.FloatPlane(0))
	assert.Equal(t, []float32{0, 2}, m.FloatPlane(1), "what is missing is black, what is beyond the range stays beyond it")

	_, err = FromRaster(r, 1, 1)
	assert.EqualError(t, err, "range of samples from 1 to 1: expected two numbers, the lower one first")
}

func TestCheckOfDeepImages(t *testing.T) {
	m := NewFloat(1, 1, 2)
	require.NoError(t, m.Check())
	m.Float = m.Float[:1]
	assert.ErrorContains(t, m.Check(), "1 samples of 32 bits, expected 2")
	m.Pix = []uint8{1}
	assert.ErrorContains(t, m.Check(), "expected either")
}
