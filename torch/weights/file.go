package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

var (
	// ErrTorchScript is wrapped by the error of [Open] for a TorchScript module:
	// a program with its weights, which torch.jit.load reads.
	ErrTorchScript = errors.New("a TorchScript module, not a state dict")

	// ErrNoStateDict is wrapped by the error of [Open] for a well-formed file in
	// which no state dict was found.
	ErrNoStateDict = errors.New("no state dict")
)

// Options choose what of a file is listed. The zero value finds the state dict
// and gives its keys as the model knows them.
type Options struct {
	// Key is the path of the state dict in a file that holds more, such as
	// "teacher" or "model.backbone": tensors below it are listed, without it.
	// Empty means to look where training scripts put it (state_dict, model,
	// teacher, target_encoder, …), averaged weights first.
	Key string

	// Raw lists every tensor of the file under its full path, as it stands there.
	Raw bool
}

// Skipped is an entry of a state dict that is not a tensor, or not one that can
// be read.
type Skipped struct {
	Name string
	What string // such as "an integer" or "a sparse tensor"
}

// File is an opened file of tensors. Its methods may be called concurrently.
type File struct {
	name     string
	format   string
	key      string
	r        io.ReaderAt
	beside   opener // what opens the shards of an index; nil where there are none
	closers  []io.Closer
	size     int64
	limits   limits
	infos    []Info
	views    []view
	index    map[string]int
	skipped  []Skipped
	metadata map[string]string
	checked  []piece // parts of the file that have a checksum
}

// Open opens the file at path with the zero Options.
func Open(path string) (*File, error) { return OpenOptions(path, Options{}) }

// OpenOptions opens the file at path and lists its tensors. The format is
// recognised by content, whatever the name says. Errors name the path, and the
// key where one is at fault.
func OpenOptions(path string, o Options) (*File, error) {
	osFile, size, err := openRegular(path)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	f := &File{name: path, r: mappedFile{osFile}, size: size, beside: folder(filepath.Dir(path)), closers: []io.Closer{osFile}}
	if err := f.open(o); err != nil {
		return nil, errors.Join(fmt.Errorf("weights: %s: %w", path, err), f.Close())
	}
	return f, nil
}

// openRegular opens a file for reading. Others are not waited for, as a pipe
// would have it.
func openRegular(path string) (*os.File, int64, error) {
	st, err := os.Stat(path)
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s: not a regular file", path)
	}
	if err != nil {
		return nil, 0, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	if st, err = f.Stat(); err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, st.Size(), nil
}

// New lists the tensors of the size bytes that r gives. name stands for the
// file in errors. r must allow concurrent use for as long as the File is used.
// An index of shards, which lie in other files, needs [Open].
func New(r io.ReaderAt, size int64, name string, o Options) (*File, error) {
	f := &File{name: name, r: r, size: size}
	if err := f.open(o); err != nil {
		return nil, fmt.Errorf("weights: %s: %w", name, err)
	}
	return f, nil
}

func (f *File) open(o Options) error {
	if o.Raw && o.Key != "" {
		return fmt.Errorf("options: Raw lists the whole file, so Key %q has no meaning", o.Key)
	}
	if f.limits.objects == nil {
		f.limits = newLimits(f.size)
	}
	head := make([]byte, min(f.size, 512))
	if err := readFull(f.r, head, 0); err != nil {
		return err
	}
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		f.format = "PyTorch zip"
		return f.openZip(o)
	case len(head) > 1 && (head[0] == 0x80 || head[0] == 'L' && head[1] >= '0' && head[1] <= '9') && !isSafetensors(head):
		f.format = "PyTorch legacy pickle"
		return f.openLegacy(o)
	case isSafetensors(head):
		f.format = "safetensors"
		return f.openSafetensors(o)
	case isJSON(head):
		f.format = "index of shards"
		return f.openIndex(o)
	}
	return fmt.Errorf("%s: expected safetensors or a file made by torch.save", foreignFormat(head))
}

// isSafetensors looks for the header's length, then its opening brace.
func isSafetensors(head []byte) bool {
	return len(head) > 8 && head[8] == '{' && binary.LittleEndian.Uint64(head) < 1<<40
}

func isJSON(head []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("{"))
}

