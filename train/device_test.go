package train

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
	"github.com/gojepa/gojepa/torch/torchtest/simcuda"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/views"
)

// TestSimulatedCUDA runs the tests of this file on a CUDA device that the CPU plays, in a process that has one: package simcuda
// says what that can show, and what it cannot.
func TestSimulatedCUDA(t *testing.T) {
	if os.Getenv(torchtest.DeviceVariable) != "" {
		t.Skip("this process has a device")
	}
	if v := torch.Version(); !strings.HasPrefix(v, "2.11.") {
		t.Skipf("libtorch %s: CUDA is simulated by what 2.11 asks of a device", v)
	}
	c := exec.Command(os.Args[0], "-test.run", "^TestDevice", "-test.v")
	c.Env = append(os.Environ(), torchtest.DeviceVariable+"=simulated")
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Contains(t, string(out), "--- PASS: TestDeviceStep/resnet18")
	assert.NotContains(t, string(out), "--- SKIP")
}

// onDevice skips a test that has no device but the CPU.
func onDevice(t *testing.T) {
	t.Helper()
	if !torchtest.Device().IsCUDA() {
		t.Skip("without $" + torchtest.DeviceVariable + ": TestSimulatedCUDA runs it with a simulated one")
	}
}

// deviceCases have every family of encoders, and every way in which a step can be made.
var deviceCases = map[string]func(c *config.Config){
	"vit":           func(*config.Config) {},
	"vit registers": func(c *config.Config) { c.Encoder.Registers, c.Encoder.Pool = config.Of(2), "avg" },
	"vit bf16":      func(c *config.Config) { c.Precision = "bf16" },
	"vit checkpointed": func(c *config.Config) {
		c.Schedule.Checkpoint, c.Precision = true, "bf16"
	},
	"vit in pieces": func(c *config.Config) { c.Schedule.MicroBatch = config.Of(3) },
	"dinov3":        func(c *config.Config) { c.Encoder.Name = "vit_small_patch16_dinov3" },
	"resnet18":      func(c *config.Config) { narrowed(c, "resnet18") },
	"convnext":      func(c *config.Config) { narrowed(c, "convnext_atto") },
	"convnext bf16": func(c *config.Config) { narrowed(c, "convnext_atto"); c.Precision = "bf16" },
	"efficientnet":  func(c *config.Config) { named(c, "efficientnet_b0") },
	"regnet":        func(c *config.Config) { named(c, "regnety_002") },
	"cifar":         func(c *config.Config) { narrowed(c, "cifar_resnet20") },
	"wren":          func(c *config.Config) { narrowed(c, "wren_tiny") },
	"swin": func(c *config.Config) {
		named(c, "swin_tiny_patch4_window7_224")
		c.Encoder.Width, c.Encoder.Depth = config.Of(12), config.Of(2)
	},
	"swin v2 bf16": func(c *config.Config) {
		named(c, "swinv2_tiny_window8_256")
		c.Encoder.Width, c.Encoder.Depth = config.Of(12), config.Of(2)
		c.Precision = "bf16"
	},
	"lars":          func(c *config.Config) { c.Optim.Name = "lars" },
	"muon":          func(c *config.Config) { c.Optim.Name = "muon" },
	"schedule-free": func(c *config.Config) { c.Optim.Name = config.ScheduleFree },
	"clipped":       func(c *config.Config) { c.Optim.ClipNorm.On, c.Optim.ClipNorm.Norm = true, 1e-3 },
	"averaged":      func(c *config.Config) { c.Optim.EMA = 0.9 },
	"orthogonal":    func(c *config.Config) { c.Loss.Directions = "orthogonal" },
}

func named(c *config.Config, name string) {
	c.Encoder = config.Encoder{Name: name, Pool: "auto", DropPath: 0.3}
}

func narrowed(c *config.Config, name string) {
	named(c, name)
	c.Encoder.Width, c.Encoder.Depth = config.Of(8), config.Of(1)
}

