package images

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/vision/images/turbo"
)

// withTurbo skips a test where there is no libjpeg-turbo.
func withTurbo(t testing.TB) *turbo.Library {
	lib, err := turbo.Find()
	if err != nil {
		t.Skip(err)
	}
	return lib
}

func jpegs(t testing.TB) map[string][]byte {
	names, err := filepath.Glob("testdata/*.jpg")
	require.NoError(t, err)
	more, err := filepath.Glob("../../../shared/data/clothing_native/*.jpg")
	require.NoError(t, err)
	if len(more) == 0 {
		t.Log("../shared/data/clothing_native is absent")
	}
	files := map[string][]byte{}
	for _, name := range append(names, more[:min(len(more), 20)]...) {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		files[filepath.Base(name)] = data
	}
	require.GreaterOrEqual(t, len(files), 19)
	return files
}

// TestTurboIsPillow: libjpeg-turbo gives Pillow's pixels exactly.
func TestTurboIsPillow(t *testing.T) {
	lib := withTurbo(t)
	used := 0
	for name, data := range jpegs(t) {
		if _, err := os.Stat(filepath.Join("testdata", name+".rgb.png")); err != nil {
			continue
		}
		f, err := turbo.ReadFrame(data)
		if name == "cmyk.jpg" {
			assert.ErrorIs(t, err, turbo.ErrUnsuited)
			continue
		}
		require.NoError(t, err, name)
		for channels, suffix := range map[int]string{1: ".l.png", 3: ".rgb.png"} {
			m := New(channels, f.Height, f.Width)
			require.NoError(t, lib.Decode(m.Pix, data, f, 1, channels), name)
			used++
			want := pillow(t, name+suffix)
			got := orient(m, orientation(data))
			assert.Equal(t, want.Pix, got.Pix, name+suffix)
		}
	}
	assert.Equal(t, 36, used)
}

func distance(a, b []uint8) (mean float64, most int) {
	sum := 0
	for i := range a {
		d := max(int(a[i])-int(b[i]), int(b[i])-int(a[i]))
		sum, most = sum+d, max(most, d)
	}
	return float64(sum) / float64(len(a)), most
}

// TestDecodersAgree holds the two decoders to each other: at most 0.2 levels on average and 4 anywhere, as TestPillow holds
// Go's to Pillow, and broken files are broken for both, with the same error.
func TestDecodersAgree(t *testing.T) {
	withTurbo(t)
	files := jpegs(t)
	byGo, byTurbo := DefaultOptions(), DefaultOptions()
	byGo.JPEG, byTurbo.JPEG = JPEGGo, JPEGTurbo
	r := rand.New(rand.NewPCG(1, 2))
	var buf Buffer
	compare := func(name string, data []byte) (broken bool) {
		want, wantErr := Decode(data, byGo)
		got, err := DecodeInto(data, byTurbo, &buf)
		if wantErr != nil {
			require.EqualError(t, err, wantErr.Error(), name)
			return true
		}
		require.NoError(t, err, name)
		require.Equal(t, [3]int{want.Channels, want.Height, want.Width}, [3]int{got.Channels, got.Height, got.Width}, name)
		mean, most := distance(got.Pix, want.Pix)
		require.LessOrEqual(t, mean, 0.2, name)
		require.LessOrEqual(t, most, 4, name)
		return false
	}
	for name, data := range files {
		assert.False(t, compare(name, data), name)
		for range 6 {
			n := r.IntN(len(data) - 2)
			assert.True(t, compare(fmt.Sprintf("%s, first %d bytes", name, n), data[:n]))
		}
	}
}

// TestTurboDecodesAnything: no damage does more than an error.
func TestTurboDecodesAnything(t *testing.T) {
	lib := withTurbo(t)
	r := rand.New(rand.NewPCG(1, 2))
	failed := map[string]bool{}
	for _, data := range jpegs(t) {
		if len(data) > 10000 {
			continue
		}
		for range 300 {
			broken := bytes.Clone(data)
			for range 1 + r.IntN(3) {
				broken[r.IntN(len(broken))] = uint8(r.Uint32())
			}
			f, err := turbo.ReadFrame(broken)
			if err != nil || f.Width*f.Height > 1<<20 {
				continue
			}
			for _, reduce := range []int{1, 2, 4, 8} {
				small := f.Reduced(reduce)
				if err := lib.Decode(make([]uint8, 3*small.Width*small.Height), broken, f, reduce, 3); err != nil {
					failed[err.Error()] = true
				}
			}
		}
	}
	assert.Greater(t, len(failed), 20, "kinds of errors met")
}

func TestJPEGDecoderNames(t *testing.T) {
	for _, d := range []JPEGDecoder{JPEGAuto, JPEGGo, JPEGTurbo} {
		text, err := d.MarshalText()
		require.NoError(t, err)
		var back JPEGDecoder
		require.NoError(t, back.UnmarshalText(text))
		assert.Equal(t, d, back)
	}
	var d JPEGDecoder
	assert.ErrorContains(t, d.UnmarshalText([]byte("fast")), `JPEG decoder "fast": expected auto, go or turbo`)
	_, err := JPEGDecoder(7).MarshalText()
	assert.Error(t, err)
	o := DefaultOptions()
	o.JPEG = 7
	assert.ErrorContains(t, o.Validate(), "JPEG decoder: JPEGDecoder(7), expected auto, go or turbo")
	assert.Equal(t, "Go's image/jpeg", JPEGGo.Describe())
	if lib, err := turbo.Find(); err == nil {
		assert.Equal(t, lib.Name(), JPEGAuto.Describe())
		assert.True(t, strings.HasPrefix(lib.Name(), "libjpeg-turbo (libjpeg"))
	} else {
		assert.Equal(t, "Go's image/jpeg", JPEGAuto.Describe())
		o.JPEG = JPEGTurbo
		assert.ErrorContains(t, o.Validate(), "libjpeg-turbo")
	}
}

// TestReadingInto: images read one after the other into the same memory are those that are read each on its own, and
// hardly anything is allocated.
func TestReadingInto(t *testing.T) {
	dir := t.TempDir()
	for name, data := range jpegs(t) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
	png, err := os.ReadFile("testdata/rgb.png")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.png"), png, 0o644))
	ctx := context.Background()
	src, err := Folder(ctx, dir, DefaultOptions())
	require.NoError(t, err)
	var buf Buffer
	for range 2 {
		for i := range src.Len() {
			want, err := src.Image(ctx, i)
			require.NoError(t, err)
			got, err := Read(ctx, src, i, &buf)
			require.NoError(t, err)
			require.NoError(t, got.Check())
			require.Equal(t, want.Pix, got.Pix, src.Name(i))
		}
	}
	_, err = Read(ctx, imageOnly{src}, 0, &buf)
	assert.NoError(t, err, "a source that has only Image")
	if _, err := turbo.Find(); err != nil {
		return
	}
	at := -1
	for i := range src.Len() {
		if src.Name(i) == "420.jpg" {
			at = i
		}
	}
	assert.LessOrEqual(t, testing.AllocsPerRun(50, func() {
		_, err = Read(ctx, src, at, &buf)
	}), 12.0)
	require.NoError(t, err)
}

// imageOnly hides what a source can do besides Image.
type imageOnly struct{ Source }
