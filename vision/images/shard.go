package images

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// shard is what is known of a tar file.
type shard struct {
	file     fileAt
	modified int64 // in ns since 1970, 0 if it is not to be relied on
	samples  []tarSample
	keys     texts
	labels   labelTexts     // of samples, empty if they are not asked for
	without  int            // samples without an image
	others   map[string]int // members that are no images, by extension
	broken   string         // why the file could not be read to its end, "" if it could
}

// tarSample is where the members of a sample are.
type tarSample struct{ image, caption tarMember }

// tarMember is a member's content. A size of 0 is none.
type tarMember struct {
	off  int64
	size uint32
	json bool
}

// images counts the samples, and the rest of the file as one if it cannot be read.
func (s *shard) images() int {
	if s.broken != "" {
		return len(s.samples) + 1
	}
	return len(s.samples)
}

// is reports whether a file is the one that the shard is of, unchanged.
func (s *shard) is(info os.FileInfo) bool {
	return s.modified != 0 && s.modified == info.ModTime().UnixNano() && s.file.size == info.Size()
}

// members say what is wanted of a sample.
type members struct {
	image, label, caption string // extensions, or keys of the .json; "" for the usual ones
	labelled              bool   // labels are wanted, even if label is ""
}

func membersOf(o OpenOptions) members {
	return members{o.ImageColumn, o.LabelColumn, o.CaptionColumn, o.Labels || o.LabelColumn != ""}
}

func (m members) labels() bool { return m.labelled }

func (m members) key() string {
	return fmt.Sprintf("%q %q %q %v", m.image, m.label, m.caption, m.labelled)
}

func (m members) isImage(ext string) bool {
	if m.image != "" {
		return slices.Contains(strings.Split(m.image, ";"), ext)
	}
	return hasImageExtension("." + ext)
}

func (m members) imagesText() string {
	if m.image != "" {
		return m.image
	}
	return "jpg, png or the like"
}

func (m members) labelText() string {
	if m.label != "" {
		return fmt.Sprintf("%q, or a .json with that key", m.label)
	}
	return fmt.Sprintf("cls, or a .json with one of the keys %q", labelColumns)
}

func (m members) isLabel(ext string) bool {
	return m.labelled && (ext == m.label || m.label == "" && ext == "cls")
}

func (m members) isCaption(ext string) bool {
	return ext == m.caption || m.caption == "" && ext == "txt"
}

// compressions are how compressed files begin.
var compressions = []string{"\x1f\x8b", "\x28\xb5\x2f\xfd", "BZh", "\xfd7zXZ\x00"}

// maxText is the most bytes of a label, or of an object that has one.
const maxText = 1 << 20

// scanShard finds the samples of a tar file. Of images it reads no more than where they begin.
func scanShard(ctx context.Context, file fileAt, info os.FileInfo, want members) (*shard, error) {
	f, err := os.Open(file.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s := &shard{file: file, modified: changed(info, time.Now().UnixNano()), others: map[string]int{}}
	r := &skipper{f: f, size: file.size}
	head := make([]byte, 8)
	n, _ := f.ReadAt(head, 0) // what is wrong with it, reading headers says
	for _, c := range compressions {
		if strings.HasPrefix(string(head[:n]), c) {
			return nil, fmt.Errorf("%s: %w", file.path, errCompressed)
		}
	}
	t := tar.NewReader(r)
	b := sampleBuilder{shard: s, want: want}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			if !marked(f, file.size) {
				s.broken = fmt.Sprintf("it ends without the mark of its end, after %d bytes: it may have been cut short", file.size)
			}
			break
		}
		if err != nil {
			s.broken = err.Error()
			if errors.Is(err, io.ErrUnexpectedEOF) {
				s.broken = fmt.Sprintf("it ends in the middle of a member, after %d bytes", file.size)
			}
			break
		}
		if h.Typeflag != tar.TypeReg || slices.ContainsFunc(keysOf(h.PAXRecords), func(k string) bool { return strings.HasPrefix(k, "GNU.sparse.") }) {
			continue // folders, links and the like, and files with holes, which nobody writes images as
		}
		if err := b.add(h, r.pos, t); err != nil {
			s.broken = err.Error()
			break
		}
	}
	b.finish()
	return s, nil
}

// marked reports whether a file ends as a tar file does: with a block of zeros.
func marked(f io.ReaderAt, size int64) bool {
	var block [512]byte
	if size%512 != 0 || size < 512 {
		return false
	}
	n, _ := f.ReadAt(block[:], size-512) // io.EOF, or no block
	return n == len(block) && block == [512]byte{}
}

func keysOf(m map[string]string) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	return all
}

// sampleBuilder makes samples of members that follow each other.
type sampleBuilder struct {
	shard   *shard
	want    members
	key     string
	sample  tarSample
	ext     string // of the image
	label   string
	started bool
}

