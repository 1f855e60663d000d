package weights

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// files opens files that are held in memory, by name, and fails for names that are no plain ones.
func files(t testing.TB, m map[string][]byte) opener {
	return func(name string) (io.ReaderAt, int64, io.Closer, error) {
		if name != filepath.Base(name) || strings.ContainsAny(name, "/\\\x00") || name == "." || name == ".." {
			t.Errorf("the index made the reader open %q", name)
		}
		b, ok := m[name]
		if !ok {
			return nil, 0, nil, os.ErrNotExist
		}
		return bytes.NewReader(b), int64(len(b)), io.NopCloser(nil), nil
	}
}

// openIndexOf opens an index with shards that are held in memory, and fails the test if listing allocates too much.
func openIndexOf(t testing.TB, index string, shards map[string][]byte, o Options) (*File, error) {
	t.Helper()
	total := len(index)
	for _, b := range shards {
		total += len(b)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f := &File{name: "index", r: strings.NewReader(index), size: int64(len(index)), beside: files(t, shards)}
	err := f.open(o)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > uint64(total+maxOverhead) {
		t.Errorf("listing %d bytes in %d files allocated %d", total, len(shards)+1, used)
	}
	if err != nil {
		return nil, err
	}
	return f, readAll(t, f)
}

// byteShard is a safetensors file of one tensor of one byte.
func byteShard(key string, v byte) []byte {
	return stOf(fmt.Sprintf(`{%q:{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, key), string(rune(v)))
}

func TestShards(t *testing.T) {
	shards := map[string][]byte{
		"a":   byteShard("module.x", 1),
		"b":   byteShard("module.y", 2),
		"pt":  ptOf(dictOf(tensorPickle("K\x04", "K\x00", "K\x04\x85", "K\x01\x85"))),
		"odd": ptOf("\x80\x02}X\x01\x00\x00\x00wK\x01s."),
	}
	f, err := openIndexOf(t, `{"weight_map":{"module.y":"b","module.x":"a"},"metadata":{"total_size":2,"who":"me"},"more":[1]}`, shards, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(f.Format(), f.Tensors(), f.Metadata()); got != "safetensors in 2 shards[y uint8[1] x uint8[1]] map[who:me]" {
		t.Error(got)
	}
	if data, err := f.Read("x"); err != nil || data[0] != 1 {
		t.Errorf("%v, %v", data, err)
	}
	for _, c := range []struct{ index, want string }{
		{`{"weight_map":{"w":"pt"}}`, "PyTorch zip in 1 shard[w float32[4]] []"},
		{`{"weight_map":{}}`, "index of shards[] []"},
		{`{"weight_map":{"w":"odd"}}`, "PyTorch zip in 1 shard[] [{w an integer}]"},
	} {
		f, err := openIndexOf(t, c.index, shards, Options{Raw: true})
		if err != nil {
			t.Errorf("%s: %v", c.index, err)
		} else if got := fmt.Sprint(f.Format(), f.Tensors(), f.Skipped()); got != c.want {
			t.Errorf("%s: %s, want %s", c.index, got, c.want)
		}
	}
}

func TestHostileIndexes(t *testing.T) {
	shards := map[string][]byte{"a": byteShard("x", 1), "index": []byte(`{"weight_map":{"x":"index"}}`), "text": []byte("hello")}
	for _, c := range []struct{ index, want string }{
		{`{"weight_map":{"x":"../a"}}`, `shard "../a" is not the name of a file in the index's folder`},
		{`{"weight_map":{"x":"/etc/passwd"}}`, `shard "/etc/passwd" is not`},
		{`{"weight_map":{"x":"b/../../a"}}`, "is not the name"},
		{`{"weight_map":{"x":"sub/a"}}`, "is not the name"},
		{`{"weight_map":{"x":"..\\a"}}`, "is not the name"},
		{`{"weight_map":{"x":"C:a"}}`, "is not the name"},
		{`{"weight_map":{"x":"a\u0000"}}`, "is not the name"},
		{`{"weight_map":{"x":""}}`, "is not the name"},
		{`{"weight_map":{"x":"."}}`, "is not the name"},
		{`{"weight_map":{"x":".."}}`, "is not the name"},
		{`{"weight_map":{"x":".ssh"}}`, "is not the name"},
		{`{"weight_map":{"x":"none"}}`, "shard none: file does not exist"},
		{`{"weight_map":{"x":"index"}}`, "shard index: an index of shards"},
		{`{"weight_map":{"x":"text"}}`, "shard text: unknown format"},
		{`{"weight_map":{"y":"a"}}`, `key "y": the index has it in a, where it is not`},
		{`{"weight_map":{"x":"a","x":"a"}}`, `key "x": comes twice`},
		{`{"weight_map":{"x":1}}`, "1 where a name belongs"},
		{`{"weight_map":{"x":["a"]}}`, "where a name belongs"},
		{`{"weight_map":["a"]}`, "weight_map: not a JSON object"},
		{`{"weight_map":{"x":"a"},"weight_map":{"x":"a"}} `, ""},
		{`{"weight_map":{"x":"a"}}{}`, "text after"},
		{`{"metadata":{}}`, "without weight_map"},
		{`{"metadata":1,"weight_map":{"x":"a"}}`, "metadata: not a JSON object"},
		{`{"a":` + strings.Repeat("[", 1<<20), "max depth"},
		{`{"weight_map":{"` + strings.Repeat("k", 1<<20) + `":"a"}}`, "a name of 1048576 bytes"},
		{`{`, "unexpected EOF"},
		{`{"weight_map":{"x":"a"`, "unexpected EOF"},
	} {
		_, err := openIndexOf(t, c.index, shards, Options{})
		if c.want == "" && err == nil {
			continue
		}
		if err == nil || c.want == "" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.80s: got error %v, want one with %q", c.index, err, c.want)
		}
	}
	const whole = `{"weight_map":{"x":"a"}}`
	for n := range len(whole) {
		if _, err := openIndexOf(t, whole[:n], shards, Options{}); err == nil {
			t.Errorf("cut to %q: no error", whole[:n])
		}
	}
	b := []byte(whole)
	if _, err := New(bytes.NewReader(b), int64(len(b)), "lone", Options{}); err == nil || !strings.Contains(err.Error(), "an index of shards") {
		t.Errorf("an index without files: got error %v", err)
	}
}

// TestHostileIndexMemory gives indexes that ask for more memory than they take, by themselves and by many shards.
func TestHostileIndexMemory(t *testing.T) {
	const n = 8 << 20
	var keys strings.Builder
	for i := 0; keys.Len() < n; i++ {
		fmt.Fprintf(&keys, `%s"%d":"a"`, map[bool]string{true: ","}[i > 0], i)
	}
	var many, few strings.Builder
	header := strings.Repeat(" ", 2<<20) // which is no more than one file may have
	shards := make(map[string][]byte)
	for i := range 300 {
		name := fmt.Sprint("s", i)
		fmt.Fprintf(&many, `,"%d":"%s"`, i, name)
		shards[name] = []byte{8}
		if i < 60 {
			fmt.Fprintf(&few, `,"%d":"l%d"`, i, i)
			shards[fmt.Sprint("l", i)] = stOf("{"+header[:1<<20]+"}", "")
		}
	}
	for name, index := range map[string]string{
		"keys":          `{"weight_map":{` + keys.String() + `}}`,
		"metadata":      `{"metadata":{` + keys.String() + `}}`,
		"long value":    `{"metadata":{"a":"` + strings.Repeat("x", n) + `"}}`,
		"nested":        `{"a":[` + strings.Repeat("[],", n/3) + `0]}`,
		"long key":      `{"` + strings.Repeat("x", n) + `":1}`,
		"many shards":   `{"weight_map":{` + many.String()[1:] + `}}`,
		"large headers": `{"weight_map":{` + few.String()[1:] + `}}`,
		"too long":      `{"weight_map":{` + strings.Repeat(" ", maxIndex) + `}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := openIndexOf(t, index, shards, Options{}); err == nil {
				t.Error("want an error")
			}
		})
	}
}

// TestIndexInFolder reads and closes real files.
func TestIndexInFolder(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	index := filepath.Join(dir, "model.safetensors.index.json")
	write(filepath.Base(index), []byte(`{"weight_map":{"x":"a.safetensors","y":"b.safetensors"}}`))
	write("a.safetensors", byteShard("x", 1))
	if _, err := Open(index); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "b.safetensors") {
		t.Errorf("a missing shard: got error %v", err)
	}
	write("b.safetensors", byteShard("y", 2))
	f, err := Open(index)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "b.safetensors"), 10); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Read("y"); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "b.safetensors") {
		t.Errorf("a shard that was cut: got error %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Read("x"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: got error %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "b.safetensors")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "b.safetensors"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(index); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder for a shard: got error %v", err)
	}
}

// FuzzIndex mutates an index and one of its shards.
func FuzzIndex(f *testing.F) {
	x, y := byteShard("module.x", 1), ptOf(dictOf(tensorPickle("K\x04", "K\x00", "K\x04\x85", "K\x01\x85")))
	for _, index := range []string{
		`{"weight_map":{"module.x":"a"}}`, `{"metadata":{"total_size":1,"format":"pt"},"weight_map":{"module.x":"a","w":"b"}}`,
		`{"weight_map":{"module.x":"../a"}}`, `{"weight_map":{"w":"/a","x":"..","y":"b\\a"},"a":[{}]}`, ` {"weight_map":{}}`,
	} {
		f.Add([]byte(index), x)
		f.Add([]byte(index), y)
	}
	f.Fuzz(func(t *testing.T, index, shard []byte) {
		shards := map[string][]byte{"a": shard, "b": y, "index": index}
		for _, o := range []Options{{}, {Raw: true}, {Key: "module"}} {
			g, err := openIndexOf(t, string(index), shards, o)
			if err != nil {
				continue
			}
			var out bytes.Buffer
			if WritePyTorch(&out, g.Entries(), nil) != nil {
				continue // such as a key that is not UTF-8
			}
			h, err := New(bytes.NewReader(out.Bytes()), int64(out.Len()), "again", Options{Raw: true})
			if err != nil {
				t.Fatalf("written from a sound index: %v", err)
			}
			sameTensors(t, h, g)
		}
	})
}
