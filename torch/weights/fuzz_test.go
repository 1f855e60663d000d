package weights

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// seed adds the golden files with that ending, and others, to the corpus.
func seed(f *testing.F, patterns []string, more ...[]byte) {
	f.Helper()
	for _, p := range patterns {
		paths, err := filepath.Glob(filepath.Join("testdata", p))
		if err != nil || len(paths) == 0 {
			f.Fatalf("no files match %s: %v", p, err)
		}
		for _, path := range paths {
			b, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	for _, b := range more {
		f.Add(b)
	}
}

// fuzz opens b in every way and, where that works, reads it and checks that it
// survives being written and read again.
func fuzz(t *testing.T, b []byte) {
	_ = openBytes(t, b) // for its limit of memory
	for _, o := range []Options{{}, {Raw: true}, {Key: "model"}} {
		f, err := New(bytes.NewReader(b), int64(len(b)), "fuzz", o)
		if err != nil || readAll(t, f) != nil {
			continue
		}
		for ext, write := range writers {
			var out bytes.Buffer
			if err := write(&out, f.Entries(), f.Metadata()); err != nil {
				continue // such as a complex128 tensor in safetensors
			}
			g, err := New(bytes.NewReader(out.Bytes()), int64(out.Len()), "again", Options{Raw: true})
			if err != nil {
				t.Fatalf("%s written from a sound file: %v", ext, err)
			}
			sameTensors(t, g, f)
		}
	}
}

func FuzzSafetensors(f *testing.F) {
	seed(f, []string{"*.safetensors"}, stOf(`{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, "x"))
	f.Fuzz(fuzz)
}

func FuzzZip(f *testing.F) {
	seed(f, []string{"*.pt", "*.ckpt", "*.tar"}, ptOf(dictOf(tensorPickle("K\x04", "K\x00", "K\x04\x85", "K\x01\x85"))))
	f.Fuzz(fuzz)
}

func FuzzLegacy(f *testing.F) {
	seed(f, []string{"*_legacy.pth"}, legacyOf(dictOf(tensorPickle("K\x04", "K\x00", "K\x04\x85", "K\x01\x85"))))
	f.Fuzz(fuzz)
}

// FuzzPickle mutates the pickle alone, which the checksums and lengths around
// it would hide from the other fuzzers.
func FuzzPickle(f *testing.F) {
	f.Add([]byte(dictOf(tensorPickle("K\x04", "K\x00", "K\x02K\x02\x86", "K\x01K\x02\x86"))))
	f.Add([]byte("\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s."))
	paths, err := filepath.Glob(filepath.Join("testdata", "*.pt"))
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		a := &File{r: bytes.NewReader(b), size: int64(len(b)), limits: newLimits(int64(len(b)))}
		arc, err := a.newArchive()
		if err != nil {
			f.Fatal(err)
		}
		pkl, err := arc.small("data.pkl", 1<<20)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(pkl)
	}
	f.Fuzz(func(t *testing.T, pkl []byte) {
		fuzz(t, ptOf(string(pkl)))
		fuzz(t, legacyOf(string(pkl)))
	})
}
