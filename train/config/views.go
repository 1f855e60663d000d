package config

import "github.com/gojepa/gojepa/vision/views"

// Views says what is made of each image: a [views.Config] whose sizes and statistics may be left open. Global views have
// the encoder's image size.
type Views struct {
	Global       GlobalViews          `yaml:"global"`
	Local        LocalViews           `yaml:"local"`
	Flip         float64              `yaml:"flip" arg:"P" help:"probability of mirroring a view left to right"`
	VerticalFlip float64              `yaml:"vertical_flip" arg:"P" help:"probability of mirroring a view top to bottom"`
	Jitter       views.JitterConfig   `yaml:"jitter"`
	Grayscale    float64              `yaml:"grayscale" arg:"P" help:"probability of replacing the colours of a view by its luma; for 3 channels"`
	Blur         views.BlurConfig     `yaml:"blur"`
	Solarize     views.SolarizeConfig `yaml:"solarize"`
	Mean         AutoList             `yaml:"mean" flag:"mean" arg:"X,X,…" help:"mean of each channel, of samples in [0, 1], subtracted before the encoder; auto is ImageNet's for 3 channels of 8 bits and the data's own for others, measured on 1000 images"`
	Std          AutoList             `yaml:"std" flag:"std" arg:"X,X,…" help:"standard deviation of each channel, likewise"`
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

// OpenViews returns a recipe with its sizes and statistics left open.
func OpenViews(c views.Config) Views {
	g, l := c.Global, c.Local
	return Views{
		Global: GlobalViews{g.Count, g.Scale, g.Ratio, g.Interpolation},
		Local:  LocalViews{l.Count, Auto[int]{}, l.Scale, l.Ratio, l.Interpolation},
		Flip:   c.Flip, VerticalFlip: c.VerticalFlip, Jitter: c.Jitter, Grayscale: c.Grayscale, Blur: c.Blur,
		Solarize: c.Solarize,
	}
}

// ViewsConfig returns the views that a resolved configuration asks for.
func (c Config) ViewsConfig() views.Config { return c.Views.at(c.Encoder.ImageSize.value) }

// at closes what is open, global views having the given size. Open local ones get it too.
func (v Views) at(size int) views.Config {
	g, l := v.Global, v.Local
	mean, _ := v.Mean.Get()
	std, _ := v.Std.Get()
	return views.Config{
		Global: views.GlobalConfig{Count: g.Count, Size: size, Scale: g.Scale, Ratio: g.Ratio, Interpolation: g.Interpolation},
		Local:  views.LocalConfig{Count: l.Count, Size: l.Size.Or(size), Scale: l.Scale, Ratio: l.Ratio, Interpolation: l.Interpolation},
		Flip:   v.Flip, VerticalFlip: v.VerticalFlip, Jitter: v.Jitter, Grayscale: v.Grayscale, Blur: v.Blur,
		Solarize: v.Solarize, Mean: mean, Std: std,
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
	for _, s := range []struct {
		key  string
		list AutoList
	}{{"views.mean", v.Mean}, {"views.std", v.Std}} {
		values, set := s.list.Get()
		p.check(!set || !known || len(values) == channels, s.key, s.list, countOf(channels))
	}
}

// resolve fills in the size of local views and the statistics of the channels.
func (v *Views) resolve(imageSize, patch, channels int, f Facts) {
	fill(&v.Local.Size, views.LocalSize(imageSize, patch))
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
