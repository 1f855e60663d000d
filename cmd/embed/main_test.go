package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/internal/npy"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
	"github.com/gojepa/gojepa/torch/weights"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/images"
)

func TestMain(m *testing.M) { torchtest.Main(m) }

var spec = vision.Spec{Name: "vit_tiny_patch16_224", ImageSize: 16, PatchSize: 4, Channels: 3, Width: 12, Depth: 1, Heads: 2}

// place makes a folder with weights, three images of which the second is broken, and the same number of prepared images.
func place(t *testing.T) (dir string) {
	dir = t.TempDir()
	torchtest.Do(t, func(s *torch.Scope) {
		e, err := vision.New(s, spec, 1, torch.Float32)
		require.NoError(t, err)
		defer e.Close()
		meta := vision.Metadata(spec, 16, []float64{0.1, 0.2, 0.3}, []float64{0.5, 0.5, 0.5})
		require.NoError(t, e.Params().Save(s, filepath.Join(dir, "w.safetensors"), meta))
	})
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "images", "sub"), 0o755))
	for name, shade := range map[string]uint8{"a.png": 3, "sub/c\nd.png": 5} {
		m := image.NewRGBA(image.Rect(0, 0, 20, 18))
		for i := range 20 * 18 {
			m.SetRGBA(i%20, i/20, color.RGBA{shade * uint8(i%37), uint8(i), shade * 9, 255})
		}
		var b bytes.Buffer
		require.NoError(t, png.Encode(&b, m))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "images", name), b.Bytes(), 0o644))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "images", "b.png"), []byte("\x89PNG\r\n\x1a\ncut"), 0o644))

	x := make([]float32, 3*3*16*16)
	for i, v := range torchtest.Values(7, len(x)) {
		x[i] = float32(v)
	}
	writeNPY(t, filepath.Join(dir, "x.npy"), []int{3, 3, 16, 16}, x)
	return dir
}

func writeNPY[T npy.Number](t *testing.T, path string, shape []int, data []T) {
	var b bytes.Buffer
	require.NoError(t, npy.Write(&b, shape, data))
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o644))
}

func readNPY(t *testing.T, path string) ([]int, []float32) {
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	shape, x, err := npy.Read[float32](f)
	require.NoError(t, err)
	return shape, x
}

// embed runs a command line as main does, and returns what it says.
func embed(t *testing.T, line ...string) (string, error) {
	t.Helper()
	o := defaults()
	if _, err := command(&o).Parse(line); err != nil {
		return "", err
	}
	var log bytes.Buffer
	err := run(context.Background(), o, &log)
	return log.String(), err
}

// want is what package vision makes of the two images.
func want(t *testing.T, dir string) (x []float32) {
	m, err := vision.Load("", filepath.Join(dir, "w.safetensors"), torch.CPU)
	require.NoError(t, err)
	defer m.Close()
	var imgs []*images.Image
	for _, name := range []string{"a.png", "sub/c\nd.png"} {
		data, err := os.ReadFile(filepath.Join(dir, "images", name))
		require.NoError(t, err)
		img, err := images.Decode(data, images.DefaultOptions())
		require.NoError(t, err)
		imgs = append(imgs, img)
	}
	rows, err := m.Embed(context.Background(), imgs)
	require.NoError(t, err)
	return append(rows[0], rows[1]...)
}

func TestFolder(t *testing.T) {
	dir := place(t)
	x := want(t, dir)
	args := []string{"--weights", filepath.Join(dir, "w.safetensors"), "--data", filepath.Join(dir, "images"), "--device", "cpu"}

	out := filepath.Join(dir, "out.npy")
	log, err := embed(t, append(args, "--out", out)...)
	require.NoError(t, err)
	assert.Contains(t, log, "left out b.png: ")
	assert.Contains(t, log, "left out 1 of 3 images")
	assert.Contains(t, log, "out.npy, "+filepath.Join(dir, "out.files.txt")+": 2 rows of 12 features by vit_tiny_patch16_224")
	shape, got := readNPY(t, out)
	assert.Equal(t, []int{2, 12}, shape)
	assert.Equal(t, x, got)
	list, err := os.ReadFile(filepath.Join(dir, "out.files.txt"))
	require.NoError(t, err)
	assert.Equal(t, "a.png\n\"sub/c\\nd.png\"\n", string(list))

	// A list has its own order, and may leave some out.
	require.NoError(t, os.WriteFile(filepath.Join(dir, "list.csv"), []byte("who,picture\nx,\"images/sub/c\nd.png\"\ny,images/a.png\n"), 0o644))
	_, err = embed(t, "--weights", filepath.Join(dir, "w.safetensors"), "--data", filepath.Join(dir, "list.csv"), "--image_column", "picture",
		"--device", "cpu", "--out", out)
	require.NoError(t, err)
	_, got = readNPY(t, out)
	assert.Equal(t, append(append([]float32{}, x[12:]...), x[:12]...), got)

	out = filepath.Join(dir, "out.safetensors")
	_, err = embed(t, append(args, "--out", out)...)
	require.NoError(t, err)
	f, err := weights.Open(out)
	require.NoError(t, err)
	assert.Equal(t, "[features float32[2 12]]", "["+f.Tensors()[0].String()+"]")
	require.NoError(t, f.Close())

	out = filepath.Join(dir, "out.csv")
	_, err = embed(t, append(args, "--out", out, "--batch-size", "1")...)
	require.NoError(t, err)
	file, err := os.Open(out)
	require.NoError(t, err)
	defer file.Close()
	records, err := csv.NewReader(file).ReadAll()
	require.NoError(t, err)
	require.Len(t, records, 3)
	assert.Equal(t, []string{"file", "f0", "f1"}, records[0][:3])
	assert.Equal(t, "sub/c\nd.png", records[2][0])
	for i, cell := range records[2][1:] {
		v, err := strconv.ParseFloat(cell, 32)
		require.NoError(t, err)
		assert.InDelta(t, x[12+i], v, 1e-5)
	}
}

