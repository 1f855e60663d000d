package config

import (
	"bytes"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/internal/cli"
	"github.com/gojepa/gojepa/internal/fields"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got))
}

// write puts a YAML file into a fresh folder.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

func eurosat() Facts { return Facts{Images: 4000, Width: 64, Height: 64, Channels: 3, BF16: true} }
func mnist() Facts   { return Facts{Images: 60_000, Width: 28, Height: 28, Channels: 1} }

func TestDefaultIsValid(t *testing.T) {
	assert.NoError(t, Default().Validate())
	assert.NoError(t, Default().Resolve(mnist()).Validate())
	assert.NoError(t, Default().Resolve(eurosat()).Validate())
}

// TestZeroConfig: nothing is filled in behind one's back, so the zero Config is full of problems.
func TestZeroConfig(t *testing.T) {
	err := Config{}.Validate()
	require.Error(t, err)
	assert.Equal(t, strings.TrimSpace(`
data.stretch: "", expected auto, file, window, zscale, asinh, LOW:HIGH or percentile:LOW:HIGH
encoder.model: "", expected a model's name, or auto
views.global.count: 0, expected at least 1
loss.slices: 0, expected 1 or more
loss.knots: 0, expected 2 or more
loss.t_max: 0, expected a number above 0
loss.resample_every: 0, expected 1 or more
projector.dim: 0, expected 1 or more
optim.layer_decay: 0, expected a number above 0, up to 1
optim.eps: 0, expected a number above 0
optim.trust: 0, expected a number above 0
data.kind: "", expected auto, folder, list, shards, parquet, arrays, hdf5, cifar or idx
data.bits: "", expected auto or 8
data.array_layout: "", expected auto, hw, hwc, chw, nhw, nhwc or nchw
data.jpeg: "", expected auto, go or turbo
encoder.pool: "", expected auto, token or avg
views.preset: "", expected paper, minimal, medical, satellite or astronomy
text.pool: "", expected auto, mean or cls
loss.directions: "", expected independent or orthogonal
loss.test: "", expected epps-pulley, anderson-darling, cramer-von-mises, watson, shapiro-wilk, vcreg, jarque-bera, moments, entropy or nll
loss.weight: "", expected gaussian or uniform
optim.name: "", expected adamw, lars, muon or schedulefree
optim.muon_scale: "", expected rms or original
precision: "", expected auto, fp32 or bf16
on_divergence: "", expected stop or back
device: "", expected auto, cpu, cuda or cuda:N
keep_checkpoints: 0, expected 1 or more
eval_samples: 0, expected 2 or more
out: "", expected a folder, or auto
`), err.Error())
}

