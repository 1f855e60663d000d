package weights

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
)

// metadataRecord is where this package keeps metadata in a zip file, under
// TorchScript's folder for extra files. torch.load does not look there.
const metadataRecord = "extra/metadata.json"

// archive is a zip file of torch.save: records under one folder.
type archive struct {
	f       *File
	root    string
	records map[string]*zip.File
}

// directoryReader fails when its budget is spent, to bound what a forged
// directory makes archive/zip allocate. Once the directory is done, it passes
// all through.
type directoryReader struct {
	io.ReaderAt
	budget *budget
	done   bool
}

func (d *directoryReader) ReadAt(p []byte, off int64) (int, error) {
	if d.done {
		return d.ReaderAt.ReadAt(p, off)
	}
	if err := d.budget.spend(int64(len(p))); err != nil {
		return 0, err
	}
	return d.ReaderAt.ReadAt(p, off)
}

// openZip reads the directory, then the pickle that names the tensors.
func (f *File) openZip(o Options) error {
	a, err := f.newArchive()
	if err != nil {
		return err
	}
	if a.records["constants.pkl"] != nil {
		return ErrTorchScript
	}
	pkl := a.records["data.pkl"]
	if pkl == nil {
		return fmt.Errorf("a zip archive without %s/data.pkl, so not made by torch.save", a.root)
	}
	big, err := a.bigEndian()
	if err != nil {
		return err
	}
	f.metadata = a.metadata()
	budget := f.limits.objects
	st := &storages{byKey: make(map[string]*storage)}
	r, err := a.open(pkl)
	if err != nil {
		return fmt.Errorf("record data.pkl: %w", err)
	}
	defer r.Close()
	root, err := unpickle(newPickleReader(r, int64(pkl.UncompressedSize64)), budget, st.load)
	if err != nil {
		return fmt.Errorf("record data.pkl: %w", err)
	}
	blobs := make(map[string]*blob)
	return f.resolve(root, budget, o, func(s *storage) (*blob, error) {
		if b := blobs[s.key]; b != nil {
			return b, nil
		}
		b, err := a.blob("data/" + s.key)
		if err != nil {
			return nil, err
		}
		b.bigEndian = big
		blobs[s.key] = b
		return b, nil
	})
}

func (f *File) newArchive() (*archive, error) {
	dir := &directoryReader{ReaderAt: f.r, budget: f.limits.directory}
	zr, err := zip.NewReader(dir, f.size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, fmt.Errorf("zip directory: %w", err)
	}
	dir.done = true
	if len(zr.File) == 0 {
		return nil, errors.New("an empty zip archive")
	}
	// The first record says what the folder is called, as PyTorch has it.
	root, _, _ := strings.Cut(zr.File[0].Name, "/")
	a := &archive{f: f, root: root, records: make(map[string]*zip.File, len(zr.File))}
	for _, zf := range zr.File {
		name, ok := strings.CutPrefix(zf.Name, root+"/")
		if !ok {
			continue
		}
		if a.records[name] != nil {
			return nil, fmt.Errorf("record %s comes twice", zf.Name)
		}
		a.records[name] = zf
	}
	return a, nil
}

// blob locates a record's data and checks that the file holds them.
func (a *archive) blob(name string) (*blob, error) {
	zf := a.records[name]
	if zf == nil {
		return nil, fmt.Errorf("no record %s/%s", a.root, name)
	}
	if zf.Flags&1 != 0 {
		return nil, fmt.Errorf("record %s is encrypted", name)
	}
	off, err := zf.DataOffset()
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", name, unexpected(err))
	}
	if packed := zf.CompressedSize64; off > a.f.size || packed > uint64(a.f.size-off) {
		return nil, fmt.Errorf("record %s: %d bytes at %d in a file of %d: %w", name, packed, off, a.f.size, io.ErrUnexpectedEOF)
	}
	b := &blob{off: off, size: int64(zf.UncompressedSize64), crc: zf.CRC32}
	switch {
	case zf.Method == zip.Deflate && zf.UncompressedSize64 <= uint64(a.f.size+maxExpansion):
		b.deflated = zf
	case zf.Method == zip.Deflate:
		return nil, fmt.Errorf("record %s unpacks to %d bytes, far more than the whole file", name, zf.UncompressedSize64)
	case zf.Method != zip.Store:
		return nil, fmt.Errorf("record %s: compression method %d is not supported", name, zf.Method)
	case zf.CompressedSize64 != zf.UncompressedSize64:
		return nil, fmt.Errorf("record %s: stored, but its sizes are %d and %d", name, zf.CompressedSize64, zf.UncompressedSize64)
	}
	return b, nil
}

// open returns the content of a record, whose checksum is compared first if it
// is stored and while it is read if it is compressed.
func (a *archive) open(zf *zip.File) (io.ReadCloser, error) {
	b, err := a.blob(strings.TrimPrefix(zf.Name, a.root+"/"))
	if err != nil {
		return nil, err
	}
	if b.deflated != nil {
		return b.deflated.Open()
	}
	if b.crc != 0 {
		sum := crc32.NewIEEE()
		if _, err := io.Copy(sum, io.NewSectionReader(a.f.r, b.off, b.size)); err != nil {
			return nil, err
		}
		if sum.Sum32() != b.crc {
			return nil, zip.ErrChecksum
		}
	}
	return io.NopCloser(io.NewSectionReader(a.f.r, b.off, b.size)), nil
}

// small reads a record that is text of at most limit bytes.
func (a *archive) small(name string, limit int64) ([]byte, error) {
	r, err := a.open(a.records[name])
	if err != nil {
		return nil, err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	return text, err
}

// bigEndian reads the record that says which way the writing machine stored
// numbers; files without it are little endian.
func (a *archive) bigEndian() (bool, error) {
	if a.records["byteorder"] == nil {
		return false, nil
	}
	text, err := a.small("byteorder", 16)
	if err != nil {
		return false, fmt.Errorf("record byteorder: %w", err)
	}
	switch string(text) {
	case "little":
		return false, nil
	case "big":
		return true, nil
	}
	return false, fmt.Errorf("record byteorder: %q is neither little nor big", text)
}

// metadata reads what WritePyTorch put in; anything else there is not ours.
func (a *archive) metadata() map[string]string {
	if a.records[metadataRecord] == nil {
		return nil
	}
	text, err := a.small(metadataRecord, 1<<20)
	var m map[string]string
	if err != nil || json.Unmarshal(text, &m) != nil {
		return nil
	}
	return m
}
