package images

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"math"
	"os"
	"path"
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
	Images []imageGolden
}

type imageGolden struct {
	Shape     [3]int
	Sum       float64
	NaN       int
	Low, High float64
	SHA256    string // its first 8 bytes
	Step      int
	Samples   []float32 // where JPEG loses
	Shown     []float32 // through the window
	ZScale    []float64
}

// TestFormats goes through every file of ../shared/data/formats: its rasters equal those of pydicom, tifffile and rasterio,
// or astropy in every bit, or it is refused for the stated reason. Where JPEG loses, samples differ by what the two inverse
// DCTs round differently: at most 0.1 on average and 3 anywhere.
func TestFormats(t *testing.T) {
	root := filepath.Join("..", "..", "..", "shared", "data", "formats")
	if _, err := os.Stat(root); err != nil {
		t.Skipf("no files of real formats: %v", err)
	}
	testFormats(t, os.DirFS(root), "testdata/formats.json")
}

// TestSmallFormats does the same for small files of what those lack, made by scripts/golden/formats_small.py.
func TestSmallFormats(t *testing.T) {
	z, err := zip.OpenReader("testdata/formats_small.zip")
	require.NoError(t, err)
	defer z.Close()
	testFormats(t, z, "testdata/formats_small.json")
}

func testFormats(t *testing.T, files fs.FS, golden string) {
	data, err := os.ReadFile(golden)
	require.NoError(t, err)
	var all formatsGolden
	require.NoError(t, json.Unmarshal(data, &all))
	seen := 0
	require.NoError(t, fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "LICENSE" {
			return err
		}
		seen++
		t.Run(name, func(t *testing.T) {
			want, ok := all[name]
			require.True(t, ok, "%s is not in %s: run scripts/golden/formats.py", name, golden)
			data, err := fs.ReadFile(files, name)
			require.NoError(t, err)
			read := readers[path.Base(path.Dir(name))]
			if want.Error != "" {
				_, err := read(data, 0)
				require.ErrorContains(t, err, want.Error)
				_, err = Decode(data, Options{MaxPixels: DefaultMaxPixels, Deep: true})
				require.ErrorContains(t, err, want.Error)
				return
			}
			n, err := Frames(data)
			require.NoError(t, err)
			require.Equal(t, len(want.Images), n)
			for i, w := range want.Images {
				r, err := read(data, i)
				require.NoError(t, err)
				testImage(t, w, r)
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
			_, err = read(data, n)
			require.ErrorContains(t, err, "there is no image")
			// The whole way, and too large.
			m, err := Decode(data, Options{MaxPixels: DefaultMaxPixels, Deep: true})
			require.NoError(t, err)
			require.NoError(t, m.Check())
			_, err = Decode(data, Options{MaxPixels: int64(m.Height*m.Width) - 1, Deep: true})
			require.ErrorContains(t, err, "MaxPixels")
		})
		return nil
	}))
	assert.Len(t, all, seen, "files that scripts/golden/formats.py saw")
}

func testImage(t *testing.T, want imageGolden, r *raster.Raster) {
	t.Helper()
	require.Equal(t, want.Shape, [3]int{r.Channels, r.Height, r.Width})
	assert.Equal(t, [2]float64{want.Low, want.High}, [2]float64{r.Low, r.High}, "black and white")
	if want.SHA256 == "" {
		near(t, want.Samples, r.Samples, want.Step)
		return
	}
	sum, missing, digest := summary(r)
	assert.InDelta(t, want.Sum, sum, 1e-9*math.Abs(want.Sum), "sum")
	assert.Equal(t, want.NaN, missing, "samples without a value")
	assert.Equal(t, want.SHA256, digest)
	if want.ZScale != nil {
		low, high := zscale(finite(r))
		assert.InDeltaSlice(t, want.ZScale, []float64{low, high}, 1e-9*(want.ZScale[1]-want.ZScale[0]), "zscale")
	}
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
	return sum, missing, hex.EncodeToString(h.Sum(nil)[:8])
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
	assert.LessOrEqual(t, mean, 0.1)
	assert.LessOrEqual(t, most, 3.)
}
