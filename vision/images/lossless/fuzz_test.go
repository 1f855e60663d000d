package lossless

import (
	"archive/zip"
	"bytes"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fuzz starts from the streams in DICOM files whose names begin so.
func fuzz(f *testing.F, prefix string, decode func([]byte, Size) (*Picture, error)) {
	z, err := zip.OpenReader("../testdata/formats_small.zip")
	require.NoError(f, err)
	defer z.Close()
	n := 0
	for _, file := range z.File {
		if strings.HasPrefix(file.Name, "dicom/"+prefix) {
			data, err := fs.ReadFile(z, file.Name)
			require.NoError(f, err)
			from, to := bytes.Index(data, []byte("\xff\xd8\xff")), bytes.LastIndex(data, []byte("\xff\xd9"))
			require.True(f, 0 < from && from < to, file.Name)
			for _, s := range []Size{{30, 17, 1}, {30, 17, 3}, {8, 6, 1}, {8, 6, 3}, {36, 24, 1}} {
				if _, err := decode(data[from:to+2], s); err == nil {
					f.Add(data[from:to+2], uint8(s.Width), uint8(s.Height), uint8(s.Components))
					n++
				}
			}
		}
	}
	require.GreaterOrEqual(f, n, 7, "streams to start from")
	f.Fuzz(func(t *testing.T, data []byte, width, height, components uint8) {
		s := Size{int(width), int(height), int(components)}
		p, err := decode(data, s)
		if err == nil {
			require.Equal(t, s, p.Size)
			require.Len(t, p.Samples, s.Width*s.Height*s.Components)
		}
	})
}

func FuzzJPEG(f *testing.F) { fuzz(f, "lossless_", JPEG) }

func FuzzLS(f *testing.F) { fuzz(f, "ls_", LS) }