func TestZerosAreLiteral(t *testing.T) {
	c := Default()
	require.NoError(t, c.Decode([]byte(`
loss: {lambda: 0}
encoder: {drop_path: 0}
optim: {lr: 0, weight_decay: 0, warmup_steps: 0, final_lr_fraction: 0, betas: [0, 0]}
schedule: {steps: 0}
views: {flip: 0, local: {count: 0}}
projector: {hidden: []}
seed: 0
`), "a.yaml"))
	require.NoError(t, c.Validate())
	c = c.Resolve(eurosat())
	assert.Zero(t, c.Loss.Lambda)
	assert.Equal(t, Of(0.0), c.Optim.WeightDecay)
	assert.Equal(t, StepsOf(0), c.Optim.WarmupSteps)
	assert.Equal(t, Of(0), c.Schedule.Steps)
	assert.Zero(t, c.TotalSteps(4000))
	assert.Empty(t, c.Projector.Hidden)
	assert.Zero(t, c.Views.Local.Count)
	assert.Zero(t, c.ViewsConfig().Flip)
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct{ name, yaml, want string }{
		{"lambda above one", "loss: {lambda: 2}", "loss.lambda: 2, expected a number from 0 to 1"},
		{"lambda below zero", "loss: {lambda: -0.1}", "loss.lambda: -0.1, expected a number from 0 to 1"},
		{"patch", "encoder: {image_size: 30, patch_size: 4}",
			"encoder.image_size: 30, expected a multiple of the patch size 4, such as 32"},
		{"patch in the name", "encoder: {model: vit_small_patch16_224, image_size: 100}",
			"encoder.image_size: 100, expected a multiple of the patch size 16, such as 96"},
		{"patch that overrides the name", "encoder: {model: vit_small_patch16_224, image_size: 100, patch_size: 10}", ""},
		{"no patches", "encoder: {model: resnet18, image_size: 33}", ""},
		{"registers", "encoder: {registers: 0, layer_scale: 0}",
			"encoder.registers: 0, expected 1 or more, or auto\nencoder.layer_scale: 0, expected a number above 0, or auto"},
		{"a ViT with all", "encoder: {model: vit_base_patch16_224, pool: avg, registers: 4, layer_scale: 1e-5, qk_norm: true, swiglu: true}", ""},
		{"an open model with all", "encoder: {pool: token, registers: 4, layer_scale: 1e-5, qk_norm: true, swiglu: true}", ""},
		{"no ViT with any", "encoder: {model: resnet18, pool: avg, registers: 4, layer_scale: 1e-5, qk_norm: true, swiglu: true}", strings.Join([]string{
			"encoder.pool: avg, expected auto, as resnet18 is no ViT", "encoder.registers: 4, expected auto, as resnet18 is no ViT",
			"encoder.layer_scale: 1e-5, expected auto, as resnet18 is no ViT", "encoder.qk_norm: true, expected false, as resnet18 is no ViT",
			"encoder.swiglu: true, expected false, as resnet18 is no ViT",
		}, "\n")},
		{"pool", "encoder: {pool: auto}", ""},
		{"local size", "encoder: {patch_size: 8}\nviews: {local: {size: 20}}",
			"views.local.size: 20, expected a multiple of the patch size 8, such as 24"},
		{"no size", "encoder: {image_size: 0}", "encoder.image_size: 0, expected 1 or more, or auto"},
		{"patch of nothing", "encoder: {patch_size: 0, image_size: 32}", "encoder.patch_size: 0, expected 1 or more, or auto"},
		{"steps and epochs", "schedule: {steps: 10, epochs: 2}",
			"schedule.steps: 10, expected auto, as schedule.epochs is 2: one says how long to train"},
		{"steps and open epochs", "schedule: {steps: 10, epochs: auto}", ""},
		{"betas", "optim: {betas: [0.9, 1]}", "optim.betas: 1, expected 0 or more and less than 1"},
		{"layer decay", "optim: {layer_decay: 1.5}", "optim.layer_decay: 1.5, expected a number above 0, up to 1"},
		{"a column without a tokenizer", "data: {caption_column: report}",
			`text.tokenizer: "", expected a tokenizer.json (--tokenizer) with data.caption_column (--text-column)`},
		{"an encoder without a tokenizer", "text: {model: bert_mini, init: a.bin}", "text.tokenizer: \"\", expected a tokenizer.json (--tokenizer) with text.model\n" +
			`text.tokenizer: "", expected a tokenizer.json (--tokenizer) with text.init`},
		{"captions", "text: {tokenizer: a.json, views: 0, sentences: [0.5, 0.2], drop_words: 1, lr_scale: 0, max_tokens: 0}", strings.Join([]string{
			"text.max_tokens: 0, expected 1 or more, or auto", "text.views: 0, expected 1 or more, below 65536",
			"text.sentences: 0.5 to 0.2, expected shares above 0 up to 1, the least first", "text.drop_words: 1, expected 0 or more and less than 1",
			"text.lr_scale: 0, expected a number above 0",
		}, "\n")},
		{"EMA", "optim: {ema: 1}", "optim.ema: 1, expected 0 or more and less than 1"},
		{"average of an average", "optim: {name: schedulefree, ema: 0.9}",
			"optim.ema: 0.9, expected 0, as optim.name is schedulefree, whose weights are an average"},
		{"LARS", "optim: {name: lars, momentum: 0.8, trust: 0}", "optim.trust: 0, expected a number above 0"},
		{"Muon", "optim: {name: muon, momentum: 1}", "optim.momentum: 1, expected 0 or more and less than 1, or auto"},
		{"momentum of AdamW", "optim: {momentum: 0.9}",
			"optim.momentum: 0.9, expected auto, as optim.name is adamw: optim.betas has its decay"},
		{"schedule-free", "optim: {name: schedulefree, betas: [0, 0]}",
			"optim.betas: 0, expected above 0 as the first, as optim.name is schedulefree"},
		{"clip", "optim: {clip_norm: 0}", "optim.clip_norm: 0, expected a number above 0, or none"},
		{"device", "device: gpu", `device: "gpu", expected auto, cpu, cuda or cuda:N`},
		{"second GPU", "device: cuda:1", ""},
		{"batch", "schedule: {batch_size: 0}", "schedule.batch_size: 0, expected 1 or more, or auto"},
		{"threads", "threads: 0\nworkers: -1", "threads: 0, expected 1 or more, or auto\nworkers: -1, expected 1 or more, or auto"},
		{"log", "log: [csv, xml]", `log: "xml", expected csv or tensorboard`},
		{"hidden", "projector: {hidden: [512, 0]}", "projector.hidden: 0, expected widths of 1 or more"},
		{"two means", "encoder: {channels: 1}\nviews: {mean: [0.5, 0.5]}",
			"views.mean: 0.5,0.5, expected one value, for the one channel"},
		{"lists of two lengths", "views: {mean: [0.5, 0.5], std: [1]}", "views.std: 1 values, but mean has 2"},
		{"a mean alone", "views: {mean: [0, 0]}", ""},
		{"no deviation", "views: {std: 0}", "views.std: 0 for channel 0, expected a positive number"},
		{"flip", "views: {flip: 2}", "views.flip: 2, expected a probability from 0 to 1"},
		{"three", "loss: {lambda: 2}\nschedule: {epochs: -1}\nviews: {global: {count: 0}}", strings.Join([]string{
			"views.global.count: 0, expected at least 1", "loss.lambda: 2, expected a number from 0 to 1",
			"schedule.epochs: -1, expected 0 or more, or auto",
		}, "\n")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Default()
			require.NoError(t, c.Decode([]byte(tt.yaml), "a.yaml"))
			err := c.Validate()
			if tt.want == "" {
				assert.NoError(t, err)
				return
			}
			assert.EqualError(t, err, tt.want)
		})
	}
}

