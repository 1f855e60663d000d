package images

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
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

// splitmix is scripts/golden/common.py's values.
func splitmix(seed uint64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		z := seed + 0x9e3779b97f4a7c15*uint64(i+1)
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		z ^= z >> 31
		out[i] = (float64(z>>11)/(1<<52) - 1) * math.Sqrt(3)
	}
	return out
}

// TestStretch holds ranges to astropy's ZScaleInterval and numpy's percentile, which are in double precision as ours are,
// and the curve to astropy's AsinhStretch.
func TestStretch(t *testing.T) {
	data, err := os.ReadFile("testdata/stretch.json")
	require.NoError(t, err)
	var golden []struct {
		Seed          uint64
		N, Missing    int
		Scale, Offset float64
		ZScale        [2]float64
		Percentiles   [][4]float64
		Shown         []float64
		Asinh         []json.RawMessage
	}
	require.NoError(t, json.Unmarshal(data, &golden))
	require.Len(t, golden, 4)
	for _, g := range golden {
		r := raster.New(1, 1, g.N)
		for i, v := range splitmix(g.Seed, g.N) {
			r.Samples[i] = float32(math.Pow(v, 3)*g.Scale + g.Offset)
			if g.Missing > 0 && i%g.Missing == 0 {
				r.Samples[i] = float32(math.NaN())
			}
		}
		span := g.ZScale[1] - g.ZScale[0]
		low, high := zscale(finite(r))
		assert.InDelta(t, g.ZScale[0], low, 1e-6*span, "zscale %d", g.Seed)
		assert.InDelta(t, g.ZScale[1], high, 1e-6*span, "zscale %d", g.Seed)
		for _, p := range g.Percentiles {
			low, high := percentiles(finite(r), p[0], p[1])
			assert.InDelta(t, p[2], low, 1e-6*span, "percentile %g of %d", p[0], g.Seed)
			assert.InDelta(t, p[3], high, 1e-6*span, "percentile %g of %d", p[1], g.Seed)
			text := fmt.Sprintf("percentile:%g:%g", p[0], p[1])
			s, err := ParseStretch(text)
			require.NoError(t, err)
			assert.Equal(t, text, s.String())
			m, err := s.Apply(r)
			require.NoError(t, err)
			for i, v := range r.Samples {
				want := float32(min(max((float64(v)-low)/(high-low), 0), 1))
				if v != v {
					want = 0
				}
				require.Equal(t, want, m.Float[i])
			}
		}
		m, err := Stretch{Range: RangeZScale}.Apply(r)
		require.NoError(t, err)
		r.Counts = true
		auto, err := Stretch{}.Apply(r)
		require.NoError(t, err)
		assert.Equal(t, m, auto, "counts are scaled so unless they are told otherwise")
		for i, v := range g.Shown {
			assert.InDelta(t, v, m.Float[i], 2e-6)
		}
		require.Len(t, g.Asinh, 2)
		for _, raw := range g.Asinh {
			var a float64
			var want []float64
			require.NoError(t, json.Unmarshal(raw, &[]any{&a, &want}))
			s, err := ParseStretch(fmt.Sprintf("zscale+asinh:%g", a))
			require.NoError(t, err)
			m, err := s.Apply(r)
			require.NoError(t, err)
			for i, v := range want {
				assert.InDelta(t, v, m.Float[i], 2e-6*max(1, 0.1/a))
			}
		}
	}
}

