package images

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
)

// files is a list of files below a folder, in the order of names, folder by folder. A million of them take some 30 MB:
// names lie in one string for each folder, and a file is an offset there.
type files struct {
	root   string
	runs   []run
	starts []uint32 // by file: where its name begins in its run's names
	found  string   // what else there is, if there is no such file
	labelling
}

// run is files of one folder that no other folder's come between.
type run struct {
	first int    // the first of them
	dir   string // relative to the root, with a slash at its end unless it is the root
	names string // of the folder, see listing
}

func (f *files) Len() int { return len(f.starts) }

// Name is the path of file i below the root.
func (f *files) Name(i int) string {
	r := f.runs[sort.Search(len(f.runs), func(k int) bool { return f.runs[k].first > i })-1]
	name, _, _ := strings.Cut(r.names[f.starts[i]:], nul)
	return r.dir + name
}

func (f *files) path(i int) string { return filepath.Join(f.root, f.Name(i)) }

// rules say which files of a folder are wanted.
type rules struct {
	key    string                 // tells rules that want other files apart
	named  func(name string) bool // by their name, of those that have an extension
	begins func(head []byte) bool // by their first bytes, of those that have none; nil: none of these
	labels bool                   // the first folder below the root is a file's class
}

// endings are rules that want files of some extensions.
func endings(extensions ...string) rules {
	return rules{
		key:   strings.Join(extensions, " "),
		named: func(name string) bool { return slices.Contains(extensions, strings.ToLower(filepath.Ext(name))) },
	}
}

// listing is what a folder holds, hidden things left out.
type listing struct {
	time  int64  // when the folder was last changed, in ns since 1970; 0 if that is too recent to be relied on
	names string // of wanted files, and of folders with a slash after; in the order of names, a NUL after each
}

const nul = "\x00"

// settled is the age from which a folder's time says that nothing has been added since: clocks of file systems tick as
// slowly as every two seconds.
const settled = 2 * time.Second

// node is a folder, and those below it in their order.
type node struct {
	listing
	dir     string // relative to the root, with a slash at its end unless it is the root
	below   []*node
	skipped bool // it is above itself
}

// walker finds files.
type walker struct {
	ctx   context.Context
	root  string
	rules rules
	known map[string]listing // by folder, of an index
	slots chan struct{}      // goroutines that may still be started

	mu     sync.Mutex
	others map[string]int // files that are not wanted, by extension
	listed int            // folders that were read
	dirs   int
}

// maxWalkers is how many folders are read at a time: a local disk gains little by it, one in the network a lot.
const maxWalkers = 16

// findFiles finds the wanted files below a folder. Names that begin with a dot are left out. Links to files and folders
// are followed, links back to a folder that is being walked are not. Without index, folders are all read; with it, only
// those that have changed, and the index is brought up to date.
func findFiles(ctx context.Context, dir string, r rules, x *folderIndex) (*files, error) {
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("there is no such folder")
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, errors.New("it is a file, expected a folder")
	}
	known := x.load(dir, r)
	for {
		w := walker{ctx: ctx, root: dir, rules: r, known: known, slots: make(chan struct{}, maxWalkers), others: map[string]int{}}
		top, err := w.walk("", nil)
		if err != nil {
			return nil, err
		}
		f := w.flatten(top)
		if f.Len() == 0 && known != nil {
			known = nil // to say what there is, all has to be looked at
			continue
		}
		if f.Len() > 0 && w.listed > 0 {
			x.save(dir, r, top)
		}
		f.found = w.found()
		return f, nil
	}
}

// walk looks at the folder rel, relative to the root, which has the given folders above it.
func (w *walker) walk(rel string, above []os.FileInfo) (*node, error) {
	if err := w.ctx.Err(); err != nil {
		return nil, err
	}
	path := filepath.Join(w.root, rel)
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	n := &node{dir: rel}
	if slices.ContainsFunc(above, func(a os.FileInfo) bool { return os.SameFile(a, info) }) {
		n.skipped = true
		return n, nil
	}
	above = append(slices.Clip(above), info)
	changed := info.ModTime().UnixNano()
	if old, ok := w.known[rel]; ok && old.time != 0 && old.time == changed {
		n.listing = old
	} else {
		began := time.Now()
		if n.names, err = w.list(path); err != nil {
			return nil, err
		}
		if began.Sub(info.ModTime()) > settled {
			n.time = changed
		}
	}
	return n, w.descend(n, above)
}

// descend walks the folders in n, several at a time if there is room.
func (w *walker) descend(n *node, above []os.FileInfo) error {
	if !strings.Contains(n.names, "/") {
		return nil
	}
	var dirs []string
	for name := range entries(n.names) {
		if strings.HasSuffix(name, "/") {
			dirs = append(dirs, n.dir+name)
		}
	}
	n.below = make([]*node, len(dirs))
	failed := make([]error, len(dirs))
	var wg sync.WaitGroup
	for i, dir := range dirs {
		one := func() { n.below[i], failed[i] = w.walk(dir, above) }
		select {
		case w.slots <- struct{}{}:
			wg.Add(1)
			go func() {
				defer wg.Done()
				defer func() { <-w.slots }()
				one()
			}()
		default:
			one()
		}
	}
	wg.Wait()
	w.mu.Lock()
	w.dirs += len(dirs)
	w.mu.Unlock()
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

// entries goes through the names of a listing.
func entries(names string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for names != "" {
			name, rest, _ := strings.Cut(names, nul)
			if !yield(name) {
				return
			}
			names = rest
		}
	}
}

