package images

import (
	"context"
	"fmt"
)

// FolderSource is a tree of image files. It is made by [Folder] or [Open].
type FolderSource struct {
	files  *files
	frames frames
	opts   Options
}

// Folder finds the images below dir: files whose extension is that of a format which [Decode] reads, in whatever case, and
// files without an extension that begin as those do. Each frame of a DICOM file and page of a TIFF file is an image. Names that begin with a dot are left out. Links to files and folders are
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
		return nil, fmt.Errorf("no image in it; found %s", f.found)
	}
	n, err := countFrames(ctx, f, x)
	if err != nil {
		return nil, err
	}
	return &FolderSource{f, n, o}, nil
}

// imageFiles are the files that Decode reads.
func imageFiles(labels bool) rules {
	return rules{key: "images", named: hasImageExtension, begins: func(head []byte) bool { return byHead(head) != nil }, labels: labels}
}

// Len is the number of images: of files, but for those that hold several.
func (s *FolderSource) Len() int { return s.frames.count(s.files.Len()) }

// Name is the path of image i below the root, with its number behind it in brackets if it is one of several in its file.
func (s *FolderSource) Name(i int) string {
	file, frame, of := s.frames.at(i)
	return frameName(s.files.Name(file), frame, of)
}

// Image reads and decodes image i.
func (s *FolderSource) Image(ctx context.Context, i int) (*Image, error) {
	return s.ImageInto(ctx, i, nil)
}

// ImageInto reads and decodes image i.
func (s *FolderSource) ImageInto(ctx context.Context, i int, buf *Buffer) (*Image, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	file, frame, _ := s.frames.at(i)
	return decodeFile(s.files.path(file), frame, s.opts, buf)
}

// Label is the class of image i, if labels were asked for and it lies in a folder below the root.
func (s *FolderSource) Label(i int) (int, bool) {
	file, _, _ := s.frames.at(i)
	return s.files.Label(file)
}

// Classes are the names of the folders right below the root that have images, if labels were asked for.
func (s *FolderSource) Classes() []string { return s.files.Classes() }

func (s *FolderSource) options() Options { return s.opts }

func (s *FolderSource) with(o Options) Source { return &FolderSource{s.files, s.frames, o} }

// decodeFile makes an image of a file, or one of those that it holds, in the memory of buf.
func decodeFile(path string, frame int, o Options, buf *Buffer) (*Image, error) {
	data, err := buf.readFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading image: %w", err) // which names the file
	}
	m, err := decode(data, frame, o, buf)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}
