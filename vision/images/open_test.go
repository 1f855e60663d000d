package images

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/internal/npy"
)

// What scripts/golden/sources.py wrote, and what it says of it.
const sources = "testdata/sources"

var (
	goldenLabels   = []int{2, 0, 1, 1, 0, 2, 1}
	goldenClasses  = []string{"cat", "dog", "fish"}
	goldenCaptions = []string{"picture 0, ünïcode", "picture 1, ünïcode", "picture 2, ünïcode", "", "picture 4, ünïcode", "picture 5, ünïcode", "picture 6, ünïcode"}
)

// goldenPixels are the images as Pillow decodes them, [7, 3, 10, 12].
func goldenPixels(t *testing.T) []*Image {
	t.Helper()
	f, err := os.Open(filepath.Join(sources, "want.npy"))
	require.NoError(t, err)
	defer f.Close()
	shape, pix, err := npy.Read[uint8](f)
	require.NoError(t, err)
	require.Equal(t, []int{7, 3, 10, 12}, shape)
	var all []*Image
	for len(pix) > 0 {
		all = append(all, &Image{Channels: 3, Height: 10, Width: 12, Pix: pix[:360]})
		pix = pix[360:]
	}
	return all
}

// jpegGolden is the image that is a JPEG file where images are files. Its pixels may differ by so much in the rounding of
// the inverse DCT.
const (
	jpegGolden = 6
	jpegBound  = 3
)

// equalGolden compares image i with the numbers that are wanted.
func equalGolden(t *testing.T, src Source, i, golden int) {
	t.Helper()
	m, err := src.Image(context.Background(), i)
	require.NoError(t, err)
	require.NoError(t, m.Check())
	want := goldenPixels(t)[golden]
	require.Equal(t, [3]int{want.Channels, want.Height, want.Width}, [3]int{m.Channels, m.Height, m.Width}, src.Name(i))
	if golden != jpegGolden {
		require.Equal(t, want.Pix, m.Pix, src.Name(i))
		return
	}
	for k, v := range want.Pix {
		require.InDelta(t, v, m.Pix[k], jpegBound, "%s, sample %d", src.Name(i), k)
	}
}

func labelsOf(src Source) (all []int) {
	for i := range src.Len() {
		l, ok := src.(Labelled).Label(i)
		if !ok {
			l = -1
		}
		all = append(all, l)
	}
	return all
}

func captionsOf(src Source) (all []string) {
	for i := range src.Len() {
		c, ok := src.(Captioned).Caption(i)
		if !ok {
			c = ""
		}
		all = append(all, c)
	}
	return all
}

// open is Open with what o changes in the defaults; the kind and the channels are the path's.
func open(t *testing.T, path string, change func(o *OpenOptions)) Source {
	t.Helper()
	o := DefaultOpen()
	if change != nil {
		change(&o)
	}
	s, err := Open(context.Background(), path, o)
	require.NoError(t, err)
	return s
}

// openFails wants an error of Open that has all of some texts, the path among them.
func openFails(t *testing.T, path string, change func(o *OpenOptions), want ...string) {
	t.Helper()
	o := DefaultOpen()
	if change != nil {
		change(&o)
	}
	_, err := Open(context.Background(), path, o)
	require.Error(t, err)
	require.ErrorContains(t, err, path)
	for _, w := range want {
		require.ErrorContains(t, err, w)
	}
}

func labels(o *OpenOptions) { o.Labels = true }