// list reads a folder. A part of its entries is in memory at a time, and the names of all.
func (w *walker) list(path string) (string, error) {
	const atATime = 1024
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var arena []byte // names, with a NUL after each
	var starts []uint32
	others := map[string]int{}
	for {
		if err := w.ctx.Err(); err != nil {
			return "", err
		}
		some, err := f.ReadDir(atATime)
		for _, e := range some {
			name := e.Name()
			if strings.HasPrefix(name, ".") {
				continue
			}
			switch kind := w.kind(path, e); {
			case kind == fs.ModeDir:
				name += "/"
			case kind != 0 || !w.wanted(path, name):
				others[strings.ToLower(filepath.Ext(name))]++
				continue
			}
			if len(arena)+len(name) >= 1<<32-1 {
				return "", fmt.Errorf("%s: its names take more than 4 GiB", path)
			}
			starts = append(starts, uint32(len(arena)))
			arena = append(append(arena, name...), 0)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
	}
	w.mu.Lock()
	w.listed++
	for ext, n := range others {
		w.others[ext] += n
	}
	w.mu.Unlock()
	return sortedNames(arena, starts), nil
}

// sortedNames joins names in their order, in which the slash after a folder's does not count.
func sortedNames(arena []byte, starts []uint32) string {
	at := func(start uint32) []byte {
		name := arena[start:]
		return name[:bytes.IndexByte(name, 0)]
	}
	slices.SortFunc(starts, func(a, b uint32) int {
		return bytes.Compare(bytes.TrimSuffix(at(a), []byte("/")), bytes.TrimSuffix(at(b), []byte("/")))
	})
	var all strings.Builder
	all.Grow(len(arena))
	for _, start := range starts {
		all.Write(at(start))
		all.WriteByte(0)
	}
	return all.String()
}

// kind is 0 for a file, fs.ModeDir for a folder, and another for what is neither. Links are followed; one to nothing
// stays a file: if its name is wanted, reading it will say what is wrong.
func (w *walker) kind(path string, e fs.DirEntry) fs.FileMode {
	kind := e.Type()
	if kind&fs.ModeSymlink == 0 {
		return kind
	}
	info, err := os.Stat(filepath.Join(path, e.Name()))
	if err != nil {
		return 0
	}
	return info.Mode().Type()
}

func (w *walker) wanted(dir, name string) bool {
	if filepath.Ext(name) != "" {
		return w.rules.named(name)
	}
	if w.rules.begins == nil {
		return false
	}
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return false
	}
	defer f.Close()
	var head [headLen]byte
	n, _ := io.ReadFull(f, head[:]) // of a shorter file, all of it
	return w.rules.begins(head[:n])
}

// flatten lists the files of all folders in their order.
func (w *walker) flatten(top *node) *files {
	f := &files{root: w.root}
	var add func(n *node, class int32)
	add = func(n *node, class int32) {
		below := 0
		open := false // whether the last run is this folder's
		start := 0
		for name := range entries(n.names) {
			at := start
			start += len(name) + len(nul)
			if !strings.HasSuffix(name, "/") {
				if !open {
					f.runs, open = append(f.runs, run{first: f.Len(), dir: n.dir, names: n.names}), true
				}
				f.starts = append(f.starts, uint32(at))
				if w.rules.labels {
					f.labels = append(f.labels, class)
				}
				continue
			}
			child := n.below[below]
			below++
			if child.skipped {
				continue
			}
			sub := class
			if w.rules.labels && n == top {
				sub = int32(len(f.classes))
			}
			before := f.Len()
			add(child, sub)
			if f.Len() > before {
				open = false
				if sub != class {
					f.classes = append(f.classes, strings.TrimSuffix(name, "/"))
				}
			}
		}
	}
	add(top, -1)
	return f
}

// found describes what was met that is not wanted.
func (w *walker) found() string {
	var kinds []string
	for ext := range w.others {
		kinds = append(kinds, ext)
	}
	sort.Slice(kinds, func(i, j int) bool {
		a, b := kinds[i], kinds[j]
		return w.others[a] > w.others[b] || w.others[a] == w.others[b] && a < b
	})
	folders := fmt.Sprintf("%d folders", w.dirs)
	if w.dirs == 1 {
		folders = "1 folder"
	}
	if len(kinds) == 0 {
		if w.dirs == 0 {
			return "nothing: the folder is empty"
		}
		return folders + " and no file"
	}
	var parts []string
	for i, ext := range kinds {
		if i == 4 {
			parts = append(parts, "…")
			break
		}
		what := ext
		if ext == "" {
			what = "without an extension"
		}
		parts = append(parts, fmt.Sprintf("%d %s", w.others[ext], what))
	}
	return strings.Join(parts, ", ") + " in " + folders + " below it"
}
