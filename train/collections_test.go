package train

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/vision/images"
	"github.com/gojepa/gojepa/vision/views"
)

// collections are what scripts/golden/sources.py wrote: 7 images of three classes, of every kind.
const collections = "../vision/images/testdata/sources"

// copied puts files of collections into a folder of their own, cut to a share of their length.
func copied(t *testing.T, share float64, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(collections, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data[:int(float64(len(data))*share)], 0o644))
	}
	return dir
}

// listed writes a list of images that there are, and of some that there are not.
func listed(t *testing.T, missing int) string {
	t.Helper()
	text := "path,label\n"
	for i, name := range []string{"rgb.png", "palette.png", "l.png", "444.jpg", "420.jpg", "cmyk.jpg", "grey.jpg"} {
		if i < missing {
			name += ".gone"
		}
		text += name + "," + string(rune('a'+i%3)) + "\n"
	}
	path := filepath.Join(t.TempDir(), "list.csv")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

// sevenImages is a configuration that trains on them, two steps.
func sevenImages(t *testing.T, path string) config.Config {
	c := small(t)
	c.Schedule.BatchSize, c.Schedule.Steps = config.Of(4), config.Of(2)
	c.Data.Path = path
	c.Data.Root = "../vision/images/testdata"
	return c
}

// TestCollections trains on every kind of collection, and evaluates by its labels.
func TestCollections(t *testing.T) {
	for name, c := range map[string]struct {
		path, label string
	}{
		"list":    {path: listed(t, 0)},
		"shards":  {path: filepath.Join(collections, "shard-{000000..000001}.tar"), label: "label"},
		"parquet": {path: copied(t, 1, "train-00000-of-00002.parquet", "train-00001-of-00002.parquet")},
		"arrays":  {path: filepath.Join(collections, "stored.npz")},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := sevenImages(t, c.path)
			cfg.Data.Labels, cfg.Data.LabelColumn = c.label == "", c.label
			var log bytes.Buffer
			res, err := Run(context.Background(), cfg, WithOutput(&log))
			require.NoError(t, err)
			assert.Equal(t, 2, res.Steps)
			assert.Contains(t, log.String(), "7 images of")
			assert.Contains(t, log.String(), "3 channel(s)")
			assert.Contains(t, res.Values, "knn", "%v", log.String())
			assert.Empty(t, res.Broken)
		})
	}
}

// TestBrokenCollections: what is broken is listed whatever the kind, and a run with too much of it stops with the list.
func TestBrokenCollections(t *testing.T) {
	for name, c := range map[string]struct {
		path string
		bad  []string // in bad_files.txt
	}{
		"list":    {listed(t, 2), []string{"rgb.png.gone", "palette.png.gone"}},
		"shards":  {copied(t, 0.05, "shard-000000.tar"), []string{"shard-000000.tar to its end"}},
		"parquet": {filepath.Join(collections, "plain.parquet"), []string{"plain.parquet[2]"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := sevenImages(t, c.path)
			if name == "shards" {
				// One shard that is cut, one that is whole.
				data, err := os.ReadFile(filepath.Join(collections, "shard-000001.tar"))
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(filepath.Join(c.path, "shard-000001.tar"), data, 0o644))
			}
			cfg.Data.MaxBroken = 1
			cfg.Schedule.Steps = config.Of(6)
			res, err := Run(context.Background(), cfg)
			require.NoError(t, err)
			text, err := os.ReadFile(filepath.Join(cfg.Out, brokenFile))
			require.NoError(t, err)
			for _, bad := range c.bad {
				assert.Contains(t, res.Broken, bad)
				assert.Contains(t, string(text), bad+"\t")
			}

			if len(res.Broken) < 2 {
				return // one is never too many
			}
			cfg.Data.MaxBroken = 0.01
			cfg.Out = filepath.Join(t.TempDir(), "run")
			_, err = Run(context.Background(), cfg)
			require.ErrorIs(t, err, views.ErrTooManyBroken)
			text, err = os.ReadFile(filepath.Join(cfg.Out, brokenFile))
			require.NoError(t, err)
			assert.GreaterOrEqual(t, strings.Count(string(text), "\n"), 2)
		})
	}
}

