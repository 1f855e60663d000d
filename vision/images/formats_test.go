package images

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/vision/images/dicom"
	"github.com/gojepa/gojepa/vision/images/fits"
	"github.com/gojepa/gojepa/vision/images/npy"
	"github.com/gojepa/gojepa/vision/images/raster"
	"github.com/gojepa/gojepa/vision/images/tiff"
)

// readers are the packages of formats by the folders that their files lie in.
var readers = map[string]func(data []byte, frame int) (*raster.Raster, error){
	"dicom": func(data []byte, frame int) (*raster.Raster, error) {
		return dicom.Decode(data, frame, dicom.Options{MaxPixels: DefaultMaxPixels})
	},
	"fits": func(data []byte, frame int) (*raster.Raster, error) {
		return fits.Decode(data, frame, DefaultMaxPixels)
	},
	"npy": func(data []byte, frame int) (*raster.Raster, error) { return npy.Decode(data, frame, DefaultMaxPixels) },
	"tiff": func(data []byte, frame int) (*raster.Raster, error) {
		return tiff.Decode(data, frame, DefaultMaxPixels)
	},
}

// formatsGolden is what scripts/golden/formats.py wrote.
type formatsGolden map[string]struct {
	Error  string
	Images []struct {
		Shape     [3]int
		Sum       float64
		NaN       int
		Low, High float64
		SHA256    string
		Step      int
		Samples   []float32 // where JPEG loses
		Shown     []float32 // through the window
	}
}

// TestFormats goes through every file of ../shared/data/formats: its rasters equal those of pydicom, tifffile and rasterio,
// or astropy in every bit, or it is refused for the stated reason. Where JPEG loses, samples differ by what the two inverse
// DCTs round differently: at most 0.3 on average and 5 anywhere.
func TestFormats(t *testing.T) {
	root := filepath.Join("..", "..", "..", "shared", "data", "formats")
	if _, err := os.Stat(root); err != nil {
		t.Skipf("no files of real formats: %v", err)
	}
	data, err := os.ReadFile("testdata/formats.json")
	require.NoError(t, err)
	var golden formatsGolden
	require.NoError(t, json.Unmarshal(data, &golden))
	seen := 0
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "LICENSE" {
			return err
		}
		name, err := filepath.Rel(root, path)
		require.NoError(t, err)
		name = filepath.ToSlash(name)
		seen++
		t.Run(name, func(t *testing.T) {
			want, ok := golden[name]
			require.True(t, ok, "%s is not in testdata/formats.json: run scripts/golden/formats.py", name)
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			read := readers[filepath.Base(filepath.Dir(path))]
			if want.Error != "" {
				_, err := read(data, 0)
				require.ErrorContains(t, err, want.Error)
				return
			}
			n, err := Frames(data)
			require.NoError(t, err)
			require.Equal(t, len(want.Images), n)
			for i, w := range want.Images {
				r, err := read(data, i)
				require.NoError(t, err)
				require.Equal(t, w.Shape, [3]int{r.Channels, r.Height, r.Width})
				assert.Equal(t, [2]float64{w.Low, w.High}, [2]float64{r.Low, r.High}, "black and white")
				if w.SHA256 == "" {
					near(t, w.Samples, r.Samples, w.Step)
					continue
				}
				sum, missing, digest := summary(r)
				assert.InDelta(t, w.Sum, sum, 1e-9*math.Abs(w.Sum), "sum")
				assert.Equal(t, w.NaN, missing, "samples without a value")
				assert.Equal(t, w.SHA256, digest)
				m, err := DecodeFrame(data, i, Options{MaxPixels: DefaultMaxPixels, Deep: true, Stretch: Stretch{Range: RangeWindow}})
				if w.Shown == nil {
					require.ErrorContains(t, err, "the file has none")
					continue
				}
				require.NoError(t, err)
				for k, v := range w.Shown {
					require.InDelta(t, v, m.Float[k*w.Step], 2e-6, "sample %d through the window", k*w.Step)
				}
			}
			// The whole way, and too large.
			m, err := Decode(data, Options{MaxPixels: DefaultMaxPixels, Deep: true})
			require.NoError(t, err)
			require.NoError(t, m.Check())
			_, err = Decode(data, Options{MaxPixels: int64(m.Height*m.Width) - 1, Deep: true})
			require.ErrorContains(t, err, "MaxPixels")
		})
		return nil
	}))
	assert.Len(t, golden, seen, "files that scripts/golden/formats.py saw")
}

func summary(r *raster.Raster) (sum float64, missing int, digest string) {
	h := sha256.New()
	buf := make([]byte, 0, 4*r.Width)
	for i, v := range r.Samples {
		bits := math.Float32bits(v)
		if v != v {
			bits = 0x7fc00000
			missing++
		} else {
			sum += float64(v)
		}
		if buf = binary.LittleEndian.AppendUint32(buf, bits); len(buf) == cap(buf) || i == len(r.Samples)-1 {
			h.Write(buf)
			buf = buf[:0]
		}
	}
	return sum, missing, hex.EncodeToString(h.Sum(nil))
}

func near(t *testing.T, want, got []float32, step int) {
	t.Helper()
	var sum, most float64
	for i, w := range want {
		d := math.Abs(float64(got[i*step] - w))
		sum, most = sum+d, max(most, d)
	}
	mean := sum / float64(len(want))
	t.Logf("JPEG: mean difference %.3f, most %.0f", mean, most)
	assert.LessOrEqual(t, mean, 0.3)
	assert.LessOrEqual(t, most, 5.)
}
