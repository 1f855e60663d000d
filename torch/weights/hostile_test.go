package weights

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// maxOverhead is what listing a file may allocate beyond the file's own size.
const maxOverhead = 64 << 20

// openBytes opens a file held in memory, reads all its tensors one after the
// other, and fails the test if listing allocates too much, garbage included.
func openBytes(t testing.TB, b []byte) error {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f, err := New(bytes.NewReader(b), int64(len(b)), "hostile", Options{})
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > uint64(len(b)+maxOverhead) {
		t.Errorf("listing %d bytes allocated %d", len(b), used)
	}
	if err != nil {
		return err
	}
	return readAll(t, f)
}

func readAll(t testing.TB, f *File) error {
	for _, info := range f.Tensors() {
		if info.Bytes() > f.size+maxExpansion {
			t.Errorf("%v is listed with %d bytes in a file of %d", info, info.Bytes(), f.size)
		}
		if data, err := f.Read(info.Name); err != nil {
			return err
		} else if int64(len(data)) != info.Bytes() {
			t.Errorf("%v: read %d bytes", info, len(data))
		}
	}
	return nil
}

// zipOf makes an archive of records under "archive/".
func zipOf(records ...any) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(records); i += 2 {
		rw, err := w.CreateHeader(&zip.FileHeader{Name: records[i].(string), Method: zip.Store})
		if err == nil {
			_, err = io.WriteString(rw, records[i+1].(string))
		}
		if err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// ptOf makes a file of torch.save with that pickle and one storage of 16 bytes.
func ptOf(pkl string) []byte {
	return zipOf("archive/data.pkl", pkl, "archive/data/0", "0123456789abcdef", "archive/version", "3\n")
}

const legacyHead = "\x80\x02\x8a\x0a" + string(legacyMagic) + ".\x80\x02M\xe9\x03.\x80\x02}."

// legacyOf makes a legacy file with that pickle and one storage of 4 floats, if
// the pickle mentions any.
func legacyOf(pkl string) []byte {
	if !strings.Contains(pkl, "Storage") {
		return []byte(legacyHead + pkl + "\x80\x02].")
	}
	return []byte(legacyHead + pkl +
		"\x80\x02]X\x01\x00\x00\x000a.\x04\x00\x00\x00\x00\x00\x00\x000123456789abcdef")
}

// stOf makes a safetensors file.
func stOf(header, data string) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header+data...)
}

// tensorPickle is the call that rebuilds a float tensor over storage 0, with
// pickled size, stride and offset.
func tensorPickle(numel, offset, size, stride string) string {
	return "ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu" +
		numel + "tQ" + offset + size + stride + "\x89}tR"
}

// dictOf pickles {"w": value}.
func dictOf(value string) string { return "\x80\x02}X\x01\x00\x00\x00w" + value + "s." }

