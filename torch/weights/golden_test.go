package weights

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// golden is what scripts/golden/weights.py says PyTorch reads from a file.
type golden struct {
	Key     string
	Tensors []struct {
		Name, DType, SHA256 string
		Shape               []int64
	}
	Skipped  []string
	Metadata map[string]string
}

func readGolden(t testing.TB, name string) map[string]golden {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var g map[string]golden
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// wantError lists the files that hold no state dict, with a part of the error.
var wantError = map[string]struct {
	is   error
	text string
}{
	"ambiguous.pt":     {ErrNoStateDict, `"generator" "discriminator"`},
	"only_numbers.pt":  {ErrNoStateDict, `"epoch" "loss"`},
	"tensor.pt":        {ErrNoStateDict, "a tensor"},
	"list.pt":          {ErrNoStateDict, "a list"},
	"torchscript.pt":   {ErrTorchScript, "TorchScript"},
	"torchscript_foo1": {ErrTorchScript, "TorchScript"},
}

func TestGolden(t *testing.T) {
	for name, g := range readGolden(t, "expected.json") {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name)
			f, err := Open(path)
			if want, ok := wantError[name]; ok {
				if !errors.Is(err, want.is) || !strings.Contains(err.Error(), want.text) || !strings.Contains(err.Error(), path) {
					t.Fatalf("got error %v, want one with %q", err, want.text)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			checkGolden(t, f, g)
		})
	}
}

// TestSharedCheckpoints reads real checkpoints, among them files of Python 2.
func TestSharedCheckpoints(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "data", "checkpoints")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("needs the checkpoints of shared/data beside the repository: %v", err)
	}
	for name, g := range readGolden(t, "shared.json") {
		t.Run(name, func(t *testing.T) {
			f, err := Open(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			checkGolden(t, f, g)
		})
	}
	scripts, err := filepath.Glob(filepath.Join(dir, "torchscript_*.pt"))
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no TorchScript files in %s: %v", dir, err)
	}
	for _, path := range scripts {
		if _, err := Open(path); !errors.Is(err, ErrTorchScript) {
			t.Errorf("%s: got error %v, want %v", path, err, ErrTorchScript)
		}
	}
}

func checkGolden(t *testing.T, f *File, g golden) {
	t.Helper()
	if f.Key() != g.Key {
		t.Errorf("key %q, want %q", f.Key(), g.Key)
	}
	infos := f.Tensors()
	if len(infos) != len(g.Tensors) {
		t.Fatalf("%d tensors, want %d: %v", len(infos), len(g.Tensors), infos)
	}
	for i, want := range g.Tensors {
		info := infos[i]
		if info.Name != want.Name || info.DType.String() != want.DType || !slices.Equal(info.Shape, want.Shape) {
			t.Errorf("tensor %d: got %v, want %v %v%v", i, info, want.Name, want.DType, want.Shape)
			continue
		}
		data, err := f.Read(info.Name)
		if err != nil {
			t.Error(err)
			continue
		}
		sum := sha256.Sum256(data)
		if got := hex.EncodeToString(sum[:8]); got != want.SHA256 {
			t.Errorf("%v: bytes %x… hash to %s, want %s", info, data[:min(len(data), 64)], got, want.SHA256)
		}
	}
	var skipped []string
	for _, s := range f.Skipped() {
		skipped = append(skipped, s.Name)
		if _, err := f.Read(s.Name); err == nil || !strings.Contains(err.Error(), s.What) {
			t.Errorf("reading %s: got error %v, want one with %q", s.Name, err, s.What)
		}
	}
	if !slices.Equal(skipped, g.Skipped) {
		t.Errorf("skipped %q, want %q", skipped, g.Skipped)
	}
	if !maps.Equal(f.Metadata(), g.Metadata) {
		t.Errorf("metadata %q, want %q", f.Metadata(), g.Metadata)
	}
}

// TestOptions lists parts of a file by path, and the whole.
func TestOptions(t *testing.T) {
	dino := filepath.Join("testdata", "dino.pth")
	for _, c := range []struct {
		path string
		o    Options
		want string // a name that must be there
		not  string // one that must not
		key  string
	}{
		{dino, Options{}, "conv.weight", "module.conv.weight", "teacher"},
		{dino, Options{Key: "student"}, "conv.weight", "student.conv.weight", "student"},
		{dino, Options{Key: "student.module"}, "bn.bias", "conv.bias", "student.module"},
		{dino, Options{Key: "student.module.bn"}, "bias", "conv.weight", "student.module.bn"},
		{dino, Options{Key: "optimizer.state.0"}, "exp_avg", "conv.weight", "optimizer.state.0"},
		{dino, Options{Raw: true}, "teacher.module.conv.weight", "conv.weight", ""},
		{dino, Options{Raw: true}, "optimizer.state.1.exp_avg_sq", "epoch", ""},
		{filepath.Join("testdata", "ambiguous.pt"), Options{Key: "generator"}, "conv.weight", "generator", "generator"},
		{filepath.Join("testdata", "list.pt"), Options{Raw: true}, "0", "", ""},
		{filepath.Join("testdata", "ddp.safetensors"), Options{}, "weight", "module.weight", ""},
		{filepath.Join("testdata", "ddp.safetensors"), Options{Raw: true}, "module.weight", "weight", ""},
		{filepath.Join("testdata", "ddp.safetensors"), Options{Key: "module"}, "weight", "module.weight", "module"},
	} {
		f, err := OpenOptions(c.path, c.o)
		if err != nil {
			t.Errorf("%s %+v: %v", c.path, c.o, err)
			continue
		}
		if _, ok := f.Lookup(c.want); !ok {
			t.Errorf("%s %+v: no %q in %v", c.path, c.o, c.want, f.Tensors())
		}
		if _, ok := f.Lookup(c.not); ok {
			t.Errorf("%s %+v: %q should not be there", c.path, c.o, c.not)
		}
		if f.Key() != c.key {
			t.Errorf("%s %+v: key %q, want %q", c.path, c.o, f.Key(), c.key)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	_, err := OpenOptions(dino, Options{Key: "techer"})
	if !errors.Is(err, ErrNoStateDict) || !strings.Contains(err.Error(), `"student" "teacher"`) {
		t.Errorf("misspelt key: got error %v, want one that lists the keys", err)
	}
	if _, err := OpenOptions(dino, Options{Key: "teacher", Raw: true}); err == nil {
		t.Error("Raw with Key: want an error")
	}
}

func TestReadErrors(t *testing.T) {
	f, err := Open(filepath.Join("testdata", "plain_dict.pt"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Read("c"); err == nil || !strings.Contains(err.Error(), `"c"`) {
		t.Errorf("unknown key: %v", err)
	}
	if err := f.ReadInto("a", make([]byte, 15)); err == nil || !strings.Contains(err.Error(), "want 16") {
		t.Errorf("short destination: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Read("a"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed file: %v", err)
	}
}

// TestSafetensorsBytes compares the writer with the reference writer.
func TestSafetensorsBytes(t *testing.T) {
	for _, name := range []string{"dtypes.safetensors", "empty.safetensors", "ddp.safetensors"} {
		path := filepath.Join("testdata", name)
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := OpenOptions(path, Options{Raw: true})
		if err != nil {
			t.Fatal(err)
		}
		entries := f.Entries()
		slices.Reverse(entries) // the writer has its own order
		var got bytes.Buffer
		if err := WriteSafetensors(&got, entries, f.Metadata()); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: wrote\n%q\nwant\n%q", name, got.Bytes(), want)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
