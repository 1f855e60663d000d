package config

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/internal/fields"
	"github.com/gojepa/gojepa/vision/views"
)

func decode(t *testing.T, yaml string) Config {
	t.Helper()
	c := Default()
	require.NoError(t, c.Decode([]byte(yaml), "test"))
	require.NoError(t, c.Validate())
	return c
}

func TestResolve(t *testing.T) {
	gpu := func(f Facts) Facts { f.GPU, f.BF16 = true, true; return f }
	clothing := Facts{Images: 3068, Width: 160, Height: 213, Channels: 3}
	large := Facts{Images: 1_281_167, Width: 500, Height: 375, Channels: 3}
	tiny := Facts{Images: 5, Width: 9, Height: 7, Channels: 1}
	type values struct {
		model                        string
		image, patch, channels       int
		local, batch, epochs, warmup int
		decay                        float64
		precision                    string
	}
	for _, tt := range []struct {
		name, yaml string
		facts      Facts
		want       values
	}{
		{"mnist", "", mnist(), values{"vit_tiny_patch16_224", 28, 4, 1, 12, 128, 2, 93, 0.05, "fp32"}},
		{"eurosat", "", eurosat(), values{"vit_tiny_patch16_224", 64, 8, 3, 32, 128, 30, 93, 0.05, "bf16"}},
		{"clothing", "", clothing, values{"vit_tiny_patch16_224", 128, 16, 3, 64, 128, 39, 89, 0.05, "fp32"}},
		{"clothing on a GPU", "", gpu(clothing), values{"vit_small_patch16_224", 160, 16, 3, 64, 256, 651, 716, 0.05, "bf16"}},
		{"ImageNet on a GPU", "", gpu(large), values{"vit_small_patch16_224", 224, 16, 3, 96, 256, 1, 500, 0.05, "bf16"}},
		{"a few stamps", "", tiny, values{"vit_tiny_patch16_224", 8, 4, 1, 4, 5, 24000, 2400, 0.05, "fp32"}},
		{"a model", "encoder: {model: vit_base_patch32_224}", eurosat(),
			values{"vit_base_patch32_224", 64, 32, 3, 32, 128, 30, 93, 0.05, "bf16"}},
		{"a model larger than the images", "encoder: {model: vit_small_patch16_224}", mnist(),
			values{"vit_small_patch16_224", 32, 16, 1, 16, 128, 2, 93, 0.05, "fp32"}},
		{"a patch size", "encoder: {patch_size: 7}", mnist(), values{"vit_tiny_patch16_224", 28, 7, 1, 14, 128, 2, 93, 0.05, "fp32"}},
		{"an image size", "encoder: {image_size: 96}", clothing,
			values{"vit_tiny_patch16_224", 96, 8, 3, 40, 128, 39, 89, 0.05, "fp32"}},
		{"no patches", "encoder: {model: resnet18}", clothing, values{"resnet18", 128, 0, 3, 56, 128, 39, 89, 5e-4, "fp32"}},
		{"all given", "encoder: {model: resnet18, image_size: 50, channels: 3}\nviews: {local: {size: 20}}\nprecision: bf16\n" +
			"schedule: {batch_size: 10, epochs: 7}\noptim: {warmup_steps: 3, weight_decay: 0}", mnist(),
			values{"resnet18", 50, 0, 3, 20, 10, 7, 3, 0, "bf16"}},
		{"a warm-up in epochs", "optim: {warmup_steps: 1epoch}", eurosat(),
			values{"vit_tiny_patch16_224", 64, 8, 3, 32, 128, 30, 31, 0.05, "bf16"}},
		{"a warm-up in images", "optim: {warmup_steps: 1280images}", eurosat(),
			values{"vit_tiny_patch16_224", 64, 8, 3, 32, 128, 30, 10, 0.05, "bf16"}},
		{"steps", "schedule: {steps: 250}", mnist(), values{"vit_tiny_patch16_224", 28, 4, 1, 12, 128, -1, 25, 0.05, "fp32"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			given := decode(t, tt.yaml)
			c := given.Resolve(tt.facts)
			assert.Equal(t, tt.want, values{
				c.Encoder.Name, c.Encoder.ImageSize.Or(-1), c.Encoder.PatchSize.Or(0), c.Encoder.Channels.Or(-1),
				c.Views.Local.Size.Or(-1), c.Schedule.BatchSize.Or(-1), c.Schedule.Epochs.Or(-1), c.Warmup(tt.facts.Images),
				c.Optim.WeightDecay.Or(-1), c.Precision,
			})
			require.NoError(t, c.Validate())
			assert.Equal(t, c, c.Resolve(gpu(large)), "what is resolved stays so")
			for _, d := range Differences(given, c) {
				assert.Equal(t, auto, d.Old, "%s was given, and stays as it was", d.Key)
			}
		})
	}
}

