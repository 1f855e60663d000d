package layout_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gojepa/gojepa/torch/weights"
	"github.com/gojepa/gojepa/torch/weights/layout"
)

// golden is what scripts/golden/layouts.py says of a file.
type golden struct {
	Layout  string
	Tensors map[string][2]any // shape, and a hash of the elements or ""
}

func readGolden(t *testing.T) map[string]golden {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var g map[string]golden
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// TestApply compares names, shapes and, where timm converts itself, values.
func TestApply(t *testing.T) {
	for name, g := range readGolden(t) {
		t.Run(name, func(t *testing.T) {
			f, err := weights.Open(filepath.Join("testdata", name+".safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			l, ok := layout.Detect(f)
			if !ok || l.Name != g.Layout {
				t.Fatalf("detected %v, want %s", l, g.Layout)
			}
			f, err = l.Apply(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, info := range f.Tensors() {
				want, ok := g.Tensors[info.Name]
				if !ok {
					t.Errorf("%v is none of timm's", info)
					continue
				}
				shape, _ := json.Marshal(append([]int64{}, info.Shape...))
				wantShape, _ := json.Marshal(want[0])
				if string(shape) != string(wantShape) {
					t.Errorf("%v, want shape %s", info, wantShape)
				}
				data, err := f.Read(info.Name)
				if err != nil {
					t.Fatal(err)
				}
				sum := sha256.Sum256(data)
				if got := hex.EncodeToString(sum[:8]); want[1] != "" && got != want[1] {
					t.Errorf("%v: values hash to %s, want %s", info, got, want[1])
				}
			}
			if got := len(f.Tensors()); got != len(g.Tensors) {
				t.Errorf("%d tensors, want %d", got, len(g.Tensors))
			}
			if again, ok := layout.Detect(f); ok && again.Name != "ijepa" {
				t.Errorf("timm's names are taken for %s", again.Name)
			}
		})
	}
}

// fileOf is a file of tensors of 4 floats, [4] or [2 2] for those named so.
func fileOf(t *testing.T, keys ...string) *weights.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "w.pt")
	var entries []weights.Entry
	for _, key := range keys {
		info := weights.Info{Name: key, DType: weights.F32, Shape: []int64{4}}
		if name, ok := strings.CutSuffix(key, "=2x2"); ok {
			info.Name, info.Shape = name, []int64{2, 2}
		}
		entries = append(entries, weights.NewEntry(info, make([]byte, 16)))
	}
	if err := weights.SaveFile(path, entries, nil); err != nil {
		t.Fatal(err)
	}
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// TestPartsStay keeps what cannot be put together, and what is unknown, in sight.
func TestPartsStay(t *testing.T) {
	marks := []string{"embeddings.patch_embeddings.projection.weight", "layernorm.weight"}
	f := fileOf(t, append(marks, "encoder.layer.0.attention.attention.query.weight", "encoder.layer.0.attention.attention.key.weight", "something.else", "pooler.dense.weight")...)
	l, ok := layout.Detect(f)
	if !ok {
		t.Fatal("not detected")
	}
	f, err := l.Apply(f)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, info := range f.Tensors() {
		names = append(names, info.Name)
	}
	want := []string{"patch_embed.proj.weight", "norm.weight", "encoder.layer.0.attention.attention.query.weight",
		"encoder.layer.0.attention.attention.key.weight", "something.else"}
	if !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}

// TestKeyBiasStays: only a bias that a mask switches off may be left out.
func TestKeyBiasStays(t *testing.T) {
	for _, c := range []struct{ keys, want []string }{
		{[]string{"storage_tokens", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight", "blocks.0.attn.qkv.bias"},
			[]string{"reg_token", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight", "blocks.0.attn.qkv.bias"}},
		{[]string{"embeddings.patch_embeddings.weight", "embeddings.register_tokens", "norm.weight", "layer.0.attention.k_proj.bias", "layer.0.attention.v_proj.bias"},
			[]string{"patch_embed.proj.weight", "reg_token", "norm.weight", "layer.0.attention.k_proj.bias", "blocks.0.attn.v_bias"}},
	} {
		f := fileOf(t, c.keys...)
		l, ok := layout.Detect(f)
		if !ok {
			t.Fatal("not detected")
		}
		f, err := l.Apply(f)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, info := range f.Tensors() {
			names = append(names, info.Name)
		}
		if !slices.Equal(names, c.want) {
			t.Errorf("%s: got %q, want %q", l.Name, names, c.want)
		}
	}
}

func TestErrors(t *testing.T) {
	clip := []string{"class_embedding", "conv1.weight", "ln_pre.weight"}
	for _, c := range []struct {
		name, want string
		keys       []string
	}{
		{"clip-resnet", "attnpool", []string{"visual.attnpool.positional_embedding", "visual.layer1.0.conv1.weight"}},
		{"clip", "lacks the keys class_embedding", []string{"a"}},
		{"clip", "two tensors would become blocks.0.norm1.weight", append(clip, "transformer.resblocks.0.ln_1.weight", "blocks.0.norm1.weight")},
		{"clip", "is no matrix", append(clip, "proj")},
		{"hf-vit", "does not fit behind", []string{"embeddings.patch_embeddings.projection.weight", "layernorm.weight",
			"encoder.layer.0.attention.attention.query.weight", "encoder.layer.0.attention.attention.key.weight",
			"encoder.layer.0.attention.attention.value.weight=2x2"}},
		{"dinov2", "expected three dimensions", []string{"mask_token", "pos_embed", "patch_embed.proj.weight", "cls_token", "register_tokens"}},
		{"dinov3", "expected biases of queries, keys and values", []string{"storage_tokens", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight",
			"blocks.0.attn.qkv.bias", "blocks.0.attn.qkv.bias_mask"}},
	} {
		l, err := layout.Find(c.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Apply(fileOf(t, c.keys...)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %q: got error %v, want one with %q", c.name, c.keys, err, c.want)
		} else if (c.name == "clip-resnet") != errors.Is(err, layout.ErrUnsupported) {
			t.Errorf("%s: got error %v", c.name, err)
		}
	}
	if _, err := layout.Find("none"); err == nil || !strings.Contains(err.Error(), "torchvision") {
		t.Errorf("unknown layout: got error %v", err)
	}
	if l, ok := layout.Detect(fileOf(t, "conv1.weight", "layer1.0.conv1.weight", "fc.weight")); ok {
		t.Errorf("a ResNet's keys, which are timm's, are taken for %s", l.Name)
	}
}

func TestTable(t *testing.T) {
	names := layout.Names()
	for i, l := range layout.All() {
		if found, err := layout.Find(l.Name); err != nil || found != l || l.About == "" || names[i] != l.Name || slices.Contains(names[:i], l.Name) {
			t.Errorf("layout %q: %v", l.Name, err)
		}
	}
}
