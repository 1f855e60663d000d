package store

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// TestNeighbours: over shards they are those of all rows at once, in float64.
func TestNeighbours(t *testing.T) {
	ctx := context.Background()
	const rows, dim = 23, 6
	x := make([]float32, rows*dim)
	for i, v := range torchtest.Values(3, len(x)) {
		x[i] = float32(v)
	}
	copy(x[20*dim:], x[4*dim:5*dim]) // equal rows in two shards
	path := filepath.Join(t.TempDir(), "e.safetensors")
	_, err := Write(ctx, Options{Path: path, Images: rows, ShardRows: 5, Dim: dim}, func(_ context.Context, from, to int, add func(Rows) error) ([]LeftOut, error) {
		return nil, add(Rows{X: x[from*dim : to*dim]})
	})
	require.NoError(t, err)
	set, err := Open(path)
	require.NoError(t, err)
	cosine := func(a, b []float32) float64 {
		var ab, aa, bb float64
		for i := range a {
			ab, aa, bb = ab+float64(a[i])*float64(b[i]), aa+float64(a[i])*float64(a[i]), bb+float64(b[i])*float64(b[i])
		}
		return ab / math.Sqrt(aa*bb)
	}
	th, err := torch.Start(torch.Options{Device: torch.CPU, Threads: 1})
	require.NoError(t, err)
	defer th.Close()
	queries := eval.Features{X: x[3*dim : 6*dim], N: 3, D: dim}
	near, err := set.Neighbours(ctx, th, queries, 9) // more than a shard has
	require.NoError(t, err)
	for q, hits := range near {
		var all []float64
		for i := range rows {
			all = append(all, cosine(queries.Row(q), x[i*dim:(i+1)*dim]))
		}
		require.Len(t, hits, 9)
		for _, h := range hits {
			assert.InDelta(t, all[h.Index], h.Similarity, 1e-6)
		}
		slices.Sort(all)
		for i, h := range hits {
			assert.InDelta(t, all[rows-1-i], h.Similarity, 1e-6)
		}
	}
	row, features, err := set.Row(ctx, 20)
	require.NoError(t, err)
	assert.Equal(t, Row{Index: 20}, row)
	assert.Equal(t, x[20*dim:21*dim], features)
	_, _, err = set.Named(ctx, "a")
	assert.ErrorContains(t, err, "its rows have no names")
	_, err = set.Neighbours(ctx, th, eval.Features{X: x[:4], N: 1, D: 4}, 1)
	assert.ErrorContains(t, err, "rows of 6 features, expected 4")
}
