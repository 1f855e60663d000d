package train

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/vision"
)

// TestDeepFolder trains on files of 16 bits, one of 8 among them, whose upper bytes are all alike: on bytes there would be
// nothing to learn from.
func TestDeepFolder(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, m image.Image) {
		f, err := os.Create(filepath.Join(dir, name))
		require.NoError(t, err)
		require.NoError(t, png.Encode(f, m))
		require.NoError(t, f.Close())
	}
	for i := range 12 {
		m := image.NewGray16(image.Rect(0, 0, 20, 18))
		for p := range 20 * 18 {
			m.SetGray16(p%20, p/20, color.Gray16{Y: uint16(0x4000 + (p*(i+3))%256)})
		}
		write(fmt.Sprintf("%02d.png", i), m)
	}
	write("8bit.png", image.NewGray(image.Rect(0, 0, 20, 18)))
	cfg := small(t)
	cfg.Data.Path = dir
	cfg.Schedule.BatchSize, cfg.Schedule.Steps = config.Of(6), config.Of(2)
	r, err := open(context.Background(), cfg, nil)
	require.NoError(t, err)
	defer r.close()
	assert.True(t, r.data.deep)
	assert.Equal(t, 1, r.data.channels)
	assert.InDelta(t, 0.25*12/13, r.mean[0], 5e-3, "measured, of samples from 0 to 1")
	require.NoError(t, r.train(context.Background()))
	assert.Empty(t, r.at.Broken)
	_, err = r.finish(context.Background())
	require.NoError(t, err)
	m, err := vision.LoadFile(filepath.Join(cfg.Out, encoderFile), vision.LoadOptions{})
	require.NoError(t, err)
	defer m.Close()
	assert.Equal(t, r.mean, m.Mean)

	// Rounded to 8 bits, if that is asked for.
	cfg.Data.Bits, cfg.Out = "8", filepath.Join(t.TempDir(), "run")
	bytes, err := open(context.Background(), cfg, nil)
	require.NoError(t, err)
	defer bytes.close()
	assert.False(t, bytes.data.deep)
}