// TestDeviceStep takes steps on the device and on the CPU. On the simulated device no operation mixes devices, which is an error
// there, the host waits for the device once in a step, for its figures, and the figures of two steps, the first with all
// gradients and the second with what the optimiser made of them, are those of the CPU, where blocks are fused and tiles small.
func TestDeviceStep(t *testing.T) {
	onDevice(t)
	for name, with := range deviceCases {
		t.Run(name, func(t *testing.T) {
			onCPU, _ := deviceSteps(t, with, "cpu")
			there, waits := deviceSteps(t, with, "cuda:0")
			tolerance := 2e-4 // of float32's sums in another order
			if c := deviceConfig(t, with); c.Precision == "bf16" {
				tolerance = 5e-2 // of roundings in other places
			}
			for i, want := range onCPU {
				for k := range want {
					assert.InEpsilon(t, want[k], there[i][k], tolerance, "step %d, figure %d", i, k)
				}
			}
			if os.Getenv(torchtest.DeviceVariable) == "simulated" {
				assert.Equal(t, map[string]int{"copy to the host": 1}, waits)
			}
		})
	}
}

func deviceConfig(t *testing.T, with func(*config.Config)) config.Config {
	c := small(t)
	c.Encoder.Channels, c.Encoder.DropPath = config.Of(1), 0.3
	with(&c)
	c.Encoder.ImageSize, c.Encoder.Channels = config.Of(64), config.Of(1)
	c.Schedule.BatchSize, c.Schedule.Steps = config.Of(4), config.Of(100)
	c.Optim.LR = config.Of(1e-3)
	return c
}

// deviceSteps are the figures of two steps, and what made the host wait in the second.
func deviceSteps(t *testing.T, with func(*config.Config), device string) (figures [][4]float64, waits map[string]int) {
	ctx := context.Background()
	c := deviceConfig(t, with)
	c.Device = device
	noise := fixed{[]views.Layout{{Views: 2, Size: 64, Channels: 1, Global: true}, {Views: 2, Size: 32, Channels: 1}}}
	r, err := open(ctx, c, []Option{WithSource(&stripes{n: 40}), WithTransform(noise)})
	require.NoError(t, err)
	defer r.close()
	batch := noise.noise(4)
	for i := range 2 {
		waits = simcuda.Counted(func() {
			f, err := r.step(ctx, i, batch)
			require.NoError(t, err)
			figures = append(figures, [4]float64{f.Loss, f.Prediction, f.SIGReg, f.gradNorm})
		})
	}
	return figures, waits
}

// TestDeviceRun is a whole run on the device: evaluations, a checkpoint, one that goes on from it, and a step that is done again.
func TestDeviceRun(t *testing.T) {
	onDevice(t)
	c := small(t)
	c.Device, c.Optim.EMA = "cuda:0", 0.9
	require.NoError(t, c.EvalEvery.UnmarshalText([]byte("3")))
	src := &stripes{n: 40}
	var said bytes.Buffer
	res, err := Run(context.Background(), c, WithSource(src), WithOutput(&said))
	require.NoError(t, err)
	assert.Contains(t, said.String(), "on cuda:0")
	assert.Contains(t, res.Values, "knn")
	replayed, err := Replay(context.Background(), ReplayConfig{Run: c.Out, Step: 4, Out: c.Out + "-again"}, WithSource(src))
	require.NoError(t, err)
	assert.True(t, replayed.Recorded)
	if os.Getenv(torchtest.DeviceVariable) == "simulated" {
		assert.True(t, replayed.Identical(), "%+v", replayed.Figures)
	}
	c.Schedule.Steps, c.Resume = config.Of(8), true
	res, err = Run(context.Background(), c, WithSource(src))
	require.NoError(t, err)
	assert.Equal(t, 8, res.Steps)
}