func TestProfiledSteps(t *testing.T) {
	for text, want := range map[string]Profile{
		"none": {}, "auto": {Auto: true}, "100:105": {First: 100, Last: 105}, "7": {First: 7, Last: 7}, "1:1": {First: 1, Last: 1},
	} {
		var p Profile
		require.NoError(t, p.UnmarshalText([]byte(text)))
		assert.Equal(t, want, p)
		again := Profile{First: 3}
		require.NoError(t, again.UnmarshalText([]byte(p.String())))
		assert.Equal(t, p, again)
	}
	for _, text := range []string{"", "9:3", "0", "0:5", "-1", "3:", ":3", "a:b", "1:2:3", "1:99999999999"} {
		assert.ErrorContains(t, new(Profile).UnmarshalText([]byte(text)), "names no steps: expected FIRST:LAST", text)
	}
}

// TestNotNumbers: YAML and flags cannot hold them, but Go can.
func TestNotNumbers(t *testing.T) {
	nan := math.NaN()
	c := Default()
	c.Loss.Lambda, c.Loss.TMax, c.Loss.Clip, c.Encoder.DropPath = nan, nan, nan, nan
	c.Encoder.LayerScale = Of(nan)
	c.Optim = Optim{LR: Of(nan), WeightDecay: Of(nan), FinalLR: Of(nan), Momentum: Of(nan), Trust: nan, LayerDecay: nan, EMA: nan, Betas: [2]float64{nan, nan}, Eps: nan, ClipNorm: Clip{true, nan}}
	err := c.Validate()
	require.Error(t, err)
	assert.Len(t, strings.Split(err.Error(), "\n"), 18)
}

