package univariate

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// TestLogCDF holds value and gradient to scipy's from −1e30 to 12, each number by itself.
func TestLogCDF(t *testing.T) {
	raw, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	var g struct {
		LogCDF struct{ X, Value, Slope []float64 }
	}
	require.NoError(t, json.Unmarshal(raw, &g))
	require.Greater(t, len(g.LogCDF.X), 10)
	for dtype, tol := range map[torch.DType]float64{torch.Float64: 1e-13, torch.Float32: 1e-5} {
		torchtest.Do(t, func(s *torch.Scope) {
			for i, at := range g.LogCDF.X {
				x := s.Full(dtype, at).SetRequiresGrad(true)
				y := logCDF(s, x)
				y.Backward()
				if value := g.LogCDF.Value[i]; dtype == torch.Float32 && value < -math.MaxFloat32 {
					assert.True(t, math.IsInf(y.Item(), -1), "log Φ(%g) in float32 is %g", at, y.Item())
				} else {
					assert.InEpsilon(t, value, y.Item(), tol, "log Φ(%g) in %s", at, dtype)
				}
				assert.InEpsilon(t, g.LogCDF.Slope[i], x.Grad().Item(), tol, "slope at %g in %s", at, dtype)
			}
			// Where float32 has no number that small, and beyond.
			for _, at := range []float64{20, 100, 1e4, 1e30} {
				x := s.Full(torch.Float32, at).SetRequiresGrad(true)
				y := logCDF(s, x)
				y.Backward()
				assert.Equal(t, []float64{0, 0}, []float64{y.Item() + 0, x.Grad().Item()}, "at %g", at)
			}
			nan := s.Full(dtype, math.NaN()).SetRequiresGrad(true)
			logCDF(s, nan).Backward()
			assert.True(t, math.IsNaN(nan.Grad().Item()))
			assert.False(t, logCDF(s, nan.Detach()).RequiresGrad())
		})
	}
}
