package dicom

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkDecode decodes real files of several transfer syntaxes.
func BenchmarkDecode(b *testing.B) {
	for name, file := range map[string]string{
		"native": "MR2_UNCI", "RLE": "OBXXXX1A_rle", "JPEG lossless": "JPGLosslessP14SV1_1s_1f_8b", "JPEG-LS": "JLSL_16_15_1_1F", "JPEG 2000": "RG3_J2KR",
	} {
		b.Run(name, func(b *testing.B) {
			data, err := os.ReadFile("../../../../shared/data/formats/dicom/" + file + ".dcm")
			if err != nil {
				b.Skipf("no real file: %v", err)
			}
			b.ReportAllocs()
			for range b.N {
				_, err := Decode(data, 0, Options{MaxPixels: 1 << 27})
				require.NoError(b, err)
			}
		})
	}
}
