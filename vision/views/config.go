package views

import (
	"errors"
	"fmt"
	"math"
)

// Config says which views are made of an image. Zero values mean what they say: no views, no blur. [Config.Validate]
// checks it.
type Config struct {
	Global       GlobalConfig   `yaml:"global"`
	Local        LocalConfig    `yaml:"local"`
	Flip         float64        `yaml:"flip" help:"probability of mirroring a view left to right" arg:"P"`
	VerticalFlip float64        `yaml:"vertical_flip" help:"probability of mirroring a view top to bottom" arg:"P"`
	Jitter       JitterConfig   `yaml:"jitter"`
	Grayscale    float64        `yaml:"grayscale" help:"probability of replacing the colours of a view by its luma; for 3 channels" arg:"P"`
	Blur         BlurConfig     `yaml:"blur"`
	Solarize     SolarizeConfig `yaml:"solarize"`
	Mean         []float64      `yaml:"mean" help:"mean of each channel, of samples in [0, 1], subtracted on the device"`
	Std          []float64      `yaml:"std" help:"standard deviation of each channel, of samples in [0, 1], divided by on the device"`
}

// GlobalConfig says how the global views are cropped, whose mean the others predict. It converts to LocalConfig; see there.
type GlobalConfig struct {
	Count         int           `yaml:"count" flag:"global-views" help:"global views of each image" arg:"N"`
	Size          int           `yaml:"size" help:"side of a global view, in pixels" arg:"N"`
	Scale         [2]float64    `yaml:"scale" help:"a global crop's share of the image's area: least and most"`
	Ratio         [2]float64    `yaml:"ratio" help:"a global crop's width over its height: least and most"`
	Interpolation Interpolation `yaml:"interpolation" help:"how global crops are resized: bilinear or bicubic, both antialiased"`
}

// LocalConfig says how the local views are cropped. The two differ in nothing but the names of their flags.
type LocalConfig struct {
	Count         int           `yaml:"count" flag:"local-views" help:"local views of each image" arg:"N"`
	Size          int           `yaml:"size" flag:"local-size" help:"side of a local view, in pixels" arg:"N"`
	Scale         [2]float64    `yaml:"scale" help:"a local crop's share of the image's area: least and most"`
	Ratio         [2]float64    `yaml:"ratio" help:"a local crop's width over its height: least and most"`
	Interpolation Interpolation `yaml:"interpolation" help:"how local crops are resized: bilinear or bicubic, both antialiased"`
}

// JitterConfig is colour jitter. Factors of brightness, contrast and saturation are uniform in [max(0, 1−x), 1+x], the shift
// of hue in [−x, x] turns; a part whose x is 0 is left out.
type JitterConfig struct {
	P          float64 `yaml:"p" help:"probability of colour jitter"`
	Brightness float64 `yaml:"brightness" help:"reach of the factor of brightness" arg:"X"`
	Contrast   float64 `yaml:"contrast" help:"reach of the factor of contrast" arg:"X"`
	Saturation float64 `yaml:"saturation" help:"reach of the factor of saturation; for 3 channels" arg:"X"`
	Hue        float64 `yaml:"hue" help:"reach of the shift of hue, in turns, at most 0.5; for 3 channels" arg:"X"`
}

// BlurConfig is Gaussian blur with a square kernel, mirrored at the edges.
type BlurConfig struct {
	P      float64    `yaml:"p" help:"probability of blur"`
	Kernel int        `yaml:"kernel" help:"side of the blur's kernel in pixels, odd" arg:"N"`
	Sigma  [2]float64 `yaml:"sigma" help:"the blur's standard deviation in pixels: least and most"`
}

// SolarizeConfig inverts the samples from a threshold on.
type SolarizeConfig struct {
	P         float64 `yaml:"p" help:"probability of inverting bright samples"`
	Threshold int     `yaml:"threshold" help:"samples from here on are inverted, 0 to 255" arg:"N"`
}

// Interpolation is how crops are resized. Both kinds widen their filter when they make an image smaller ("antialias").
type Interpolation int

// The kinds of interpolation.
const (
	Bilinear Interpolation = iota
	Bicubic                // with a = −0.5
)

// String is the name of the kind, as in configuration files.
func (i Interpolation) String() string {
	switch i {
	case Bilinear:
		return "bilinear"
	case Bicubic:
		return "bicubic"
	}
	return fmt.Sprintf("Interpolation(%d)", int(i))
}

// MarshalText is the name of the kind.
func (i Interpolation) MarshalText() ([]byte, error) {
	if i != Bilinear && i != Bicubic {
		return nil, fmt.Errorf("interpolation: no kind %d", int(i))
	}
	return []byte(i.String()), nil
}

// UnmarshalText takes the name of a kind.
func (i *Interpolation) UnmarshalText(text []byte) error {
	for _, k := range []Interpolation{Bilinear, Bicubic} {
		if string(text) == k.String() {
			*i = k
			return nil
		}
	}
	return fmt.Errorf("interpolation %q: expected bilinear or bicubic", text)
}