// goldenFolder copies files of testdata's sources to a folder of their own.
func goldenFolder(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(sources, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(name)), data, 0o644))
	}
	return dir
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestOpenKinds(t *testing.T) {
	images := tree(t, map[string]string{"a/1.jpg": "=420.jpg", "metadata.csv": "file_name\na/1.jpg\n", "readme.txt": "x"})
	for path, want := range map[string]any{
		images:                                  &FolderSource{},
		filepath.Join(images, "metadata.csv"):   &ListSource{},
		filepath.Join(sources, "cifar10"):       &CIFARSource{},
		goldenFolder(t, "shard-000001.tar"):     &ShardsSource{},
		goldenFolder(t, "plain.parquet"):        &ParquetSource{},
		goldenFolder(t, "u2_nchw.npy"):          &ArraysSource{},
		filepath.Join(sources, "u2_nchw.npy"):   &ArraysSource{},
		filepath.Join(sources, "packed.npz"):    &ArraysSource{},
		filepath.Join(sources, "plain.parquet"): &ParquetSource{},
	} {
		assert.IsType(t, want, open(t, path, nil), path)
	}
	// A kind that is given is not told by the name.
	odd := filepath.Join(t.TempDir(), "data.bin")
	require.NoError(t, os.WriteFile(odd, must(os.ReadFile(filepath.Join(sources, "plain.parquet"))), 0o644))
	openFails(t, odd, nil, "it is a file of no known kind")
	assert.IsType(t, &ParquetSource{}, open(t, odd, func(o *OpenOptions) { o.Kind = ParquetKind }))
	openFails(t, odd, func(o *OpenOptions) { o.Kind = "zip" }, `kind of collection: "zip"`)
	openFails(t, filepath.Join(images, "a/1.jpg"), nil, "it is one image")
	openFails(t, filepath.Join(images, "gone"), nil, "there is no such file or folder")
	openFails(t, t.TempDir(), nil, "found nothing: the folder is empty")
	openFails(t, images, func(o *OpenOptions) { o.Kind = ShardsKind }, "no .tar file in it; found 1 .csv, 1 .jpg, 1 .txt")
	openFails(t, images, func(o *OpenOptions) { o.Channels = 33 }, "channels: 33, expected 1 to 32")

	// Splits, by their usual names.
	dir := t.TempDir()
	data := must(os.ReadFile(filepath.Join(sources, "plain.parquet")))
	for _, name := range []string{"train-00000-of-00001", "test-00000-of-00001", "validation-00000-of-00001"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+".parquet"), data, 0o644))
	}
	var note string
	s := open(t, dir, func(o *OpenOptions) { o.Note = func(s string) { note = s } })
	assert.Equal(t, "train-00000-of-00001.parquet[0]", s.Name(0))
	assert.Equal(t, 7, s.Len())
	assert.Equal(t, "of 3 files, the 1 of the split train are taken", note)
	assert.Equal(t, "test-00000-of-00001.parquet[0]", open(t, dir, func(o *OpenOptions) { o.Test = true }).Name(0))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "more.parquet"), data, 0o644))
	assert.Equal(t, 28, open(t, dir, nil).Len(), "with one that is of no split, all are taken")
}

func TestOpenIDX(t *testing.T) {
	dir, err := mnistDir(context.Background())
	require.NoError(t, err)
	s := open(t, dir, labels)
	assert.IsType(t, &IDX{}, s)
	assert.Equal(t, 60_000, s.Len())
	assert.Len(t, s.(Labelled).Classes(), 10)
	test := open(t, dir, func(o *OpenOptions) { o.Test = true })
	assert.Equal(t, 10_000, test.Len())
	file := open(t, filepath.Join(dir, "t10k-images-idx3-ubyte.gz"), labels)
	assert.Equal(t, labelsOf(test), labelsOf(file))
	plain := open(t, filepath.Join(dir, "t10k-images-idx3-ubyte.gz"), func(o *OpenOptions) { o.Channels = 3 })
	assert.Empty(t, plain.(Labelled).Classes())
	m, err := plain.Image(context.Background(), 7)
	require.NoError(t, err)
	assert.Equal(t, 3, m.Channels)
	openFails(t, filepath.Join(dir, "t10k-labels-idx1-ubyte.gz"), nil, "begins with 00 00 08 01")
}

func TestUniform(t *testing.T) {
	ctx := context.Background()
	gone := open(t, tree(t, map[string]string{"a/1.jpg": "=420.jpg"}), nil)
	require.NoError(t, os.RemoveAll(gone.(*FolderSource).files.root))
	_, _, err := Alike(ctx, gone, 0, 1)
	require.ErrorContains(t, err, "none of the images looked at can be read, the last being a/1.jpg")
	require.ErrorIs(t, err, os.ErrNotExist)
	folder := open(t, tree(t, map[string]string{"1.jpg": "=420.jpg", "2.jpg": "=grey.jpg"}), nil)
	u := Uniform(folder, 1, true)
	decoded, err := open(t, folder.(*FolderSource).files.root, func(o *OpenOptions) { o.Channels = 1 }).Image(ctx, 0)
	require.NoError(t, err)
	m, err := u.Image(ctx, 0)
	require.NoError(t, err)
	require.True(t, m.Deep())
	require.NoError(t, m.Check())
	assert.Equal(t, 1, m.Channels)
	assert.InDelta(t, float64(decoded.Pix[77])/255, m.Float[77], 1e-7)
	assert.Empty(t, Labelled(u).Classes())
	_, ok := Captioned(u).Caption(0)
	assert.False(t, ok)

	// Deep images are not cut to 8 bits, and 13 channels are not made 3.
	deep := open(t, filepath.Join(sources, "u2_nchw.npy"), nil)
	_, err = Uniform(deep, 3, false).Image(ctx, 0)
	require.ErrorContains(t, err, "u2_nchw.npy[0]: its samples are deeper than 8 bits")
	grey, err := Uniform(deep, 1, true).Image(ctx, 0)
	require.NoError(t, err)
	colour, err := deep.Image(ctx, 0)
	require.NoError(t, err)
	assert.InDelta(t, 0.299*colour.Float[9]+0.587*colour.Float[129]+0.114*colour.Float[249], grey.Float[9], 1e-4)
	_, err = Uniform(deep, 13, true).Image(ctx, 0)
	require.ErrorContains(t, err, "the image has 3 channels, expected 13")
	labelled := Uniform(open(t, filepath.Join(sources, "plain.parquet"), func(o *OpenOptions) { o.LabelColumn, o.CaptionColumn = "species", "name" }), 3, false)
	assert.Equal(t, goldenClasses, labelled.Classes())
	assert.Equal(t, 2, labelsOf(labelled)[0])
	assert.Equal(t, "n1", captionsOf(labelled)[1])
}

