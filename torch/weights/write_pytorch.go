package weights

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gojepa/gojepa/internal/atomicfile"
)

// SaveFile writes the entries to path: safetensors if it ends in .safetensors,
// PyTorch's zip format if it ends in .pt, .pth, .ckpt or .bin. The file appears
// whole or not at all: on any error, a full disk included, what was at path
// stays as it was. Errors name the path, and the key where one is at fault.
func SaveFile(path string, entries []Entry, metadata map[string]string) error {
	var write func(io.Writer, []Entry, map[string]string) error
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".safetensors":
		write = writeSafetensors
	case ".pt", ".pth", ".ckpt", ".bin":
		write = writePyTorch
	default:
		return fmt.Errorf("weights: %s: the ending is %q, expected .safetensors, .pt, .pth, .ckpt or .bin", path, ext)
	}
	err := atomicfile.Write(path, func(w io.Writer) error { return write(w, entries, metadata) })
	if err != nil {
		return fmt.Errorf("weights: saving %s: %w", path, err)
	}
	return nil
}

// WritePyTorch writes the entries to w in the zip format of torch.save: an
// OrderedDict of CPU tensors, which torch.load takes with weights_only=True and
// with mmap=True. The same entries give the same bytes. PyTorch has no place
// for metadata; here they go to a record that torch.load leaves alone and
// [File.Metadata] finds.
func WritePyTorch(w io.Writer, entries []Entry, metadata map[string]string) error {
	if err := writePyTorch(w, entries, metadata); err != nil {
		return fmt.Errorf("weights: writing PyTorch's zip format: %w", err)
	}
	return nil
}

func writePyTorch(w io.Writer, entries []Entry, metadata map[string]string) error {
	if err := checkEntries(entries); err != nil {
		return err
	}
	pkl, err := pickleEntries(entries)
	if err != nil {
		return err
	}
	a := newZipWriter(w)
	if err := a.record("data.pkl", pkl); err != nil {
		return err
	}
	if err := a.record("byteorder", []byte("little")); err != nil {
		return err
	}
	for i, e := range entries {
		rw, err := a.create("data/" + strconv.Itoa(i))
		if err != nil {
			return err
		}
		if err := writeData(rw, e); err != nil {
			return err
		}
	}
	if len(metadata) > 0 {
		text, err := json.Marshal(metadata)
		if err != nil {
			return err
		}
		if err := a.record(metadataRecord, text); err != nil {
			return err
		}
	}
	if err := a.record("version", []byte("3\n")); err != nil {
		return err
	}
	return a.zip.Close()
}

// zipWriter writes stored records whose data begin at multiples of 64 bytes, as
// torch.load(mmap=True) likes them.
type zipWriter struct {
	zip   *zip.Writer
	out   *countingWriter
	start int64 // where the data of the last record begin, 0 before the first
}

func newZipWriter(w io.Writer) *zipWriter {
	out := &countingWriter{w: w}
	return &zipWriter{zip: zip.NewWriter(out), out: out}
}

const (
	zipFolder       = "archive/"
	zipAlignment    = 64
	zipLocalHeader  = 30 // bytes before the name
	zipExtraHeader  = 4  // bytes before the padding: id and length
	zipDescriptor   = 16 // bytes behind the data of a record
	zipDescriptor64 = 24 // the same where the data take 4 GiB or more
)

// create begins a record. Its data are padded to the alignment by an extra
// field, under the id that PyTorch uses for it.
func (z *zipWriter) create(name string) (io.Writer, error) {
	if err := z.zip.Flush(); err != nil {
		return nil, err
	}
	at := z.out.n
	if z.start > 0 {
		// The archive writer still owes the descriptor of the record before.
		if at-z.start >= math.MaxUint32 {
			at += zipDescriptor64
		} else {
			at += zipDescriptor
		}
	}
	h := &zip.FileHeader{Name: zipFolder + name, Method: zip.Store}
	at += zipLocalHeader + int64(len(h.Name)) + zipExtraHeader
	pad := (zipAlignment - at%zipAlignment) % zipAlignment
	h.Extra = append([]byte("FB\x00\x00"), bytes.Repeat([]byte{'Z'}, int(pad))...)
	binary.LittleEndian.PutUint16(h.Extra[2:], uint16(pad))
	z.start = at + pad
	return z.zip.CreateHeader(h)
}

// record writes a whole record.
func (z *zipWriter) record(name string, data []byte) error {
	w, err := z.create(name)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}
