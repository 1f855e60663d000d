package npy

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func count[T Number](n int) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = T(i)
	}
	return out
}

func golden(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".npy"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var shapes = []struct {
	name  string
	shape []int
	n     int
	numpy bool // what NumPy writes by default
}{
	{"2x3x4", []int{2, 3, 4}, 24, true},
	{"2x3x4_fortran", []int{2, 3, 4}, 24, false},
	{"2x3x4_big", []int{2, 3, 4}, 24, false},
	{"5", []int{5}, 5, true},
	{"scalar", []int{}, 1, true},
	{"3x0x2", []int{3, 0, 2}, 0, true},
}

func testType[T Number](t *testing.T, dtype string) {
	for _, c := range shapes {
		b := golden(t, dtype+"_"+c.name)
		shape, data, err := Read[T](bytes.NewReader(b))
		if err != nil || !slices.Equal(shape, c.shape) || !slices.Equal(data, count[T](c.n)) {
			t.Errorf("%s_%s: got %v %v, %v", dtype, c.name, shape, data, err)
		}
		if c.numpy {
			var out bytes.Buffer
			if err := Write(&out, c.shape, count[T](c.n)); err != nil || !bytes.Equal(out.Bytes(), b) {
				t.Errorf("%s_%s: wrote %q (%v), NumPy %q", dtype, c.name, out.Bytes(), err, b)
			}
		}
		for n := range b {
			if _, _, err := Read[T](bytes.NewReader(b[:n])); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s_%s cut to %d bytes: got error %v", dtype, c.name, n, err)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "x.npy")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(FormatHeader[T](0, 3, 4)); err != nil {
		t.Fatal(err)
	}
	all := count[T](24)
	for _, part := range [][]T{all[:12], all[12:13], nil, all[13:]} {
		// What is on disk is a sound file at any time.
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if shape, _, err := Read[T](bytes.NewReader(b)); err != nil || !slices.Equal(shape, []int{0, 3, 4}) {
			t.Errorf("%s: before the header is amended: shape %v, %v", dtype, shape, err)
		}
		if err := Encode(f, part); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.WriteAt(FormatHeader[T](2, 3, 4), 0); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if want := golden(t, dtype+"_2x3x4"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: wrote %q (%v), NumPy %q", dtype, got, err, want)
	}
}

func TestTypes(t *testing.T) {
	testType[float32](t, "float32")
	testType[float64](t, "float64")
	testType[uint8](t, "uint8")
	testType[int64](t, "int64")
}

func TestVersions(t *testing.T) {
	for _, name := range []string{"float32_2x3x4_v2", "float32_2x3x4_v3"} {
		shape, data, err := Read[float32](bytes.NewReader(golden(t, name)))
		if err != nil || !slices.Equal(shape, []int{2, 3, 4}) || !slices.Equal(data, count[float32](24)) {
			t.Errorf("%s: got %v %v, %v", name, shape, data, err)
		}
	}
}

// TestDecode reads a file in parts, as one does that is larger than memory.
func TestDecode(t *testing.T) {
	r := bytes.NewReader(golden(t, "float32_2x3x4"))
	h, err := ReadHeader(r)
	if err != nil {
		t.Fatal(err)
	}
	if h.Descr != "<f4" || h.Fortran || h.Len() != 24 {
		t.Errorf("header %+v", h)
	}
	row := make([]float32, 12)
	for i := range 2 {
		if err := Decode(r, h, row); err != nil || row[0] != float32(12*i) || row[11] != float32(12*i+11) {
			t.Errorf("row %d: %v, %v", i, row, err)
		}
	}
	if err := Decode(r, h, row); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("behind the end: got error %v", err)
	}
	if err := Decode(r, h, make([]float64, 1)); err == nil || !strings.Contains(err.Error(), `"<f4", expected "<f8"`) {
		t.Errorf("wrong type: got error %v", err)
	}
}

func v1(header string) string {
	return magic + "\x01\x00" + string([]byte{byte(len(header)), byte(len(header) >> 8)}) + header
}

func TestBadHeaders(t *testing.T) {
	for text, want := range map[string]string{
		"hello world":                      "no .npy file",
		magic + "\x04\x00\x00\x00":         "version 4.0",
		magic + "\x02\x00\xff\xff\xff\xff": "4294967295 bytes",
		v1(""):                             `unexpected key ""`,
		v1("{}"):                           "malformed",
		v1("{'descr': '<f4', 'fortran_order': False}"):                                               "malformed",
		v1("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}"):                        `key "x"`,
		v1("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,)}"):                                "neither True nor False",
		v1("{'descr': '<f4', 'fortran_order': False, 'shape': 2}"):                                   "no tuple",
		v1("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}"):                               "no tuple of sizes",
		v1("{'descr': '<f4', 'fortran_order': False, 'shape': (2 2)}"):                               "no tuple of sizes",
		v1("{'descr': '<f4', 'fortran_order': False, 'shape': (2"):                                   "no tuple of sizes",
		v1("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}"):             "out of range",
		v1("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}"):            "overflows",
		v1("{'descr': '<f4', 'fortran_order': False, 'shape': (" + strings.Repeat("1, ", 65) + ")}"): "more than 64",
		v1("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x"):                              "malformed",
		v1("{'descr': 'evil()', 'fortran_order': False, 'shape': (2,)}"):                             "not supported",
		v1("{'descr': '<f9999', 'fortran_order': False, 'shape': (2,)}"):                             "not supported",
		string(golden(t, "bad_object")):                                                              `"|O" is not supported`,
		string(golden(t, "bad_structured")):                                                          "structured",
		string(golden(t, "bad_text")):                                                                "not supported",
	} {
		if _, err := ReadHeader(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q: got error %v, want one with %q", text, err, want)
		}
	}
	h, err := ReadHeader(strings.NewReader(v1(`{"shape":(2L,3L),"fortran_order":True,"descr":">f8",}`)))
	if err != nil || h.Descr != ">f8" || !h.Fortran || !slices.Equal(h.Shape, []int{2, 3}) {
		t.Errorf("Python 2's spelling: got %+v, %v", h, err)
	}
	// A header that claims terabytes must not allocate them.
	huge := v1("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000)}") + "1234"
	if _, _, err := Read[float32](strings.NewReader(huge)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("huge shape: got error %v", err)
	}
}

func TestWriteErrors(t *testing.T) {
	if err := Write(io.Discard, []int{2, 2}, count[float32](3)); err == nil {
		t.Error("wrong number of elements: want an error")
	}
}

func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("needs /dev/full: %v", err)
	}
	defer full.Close()
	if err := Write(full, []int{3}, count[float32](3)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got error %v, want %v", err, syscall.ENOSPC)
	}
	if err := Encode(full, count[float32](3)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got error %v, want %v", err, syscall.ENOSPC)
	}
}

func FuzzRead(f *testing.F) {
	for _, name := range []string{"float32_2x3x4", "float32_2x3x4_fortran", "float32_scalar", "float32_2x3x4_v3", "bad_object"} {
		f.Add(golden(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		shape, data, err := Read[float32](bytes.NewReader(b))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := Write(&out, shape, data); err != nil {
			t.Fatal(err)
		}
		if s, d, err := Read[float32](&out); err != nil || !slices.Equal(s, shape) || len(d) != len(data) {
			t.Fatalf("read %v of %v, %v", s, shape, err)
		}
	})
}
