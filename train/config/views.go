package config

import "github.com/gojepa/gojepa/vision/views"

// Views says what is made of each image: a [views.Config] whose sizes and statistics may be left open. Global views have
// the encoder's image size. What suits some images only, such as colour, is open too: it is the preset's where it suits,
// and 0 where it does not; a number that does not suit the images is an error.
type Views struct {
	Preset       string               `yaml:"preset" flag:"views" enum:"paper,minimal,medical,satellite,astronomy" arg:"NAME" help:"recipe that the values below begin from: paper, minimal (4 equal views, strong colour), medical (no colour, small rotations), satellite (all eight orientations, any bands) or astronomy (any rotation)"`
	Global       GlobalViews          `yaml:"global"`
	Local        LocalViews           `yaml:"local"`
	Flip         float64              `yaml:"flip" arg:"P" help:"probability of mirroring a view left to right"`
	VerticalFlip float64              `yaml:"vertical_flip" arg:"P" help:"probability of mirroring a view top to bottom"`
	Dihedral     float64              `yaml:"dihedral" arg:"P" help:"probability of turning a view by quarter turns and mirroring it, all eight ways being as likely"`
	Rotation     views.RotationConfig `yaml:"rotation"`
	Jitter       Jitter               `yaml:"jitter"`
	Grayscale    Auto[float64]        `yaml:"grayscale" arg:"P" help:"probability of replacing the colours of a view by its luma; auto is the preset's for 3 channels and 0 for others"`
	Blur         views.BlurConfig     `yaml:"blur"`
	Noise        views.NoiseConfig    `yaml:"noise"`
	Solarize     Solarize             `yaml:"solarize"`
	DropChannels DropChannels         `yaml:"drop_channels"`
	Reduce       bool                 `yaml:"reduce" help:"decode JPEG files at 1/2, 1/4 or 1/8 of their size where even the smallest crop has as many pixels as its view then: faster for large photographs; the same crop is within 4 of 255 levels on average; by libjpeg-turbo only"`
	Steps        views.Steps          `yaml:"steps" arg:"LIST" help:"augmentations of one's own choice and order, in place of all above but the crops: a list such as [{dihedral: {p: 1}}, {blur: {p: 0.5, kernel: 7, sigma: [0.1, 2]}}]"`
	Mean         AutoList             `yaml:"mean" flag:"mean" arg:"X,X,…" help:"mean of each channel, of samples in [0, 1], subtracted before the encoder; auto is ImageNet's for 3 channels of 8 bits and the data's own for others, measured on 1000 images"`
	Std          AutoList             `yaml:"std" flag:"std" arg:"X,X,…" help:"standard deviation of each channel, likewise"`
}

// Jitter is [views.JitterConfig] with colour that may be left open.
type Jitter struct {
	P          float64       `yaml:"p" help:"probability of colour jitter"`
	Brightness float64       `yaml:"brightness" arg:"X" help:"reach of the factor of brightness"`
	Contrast   float64       `yaml:"contrast" arg:"X" help:"reach of the factor of contrast"`
	Saturation Auto[float64] `yaml:"saturation" arg:"X" help:"reach of the factor of saturation; auto is the preset's for 3 channels and 0 for others"`
	Hue        Auto[float64] `yaml:"hue" arg:"X" help:"reach of the shift of hue, in turns, at most 0.5; auto likewise"`
}

// Solarize is [views.SolarizeConfig] whose probability may be left open.
type Solarize struct {
	P         Auto[float64] `yaml:"p" arg:"P" help:"probability of inverting bright samples; auto is the preset's for 1 or 3 channels and 0 for others"`
	Threshold int           `yaml:"threshold" arg:"N" help:"samples from here on are inverted, of 0 to 255"`
}

// DropChannels is [views.DropConfig] whose probability may be left open.
type DropChannels struct {
	P    Auto[float64] `yaml:"p" arg:"P" help:"probability of blanking channels; auto is the preset's if there are more than most, and 0 otherwise"`
	Most int           `yaml:"most" arg:"N" help:"channels that are blanked at most; how many is drawn"`
	Fill float64       `yaml:"fill" arg:"X" help:"what is in place of them, from 0 (black) to 1 (white)"`
}

