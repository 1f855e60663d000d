package train

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/eval/look"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/train/runlog"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/images"
	"github.com/gojepa/gojepa/vision/views"
)

// bands is stripes with five channels of floats, some of them beyond white.
type bands struct{ stripes }

func (s *bands) Image(ctx context.Context, i int) (*images.Image, error) {
	m, err := s.stripes.Image(ctx, i)
	if err != nil {
		return nil, err
	}
	deep := images.NewFloat(5, m.Height, m.Width)
	for c := range deep.Channels {
		for k, v := range m.Pix {
			deep.FloatPlane(c)[k] = float32(v) / 255 * float32(1+c)
		}
	}
	return deep, nil
}

// TestDeepImagesOfManyChannels trains on floats: their own statistics, views of floats, evaluation, and the recipe
// without what needs red, green and blue.
func TestDeepImagesOfManyChannels(t *testing.T) {
	c := small(t)
	c.Views = config.PresetViews("satellite")
	c.Views.Blur.Kernel = 3
	c.Views.Global.Count, c.Views.Local.Count = 2, 1
	var log bytes.Buffer
	res, err := Run(context.Background(), c, WithSource(&bands{stripes{n: 40}}), WithOutput(&log), WithBaselines())
	require.NoError(t, err)
	assert.True(t, res.Last.Finite())
	assert.Contains(t, res.Values, "pixels_linear")
	v := res.Config.ViewsConfig()
	require.Len(t, v.Mean, 5)
	for k, m := range v.Mean {
		assert.InDelta(t, v.Mean[0]*float64(1+k), m, 1e-4, "channel %d", k)
	}
	assert.Equal(t, 0.2, v.DropChannels.P)

	c = small(t)
	log.Reset()
	_, err = Run(context.Background(), c, WithSource(&bands{stripes{n: 40}}), WithOutput(&log))
	require.NoError(t, err)
	assert.Contains(t, log.String(), "left out of the views' recipe, as images of 5 channel(s) have no use for it: saturation, hue, grayscale, solarize\n")

	c = small(t)
	c.Views.Grayscale = config.Of(0.2)
	_, err = Run(context.Background(), c, WithSource(&bands{stripes{n: 40}}))
	assert.ErrorContains(t, err, "views.grayscale: 0.2, expected 0 for images of 5 channel(s)")
}

func TestPreview(t *testing.T) {
	for name, src := range map[string]images.Source{"grey": &stripes{n: 40, broken: map[int]bool{3: true}}, "five bands": &bands{stripes{n: 40}}} {
		t.Run(name, func(t *testing.T) {
			c := small(t)
			c.Views.Global.Count, c.Views.Local.Count, c.Views.Local.Size = 2, 3, config.Of(8)
			path := filepath.Join(t.TempDir(), "views.png")
			require.NoError(t, Preview(context.Background(), c, path, WithSource(src)))
			f, err := os.Open(path)
			require.NoError(t, err)
			defer f.Close()
			sheet, err := png.Decode(f)
			require.NoError(t, err)
			// The image, two views of 16 pixels and three of 8, with 4 around each; eight rows.
			assert.Equal(t, 4+3*20+3*12, sheet.Bounds().Dx())
			assert.Equal(t, 4+8*20, sheet.Bounds().Dy())
			assert.NoDirExists(t, c.Out, "no run is made")

			// The views are those of the run's first step.
			b := firstBatch(t, c, src)
			v := b.Groups[1]
			var want float64
			if v.Deep {
				want = math.Floor(255*math.Min(math.Max(float64(b.FloatView(1, 2, 5)[7]), 0), 1) + 0.5)
			} else {
				want = float64(b.View(1, 2, 5)[7])
			}
			red, _, _, _ := sheet.At(4+3*20+2*12+7, 4+5*20).RGBA()
			assert.InDelta(t, want, float64(red>>8), 1)
		})
	}
	err := Preview(context.Background(), small(t), filepath.Join(t.TempDir(), "no", "views.png"), WithSource(&stripes{n: 40}))
	assert.ErrorContains(t, err, "preview: ")
}

