// Package rastertest helps tests of readers: the small files of all formats, and what holds of any reader whatever it is
// given.
package rastertest

import (
	"archive/zip"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/vision/images/raster"
)

// File is a file of a format.
type File struct {
	Name string // such as dicom/ls_rgb.dcm
	Data []byte
}

// Files are the small files whose names begin with prefix, of which there must be some. The test is of a package right below
// vision/images.
func Files(t testing.TB, prefix string) []File {
	t.Helper()
	z, err := zip.OpenReader("../testdata/formats_small.zip")
	require.NoError(t, err)
	defer z.Close()
	var files []File
	for _, file := range z.File {
		if strings.HasPrefix(file.Name, prefix) {
			data, err := fs.ReadFile(z, file.Name)
			require.NoError(t, err)
			files = append(files, File{file.Name, data})
		}
	}
	require.NotEmpty(t, files, "files that begin with %s", prefix)
	return files
}

// Fuzz starts from the files that begin with prefix. What decode makes of a file has to be as config says, and be whole;
// a file that config refuses, decode refuses too.
func Fuzz(f *testing.F, prefix string, match func([]byte) bool, config func([]byte) (raster.Config, error), decode func([]byte) (*raster.Raster, error)) {
	for _, file := range Files(f, prefix) {
		f.Add(file.Data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		match(data)
		c, err := config(data)
		r, errOfImage := decode(data)
		if err != nil {
			require.Error(t, errOfImage)
		}
		if errOfImage != nil {
			return
		}
		require.Equal(t, [3]int{c.Channels, c.Height, c.Width}, [3]int{r.Channels, r.Height, r.Width})
		require.Len(t, r.Samples, r.Channels*r.Height*r.Width)
	})
}