func TestStretchText(t *testing.T) {
	for text, want := range map[string]Stretch{
		"auto": {}, "file": {Range: RangeFile}, "window": {Range: RangeWindow}, "zscale": {Range: RangeZScale},
		"0:10000": {Range: RangeValues, High: 10000}, "-1e3:0.5": {Range: RangeValues, Low: -1000, High: 0.5},
		"percentile:2:98":      {Range: RangePercentile, Low: 2, High: 98},
		"asinh":                {Range: RangePercentile, Low: 1, High: 99.9, Asinh: 0.1},
		"0:1+asinh:0.02":       {Range: RangeValues, High: 1, Asinh: 0.02},
		"auto+asinh":           {Asinh: 0.1},
		"percentile:0:1+asinh": {Range: RangePercentile, High: 1, Asinh: 0.1},
	} {
		var got Stretch
		require.NoError(t, got.UnmarshalText([]byte(text)), text)
		assert.Equal(t, want, got, text)
		again, err := got.MarshalText()
		require.NoError(t, err)
		require.NoError(t, got.UnmarshalText(again), text)
		assert.Equal(t, want, got, text)
	}
	for text, want := range map[string]string{
		"":                  "expected auto, file, window",
		"best":              "expected auto, file, window",
		"1:0":               "from 1 to 0: expected two numbers, the lower one first",
		"a:b":               "a:b: expected two numbers",
		"NaN:1":             "from NaN to 1",
		"percentile:1":      "percentile:1: expected two numbers",
		"percentile:-1:101": "percentiles -1 to 101: expected two numbers from 0 to 100",
		"auto+log":          "+log: expected +asinh",
		"auto+asinh:0":      "+asinh:0: expected +asinh",
		"auto+asinh:-1":     "with a positive number",
		"auto+asinh:inf":    "asinh +Inf",
	} {
		_, err := ParseStretch(text)
		assert.ErrorContains(t, err, want, text)
	}
	assert.ErrorContains(t, (Options{MaxPixels: 1, Deep: true, Reduce16: true, Stretch: Stretch{Range: 9}}).Validate(), "expected either")
	assert.ErrorContains(t, (Options{MaxPixels: 1, Stretch: Stretch{Range: 9}}).Validate(), "stretch: range 9")
}

func TestStretchOfWhatHasNoRange(t *testing.T) {
	r := raster.New(1, 2, 2)
	m, err := Stretch{}.Apply(r)
	require.NoError(t, err)
	assert.Equal(t, make([]float32, 4), m.Float, "an image of one value is black")
	for i := range r.Samples {
		r.Samples[i] = float32(math.NaN())
	}
	_, err = Stretch{}.Apply(r)
	assert.EqualError(t, err, "no sample has a value")
	_, err = Stretch{Range: RangeFile}.Apply(r)
	assert.ErrorContains(t, err, "floats have no limits")
	_, err = Stretch{Range: RangeWindow}.Apply(r)
	assert.EqualError(t, err, "stretch window: the file has none")
}

// TestWhiteBelowBlack: a range that is asked for is turned over with the file's.
func TestWhiteBelowBlack(t *testing.T) {
	r := raster.New(1, 1, 3)
	copy(r.Samples, []float32{0, 25, 100})
	r.Low, r.High = 255, 0
	for text, want := range map[string][]float32{
		"auto": {1, float32(230. / 255), float32(155. / 255)}, "0:100": {1, 0.75, 0}, "percentile:0:100": {1, 0.75, 0},
	} {
		s, err := ParseStretch(text)
		require.NoError(t, err)
		m, err := s.Apply(r)
		require.NoError(t, err)
		assert.Equal(t, want, m.Float, text)
	}
}

