package weights

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// What torch.save wrote first until PyTorch 1.6: a magic number, in binary or
// as protocol 0 spells it, and a version.
const (
	legacyMagic     = bigint("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")
	legacyMagicText = bigint("119547037146038801333356L")
	legacyVersion   = int64(1001)
)

var errForeignPickle = errors.New("a pickle that torch.save did not write")

// openLegacy reads a stream of pickles (magic number, version, machine, the
// saved object, the storages' keys), behind which the storages follow, each
// with its length.
func (f *File) openLegacy(o Options) error {
	budget := f.limits.objects
	r := newPickleReader(io.NewSectionReader(f.r, 0, f.size), f.size)
	magic, err := unpickle(r, budget, nil)
	if err != nil || magic != legacyMagic && magic != legacyMagicText {
		return errors.Join(errForeignPickle, err)
	}
	version, err := unpickle(r, budget, nil)
	if err != nil {
		return err
	}
	if version != legacyVersion {
		return fmt.Errorf("version %v of the legacy format, expected %d", version, legacyVersion)
	}
	if _, err := unpickle(r, budget, nil); err != nil {
		return err
	}
	st := &storages{byKey: make(map[string]*storage), legacy: true}
	root, err := unpickle(r, budget, st.load)
	if err != nil {
		return err
	}
	keys, err := unpickle(r, budget, nil)
	if err != nil {
		return err
	}
	blobs, err := f.legacyBlobs(r.off, keys, st)
	if err != nil {
		return err
	}
	return f.resolve(root, budget, o, func(s *storage) (*blob, error) {
		if b := blobs[s.key]; b != nil {
			return b, nil
		}
		return nil, fmt.Errorf("storage %q has no data", s.key)
	})
}

// legacyBlobs steps over the storages that begin at off.
func (f *File) legacyBlobs(off int64, keys any, st *storages) (map[string]*blob, error) {
	list, ok := keys.(*list)
	if !ok {
		return nil, fmt.Errorf("storage keys: found %s, not a list", describe(keys))
	}
	blobs := make(map[string]*blob, len(list.items))
	for _, item := range list.items {
		key, _ := item.(string)
		s := st.byKey[key]
		if s == nil {
			return nil, fmt.Errorf("storage %q is in no tensor", key)
		}
		if s.size == 0 {
			return nil, fmt.Errorf("storage %q: unknown class", key)
		}
		if blobs[key] != nil {
			return nil, fmt.Errorf("storage %q comes twice", key)
		}
		var b [8]byte
		if err := readFull(f.r, b[:], off); err != nil {
			return nil, fmt.Errorf("storage %q: %w", key, err)
		}
		off += 8
		// An untyped storage gives its length in bytes, as its id does.
		n := int64(binary.LittleEndian.Uint64(b[:]))
		if n != s.numel {
			return nil, fmt.Errorf("storage %q: %d elements, but the pickle says %d", key, n, s.numel)
		}
		if n < 0 || n > (f.size-off)/int64(s.size) {
			return nil, fmt.Errorf("storage %q: %d elements at byte %d of %d: %w", key, n, off, f.size, io.ErrUnexpectedEOF)
		}
		blobs[key] = &blob{off: off, size: n * int64(s.size)}
		off += blobs[key].size
	}
	return blobs, nil
}
