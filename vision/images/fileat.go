package images

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// fileAt reads parts of a file, which it opens for each. A collection may have more files than a process may hold open, a
// [Source] needs no closing, and a file that has gone is noticed. Opening takes some microseconds on a local disk.
type fileAt struct {
	path string
	size int64
}

// statFile is the file of a path, with its size now.
func statFile(path string) (fileAt, os.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return fileAt{}, nil, err
	}
	if !info.Mode().IsRegular() {
		return fileAt{}, nil, fmt.Errorf("%s: expected a file", path)
	}
	return fileAt{path, info.Size()}, info, nil
}

// ReadAt is io.ReaderAt's.
func (f fileAt) ReadAt(p []byte, off int64) (int, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return file.ReadAt(p, off)
}

// read returns n bytes from an offset. It allocates no more than the file had when it was looked at.
func (f fileAt) read(off, n int64) ([]byte, error) {
	if off < 0 || n < 0 || n > f.size || off > f.size-n {
		return nil, fmt.Errorf("%s has %d bytes, expected %d from byte %d on", f.path, f.size, n, off)
	}
	b := make([]byte, n)
	if m, err := f.ReadAt(b, off); err != nil && !(errors.Is(err, io.EOF) && m == len(b)) {
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("%s ends after %d of %d bytes from byte %d on", f.path, m, n, off)
		}
		return nil, err
	}
	return b, nil
}
