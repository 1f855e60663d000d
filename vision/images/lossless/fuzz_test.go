package lossless

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/vision/images/raster/rastertest"
)

// fuzz starts from the streams in DICOM files whose names begin so.
func fuzz(f *testing.F, prefix string, decode func([]byte, Size) (*Picture, error)) {
	n := 0
	for _, file := range rastertest.Files(f, "dicom/"+prefix) {
		from, to := bytes.Index(file.Data, []byte("\xff\xd8\xff")), bytes.LastIndex(file.Data, []byte("\xff\xd9"))
		require.True(f, 0 < from && from < to, file.Name)
		stream := file.Data[from : to+2]
		for _, s := range []Size{{30, 17, 1}, {30, 17, 3}, {8, 6, 1}, {8, 6, 3}, {36, 24, 1}} {
			if _, err := decode(stream, s); err == nil {
				f.Add(stream, uint8(s.Width), uint8(s.Height), uint8(s.Components))
				n++
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
