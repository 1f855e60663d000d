package views

import (
	"fmt"
	"strings"
)

// ImageNet's statistics, of samples in [0, 1].
func imageNet() (mean, std []float64) {
	return []float64{0.485, 0.456, 0.406}, []float64{0.229, 0.224, 0.225}
}

// Paper is the recipe of arXiv 2511.08544: 2 global views of 224 pixels and 6 local views of 98. The kernel and the sigma
// of its blur, which it does not name, are those of Minimal.
func Paper() Config {
	ratio := [2]float64{3.0 / 4, 4.0 / 3}
	c := Config{
		Global:    GlobalConfig{Count: 2, Size: 224, Scale: [2]float64{0.3, 1}, Ratio: ratio},
		Local:     LocalConfig{Count: 6, Size: 98, Scale: [2]float64{0.05, 0.3}, Ratio: ratio},
		Flip:      0.5,
		Jitter:    JitterConfig{P: 0.8, Brightness: 0.4, Contrast: 0.4, Saturation: 0.2, Hue: 0.1},
		Grayscale: 0.2,
		Blur:      BlurConfig{P: 0.5, Kernel: 7, Sigma: [2]float64{0.1, 2}},
		Solarize:  SolarizeConfig{P: 0.2, Threshold: 128},
		// Not in the recipe: what they begin from where they are asked for.
		Rotation:     RotationConfig{Degrees: 180, Smooth: true},
		Noise:        NoiseConfig{Sigma: [2]float64{0.01, 0.05}},
		DropChannels: DropConfig{Most: 1},
	}
	c.Mean, c.Std = imageNet()
	return c
}

// Minimal is the recipe of the authors' minimal example (MINIMAL.md in their repository): 4 equal views of 128 pixels. It
// solarizes one view in ten: the example nests a transform that acts on every other call in one that acts on every fifth.
func Minimal() Config {
	c := Paper()
	c.Global.Count, c.Global.Size, c.Global.Scale = 4, 128, [2]float64{0.08, 1}
	c.Local.Count = 0
	c.Jitter = JitterConfig{P: 0.8, Brightness: 0.8, Contrast: 0.8, Saturation: 0.8, Hue: 0.2}
	c.Solarize.P = 0.1
	return c
}

// MultiCrop is the recipe of the paper with other numbers of global and local views.
func MultiCrop(global, local int) Config {
	c := Paper()
	c.Global.Count, c.Local.Count = global, local
	return c
}

// Medical is for images whose grey levels and upright position mean something, such as radiographs: as Paper, but crops that
// keep more, no colour, no solarizing, milder blur, small rotations and a little noise.
func Medical() Config {
	c := Paper()
	c.Global.Scale, c.Local.Scale = [2]float64{0.4, 1}, [2]float64{0.1, 0.4}
	c.Jitter = JitterConfig{P: 0.8, Brightness: 0.3, Contrast: 0.3}
	c.Grayscale = 0
	c.Solarize.P = 0
	c.Blur.P, c.Blur.Sigma = 0.3, [2]float64{0.1, 1}
	c.Rotation = RotationConfig{P: 0.5, Degrees: 10, Smooth: true}
	c.Noise = NoiseConfig{P: 0.3, Sigma: [2]float64{0.005, 0.03}}
	return c
}

// Satellite is for images from above with any number of bands, which have no up: as Paper, but all eight orientations, no
// colour, no solarizing, mild brightness and contrast, and now and then a band that is missing.
func Satellite() Config {
	c := Paper()
	c.Flip = 0 // the orientations have it
	c.Dihedral = 1
	c.Jitter = JitterConfig{P: 0.8, Brightness: 0.2, Contrast: 0.2}
	c.Grayscale = 0
	c.Solarize.P = 0
	c.Blur.P, c.Blur.Sigma = 0.2, [2]float64{0.1, 1}
	c.Noise = NoiseConfig{P: 0.2, Sigma: [2]float64{0.005, 0.02}}
	c.DropChannels = DropConfig{P: 0.2, Most: 1}
	return c
}

// Astronomy is for images of the sky, which have neither up nor down: as Paper, but any rotation and either handedness,
// on black; no colour, no solarizing; blur and noise as of another night.
func Astronomy() Config {
	c := Paper()
	c.Rotation = RotationConfig{P: 1, Degrees: 180, Smooth: true}
	c.Jitter = JitterConfig{P: 0.8, Brightness: 0.3, Contrast: 0.2}
	c.Grayscale = 0
	c.Solarize.P = 0
	c.Blur.P = 0.3
	c.Noise = NoiseConfig{P: 0.5, Sigma: [2]float64{0.002, 0.03}}
	return c
}

// presets are the recipes that have a name.
var presets = []struct {
	name string
	make func() Config
}{
	{"paper", Paper}, {"minimal", Minimal}, {"medical", Medical}, {"satellite", Satellite}, {"astronomy", Astronomy},
}

// Presets are the names that [Preset] knows.
func Presets() []string {
	names := make([]string, len(presets))
	for i, p := range presets {
		names[i] = p.name
	}
	return names
}

// Preset is the recipe of that name.
func Preset(name string) (Config, error) {
	for _, p := range presets {
		if p.name == name {
			return p.make(), nil
		}
	}
	return Config{}, fmt.Errorf("views %q: expected %s", name, strings.Join(Presets(), ", "))
}
