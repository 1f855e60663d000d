package j2k

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/vision/images/raster/rastertest"
)

func FuzzDecode(f *testing.F) {
	files := rastertest.Files(f, "dicom/j2k_")
	require.GreaterOrEqual(f, len(files), 20, "codestreams to start from")
	for _, file := range files {
		from := bytes.Index(file.Data, []byte("\xff\x4f\xff\x51"))
		require.Positive(f, from, file.Name)
		stream, components := file.Data[from:], 1
		if _, err := Decode(stream, Size{45, 37, 1}); err != nil {
			components = 3
		}
		_, err := Decode(stream, Size{45, 37, components})
		require.NoError(f, err, file.Name)
		f.Add(stream, uint8(45), uint8(37), uint8(components))
	}
	f.Fuzz(func(t *testing.T, data []byte, width, height, components uint8) {
		s := Size{int(width), int(height), int(components)}
		p, err := Decode(data, s)
		if err != nil {
			return
		}
		require.Equal(t, s, p.Size)
		require.Len(t, p.Samples, s.Components)
		for _, plane := range p.Samples {
			require.Len(t, plane, s.Width*s.Height)
		}
	})
}

// TestModes says that the files are of the block styles that their names promise.
func TestModes(t *testing.T) {
	for name, style := range map[string]byte{
		"bypass": styleBypass, "reset": styleReset, "termall": styleTermAll, "causal": styleCausal, "segments": styleSegments,
		"all": styleBypass | styleReset | styleTermAll | styleCausal | styleSegments,
	} {
		data := rastertest.Files(t, "dicom/j2k_mode_"+name+".dcm")[0].Data
		at := bytes.Index(data, []byte{markCOD >> 8, markCOD & 0xff, 0, 12})
		require.Positive(t, at)
		require.Equal(t, style, data[at+12], name)
	}
}
