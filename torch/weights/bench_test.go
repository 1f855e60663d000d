package weights

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// sparseWriter leaves holes in a file where zeros are written.
type sparseWriter struct{ f *os.File }

var zeroBlock = make([]byte, 1<<20)

func (w sparseWriter) Write(p []byte) (int, error) {
	if len(p) == len(zeroBlock) && bytes.Equal(p, zeroBlock) {
		_, err := w.f.Seek(int64(len(p)), io.SeekCurrent)
		return len(p), err
	}
	return w.f.Write(p)
}

// sparseFile makes a file of 300 tensors of 4 MiB, as many as a ViT-L has. An ending of .pth is for the legacy format.
func sparseFile(b testing.TB, ext string) string {
	b.Helper()
	var entries []Entry
	for i := range 300 {
		entries = append(entries, Entry{
			Info: Info{fmt.Sprintf("blocks.%d.attn.qkv.weight", i), F32, []int64{1024, 1024}},
			WriteData: func(w io.Writer) error {
				for range 4 {
					if _, err := w.Write(zeroBlock); err != nil {
						return err
					}
				}
				return nil
			},
		})
	}
	path := filepath.Join(b.TempDir(), "big"+ext)
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	write := writers[ext]
	if ext == ".pth" {
		write = writeLegacy
	}
	if err := write(sparseWriter{f}, entries, nil); err != nil {
		b.Fatal(err)
	}
	// The last tensor of a safetensors file is a hole at the end.
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		b.Fatal(err)
	}
	if err := f.Truncate(at); err != nil {
		b.Fatal(err)
	}
	return path
}

// BenchmarkOpen lists a file of 1.2 GB.
func BenchmarkOpen(b *testing.B) {
	for _, ext := range []string{".safetensors", ".pt", ".pth"} {
		b.Run(ext[1:], func(b *testing.B) {
			path := sparseFile(b, ext)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				f, err := Open(path)
				if err != nil {
					b.Fatal(err)
				}
				if n := len(f.Tensors()); n != 300 {
					b.Fatalf("%d tensors", n)
				}
				if err := f.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReadInto reads the tensors of such a file into one buffer.
func BenchmarkReadInto(b *testing.B) {
	for ext := range writers {
		b.Run(ext[1:], func(b *testing.B) {
			f, err := Open(sparseFile(b, ext))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			dst := make([]byte, 4<<20)
			b.SetBytes(4 << 20)
			b.ResetTimer()
			for i := range b.N {
				if err := f.ReadInto(f.infos[i%300].Name, dst); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkStrided reads a transposed matrix.
func BenchmarkStrided(b *testing.B) {
	const n = 1024
	data := make([]byte, 4*n*n)
	v := view{blob: &blob{size: int64(len(data))}, dtype: F32, shape: []int64{n, n}, stride: []int64{1, n}}
	dst := make([]byte, len(data))
	b.SetBytes(int64(len(data)))
	for range b.N {
		if err := v.read(bytes.NewReader(data), dst); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWrite writes 16 MiB.
func BenchmarkWrite(b *testing.B) {
	for ext, write := range writers {
		b.Run(ext[1:], func(b *testing.B) {
			entries := []Entry{NewEntry(Info{"w", F32, []int64{4 << 20}}, make([]byte, 16<<20))}
			b.SetBytes(16 << 20)
			for range b.N {
				if err := write(io.Discard, entries, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