func TestFlagsWinOverTheFile(t *testing.T) {
	dir := place(t)
	args := []string{"--weights", filepath.Join(dir, "w.safetensors"), "--data", filepath.Join(dir, "images"), "--out", filepath.Join(dir, "o.npy"), "--device", "cpu"}
	seen := [][]float32{want(t, dir)}
	for _, more := range [][]string{{"--mean", "0,0,0", "--std", "1,1,1"}, {"--image-size", "12"}, {"--precision", "bf16"}} {
		_, err := embed(t, append(args, more...)...)
		require.NoError(t, err)
		_, got := readNPY(t, filepath.Join(dir, "o.npy"))
		assert.NotContains(t, seen, got, "%v", more)
		seen = append(seen, got)
	}
}

// TestViTOptions: what a run leaves needs no flags, and a file that says nothing of itself gets them by flags.
func TestViTOptions(t *testing.T) {
	dir := place(t)
	whole := spec
	whole.Pool, whole.Registers, whole.LayerScale, whole.QKNorm, whole.SwiGLU = "avg", 3, 0.25, true, true
	mean, std := vision.DefaultMeanStd(3)
	torchtest.Do(t, func(s *torch.Scope) {
		e, err := vision.New(s, whole, 1, torch.Float32)
		require.NoError(t, err)
		defer e.Close()
		require.NoError(t, e.Params().Save(s, filepath.Join(dir, "w.safetensors"), vision.Metadata(whole, 16, mean, std)))
		require.NoError(t, e.Params().Save(s, filepath.Join(dir, "mute.pt"), nil))
	})
	args := []string{"--data", filepath.Join(dir, "images"), "--out", filepath.Join(dir, "o.npy"), "--device", "cpu"}
	sizes := []string{"--weights", filepath.Join(dir, "mute.pt"), "--model", spec.Name, "--width", "12", "--depth", "1", "--heads", "2"}
	for _, more := range [][]string{
		{"--weights", filepath.Join(dir, "w.safetensors")},
		append(sizes, "--pool", "avg", "--layer-scale", "1", "--qk-norm", "--swiglu"),
	} {
		_, err := embed(t, append(args, more...)...)
		require.NoError(t, err)
		_, got := readNPY(t, filepath.Join(dir, "o.npy"))
		assert.Equal(t, want(t, dir), got)
	}
	_, err := embed(t, append(args, sizes...)...)
	assert.ErrorContains(t, err, "unexpected keys")
	_, err = embed(t, append(args, append(sizes, "--pool", "max")...)...)
	assert.ErrorContains(t, err, `pool "max": expected token or avg`)
	_, err = embed(t, append(args, append(sizes, "--layer-scale", "-1")...)...)
	assert.ErrorContains(t, err, "layer scale -1: expected 0 or more")
}

