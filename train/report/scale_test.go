package report

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLinearTicks(t *testing.T) {
	for _, tt := range []struct {
		low, high float64
		want      string
	}{
		{0, 3000, "0 1000 2000 3000"},
		{0.1, 0.47, "0 0.1 0.2 0.3 0.4 0.5"},
		{0, 0.002, "0 0.0005 0.0010 0.0015 0.0020"},
		{0, 5e-4, "0 1e-4 2e-4 3e-4 4e-4 5e-4"},
		{85.2, 98.4, "85 90 95 100"},
		{0, 1.2e5, "0 25k 50k 75k 100k 125k"},
		{0, 3.1e6, "0 1M 2M 3M 4M"},
		{-2, -2, "-2.2 -2.1 -2.0 -1.9 -1.8"},
		{0, 0, "-1.0 -0.5 0 0.5 1.0"},
		{1, 1e300, "0 2e299 4e299 6e299 8e299 1e300"},
	} {
		s := linearScale(interval{tt.low, tt.high})
		assert.Equal(t, tt.want, strings.Join(s.labels(), " "), "%g to %g", tt.low, tt.high)
		assert.GreaterOrEqual(t, s.at(tt.low), -1e-9)
		assert.LessOrEqual(t, s.at(tt.high), 1+1e-9)
	}
}

func TestLogTicks(t *testing.T) {
	for _, tt := range []struct {
		low, high float64
		want      string
	}{
		{1.1, 96, "1 2 5 10 20 50 100"},
		{0.12, 2.4, "0.2 0.5 1 2"},
		{1e-6, 5, "1e-5 0.001 0.1"},
		{1e-3, 1e300, "1e39 1e94 1e149 1e204 1e259"},
		{1.1, 1.7, "1.2 1.4 1.6"},
	} {
		s := logScale(interval{tt.low, tt.high})
		assert.Equal(t, tt.want, strings.Join(s.labels(), " "), "%g to %g", tt.low, tt.high)
		require.Less(t, len(s.ticks), 12)
		require.Greater(t, len(s.ticks), 1)
		for _, v := range s.ticks {
			assert.InDelta(t, 0.5, s.at(v), 0.6)
		}
	}
}

func TestFigures(t *testing.T) {
	for _, tt := range []struct {
		x    float64
		n    int
		want string
	}{
		{0, 3, "0"}, {1.0525, 3, "1.05"}, {0.0292, 2, "0.029"}, {123456, 3, "123456"}, {99.95, 3, "100"}, {12.34, 3, "12.3"},
		{0.00012345, 3, "0.000123"}, {1e-5, 3, "1e-5"}, {1.5e9, 3, "1.5e9"}, {-0.5, 3, "-0.500"},
	} {
		assert.Equal(t, tt.want, figures(tt.x, tt.n))
	}
}