// TestVanishedFolder: a folder that goes while its images are read stops the loader with what it could not read.
func TestVanishedFolder(t *testing.T) {
	for _, names := range [][]string{{"shard-000000.tar", "shard-000001.tar"}, {"plain.parquet"}, {"stored.npz"}} {
		dir := copied(t, 1, names...)
		src, err := images.Open(context.Background(), dir, images.DefaultOpen())
		require.NoError(t, err)
		require.NoError(t, os.RemoveAll(dir))
		cfg := sevenImages(t, dir).Resolve(config.Facts{Images: 7, Width: 12, Height: 10, Channels: 3})
		transform, err := views.New(cfg.ViewsConfig(), views.Kind{Channels: 3}, 1)
		require.NoError(t, err)
		c := views.DefaultLoaderConfig()
		c.BatchSize = 4
		l, err := views.NewLoader(context.Background(), src, transform, c)
		require.NoError(t, err)
		_, err = l.Next(context.Background())
		l.Close()
		require.ErrorIs(t, err, views.ErrTooManyBroken)
		require.ErrorContains(t, err, names[0])
		require.ErrorContains(t, err, "no such file")
	}
}

// TestIndexOfARun: what a collection holds is kept in the run's folder, which a run that did not begin leaves for the next
// try.
func TestIndexOfARun(t *testing.T) {
	cfg := sevenImages(t, copied(t, 1, "shard-000000.tar", "shard-000001.tar"))
	name := cfg.Encoder.Name
	cfg.Encoder.Name = "vit_tini_patch16_224"
	_, err := Run(context.Background(), cfg)
	require.ErrorContains(t, err, "unknown model")
	files, err := filepath.Glob(filepath.Join(cfg.Out, indexFolder, "shards-*.index"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	cfg.Encoder.Name = name
	_, err = Run(context.Background(), cfg)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(files[0], []byte("no index"), 0o644))
	var log bytes.Buffer
	_, err = Run(context.Background(), cfg, WithOutput(&log))
	require.NoError(t, err)
	assert.Contains(t, log.String(), "it is made anew")

	cfg.Data.Index, cfg.Out = "none", filepath.Join(t.TempDir(), "run")
	_, err = Run(context.Background(), cfg)
	require.NoError(t, err)
	assert.NoDirExists(t, filepath.Join(cfg.Out, indexFolder))
}

// TestOwnChannels: channels, depth and statistics are the data's own where they are left open.
func TestOwnChannels(t *testing.T) {
	for _, c := range []struct {
		path     string
		given    int
		channels int
		deep     bool
		mean     int // numbers of it that are measured
	}{
		{"stored.npz", 0, 3, false, 0},
		{"stored.npz", 1, 1, false, 1},
		{"u2_nchw.npy", 0, 3, true, 3},
		{"f4_nhw.npy", 0, 1, true, 1},
		{"f4_nhw.npy", 3, 3, true, 3},
		{"plain.parquet", 0, 3, false, 0},
	} {
		cfg := config.Default()
		cfg.Data.Path = filepath.Join(collections, c.path)
		if c.given > 0 {
			cfg.Encoder.Channels = config.Of(c.given)
		}
		d, err := openData(context.Background(), cfg, options{}, "nowhere", nil)
		require.NoError(t, err, c.path)
		assert.Equal(t, c.channels, d.channels, c.path)
		m, err := d.train.Image(context.Background(), 0)
		require.NoError(t, err)
		assert.Equal(t, c.channels, m.Channels)
		assert.Equal(t, c.deep, m.Deep())
		f, err := d.facts(context.Background(), cfg)
		require.NoError(t, err)
		assert.Equal(t, [2]int{12, 10}, [2]int{f.Width, f.Height})
		assert.Len(t, f.Mean, c.mean)
		resolved := cfg.Resolve(f).ViewsConfig()
		assert.Len(t, resolved.Mean, c.channels)
		if c.mean > 0 {
			assert.Equal(t, f.Mean, resolved.Mean, "kept with the run")
			assert.Equal(t, f.Std, resolved.Std)
		} else {
			assert.Equal(t, views.Paper().Mean, resolved.Mean)
		}
	}
	cfg := config.Default()
	cfg.Data.Path = filepath.Join(collections, "u2_nchw.npy")
	cfg.Encoder.Channels = config.Of(13)
	cfg.Data.Index = "none"
	_, err := openData(context.Background(), cfg, options{}, "nowhere", nil)
	assert.ErrorContains(t, err, "the image has 3 channels, expected 13")
	assert.NoDirExists(t, "nowhere")
}
