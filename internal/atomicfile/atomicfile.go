// Package atomicfile replaces files whole or not at all.
package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// Write calls write with a writer for a new file beside path, syncs it to disk
// and renames it to path. If anything fails on the way (a full disk, an error
// from write), what was at path is untouched, the new file is removed and the
// error is returned. A symbolic link is followed, permissions of an existing
// file are kept. The writer is buffered.
func Write(path string, write func(w io.Writer) error) error {
	return WriteThen(path, write, func(io.WriterAt) error { return nil })
}

// WriteThen is [Write] with a second step: amend may change bytes that write
// wrote, such as a checksum of what comes behind it, before the file appears.
func WriteThen(path string, write func(w io.Writer) error, amend func(w io.WriterAt) error) (err error) {
	path, old, err := target(path)
	if err != nil {
		return err
	}
	f, err := create(path)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreClosed(f.Close()), os.Remove(f.Name()))
		}
	}()
	if old != nil {
		if err := f.Chmod(old.Mode().Perm()); err != nil {
			return err
		}
	}
	w := bufio.NewWriterSize(f, 1<<20)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := amend(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	syncDir(filepath.Dir(path))
	return nil
}

// Link makes path another name of the file old, so that it takes no room of
// its own, or a copy of it where that cannot be. What was at path is replaced.
func Link(old, path string) error {
	resolved, err := filepath.EvalSymlinks(old)
	if err != nil {
		return err
	}
	dir, base := filepath.Split(path)
	name := filepath.Join(dir, fmt.Sprintf(".%s.%d-link.tmp", base, os.Getpid()))
	_ = os.Remove(name)
	if os.Link(resolved, name) == nil {
		// Where path is a name of the file already, both stay.
		return errors.Join(os.Rename(name, path), ignoreMissing(os.Remove(name)))
	}
	f, err := os.Open(resolved)
	if err != nil {
		return err
	}
	defer f.Close()
	return Write(path, func(w io.Writer) error {
		_, err := io.Copy(w, f)
		return err
	})
}

// RemoveStale removes what processes that were killed left in a folder of the
// new files that they were writing, of those whose paths had names that ours
// accepts. Nothing else may be writing them.
func RemoveStale(dir string, ours func(name string) bool) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		m := stale.FindStringSubmatch(e.Name())
		if m != nil && ours(m[1]) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// stale is the name of a new file.
var stale = regexp.MustCompile(`^\.(.+)\.[0-9]+-([0-9]+|link)\.tmp$`)

// target resolves symbolic links and returns what is there already, if anything.
func target(path string) (string, fs.FileInfo, error) {
	resolved, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	st, err := os.Stat(resolved)
	if err != nil {
		return "", nil, err
	}
	if !st.Mode().IsRegular() {
		return "", nil, fmt.Errorf("%s is not a regular file", path)
	}
	return resolved, st, nil
}

// create makes a temporary file in the folder of path, since a rename works
// only within a file system. Its name begins with a dot, so that what lists the
// folder does not take it for a result.
func create(path string) (*os.File, error) {
	dir, base := filepath.Split(path)
	for i := 0; ; i++ {
		name := filepath.Join(dir, fmt.Sprintf(".%s.%d-%d.tmp", base, os.Getpid(), i))
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, fs.ErrExist) && i < 10000 {
			continue
		}
		return f, err
	}
}

// syncDir makes a rename durable where that can be had. File systems that
// cannot open or sync a folder are none of the caller's business: the file
// itself is complete.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}
