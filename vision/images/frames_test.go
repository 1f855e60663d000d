package images

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/internal/npy"
)

// cube writes an array of n images, 2×3 pixels each, the i-th of them filled by 10·i + seed.
func cube(t *testing.T, path string, n, seed int) {
	t.Helper()
	v := make([]uint8, n*2*3*1)
	for i := range v {
		v[i] = uint8(10*(i/6) + seed)
	}
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, npy.Write(f, []int{n, 2, 3, 1}, v))
	require.NoError(t, f.Close())
}

func TestFramesOfFilesAreImages(t *testing.T) {
	ctx := context.Background()
	dir, index := t.TempDir(), t.TempDir()
	for class, sizes := range map[string][]int{"a": {3, 1}, "b": {2}} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, class), 0o755))
		for k, n := range sizes {
			cube(t, filepath.Join(dir, class, fmt.Sprintf("%d.npy", k)), n, 100*k+len(class))
		}
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a", "broken.npy"), []byte("\x93NUMPY\x01\x00"), 0o644))
	o := DefaultOptions()
	o.Labels, o.Channels = true, 0
	read := func(x *folderIndex) *FolderSource {
		s, err := folder(ctx, dir, o, x)
		require.NoError(t, err)
		return s
	}
	for range 2 { // without and with what the index says
		s := read(&folderIndex{dir: index, note: func(text string) { t.Error(text) }})
		assert.Equal(t, []string{"a/0.npy[0]", "a/0.npy[1]", "a/0.npy[2]", "a/1.npy", "a/broken.npy", "b/0.npy[0]", "b/0.npy[1]"}, names(s))
		assert.Equal(t, []int{0, 0, 0, 0, 0, 1, 1}, labelsOf(s))
		m, err := s.Image(ctx, 2)
		require.NoError(t, err)
		assert.Equal(t, []uint8{21, 21, 21, 21, 21, 21}, m.Pix)
		m, err = s.Image(ctx, 6)
		require.NoError(t, err)
		assert.Equal(t, uint8(11), m.Pix[0])
		_, err = s.Image(ctx, 4)
		assert.ErrorContains(t, err, "broken.npy: ")
	}

	// An edit is noticed by a rescan, a new file always.
	cube(t, filepath.Join(dir, "b", "0.npy"), 4, 0)
	assert.Equal(t, 7, read(&folderIndex{dir: index}).Len())
	assert.Equal(t, 9, read(&folderIndex{dir: index, rescan: true}).Len())
	cube(t, filepath.Join(dir, "b", "1.npy"), 2, 0)
	assert.Equal(t, 11, read(&folderIndex{dir: index}).Len())

	files, err := filepath.Glob(filepath.Join(index, "frames-*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.NoError(t, os.WriteFile(files[0], []byte("no index"), 0o644))
	var said string
	assert.Equal(t, 11, read(&folderIndex{dir: index, note: func(text string) { said = text }}).Len())
	assert.Contains(t, said, "it is made anew")
}