// ImageNet's statistics, of samples in [0, 1].
func imageNet() (mean, std []float64) {
	return []float64{0.485, 0.456, 0.406}, []float64{0.229, 0.224, 0.225}
}

// Paper is the recipe of arXiv 2511.08544: 2 global views of 224 pixels and 6 local views of 98. The kernel and the sigma of its
// blur, which it does not name, are those of Minimal.
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
	}
	c.Mean, c.Std = imageNet()
	return c
}

// Minimal is the recipe of the authors' minimal example (MINIMAL.md in their repository): 4 equal views of 128 pixels. It
// solarizes one view in ten: the example nests a transform that acts on every other call in one that acts on every fifth.
func Minimal() Config {
	c := Paper()
	c.Global.Count, c.Global.Size, c.Global.Scale = 4, 128, [2]float64{0.08, 1}
	c.Local = LocalConfig{}
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

// LocalSize is the side of local views that goes with global ones and a patch size: the multiple of the patch nearest to
// 0.4375 times the global side, the larger of two as near, and at least one patch. With 224 and 14 it is the paper's 98. It
// panics if patch is not positive.
func LocalSize(global, patch int) int {
	if patch <= 0 {
		panic(fmt.Sprintf("views: LocalSize(%d, %d): patch must be positive", global, patch))
	}
	const num, den = 7, 16 // 0.4375
	return max(1, (2*num*global+den*patch)/(2*den*patch)) * patch
}

// Validate names everything that is wrong, each line beginning with a key such as views.local.size.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, key, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("views."+key+": "+format, args...))
		}
	}
	prob := func(key string, p float64) {
		check(p >= 0 && p <= 1, key, "%v, expected a probability from 0 to 1", p)
	}
	check(c.Global.Count >= 1, "global.count", "%d, expected at least 1", c.Global.Count)
	check(c.Local.Count >= 0, "local.count", "%d, expected 0 or more", c.Local.Count)
	smallest := math.MaxInt
	for _, g := range []struct {
		key string
		GlobalConfig
	}{{"global", c.Global}, {"local", GlobalConfig(c.Local)}} {
		if g.Count <= 0 {
			continue
		}
		check(g.Size >= 1 && g.Size <= maxSide, g.key+".size", "%d, expected 1 to %d pixels", g.Size, maxSide)
		s, r := g.Scale, g.Ratio
		check(s[0] > 0 && s[0] <= s[1] && s[1] <= 1, g.key+".scale", "%v, expected 0 < least ≤ most ≤ 1", s)
		check(r[0] > 0 && r[0] <= r[1] && !math.IsInf(r[1], 1), g.key+".ratio", "%v, expected 0 < least ≤ most", r)
		check(g.Interpolation == Bilinear || g.Interpolation == Bicubic, g.key+".interpolation", "%v, expected bilinear or bicubic", g.Interpolation)
		smallest = min(smallest, g.Size)
	}
	prob("flip", c.Flip)
	prob("vertical_flip", c.VerticalFlip)
	prob("jitter.p", c.Jitter.P)
	for _, f := range []struct {
		key string
		x   float64
	}{{"brightness", c.Jitter.Brightness}, {"contrast", c.Jitter.Contrast}, {"saturation", c.Jitter.Saturation}} {
		check(f.x >= 0 && !math.IsInf(f.x, 1), "jitter."+f.key, "%v, expected 0 or more", f.x)
	}
	check(c.Jitter.Hue >= 0 && c.Jitter.Hue <= 0.5, "jitter.hue", "%v, expected 0 to 0.5", c.Jitter.Hue)
	prob("grayscale", c.Grayscale)
	prob("blur.p", c.Blur.P)
	if c.Blur.P > 0 {
		k, s := c.Blur.Kernel, c.Blur.Sigma
		check(k > 0 && k%2 == 1, "blur.kernel", "%d, expected an odd number", k)
		check(k/2 < smallest, "blur.kernel", "%d, expected less than twice the smallest view's side, %d", k, smallest)
		check(s[0] > 0 && s[0] <= s[1] && !math.IsInf(s[1], 1), "blur.sigma", "%v, expected 0 < least ≤ most", s)
	}
	prob("solarize.p", c.Solarize.P)
	check(c.Solarize.Threshold >= 0 && c.Solarize.Threshold <= 255, "solarize.threshold", "%d, expected 0 to 255", c.Solarize.Threshold)
	check(len(c.Mean) == len(c.Std), "std", "%d values, but mean has %d", len(c.Std), len(c.Mean))
	for i, m := range c.Mean {
		check(!math.IsNaN(m) && !math.IsInf(m, 0), "mean", "%v for channel %d, expected a number", m, i)
	}
	for i, s := range c.Std {
		check(s > 0 && !math.IsInf(s, 1), "std", "%v for channel %d, expected a positive number", s, i)
	}
	return errors.Join(errs...)
}

// maxSide is the largest view in pixels: far beyond any encoder, and far from overflowing.
const maxSide = 16384
