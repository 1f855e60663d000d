package weights

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

const (
	// maxIndex is how long an index may be. Those of the largest models there
	// are take 9 MB.
	maxIndex = 12 << 20

	// shardCost is what a shard takes whatever it holds, buffers for the most part.
	shardCost = 96 << 10
)

// opener opens a file that lies beside another one.
type opener func(name string) (r io.ReaderAt, size int64, c io.Closer, err error)

// folder opens files in dir.
func folder(dir string) opener {
	return func(name string) (io.ReaderAt, int64, io.Closer, error) {
		f, size, err := openRegular(filepath.Join(dir, name))
		if err != nil {
			return nil, 0, nil, err
		}
		return mappedFile{f}, size, f, nil
	}
}

// shardIndex says which file holds which tensor.
type shardIndex struct {
	f      *File
	dec    *json.Decoder
	keys   []string          // in the order of the index
	of     map[string]string // the shard of each key
	shards []string          // in the order in which they are first named
}

// openIndex reads an index, {"metadata": {…}, "weight_map": {key: file, …}}, and
// lists its tensors, which lie in files of the same folder. What a shard holds
// beyond the index does not count.
func (f *File) openIndex(o Options) error {
	if f.beside == nil {
		return errors.New("an index of shards or another JSON text: expected a file that holds tensors itself")
	}
	if f.size > maxIndex {
		return fmt.Errorf("a JSON text of %d bytes, more than the %d of a believable index of shards", f.size, maxIndex)
	}
	x := &shardIndex{f: f, dec: json.NewDecoder(bufio.NewReader(io.NewSectionReader(f.r, 0, f.size))), of: make(map[string]string)}
	f.metadata = make(map[string]string)
	if err := x.parse(); err != nil {
		return fmt.Errorf("index of shards: %w", err)
	}
	shards, err := f.openShards(x.shards)
	if err != nil {
		return err
	}
	entries := make([]flat, 0, len(x.keys))
	var skipped []Skipped
	for _, key := range x.keys {
		s := shards[x.of[key]]
		if i, ok := s.index[key]; ok {
			entries = append(entries, flat{s.infos[i], s.views[i]})
			continue
		}
		what, ok := s.skippedAs(key)
		if !ok {
			return fmt.Errorf("key %q: the index has it in %s, where it is not", key, x.of[key])
		}
		skipped = append(skipped, Skipped{key, what})
	}
	for _, s := range shards { // what remains is what reads them
		s.infos, s.views, s.index = nil, nil, nil
	}
	return f.pick(entries, skipped, o)
}

// openShards opens the files of those names, and lists them within f's limits
// and their own size. f closes them.
func (f *File) openShards(names []string) (map[string]*File, error) {
	shards := make(map[string]*File, len(names))
	for _, name := range names {
		r, size, c, err := f.beside(name)
		if err != nil {
			return nil, fmt.Errorf("shard %s: %w", name, err)
		}
		f.closers = append(f.closers, c)
		shards[name] = &File{name: filepath.Join(filepath.Dir(f.name), name), r: r, size: size, limits: f.limits}
		f.size += size
		f.limits.grow(size)
		if err := f.limits.objects.spend(shardCost); err != nil {
			return nil, err
		}
	}
	for _, name := range names {
		s := shards[name]
		if err := s.open(Options{Raw: true}); err != nil {
			return nil, fmt.Errorf("shard %s: %w", name, err)
		}
		f.format = s.format
		for k, v := range s.metadata {
			if _, ok := f.metadata[k]; !ok {
				f.metadata[k] = v
			}
		}
	}
	switch n := len(names); n {
	case 0:
	case 1:
		f.format += " in 1 shard"
	default:
		f.format += fmt.Sprintf(" in %d shards", n)
	}
	return shards, nil
}

func (x *shardIndex) parse() error {
	if err := x.open(); err != nil {
		return err
	}
	found := false
	for x.dec.More() {
		key, err := x.string()
		if err != nil {
			return err
		}
		switch {
		case key == "weight_map" && !found:
			found = true
			err = x.weightMap()
		case key == "metadata":
			err = x.metadata()
		default:
			err = x.dec.Decode(new(json.RawMessage))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", key, unexpected(err))
		}
	}
	if _, err := x.dec.Token(); err != nil {
		return unexpected(err)
	}
	if _, err := x.dec.Token(); err != io.EOF {
		return errors.New("text after the JSON object")
	}
	if !found {
		return errors.New("a JSON text without weight_map")
	}
	return nil
}

// open reads the beginning of an object.
func (x *shardIndex) open() error {
	t, err := x.dec.Token()
	if err != nil {
		return unexpected(err)
	}
	if t != json.Delim('{') {
		return errors.New("not a JSON object")
	}
	return nil
}

// string reads a name, and pays for it.
func (x *shardIndex) string() (string, error) {
	t, err := x.dec.Token()
	if err != nil {
		return "", unexpected(err)
	}
	s, ok := t.(string)
	if !ok {
		return "", fmt.Errorf("%v where a name belongs", t)
	}
	if len(s) > maxString {
		return "", fmt.Errorf("a name of %d bytes", len(s))
	}
	return s, x.f.limits.objects.spend(2*int64(len(s)) + 200)
}

func (x *shardIndex) weightMap() error {
	if err := x.open(); err != nil {
		return err
	}
	names := make(map[string]string) // so that equal ones are one string
	for x.dec.More() {
		key, err := x.string()
		if err != nil {
			return err
		}
		if _, ok := x.of[key]; ok {
			return fmt.Errorf("key %q: comes twice", key)
		}
		shard, err := x.string()
		if err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
		name, ok := names[shard]
		if !ok {
			if !isFileName(shard) {
				return fmt.Errorf("key %q: shard %q is not the name of a file in the index's folder", key, shard)
			}
			name, names[shard] = shard, shard
			x.shards = append(x.shards, shard)
		}
		x.of[key] = name
		x.keys = append(x.keys, key)
	}
	_, err := x.dec.Token()
	return err
}

// isFileName reports whether name is that of a file in a folder, and no way out
// of it: not ".." nor a path, by the rules of any system.
func isFileName(name string) bool {
	return filepath.IsLocal(name) && !strings.ContainsAny(name, "/\\:\x00") && !strings.HasPrefix(name, ".")
}

// metadata keeps texts, and leaves out other values, such as total_size.
func (x *shardIndex) metadata() error {
	if err := x.open(); err != nil {
		return err
	}
	for x.dec.More() {
		key, err := x.string()
		if err != nil {
			return err
		}
		var raw json.RawMessage
		if err := x.dec.Decode(&raw); err != nil {
			return err
		}
		if err := x.f.limits.objects.spend(3 * int64(len(raw))); err != nil {
			return err
		}
		var text string
		if json.Unmarshal(raw, &text) == nil {
			x.f.metadata[key] = text
		}
	}
	_, err := x.dec.Token()
	return err
}