func TestDepthAndChannels(t *testing.T) {
	wide := image.NewNRGBA64(image.Rect(0, 0, 2, 1))
	wide.SetNRGBA64(0, 0, color.NRGBA64{0x1234, 0xabcd, 0xfe00, 0x8000})
	wide.SetNRGBA64(1, 0, color.NRGBA64{65535, 0, 0, 65535})
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, wide))
	deep := Options{MaxPixels: 100, Deep: true}
	m, err := Decode(b.Bytes(), deep)
	require.NoError(t, err)
	assert.Equal(t, []float32{0x1234 / 65535., 1, 0xabcd / 65535., 0, 0xfe00 / 65535., 0}, m.Float)
	deep.Channels = 1
	m, err = Decode(b.Bytes(), deep)
	require.NoError(t, err)
	assert.InDelta(t, 0.299, m.Float[1], 1e-7)
	deep.Channels = 13
	_, err = Decode(b.Bytes(), deep)
	assert.EqualError(t, err, "PNG: 3 bands, expected 13 (Channels)")
	deep.Channels, deep.Stretch = 3, Stretch{Range: RangeValues, Low: 0, High: 0xabcd}
	m, err = Decode(b.Bytes(), deep)
	require.NoError(t, err)
	assert.Equal(t, float32(1), m.Float[2])

	// 8 bits.
	narrow := image.NewNRGBA(image.Rect(0, 0, 1, 1))
	narrow.Set(0, 0, color.NRGBA{10, 20, 30, 128})
	b.Reset()
	require.NoError(t, png.Encode(&b, narrow))
	m, err = Decode(b.Bytes(), Options{MaxPixels: 100})
	require.NoError(t, err)
	assert.Equal(t, []uint8{10, 20, 30}, m.Pix)
	m, err = Decode(b.Bytes(), Options{MaxPixels: 100, Deep: true})
	require.NoError(t, err)
	assert.Equal(t, []float32{10 / 255., 20 / 255., 30 / 255.}, m.Float)

	// Rasters: opacity goes unless it is asked for; bands that are no colours are not mixed.
	r := raster.New(4, 1, 1)
	copy(r.Samples, []float32{10, 20, 30, 128})
	r.Integers(8, false)
	r.Alpha = true
	for channels, want := range map[int][]uint8{0: {10, 20, 30}, 3: {10, 20, 30}, 4: {10, 20, 30, 128}} {
		m, err := scale(r, Options{Channels: channels})
		require.NoError(t, err)
		assert.Equal(t, want, m.Pix)
	}
	_, err = scale(r, Options{Channels: 1})
	assert.EqualError(t, err, "3 bands that are not red, green and blue, expected 1 (Channels)")
	r.Colour = true
	m, err = scale(r, Options{Channels: 1})
	require.NoError(t, err)
	assert.Equal(t, []uint8{luma(10, 20, 30)}, m.Pix)
	r.Integers(16, false)
	_, err = scale(r, Options{})
	assert.ErrorContains(t, err, "set Deep or AsIs to have them as they are, or Reduce16")
	m, err = scale(r, Options{Reduce16: true, Stretch: Stretch{Range: RangeValues, High: 40}})
	require.NoError(t, err)
	assert.Equal(t, []uint8{64, 128, 191}, m.Pix)
	grey := raster.New(1, 1, 2)
	copy(grey.Samples, []float32{0, 255})
	grey.Integers(8, false)
	m, err = scale(grey, Options{Channels: 3})
	require.NoError(t, err)
	assert.Equal(t, []uint8{0, 255, 0, 255, 0, 255}, m.Pix)
	_, err = scale(raster.New(40, 1, 1), Options{Deep: true})
	assert.EqualError(t, err, "40 bands, expected at most 32")
}

func TestFramesOfPictures(t *testing.T) {
	data, err := os.ReadFile("testdata/rgb.png")
	require.NoError(t, err)
	n, err := Frames(data)
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	_, err = DecodeFrame(data, 1, DefaultOptions())
	assert.EqualError(t, err, "PNG: there is no image 1: the file has 1, counted from 0")
	_, err = Frames([]byte("II*\x00 and no more"))
	assert.ErrorContains(t, err, "TIFF: ")
	_, err = Frames([]byte("hello"))
	assert.ErrorContains(t, err, "neither JPEG, PNG, ")
	for name, frames := range map[string]bool{"a.JPG": false, "a.png": false, "b.dcm": true, "b.tiff": true, "c.fits.gz": true, "x": true} {
		assert.Equal(t, frames, mayHaveFrames(name), name)
		assert.Equal(t, name != "x", hasImageExtension(name), name)
	}
	assert.False(t, hasImageExtension("a.tar.gz"))
}
