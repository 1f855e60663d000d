package weights

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
)

// counting is a file that counts what is read of it.
type counting struct {
	io.ReaderAt
	bytes, calls atomic.Int64
}

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, off)
	c.bytes.Add(int64(n))
	c.calls.Add(1)
	return n, err
}

// openMemory lists a file that is held in memory.
func openMemory(t *testing.T, b []byte) *File {
	t.Helper()
	f, err := New(bytes.NewReader(b), int64(len(b)), "memory", Options{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestListingReadsLittle opens files of 1.2 GB: what is read of them is the listing, and later each tensor by itself.
func TestListingReadsLittle(t *testing.T) {
	for _, c := range []struct {
		ext     string
		listing int64 // bytes for 300 tensors
	}{{".safetensors", 100e3}, {".pt", 400e3}, {".pth", 400e3}} {
		path := sparseFile(t, c.ext)
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		st, err := file.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if st.Size() < 300*4<<20 {
			t.Fatalf("%s has %d bytes", path, st.Size())
		}
		r := &counting{ReaderAt: file}
		f, err := New(r, st.Size(), path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(f.Tensors()); n != 300 {
			t.Fatalf("%s: %d tensors", path, n)
		}
		t.Logf("%s: listing reads %d bytes in %d calls", c.ext, r.bytes.Load(), r.calls.Load())
		if r.bytes.Load() > c.listing {
			t.Errorf("%s: listing reads %d bytes", c.ext, r.bytes.Load())
		}
		for _, i := range []int{0, 150, 299} {
			before := r.bytes.Load()
			data, err := f.Read(fmt.Sprintf("blocks.%d.attn.qkv.weight", i))
			if err != nil {
				t.Fatal(err)
			}
			if read := r.bytes.Load() - before; len(data) != 4<<20 || read < 4<<20 || read > 4<<20+1000 {
				t.Errorf("%s: a tensor of %d bytes takes %d", c.ext, len(data), read)
			}
		}
	}
}

// writeLegacy writes entries as torch.save did before 1.6: the dict, the names of its storages, and then each storage
// behind its length.
func writeLegacy(w io.Writer, entries []Entry, _ map[string]string) error {
	var dict, keys strings.Builder
	text := func(s string) string {
		return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
	}
	number := func(n int64) string { return "J" + string(binary.LittleEndian.AppendUint32(nil, uint32(n))) }
	for i, e := range entries {
		if e.DType != F32 || len(e.Shape) != 2 {
			return fmt.Errorf("%v: expected a matrix of floats", e.Info)
		}
		key := fmt.Sprint(i)
		dict.WriteString(text(e.Name) + "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\nFloatStorage\n" + text(key) +
			text("cpu") + number(e.Len()) + "NtQK\x00" + number(e.Shape[0]) + number(e.Shape[1]) + "\x86" + number(e.Shape[1]) + "K\x01\x86\x89}tRs")
		keys.WriteString(text(key) + "a")
	}
	if _, err := io.WriteString(w, legacyHead+"\x80\x02}"+dict.String()+".\x80\x02]"+keys.String()+"."); err != nil {
		return err
	}
	for _, e := range entries {
		if err := binary.Write(w, binary.LittleEndian, e.Len()); err != nil {
			return err
		}
		if err := e.WriteData(w); err != nil {
			return err
		}
	}
	return nil
}
