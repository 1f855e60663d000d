package images

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pillow is an image that scripts/golden/images.py wrote, as planes.
func pillow(t *testing.T, name string) *Image {
	f, err := os.Open(filepath.Join("testdata", name))
	require.NoError(t, err)
	defer f.Close()
	src, err := png.Decode(f)
	require.NoError(t, err)
	channels := 3
	if _, ok := src.(*image.Gray); ok {
		channels = 1
	}
	m := New(channels, src.Bounds().Dy(), src.Bounds().Dx())
	for y := range m.Height {
		for x := range m.Width {
			c := color.NRGBAModel.Convert(src.At(x, y)).(color.NRGBA)
			for i, v := range []uint8{c.R, c.G, c.B}[:channels] {
				m.Plane(i)[y*m.Width+x] = v
			}
		}
	}
	return m
}

// TestPillow holds pixels to Pillow's. PNG must be equal. JPEG may differ by what the two inverse DCTs round differently:
// at most 0.2 levels on average and 4 anywhere. (Go 1.26 does 0.05 and 3.)
func TestPillow(t *testing.T) {
	files, err := filepath.Glob("testdata/*.rgb.png")
	require.NoError(t, err)
	require.Len(t, files, 27)
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".rgb.png")
		data, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(t, err)
		for channels, suffix := range map[int]string{1: ".l.png", 3: ".rgb.png"} {
			t.Run(name+suffix, func(t *testing.T) {
				o := DefaultOptions()
				o.Channels = channels
				got, err := Decode(data, o)
				require.NoError(t, err)
				require.NoError(t, got.Check())
				want := pillow(t, name+suffix)
				require.Equal(t, [3]int{channels, want.Height, want.Width}, [3]int{got.Channels, got.Height, got.Width})
				sum, most := 0, 0
				for i, w := range want.Pix {
					d := max(int(got.Pix[i])-int(w), int(w)-int(got.Pix[i]))
					sum, most = sum+d, max(most, d)
				}
				mean := float64(sum) / float64(len(want.Pix))
				t.Logf("mean %.4f, most %d", mean, most)
				if strings.HasSuffix(name, ".png") {
					assert.Zero(t, most)
					return
				}
				assert.LessOrEqual(t, mean, 0.2)
				assert.LessOrEqual(t, most, 4)
			})
		}
	}
}

func TestSixteenBitsAreNotCutSilently(t *testing.T) {
	data, err := os.ReadFile("testdata/grey16.png")
	require.NoError(t, err)
	_, err = Decode(data, DefaultOptions())
	require.ErrorContains(t, err, "PNG: samples of more than 8 bits a channel: set Deep")

	o := DefaultOptions()
	o.Reduce16 = true
	m, err := Decode(data, o)
	require.NoError(t, err)
	for i := range 63 {
		assert.Equal(t, uint8(int(65535*float64(i)/62)>>8), m.Pix[i])
	}

	rgb := image.NewNRGBA64(image.Rect(0, 0, 2, 1))
	rgb.SetNRGBA64(1, 0, color.NRGBA64{0x1234, 0xabcd, 0xfe00, 0x8000})
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, rgb))
	m, err = Decode(b.Bytes(), o)
	require.NoError(t, err)
	assert.Equal(t, []uint8{0, 0x12, 0, 0xab, 0, 0xfe}, m.Pix)
}

func TestDecodeErrors(t *testing.T) {
	good, err := os.ReadFile("testdata/420.jpg")
	require.NoError(t, err)
	goodPNG, err := os.ReadFile("testdata/rgb.png")
	require.NoError(t, err)
	o := DefaultOptions()
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":     {nil, "the file is empty"},
		"text":      {[]byte("hello, world"), `it begins with "hello, w"`},
		"short":     {[]byte("\xff\xd8"), "neither JPEG, "},
		"no pixels": {[]byte("\x89PNG\r\n\x1a\n"), "reading PNG header"},
		"truncated": {good[:len(good)/2], "decoding JPEG: "},
		"header":    {good[:30], "reading JPEG header"},
		"png":       {goodPNG[:len(goodPNG)/2], "decoding PNG: "},
	} {
		_, err := Decode(c.data, o)
		assert.ErrorContains(t, err, c.want, name)
	}

	// A bomb: the header alone claims a gigapixel.
	bomb := bytes.Clone(goodPNG)
	binary.BigEndian.PutUint32(bomb[16:], 1<<15)
	binary.BigEndian.PutUint32(bomb[20:], 1<<15)
	binary.BigEndian.PutUint32(bomb[29:], crc32.ChecksumIEEE(bomb[12:29]))
	_, err = Decode(bomb, o)
	assert.ErrorContains(t, err, "32768×32768 pixels: more than the 134217728 that are allowed")
	o.MaxPixels = 45*37 - 1
	_, err = Decode(good, o)
	assert.ErrorContains(t, err, "more than the 1664 that are allowed")
	o.MaxPixels++
	_, err = Decode(good, o)
	assert.NoError(t, err)

	_, err = Decode(good, Options{Channels: 33})
	assert.ErrorContains(t, err, "channels: 33, expected 1 to 32, or 0 for what each file has")
	assert.ErrorContains(t, err, "max pixels: 0, expected a positive number")
}

func TestOrientationOfBrokenExif(t *testing.T) {
	data, err := os.ReadFile("testdata/orientation6.jpg")
	require.NoError(t, err)
	require.Equal(t, 6, orientation(data))
	at := bytes.Index(data, []byte("Exif\x00\x00"))
	require.Positive(t, at)
	for n := range len(data) { // cut anywhere: no panic
		orientation(data[:max(n, 2)])
	}
	for i := at; i < at+40; i++ { // any byte wrong: no panic, and a value that exists
		broken := bytes.Clone(data)
		broken[i] ^= 0xff
		assert.Contains(t, []int{1, 2, 3, 4, 5, 6, 7, 8}, orientation(broken))
	}
}

func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/*.*")
	require.NoError(f, err)
	for _, name := range files {
		if strings.HasSuffix(name, ".rgb.png") || strings.HasSuffix(name, ".l.png") {
			continue
		}
		data, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, channels := range []int{1, 3} {
			m, err := Decode(data, Options{Channels: channels, MaxPixels: 1 << 16, Reduce16: true})
			if err != nil {
				continue
			}
			require.NoError(t, m.Check())
			require.Equal(t, channels, m.Channels)
		}
	})
}

func TestImageCheck(t *testing.T) {
	assert.NoError(t, New(2, 3, 4).Check())
	assert.ErrorContains(t, (*Image)(nil).Check(), "no image")
	assert.ErrorContains(t, (&Image{Channels: 1, Height: 2, Width: 2}).Check(), "0 samples of 8 bits, expected 4")
	assert.ErrorContains(t, (&Image{Channels: 1, Height: -2, Width: 2}).Check(), "must be positive")
	assert.Panics(t, func() { New(1, 0, 1) })
}

func BenchmarkDecodeJPEG(b *testing.B) {
	files, _ := filepath.Glob("../../../shared/data/clothing_native/*.jpg")
	if len(files) == 0 {
		b.Skip("../shared/data/clothing_native is absent")
	}
	var data [][]byte
	for _, f := range files[:50] {
		d, err := os.ReadFile(f)
		require.NoError(b, err)
		data = append(data, d)
	}
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			if _, err := Decode(data[i%len(data)], DefaultOptions()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("standard library", func(b *testing.B) { // without conversion to RGB
		for i := range b.N {
			if _, err := jpeg.Decode(bytes.NewReader(data[i%len(data)])); err != nil {
				b.Fatal(err)
			}
		}
	})
}
