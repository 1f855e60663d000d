package images

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// extensions are those of image files, in lower case. What a file is, its first bytes decide when it is read.
var extensions = map[string]bool{".jpg": true, ".jpeg": true, ".jpe": true, ".jfif": true, ".png": true}

// FolderSource is a tree of image files. It is made by [Folder] or [Open].
type FolderSource struct {
	*files
	opts Options
}

// Folder finds the images below dir: files whose extension is that of JPEG or PNG in whatever case, and files without
// an extension that begin as those do. Names that begin with a dot are left out. Links to files and folders are
// followed, links back to a folder that is being walked are not. The order is that of names, folder by folder, and the
// same on every machine; files are not opened until they are asked for. A million files take some 30 MB of memory.
//
// With o.Labels, the first folder below dir is the class of the images in it; classes are numbered in the order of their
// names, and images directly in dir have none.
func Folder(ctx context.Context, dir string, o Options) (*FolderSource, error) {
	err := o.Validate()
	if err == nil {
		var s *FolderSource
		if s, err = folder(ctx, dir, o, nil); err == nil {
			return s, nil
		}
	}
	return nil, fmt.Errorf("images of %s: %w", dir, err)
}

// folder is Folder with an index.
func folder(ctx context.Context, dir string, o Options, x *folderIndex) (*FolderSource, error) {
	f, err := findFiles(ctx, dir, imageFiles(o.Labels), x)
	if err != nil {
		return nil, err
	}
	if f.Len() == 0 {
		return nil, fmt.Errorf("no JPEG or PNG file in it; found %s", f.found)
	}
	return &FolderSource{f, o}, nil
}

// imageFiles are the files that Decode reads.
func imageFiles(labels bool) rules {
	begins := func(head []byte) bool {
		return slices.ContainsFunc(formats, func(f format) bool { return strings.HasPrefix(string(head), f.magic) })
	}
	return rules{key: fmt.Sprint(slices.Sorted(maps.Keys(extensions))), named: imageName, begins: begins, labels: labels}
}

// imageName reports whether a file is named like an image.
func imageName(path string) bool { return extensions[strings.ToLower(filepath.Ext(path))] }

// Image reads and decodes file i.
func (s *FolderSource) Image(ctx context.Context, i int) (*Image, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return decodeFile(s.path(i), s.opts)
}

func (s *FolderSource) options() Options { return s.opts }

func (s *FolderSource) with(o Options) Source { return &FolderSource{s.files, o} }

// decodeFile makes an image of a file.
func decodeFile(path string, o Options) (*Image, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading image: %w", err) // which names the file
	}
	m, err := Decode(data, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}