// TestKeysOfTheFile: the flags that choose, rename and leave out keys, and --strict.
func TestKeysOfTheFile(t *testing.T) {
	dir := place(t)
	f, err := weights.Open(filepath.Join(dir, "w.safetensors"))
	require.NoError(t, err)
	defer f.Close()
	entries := f.Entries()
	for i := range entries {
		entries[i].Name = "net.body." + entries[i].Name
	}
	head := weights.Info{Name: "net.body.head.bias", DType: weights.F32, Shape: []int64{2}}
	entries = append(entries, weights.NewEntry(head, make([]byte, 8)))
	named := filepath.Join(dir, "named.pt")
	require.NoError(t, weights.SaveFile(named, entries, f.Metadata()))
	args := []string{"--data", filepath.Join(dir, "images"), "--out", filepath.Join(dir, "o.npy"), "--device", "cpu", "--weights", named}
	for _, c := range []struct {
		more []string
		want string
	}{
		{nil, "missing keys"},
		{[]string{"--prefix", "net.body."}, "unexpected keys (1): head.bias"},
		{[]string{"--prefix", "net.body.", "--drop-head"}, ""},
		{[]string{"--prefix", "net.", "--rename", "body.=", "--drop", "body.head."}, ""},
		{[]string{"--prefix", "net.body.", "--strict=false"}, ""},
		{[]string{"--key", "net.body", "--drop-head", "--layout", "timm"}, ""},
		{[]string{"--key", "teacher"}, `under the key "teacher"`},
		{[]string{"--layout", "clip"}, "lacks the keys"},
		{[]string{"--layout", "x"}, "--layout: layout: unknown layout"},
		{[]string{"--rename", "x"}, "--rename: \"x\""},
	} {
		_, err := embed(t, append(args, c.more...)...)
		if c.want != "" {
			assert.ErrorContains(t, err, c.want, "%v", c.more)
			continue
		}
		if assert.NoError(t, err, "%v", c.more) {
			_, got := readNPY(t, filepath.Join(dir, "o.npy"))
			assert.Equal(t, want(t, dir), got, "%v", c.more)
		}
	}
}

func TestArrayIsTakenAsItIs(t *testing.T) {
	dir := place(t)
	file := filepath.Join(dir, "w.safetensors")
	m, err := vision.Load("", file, torch.CPU)
	require.NoError(t, err)
	defer m.Close()
	_, x := readNPY(t, filepath.Join(dir, "x.npy"))
	want, err := m.Pixels(context.Background(), x, 3, 3, 16, 16)
	require.NoError(t, err)
	for _, batch := range []string{"1", "2", "64"} {
		log, err := embed(t, "--weights", file, "--data", filepath.Join(dir, "x.npy"), "--out", filepath.Join(dir, "y.npy"), "--batch-size", batch, "--device", "cpu")
		require.NoError(t, err)
		assert.Contains(t, log, "y.npy: 3 rows")
		shape, got := readNPY(t, filepath.Join(dir, "y.npy"))
		assert.Equal(t, []int{3, 12}, shape)
		for i := range want {
			require.InDelta(t, want[i], got[i], 1e-5)
		}
	}
	assert.NoFileExists(t, filepath.Join(dir, "y.files.txt"))
	_, err = embed(t, "--weights", file, "--data", filepath.Join(dir, "x.npy"), "--out", filepath.Join(dir, "y.csv"), "--device", "cpu")
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(dir, "y.csv"))
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(string(text), "row,f0,"))
}

