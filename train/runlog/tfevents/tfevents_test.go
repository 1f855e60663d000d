package tfevents

import (
	"math"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAgainstTensorBoard compares with what TensorBoard's own writer made of the same: see scripts/golden/events.py.
func TestAgainstTensorBoard(t *testing.T) {
	want, err := os.ReadFile("testdata/events.bin")
	require.NoError(t, err)
	at := func(ms int64) time.Time { return time.UnixMilli(1_700_000_000_000 + ms) }
	b := AppendStart(nil, at(250))
	b = AppendScalars(b, at(500), 0, []Scalar{{"eval/knn", 0.5}})
	b = AppendScalars(b, at(1000), 1, []Scalar{{"train/loss", 0.1}, {"train/lr", 5e-4}})
	b = AppendScalars(b, at(2000), 300, []Scalar{{"train/loss", math.NaN()}, {"train/grad_norm", math.Inf(1)}, {"train/seconds", 0}})
	b = AppendScalars(b, at(3000), 5_000_000_000, []Scalar{{"größe", -2}})
	b = AppendScalars(b, at(4000), 5_000_000_001, nil)
	assert.Equal(t, want, b)
}
