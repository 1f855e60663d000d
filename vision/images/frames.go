package images

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"runtime/debug"
	"sort"
	"sync"
	"sync/atomic"
	"syscall"
)

// frames says how many images the files of a folder are. One is the rule; DICOM, TIFF and FITS files may be several.
type frames struct {
	first []int // by file: number of its first image, and at the end of all images; nil if each file is one
}

// count is the number of images.
func (f frames) count(files int) int {
	if f.first == nil {
		return files
	}
	return f.first[len(f.first)-1]
}

// at is the file of image i, the image's place in it, and how many are there.
func (f frames) at(i int) (file, frame, of int) {
	if f.first == nil {
		return i, 0, 1
	}
	file, frame = within(f.first, i)
	return file, frame, f.first[file+1] - f.first[file]
}

// within is the part of a collection that image i is in, and its place there, where parts begin with the images first: the
// last part that begins at i or before, as one of no images begins where the next does.
func within(first []int, i int) (part, at int) {
	part = sort.SearchInts(first, i+1) - 1
	return part, i - first[part]
}

// maxFrames is the most images that a file may be: more than a day of video has.
const maxFrames = 1 << 22

// countFrames looks at the heads of those files that may be several images. A file that cannot be read counts as one: reading
// it says what is wrong. With index, they are looked at once, as long as the folder has the same files.
func countFrames(ctx context.Context, f *files, x *folderIndex) (frames, error) {
	var some []int
	h := fnv.New64a()
	for i := range f.Len() {
		if name := f.Name(i); mayHaveFrames(name) {
			some = append(some, i)
			_, _ = io.WriteString(h, name+nul) // a hash takes everything
		}
	}
	if len(some) == 0 {
		return frames{}, nil
	}
	counts := x.loadFrames(f.root, h.Sum64(), len(some))
	if counts == nil {
		var err error
		if counts, err = lookForFrames(ctx, f, some); err != nil {
			return frames{}, err
		}
		x.saveFrames(f.root, h.Sum64(), counts)
	}
	all := frames{make([]int, f.Len()+1)}
	next := 0
	for i := range f.Len() {
		n := 1
		if next < len(some) && some[next] == i {
			n = counts[next]
			next++
		}
		all.first[i+1] = all.first[i] + n
	}
	if all.count(0) == f.Len() {
		return frames{}, nil
	}
	return all, nil
}

// lookForFrames counts the images of some of the files.
func lookForFrames(ctx context.Context, f *files, some []int) ([]int, error) {
	counts := make([]int, len(some))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(maxWalkers, len(some)) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(some) {
					return
				}
				counts[i] = framesOf(f.path(some[i]))
			}
		}()
	}
	workers.Wait()
	return counts, ctx.Err()
}

// framesOf counts the images of a file, through a map of its memory, so that only its head is read.
func framesOf(path string) (n int) {
	defer func() {
		if n < 1 || n > maxFrames || recover() != nil { // the file became shorter meanwhile
			n = 1
		}
	}()
	file, err := os.Open(path)
	if err != nil {
		return 1
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 || info.Size() != int64(int(info.Size())) {
		return 1
	}
	data, err := syscall.Mmap(int(file.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return 1
	}
	defer func() { _ = syscall.Munmap(data) }() // it was mapped
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	n, err = Frames(data)
	if err != nil {
		return 1
	}
	return n
}

// An index file of frames has, after a line that says what it is, the root's absolute path, a hash of the names of the files
// that were looked at, and the number of images of each.
const framesIndexHead = "gojepa index of frames, version 1\n"

// loadFrames returns the counts of so many files whose names have a hash, nil if they are not known.
func (x *folderIndex) loadFrames(root string, names uint64, files int) []int {
	if x == nil || x.rescan {
		return nil
	}
	text, ok := x.read(indexPath(x.dir, "frames", absolute(root)), framesIndexHead)
	if !ok {
		return nil
	}
	p := indexReader{text}
	if p.text() != absolute(root) || p.uint64() != names {
		return nil
	}
	counts := make([]int, files)
	for i := range counts {
		if counts[i] = int(min(p.uvarint(), maxFrames)); counts[i] < 1 {
			return nil
		}
	}
	return counts
}

// saveFrames writes what loadFrames reads.
func (x *folderIndex) saveFrames(root string, names uint64, counts []int) {
	if x == nil {
		return
	}
	path := indexPath(x.dir, "frames", absolute(root))
	err := writeIndex(path, framesIndexHead, func(w *indexWriter) {
		w.text(absolute(root))
		w.uint64(names)
		for _, n := range counts {
			w.uvarint(uint64(n))
		}
	})
	if err != nil {
		x.notef("index file %s was not written: %v", path, err)
	}
}

// frameName is the name of an image of a file that has several.
func frameName(file string, frame, of int) string {
	if of == 1 {
		return file
	}
	return fmt.Sprintf("%s[%d]", file, frame)
}
