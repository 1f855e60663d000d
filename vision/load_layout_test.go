package vision

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
	"github.com/gojepa/gojepa/torch/weights"
	"github.com/gojepa/gojepa/torch/weights/layout"
)

const layouts = "../torch/weights/layout/testdata"

// TestLoadKnowsOtherLibraries: files with the keys of torchvision, Hugging Face, CLIP, DINO, DINOv2, DINOv3, MAE and I-JEPA make
// encoders that compute what those libraries' models do (scripts/golden/layouts.py).
func TestLoadKnowsOtherLibraries(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(layouts, "expected.json"))
	require.NoError(t, err)
	var golden map[string]struct {
		Layout string
		Spec   Spec
		Output []float64
	}
	require.NoError(t, json.Unmarshal(text, &golden))
	for name, g := range golden {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(layouts, name+".safetensors")
			for _, l := range []string{"", g.Layout} {
				m, err := LoadFile(file, LoadOptions{Spec: g.Spec, Layout: l, Torch: torch.Options{Threads: 1}})
				require.NoError(t, err)
				got, err := m.Pixels(context.Background(), pixels(2*3*6*6), 2, 3, 6, 6)
				m.Close()
				require.NoError(t, err)
				torchtest.Close(t, g.Output, wide(got), 1e-5, 0)
			}
		})
	}
}

// TestDINOv3Sizes: the models that Meta gave to Hugging Face's library have the names and shapes of our variants.
func TestDINOv3Sizes(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(layouts, "dinov3.json"))
	require.NoError(t, err)
	var golden map[string]struct {
		Blocks  int
		Tensors map[string][]int64 // with those of the first block
	}
	require.NoError(t, json.Unmarshal(text, &golden))
	require.Len(t, golden, 6)
	th := torchtest.Thread(t)
	for name, g := range golden {
		shapes := map[string][]int64{}
		for key, shape := range g.Tensors {
			rest, block := strings.CutPrefix(key, "layer.0.")
			if !block {
				shapes[key] = shape
				continue
			}
			for i := range g.Blocks {
				shapes[fmt.Sprintf("layer.%d.%s", i, rest)] = shape
			}
		}
		f, err := weights.Open(hollow(t, shapes))
		require.NoError(t, err)
		l, ok := layout.Detect(f)
		require.True(t, ok)
		timm, err := l.Apply(f)
		require.NoError(t, err)
		var got []string
		for _, info := range timm.Tensors() {
			got = append(got, info.Name+" "+strings.ReplaceAll(strings.Trim(fmt.Sprint(info.Shape), "[]"), " ", "x"))
		}
		var want []string
		for _, key := range keysOf(t, th, Spec{Name: name}) {
			want = append(want, key[:strings.LastIndex(key, " ")])
		}
		assert.ElementsMatch(t, want, got, name)
		require.NoError(t, f.Close())
	}
}

