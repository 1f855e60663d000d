package train

import (
	"github.com/gojepa/gojepa/lejepa"
	"github.com/gojepa/gojepa/sigreg"
	"github.com/gojepa/gojepa/sigreg/univariate"
	"github.com/gojepa/gojepa/train/config"
)

// tests are the tests of slices by their names in a configuration, Epps and Pulley's apart, which has options there.
var tests = map[string]sigreg.Test{
	"anderson-darling": univariate.AndersonDarling{},
	"cramer-von-mises": univariate.CramerVonMises{},
	"watson":           univariate.Watson{},
	"shapiro-wilk":     univariate.ShapiroWilk{},
	"vcreg":            univariate.VCReg{},
	"jarque-bera":      univariate.ExtendedJarqueBera{},
	"moments":          univariate.DefaultMoments(),
	"entropy":          univariate.DefaultEntropy(),
	"nll":              univariate.NLL{},
}

// newObjective is the objective of a valid configuration.
func newObjective(c config.Config) lejepa.Objective {
	l := c.Loss
	o := lejepa.Objective{
		Lambda: l.Lambda, Clip: l.Clip, Test: tests[l.Test],
		Slices: sigreg.Slices{Count: l.Slices, Every: l.ResampleEvery, Seed: c.Seed},
	}
	if l.Directions == "orthogonal" {
		o.Slices.Sampling = sigreg.Orthogonal
	}
	if l.Test == "epps-pulley" {
		e := sigreg.EppsPulley{Knots: l.Knots, TMax: l.TMax, Symmetric: l.Symmetric}
		if l.Weight == "uniform" {
			e.Weight = sigreg.Uniform
		}
		o.Test = e
	}
	return o
}
