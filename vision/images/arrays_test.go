package images

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/internal/npy"
)

func TestOpenArrays(t *testing.T) {
	ctx := context.Background()
	stored := filepath.Join(sources, "stored.npz")
	s := open(t, stored, labels)
	require.Equal(t, 7, s.Len())
	assert.Equal(t, "stored.npz[3]", s.Name(3))
	assert.Equal(t, goldenLabels, labelsOf(s))
	assert.Equal(t, []string{"0", "1", "2"}, s.(Labelled).Classes())
	want := goldenPixels(t)
	exact := func(s Source, i int, want *Image) {
		t.Helper()
		m, err := s.Image(ctx, i)
		require.NoError(t, err)
		require.Equal(t, want, m)
	}
	for i := range 7 {
		exact(s, i, want[i])
	}
	assert.Empty(t, open(t, stored, nil).(Labelled).Classes())
	packed := filepath.Join(sources, "packed.npz")
	s = open(t, packed, labels)
	require.Equal(t, 5, s.Len())
	exact(s, 4, want[4])
	assert.Equal(t, goldenLabels[:5], labelsOf(s))
	s = open(t, packed, func(o *OpenOptions) { o.Labels, o.Test = true, true })
	require.Equal(t, 2, s.Len())
	exact(s, 1, want[6])
	assert.Equal(t, goldenLabels[5:], labelsOf(s))
	openFails(t, packed, func(o *OpenOptions) { o.ImageColumn = "x" }, `no array "x" in it, but ["x_train" "y_train" "x_test" "y_test"]`)

	// Grey of colour is what Decode makes of the same pixels.
	grey, err := open(t, stored, func(o *OpenOptions) { o.Channels = 1 }).Image(ctx, 0)
	require.NoError(t, err)
	assert.Equal(t, luma(want[0].Pix[5], want[0].Pix[125], want[0].Pix[245]), grey.Pix[5])
	openFails(t, stored, func(o *OpenOptions) { o.Channels = 5 }, "the image has 3 channels, expected 5")

	f, err := os.Open(filepath.Join(sources, "deep_want.npy"))
	require.NoError(t, err)
	defer f.Close()
	_, deep, err := npy.Read[float32](f)
	require.NoError(t, err)
	for _, name := range []string{"u2_nchw.npy", "u2_big_nhwc.npy"} {
		s := open(t, filepath.Join(sources, name), nil)
		require.Equal(t, 3, s.Len())
		for i := range 3 {
			m, err := s.Image(ctx, i)
			require.NoError(t, err)
			require.Equal(t, deep[i*360:][:360], m.Float, name)
		}
	}
	mean, std, err := MeanStd(ctx, open(t, filepath.Join(sources, "u2_nchw.npy"), nil), 1, 3)
	require.NoError(t, err)
	for c := range 3 {
		var sum, square float64
		for i := range 3 {
			for _, v := range deep[i*360+c*120:][:120] {
				sum += float64(v) / 360
				square += float64(v) * float64(v) / 360
			}
		}
		assert.InDelta(t, sum, mean[c], 1e-12)
		assert.InDelta(t, math.Sqrt(square-sum*sum), std[c], 1e-9)
	}
	for name, bound := range map[string]float64{"f4_nhw.npy": 1e-7, "f2_nhw.npy": 5e-4} {
		s := open(t, filepath.Join(sources, name), nil)
		m, err := s.Image(ctx, 2)
		require.NoError(t, err)
		require.Equal(t, [3]int{1, 10, 12}, [3]int{m.Channels, m.Height, m.Width})
		for k, v := range m.Float {
			require.InDelta(t, float64(want[2].Pix[k])/255, v, bound)
		}
	}
	// Numbers that are far from 0 to 1 are taken as they are, which is said.
	far := filepath.Join(t.TempDir(), "far.npy")
	var b bytes.Buffer
	require.NoError(t, npy.Write(&b, []int{1, 2, 2}, []float32{-5, 0, 1, 4000}))
	require.NoError(t, os.WriteFile(far, b.Bytes(), 0o644))
	var note string
	m, err := open(t, far, func(o *OpenOptions) { o.Note = func(s string) { note = s } }).Image(ctx, 0)
	require.NoError(t, err)
	assert.Equal(t, []float32{-5, 0, 1, 4000}, m.Float)
	assert.Contains(t, note, "numbers of far.npy reach from -5 to 4000")
	// A folder of files, with classes; all must be alike.
	dir := t.TempDir()
	for _, c := range []string{"a", "b"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, c), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, c, "x.npy"), must(os.ReadFile(filepath.Join(sources, "u2_nchw.npy"))), 0o644))
	}
	s = open(t, dir, labels)
	assert.Equal(t, []string{"a/x.npy[0]", "a/x.npy[1]", "a/x.npy[2]", "b/x.npy[0]", "b/x.npy[1]", "b/x.npy[2]"}, names(s))
	assert.Equal(t, []int{0, 0, 0, 1, 1, 1}, labelsOf(s))
	assert.Equal(t, []string{"a", "b"}, s.(Labelled).Classes())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "b", "y.npy"), must(os.ReadFile(filepath.Join(sources, "f4_nhw.npy"))), 0o644))
	openFails(t, dir, nil, "b/y.npy has images of 1 channels and elements f4", "of 3 and u2")
}