// TestDeviceEvaluation: what eval computes on the device are the CPU's figures.
func TestDeviceEvaluation(t *testing.T) {
	onDevice(t)
	const n, d = 60, 8
	f := eval.Features{N: n, D: d}
	r := rng.New(1, rng.Sample, 0, 0)
	for i := range n {
		f.Labels = append(f.Labels, i%3)
		for j := range d {
			f.X = append(f.X, float32(r.NormFloat64())+float32(i%3*j)/4)
		}
	}
	figures := map[string][]float64{}
	for _, device := range []torch.Device{torch.CPU, torchtest.Device()} {
		th, err := torch.Start(torch.Options{Device: device, Threads: 1})
		require.NoError(t, err)
		defer th.Close()
		ctx := context.Background()
		rank, err := eval.MeasureRank(ctx, th, f)
		require.NoError(t, err)
		knn, err := eval.KNN(ctx, th, f, f, eval.DefaultKNN())
		require.NoError(t, err)
		linear, err := eval.LinearProbe(ctx, th, f, f, eval.DefaultProbe())
		require.NoError(t, err)
		o := eval.DefaultAdamW()
		o.Epochs = 3
		adamw, err := eval.AdamWProbe(ctx, th, f, f, o)
		require.NoError(t, err)
		figures[fmt.Sprint(device)] = []float64{rank.RankMe, rank.Participation, knn.Top1, linear.Top1, adamw.Top1}
	}
	want, got := figures["cpu"], figures[fmt.Sprint(torchtest.Device())]
	for i := range want {
		assert.False(t, math.IsNaN(want[i]))
		assert.InDelta(t, want[i], got[i], 1e-4*math.Abs(want[i])+1./n, "figure %d", i)
	}
}

// TestDeviceFineTune: fine-tuning on the device has the losses of the CPU.
func TestDeviceFineTune(t *testing.T) {
	onDevice(t)
	ctx := context.Background()
	src := &stripes{n: 24}
	var losses [2][]float64
	for i, device := range []torch.Device{torch.CPU, torchtest.Device()} {
		th, err := torch.Start(torch.Options{Device: device, Threads: 1})
		require.NoError(t, err)
		defer th.Close()
		f := eval.FineTuner{Thread: th, Train: src, Test: src, FineTuneOptions: eval.DefaultFineTune(),
			New: func(s *torch.Scope, classes int, seed uint64) (eval.Classifier, error) {
				e, err := vision.New(s, vision.Spec{Name: "resnet18", ImageSize: 16, Channels: 1, Width: 8, Depth: 1}, 1, torch.Float32)
				if err != nil {
					return nil, err
				}
				defer e.Close()
				return e.WithHead(s, vision.HeadOptions{Classes: classes, DropPath: 0.2, Seed: seed})
			}}
		f.Images.Size, f.Images.Channels, f.Images.Workers = 16, 1, 1
		f.Epochs, f.LeastSteps, f.BatchSize = 1, 4, 8
		f.OnStep = func(_, _ int, loss float64) { losses[i] = append(losses[i], loss) }
		c, r, err := f.Fit(ctx)
		require.NoError(t, err)
		c.Params().Close()
		assert.Equal(t, 24, r.N)
	}
	require.Len(t, losses[0], 4)
	for i, want := range losses[0] {
		assert.InEpsilon(t, want, losses[1][i], 1e-3, "step %d", i)
	}
}

// TestDeviceMixed holds the check itself to what it is for.
func TestDeviceMixed(t *testing.T) {
	onDevice(t)
	th, err := torch.Start(torch.Options{Device: torchtest.Device(), Threads: 1})
	require.NoError(t, err)
	defer th.Close()
	err = th.Do(context.Background(), func(s *torch.Scope) {
		var here torch.Tensor
		s.OnCPU(func() { here = s.Ones(torch.Float32, 3) })
		s.Ones(torch.Float32, 3).Add(here)
	})
	assert.ErrorContains(t, err, "same device")
	if os.Getenv(torchtest.DeviceVariable) != "simulated" {
		return
	}
	waits := simcuda.Counted(func() {
		require.NoError(t, th.Do(context.Background(), func(s *torch.Scope) {
			x := s.FromFloat32([]float32{1, 2, 3}, 3)
			assert.Equal(t, 6.0, x.Sum().Item())
			assert.Equal(t, []float64{1, 2, 3}, x.Float64s())
		}))
	})
	assert.Equal(t, map[string]int{"aten::_local_scalar_dense": 1, "copy to the host": 1}, waits)
}
