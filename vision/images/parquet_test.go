package images

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOpenParquet(t *testing.T) {
	ctx := context.Background()
	dir := goldenFolder(t, "train-00000-of-00002.parquet", "train-00001-of-00002.parquet")
	s := open(t, dir, nil)
	assert.Equal(t, "train-00000-of-00002.parquet[4]", s.Name(4))
	assert.Equal(t, "train-00001-of-00002.parquet[1]", s.Name(6))
	require.Equal(t, 7, s.Len())
	for _, i := range []int{6, 0, 5, 3, 1, 4, 2} {
		equalGolden(t, s, i, i)
	}
	assert.Empty(t, s.(Labelled).Classes())
	assert.Equal(t, goldenCaptions, captionsOf(s))
	s = open(t, dir, labels)
	assert.Equal(t, goldenLabels, labelsOf(s))
	assert.Equal(t, goldenClasses, s.(Labelled).Classes())

	plain := filepath.Join(sources, "plain.parquet")
	s = open(t, plain, func(o *OpenOptions) { o.LabelColumn, o.CaptionColumn = "species", "name" })
	assert.Equal(t, []int{2, 0, 1, 1, -1, 2, 1}, labelsOf(s))
	assert.Equal(t, goldenClasses, s.(Labelled).Classes())
	assert.Equal(t, []string{"n0", "n1", "n2", "n3", "n4", "n5", "n6"}, captionsOf(s))
	for i := range s.Len() {
		if i != 2 {
			equalGolden(t, s, i, i)
		}
	}
	_, err := s.Image(ctx, 2)
	require.ErrorContains(t, err, plain+": row 2 has no image")
	chunk := s.(*ParquetSource).files[0].image.chunks[0]
	require.GreaterOrEqual(t, len(chunk.pages), 3)
	assert.True(t, chunk.pages[0].dictionary, "pages behind a dictionary …")
	assert.False(t, chunk.pages[len(chunk.pages)-1].dictionary, "… and without")

	openFails(t, plain, func(o *OpenOptions) { o.ImageColumn = "picture" }, `image column "picture": expected one of ["name" "photo" "species"]`)
	openFails(t, plain, func(o *OpenOptions) { o.LabelColumn = "kind" }, `label column "kind"`)
	openFails(t, plain, labels, "no column is known for one of labels")
	openFails(t, filepath.Join(dir, "train-{00000,00002}-of-00002.parquet"), nil, "there is no ")

	// A cache with no room keeps nothing, and gives the same.
	s = open(t, dir, nil)
	for _, f := range s.(*ParquetSource).files {
		f.image.cache.room = 0
	}
	for i := range s.Len() {
		equalGolden(t, s, i, i)
	}
	cache := s.(*ParquetSource).files[0].image.cache
	assert.Empty(t, cache.pages)
	assert.Zero(t, cache.used.Len())
	assert.Zero(t, cache.room)
}

// TestParquetBroken damages files everywhere: an error or an image, and never a crash.
func TestParquetBroken(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "x.parquet")
	for _, name := range []string{"train-00000-of-00002.parquet", "plain.parquet", "train-00001-of-00002.parquet"} {
		data, err := os.ReadFile(filepath.Join(sources, name))
		require.NoError(t, err)
		try := func(b []byte) (read int) {
			require.NoError(t, os.WriteFile(path, b, 0o644))
			s, err := Open(ctx, path, DefaultOpen())
			if err != nil {
				assert.ErrorContains(t, err, path)
				return 0
			}
			for i := range min(s.Len(), 100) {
				if _, err := s.Image(ctx, i); err == nil {
					read++
				} else {
					assert.ErrorContains(t, err, path)
				}
			}
			return read
		}
		whole := try(data)
		for n := 0; n < len(data); n += 97 {
			require.Zero(t, try(data[:n]), "without its footer a file has nothing")
		}
		fewer := 0
		for i := 0; i < len(data); i += 13 {
			bad := append([]byte{}, data...)
			bad[i] ^= 0xff
			if try(bad) < whole {
				fewer++
			}
		}
		assert.Greater(t, fewer, 10)
	}
	// A footer that claims lists of billions.
	hostile := []byte("PAR1")
	footer := []byte{0x15, 0x02, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00}
	hostile = append(append(hostile, footer...), byte(len(footer)), 0, 0, 0)
	require.NoError(t, os.WriteFile(path, append(hostile, "PAR1"...), 0o644))
	openFails(t, path, nil, "footer: unexpected EOF")
	require.NoError(t, os.WriteFile(path, []byte("PAR1\xff\xff\xff\x7fPAR1"), 0o644))
	openFails(t, path, nil, "footer: ", "expected 2147483647")

	dir := goldenFolder(t, "train-00000-of-00002.parquet")
	s := open(t, dir, nil)
	require.NoError(t, os.RemoveAll(dir))
	_, err := s.Image(ctx, 0)
	require.ErrorIs(t, err, os.ErrNotExist)
}
