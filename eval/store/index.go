package store

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gojepa/gojepa/internal/atomicfile"
)

// Formats are the endings of what can be written.
var Formats = []string{".npy", ".safetensors", ".parquet", ".csv"}

const (
	formatName = "gojepa embeddings"
	version    = 1
	suffix     = ".index.json"
	maxIndex   = 1 << 30 // bytes of a believable index
)

// Index says what a set of embeddings is.
type Index struct {
	Format      string   `json:"format"` // "gojepa embeddings"
	Version     int      `json:"version"`
	Complete    bool     `json:"complete"` // false: begun, and to be gone on with
	Images      int      `json:"images"`   // of the collection, those without a row included
	Rows        int      `json:"rows"`     // in the shards so far
	Dim         int      `json:"dim"`
	DType       string   `json:"dtype"`        // "float32"
	ShardImages int      `json:"shard_images"` // of each shard but the last
	Classes     []string `json:"classes,omitempty"`
	Shards      []Shard  `json:"shards"`

	// Encoder is whatever the maker says to name the encoder by.
	Encoder json.RawMessage `json:"encoder,omitempty"`
	// MadeWith is what decides what the embeddings are. A set is gone on with only by what is equal in all of it.
	MadeWith map[string]string `json:"made_with"`
}

// Shard is one file of a set.
type Shard struct {
	File   string `json:"file"`             // beside the index
	Files  string `json:"files,omitempty"`  // the list of names; "" if rows have none, or File has them
	Labels string `json:"labels,omitempty"` // the classes; "" if rows have none, or File has them
	First  int    `json:"first_image"`
	Images int    `json:"images"`
	Rows   int    `json:"rows"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`

	LeftOut []LeftOut `json:"left_out,omitempty"`
}

// LeftOut is an image that could not be read.
type LeftOut struct {
	Name  string `json:"name"`
	Error string `json:"error"`
}

// LeftOut is how many images have no row.
func (x *Index) LeftOut() (n int) {
	for _, s := range x.Shards {
		n += len(s.LeftOut)
	}
	return n
}

// ext is the format of the files.
func (x *Index) ext() string {
	if len(x.Shards) == 0 {
		return ""
	}
	return strings.ToLower(filepath.Ext(x.Shards[0].File))
}

// IndexPath is where the index of the set of a path is.
func IndexPath(path string) string { return stem(path) + suffix }

func stem(path string) string { return strings.TrimSuffix(path, filepath.Ext(path)) }

// FindIndex is the index that path means: itself, that of the set path names, or the only one of a folder.
func FindIndex(path string) (string, error) {
	if strings.HasSuffix(path, suffix) {
		return path, nil
	}
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		entries, err := os.ReadDir(path)
		if err != nil {
			return "", err
		}
		var found []string
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), suffix) && !strings.HasPrefix(e.Name(), ".") {
				found = append(found, e.Name())
			}
		}
		if len(found) != 1 {
			return "", fmt.Errorf("%s: a folder with %d files NAME%s, expected one: give one by name", path, len(found), suffix)
		}
		return filepath.Join(path, found[0]), nil
	}
	index := IndexPath(path)
	if _, err := os.Stat(index); err != nil {
		return "", fmt.Errorf("%s: there is no %s beside it, as embed writes it", path, filepath.Base(index))
	}
	return index, nil
}

// ReadIndex reads and checks an index.
func ReadIndex(path string) (*Index, error) {
	x, err := readIndex(path)
	if err != nil {
		return nil, fmt.Errorf("index %s: %w", path, err)
	}
	return x, nil
}

func readIndex(path string) (*Index, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxIndex))
	if err != nil {
		return nil, err
	}
	var x Index
	if err := json.Unmarshal(text, &x); err != nil {
		return nil, fmt.Errorf("no index of embeddings: %w", err)
	}
	return &x, x.check()
}

// check reports what cannot be, so that nothing else has to be prepared for it.
func (x *Index) check() error {
	if x.Format != formatName {
		return fmt.Errorf("format %q, expected %q", x.Format, formatName)
	}
	if x.Version != version {
		return fmt.Errorf("version %d, expected %d: it was written by another version of gojepa", x.Version, version)
	}
	if x.Dim < 1 || x.Images < 1 || x.ShardImages < 1 || x.DType != "float32" {
		return fmt.Errorf("%d images, shards of %d, %d features of type %q: expected 1 or more, and float32", x.Images, x.ShardImages, x.Dim, x.DType)
	}
	rows, next := 0, 0
	for i, s := range x.Shards {
		for _, name := range []string{s.File, s.Files, s.Labels} {
			if name != filepath.Base(name) && name != "" || s.File == "" {
				return fmt.Errorf("shard %d: %q is not the name of a file in the index's folder", i, name)
			}
		}
		if s.First != next || s.Images < 1 || s.Rows < 0 || s.Rows > s.Images {
			return fmt.Errorf("shard %d: %d rows of %d images from image %d on: expected those from %d on", i, s.Rows, s.Images, s.First, next)
		}
		if filepath.Ext(s.File) != filepath.Ext(x.Shards[0].File) {
			return fmt.Errorf("shard %d is %s: expected the format of %s", i, s.File, x.Shards[0].File)
		}
		rows, next = rows+s.Rows, next+s.Images
	}
	if rows != x.Rows || next > x.Images || x.Complete && next != x.Images {
		return fmt.Errorf("shards of %d rows and %d images: expected %d and %d", rows, next, x.Rows, x.Images)
	}
	return nil
}

func (x *Index) write(path string) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", " ")
		e.SetEscapeHTML(false)
		return e.Encode(x)
	})
}

// ErrDiffers is what the error is when a set was begun with something else.
var ErrDiffers = errors.New("it was begun with something else")

// differs names what an unfinished set was made with that is not so now.
func differs(was, is map[string]string) error {
	keys := maps.Clone(is)
	maps.Copy(keys, was)
	var all []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		a, before := was[key]
		b, now := is[key]
		if a != b || before != now {
			all = append(all, fmt.Sprintf("%s was %s and is %s", key, cmp.Or(a, "not given"), cmp.Or(b, "not given")))
		}
	}
	if len(all) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrDiffers, strings.Join(all, "; "))
}

// missing reports a file of a shard that is not there as it was written.
func (s Shard) missing(dir string) error {
	info, err := os.Stat(filepath.Join(dir, s.File))
	if err != nil {
		return err
	}
	if info.Size() != s.Bytes {
		return fmt.Errorf("%s has %d bytes, expected %d", s.File, info.Size(), s.Bytes)
	}
	for _, name := range []string{s.Files, s.Labels} {
		if name == "" {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes the files of shards that are not among others.
func remove(dir string, shards, others []Shard) error {
	var kept []string
	for _, s := range others {
		kept = append(kept, s.File, s.Files, s.Labels)
	}
	var err error
	for _, s := range shards {
		for _, name := range []string{s.File, s.Files, s.Labels} {
			if name == "" || slices.Contains(kept, name) {
				continue
			}
			if e := os.Remove(filepath.Join(dir, name)); e != nil && !errors.Is(e, fs.ErrNotExist) {
				err = errors.Join(err, e)
			}
		}
	}
	return err
}
