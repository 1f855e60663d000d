package images

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gojepa/gojepa/internal/atomicfile"
)

// folderIndex is where it is kept what folders hold, so that only those that changed have to be read again. Nil keeps
// nothing.
type folderIndex struct {
	dir    string       // of index files, made when needed
	rescan bool         // take nothing from index files, but write them
	note   func(string) // told of what is wrong with them; they are never needed
}

// An index file is a line that says what it is; then, each with its length before it as a uvarint, the root's absolute
// path and the rules' key; then for each folder its path, its time in 8 bytes, and its names, both strings likewise; at
// the end a CRC-32C of all before. Numbers are little endian.
const folderIndexHead = "gojepa index of folders, version 1\n"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// path is the index file of a root. Its name says nothing but a hash, as roots may have the same last name.
func (x *folderIndex) path(root string, r rules) string {
	return indexPath(x.dir, "folders", root, r.key)
}

func indexPath(dir, kind string, of ...string) string {
	h := fnv.New64a()
	for _, s := range of {
		_, _ = io.WriteString(h, s+nul) // a hash takes everything
	}
	return filepath.Join(dir, fmt.Sprintf("%s-%016x.index", kind, h.Sum64()))
}

func (x *folderIndex) notef(format string, a ...any) {
	if x.note != nil {
		x.note(fmt.Sprintf(format, a...))
	}
}

// load returns the listings of the index file of a root, nil if there is none that can be used.
func (x *folderIndex) load(root string, r rules) map[string]listing {
	if x == nil || x.rescan {
		return nil
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return nil
	}
	path := x.path(root, r)
	text, ok := x.read(path, folderIndexHead)
	if !ok {
		return nil
	}
	known, err := parseFolderIndex(text, root, r)
	if err != nil {
		x.spoilt(path, err)
	}
	return known
}

// read returns what lies between the first line and the checksum of an index file; false if there is no file that is whole.
func (x *folderIndex) read(path, head string) (body string, ok bool) {
	text, err := readString(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false
	}
	if err == nil {
		body, err = checked(text, head)
	}
	if err != nil {
		x.spoilt(path, err)
		return "", false
	}
	return body, true
}

// spoilt takes note of an index file that is of no use.
func (x *folderIndex) spoilt(path string, err error) {
	x.notef("index file %s: %v: it is made anew", path, err)
}

// readString is os.ReadFile without a second copy.
func readString(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var text strings.Builder
	if info, err := f.Stat(); err == nil {
		text.Grow(int(info.Size()))
	}
	_, err = io.Copy(&text, f)
	return text.String(), err
}

// parseFolderIndex takes the listings out of what an index file holds, which they share.
func parseFolderIndex(text, root string, r rules) (map[string]listing, error) {
	p := indexReader{text}
	if p.text() != root || p.text() != r.key {
		return nil, errors.New("it is of another folder")
	}
	known := map[string]listing{}
	for p.rest != "" {
		dir := p.text()
		changed := int64(p.uint64())
		names := p.text()
		if names != "" && !strings.HasSuffix(names, nul) {
			return nil, errors.New("it is malformed")
		}
		known[dir] = listing{changed, names}
	}
	return known, nil
}

// checked returns what lies between an index file's first line and its checksum.
func checked(text, head string) (string, error) {
	body, ok := strings.CutPrefix(text, head)
	if !ok || len(body) < crc32.Size {
		return "", errors.New("it does not begin as one of this version does")
	}
	end := len(text) - crc32.Size
	h := crc32.New(castagnoli)
	_, _ = io.WriteString(h, text[:end]) // a hash takes everything
	if h.Sum32() != binary.LittleEndian.Uint32([]byte(text[end:])) {
		return "", errors.New("its checksum is wrong")
	}
	return body[:len(body)-crc32.Size], nil
}

// indexReader takes values from the front of a text. What is cut short reads as zeros and nothing; the checksum has
// been right by then.
type indexReader struct{ rest string }

func (p *indexReader) uvarint() uint64 {
	var v uint64
	for shift := 0; p.rest != "" && shift < 64; shift += 7 {
		b := p.rest[0]
		p.rest = p.rest[1:]
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	p.rest = ""
	return 0
}

func (p *indexReader) text() string {
	n := p.uvarint()
	if n > uint64(len(p.rest)) {
		p.rest = ""
		return ""
	}
	s := p.rest[:n]
	p.rest = p.rest[n:]
	return s
}

func (p *indexReader) uint64() uint64 {
	if len(p.rest) < 8 {
		p.rest = ""
		return 0
	}
	v := binary.LittleEndian.Uint64([]byte(p.rest[:8]))
	p.rest = p.rest[8:]
	return v
}

// indexWriter writes what indexReader reads, and the checksum at the end.
type indexWriter struct {
	w   io.Writer
	sum uint32
	err error
}

func (w *indexWriter) write(s string) {
	if w.err == nil {
		w.sum = crc32.Update(w.sum, castagnoli, []byte(s))
		_, w.err = io.WriteString(w.w, s)
	}
}

func (w *indexWriter) uvarint(v uint64) { w.write(string(binary.AppendUvarint(nil, v))) }

func (w *indexWriter) text(s string) {
	w.uvarint(uint64(len(s)))
	w.write(s)
}

func (w *indexWriter) uint64(v uint64) { w.write(string(binary.LittleEndian.AppendUint64(nil, v))) }

func (w *indexWriter) finish() error {
	if w.err == nil {
		_, w.err = w.w.Write(binary.LittleEndian.AppendUint32(nil, w.sum))
	}
	return w.err
}

// writeIndex replaces an index file.
func writeIndex(path, head string, body func(w *indexWriter)) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(path, func(out io.Writer) error {
		w := &indexWriter{w: out}
		w.write(head)
		body(w)
		return w.finish()
	})
}

// save writes the index file of a root.
func (x *folderIndex) save(root string, r rules, top *node) {
	if x == nil {
		return
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return
	}
	path := x.path(root, r)
	err = writeIndex(path, folderIndexHead, func(w *indexWriter) {
		w.text(root)
		w.text(r.key)
		var add func(n *node)
		add = func(n *node) {
			w.text(n.dir)
			w.uint64(uint64(n.time))
			w.text(n.names)
			for _, child := range n.below {
				if !child.skipped {
					add(child)
				}
			}
		}
		add(top)
	})
	if err != nil {
		x.notef("index file %s was not written: %v", path, err)
	}
}