// TestThreeMistakes: a file with mistakes of three kinds has all of them named, with what was meant.
func TestThreeMistakes(t *testing.T) {
	path := write(t, "loss:\n  lamda: 0.05\noptim:\n  lr: fast\nschedule:\n  epochs: 10\nlambda: 1\nimage_size: 64\n")
	_, err := Load(path)
	assert.EqualError(t, err, strings.Join([]string{
		path + ":2: loss.lamda: no such key; did you mean loss.lambda?",
		path + `:4: optim.lr: "fast" is not a number or auto`,
		path + ":7: lambda: no such key; did you mean loss.lambda?",
		path + ":8: image_size: no such key; did you mean encoder.image_size?",
	}, "\n"))
}

func TestLoadErrors(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "gone.yaml"))
	require.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "reading configuration")
	_, err = Load(write(t, "precision: fp16\n"))
	assert.ErrorContains(t, err, `:1: precision: "fp16" is not one of auto, fp32, bf16`)
}

func TestRoundTrip(t *testing.T) {
	every := Default()
	require.NoError(t, every.Decode([]byte(`
data: {path: "a: b", test_path: "true", labels: true, kind: list, image_column: "1", label_column: "2", caption_column: "~", root: /x, stretch: "0:10", bits: "8", array_layout: hwc, jpeg: go, max_broken: 0.25, index: none, rescan: true}
encoder: {model: resnet18, init: a.pt, image_size: 96, patch_size: 8, channels: 1, width: 32, depth: 1, heads: 2, pool: avg, registers: 4, layer_scale: 1e-5, qk_norm: true, swiglu: true, num_classes: 512, drop_path: 0.125}
views:
  preset: minimal
  dihedral: 0.3
  reduce: true
  rotation: {p: 0.2, degrees: 30, smooth: false, fill: 0.5}
  noise: {p: 0.1, sigma: [0.1, 0.2]}
  drop_channels: {p: 0.1, most: 2, fill: 0.5}
  steps: [{flip: {p: 0.5}}, {noise: {p: 1, sigma: [0.1, 0.1]}}]
  global: {count: 5, scale: [0.5, 0.6], ratio: [1, 2], interpolation: bicubic}
  local: {count: 1, size: 32, scale: [0.1, 0.2], ratio: [1, 2], interpolation: bicubic}
  flip: 0.1
  vertical_flip: 0.1
  jitter: {p: 0.1, brightness: 0.1, contrast: 0.1, saturation: 0.1, hue: 0.2}
  grayscale: 0.1
  blur: {p: 0.1, kernel: 3, sigma: [0.2, 0.3]}
  solarize: {p: 0.1, threshold: 100}
  mean: [0.1]
  std: 0.2
text: {tokenizer: t.json, model: bert_mini, init: b.bin, max_tokens: 40, views: 3, sentences: [0.25, 0.5], drop_words: 0.125, width: 64, depth: 1, heads: 2, pool: cls, drop_path: 0.25, lr_scale: 0.5}
loss: {lambda: 0.05, slices: 256, directions: orthogonal, resample_every: 4, test: watson, knots: 9, t_max: 5, symmetric: true, weight: uniform, clip: 0.5}
projector: {hidden: [64], dim: 128}
schedule: {batch_size: 32, micro_batch: 8, checkpoint_activations: true, steps: 1e5}
optim: {name: muon, layer_decay: 0.5, momentum: 0.5, trust: 0.01, ema: 0.25, muon_scale: original, lr: 1.0e-10, weight_decay: 0.1, warmup_steps: 0.5epochs, final_lr_fraction: 0, betas: [0.8, 0.95], eps: 1.0e-6, clip_norm: 1.5}
precision: bf16
device: cuda:3
threads: 3
workers: 5
out: "12"
resume: false
checkpoint_every: 2epochs
keep_checkpoints: 1
on_divergence: back
eval_every: 500
eval_samples: 100
maps: false
log: [tensorboard, csv]
profile: 100:105
seed: 18446744073709551615
`), "a.yaml"))
	unchanged := Differences(Default(), every)
	assert.Len(t, unchanged, len(fields.Of(&every))-1, "all but epochs, which steps replaces, are exercised")
	for name, c := range map[string]Config{
		"default": Default(), "every value": every,
		"mnist": Default().Resolve(mnist()), "eurosat": Default().Resolve(eurosat()), "resnet": every.Resolve(eurosat()),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config.yaml")
			require.NoError(t, c.Save(path))
			again, err := Load(path)
			require.NoError(t, err)
			assert.Equal(t, c, again)
			assert.Empty(t, Differences(c, again))
		})
	}
}