func TestBadInput(t *testing.T) {
	dir := place(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	writeNPY(t, at("double.npy"), []int{1, 3, 16, 16}, make([]float64, 768))
	writeNPY(t, at("flat.npy"), []int{768}, make([]float32, 768))
	writeNPY(t, at("grey.npy"), []int{1, 1, 16, 16}, make([]float32, 256))
	writeNPY(t, at("odd.npy"), []int{1, 3, 16, 18}, make([]float32, 864))
	writeNPY(t, at("none.npy"), []int{0, 3, 16, 16}, []float32{})
	whole, err := os.ReadFile(at("x.npy"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(at("cut.npy"), whole[:len(whole)-4], 0o644))
	require.NoError(t, os.MkdirAll(at("broken"), 0o755))
	require.NoError(t, os.WriteFile(at("broken/a.png"), []byte("no image"), 0o644))
	require.NoError(t, os.MkdirAll(at("empty"), 0o755))

	good := map[string]string{"weights": at("w.safetensors"), "data": at("images"), "out": at("o.npy"), "device": "cpu"}
	for want, change := range map[string]map[string]string{
		"--weights: missing":                        {"weights": ""},
		"--data: missing":                           {"data": ""},
		`--out: "o.txt", expected a name that ends`: {"out": "o.txt"},
		"--out: there is no folder":                 {"out": at("none/o.npy")},
		"--mean has 1 numbers and --std 0":          {"mean": "1"},
		"--batch-size: 0, expected 1 or more":       {"batch-size": "0"},
		"fp16":                                      {"precision": "fp16"},
		"--mean and --std: mean of 1":               {"mean": "1", "std": "1"},
		"there is no such file or folder":           {"data": at("nowhere")},
		"no image in it":                            {"data": at("empty")},
		"none of the images looked at can be read":  {"data": at("broken")},
		"none.pt":                       {"weights": at("none.pt")},
		`unknown model "resnet"`:        {"model": "resnet"},
		"missing keys":                  {"model": "resnet18"},
		"multiples of the patch size 4": {"image-size": "18"},
		"cuda:77":                       {"device": "cuda:77"},
		"double.npy: <f8[1 3 16 16]: expected float32":         {"data": at("double.npy")},
		"flat.npy: <f4[768]: expected float32":                 {"data": at("flat.npy")},
		"images of 1 channels: expected 3":                     {"data": at("grey.npy")},
		"16×18 pixels: expected multiples of the patch size 4": {"data": at("odd.npy")},
		"none.npy: shape [0 3 16 16] has no pixels":            {"data": at("none.npy")},
		"cut.npy: image 2 of 3":                                {"data": at("cut.npy")},
		"gone.npy":                                             {"data": at("gone.npy")},
		"it is a file of no known kind":                        {"data": at("w.safetensors")},
	} {
		var line []string
		for _, flag := range []string{"weights", "data", "out", "device", "model", "image-size", "mean", "std", "batch-size", "precision"} {
			value, changed := change[flag]
			if !changed {
				value = good[flag]
			}
			if value != "" {
				line = append(line, "--"+flag, value)
			}
		}
		_, err := embed(t, line...)
		assert.ErrorContains(t, err, want)
		assert.NoFileExists(t, at("o.npy"))
	}
}

// TestDeepImages embeds images of floats as they are: by bytes alone, all of these would be alike.
func TestDeepImages(t *testing.T) {
	dir := place(t)
	v := make([]float32, 3*16*16*3)
	for i := range v {
		v[i] = 0.5 + float32(i*(i/(16*16*3)+1)%256)/65536 // image by image, within a step of 8 bits
	}
	writeNPY(t, filepath.Join(dir, "deep.npy"), []int{3, 16, 16, 3}, v)
	out := filepath.Join(dir, "o.npy")
	_, err := embed(t, "--weights", filepath.Join(dir, "w.safetensors"), "--data", filepath.Join(dir, "deep.npy"), "--kind", "arrays", "--out", out)
	require.NoError(t, err)
	shape, got := readNPY(t, out)
	require.Equal(t, []int{3, 12}, shape)

	src, err := images.Open(context.Background(), filepath.Join(dir, "deep.npy"), images.DefaultOpen())
	require.NoError(t, err)
	var all []*images.Image
	for i := range 3 {
		m, err := src.Image(context.Background(), i)
		require.NoError(t, err)
		require.True(t, m.Deep())
		all = append(all, m)
	}
	m, err := vision.LoadFile(filepath.Join(dir, "w.safetensors"), vision.LoadOptions{})
	require.NoError(t, err)
	defer m.Close()
	want, err := m.Embed(context.Background(), all)
	require.NoError(t, err)
	for i, row := range want {
		assert.InDeltaSlice(t, row, got[i*12:][:12], 1e-6)
	}
	assert.NotEqual(t, want[0], want[1])
}

// TestJPEG: each decoder that may be chosen is the one that is used.
func TestJPEG(t *testing.T) {
	dir := place(t)
	const file = "../../vision/images/testdata/progressive.jpg"
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	photos := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(photos, "a.jpg"), data, 0o644))
	out := filepath.Join(dir, "out.npy")
	with := func(decoder string) error {
		_, err := embed(t, "--weights", filepath.Join(dir, "w.safetensors"), "--data", photos, "--device", "cpu", "--jpeg", decoder, "--out", out)
		return err
	}
	m, err := vision.Load("", filepath.Join(dir, "w.safetensors"), torch.CPU)
	require.NoError(t, err)
	defer m.Close()
	seen := map[images.JPEGDecoder][]float32{}
	for _, d := range []images.JPEGDecoder{images.JPEGGo, images.JPEGTurbo} {
		o := images.DefaultOptions()
		o.JPEG = d
		if err := o.Validate(); err != nil { // turbo is not on this machine
			assert.ErrorContains(t, with(d.String()), "libjpeg-turbo")
			continue
		}
		photo, err := images.Decode(data, o)
		require.NoError(t, err)
		want, err := m.Embed(context.Background(), []*images.Image{photo})
		require.NoError(t, err)
		require.NoError(t, with(d.String()))
		_, got := readNPY(t, out)
		assert.Equal(t, want[0], got, d)
		seen[d] = got
	}
	if turbo, ok := seen[images.JPEGTurbo]; ok {
		assert.NotEqual(t, seen[images.JPEGGo], turbo, "or the test could not tell them apart")
	}
	assert.ErrorContains(t, with("pillow"), "--jpeg")
}