func TestArrayLayouts(t *testing.T) {
	for _, c := range []struct {
		layout Layout
		shape  []int
		want   dims
		fails  string
	}{
		{"", []int{5, 101, 100, 13}, dims{5, 101, 100, 13, false}, ""},
		{"", []int{5, 13, 101, 100}, dims{5, 101, 100, 13, true}, ""},
		{"", []int{7, 8, 9}, dims{7, 8, 9, 1, false}, ""},
		{"", []int{64, 60, 3}, dims{1, 64, 60, 3, false}, ""},
		{"", []int{64, 60}, dims{1, 64, 60, 1, false}, ""},
		{"", []int{9, 16, 12, 16}, dims{}, "expected a layout, nchw or nhwc"},
		{"", []int{9, 64, 12, 64}, dims{}, "expected a layout, nchw or nhwc"},
		{NCHW, []int{9, 16, 12, 16}, dims{9, 12, 16, 16, true}, ""},
		{NHWC, []int{9, 16, 12, 16}, dims{9, 16, 12, 16, false}, ""},
		{CHW, []int{13, 64, 60}, dims{1, 64, 60, 13, true}, ""},
		{HWC, []int{13, 64, 60}, dims{1, 13, 64, 60, false}, ""},
		{"", []int{5}, dims{}, "expected 2 to 4 dimensions"},
		{NHW, []int{5, 3}, dims{}, "expected 3 dimensions for the layout nhw"},
		{"", []int{5, 0, 3}, dims{}, "has no pixels"},
	} {
		d, err := c.layout.dimsOf(c.shape)
		if c.fails != "" {
			assert.ErrorContains(t, err, c.fails, "%v", c.shape)
			continue
		}
		require.NoError(t, err, "%v", c.shape)
		assert.Equal(t, c.want, d, "%v", c.shape)
	}
	o := DefaultOpen()
	o.Layout = "whc"
	assert.ErrorContains(t, o.Validate(), `layout of arrays: "whc"`)
}

func TestArraysBroken(t *testing.T) {
	ctx := context.Background()
	for _, name := range []string{"u2_nchw.npy", "stored.npz", "packed.npz"} {
		path := filepath.Join(t.TempDir(), name)
		data, err := os.ReadFile(filepath.Join(sources, name))
		require.NoError(t, err)
		for n := 0; n < len(data)-1; n += 31 {
			require.NoError(t, os.WriteFile(path, data[:n], 0o644))
			openFails(t, path, nil)
		}
		for i := 0; i < len(data); i += 5 {
			bad := append([]byte{}, data...)
			bad[i] ^= 0xff
			require.NoError(t, os.WriteFile(path, bad, 0o644))
			if s, err := Open(ctx, path, DefaultOpen()); err == nil {
				_, _ = s.Image(ctx, s.Len()-1) // whatever it is, it is no crash
			} else {
				require.ErrorContains(t, err, path)
			}
		}
	}
	// A header that claims terabytes.
	var b bytes.Buffer
	require.NoError(t, npy.Write(&b, []int{3, 10, 12}, make([]uint8, 360)))
	huge := bytes.Replace(b.Bytes(), []byte("(3, 10, 12), }      "), []byte("(99999999, 10, 12), }"), 1)
	huge = bytes.Replace(huge, []byte("(3, 10, 12)"), []byte("(9999999999, 10, 12)"), 1)
	path := filepath.Join(t.TempDir(), "huge.npy")
	require.NoError(t, os.WriteFile(path, huge, 0o644))
	openFails(t, path, nil, "claims")

	path = filepath.Join(goldenFolder(t, "u2_nchw.npy"), "u2_nchw.npy")
	s := open(t, path, nil)
	require.NoError(t, os.Truncate(path, 1000))
	_, err := s.Image(ctx, 0)
	require.NoError(t, err)
	_, err = s.Image(ctx, 2)
	require.ErrorContains(t, err, "u2_nchw.npy[2]")
	require.ErrorContains(t, err, "ends after")
}

// TestSentinel reads scenes of 13 bands in floats, where they are.
func TestSentinel(t *testing.T) {
	path := "../../../shared/data/formats/npy/sentinel2_13band_5x101x100x13_f32.npy"
	if _, err := os.Stat(path); err != nil {
		t.Skip("../shared/data/formats/npy is absent")
	}
	s := open(t, path, nil)
	require.Equal(t, 5, s.Len())
	m, err := s.Image(context.Background(), 4)
	require.NoError(t, err)
	assert.Equal(t, [3]int{13, 101, 100}, [3]int{m.Channels, m.Height, m.Width})
	mean, std, err := MeanStd(context.Background(), s, 1, 5)
	require.NoError(t, err)
	require.Len(t, mean, 13)
	// numpy: a.mean((0, 1, 2))[[0, 12]], a.std((0, 1, 2))[[0, 12]] in float64
	assert.InDeltaSlice(t, []float64{0.1631860951170473, 0.11189458616889349}, []float64{mean[0], mean[12]}, 1e-7)
	assert.InDeltaSlice(t, []float64{0.08107053681098439, 0.08426186981098323}, []float64{std[0], std[12]}, 1e-7)
}