func TestSaveErrors(t *testing.T) {
	err := Default().Save(filepath.Join(t.TempDir(), "gone", "config.yaml"))
	require.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "saving configuration")
}

func TestSavedFile(t *testing.T) {
	text, err := Default().Resolve(eurosat()).Encode()
	require.NoError(t, err)
	golden(t, "eurosat.yaml", text)
}

func TestValues(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Every
		back string
	}{
		{"never", Every{}, "never"},
		{"0", Every{}, "never"},
		{"500", Every{Steps: 500}, "500"},
		{"500steps", Every{Steps: 500}, "500"},
		{"1e3 steps", Every{Steps: 1000}, "1000"},
		{"1epoch", Every{Epochs: 1}, "1epoch"},
		{"2epochs", Every{Epochs: 2}, "2epochs"},
		{"2 epochs", Every{Epochs: 2}, "2epochs"},
		{"10m", Every{Time: 10 * time.Minute}, "10m"},
		{"auto", Every{Share: 0.05}, "auto"},
		{"5%", Every{Share: 0.05}, "auto"},
		{"0.5 %", Every{Share: 0.005}, "0.5%"},
		{"90s", Every{Time: 90 * time.Second}, "1m30s"},
		{"2h", Every{Time: 2 * time.Hour}, "2h"},
	} {
		var e Every
		require.NoError(t, e.UnmarshalText([]byte(tt.text)), tt.text)
		assert.Equal(t, tt.want, e)
		assert.Equal(t, tt.back, e.String())
		var again Every
		require.NoError(t, again.UnmarshalText([]byte(e.String())))
		assert.Equal(t, e, again)
	}
	for _, text := range []string{"", "often", "-5", "-5m", "0epochs", "1.5epochs", "0%", "101%", "auto%"} {
		assert.ErrorContains(t, new(Every).UnmarshalText([]byte(text)), "expected never, 500 (steps), 2epochs, a time such as 10m, or 2% of the time")
	}

	var n Auto[int]
	require.NoError(t, n.UnmarshalText([]byte("12")))
	assert.Equal(t, Of(12), n)
	assert.Equal(t, 12, n.Or(5))
	require.NoError(t, n.UnmarshalText([]byte("auto")))
	assert.Equal(t, Auto[int]{}, n)
	assert.Equal(t, 5, n.Or(5))
	assert.EqualError(t, n.UnmarshalText([]byte("1.5")), `"1.5" is not a whole number or auto`)
	var x Auto[float64]
	require.NoError(t, x.UnmarshalText([]byte("5e-2")))
	assert.Equal(t, "0.05", x.String())
	assert.EqualError(t, x.UnmarshalText([]byte("none")), `"none" is not a number or auto`)
	var c Clip
	require.NoError(t, c.UnmarshalText([]byte("0.5")))
	assert.Equal(t, Clip{true, 0.5}, c)
	require.NoError(t, c.UnmarshalText([]byte("none")))
	assert.Equal(t, Clip{}, c)
	assert.EqualError(t, c.UnmarshalText([]byte("off")), `"off" is not a number or none`)
}

func TestEveryDue(t *testing.T) {
	const perEpoch = 15
	assert.False(t, Every{}.Due(30, perEpoch, time.Hour))
	assert.True(t, Every{Steps: 10}.Due(30, perEpoch, 0))
	assert.False(t, Every{Steps: 10}.Due(31, perEpoch, time.Hour))
	assert.True(t, Every{Epochs: 2}.Due(60, perEpoch, 0))
	assert.False(t, Every{Epochs: 2}.Due(45, perEpoch, time.Hour))
	assert.True(t, Every{Time: time.Minute}.Due(1, perEpoch, time.Minute))
	assert.False(t, Every{Time: time.Minute}.Due(60, perEpoch, time.Second))
}

