package weights

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// sameTensors compares names, types, shapes and bytes of two files, in any order.
func sameTensors(t *testing.T, got, want *File) {
	t.Helper()
	if g, w := len(got.Tensors()), len(want.Tensors()); g != w {
		t.Errorf("%s: %d tensors, want %d", got.name, g, w)
	}
	for _, w := range want.Tensors() {
		g, ok := got.Lookup(w.Name)
		if !ok || g.String() != w.String() {
			t.Errorf("%s: got %v, want %v", got.name, g, w)
			continue
		}
		a, err := got.Read(w.Name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := want.Read(w.Name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s: %v: bytes differ", got.name, w)
		}
	}
}

// TestRoundTrip writes what every golden file holds in both formats and reads it
// back. With GOJEPA_ROUNDTRIP_DIR set it leaves the files there, for
// scripts/python/check_roundtrip.py.
func TestRoundTrip(t *testing.T) {
	dir := os.Getenv("GOJEPA_ROUNDTRIP_DIR")
	if dir == "" {
		dir = t.TempDir()
	}
	for name := range readGolden(t, "expected.json") {
		if _, bad := wantError[name]; bad {
			continue
		}
		f, err := Open(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		meta := map[string]string{"from": name, "é": "\"\n"}
		for _, ext := range []string{".pt", ".safetensors"} {
			entries := f.Entries()
			if ext == ".safetensors" {
				lacks := func(e Entry) bool { return e.DType == C32 || e.DType == C128 }
				if slices.ContainsFunc(entries, lacks) {
					err := WriteSafetensors(io.Discard, entries, nil)
					if err == nil || !strings.Contains(err.Error(), "key \"complex") {
						t.Errorf("%s: got error %v, want one that names the complex key", name, err)
					}
				}
				entries = slices.DeleteFunc(entries, lacks)
			}
			path := filepath.Join(dir, name+ext)
			if err := SaveFile(path, entries, meta); err != nil {
				t.Fatal(err)
			}
			g, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(entries) == len(f.Tensors()) {
				sameTensors(t, g, f)
			}
			if m := g.Metadata(); m["from"] != name || m["é"] != "\"\n" {
				t.Errorf("%s: metadata %q", path, m)
			}
			for i, v := range g.views {
				if ext == ".pt" && v.blob != nil && v.off%zipAlignment != 0 {
					t.Errorf("%s: %v lies at %d, not at a multiple of %d", path, g.infos[i], v.off, zipAlignment)
				}
			}
			if err := g.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func sample() []Entry {
	return []Entry{
		NewEntry(Info{"b", F32, []int64{2, 3}}, bytes.Repeat([]byte{1, 2, 3, 4}, 6)),
		NewEntry(Info{"a", I64, nil}, bytes.Repeat([]byte{7}, 8)),
		NewEntry(Info{"empty", U16, []int64{0, 5}}, nil),
		NewEntry(Info{"long", U8, []int64{70000}}, bytes.Repeat([]byte{9}, 70000)),
	}
}

type writeFunc func(io.Writer, []Entry, map[string]string) error

var writers = map[string]writeFunc{".safetensors": WriteSafetensors, ".pt": WritePyTorch}

func TestWriteIsDeterministic(t *testing.T) {
	for ext, write := range writers {
		var a, b bytes.Buffer
		for _, w := range []io.Writer{&a, &b} {
			if err := write(w, sample(), map[string]string{"x": "1", "y": "2", "z": "3"}); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Errorf("%s: two writes differ", ext)
		}
	}
}

// TestWriteRefuses gives entries that would make a broken file.
func TestWriteRefuses(t *testing.T) {
	ok := NewEntry(Info{"w", F32, []int64{2}}, make([]byte, 8))
	boom := errors.New("boom")
	for _, c := range []struct {
		name    string
		entries []Entry
		want    string
	}{
		{"twice", []Entry{ok, ok}, `key "w": given twice`},
		{"short", []Entry{NewEntry(Info{"w", F32, []int64{2}}, make([]byte, 7))}, `key "w": got 7 bytes of data, want 8`},
		{"long", []Entry{NewEntry(Info{"w", F32, []int64{2}}, make([]byte, 9))}, `key "w": got 9 bytes of data, want 8`},
		{"no dtype", []Entry{NewEntry(Info{Name: "w"}, nil)}, `key "w": invalid dtype`},
		{"negative", []Entry{NewEntry(Info{"w", F32, []int64{-1}}, nil)}, `key "w": negative`},
		{"overflow", []Entry{NewEntry(Info{"w", F32, []int64{1 << 31, 1 << 31}}, nil)}, `key "w": shape`},
		{"dims", []Entry{NewEntry(Info{"w", F32, make([]int64, 65)}, nil)}, `key "w": 65 dimensions`},
		{"no data", []Entry{{Info: ok.Info}}, `key "w": no data`},
		{"not UTF-8", []Entry{NewEntry(Info{"\xff", F32, nil}, make([]byte, 4))}, `not UTF-8`},
		{"failing data", []Entry{{Info: ok.Info, WriteData: func(io.Writer) error { return boom }}}, `key "w": boom`},
	} {
		for ext, write := range writers {
			err := write(io.Discard, c.entries, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, %s: got error %v, want one with %q", c.name, ext, err, c.want)
			}
		}
	}
	err := WriteSafetensors(io.Discard, []Entry{NewEntry(Info{"__metadata__", U8, nil}, []byte{1})}, nil)
	if err == nil || !strings.Contains(err.Error(), "reserved") {
		t.Errorf("__metadata__: got error %v", err)
	}
	if err := SaveFile(filepath.Join(t.TempDir(), "w.txt"), nil, nil); err == nil || !strings.Contains(err.Error(), ".safetensors") {
		t.Errorf("unknown ending: got error %v", err)
	}
}

// fullWriter takes room bytes and then has no space left.
type fullWriter struct{ room int }

func (w *fullWriter) Write(p []byte) (int, error) {
	if len(p) > w.room {
		n := w.room
		w.room = 0
		return n, syscall.ENOSPC
	}
	w.room -= len(p)
	return len(p), nil
}

// TestWriteFull runs out of space at every byte of the beginning and in between.
func TestWriteFull(t *testing.T) {
	for ext, write := range writers {
		var whole bytes.Buffer
		if err := write(&whole, sample(), nil); err != nil {
			t.Fatal(err)
		}
		for room := 0; room < whole.Len(); room++ {
			if err := write(&fullWriter{room}, sample(), nil); !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("%s with %d of %d bytes: got error %v", ext, room, whole.Len(), err)
			}
			if room > 4096 && whole.Len()-room > 4096 {
				room += 97
			}
		}
	}
}

// TestDevFull writes to the device that is always full.
func TestDevFull(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("needs /dev/full: %v", err)
	}
	defer full.Close()
	for ext, write := range writers {
		if err := write(full, sample(), nil); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: got error %v, want %v", ext, err, syscall.ENOSPC)
		}
	}
}

// TestSaveFileKeepsOld fails in the middle of saving over a good file.
func TestSaveFileKeepsOld(t *testing.T) {
	for ext := range writers {
		dir := t.TempDir()
		path := filepath.Join(dir, "model"+ext)
		if err := SaveFile(path, sample(), nil); err != nil {
			t.Fatal(err)
		}
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		boom := errors.New("boom")
		bad := append(sample(), Entry{Info: Info{"zz", F32, []int64{1 << 20}}, WriteData: func(w io.Writer) error {
			if _, err := w.Write(make([]byte, 2<<20)); err != nil {
				return err
			}
			return boom
		}})
		if err := SaveFile(path, bad, nil); !errors.Is(err, boom) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got error %v", ext, err)
		}
		after, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s: the old file changed (%v)", ext, err)
		}
		if left, _ := os.ReadDir(dir); len(left) != 1 {
			t.Errorf("%s: files left behind: %v", ext, left)
		}
	}
	if err := SaveFile(filepath.Join(t.TempDir(), "none", "w.pt"), sample(), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing folder: got error %v", err)
	}
}

// TestSaveWhileReading converts a file in place: the data come from the file
// that the result replaces.
func TestSaveWhileReading(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file cannot be replaced on Windows")
	}
	path := filepath.Join(t.TempDir(), "w.pt")
	if err := SaveFile(path, sample(), nil); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := SaveFile(path, f.Entries(), nil); err != nil {
		t.Fatal(err)
	}
	g, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	sameTensors(t, g, f)
}