func TestHandMade(t *testing.T) {
	good := dictOf(tensorPickle("K\x04", "K\x00", "K\x02K\x02\x86", "K\x02K\x01\x86"))
	for _, b := range [][]byte{ptOf(good), legacyOf(good), stOf(`{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, "x")} {
		if err := openBytes(t, b); err != nil {
			t.Errorf("the files that the hostile ones are made from must be sound: %v", err)
		}
	}
}

func TestHostilePickles(t *testing.T) {
	long := "\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x40" // 1<<62
	tower := strings.Repeat("(", 1000) + "K\x01" + strings.Repeat("t", 1000)
	laughs := "\x80\x02}q\x00X\x01\x00\x00\x00w" + tensorPickle("K\x04", "K\x00", "K\x01\x85", "K\x01\x85") + "s"
	for i := range 40 { // each dict holds the one before three times
		laughs += fmt.Sprintf("0}(X\x01\x00\x00\x00ah%cX\x01\x00\x00\x00bh%cX\x01\x00\x00\x00ch%cuq%c", i, i, i, i+1)
	}
	for _, c := range []struct{ name, pkl, want string }{
		{"code", "\x80\x02cos\nsystem\nX\x07\x00\x00\x00rm -rf \x85R.", "a os.system"},
		{"code in a dict", dictOf("cbuiltins\neval\nX\x01\x00\x00\x001\x85R"), `the keys ["w"]`},
		{"a name", "\x80\x02cos\nsystem\n.", "the name os.system"},
		{"cycle", "\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.", `no tensors under the keys ["a"]`},
		{"cycle with a tensor", "\x80\x02}q\x00(X\x01\x00\x00\x00ah\x00X\x01\x00\x00\x00w" +
			tensorPickle("K\x04", "K\x00", "K\x01\x85", "K\x01\x85") + "u.", "nested more than"},
		{"list that holds itself", dictOf("]q\x00h\x00a"), `no tensors under the keys ["w"]`},
		{"billion laughs", laughs + ".", "too many objects"},
		{"tower", dictOf(tower), `no tensors under the keys ["w"]`},
		{"tower of dicts", "\x80\x02" + strings.Repeat("}X\x01\x00\x00\x00d", 1000) + tensorPickle("K\x04", "K\x00", "K\x01\x85", "K\x01\x85") +
			strings.Repeat("s", 1000) + ".", `no tensors under the keys ["d"]`},
		{"empty", "", "unexpected EOF"},
		{"underflow", "\x80\x020.", "underflow"},
		{"no mark", "\x80\x02N}u.", "no mark"},
		{"odd items", "\x80\x02}(Nu.", "odd number"},
		{"mark under the top", "\x80\x02N(.", "underflow"},
		{"left over", "\x80\x02NN.", "left on the stack"},
		{"memo out of order", "\x80\x02Nr\xff\xff\xff\xff.", "memo index 4294967295"},
		{"memo not set", "\x80\x02h\x07.", "memo index 7"},
		{"long string", "\x80\x02X\xff\xff\xff\xff.", "4294967295 bytes"},
		{"longer string", "\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "18446744073709551615 bytes"},
		{"long integer", "\x80\x02\x8b\xff\xff\xff\x7f.", "2147483647 bytes"},
		{"append to a number", "\x80\x02K\x01Na.", "append to an integer"},
		{"item on a number", "\x80\x02K\x01NNs.", "item set on an integer"},
		{"opcode", "\x80\x02\xff.", "opcode 0xff"},
		{"protocol", "\x80\x09N.", "protocol 9"},
		{"persistent id", dictOf("X\x01\x00\x00\x00xQ"), "persistent id is a string"},
		{"kind of persistent id", dictOf("X\x06\x00\x00\x00modulecos\nsystem\n\x86Q"), "persistent id"},
		{"short persistent id", dictOf("X\x07\x00\x00\x00storage\x85Q"), "malformed storage id"},
		{"no args", dictOf("ctorch._utils\n_rebuild_tensor_v2\n)R"), "no storage"},
		{"beyond the storage", dictOf(tensorPickle("K\x04", "K\x00", "K\x05\x85", "K\x01\x85")), "reaches element 4"},
		{"offset", dictOf(tensorPickle("K\x04", "K\x04", "K\x01\x85", "K\x01\x85")), "reaches element 4"},
		{"stride", dictOf(tensorPickle("K\x04", "K\x00", "K\x02\x85", "K\x04\x85")), "reaches element 4"},
		{"huge stride", dictOf(tensorPickle("K\x04", "K\x00", "K\x05\x85", long+"\x85")), "overflows"},
		{"huge size", dictOf(tensorPickle("K\x04", "K\x00", long+long+"\x86", "K\x00K\x00\x86")), "overflows"},
		{"broadcast", dictOf(tensorPickle("K\x04", "K\x00", "J\x00\x00\x00\x40\x85", "K\x00\x85")), "more than the whole file"},
		{"negative size", dictOf(tensorPickle("K\x04", "K\x00", "J\xff\xff\xff\xff\x85", "K\x01\x85")), "size"},
		{"float size", dictOf(tensorPickle("K\x04", "K\x00", "G\x00\x00\x00\x00\x00\x00\x00\x00\x85", "K\x01\x85")), "a number where a size"},
		{"dimensions", dictOf(tensorPickle("K\x04", "K\x00", "("+strings.Repeat("K\x01", 65)+"t", "K\x01\x85")), "65 dimensions"},
		{"strides missing", dictOf(tensorPickle("K\x04", "K\x00", "K\x01\x85", ")")), "1 sizes but 0 strides"},
		{"storage too long", dictOf(tensorPickle("K\x05", "K\x00", "K\x01\x85", "K\x01\x85")), "5"},
		{"storage length overflows", dictOf(tensorPickle(long, "K\x00", "K\x01\x85", "K\x01\x85")), "overflow"},
		{"storage length negative", dictOf(tensorPickle("J\xff\xff\xff\xff", "K\x00", "K\x01\x85", "K\x01\x85")), "malformed storage id"},
	} {
		for format, b := range map[string][]byte{"zip": ptOf(c.pkl), "legacy": legacyOf(c.pkl)} {
			err := openBytes(t, b)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "weights: hostile: ") {
				// A legacy file has bytes behind the pickle, so some ends are not found.
				if format == "legacy" && err != nil && (c.name == "empty" || c.name == "kind of persistent id") {
					continue
				}
				t.Errorf("%s, %s: got error %v, want one with %q", c.name, format, err, c.want)
			}
		}
	}
}

// greedyFiles are files of a few megabytes whose bytes each ask for much more memory than they take.
func greedyFiles() map[string][]byte {
	const n = 8 << 20
	files := map[string][]byte{}
	repeat := func(s string) string { return "\x80\x02" + strings.Repeat(s, n/len(s)) + "." }
	for name, pkl := range map[string]string{
		"lists":      repeat("]"),
		"dicts":      repeat("}"),
		"marks":      repeat("("),
		"tuples":     "\x80\x02N" + strings.Repeat("\x85", n) + ".",
		"dup":        "\x80\x02N" + strings.Repeat("2", n) + ".",
		"objects":    "\x80\x02ca\nb\n" + strings.Repeat(")R", n/2) + ".",
		"memo":       "\x80\x02N" + strings.Repeat("\x94", n) + ".",
		"integers":   "\x80\x02](" + strings.Repeat("M\xff\x7f", n/3) + "e.",
		"strings":    "\x80\x02](" + strings.Repeat("U\x01x", n/3) + "e.",
		"globals":    repeat("ca\nb\n"),
		"pop mark":   "\x80\x02" + strings.Repeat("(", n/2) + strings.Repeat("t", n/2) + ".",
		"long lines": repeat("c" + strings.Repeat("x", 4000) + "\n" + strings.Repeat("y", 4000) + "\n"),
		"tensors":    "\x80\x02}(" + strings.Repeat("X\x01\x00\x00\x00w"+tensorPickle("K\x04", "K\x00", ")", ")"), n/128) + "u.",
		"storages":   "\x80\x02}" + strings.Repeat("(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x01\x00\x00\x00cK\x01tQ0", n/60) + ".",
	} {
		files[name+" in zip"], files[name+" in legacy"] = ptOf(pkl), legacyOf(pkl)
	}
	var header strings.Builder
	header.WriteString(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`)
	for i := 0; header.Len() < n; i++ {
		fmt.Fprintf(&header, `,"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`, i)
	}
	for name, h := range map[string]string{
		"many tensors":  header.String() + "}",
		"fewer tensors": header.String()[:2<<20],
		"dimensions":    `{"a":{"dtype":"U8","shape":[` + strings.Repeat("0,", 1<<20) + `0],"data_offsets":[0,0]}}`,
		"nesting":       `{"a":` + strings.Repeat("[", 3<<20),
		"metadata":      `{"__metadata__":{` + strings.Repeat(`"a":"b",`, 300000) + `"a":"b"}}`,
		"keys":          `{` + strings.Repeat(`"a`, 1<<20),
	} {
		files[name] = stOf(h, "")
	}
	files["many records"], files["fewer records"] = manyRecords(n), manyRecords(n/4)
	return files
}

// greedyButSound are those of them that are files of tensors all the same.
var greedyButSound = []string{"tensors in zip", "tensors in legacy", "metadata"}

// TestHostileMemory counts what listing greedy files allocates.
func TestHostileMemory(t *testing.T) {
	for name, b := range greedyFiles() {
		t.Run(name, func(t *testing.T) {
			if err := openBytes(t, b); err == nil && !slices.Contains(greedyButSound, name) {
				t.Error("want an error")
			}
		})
	}
}

// manyRecords makes a zip file that is all directory.
func manyRecords(size int) []byte {
	b := []byte("PK\x03\x04")
	n := 0
	for ; len(b) < size; n++ {
		h := make([]byte, 46, 50)
		binary.LittleEndian.PutUint32(h, 0x02014b50)
		binary.LittleEndian.PutUint16(h[28:], 4)
		b = append(append(b, h...), 'a', '/', byte(n), byte(n>>8))
	}
	end := make([]byte, 22)
	binary.LittleEndian.PutUint32(end, 0x06054b50)
	binary.LittleEndian.PutUint16(end[8:], uint16(n))
	binary.LittleEndian.PutUint16(end[10:], uint16(n))
	binary.LittleEndian.PutUint32(end[12:], uint32(len(b)-4))
	binary.LittleEndian.PutUint32(end[16:], 4)
	return append(b, end...)
}

func TestHostileSafetensors(t *testing.T) {
	for _, c := range []struct{ name, header, data, want string }{
		{"gap", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, "xx", `key "a": leaves a gap`},
		{"gap between", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}`, "xxx", `key "b": leaves a gap`},
		{"overlap", `{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, "xxx", `key "b": overlaps`},
		{"same place", `{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, "xx", "overlaps"},
		{"rest", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, "xx", "1 bytes at the end"},
		{"beyond", `{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, "x", `key "a": data_offsets [0,2] in 1 bytes`},
		{"backwards", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}`, "x", "data_offsets"},
		{"negative", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}}`, "x", "data_offsets"},
		{"size", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,1]}}`, "x", "which takes 4"},
		{"overflow", `{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,1]}}`, "x", "overflows"},
		{"negative shape", `{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}`, "x", "negative"},
		{"huge number", `{"a":{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,1]}}`, "x", `key "a"`},
		{"dtype", `{"a":{"dtype":"F6_E2M3","shape":[1],"data_offsets":[0,1]}}`, "x", `dtype "F6_E2M3" is not supported`},
		{"torch's dtype name", `{"a":{"dtype":"uint8","shape":[1],"data_offsets":[0,1]}}`, "x", `dtype "uint8"`},
		{"no dtype", `{"a":{"shape":[1],"data_offsets":[0,1]}}`, "x", `dtype ""`},
		{"no shape", `{"a":{"dtype":"U8","data_offsets":[0,1]}}`, "x", "no shape"},
		{"no offsets", `{"a":{"dtype":"U8","shape":[1]}}`, "x", "data_offsets"},
		{"odd F4", `{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}`, "x", "must be even"},
		{"twice", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, "x", `key "a": comes twice`},
		{"metadata", `{"__metadata__":{"a":1}}`, "", "__metadata__"},
		{"not JSON", `{"a"`, "", "header"},
		{"not an object", `{"a":[]}`, "", `key "a"`},
		{"behind the header", `{}{}`, "", "behind"},
	} {
		err := openBytes(t, stOf(c.header, c.data))
		if c.name == "behind the header" {
			c.want = "text after"
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want one with %q", c.name, err, c.want)
		}
	}
	if err := openBytes(t, append(binary.LittleEndian.AppendUint64(nil, 1<<39), "{}"...)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("header longer than the file: got error %v", err)
	}
	if err := openBytes(t, append(binary.LittleEndian.AppendUint64(nil, math.MaxUint64), "{}"...)); err == nil {
		t.Error("absurd header length: want an error")
	}
}

func TestHostileZips(t *testing.T) {
	good := dictOf(tensorPickle("K\x04", "K\x00", "K\x04\x85", "K\x01\x85"))
	const data = "0123456789abcdef"
	if err := openBytes(t, deflated(1<<20)); err != nil {
		t.Errorf("a small deflated file: %v", err)
	}
	changed := func(at string, delta int, to byte) []byte {
		b := zipOf("archive/data.pkl", good, "archive/data/0", data)
		b[bytes.LastIndex(b, []byte(at))+delta] = to
		return b
	}
	central := "archive/data/0" // the last mention is in the directory
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"bomb", deflated(256 << 20), "unpacks to 268435456 bytes"},
		{"no records", zipOf(), "unknown format"},
		{"no pickle", zipOf("archive/data/0", data), "without archive/data.pkl"},
		{"pickle elsewhere", zipOf("archive/version", "3\n", "../data.pkl", good), "without archive/data.pkl"},
		{"no storage", zipOf("archive/data.pkl", good), `key "w": no record archive/data/0`},
		{"storage elsewhere", zipOf("archive/data.pkl", good, "archive/../data/0", data), `no record archive/data/0`},
		{"twice", zipOf("archive/data.pkl", good, "archive/data/0", data, "archive/data/0", data), "comes twice"},
		{"two pickles", zipOf("archive/data.pkl", good, "archive/data.pkl", good), "comes twice"},
		{"short storage", zipOf("archive/data.pkl", good, "archive/data/0", data[:15]), "4 elements of 4 bytes, but the file has 15"},
		{"byte order", zipOf("archive/data.pkl", good, "archive/data/0", data, "archive/byteorder", "middle"), `"middle" is neither`},
		{"long byte order", zipOf("archive/data.pkl", good, "archive/data/0", data, "archive/byteorder", strings.Repeat("x", 1000)), "more than 16 bytes"},
		{"encrypted", changed(central, -46+8, 9), "encrypted"},
		{"method", changed(central, -46+10, 12), "compression method 12"},
		{"sizes", changed(central, -46+24, 17), "sizes are 16 and 17"},
		{"size beyond the file", changed(central, -46+23, 1), "unexpected EOF"},
		{"offset beyond the file", changed(central, -46+44, 1), "record data/0"},
		{"damaged data", changed("0123", 2, 'X'), `key "w": the data are damaged`},
	} {
		err := openBytes(t, c.b)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want one with %q", c.name, err, c.want)
		}
	}
}

// deflated makes a compressed file of a tensor of so many bytes, all zeros.
func deflated(size int) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	add := func(name string, content io.Reader) {
		rw, err := w.Create("archive/" + name)
		if err == nil {
			_, err = io.Copy(rw, content)
		}
		if err != nil {
			panic(err)
		}
	}
	numel := binary.LittleEndian.AppendUint32([]byte("J"), uint32(size/4))
	shape := string(numel) + "\x85"
	add("data.pkl", strings.NewReader(dictOf(tensorPickle(string(numel), "K\x00", shape, "K\x01\x85"))))
	add("data/0", io.LimitReader(zeros{}, int64(size)))
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestForeignFiles opens what people mistake for weights.
func TestForeignFiles(t *testing.T) {
	tar := make([]byte, 512)
	copy(tar[257:], "ustar")
	for text, want := range map[string]string{
		"": "empty",
		"version https://git-lfs.github.com/spec/v1\noid sha256:1\n": "Git LFS",
		"\x1f\x8b\x08": "gzip", "\x89HDF\r\n": "HDF5", "\x93NUMPY\x01": "NumPy", string(tar): "tar",
		"<!DOCTYPE html><HTML>": "web page", " {\"weight_map\": {}}": "JSON", "hello": "unknown format",
		"\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00}.": "torch.save did not write", "\x80": "unknown format",
		"L1L\n.": "torch.save did not write",
	} {
		if err := openBytes(t, []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: got error %v, want one with %q", text, err, want)
		}
	}
	if _, err := Open(t.TempDir()); err == nil {
		t.Error("a folder: want an error")
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none.pt")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: got error %v", err)
	}
}

// TestTruncated cuts each golden file at every byte. What remains must give an
// error, at the latest when the tensors are read.
func TestTruncated(t *testing.T) {
	for name, g := range readGolden(t, "expected.json") {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		step := 1
		if testing.Short() {
			step = 13
		}
		for n := 0; n < len(b); n += step {
			f, err := New(bytes.NewReader(b[:n]), int64(n), name, Options{})
			if err == nil {
				err = readAll(t, f)
			}
			if err == nil {
				t.Fatalf("%s cut to %d of %d bytes (%d tensors): no error", name, n, len(b), len(g.Tensors))
			}
		}
	}
}

// TestShrunk truncates a file behind the back of its reader.
func TestShrunk(t *testing.T) {
	for ext := range writers {
		path := filepath.Join(t.TempDir(), "w"+ext)
		if err := SaveFile(path, sample(), nil); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 100); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Read("long"); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: got error %v, want %v", ext, err, io.ErrUnexpectedEOF)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
