package report

import (
	"bytes"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/train/runlog"
)

// TestSpikesStay: of a run of any length a page keeps few points, and in them the least and greatest value of every figure.
func TestSpikesStay(t *testing.T) {
	const steps = 200_000
	c := new(Curves)
	for i := 1; i <= steps; i++ {
		s := runlog.Step{Step: i, Loss: float64(i % 7), GradNorm: 1}
		switch i {
		case 123_457:
			s.GradNorm = 1e6
		case 123_458:
			s.Loss = math.NaN()
		case steps - 1:
			s.GradNorm = 1e-6
		}
		c.Step(s)
	}
	points := c.steps.curve("grad", 1)
	assert.LessOrEqual(t, len(points), mostBuckets)
	assert.GreaterOrEqual(t, len(points), mostBuckets/2)
	low, high, sum := math.Inf(1), 0.0, 0.0
	for i, b := range points {
		low, high = min(low, b.low), max(high, b.high)
		assert.LessOrEqual(t, b.low, b.mean)
		assert.LessOrEqual(t, b.mean, b.high)
		if i > 0 {
			assert.Greater(t, b.x, points[i-1].x)
		}
		if b.low <= 1 && b.high >= 1e6 {
			assert.InDelta(t, 123_457, b.x, steps/float64(len(points)), "where it was")
		}
		sum += b.mean
	}
	assert.Equal(t, 1e-6, low)
	assert.Equal(t, 1e6, high)
	assert.InEpsilon(t, float64(len(points)), sum, 10)
	for _, b := range c.steps.curve("loss", 1)[:100] {
		assert.Equal(t, bucket{b.x, b.mean, 0, 6}, b)
	}

	var page bytes.Buffer
	require.NoError(t, Render(&page, &Report{Curves: c}))
	assert.Less(t, page.Len(), 400_000, "bytes of the page")
	t.Logf("a page of %d steps has %d bytes", steps, page.Len())
}

// TestCurvesOfFewSteps are the records themselves.
func TestCurvesOfFewSteps(t *testing.T) {
	c := CurvesOf(sampleLog(40))
	before := c.Clone()
	points := c.steps.curve("loss", 1)
	require.Len(t, points, 40)
	for i, s := range sampleLog(40).Steps {
		assert.Equal(t, bucket{float64(s.Step), s.Loss, s.Loss, s.Loss}, points[i])
	}
	for i := range 2000 {
		c.Step(runlog.Step{Step: 41 + i, Loss: 100})
	}
	assert.Equal(t, points, before.steps.curve("loss", 1), "a copy stays as it is")
	assert.Empty(t, new(Curves).steps.curve("loss", 1))
}
