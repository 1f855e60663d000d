package train

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/internal/fields"
	"github.com/gojepa/gojepa/sigreg"
	"github.com/gojepa/gojepa/sigreg/univariate"
	"github.com/gojepa/gojepa/train/config"
)

func TestNewObjective(t *testing.T) {
	c := config.Default()
	c.Seed = 5
	assert.Equal(t, sigreg.Default(), newObjective(c).Test)
	assert.Equal(t, sigreg.Slices{Count: 1024, Every: 1, Seed: 5}, newObjective(c).Slices)
	c.Loss = config.Loss{
		Lambda: 0.1, Slices: 9, Directions: "orthogonal", ResampleEvery: 3, Test: "epps-pulley", Knots: 8, TMax: 4,
		Symmetric: true, Weight: "uniform", Clip: 1.5,
	}
	o := newObjective(c)
	assert.Equal(t, sigreg.EppsPulley{Knots: 8, TMax: 4, Symmetric: true, Weight: sigreg.UniformWeight}, o.Test)
	assert.Equal(t, sigreg.Slices{Count: 9, Sampling: sigreg.Orthogonal, Every: 3, Seed: 5}, o.Slices)
	assert.Equal(t, 1.5, o.Clip)
	assert.Equal(t, 0.1, o.Lambda)
	c.Loss.Test = "watson"
	assert.Equal(t, univariate.Watson{}, newObjective(c).Test)
}

func TestSmallBatch(t *testing.T) {
	c := small(t)
	c.Loss.Test, c.Schedule.BatchSize = "entropy", config.Of(2)
	_, err := Run(context.Background(), c, WithSource(&stripes{n: 40}))
	assert.ErrorContains(t, err, "schedule.batch_size: 2, expected 3 or more for loss.test entropy")
}

// TestEveryTestTrains runs a few steps with every test that a configuration can name.
func TestEveryTestTrains(t *testing.T) {
	c := small(t)
	var names []string
	for _, f := range fields.Of(&c) {
		if f.Path == "loss.test" {
			names = f.Enum
		}
	}
	require.Len(t, names, len(tests)+1)
	for _, name := range names {
		c := small(t)
		c.Loss.Test, c.Loss.Directions, c.Loss.ResampleEvery = name, "orthogonal", 2
		c.Schedule.Steps = config.Of(2)
		res, err := Run(context.Background(), c, WithSource(&stripes{n: 40}))
		require.NoError(t, err, name)
		assert.True(t, res.Last.Finite(), name)
		assert.NotZero(t, res.Last.SIGReg, name)
	}
}