// foreignFormat names what people mistake for weights.
func foreignFormat(head []byte) string {
	switch {
	case len(head) == 0:
		return "the file is empty"
	case bytes.HasPrefix(head, []byte("version https://git-lfs")):
		return "a Git LFS pointer, not the file it stands for"
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return "a gzip file; unpack it first"
	case bytes.HasPrefix(head, []byte("\x89HDF")):
		return "an HDF5 file"
	case bytes.HasPrefix(head, []byte("\x93NUMPY")):
		return "a NumPy array"
	case len(head) > 262 && string(head[257:262]) == "ustar":
		return "a tar file; PyTorch before 0.1.10 saved such ones, load it there and save it again"
	case bytes.Contains(bytes.ToLower(head), []byte("<html")):
		return "a web page"
	}
	return "unknown format"
}

// Format names the file's format: "safetensors", "PyTorch zip" or "PyTorch
// legacy pickle", and how many shards it is in if it is an index of them.
func (f *File) Format() string { return f.format }

// Key returns the path of the state dict within the file, "" for the top.
func (f *File) Key() string { return f.key }

// Tensors returns the tensors in the order of the file.
func (f *File) Tensors() []Info {
	infos := slices.Clone(f.infos)
	for i := range infos {
		infos[i].Shape = slices.Clone(infos[i].Shape)
	}
	return infos
}

// Lookup returns the tensor of that name.
func (f *File) Lookup(name string) (Info, bool) {
	i, ok := f.index[name]
	if !ok {
		return Info{}, false
	}
	info := f.infos[i]
	info.Shape = slices.Clone(info.Shape)
	return info, true
}

// Skipped returns what else the state dict holds, at most 1000 entries.
func (f *File) Skipped() []Skipped { return slices.Clone(f.skipped) }

// Metadata returns the strings that safetensors files, and zip files written
// by this package, carry beside the tensors.
func (f *File) Metadata() map[string]string { return maps.Clone(f.metadata) }

// Read returns the elements of a tensor, little endian and in C order.
func (f *File) Read(name string) ([]byte, error) {
	i, ok := f.index[name]
	if !ok {
		return nil, f.unknown(name)
	}
	dst := make([]byte, f.infos[i].Bytes())
	return dst, f.readInto(i, dst)
}

// ReadInto reads the elements of a tensor into dst, whose length must be the
// tensor's size in bytes. Little endian, C order.
func (f *File) ReadInto(name string, dst []byte) error {
	i, ok := f.index[name]
	if !ok {
		return f.unknown(name)
	}
	return f.readInto(i, dst)
}

func (f *File) readInto(i int, dst []byte) error {
	if want := f.infos[i].Bytes(); int64(len(dst)) != want {
		return fmt.Errorf("weights: %s: key %q: destination has %d bytes, want %d", f.name, f.infos[i].Name, len(dst), want)
	}
	for v := &f.views[i]; v != nil; v = v.next {
		n := v.bytes()
		if err := v.fill(dst[:n]); err != nil {
			return fmt.Errorf("weights: %s: key %q: %w", v.in.name, f.infos[i].Name, err)
		}
		dst = dst[n:]
	}
	return nil
}

func (f *File) unknown(name string) error {
	if what, ok := f.skippedAs(name); ok {
		return fmt.Errorf("weights: %s: key %q is %s", f.name, name, what)
	}
	return fmt.Errorf("weights: %s: no key %q", f.name, name)
}

// skippedAs says what a key is that was stepped over.
func (f *File) skippedAs(name string) (what string, ok bool) {
	for _, s := range f.skipped {
		if s.Name == name {
			return s.What, true
		}
	}
	return "", false
}

// Close closes the file. Nothing can be read afterwards.
func (f *File) Close() error {
	var errs []error
	for _, c := range f.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// add appends a tensor to the listing. A tensor much larger than its file (a
// broadcast one) is refused, as whoever allocates for it must trust the listing.
func (f *File) add(info Info, v view) error {
	if _, ok := f.index[info.Name]; ok {
		return fmt.Errorf("key %q: comes twice", info.Name)
	}
	if info.Bytes() > f.size+maxExpansion {
		return fmt.Errorf("key %q: %v%v takes %d bytes, far more than the whole file", info.Name, info.DType, info.Shape, info.Bytes())
	}
	if v.in == nil {
		v.in = f
	}
	f.index[info.Name] = len(f.infos)
	f.infos = append(f.infos, info)
	f.views = append(f.views, v)
	return nil
}

// readFull reads len(dst) bytes at off; a file that ends before is an error.
func readFull(r io.ReaderAt, dst []byte, off int64) error {
	n, err := r.ReadAt(dst, off)
	if n == len(dst) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}