func TestLength(t *testing.T) {
	const batch, perEpoch = 64, 15
	for _, tt := range []struct {
		text, written string
		want          Length
		steps         int
	}{
		{"auto", "auto", Length{}, 0},
		{"0", "0", StepsOf(0), 0},
		{"500", "500", StepsOf(500), 500},
		{"1e5 steps", "100000", StepsOf(100_000), 100_000},
		{"1step", "1", StepsOf(1), 1},
		{"2epochs", "2epochs", EpochsOf(2), 30},
		{"1 epoch", "1epoch", EpochsOf(1), 15},
		{"0.5epochs", "0.5epochs", EpochsOf(0.5), 8},
		{"640images", "640images", ImagesOf(640), 10},
		{"671images", "671images", ImagesOf(671), 10},
		{"672images", "672images", ImagesOf(672), 11},
		{"1e300epochs", "1" + strings.Repeat("0", 300) + "epochs", EpochsOf(1e300), math.MaxInt32},
	} {
		var l Length
		require.NoError(t, l.UnmarshalText([]byte(tt.text)), tt.text)
		assert.Equal(t, tt.want, l)
		assert.Equal(t, tt.written, l.String())
		assert.Equal(t, tt.steps, l.Steps(batch, perEpoch), tt.text)
		var again Length
		require.NoError(t, again.UnmarshalText([]byte(l.String())))
		assert.Equal(t, l, again)
	}
	for _, text := range []string{"", "epochs", "-1", "-2epochs", "1.5", "1.5images", "NaNepochs", "10m", "2 epochs steps", "never"} {
		var l Length
		assert.ErrorContains(t, l.UnmarshalText([]byte(text)), "expected 500 (steps), 2epochs, 100000images or auto", text)
	}
}

// required are the flags that cmd/train promises; --config belongs to the command itself.
const required = `data model image-size patch-size channels global-views local-views local-size lambda slices proj-dim
batch-size epochs steps lr weight-decay warmup-steps precision seed device threads workers out checkpoint-every resume`

func TestFlags(t *testing.T) {
	c := Default()
	have := map[string]bool{}
	for _, f := range fields.Of(&c) {
		have[f.Flag] = true
		assert.NotEmpty(t, f.Help, "%s has no help", f.Path)
		assert.NotEmpty(t, f.Group, "%s has no heading", f.Path)
		assert.Contains(t, []string{"", "free", "longer"}, f.Tag.Get("resume"), f.Path)
	}
	for _, name := range strings.Fields(required) {
		assert.True(t, have[name], "--%s", name)
	}
}

func TestHelp(t *testing.T) {
	c := Default()
	cmd := &cli.Command{Name: "train", Synopsis: "shows the flags of a run."}
	cmd.Flags("", &c)
	for name, all := range map[string]bool{"help.txt": false, "help-all.txt": true} {
		var b bytes.Buffer
		require.NoError(t, cmd.Help(&b, all))
		golden(t, name, b.Bytes())
	}
}

// TestFlagsOverFile: what the command line gives wins over the file, which wins over the defaults.
func TestFlagsOverFile(t *testing.T) {
	var opts struct {
		Config string `yaml:"config" flag:"config"`
	}
	c := Default()
	cmd := &cli.Command{Name: "train", FileFlag: "config", File: c.Read, Check: func() error { return c.Validate() }}
	cmd.Flags("Files", &opts)
	cmd.Flags("", &c)
	path := write(t, "loss: {lambda: 0.05, slices: 64}\nschedule: {epochs: 3}\n")
	_, err := cmd.Parse([]string{"--lambda", "0.1", "--config", path, "--views.local.count=0", "--resume=false", "--threads", "auto"})
	require.NoError(t, err)
	want := Default()
	want.Loss.Lambda, want.Loss.Slices, want.Schedule.Epochs = 0.1, 64, Of(3)
	want.Views.Local.Count, want.Resume = 0, false
	assert.Equal(t, want, c)

	_, err = cmd.Parse([]string{"--config", write(t, "loss: {lamda: 1}\n"), "--lr", "fast", "--lambda", "7"})
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, 3)
	assert.Contains(t, lines[0], "did you mean loss.lambda?")
	assert.Equal(t, `--lr: "fast" is not a number or auto`, lines[1])
	assert.Equal(t, "loss.lambda: 7, expected a number from 0 to 1", lines[2])
}