// hollow is a safetensors file with tensors of one byte an element, which take no room on disk.
func hollow(t *testing.T, shapes map[string][]int64) string {
	type tensor struct {
		DType   string   `json:"dtype"`
		Shape   []int64  `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	header, end := map[string]tensor{}, int64(0)
	for key, shape := range shapes {
		n := int64(1)
		for _, d := range shape {
			n *= d
		}
		header[key] = tensor{"U8", shape, [2]int64{end, end + n}}
		end += n
	}
	text, err := json.Marshal(header)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "hollow.safetensors")
	require.NoError(t, os.WriteFile(path, append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), 0o644))
	require.NoError(t, os.Truncate(path, 8+int64(len(text))+end))
	return path
}

func TestLoadOptions(t *testing.T) {
	dir := t.TempDir()
	spec := Spec{Name: "vit_tiny_patch16_224", ImageSize: 16, PatchSize: 4, Channels: 1, NumClasses: 5, Width: 24, Depth: 2, Heads: 2}
	plain := filepath.Join(dir, "plain.pt")
	saveModel(t, spec, plain, nil, nil)
	told := filepath.Join(dir, "told.pt")
	saveModel(t, spec, told, Metadata(spec, 16, []float64{0}, []float64{1}), nil)
	f, err := weights.Open(plain)
	require.NoError(t, err)
	defer f.Close()
	var entries []weights.Entry
	for _, e := range f.Entries() {
		e.Name = "net.body." + e.Name
		entries = append(entries, e)
	}
	entries = append(entries, weights.NewEntry(weights.Info{Name: "net.mask", DType: weights.F32}, make([]byte, 4)))
	named := filepath.Join(dir, "named.pt")
	require.NoError(t, weights.SaveFile(named, entries, nil))

	headless := spec
	headless.NumClasses = 0
	for name, c := range map[string]struct {
		file string
		o    LoadOptions
		want string // part of the error
	}{
		"as it is":          {plain, LoadOptions{Spec: spec}, ""},
		"timm's":            {plain, LoadOptions{Spec: spec, Layout: "timm"}, ""},
		"not torchvision's": {plain, LoadOptions{Spec: spec, Layout: "torchvision"}, "lacks the keys class_token"},
		"of no library":     {plain, LoadOptions{Spec: spec, Layout: "x"}, `unknown layout "x"`},
		"of no key":         {plain, LoadOptions{Spec: spec, Key: "teacher"}, `under the key "teacher"`},
		"with a head":       {plain, LoadOptions{Spec: headless}, "unexpected keys (2): head.weight, head.bias"},
		"without it":        {plain, LoadOptions{Spec: headless, DropHead: true}, ""},
		"without its own":   {told, LoadOptions{DropHead: true}, ""},
		"leniently":         {plain, LoadOptions{Spec: headless, Lenient: true}, ""},
		"under a prefix":    {named, LoadOptions{Spec: spec, Names: weights.Mapping{Prefix: "net.body."}}, ""},
		"renamed":           {named, LoadOptions{Spec: spec, Names: weights.Mapping{Drop: []string{"net.mask"}, Rename: [][2]string{{"net.body.", ""}}}}, ""},
		"with too much":     {named, LoadOptions{Spec: spec, Names: weights.Mapping{Rename: [][2]string{{"net.body.", ""}}}}, "unexpected keys (1): net.mask"},
		"of no prefix":      {named, LoadOptions{Spec: spec, Names: weights.Mapping{Prefix: "x."}}, "no key is left"},
		"all by one name":   {plain, LoadOptions{Spec: spec, Names: weights.Mapping{Rename: [][2]string{{"blocks.0.norm1.", "norm."}}}}, "comes twice"},
	} {
		c.o.Torch.Threads = 1
		m, err := LoadFile(c.file, c.o)
		if c.want != "" {
			assert.ErrorContains(t, err, c.want, name)
			continue
		}
		if assert.NoError(t, err, name) {
			m.Close()
		}
	}

	clip := filepath.Join(layouts, "clip.safetensors")
	_, err = LoadFile(clip, LoadOptions{Spec: Spec{Name: "vit_tiny_patch16_224", Width: 8, Depth: 2, Heads: 2}, DropHead: true})
	var state *torch.StateError
	require.ErrorAs(t, err, &state)
	assert.ElementsMatch(t, []string{"norm_pre.weight", "norm_pre.bias"}, state.Unexpected)
	assert.ErrorContains(t, err, "CLIP")

	resnet := filepath.Join(dir, "resnet.pt")
	one := func(name string) weights.Entry {
		return weights.NewEntry(weights.Info{Name: name, DType: weights.F32}, make([]byte, 4))
	}
	require.NoError(t, weights.SaveFile(resnet, []weights.Entry{one("visual.attnpool.positional_embedding"), one("visual.layer1.0.conv1.weight")}, nil))
	_, err = LoadFile(resnet, LoadOptions{Spec: Spec{Name: "resnet50"}})
	assert.ErrorIs(t, err, layout.ErrUnsupported)
}

// TestLenientLoadIsDrawn: what a file lacks has initial values, and not what memory held.
func TestLenientLoadIsDrawn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "part.pt")
	spec := smallViT
	info := weights.Info{Name: "norm.bias", DType: weights.F32, Shape: []int64{24}}
	require.NoError(t, weights.SaveFile(file, []weights.Entry{weights.NewEntry(info, make([]byte, 96))}, nil))
	m, err := LoadFile(file, LoadOptions{Spec: spec, Lenient: true, Torch: torch.Options{Threads: 1}})
	require.NoError(t, err)
	defer m.Close()
	require.NoError(t, m.Thread.Do(context.Background(), func(s *torch.Scope) {
		for _, v := range s.Use(m.Encoder.Params().Get("head.weight").Value).Float64s() {
			require.Less(t, v*v, 1.)
		}
	}))
}
