//go:build cgo

package turbo

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func file(t testing.TB, name string) []byte {
	data, err := os.ReadFile(filepath.Join("../testdata", name))
	require.NoError(t, err)
	return data
}

func TestReadFrame(t *testing.T) {
	f, err := ReadFrame(file(t, "420.jpg"))
	require.NoError(t, err)
	assert.Equal(t, Frame{Width: 45, Height: 37, Components: 3}, f)
	assert.Equal(t, Frame{Width: 6, Height: 5, Components: 3}, f.Reduced(8))
	_, err = ReadFrame(file(t, "cmyk.jpg"))
	assert.ErrorIs(t, err, ErrUnsuited)
	_, err = ReadFrame(file(t, "rgb.png"))
	assert.ErrorContains(t, err, "not a JPEG file")
	data := file(t, "progressive.jpg")
	for n := range data { // cut anywhere: no panic
		if _, err = ReadFrame(data[:n]); n < 100 {
			assert.Error(t, err)
		}
	}
}

// TestVersions: libraries of other versions and interfaces, such as Python packages bring along, give the same pixels.
func TestVersions(t *testing.T) {
	paths, err := filepath.Glob("../../../.venv/lib/python3*/site-packages/*.libs/libjpeg[.\\-]*")
	require.NoError(t, err)
	own, err := Find()
	if err != nil || len(paths) == 0 {
		t.Skipf("no two libraries to compare: %v, and %d in .venv", err, len(paths))
	}
	for _, path := range paths {
		lib, err := Open(path)
		if err != nil && strings.Contains(err.Error(), "is not libjpeg-turbo") {
			continue
		}
		require.NoError(t, err, path)
		for _, name := range []string{"420.jpg", "422.jpg", "progressive.jpg", "grey.jpg", "keep_rgb.jpg"} {
			data := file(t, name)
			f, err := ReadFrame(data)
			require.NoError(t, err)
			for _, reduce := range []int{1, 2, 4, 8} {
				small := f.Reduced(reduce)
				want, got := make([]uint8, 3*small.Width*small.Height), make([]uint8, 3*small.Width*small.Height)
				require.NoError(t, own.Decode(want, data, f, reduce, 3))
				require.NoError(t, lib.Decode(got, data, f, reduce, 3), path)
				assert.Equal(t, want, got, "%s of %s", name, path)
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	_, err := Open("libjpeg-of-nobody.so")
	assert.ErrorContains(t, err, "libjpeg-of-nobody.so")
	if runtime.GOOS == "linux" {
		_, err = Open("libc.so.6")
		assert.ErrorContains(t, err, "libc.so.6 is not libjpeg-turbo")
	}
	lib, err := Find()
	if err != nil {
		t.Skip(err)
	}
	assert.Panics(t, func() { _ = lib.Decode(make([]uint8, 5), file(t, "420.jpg"), Frame{45, 37, 3}, 1, 3) })
	err = lib.Decode(make([]uint8, 3*44*37), file(t, "420.jpg"), Frame{44, 37, 3}, 1, 3)
	assert.ErrorContains(t, err, "another size")
}
