package weights

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// naive reads a view one element at a time, in C order.
func naive(data []byte, v view) []byte {
	es := int64(v.dtype.Size())
	var out []byte
	index := make([]int64, len(v.shape))
	for range (Info{Shape: v.shape}).Len() {
		at := v.start + v.offset*es
		for k, i := range index {
			at += i * v.stride[k] * es
		}
		out = append(out, data[at:at+es]...)
		for k := len(index) - 1; k >= 0; k-- {
			if index[k]++; index[k] < v.shape[k] {
				break
			}
			index[k] = 0
		}
	}
	return out
}

// TestGather reads random strided views of a storage that is larger than the
// window through which they are read.
func TestGather(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 5<<20)
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	types := []DType{U8, F16, F32, F64, C128}
	for range 2000 {
		v := view{blob: &blob{size: int64(len(data))}, dtype: types[rng.IntN(len(types))]}
		es := int64(v.dtype.Size())
		v.start = es * rng.Int64N(3)
		room := (int64(len(data))-v.start)/es - 1
		v.offset = rng.Int64N(1000)
		room -= v.offset
		for range rng.IntN(5) {
			n := 1 + rng.Int64N(12)
			stride := rng.Int64N([]int64{2, 40, 3000, 200000}[rng.IntN(4)])
			if n > 1 && (n-1)*stride > room {
				stride = room / (n - 1)
			}
			room -= (n - 1) * stride
			v.shape, v.stride = append(v.shape, n), append(v.stride, stride)
		}
		want := naive(data, v)
		got := make([]byte, len(want))
		if err := v.read(bytes.NewReader(data), got); err != nil {
			t.Fatalf("%v shape %v stride %v: %v", v.dtype, v.shape, v.stride, err)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%v shape %v stride %v at %d: wrong bytes", v.dtype, v.shape, v.stride, v.offset)
		}
	}
}

// TestConcurrentReads reads one file from many goroutines.
func TestConcurrentReads(t *testing.T) {
	for _, name := range []string{"strides.pt", "strides_deflated.pt", "strides_legacy.pth", "dtypes.safetensors"} {
		f, err := Open(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		want := make(map[string][]byte)
		for _, info := range f.Tensors() {
			if want[info.Name], err = f.Read(info.Name); err != nil {
				t.Fatal(err)
			}
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for name, b := range want {
					if got, err := f.Read(name); err != nil || !bytes.Equal(got, b) {
						t.Errorf("%s: %d bytes, %v", name, len(got), err)
					}
				}
			}()
		}
		wg.Wait()
	}
}

// countingReader counts the bytes that are read.
type countingReader struct {
	io.ReaderAt
	n atomic.Int64
}

func (c *countingReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, off)
	c.n.Add(int64(n))
	return n, err
}

// TestReadsWhatIsAskedFor lists a file of 64 tensors and reads one: the others are not touched.
func TestReadsWhatIsAskedFor(t *testing.T) {
	var entries []Entry
	for i := range 64 {
		entries = append(entries, NewEntry(Info{fmt.Sprint("w", i), F32, []int64{128, 128}}, make([]byte, 64<<10)))
	}
	for ext, write := range writers {
		var b bytes.Buffer
		if err := write(&b, entries, nil); err != nil {
			t.Fatal(err)
		}
		r := &countingReader{ReaderAt: bytes.NewReader(b.Bytes())}
		f, err := New(r, int64(b.Len()), ext, Options{})
		if err != nil {
			t.Fatal(err)
		}
		listing := r.n.Load()
		if _, err := f.Read("w40"); err != nil {
			t.Fatal(err)
		}
		if listing > 80<<10 || r.n.Load()-listing != 64<<10 {
			t.Errorf("%s: listing a file of %d bytes read %d, and a tensor of %d read %d", ext, b.Len(), listing, 64<<10, r.n.Load()-listing)
		}
	}
}

// TestDamaged flips a bit in the pickle and in the data of a zip file.
func TestDamaged(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "plain_dict.pt"))
	if err != nil {
		t.Fatal(err)
	}
	pkl := slices.Clone(b)
	pkl[bytes.Index(pkl, []byte("FloatStorage"))] ^= 1
	if err := openBytes(t, pkl); !errors.Is(err, zip.ErrChecksum) {
		t.Errorf("damaged pickle: got error %v", err)
	}
	data := slices.Clone(b)
	data[bytes.Index(data, []byte("\x00\x00\x80\x3f\x00\x00\x80\x3f"))] ^= 1
	if err := openBytes(t, data); !errors.Is(err, zip.ErrChecksum) {
		t.Errorf("damaged data: got error %v", err)
	}
}

func TestDTypes(t *testing.T) {
	for d := Invalid + 1; d < numDTypes; d++ {
		if got, err := ParseDType(d.String()); err != nil || got != d || d.Size() == 0 {
			t.Errorf("ParseDType(%q) = %v, %v; size %d", d, got, err, d.Size())
		}
	}
	if _, err := ParseDType(""); err == nil {
		t.Error("empty name: want an error")
	}
	if s := fmt.Sprint(Invalid, numDTypes); s != "DType(0) DType(23)" || numDTypes.Size() != 0 {
		t.Errorf("invalid types: %s, size %d", s, numDTypes.Size())
	}
}
