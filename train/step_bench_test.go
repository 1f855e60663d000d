package train

import (
	"bytes"
	"context"
	"math"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/torch/torchtest"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/vision/images"
	"github.com/gojepa/gojepa/vision/views"
)

// fixed are views of noise, so that a benchmark times the step alone.
type fixed struct{ layout []views.Layout }

func (f fixed) Layout() []views.Layout { return f.layout }

func (f fixed) NewWorker() views.Worker { panic("train: views of noise are not made of images") }

// coloured has images of three channels.
type coloured struct{ stripes }

func (c *coloured) Image(ctx context.Context, i int) (*images.Image, error) {
	m, err := c.stripes.Image(ctx, i)
	if err != nil {
		return nil, err
	}
	return &images.Image{Width: m.Width, Height: m.Height, Channels: 3, Pix: bytes.Repeat(m.Pix, 3)}, nil
}

// noise is a batch of them.
func (f fixed) noise(n int) *views.Batch {
	b := views.NewBatch(n, f.layout)
	r := rng.New(1, rng.Sample, 0, 0)
	for _, g := range b.Groups {
		for i := range g.Pix {
			g.Pix[i] = uint8(r.Uint32())
		}
	}
	return b
}

// stepModels are those of scripts/bench/step.py.
var stepModels = map[string]config.Encoder{
	"vit_tiny_8": {Name: "vit_tiny_patch16_224", PatchSize: config.Of(8)},
	"vit_128_6":  {Name: "vit_tiny_patch16_224", PatchSize: config.Of(8), Width: config.Of(128), Depth: config.Of(6), Heads: config.Of(2)},
	"resnet18":   {Name: "resnet18"},
}

// BenchmarkStep is the whole step on 2 × 64 + 4 × 32 px of 64 images, with 1024 slices, on two threads or $STEP_THREADS. It reports the
// least time, and the most memory that the process had. scripts/bench/step.py is the same with timm.
func BenchmarkStep(b *testing.B) {
	for name, encoder := range stepModels {
		for _, precision := range []string{"fp32", "bf16"} {
			b.Run(name+"/"+precision, func(b *testing.B) { benchmarkStep(b, encoder, precision) })
		}
	}
}

func benchmarkStep(b *testing.B, encoder config.Encoder, precision string) {
	const n = 64
	threads := 2
	if text := os.Getenv("STEP_THREADS"); text != "" {
		var err error
		threads, err = strconv.Atoi(text)
		require.NoError(b, err)
	}
	ctx := context.Background()
	cfg := config.Default()
	cfg.Out = b.TempDir()
	cfg.Encoder = encoder
	cfg.Encoder.Pool, cfg.Encoder.ImageSize, cfg.Encoder.Channels = "auto", config.Of(64), config.Of(3)
	cfg.Schedule.BatchSize, cfg.Schedule.Steps = config.Of(n), config.Of(1000)
	cfg.Loss.Slices = 1024
	cfg.Precision, cfg.Device, cfg.Threads = precision, "cpu", config.Of(threads)
	noise := fixed{[]views.Layout{{Views: 2, Size: 64, Channels: 3, Global: true}, {Views: 4, Size: 32, Channels: 3}}}
	r, err := open(ctx, cfg, []Option{WithSource(&coloured{stripes{n: 2 * n}}), WithTransform(noise)})
	require.NoError(b, err)
	defer r.close()
	batch := noise.noise(n)
	shortest := time.Duration(math.MaxInt64)
	b.ResetTimer()
	for i := range b.N {
		start := time.Now()
		_, err := r.step(ctx, i, batch)
		require.NoError(b, err)
		shortest = min(shortest, time.Since(start))
	}
	b.ReportMetric(float64(shortest.Microseconds())/1000, "ms")
	b.ReportMetric(n/shortest.Seconds(), "images/s")
	b.ReportMetric(float64(torchtest.Memory(b, "VmHWM"))/(1<<20), "MB-peak")
}