// GlobalViews says how the large crops are made, whose mean all views predict.
type GlobalViews struct {
	Count         int                 `yaml:"count" flag:"global-views" help:"large crops of each image; their mean is what all views predict"`
	Scale         [2]float64          `yaml:"scale" help:"a global crop's share of the image's area: least and most"`
	Ratio         [2]float64          `yaml:"ratio" help:"a global crop's width over its height: least and most"`
	Interpolation views.Interpolation `yaml:"interpolation" arg:"KIND" help:"how global crops are resized: bilinear or bicubic, both antialiased"`
}

// LocalViews says how the small crops are made.
type LocalViews struct {
	Count         int                 `yaml:"count" flag:"local-views" help:"small crops of each image, at a size of their own"`
	Size          Auto[int]           `yaml:"size" flag:"local-size" arg:"PX" help:"side of local views; auto is the multiple of the patch size nearest to 0.4375 times the image size"`
	Scale         [2]float64          `yaml:"scale" help:"a local crop's share of the image's area: least and most"`
	Ratio         [2]float64          `yaml:"ratio" help:"a local crop's width over its height: least and most"`
	Interpolation views.Interpolation `yaml:"interpolation" arg:"KIND" help:"how local crops are resized: bilinear or bicubic, both antialiased"`
}

// PresetViews returns the recipe of that name, one of views.Presets, with everything open that depends on the images. An
// unknown name is kept for Validate to name.
func PresetViews(name string) Views {
	c, err := views.Preset(name)
	if err != nil {
		c = views.Paper()
	}
	g, l := c.Global, c.Local
	return Views{
		Preset: name,
		Global: GlobalViews{g.Count, g.Scale, g.Ratio, g.Interpolation},
		Local:  LocalViews{l.Count, Auto[int]{}, l.Scale, l.Ratio, l.Interpolation},
		Flip:   c.Flip, VerticalFlip: c.VerticalFlip, Dihedral: c.Dihedral, Rotation: c.Rotation,
		Jitter: Jitter{P: c.Jitter.P, Brightness: c.Jitter.Brightness, Contrast: c.Jitter.Contrast},
		Blur:   c.Blur, Noise: c.Noise,
		Solarize:     Solarize{Threshold: c.Solarize.Threshold},
		DropChannels: DropChannels{Most: c.DropChannels.Most, Fill: c.DropChannels.Fill},
	}
}

// OpenViews returns a recipe with its sizes and statistics left open, and what suits some images only where a preset has it
// so.
func OpenViews(c views.Config) Views {
	v := PresetViews("paper")
	set := true
	for _, name := range views.Presets() {
		p, _ := views.Preset(name)
		if set && p.Jitter.Saturation == c.Jitter.Saturation && p.Jitter.Hue == c.Jitter.Hue && p.Grayscale == c.Grayscale &&
			p.Solarize.P == c.Solarize.P && p.DropChannels.P == c.DropChannels.P {
			v, set = PresetViews(name), false
		}
	}
	g, l := c.Global, c.Local
	v.Global = GlobalViews{g.Count, g.Scale, g.Ratio, g.Interpolation}
	v.Local = LocalViews{l.Count, Auto[int]{}, l.Scale, l.Ratio, l.Interpolation}
	v.Flip, v.VerticalFlip, v.Dihedral, v.Rotation = c.Flip, c.VerticalFlip, c.Dihedral, c.Rotation
	v.Jitter.P, v.Jitter.Brightness, v.Jitter.Contrast = c.Jitter.P, c.Jitter.Brightness, c.Jitter.Contrast
	v.Blur, v.Noise, v.Steps = c.Blur, c.Noise, c.Steps
	v.Solarize.Threshold, v.DropChannels.Most, v.DropChannels.Fill = c.Solarize.Threshold, c.DropChannels.Most, c.DropChannels.Fill
	if set {
		v.suit(c)
	}
	return v
}

