package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// FolderSource is a tree of image files. It is made by [Folder].
type FolderSource struct {
	root    string
	opts    Options
	dirs    []string // relative to root, with a separator at the end
	inDir   []int32  // by image: index of dirs
	names   []string // by image: name in its folder
	labels  []int32  // by folder: class, or -1
	classes []string
}

// Folder finds the images below dir: files whose extension is that of JPEG or PNG in whatever case, and files without
// an extension that begin as those do. Names that begin with a dot are left out. Links to files and folders are
// followed, links back to a folder that is being walked are not. The order is that of names, folder by folder, and the
// same on every machine; files are not opened until they are asked for.
//
// With o.Labels, the first folder below dir is the class of the images in it; classes are numbered in the order of their
// names, and images directly in dir have none.
func Folder(ctx context.Context, dir string, o Options) (*FolderSource, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("images of %s: %w", dir, err)
	}
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("images of %s: there is no such folder", dir)
	case err != nil:
		return nil, fmt.Errorf("images of %s: %w", dir, err)
	case !info.IsDir():
		return nil, fmt.Errorf("images of %s: it is a file, expected a folder of JPEG or PNG files", dir)
	}
	w := walker{ctx: ctx, src: &FolderSource{root: dir, opts: o}, others: map[string]int{}}
	if err := w.walk("", -1, nil); err != nil {
		return nil, fmt.Errorf("images of %s: %w", dir, err)
	}
	if w.src.Len() == 0 {
		return nil, fmt.Errorf("images of %s: no JPEG or PNG file in it; found %s", dir, w.found())
	}
	return w.src, nil
}

type walker struct {
	ctx    context.Context
	src    *FolderSource
	others map[string]int // files that are no images, by extension
	dirs   int
}

// walk adds what is in the folder rel (relative to the root), which belongs to a class or -1, and has the given
// folders above it.
func (w *walker) walk(rel string, class int32, above []string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	path := filepath.Join(w.src.root, rel)
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	if slices.Contains(above, real) {
		return nil
	}
	above = append(slices.Clip(above), real)
	entries, err := os.ReadDir(path) // sorted by name
	if err != nil {
		return err
	}
	s := w.src
	this := int32(-1) // index of this folder in s.dirs, once it has an image
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") {
			continue
		}
		mode := e.Type()
		if mode&fs.ModeSymlink != 0 {
			// A link to nothing stays a file: if its name is an image's, reading it will say what is wrong.
			if info, err := os.Stat(filepath.Join(path, name)); err == nil {
				mode = info.Mode().Type()
			} else {
				mode = 0
			}
		}
		if mode.IsDir() {
			w.dirs++
			sub := class
			if s.opts.Labels && rel == "" {
				sub = int32(len(s.classes))
			}
			before := s.Len()
			if err := w.walk(filepath.Join(rel, name), sub, above); err != nil {
				return err
			}
			if sub != class && s.Len() > before {
				s.classes = append(s.classes, name)
			}
			continue
		}
		if !mode.IsRegular() || !w.isImage(path, name) {
			w.others[strings.ToLower(filepath.Ext(name))]++
			continue
		}
		if this < 0 {
			this = int32(len(s.dirs))
			prefix := rel
			if rel != "" {
				prefix += string(filepath.Separator)
			}
			s.dirs, s.labels = append(s.dirs, prefix), append(s.labels, class)
		}
		s.names, s.inDir = append(s.names, name), append(s.inDir, this)
	}
	return nil
}

func (w *walker) isImage(dir, name string) bool {
	if filepath.Ext(name) != "" {
		return hasImageExtension(name)
	}
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return false
	}
	defer f.Close()
	var head [headLen]byte
	n, _ := f.Read(head[:])
	return byHead(head[:n]) != nil
}

// found describes a tree without images.
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

// Len is the number of files.
func (s *FolderSource) Len() int { return len(s.names) }

// Name is the path of image i below the root.
func (s *FolderSource) Name(i int) string { return s.dirs[s.inDir[i]] + s.names[i] }

// Image reads and decodes file i.
func (s *FolderSource) Image(ctx context.Context, i int) (*Image, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	path := filepath.Join(s.root, s.Name(i))
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading image: %w", err) // which names the file
	}
	m, err := Decode(data, s.opts)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// Label is the class of image i, if labels were asked for and it lies in a folder below the root.
func (s *FolderSource) Label(i int) (int, bool) {
	l := s.labels[s.inDir[i]]
	return int(max(l, 0)), l >= 0
}

// Classes are the names of the folders right below the root that have images, if labels were asked for.
func (s *FolderSource) Classes() []string { return s.classes }
