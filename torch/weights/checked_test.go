package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checkedFile is a file with checksums: two tensors and an empty one.
func checkedFile(t testing.TB, long int) (path string, b []byte) {
	r := rand.New(rand.NewPCG(1, 2))
	data := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	path = filepath.Join(t.TempDir(), "c.safetensors")
	err := SaveChecked(path, []Entry{
		NewEntry(Info{Name: "long", DType: F32, Shape: []int64{int64(long)}}, data(4*long)),
		NewEntry(Info{Name: "none", DType: F32, Shape: []int64{0}}, nil),
		NewEntry(Info{Name: "short", DType: U8, Shape: []int64{5}}, data(5)),
	}, map[string]string{"note": `"gojepa.crc32c":"0000` + "\"\n"})
	if err != nil {
		t.Fatal(err)
	}
	b, err = os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, b
}

// TestVerifyFindsEveryByte damages each byte of a file in turn, in three ways: opening or verifying it fails, and what is
// wrong with data is said by their key.
func TestVerifyFindsEveryByte(t *testing.T) {
	_, sound := checkedFile(t, 40)
	verify := func(b []byte) error {
		f, err := New(bytes.NewReader(b), int64(len(b)), "c", Options{Raw: true})
		if err != nil {
			return err
		}
		return f.Verify()
	}
	if err := verify(sound); err != nil {
		t.Fatal(err)
	}
	data := 8 + int(binary.LittleEndian.Uint64(sound))
	for i := range sound {
		for _, flip := range []byte{1, 0x20, 0xff} {
			b := bytes.Clone(sound)
			b[i] ^= flip
			err := verify(b)
			if err == nil {
				t.Fatalf("byte %d of %d, changed by %#x: nothing was found", i, len(b), flip)
			}
			key := map[bool]string{true: "long", false: "short"}[i < data+160]
			if i >= data && (!errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), key)) {
				t.Fatalf("byte %d of %d, changed by %#x: %v, expected key %s to be named as damaged", i, len(b), flip, err, key)
			}
		}
	}
	for n := range sound {
		if verify(sound[:n]) == nil {
			t.Fatalf("cut to %d bytes: nothing was found", n)
		}
	}
	if verify(append(bytes.Clone(sound), 0)) == nil {
		t.Fatal("a byte more: nothing was found")
	}
}

func TestVerifyOfOtherFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plain.safetensors")
	entries := []Entry{NewEntry(Info{Name: "a", DType: U8, Shape: []int64{2}}, []byte{1, 2})}
	if err := SaveFile(path, entries, nil); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Verify(); !errors.Is(err, ErrUnchecked) {
		t.Errorf("got %v, want %v", err, ErrUnchecked)
	}
	if err := SaveChecked(strings.TrimSuffix(path, ".safetensors")+".pt", entries, nil); err == nil {
		t.Error("a .pt file has no place for checksums")
	}
}

// TestCheckedIsPlain: but for the text of the checksums the file is the one that SaveFile writes.
func TestCheckedIsPlain(t *testing.T) {
	path, b := checkedFile(t, 3<<18)
	f, err := OpenOptions(path, Options{Raw: true})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Verify(); err != nil {
		t.Fatal(err)
	}
	var plain bytes.Buffer
	if err := WriteSafetensors(&plain, f.Entries(), f.Metadata()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, plain.Bytes()) {
		t.Error("the files differ")
	}
}

func BenchmarkSaveChecked(b *testing.B) {
	data := make([]byte, 256<<20)
	entries := []Entry{NewEntry(Info{Name: "a", DType: U8, Shape: []int64{int64(len(data))}}, data)}
	path := filepath.Join(b.TempDir(), "a.safetensors")
	for name, save := range map[string]func() error{
		"checked": func() error { return SaveChecked(path, entries, nil) },
		"plain":   func() error { return SaveFile(path, entries, nil) },
		"in memory": func() error {
			_, err := (&summingWriter{w: io.Discard}).Write(data)
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if err := save(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
