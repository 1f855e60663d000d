package views

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/gojepa/gojepa/internal/fields"
)

func TestPresetsAreValid(t *testing.T) {
	assert.Equal(t, []string{"paper", "minimal", "medical", "satellite", "astronomy"}, Presets())
	for _, name := range Presets() {
		c, err := Preset(name)
		require.NoError(t, err)
		assert.NoError(t, c.Validate(), name)
		assert.NoError(t, c.Suits(Kind{Channels: 3}), name)
		for _, k := range []Kind{{1, false}, {2, true}, {13, true}} {
			assert.NoError(t, c.For(k).Suits(k), "%s, %v", name, k)
		}
	}
	_, err := Preset("papers")
	assert.EqualError(t, err, `views "papers": expected paper, minimal, medical, satellite, astronomy`)
	assert.NoError(t, MultiCrop(3, 0).Validate())
	c := MultiCrop(3, 5)
	assert.Equal(t, 3, c.Global.Count)
	assert.Equal(t, 5, c.Local.Count)
	c.Global.Count, c.Local.Count = 2, 6
	assert.Equal(t, Paper(), c)
	c.Mean[0] = 1
	assert.NotEqual(t, c.Mean, Paper().Mean, "presets share no memory")
}

func TestLocalSize(t *testing.T) {
	for _, c := range [][3]int{ // global, patch, local
		{224, 14, 98}, {224, 16, 96}, {224, 8, 96}, {224, 32, 96}, {128, 8, 56}, {64, 8, 32}, {28, 4, 12}, {28, 7, 14}, {16, 16, 16}, {96, 8, 40}, {224, 1, 98},
	} {
		got := LocalSize(c[0], c[1])
		assert.Equal(t, c[2], got, "%v", c)
		assert.Zero(t, got%c[1])
		assert.LessOrEqual(t, math.Abs(float64(got)-0.4375*float64(c[0])), max(float64(c[1])/2, float64(c[1])-0.4375*float64(c[0])))
	}
	assert.Panics(t, func() { LocalSize(224, 0) })
}

func TestValidateNamesEveryKey(t *testing.T) {
	nan := math.NaN()
	c := Config{
		Global: GlobalConfig{Count: 0}, Local: LocalConfig{Count: 2, Size: 0, Scale: [2]float64{0.5, 0.2}, Ratio: [2]float64{0, 1}, Interpolation: 7},
		Flip: -0.1, VerticalFlip: nan, Jitter: JitterConfig{P: 2, Brightness: -1, Contrast: nan, Saturation: math.Inf(1), Hue: 0.6},
		Grayscale: 1.5, Blur: BlurConfig{P: 1, Kernel: 4, Sigma: [2]float64{0, 1}}, Solarize: SolarizeConfig{P: nan, Threshold: 300},
		Mean: []float64{0, nan}, Std: []float64{0},
		Dihedral: 2, Rotation: RotationConfig{P: -1, Degrees: 181, Fill: 2}, Noise: NoiseConfig{P: 1}, DropChannels: DropConfig{P: 1, Fill: nan},
		Steps: Steps{{}, {Flip: &Chance{2}, Blur: &BlurConfig{P: 1, Kernel: 7, Sigma: [2]float64{1, 2}}}, {Jitter: &JitterConfig{Hue: 1}}},
	}
	err := c.Validate()
	require.Error(t, err)
	var keys []string
	for _, line := range strings.Split(err.Error(), "\n") {
		key, _, ok := strings.Cut(line, ": ")
		require.True(t, ok, line)
		keys = append(keys, strings.TrimPrefix(key, "views."))
	}
	assert.ElementsMatch(t, []string{
		"global.count", "local.size", "local.scale", "local.ratio", "local.interpolation", "flip", "vertical_flip", "jitter.p", "jitter.brightness",
		"jitter.contrast", "jitter.saturation", "jitter.hue", "grayscale", "blur.kernel", "blur.kernel", "blur.sigma", "solarize.p", "solarize.threshold",
		"std", "mean", "std", "dihedral", "rotation.p", "rotation.degrees", "rotation.fill", "noise.sigma", "drop_channels.most", "drop_channels.fill",
		"steps[0]", "steps[1]", "steps[1].flip.p", "steps[1].blur.kernel", "steps[2].jitter.hue",
	}, keys)

	// Zero is literal: no blur needs no kernel, no local views no size.
	c = Config{Global: GlobalConfig{Count: 1, Size: 8, Scale: [2]float64{1, 1}, Ratio: [2]float64{1, 1}}}
	assert.NoError(t, c.Validate())
	c.Blur = BlurConfig{P: 0.5, Kernel: 17, Sigma: [2]float64{1, 1}}
	assert.ErrorContains(t, c.Validate(), "views.blur.kernel: 17, expected less than twice the smallest view's side, 8")
}

func TestConfigAsYAML(t *testing.T) {
	c := Minimal()
	c.Global.Interpolation = Bicubic
	text, err := yaml.Marshal(c)
	require.NoError(t, err)
	assert.Contains(t, string(text), "interpolation: bicubic")
	var back Config
	require.NoError(t, yaml.Unmarshal(text, &back))
	assert.Equal(t, c, back)
	err = yaml.Unmarshal([]byte("global: {interpolation: nearest}"), &back)
	assert.ErrorContains(t, err, `interpolation "nearest": expected bilinear or bicubic`)

	_, err = Interpolation(3).MarshalText()
	assert.Error(t, err)
	assert.Equal(t, "Interpolation(3)", Interpolation(3).String())
}

func TestConfigIsMadeOfFields(t *testing.T) {
	var c Config
	flags := map[string]bool{}
	for _, f := range fields.Of(&c) {
		assert.NotEmpty(t, f.Help, f.Path)
		if f.Flag != "" {
			assert.False(t, flags[f.Flag], "two flags --%s", f.Flag)
			flags[f.Flag] = true
		}
	}
	assert.Equal(t, map[string]bool{"global-views": true, "local-views": true, "local-size": true}, flags)
}
