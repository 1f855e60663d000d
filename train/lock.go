package train

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// folderLock keeps other processes from writing to the same run. It goes with the process.
type folderLock struct {
	file *os.File // nil where the file system has no locks
	path string
	made bool // the folder with it
	new  bool // it was not there before
}

// lockFolder makes a run's folder, if there is none, and locks it.
func lockFolder(out string) (*folderLock, error) {
	l := &folderLock{path: filepath.Join(out, lockFile)}
	if _, err := os.Stat(out); errors.Is(err, os.ErrNotExist) {
		l.made = true
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, fmt.Errorf("--out %s: making the folder: %w", out, err)
	}
	if _, err := os.Stat(l.path); errors.Is(err, os.ErrNotExist) {
		l.new = true
	}
	for {
		f, err := os.OpenFile(l.path, os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return nil, fmt.Errorf("--out %s: locking the folder: %w", out, err)
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, fmt.Errorf("%s: another process is training there", out)
			}
			return l, nil // some network file systems have no locks: better to train unlocked than not at all
		}
		// Another process may have undone its folder between the two calls: then this is the lock of a file that is gone.
		if mine, err := f.Stat(); err == nil {
			if there, err := os.Stat(l.path); err == nil && os.SameFile(mine, there) {
				l.file = f
				return l, nil
			}
		}
		f.Close()
		if err := os.MkdirAll(out, 0o755); err != nil {
			return nil, fmt.Errorf("--out %s: making the folder: %w", out, err)
		}
	}
}

// undo removes the lock from a folder in which no run could begin, and the folder, if it was made for it and has nothing else
// in it.
func (l *folderLock) undo() {
	if l == nil || l.file == nil || !l.new || isRun(filepath.Dir(l.path)) {
		return
	}
	_ = os.Remove(l.path)
	if l.made {
		_ = os.Remove(filepath.Dir(l.path)) // which fails where there is something in it
	}
	l.release()
}

// release ends the lock.
func (l *folderLock) release() {
	if l != nil && l.file != nil {
		l.file.Close()
		l.file = nil
	}
}
