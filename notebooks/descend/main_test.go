package main

import (
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/internal/npy"
	"github.com/gojepa/gojepa/torch/torchtest"
)

func TestMain(m *testing.M) { torchtest.Main(m) }

// TestDescent: every test's value falls to that of Gaussian samples or below, from the same cloud.
func TestDescent(t *testing.T) {
	o := options{Out: filepath.Join(t.TempDir(), "new"), Points: 100, Steps: 60, Every: 25, Slices: 16, LR: 0.1, Threads: 1}
	require.NoError(t, o.check())
	require.NoError(t, run(t.Context(), o, io.Discard))
	text, err := os.ReadFile(filepath.Join(o.Out, "descent.json"))
	require.NoError(t, err)
	var all []descent
	require.NoError(t, json.Unmarshal(text, &all))
	require.Len(t, all, 14)
	var start []float32
	for _, d := range all {
		assert.Equal(t, []int{0, 25, 50, 60}, d.Frames, d.Name)
		require.Len(t, d.Values, 61, d.Name)
		assert.Less(t, d.Values[60], max(d.Gaussian, d.Values[0]/2), d.Name)
		f, err := os.Open(filepath.Join(o.Out, d.Name+".npy"))
		require.NoError(t, err)
		shape, x, err := npy.Read[float32](f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		assert.Equal(t, []int{4, 100, 2}, shape, d.Name)
		if start == nil {
			start = x[:200]
		}
		assert.Equal(t, start, x[:200], d.Name)
		assert.NotEqual(t, start, x[600:], d.Name)
	}
}

func TestBadOptions(t *testing.T) {
	o := options{Points: 3, LR: math.Inf(1), Threads: -1}
	err := o.check()
	for _, want := range []string{"--out: missing", "--points: 3, expected 16", "--steps: 0", "--every: 0", "--slices: 0", "--lr: +Inf", "--threads: -1"} {
		assert.ErrorContains(t, err, want)
	}
}
