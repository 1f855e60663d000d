package train

import (
	"fmt"

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

// leastBatch are the tests that take no single sample.
var leastBatch = map[string]int{"shapiro-wilk": 3, "entropy": 3, "vcreg": 2, "jarque-bera": 2}

// checkBatch reports a batch too small for the test.
func checkBatch(c config.Config) error {
	size, least := c.Schedule.BatchSize.Or(1), leastBatch[c.Loss.Test]
	if size < least {
		return fmt.Errorf("schedule.batch_size: %d, expected %d or more for loss.test %s", size, least, c.Loss.Test)
	}
	return nil
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
			e.Weight = sigreg.UniformWeight
		}
		o.Test = e
	}
	return o
}