func TestResolveOptimiser(t *testing.T) {
	type values struct{ lr, final, decay, momentum float64 }
	for _, tt := range []struct {
		yaml string
		want values
	}{
		{"", values{5e-4, 1e-3, 5e-2, -1}},
		{"optim: {name: muon}", values{5e-4, 1e-3, 5e-2, 0.95}},
		{"optim: {name: schedulefree}", values{2.5e-3, 1, 5e-2, -1}},
		{"optim: {name: lars}\nschedule: {batch_size: 512}", values{0.6, 1e-3, 1e-6, 0.9}},
		{"optim: {name: lars, lr: 1, final_lr_fraction: 0, weight_decay: 0, momentum: 0}", values{1, 0, 0, 0}},
	} {
		c := decode(t, tt.yaml).Resolve(mnist())
		require.NoError(t, c.Validate())
		o := c.Optim
		assert.Equal(t, tt.want, values{o.LR.Or(-1), o.FinalLR.Or(-1), o.WeightDecay.Or(-1), o.Momentum.Or(-1)}, tt.yaml)
	}
}

func TestViewsConfig(t *testing.T) {
	c := Default().Resolve(Facts{Images: 1000, Width: 500, Height: 300, Channels: 3, GPU: true})
	want := views.Paper()
	want.Local.Size = 96 // 0.4375 · 224 = 98 is no multiple of 16
	assert.Equal(t, want, c.ViewsConfig())

	grey := mnist()
	assert.Equal(t, []float64{0.5}, Default().Resolve(grey).ViewsConfig().Mean, "nothing is known")
	grey.Mean, grey.Std = []float64{0.13}, []float64{0.31}
	c = Default().Resolve(grey)
	assert.Equal(t, []float64{0.13}, c.ViewsConfig().Mean)
	assert.Equal(t, []float64{0.31}, c.ViewsConfig().Std)
	assert.Equal(t, 28, c.ViewsConfig().Global.Size)
	colour := decode(t, "encoder: {channels: 3}").Resolve(grey)
	assert.Equal(t, views.Paper().Mean, colour.ViewsConfig().Mean, "statistics of other channels do not apply")
	assert.Equal(t, []float64{0.2}, decode(t, "views: {mean: 0.2}").Resolve(grey).ViewsConfig().Mean)
	assert.Equal(t, OpenViews(views.Minimal()), OpenViews(OpenViews(views.Minimal()).at(64)))
}

func TestSteps(t *testing.T) {
	c := decode(t, "schedule: {batch_size: 256, epochs: 10}")
	assert.Equal(t, 234, c.StepsPerEpoch(60_000))
	assert.Equal(t, 2340, c.TotalSteps(60_000))
	assert.Equal(t, 1, c.StepsPerEpoch(100), "a collection smaller than a batch makes one step of what there is")
	assert.Equal(t, 77, decode(t, "schedule: {batch_size: 256, steps: 77}").TotalSteps(60_000))
}

func TestDataName(t *testing.T) {
	for path, want := range map[string]string{
		"": "mnist", "photos": "photos", "../shared/data/eurosat/train": "eurosat", "/data/xrays/images/train/": "xrays",
		"/train": "train", "/": "data", "Train": "config", "a/b.c": "b.c", "photos/list.csv.gz": "list",
		"photos/train.parquet": "photos", "photos/shard-{000..099}.tar": "photos", "photos/data/train-*.parquet": "photos",
	} {
		c := Default()
		c.Data.Path = path
		assert.Equal(t, want, c.DataName(), path)
		assert.Equal(t, filepath.Join("runs", want), c.Resolve(eurosat()).Out)
	}
	assert.Equal(t, "x", decode(t, "out: x").Resolve(eurosat()).Out)
}

