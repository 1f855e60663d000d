package j2k

import (
	"archive/zip"
	"bytes"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzDecode(f *testing.F) {
	z, err := zip.OpenReader("../testdata/formats_small.zip")
	require.NoError(f, err)
	defer z.Close()
	n := 0
	for _, file := range z.File {
		if strings.HasPrefix(file.Name, "dicom/j2k_") {
			data, err := fs.ReadFile(z, file.Name)
			require.NoError(f, err)
			from := bytes.Index(data, []byte("\xff\x4f\xff\x51"))
			require.Positive(f, from, file.Name)
			components := 1
			if _, err := Decode(data[from:], Size{45, 37, 1}); err != nil {
				components = 3
			}
			_, err = Decode(data[from:], Size{45, 37, components})
			require.NoError(f, err, file.Name)
			f.Add(data[from:], uint8(45), uint8(37), uint8(components))
			n++
		}
	}
	require.GreaterOrEqual(f, n, 20, "codestreams to start from")
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
	z, err := zip.OpenReader("../testdata/formats_small.zip")
	require.NoError(t, err)
	defer z.Close()
	for name, style := range map[string]byte{
		"bypass": styleBypass, "reset": styleReset, "termall": styleTermAll, "causal": styleCausal, "segments": styleSegments,
		"all": styleBypass | styleReset | styleTermAll | styleCausal | styleSegments,
	} {
		data, err := fs.ReadFile(z, "dicom/j2k_mode_"+name+".dcm")
		require.NoError(t, err)
		at := bytes.Index(data, []byte{markCOD >> 8, markCOD & 0xff, 0, 12})
		require.Positive(t, at)
		require.Equal(t, style, data[at+12], name)
	}
}