// add takes the next member, whose content begins at off and is read from r.
func (b *sampleBuilder) add(h *tar.Header, off int64, r io.Reader) error {
	dir, base := path.Split(h.Name)
	stem, ext, ok := strings.Cut(base, ".")
	if !ok || stem == "" {
		return nil // as WebDataset has it
	}
	if key := dir + stem; !b.started || key != b.key {
		b.finish()
		*b = sampleBuilder{shard: b.shard, want: b.want, key: key, started: true}
	}
	ext = strings.ToLower(ext)
	if h.Size >= 1<<32 {
		return fmt.Errorf("member %s has %d bytes, more than 4 GiB", h.Name, h.Size)
	}
	m := tarMember{off: off, size: uint32(h.Size)}
	image := b.want.isImage(ext)
	if !image {
		b.shard.others[ext]++
	}
	// Of several images the first, but one with a plain extension before one such as "mask.png".
	if image && (b.ext == "" || strings.Contains(b.ext, ".") && !strings.Contains(ext, ".")) {
		b.sample.image, b.ext = m, ext
	}
	if b.want.isCaption(ext) {
		b.sample.caption = m
	}
	label, object := b.want.isLabel(ext), ext == "json"
	if !label && !object || label && h.Size > maxText {
		return nil
	}
	if object && b.sample.caption.size == 0 && h.Size <= maxText {
		m.json = true
		b.sample.caption = m
	}
	if !b.want.labelled || h.Size > maxText {
		return nil
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("member %s: %w", h.Name, err)
	}
	if label {
		b.label = strings.TrimSpace(string(data))
	} else if text, ok := jsonText(data, orUsual(b.want.label, labelColumns)); ok && b.label == "" {
		b.label = strings.TrimSpace(text)
	}
	return nil
}

// finish ends a sample.
func (b *sampleBuilder) finish() {
	if !b.started {
		return
	}
	b.started = false
	if b.ext == "" {
		b.shard.without++
		return
	}
	b.shard.samples = append(b.shard.samples, b.sample)
	b.shard.keys.add(b.key)
	if b.want.labelled {
		b.shard.labels.add(b.label)
	}
}

// skipper reads a file in pieces that suit headers which lie far apart, and skips what lies between. It knows where it is.
type skipper struct {
	f         io.ReaderAt
	size, pos int64
	at        int64  // where buffer is from
	buffer    []byte // what was read last
	memory    [8192]byte
}

// Read is io.Reader's.
func (r *skipper) Read(p []byte) (int, error) {
	if r.pos >= r.size {
		return 0, io.EOF
	}
	if r.pos < r.at || r.pos >= r.at+int64(len(r.buffer)) {
		n, err := r.f.ReadAt(r.memory[:], r.pos)
		if n == 0 {
			return 0, err
		}
		r.at, r.buffer = r.pos, r.memory[:n]
	}
	n := copy(p, r.buffer[r.pos-r.at:])
	r.pos += int64(n)
	return n, nil
}

// Seek is io.Seeker's.
func (r *skipper) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return r.pos, fmt.Errorf("seek to %d", offset)
	}
	r.pos = offset
	return r.pos, nil
}

const shardIndexHead = "gojepa index of shards, version 1\n"

// shardIndexPath is the index file of all shards of a folder, by what is wanted of them.
func (x *folderIndex) shardIndexPath(first string, want members) string {
	return indexPath(x.dir, "shards", path.Dir(absolute(first)), want.key())
}

// loadShards returns what an index file knows of shards, by absolute path.
func (x *folderIndex) loadShards(first string, want members) map[string]*shard {
	if x == nil || x.rescan {
		return nil
	}
	text, ok := x.read(x.shardIndexPath(first, want), shardIndexHead)
	if !ok {
		return nil
	}
	p := indexReader{text}
	if p.text() != want.key() {
		return nil
	}
	known := map[string]*shard{}
	for p.rest != "" {
		s := &shard{others: map[string]int{}}
		s.file = fileAt{p.text(), int64(p.uvarint())}
		s.modified = int64(p.uint64())
		s.broken = p.text()
		s.without = int(p.uvarint())
		for range p.uvarint() {
			s.others[p.text()] = int(p.uvarint())
			if p.rest == "" {
				break
			}
		}
		for range p.uvarint() {
			if p.rest == "" {
				break
			}
			s.keys.add(p.text())
			var m tarSample
			m.image = tarMember{off: int64(p.uvarint()), size: uint32(p.uvarint())}
			m.caption = tarMember{off: int64(p.uvarint()), size: uint32(p.uvarint()), json: p.uvarint() == 1}
			s.samples = append(s.samples, m)
			if want.labelled {
				s.labels.add(p.text())
			}
		}
		known[s.file.path] = s
	}
	return known
}

// saveShards writes what is known of shards, and keeps what was known of others of the folder.
func (x *folderIndex) saveShards(first string, want members, shards []*shard, known map[string]*shard) {
	if x == nil {
		return
	}
	file := x.shardIndexPath(first, want)
	err := writeIndex(file, shardIndexHead, func(w *indexWriter) {
		w.text(want.key())
		written := map[string]bool{}
		for _, s := range shards {
			written[absolute(s.file.path)] = true
			s.write(w, want)
		}
		for name, s := range known {
			if !written[name] {
				s.write(w, want)
			}
		}
	})
	if err != nil {
		x.notef("index file %s was not written: %v", file, err)
	}
}

func (s *shard) write(w *indexWriter, want members) {
	w.text(absolute(s.file.path))
	w.uvarint(uint64(s.file.size))
	w.uint64(uint64(s.modified))
	w.text(s.broken)
	w.uvarint(uint64(s.without))
	w.uvarint(uint64(len(s.others)))
	for ext, n := range s.others {
		w.text(ext)
		w.uvarint(uint64(n))
	}
	w.uvarint(uint64(len(s.samples)))
	for i, m := range s.samples {
		w.text(s.keys.at(i))
		w.uvarint(uint64(m.image.off))
		w.uvarint(uint64(m.image.size))
		w.uvarint(uint64(m.caption.off))
		w.uvarint(uint64(m.caption.size))
		isJSON := uint64(0)
		if m.caption.json {
			isJSON = 1
		}
		w.uvarint(isJSON)
		if want.labelled {
			text := ""
			if l := s.labels.labels[i]; l >= 0 {
				text = s.labels.texts[l]
			}
			w.text(text)
		}
	}
}
