//go:build unix

package weights

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// bigFile makes a file of a few megabytes, and what is in it.
func bigFile(t *testing.T) (*os.File, []byte) {
	t.Helper()
	data := make([]byte, 3*mapFrom+12345)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	path := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f, data
}

func TestMappedReads(t *testing.T) {
	f, data := bigFile(t)
	for _, off := range []int{0, 1, 4095, 4096, 5000, mapFrom - 1} {
		for _, n := range []int{1, mapFrom - 1, mapFrom, 2*mapFrom + 77} {
			p := make([]byte, n)
			if !(mappedFile{f}).copyAt(p, int64(off)) || !bytes.Equal(p, data[off:off+n]) {
				t.Errorf("%d bytes at %d: wrong through the map", n, off)
			}
			clear(p)
			if got, err := (mappedFile{f}).ReadAt(p, int64(off)); got != n || err != nil || !bytes.Equal(p, data[off:off+n]) {
				t.Errorf("%d bytes at %d: %d, %v", n, off, got, err)
			}
		}
	}
	p := make([]byte, mapFrom)
	if n, err := (mappedFile{f}).ReadAt(p, int64(len(data)-100)); n != 100 || err != io.EOF {
		t.Errorf("beyond the end: %d, %v", n, err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := (mappedFile{f}).ReadAt(p, 0); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a closed file: %v", err)
	}
}

// TestCutWhileMapped takes the pages away from under a copy.
func TestCutWhileMapped(t *testing.T) {
	f, data := bigFile(t)
	m, err := unix.Mmap(int(f.Fd()), 0, len(data), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(m) }()
	if err := f.Truncate(mapFrom + 100); err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, len(data))
	if copyGuarded(dst, m) {
		t.Error("the copy is said to be whole")
	}
	if !copyGuarded(dst[:mapFrom], m) || !bytes.Equal(dst[:mapFrom], data[:mapFrom]) {
		t.Error("what is still there was not copied")
	}
	if n, err := (mappedFile{f}).ReadAt(dst, 0); n != mapFrom+100 || err != io.EOF {
		t.Errorf("read on: %d, %v", n, err)
	}
	if (mappedFile{f}).copyAt(dst[:mapFrom+101], 0) {
		t.Error("the zeros behind the end are taken for the file's")
	}
}