// TestDifferences changes every field by itself.
func TestDifferences(t *testing.T) {
	base := Default().Resolve(eurosat())
	other := map[string]string{
		"data.path": "elsewhere", "data.test_path": "test", "encoder.model": "resnet18", "precision": "fp32", "device": "cpu",
		"data.image_column": "b", "data.label_column": "b", "data.caption_column": "b", "data.root": "b", "data.stretch": "zscale",
		"text.tokenizer": "b.json", "text.model": "bert_mini", "text.init": "b.pt", "text.sentences": "0.5,1",
		"encoder.init": "b.pt", "out": "b", "checkpoint_every": "5", "eval_every": "1epoch", "optim.clip_norm": "1", "optim.betas": "0.5,0.5",
		"projector.hidden": "1,2", "log": "csv", "profile": "7", "optim.layer_decay": "0.5", "optim.ema": "0.5", "schedule.steps": "9", "views.mean": "0", "views.std": "1", "views.blur.sigma": "1,2",
		"views.global.scale": "0.5,1", "views.global.ratio": "1,1", "views.global.interpolation": "bicubic",
		"views.noise.sigma": "1,2", "views.steps": "[{flip: {p: 1}}]",
		"views.local.scale": "0.5,1", "views.local.ratio": "1,1", "views.local.interpolation": "bicubic",
	}
	free := map[string]bool{
		"data.test_path": true, "data.labels": true, "data.jpeg": true, "data.max_broken": true, "data.label_column": true,
		"data.index": true, "data.rescan": true, "device": true, "threads": true, "workers": true, "out": true,
		"resume": true, "checkpoint_every": true, "keep_checkpoints": true, "on_divergence": true, "eval_every": true, "eval_samples": true, "maps": true, "log": true, "profile": true, "schedule.epochs": true, "schedule.steps": true, "schedule.micro_batch": true, "schedule.checkpoint_activations": true,
	}
	for i, f := range fields.Of(&base) {
		c := base
		g := fields.Of(&c)[i]
		value, ok := other[f.Path]
		switch {
		case ok:
		case f.Enum != nil:
			value = f.Enum[1]
			if value == f.String() {
				value = f.Enum[0]
			}
		case f.IsBool():
			value = map[string]string{"true": "false", "false": "true"}[f.String()]
		case f.String() == "0":
			value = "1"
		case f.String() == auto:
			value = "3"
		default:
			value = f.String() + "0" // ten times as much, or 0.x0, which is the same
			if f.String()[0] == '0' {
				value = "0.9"
			} else if f.Path == "optim.eps" {
				value = "1e-7"
			}
		}
		require.NoError(t, g.Set(value), f.Path)
		assert.Equal(t, []Difference{{f.Path, f.String(), g.String(), !free[f.Path]}}, Differences(base, c))
		err := CheckResume("runs/a", base, c)
		if free[f.Path] {
			assert.NoError(t, err, f.Path)
		} else {
			assert.ErrorContains(t, err, f.Path)
		}
	}
}

func TestCheckResume(t *testing.T) {
	old := decode(t, "data: {path: x}\nschedule: {epochs: 10}").Resolve(eurosat())
	for _, tt := range []struct{ name, yaml, want string }{
		{"the same", "data: {path: x}\nschedule: {epochs: 10}", ""},
		{"longer", "data: {path: x}\nschedule: {epochs: 20}", ""},
		{"in steps", "data: {path: x}\nschedule: {steps: 500}", ""},
		{"the same folder", "data: {path: ./x/}\nschedule: {epochs: 10}", ""},
		{"elsewhere", "data: {path: x}\nschedule: {epochs: 10}\ndevice: cuda:1\nthreads: 1\nworkers: 9\nout: moved", ""},
		{"shorter", "data: {path: x}\nschedule: {epochs: 9}", "schedule.epochs: 9 here, 10 in that run"},
		{"other data", "schedule: {epochs: 10}", "data.path: \"\" here, x in that run"},
		{"three", "data: {path: x}\nschedule: {epochs: 10}\nloss: {lambda: 0}\nviews: {local: {count: 2}}\noptim: {clip_norm: 1}",
			"views.local.count: 2 here, 6 in that run\nloss.lambda: 0 here, 0.02 in that run\noptim.clip_norm: 1 here, none in that run"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := decode(t, tt.yaml).Adopt(old).Resolve(eurosat())
			err := CheckResume("runs/a", old, c)
			if tt.want == "" {
				assert.NoError(t, err)
				return
			}
			var mismatch *MismatchError
			require.ErrorAs(t, err, &mismatch)
			assert.EqualError(t, err,
				"runs/a holds a run of another configuration: give another --out, or what it was made with\n"+tt.want)
		})
	}
}

// TestAdopt: the same command resumes where "auto" would mean something else, and with more images than there were.
func TestAdopt(t *testing.T) {
	run := Default().Resolve(eurosat())
	now := Facts{Images: 9000, Width: 224, Height: 224, Channels: 1, GPU: true}
	again := Default().Adopt(run).Resolve(now)
	assert.Empty(t, Differences(run, again))

	longer := decode(t, "schedule: {epochs: 60}").Adopt(run).Resolve(now)
	assert.Equal(t, Of(60), longer.Schedule.Epochs)
	assert.NoError(t, longer.Validate())
	assert.NoError(t, CheckResume("x", run, longer))
	assert.Equal(t, run.Optim.WarmupSteps, longer.Optim.WarmupSteps, "warm-up is over and stays as it was")

	steps := decode(t, "schedule: {steps: 999}").Adopt(run).Resolve(now)
	assert.NoError(t, steps.Validate())
	assert.NoError(t, CheckResume("x", run, steps))
	assert.Equal(t, 999, steps.TotalSteps(4000))

	back := decode(t, "schedule: {epochs: 40}").Adopt(steps).Resolve(now)
	assert.NoError(t, back.Validate())

	named := decode(t, "device: auto\nout: auto\nthreads: auto").Adopt(decode(t, "device: cuda:1\nout: there\nthreads: 4"))
	assert.Equal(t, "auto", named.Device, "where to compute is this machine's matter")
	assert.Equal(t, "auto", named.Out)
	assert.Equal(t, Auto[int]{}, named.Threads)
}
