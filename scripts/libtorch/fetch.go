package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
)

// neededSpace is what a fetch takes at its peak, in bytes: pip holds a wheel of up to 900 MB twice, and what is
// unpacked takes 600 MB.
const neededSpace = 3 << 30

// fetcher keeps one libtorch per version under home, as libtorch-2.11.0/torch/{lib,include}.
type fetcher struct {
	home      string
	log       io.Writer
	version   wanted
	archive   string // base URL of the official archives; empty for the usual one
	freeSpace func(dir string) (uint64, error)
}

// get returns the libtorch that an earlier run fetched, or fetches it. The note is said before a fetch.
//
// A fetch goes into a folder of its own, which is renamed when all is there and checked; one lock serialises
// fetches under the same home, and what a killed one left is removed by the next.
func (f *fetcher) get(ctx context.Context, note string) (*libtorch, error) {
	final := filepath.Join(f.home, "libtorch-"+f.version.String())
	if lib, err := inspect(filepath.Join(final, "torch")); err == nil {
		return lib, nil
	}
	if runtime.GOOS != "linux" {
		return nil, fmt.Errorf("gojepa fetches libtorch for Linux only, and this is %s: set LIBTORCH to a libtorch folder", runtime.GOOS)
	}
	if note != "" {
		fmt.Fprintf(f.log, "gojepa: %s.\n", note)
	}
	if err := os.MkdirAll(f.home, 0o755); err != nil {
		return nil, notWritable(f.home, err)
	}
	unlock, err := f.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if lib, err := inspect(filepath.Join(final, "torch")); err == nil {
		return lib, nil // another run fetched it while this one waited
	}
	partial := final + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return nil, notWritable(partial, err)
	}
	if err := f.checkSpace(); err != nil {
		return nil, err
	}
	defer os.RemoveAll(partial)
	if err := f.fetch(ctx, partial); err != nil {
		return nil, err
	}
	lib, err := inspect(filepath.Join(partial, "libtorch", "torch"))
	if err == nil && !lib.version.same(f.version.version) {
		err = fmt.Errorf("it is version %s", lib.version.full)
	}
	if err != nil {
		return nil, fmt.Errorf("the libtorch %s that was fetched is not usable (%w): try another version with TORCH=", f.version, err)
	}
	// Where a folder of that name is in the way, it holds no libtorch, as was seen above.
	if err := os.RemoveAll(final); err != nil {
		return nil, notWritable(final, err)
	}
	if err := os.Rename(filepath.Join(partial, "libtorch"), final); err != nil {
		return nil, notWritable(final, err)
	}
	fmt.Fprintf(f.log, "gojepa: libtorch %s is in %s.\n", f.version, final)
	lib.dir = filepath.Join(final, "torch")
	return lib, nil
}

// fetch makes partial/libtorch, with partial/tmp as its scratch folder.
func (f *fetcher) fetch(ctx context.Context, partial string) error {
	tmp := filepath.Join(partial, "tmp")
	if err := os.MkdirAll(tmp, 0o755); err != nil {
		return notWritable(tmp, err)
	}
	dst := filepath.Join(partial, "libtorch")
	if exec.CommandContext(ctx, "python3", "-m", "pip", "--version").Run() == nil {
		return f.fetchWheel(ctx, tmp, dst)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return f.fetchArchive(ctx, tmp, dst)
}

// lock waits until no other run fetches under the same home. The system drops the lock of a run that ends.
func (f *fetcher) lock() (unlock func(), err error) {
	path := filepath.Join(f.home, "lock")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, notWritable(path, err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		fmt.Fprintf(f.log, "gojepa: waiting for another set-up under %s to end.\n", f.home)
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s cannot be locked (%w): set GOJEPA_HOME to a folder on a local disk", path, err)
	}
	return func() { file.Close() }, nil
}

func (f *fetcher) checkSpace() error {
	free, err := f.freeSpace(f.home)
	if err != nil {
		return fmt.Errorf("the free space of %s cannot be read (%w): set GOJEPA_HOME to another folder", f.home, err)
	}
	if free < neededSpace {
		return fmt.Errorf("fetching libtorch needs %s of disk space and %s has %s: make room, or set GOJEPA_HOME to a folder on another disk",
			gigabytes(neededSpace), f.home, gigabytes(free))
	}
	return nil
}

func gigabytes(n uint64) string { return fmt.Sprintf("%.1f GB", float64(n)/(1<<30)) }

func freeSpace(dir string) (uint64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return s.Bavail * uint64(s.Bsize), nil
}
