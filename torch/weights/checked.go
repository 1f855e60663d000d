package weights

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gojepa/gojepa/internal/atomicfile"
)

var (
	// ErrDamaged is wrapped by the error of [File.Verify] for a file that is not
	// as it was written.
	ErrDamaged = errors.New("damaged: the bytes are not those that were written")

	// ErrUnchecked is wrapped by the error of [File.Verify] for a file without
	// checksums.
	ErrUnchecked = errors.New("the file has no checksums")
)

// checksumKey is where a file's metadata has its checksums: CRC-32C in eight
// hexadecimal digits, of the header and of each tensor's data in the order of
// the file. For its own sum the header has zeros in place of them all. A
// cyclic code of 32 bits finds any damage within four bytes in a row.
const checksumKey = "gojepa.crc32c"

const sumDigits = 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// piece is a part of a file that has a checksum of its own.
type piece struct {
	name     string // of the tensor, "" for the header
	off, len int64
}

// SaveChecked is [SaveFile] for a .safetensors file with checksums of all its
// bytes in the metadata, which [File.Verify] compares. They are computed as the
// data go by and filled in at the end, so nothing is read again. Other readers
// find a plain safetensors file.
func SaveChecked(path string, entries []Entry, metadata map[string]string) error {
	if ext := strings.ToLower(filepath.Ext(path)); ext != ".safetensors" {
		return fmt.Errorf("weights: %s: the ending is %q, expected .safetensors, which has a place for checksums", path, ext)
	}
	metadata = maps.Clone(metadata)
	if metadata == nil {
		metadata = map[string]string{}
	}
	metadata[checksumKey] = strings.Repeat("0", sumDigits*(1+len(entries)))
	order, head, err := safetensorsLayout(entries, metadata)
	if err != nil {
		return fmt.Errorf("weights: saving %s: %w", path, err)
	}
	sums := fmt.Appendf(nil, "%08x", crc32.Checksum(head, castagnoli))
	at, _, _ := checksumsIn(head)
	write := func(w io.Writer) error {
		if _, err := w.Write(head); err != nil {
			return err
		}
		for _, e := range order {
			cw := &summingWriter{w: w}
			if err := writeData(cw, e); err != nil {
				return err
			}
			sums = fmt.Appendf(sums, "%08x", cw.sum)
		}
		return nil
	}
	amend := func(w io.WriterAt) error {
		_, err := w.WriteAt(sums, int64(at))
		return err
	}
	if err := atomicfile.WriteThen(path, write, amend); err != nil {
		return fmt.Errorf("weights: saving %s: %w", path, err)
	}
	return nil
}

// checksumsIn finds the checksums in a header, from and to. What is looked for
// cannot be within another text, where its quotes would be escaped.
func checksumsIn(head []byte) (from, to int, ok bool) {
	key := []byte(`"` + checksumKey + `":"`)
	if from = bytes.Index(head, key); from < 0 {
		return 0, 0, false
	}
	from += len(key)
	n := bytes.IndexByte(head[from:], '"')
	return from, from + n, n >= 0
}

type summingWriter struct {
	w   io.Writer
	sum uint32
}

func (s *summingWriter) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.sum = crc32.Update(s.sum, castagnoli, p[:n])
	return n, err
}

// checked lists what has a checksum, if there are any; the data begin at the
// given offset.
func (p *headerParser) checked(data int64) []piece {
	if _, ok := p.f.metadata[checksumKey]; !ok {
		return nil
	}
	all := []piece{{"", 0, data}}
	for _, e := range p.entries {
		all = append(all, piece{e.info.Name, e.view.off, e.view.size})
	}
	return all
}

// Verify reads the whole file and compares it with the checksums that
// [SaveChecked] put into it. The error wraps [ErrDamaged] and names what is
// damaged, the header or keys; it wraps [ErrUnchecked] if there are none.
func (f *File) Verify() error {
	if err := f.verify(); err != nil {
		return fmt.Errorf("weights: %s: %w", f.name, err)
	}
	return nil
}

func (f *File) verify() error {
	if f.checked == nil {
		return ErrUnchecked
	}
	sums := f.metadata[checksumKey]
	if len(sums) != sumDigits*len(f.checked) {
		return fmt.Errorf("header: %w (%d digits of checksums, expected %d)", ErrDamaged, len(sums), sumDigits*len(f.checked))
	}
	var damaged []string
	for i, p := range f.checked {
		sum, err := f.sum(p)
		if err != nil {
			return err
		}
		switch want := sums[sumDigits*i : sumDigits*(i+1)]; {
		case fmt.Sprintf("%08x", sum) == want:
		case i == 0:
			return fmt.Errorf("header: %w", ErrDamaged)
		default:
			damaged = append(damaged, strconv.Quote(p.name))
		}
	}
	const named = 5
	switch n := len(damaged); {
	case n == 0:
		return nil
	case n == 1:
		return fmt.Errorf("key %s: %w", damaged[0], ErrDamaged)
	case n > named:
		damaged = append(damaged[:named:named], fmt.Sprintf("and %d more", n-named))
	}
	return fmt.Errorf("keys %s: %w", strings.Join(damaged, ", "), ErrDamaged)
}

// sum is the checksum of a part of the file as it is now.
func (f *File) sum(p piece) (uint32, error) {
	if p.off == 0 {
		head := make([]byte, p.len)
		if err := readFull(f.r, head, 0); err != nil {
			return 0, err
		}
		if from, to, ok := checksumsIn(head); ok {
			copy(head[from:to], strings.Repeat("0", to-from))
		}
		return crc32.Checksum(head, castagnoli), nil
	}
	const step = 1 << 20
	var sum uint32
	buf := make([]byte, min(step, p.len))
	for off, left := p.off, p.len; left > 0; {
		part := buf[:min(step, left)]
		if err := readFull(f.r, part, off); err != nil {
			return 0, err
		}
		sum = crc32.Update(sum, castagnoli, part)
		off, left = off+int64(len(part)), left-int64(len(part))
	}
	return sum, nil
}
