package config

// Views says how many crops are made of each image, and of what size.
type Views struct {
	Global    int       `yaml:"global" flag:"global-views" help:"large crops of each image; their mean is what all views predict"`
	Local     int       `yaml:"local" flag:"local-views" help:"small crops of each image, at a size of their own"`
	LocalSize Auto[int] `yaml:"local_size" flag:"local-size" arg:"PX" help:"side of local views; auto is the multiple of the patch size nearest to 0.4375 times the image size"`
}

func defaultViews() Views { return Views{Global: 2, Local: 6} }

func (v Views) check(p *problems) {
	p.check(v.Global >= 1, "views.global", v.Global, "1 or more")
	p.check(v.Local >= 0, "views.local", v.Local, "0 or more")
	p.atLeast(1, "views.local_size", v.LocalSize)
}

// resolve fills in the size of local views: 98/224 of the global ones, as published.
func (v *Views) resolve(imageSize, patch int) {
	fill(&v.LocalSize, multiple(0.4375*float64(imageSize), patch))
}
