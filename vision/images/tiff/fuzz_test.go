package tiff

import (
	"archive/zip"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzDecode(f *testing.F) {
	z, err := zip.OpenReader("../testdata/formats_small.zip")
	require.NoError(f, err)
	defer z.Close()
	for _, file := range z.File {
		if strings.HasPrefix(file.Name, "tiff/") {
			data, err := fs.ReadFile(z, file.Name)
			require.NoError(f, err)
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		Match(data)
		c, err := Config(data)
		r, errOfImage := Decode(data, 0, 1<<16)
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
