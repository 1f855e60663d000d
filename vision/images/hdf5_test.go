package images

import (
	"archive/zip"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// unzipped writes a file of hdf5's tests to a folder.
func unzipped(t *testing.T, name string) string {
	z, err := zip.OpenReader("hdf5/testdata/files.zip")
	require.NoError(t, err)
	defer z.Close()
	data, err := fs.ReadFile(z, name)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

func TestHDF5(t *testing.T) {
	ctx := context.Background()
	path := unzipped(t, "galaxies.h5")
	s, err := OpenHDF5(path, "", "ans", DefaultOptions())
	require.NoError(t, err)
	defer s.Close()
	var _ Labelled = s
	assert.Equal(t, 5, s.Len())
	assert.Equal(t, []string{"0", "1", "2", "3"}, s.Classes())
	var labels []int
	for i := range s.Len() {
		l, ok := s.Label(i)
		require.True(t, ok)
		labels = append(labels, l)
	}
	assert.Equal(t, []int{3, 0, 1, 1, 2}, labels)
	assert.Equal(t, "galaxies.h5:images[4]", s.Name(4))
	first, err := s.Image(ctx, 0)
	require.NoError(t, err)
	require.NoError(t, first.Check())
	assert.Equal(t, [3]int{3, 10, 12}, [3]int{first.Channels, first.Height, first.Width})
	last, err := s.Image(ctx, 4)
	require.NoError(t, err)
	for i, v := range first.Pix { // the generator divides the first picture
		require.Equal(t, v/5, last.Pix[i])
	}
	_, err = s.Image(ctx, 5)
	assert.ErrorContains(t, err, `galaxies.h5:images[5]: dataset "images": row 5`)

	o := DefaultOptions()
	o.Channels, o.Deep = 1, true
	grey, err := OpenHDF5(path, "images", "", o)
	require.NoError(t, err)
	defer grey.Close()
	m, err := grey.Image(ctx, 0)
	require.NoError(t, err)
	p := len(m.Float)
	want := (0.299*float32(first.Pix[7]) + 0.587*float32(first.Pix[p+7]) + 0.114*float32(first.Pix[2*p+7])) / 255
	assert.InDelta(t, want, m.Float[7], 1e-6)
	_, ok := grey.Label(0)
	assert.False(t, ok)

	fails := func(path, images, labels, want string, o Options) {
		t.Helper()
		_, err := OpenHDF5(path, images, labels, o)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, filepath.Base(path))
	}
	fails(path, "nothing", "", `there is no dataset "nothing": it has ["ans" "images" "redshift"]`, DefaultOptions())
	fails(path, "ans", "", `dataset "ans" has a shape of [5]`, DefaultOptions())
	fails(path, "", "redshift", "expected 5 integers", DefaultOptions())
	fails(path, "", "images", "expected 5 integers", DefaultOptions())
	fails(path, "", "", "more than the 100 that are allowed (MaxPixels)", Options{MaxPixels: 100})
	fails(path, "", "", "max pixels: 0", Options{})
	fails(unzipped(t, "user_block.h5"), "", "", `none of the datasets ["a"] is an array of images`, DefaultOptions())
	fails(filepath.Join(t.TempDir(), "missing.h5"), "", "", "no such file", DefaultOptions())
}

func TestOpenHDF5ByPath(t *testing.T) {
	path := unzipped(t, "galaxies.h5")
	s := open(t, path, func(o *OpenOptions) { o.Labels = true })
	assert.Equal(t, 5, s.Len())
	assert.Equal(t, []int{3, 0, 1, 1, 2}, labelsOf(s), "by a usual name")
	assert.Empty(t, open(t, path, nil).(Labelled).Classes(), "not asked for")
	u, _, err := Alike(context.Background(), s, 1, 0)
	require.NoError(t, err)
	m, err := u.Image(context.Background(), 0)
	require.NoError(t, err)
	assert.Equal(t, 1, m.Channels)
	openFails(t, path, func(o *OpenOptions) { o.LabelColumn = "redshift" }, "redshift")
	openFails(t, path, func(o *OpenOptions) { o.CaptionColumn = "text" }, "have no captions")
}
