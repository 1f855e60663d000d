//go:build unix

package weights

import (
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// mapFrom is how long a read is that goes through a memory map. Copying 4 MiB at
// a time from maps took 107 ms for 1.2 GB in the system's cache where read(2)
// took 172 ms (2 cores, least of 12). Shorter pieces are read, as setting up a
// map for each costs more than that saves.
const mapFrom = 1 << 20

// mappedFile is a file whose long reads copy from a memory map. The map is of the
// part that is read and lives as long as the read does, so that nothing else can
// touch it, and a tensor that is loaded costs no more memory than itself.
type mappedFile struct{ *os.File }

// ReadAt implements io.ReaderAt. Whatever is amiss with the map, the file is read
// in the usual way, and that gives the error.
func (f mappedFile) ReadAt(p []byte, off int64) (int, error) {
	if len(p) < mapFrom || !f.copyAt(p, off) {
		return f.File.ReadAt(p, off)
	}
	return len(p), nil
}

func (f mappedFile) copyAt(p []byte, off int64) bool {
	before := off % int64(os.Getpagesize()) // maps begin at pages
	conn, err := f.SyscallConn()
	if err != nil {
		return false
	}
	var m []byte
	failed := conn.Control(func(fd uintptr) {
		m, err = unix.Mmap(int(fd), off-before, int(before)+len(p), unix.PROT_READ, unix.MAP_SHARED)
	})
	if failed != nil || err != nil {
		return false
	}
	_ = unix.Madvise(m, unix.MADV_WILLNEED) // what is not in the cache is read in long pieces
	ok := copyGuarded(p, m[before:])
	if unix.Munmap(m) != nil || !ok {
		return false
	}
	// Behind the end of a file that was cut, the last page reads as zeros.
	st, err := f.Stat()
	return err == nil && st.Size() >= off+int64(len(p))
}

// copyGuarded copies src, which is mapped, and reports whether all of it was
// there: a file that is cut while it is mapped, or a failing disk, faults.
func copyGuarded(dst, src []byte) (ok bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch e := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }: // a fault, and nothing else is done here
			ok = false
		default:
			panic(e)
		}
	}()
	copy(dst, src)
	return true
}
