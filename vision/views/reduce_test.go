package views

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/vision/images"
)

func TestReduction(t *testing.T) {
	p, err := New(Paper(), Kind{Channels: 3}, 1)
	require.NoError(t, err)
	for _, c := range []struct{ width, height, want int }{
		{400, 533, 1}, {1200, 900, 2}, {900, 1200, 2}, {4000, 3000, 4}, {8000, 6000, 8}, {100000, 100, 1}, {1, 1, 1},
	} {
		assert.Equal(t, c.want, p.Reduction(c.width, c.height), "%d×%d", c.width, c.height)
	}
	// No crop of a reduced image is smaller than its view.
	small, err := New(Config{Global: GlobalConfig{Count: 2, Size: 50, Scale: [2]float64{0.2, 1}, Ratio: [2]float64{0.5, 2}}}, Kind{Channels: 1}, 1)
	require.NoError(t, err)
	assert.Equal(t, 2, small.Reduction(400, 300))
}

// TestReducedViews holds views of images that were decoded at half their size to those of whole ones: of the same crop,
// they are within 4 levels of 255 on average. Crops that are drawn are rounded to the pixels of the smaller image; now
// and then one fits that did not fit the whole, or the other way round, and all that is drawn after it is another.
func TestReducedViews(t *testing.T) {
	const dir = "../../../shared/data/clothing_native"
	if _, err := os.Stat(dir); err != nil {
		t.Skip("../shared/data/clothing_native is absent")
	}
	if images.JPEGAuto.Describe() == images.JPEGGo.Describe() {
		t.Skip("libjpeg-turbo is not there")
	}
	ctx := context.Background()
	src, err := images.Folder(ctx, dir, images.DefaultOptions())
	require.NoError(t, err)
	c := Config{
		Global: GlobalConfig{Count: 2, Size: 64, Scale: [2]float64{0.5, 1}, Ratio: [2]float64{0.75, 4.0 / 3}},
		Local:  LocalConfig{Count: 2, Size: 32, Scale: [2]float64{0.2, 0.5}, Ratio: [2]float64{0.75, 4.0 / 3}},
		Flip:   0.5,
	}
	p, err := New(c, Kind{Channels: 3}, 1)
	require.NoError(t, err)
	batch := func(reduce bool, workers int) copied {
		l, err := NewLoader(ctx, src, p, LoaderConfig{BatchSize: 24, Workers: workers, Prefetch: 1, Reduce: reduce})
		require.NoError(t, err)
		defer l.Close()
		return next(t, l)
	}
	assert.Equal(t, batch(true, 2), batch(true, 1), "whatever the number of workers")
	c.Flip, c.Global.Size, c.Local.Size = 0, 100, 50                   // of images whose shorter side is 400: as many pixels as the views have
	c.Global.Scale, c.Local.Scale = [2]float64{1, 1}, [2]float64{1, 1} // the largest central crop
	c.Global.Ratio, c.Local.Ratio = [2]float64{1, 1}, [2]float64{1, 1}
	p, err = New(c, Kind{Channels: 3}, 1)
	require.NoError(t, err)
	whole, reduced := batch(false, 1), batch(true, 2)
	require.Equal(t, whole.Samples, reduced.Samples)
	sum, n := 0.0, 0.0
	for g := range whole.Pix {
		for i, v := range whole.Pix[g] {
			d := float64(v) - float64(reduced.Pix[g][i])
			sum, n = sum+max(d, -d), n+1
		}
	}
	t.Logf("mean difference %.2f levels", sum/n)
	assert.NotZero(t, sum)
	assert.Less(t, sum/n, 4.0)
}