// TestPreviewShowsWhatIsTrainedOn compares the sheet with the first batch of a run of the same seed.
func TestPreviewShowsWhatIsTrainedOn(t *testing.T) {
	c := small(t)
	c.Seed = 7
	require.Equal(t, previewed, c.Schedule.BatchSize.Or(0))
	source := WithSource(&stripes{n: 40})
	path := filepath.Join(t.TempDir(), "views.png")
	require.NoError(t, Preview(context.Background(), c, path, source))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	got, err := png.Decode(f)
	require.NoError(t, err)

	r, err := open(context.Background(), c, []Option{source})
	require.NoError(t, err)
	defer r.close()
	loader, err := r.loader(context.Background())
	require.NoError(t, err)
	defer loader.Close()
	b, err := loader.Next(context.Background())
	require.NoError(t, err)
	var rows [][]image.Image
	for row := range b.Rows() {
		m, err := r.data.train.Image(context.Background(), b.Samples[row])
		require.NoError(t, err)
		rows = append(rows, append([]image.Image{thumbnail(look.Picture(m))}, viewsOf(b, row)...))
	}
	want := look.Arrange(rows)
	require.Equal(t, want.Bounds(), got.Bounds())
	for y := range want.Bounds().Dy() {
		for x := range want.Bounds().Dx() {
			require.Equal(t, color.RGBAModel.Convert(want.At(x, y)), color.RGBAModel.Convert(got.At(x, y)), "at %d, %d", x, y)
		}
	}
}

// TestPreviewOfInit: views are as large, and normalised, as the file says that the run would begin with.
func TestPreviewOfInit(t *testing.T) {
	_, script := backbone(t, vision.Spec{Name: "resnet18", Width: 8, Depth: 1, ImageSize: 12, Channels: 1})
	c := small(t)
	c.Encoder = config.Encoder{Name: "auto", Pool: "auto", Init: script}
	c.Views.Global.Count, c.Views.Local.Count = 2, 0
	path := filepath.Join(t.TempDir(), "views.png")
	src := WithSource(&stripes{n: 40})
	require.NoError(t, Preview(context.Background(), c, path, src))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	sheet, err := png.DecodeConfig(f)
	require.NoError(t, err)
	assert.Equal(t, 4+20+2*16, sheet.Width, "an image of 16 pixels, and two views of 12")

	r := newRun([]Option{src})
	device, err := deviceOf(c)
	require.NoError(t, err)
	require.NoError(t, r.prepare(context.Background(), c, true, device, c.Out, func(string) {}))
	v := r.cfg.ViewsConfig()
	assert.Equal(t, []float64{0}, v.Mean)
	assert.Equal(t, []float64{0.5}, v.Std)

	c.Encoder.Init = filepath.Join(t.TempDir(), "none.pt")
	assert.ErrorContains(t, Preview(context.Background(), c, path, src), "--init: ")
}

// firstBatch is what the first step of a run of c sees.
func firstBatch(t *testing.T, c config.Config, src images.Source) *views.Batch {
	c.Schedule.Steps, c.Schedule.BatchSize = config.Of(1), config.Of(8)
	r, err := open(context.Background(), c, []Option{WithSource(src)})
	require.NoError(t, err)
	t.Cleanup(r.close)
	l, err := r.loader(context.Background())
	require.NoError(t, err)
	t.Cleanup(l.Close)
	b, err := l.Next(context.Background())
	require.NoError(t, err)
	return b
}

// slow is stripes that take their time.
type slow struct {
	stripes
	each time.Duration
}

func (s *slow) Image(ctx context.Context, i int) (*images.Image, error) {
	time.Sleep(s.each)
	return s.stripes.Image(ctx, i)
}

// TestWaitingForData: the record and the progress show how much of a step was spent waiting for its images.
func TestWaitingForData(t *testing.T) {
	shares := func(each time.Duration) (mean float64, log string) {
		c := small(t)
		c.Workers, c.Schedule.Steps = config.Of(1), config.Of(12)
		var out bytes.Buffer
		_, err := Run(context.Background(), c, WithSource(&slow{stripes{n: 40}, each}), WithOutput(&out))
		require.NoError(t, err)
		metrics, err := runlog.Read(filepath.Join(c.Out, "metrics.jsonl"))
		require.NoError(t, err)
		for _, s := range metrics.Steps[6:] { // after what was made ahead
			require.GreaterOrEqual(t, s.WaitShare, 0.0)
			require.LessOrEqual(t, s.WaitShare, 1.0)
			mean += s.WaitShare / 6
		}
		return mean, out.String()
	}
	fast, log := shares(0)
	assert.Contains(t, log, "waiting for data ")
	starved, _ := shares(20 * time.Millisecond) // 160 ms for a batch, and a step takes a tenth of that
	assert.Less(t, fast, 0.5)
	assert.Greater(t, starved, 0.5)
}