// TestFilesBroken: of several files one that cannot be read is a broken image, and no reason to stop.
func TestFilesBroken(t *testing.T) {
	for _, name := range []string{"stored.npz", "plain.parquet", "train-00000-of-00002.parquet", "u2_nchw.npy"} {
		dir := goldenFolder(t, name)
		data := must(os.ReadFile(filepath.Join(dir, name)))
		ext := filepath.Ext(name)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "a-cut"+ext), data[:len(data)*3/4], 0o644))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "v-empty"+ext), nil, 0o644))
		s := open(t, dir, func(o *OpenOptions) {
			if ext != ".npy" {
				o.Labels = true
			}
			if name == "plain.parquet" {
				o.LabelColumn = "species"
			}
		})
		whole := open(t, filepath.Join(dir, name), nil)
		require.Equal(t, whole.Len()+2, s.Len())
		var broken []string
		for i := range s.Len() {
			if _, err := s.Image(context.Background(), i); err != nil {
				assert.ErrorContains(t, err, filepath.Join(dir, s.Name(i)[:5]))
				broken = append(broken, s.Name(i))
			}
			if ext == ".npz" && i > 0 && i < s.Len()-1 {
				l, ok := s.(Labelled).Label(i)
				assert.True(t, ok)
				assert.Equal(t, goldenLabels[i-1], l)
			}
		}
		want := []string{"a-cut" + ext, "v-empty" + ext}
		if name == "plain.parquet" {
			want = []string{"a-cut.parquet", "plain.parquet[2]", "v-empty.parquet"}
		}
		assert.Equal(t, want, broken)
		_, ok := s.(Labelled).Label(0)
		assert.False(t, ok)
	}
}

// TestAlike: what a few images are like decides for all.
func TestAlike(t *testing.T) {
	ctx := context.Background()
	colour := New(3, 2, 2)
	colour.Pix[0] = 255
	deep := NewFloat(3, 2, 2)
	deep.Float[5] = 0.25
	for name, c := range map[string]struct {
		images   memory
		given    int
		channels int
		deep     bool
		fails    string
	}{
		"grey files of colour":   {memory{New(3, 2, 2), New(3, 2, 2)}, 0, 1, false, ""},
		"colour":                 {memory{colour, New(3, 2, 2)}, 0, 3, false, ""},
		"colour wanted of grey":  {memory{New(1, 2, 2)}, 3, 3, false, ""},
		"some grey, some colour": {memory{New(1, 2, 2), colour}, 0, 3, false, ""},
		"some deep":              {memory{colour, deep}, 0, 3, true, ""},
		"many channels":          {memory{New(13, 2, 2)}, 0, 13, false, ""},
		"too many for grey":      {memory{New(13, 2, 2)}, 1, 0, false, "the image has 13 channels, expected 1"},
		"two numbers of many":    {memory{New(13, 2, 2), New(12, 2, 2)}, 0, 0, false, "expected the same number in all"},
		"one broken":             {memory{colour, os.ErrPermission}, 0, 3, false, ""},
		"all broken":             {memory{os.ErrPermission, os.ErrPermission}, 0, 0, false, "none of the images looked at can be read"},
	} {
		src, _, err := Alike(ctx, c.images, c.given, 1)
		if c.fails != "" {
			assert.ErrorContains(t, err, c.fails, name)
			continue
		}
		require.NoError(t, err, name)
		assert.Equal(t, c.channels, src.Channels, name)
		assert.Equal(t, c.deep, src.Deep, name)
		for i := range src.Len() {
			m, err := src.Image(ctx, i)
			if _, broken := c.images[i].(error); broken {
				assert.Error(t, err, name)
				continue
			}
			require.NoError(t, err, name)
			require.NoError(t, m.Check(), name)
			assert.Equal(t, c.channels, m.Channels, name)
			assert.Equal(t, c.deep, m.Deep(), name)
		}
	}
	_, _, err := Alike(ctx, memory{}, 0, 1)
	assert.ErrorContains(t, err, "there are no images")
}

// TestFolderHasNoCaptions refuses to look for some.
func TestFolderHasNoCaptions(t *testing.T) {
	o := DefaultOpen()
	o.CaptionColumn = "report"
	_, err := Open(context.Background(), t.TempDir(), o)
	assert.ErrorContains(t, err, `caption column "report": a folder of images has none`)
}
