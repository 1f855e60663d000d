package train

import (
	"bytes"
	"cmp"
	"context"
	"math"
	"os"
	"strconv"
	"syscall"
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

// stepModel is an encoder and the sizes of its views in pixels.
type stepModel struct {
	encoder       config.Encoder
	global, local int
}

// stepModels are those of scripts/bench/step.py.
var stepModels = map[string]stepModel{
	"vit_tiny_8": {config.Encoder{Name: "vit_tiny_patch16_224", PatchSize: config.Of(8)}, 64, 32},
	"vit_128_6": {config.Encoder{Name: "vit_tiny_patch16_224", PatchSize: config.Of(8), Width: config.Of(128), Depth: config.Of(6),
		Heads: config.Of(2)}, 64, 32},
	"vit_128_6_small": {config.Encoder{Name: "vit_tiny_patch16_224", PatchSize: config.Of(8), Width: config.Of(128), Depth: config.Of(6),
		Heads: config.Of(2)}, 32, 16},
	"resnet18":     {config.Encoder{Name: "resnet18"}, 64, 32},
	"vit_small_16": {config.Encoder{Name: "vit_small_patch16_224"}, 224, 96},
	"vit_base_16":  {config.Encoder{Name: "vit_base_patch16_224"}, 224, 96},
}

// BenchmarkStep is the whole step on 2 global and 4 local views of 64 images, or $STEP_IMAGES, with 1024 slices, on two threads or
// $STEP_THREADS, and on the CPU or $STEP_DEVICE; whole, or in pieces of $STEP_MICRO images, and with checkpoints of activations if
// $STEP_CHECKPOINT is 1. It reports the least time, by the clock and of the processor, and the most memory that the process had on
// the host. scripts/bench/step.py is the same with timm.
func BenchmarkStep(b *testing.B) {
	for name, model := range stepModels {
		for _, precision := range []string{"fp32", "bf16"} {
			b.Run(name+"/"+precision, func(b *testing.B) { benchmarkStep(b, model, precision) })
		}
	}
}

// number is that of an environment variable.
func number(b *testing.B, variable string, otherwise int) int {
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	require.NoError(b, err, variable)
	return n
}

func benchmarkStep(b *testing.B, model stepModel, precision string) {
	n, threads := number(b, "STEP_IMAGES", 64), number(b, "STEP_THREADS", 2)
	ctx := context.Background()
	cfg := config.Default()
	cfg.Out = b.TempDir()
	cfg.Encoder = model.encoder
	cfg.Encoder.Pool, cfg.Encoder.ImageSize, cfg.Encoder.Channels = "auto", config.Of(model.global), config.Of(3)
	cfg.Schedule.BatchSize, cfg.Schedule.Steps = config.Of(n), config.Of(1000)
	if micro := number(b, "STEP_MICRO", 0); micro > 0 {
		cfg.Schedule.MicroBatch = config.Of(micro)
	}
	cfg.Schedule.Checkpoint = number(b, "STEP_CHECKPOINT", 0) == 1
	cfg.Loss.Slices = 1024
	cfg.Precision, cfg.Device, cfg.Threads = precision, cmp.Or(os.Getenv("STEP_DEVICE"), "cpu"), config.Of(threads)
	noise := fixed{[]views.Layout{{Views: 2, Size: model.global, Channels: 3, Global: true}, {Views: 4, Size: model.local, Channels: 3}}}
	r, err := open(ctx, cfg, []Option{WithSource(&coloured{stripes{n: 2 * n}}), WithTransform(noise)})
	require.NoError(b, err)
	defer r.close()
	batch := noise.noise(n)
	_, err = r.step(ctx, 0, batch) // does what is done once, and brings memory to where it stays
	require.NoError(b, err)
	shortest, least := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
	b.ResetTimer()
	for i := range b.N {
		start, before := time.Now(), processorTime(b)
		_, err := r.step(ctx, i+1, batch)
		require.NoError(b, err)
		shortest, least = min(shortest, time.Since(start)), min(least, processorTime(b)-before)
	}
	b.ReportMetric(float64(shortest.Microseconds())/1000, "ms")
	b.ReportMetric(float64(least.Microseconds())/1000, "cpu-ms")
	b.ReportMetric(float64(n)/shortest.Seconds(), "images/s")
	b.ReportMetric(float64(torchtest.Memory(b, "VmHWM"))/(1<<20), "MB-peak")
}

// processorTime is what this process has had of all processors.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