// suit closes what suits some images only.
func (v *Views) suit(c views.Config) {
	fill(&v.Jitter.Saturation, c.Jitter.Saturation)
	fill(&v.Jitter.Hue, c.Jitter.Hue)
	fill(&v.Grayscale, c.Grayscale)
	fill(&v.Solarize.P, c.Solarize.P)
	fill(&v.DropChannels.P, c.DropChannels.P)
}

// ViewsConfig returns the views that a resolved configuration asks for.
func (c Config) ViewsConfig() views.Config { return c.Views.at(c.Encoder.ImageSize.value) }

// at closes what is open, global views having the given size. Open local ones get it too; what suits some images only is the
// preset's.
func (v Views) at(size int) views.Config {
	if preset, err := views.Preset(v.Preset); err == nil {
		v.suit(preset)
	}
	g, l, j := v.Global, v.Local, v.Jitter
	mean, _ := v.Mean.Get()
	std, _ := v.Std.Get()
	return views.Config{
		Global: views.GlobalConfig{Count: g.Count, Size: size, Scale: g.Scale, Ratio: g.Ratio, Interpolation: g.Interpolation},
		Local:  views.LocalConfig{Count: l.Count, Size: l.Size.Or(size), Scale: l.Scale, Ratio: l.Ratio, Interpolation: l.Interpolation},
		Flip:   v.Flip, VerticalFlip: v.VerticalFlip, Dihedral: v.Dihedral, Rotation: v.Rotation,
		Jitter:    views.JitterConfig{P: j.P, Brightness: j.Brightness, Contrast: j.Contrast, Saturation: j.Saturation.value, Hue: j.Hue.value},
		Grayscale: v.Grayscale.value, Blur: v.Blur, Noise: v.Noise,
		Solarize:     views.SolarizeConfig{P: v.Solarize.P.value, Threshold: v.Solarize.Threshold},
		DropChannels: views.DropConfig{P: v.DropChannels.P.value, Most: v.DropChannels.Most, Fill: v.DropChannels.Fill},
		Steps:        v.Steps, Mean: mean, Std: std,
	}
}

// check reports what package views would not accept, and statistics that are not one for each channel.
func (v Views) check(p *problems, e Encoder) {
	size := e.ImageSize.Or(224)
	if size < 1 {
		size = 224 // reported already
	}
	closed := v.at(size)
	_, mean := v.Mean.Get()
	_, std := v.Std.Get()
	switch { // one that is still open will have the length of the other
	case mean && !std:
		closed.Std = repeat(1, len(closed.Mean))
	case std && !mean:
		closed.Mean = repeat(0, len(closed.Std))
	}
	if err := closed.Validate(); err != nil {
		*p = append(*p, err)
	}
	channels, known := e.Channels.Get()
	if known && channels >= 1 {
		given := v // what is open will suit
		given.suit(views.Config{})
		suited := given.at(size)
		suited.Mean, suited.Std = nil, nil
		if err := suited.Suits(views.Kind{Channels: channels}); err != nil {
			*p = append(*p, err)
		}
	}
	for _, s := range []struct {
		key  string
		list AutoList
	}{{"views.mean", v.Mean}, {"views.std", v.Std}} {
		values, set := s.list.Get()
		p.check(!set || !known || len(values) == channels, s.key, s.list, countOf(channels))
	}
}

// resolve fills in the size of local views, what suits the images, and the statistics of the channels.
func (v *Views) resolve(imageSize, patch, channels int, f Facts) {
	fill(&v.Local.Size, views.LocalSize(imageSize, patch))
	if preset, err := views.Preset(v.Preset); err == nil {
		preset.DropChannels.Most = v.DropChannels.Most
		v.suit(preset.For(views.Kind{Channels: channels}))
	}
	mean, std := repeat(0.5, channels), repeat(0.5, channels)
	switch {
	case len(f.Mean) == channels && len(f.Std) == channels:
		mean, std = f.Mean, f.Std
	case channels == 3:
		mean, std = views.Paper().Mean, views.Paper().Std
	}
	if !v.Mean.set {
		v.Mean = ListOf(mean...)
	}
	if !v.Std.set {
		v.Std = ListOf(std...)
	}
}

func repeat(x float64, n int) []float64 {
	list := make([]float64, n)
	for i := range list {
		list[i] = x
	}
	return list
}
