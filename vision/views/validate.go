package views

import (
	"errors"
	"fmt"
	"math"
)

// checker gathers what is wrong, each line beginning with a key such as views.local.size.
type checker struct {
	prefix string
	errs   []error
}

func (c *checker) check(ok bool, key, format string, args ...any) {
	if !ok {
		c.errs = append(c.errs, fmt.Errorf(c.prefix+key+": "+format, args...))
	}
}

func (c *checker) prob(key string, p float64) {
	c.check(p >= 0 && p <= 1, key, "%v, expected a probability from 0 to 1", p)
}

func (c *checker) share(key string, x float64) {
	c.check(x >= 0 && x <= 1, key, "%v, expected 0 (black) to 1 (white)", x)
}

// Validate names everything that is wrong, each line beginning with a key such as views.local.size. What does not suit the
// images' channels, [Config.Suits] names.
func (c Config) Validate() error {
	v := &checker{prefix: "views."}
	check := v.check
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
	v.prob("flip", c.Flip)
	v.prob("vertical_flip", c.VerticalFlip)
	v.prob("dihedral", c.Dihedral)
	v.prob("grayscale", c.Grayscale)
	v.jitter("jitter.", c.Jitter)
	v.blur("blur.", c.Blur, smallest)
	v.solarize("solarize.", c.Solarize)
	v.rotation("rotation.", c.Rotation)
	v.noise("noise.", c.Noise)
	v.drop("drop_channels.", c.DropChannels)
	for i, s := range c.Steps {
		s.validate(v, fmt.Sprintf("steps[%d]", i), smallest)
	}
	check(len(c.Mean) == len(c.Std), "std", "%d values, but mean has %d", len(c.Std), len(c.Mean))
	for i, m := range c.Mean {
		check(!math.IsNaN(m) && !math.IsInf(m, 0), "mean", "%v for channel %d, expected a number", m, i)
	}
	for i, s := range c.Std {
		check(s > 0 && !math.IsInf(s, 1), "std", "%v for channel %d, expected a positive number", s, i)
	}
	return errors.Join(v.errs...)
}

func (c *checker) jitter(key string, j JitterConfig) {
	c.prob(key+"p", j.P)
	for _, f := range []struct {
		key string
		x   float64
	}{{"brightness", j.Brightness}, {"contrast", j.Contrast}, {"saturation", j.Saturation}} {
		c.check(f.x >= 0 && !math.IsInf(f.x, 1), key+f.key, "%v, expected 0 or more", f.x)
	}
	c.check(j.Hue >= 0 && j.Hue <= 0.5, key+"hue", "%v, expected 0 to 0.5", j.Hue)
}

func (c *checker) blur(key string, b BlurConfig, smallest int) {
	c.prob(key+"p", b.P)
	if b.P > 0 {
		k := b.Kernel
		c.check(k > 0 && k%2 == 1, key+"kernel", "%d, expected an odd number", k)
		c.check(k/2 < smallest, key+"kernel", "%d, expected less than twice the smallest view's side, %d", k, smallest)
		c.sigma(key+"sigma", b.Sigma)
	}
}

func (c *checker) sigma(key string, s [2]float64) {
	c.check(s[0] > 0 && s[0] <= s[1] && !math.IsInf(s[1], 1), key, "%v, expected 0 < least ≤ most", s)
}

func (c *checker) solarize(key string, s SolarizeConfig) {
	c.prob(key+"p", s.P)
	c.check(s.Threshold >= 0 && s.Threshold <= 255, key+"threshold", "%d, expected 0 to 255", s.Threshold)
}

func (c *checker) rotation(key string, r RotationConfig) {
	c.prob(key+"p", r.P)
	c.check(r.Degrees >= 0 && r.Degrees <= 180, key+"degrees", "%v, expected 0 to 180", r.Degrees)
	c.share(key+"fill", r.Fill)
}

func (c *checker) noise(key string, n NoiseConfig) {
	c.prob(key+"p", n.P)
	if n.P > 0 {
		c.sigma(key+"sigma", n.Sigma)
	}
}

func (c *checker) drop(key string, d DropConfig) {
	c.prob(key+"p", d.P)
	c.check(d.Most >= 0 && (d.Most > 0 || !(d.P > 0)), key+"most", "%d, expected 1 or more", d.Most)
	c.share(key+"fill", d.Fill)
}

// Kind is what the images are that views are made of.
type Kind struct {
	Channels int  // of an image
	Deep     bool // samples are floats, not of 8 bits: see images.Image
}

// colour reports whether red, green and blue are known.
func (k Kind) colour() bool { return k.Channels == 3 }

// picture reports whether images are for looking at, so that there is a black and a white.
func (k Kind) picture() bool { return k.Channels == 1 || k.Channels == 3 }

// Suits names the keys that ask for what means nothing with such images, and why: saturation, hue and grey are of red, green
// and blue; solarizing inverts light and dark, which images of 1 or 3 channels have; and a channel that is blanked leaves
// others. Statistics, if given, are one for each channel.
func (c Config) Suits(k Kind) error {
	v := &checker{prefix: "views."}
	v.check(k.Channels >= 1, "channels", "%d, expected at least 1", k.Channels)
	if len(c.Steps) > 0 {
		for i, s := range c.Steps {
			s.suits(v, fmt.Sprintf("steps[%d]", i), k)
		}
	} else {
		v.suitsJitter("jitter.", c.Jitter, k)
		v.suitsGrey("grayscale", c.Grayscale, k)
		v.suitsSolarize("solarize.", c.Solarize, k)
		v.suitsDrop("drop_channels.", c.DropChannels, k)
	}
	if n := len(c.Mean); n > 0 {
		v.check(n == k.Channels, "mean", "%d values, expected %d, one for each channel", n, k.Channels)
	}
	return errors.Join(v.errs...)
}

func (c *checker) suitsJitter(key string, j JitterConfig, k Kind) {
	if j.P > 0 && !k.colour() {
		c.check(j.Saturation == 0, key+"saturation", "%v, expected 0 for images of %d channel(s): it is a property of red, green and blue", j.Saturation, k.Channels)
		c.check(j.Hue == 0, key+"hue", "%v, expected 0 for images of %d channel(s): it is a property of red, green and blue", j.Hue, k.Channels)
	}
}

func (c *checker) suitsGrey(key string, p float64, k Kind) {
	c.check(p == 0 || k.colour(), key, "%v, expected 0 for images of %d channel(s): only red, green and blue have a luma", p, k.Channels)
}

func (c *checker) suitsSolarize(key string, s SolarizeConfig, k Kind) {
	c.check(s.P == 0 || k.picture(), key+"p", "%v, expected 0 for images of %d channels: light and dark are of pictures, with 1 or 3", s.P, k.Channels)
}

func (c *checker) suitsDrop(key string, d DropConfig, k Kind) {
	c.check(d.P == 0 || d.Most < k.Channels, key+"most", "%d, expected fewer than the %d channel(s) of the images", d.Most, k.Channels)
}

// For is c without what means nothing for such images, as [Config.Suits] has it. It leaves Steps as they are.
func (c Config) For(k Kind) Config {
	if !k.colour() {
		c.Jitter.Saturation, c.Jitter.Hue, c.Grayscale = 0, 0, 0
	}
	if !k.picture() {
		c.Solarize.P = 0
	}
	if c.DropChannels.Most >= k.Channels {
		c.DropChannels.P = 0
	}
	if len(c.Mean) != k.Channels {
		c.Mean, c.Std = nil, nil
	}
	return c
}
