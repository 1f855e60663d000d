package images

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// cifarPixels is an image's bytes: 3 channels of 32×32, one after the other.
const cifarPixels = 3 * 32 * 32

// CIFARSource is the images of CIFAR-10's or CIFAR-100's binary version (Krizhevsky): records of one label, or of a coarse
// and a fine one, and the pixels. It is made by [Open].
type CIFARSource struct {
	parts  []fileAt
	first  []int // by part: its first image
	before int   // bytes of labels before the pixels: 1 for CIFAR-10, 2 for CIFAR-100
	n      int
	opts   Options
	labelling
}

func cifarName(name string) bool {
	return strings.HasSuffix(name, ".bin") && (strings.HasPrefix(name, "data_batch") || name == "test_batch.bin" || name == "train.bin" || name == "test.bin")
}

// openCIFAR opens the files of a folder that are for training, or with o.Test those to test with, or files.
func openCIFAR(_ context.Context, paths []string, o OpenOptions) (Source, error) {
	if len(paths) == 1 && isDir(paths[0]) {
		patterns := []string{"data_batch_*.bin", "train.bin"}
		if o.Test {
			patterns = []string{"test_batch.bin", "test.bin"}
		}
		var found []string
		for _, p := range patterns {
			some, err := filepath.Glob(filepath.Join(paths[0], p))
			if err != nil {
				return nil, err
			}
			found = append(found, some...)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("no file %s in it", strings.Join(patterns, " or "))
		}
		paths = found
	}
	s := &CIFARSource{opts: o.Options}
	if err := errors.Join(convertible(3, o.Channels), s.open(paths, o)); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *CIFARSource) open(paths []string, o OpenOptions) error {
	coarse := o.LabelColumn == "coarse"
	if !coarse && o.LabelColumn != "" && o.LabelColumn != "fine" {
		return fmt.Errorf("label column %q, expected fine or coarse", o.LabelColumn)
	}
	var labels []int64
	for _, path := range paths {
		file, _, err := statFile(path)
		if err != nil {
			return err
		}
		kind, some, err := cifarLabels(file, coarse)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if s.before == 0 {
			s.before = kind
		}
		if s.before != kind {
			return fmt.Errorf("%s and %s are one of CIFAR-10 and one of CIFAR-100", paths[0], path)
		}
		s.parts = append(s.parts, file)
		s.first = append(s.first, s.n)
		s.n += len(some)
		labels = append(labels, some...)
	}
	if !o.Labels && o.LabelColumn == "" {
		return nil
	}
	names, err := cifarClasses(filepath.Dir(paths[0]), s.before, coarse)
	if err != nil {
		return err
	}
	l, ok := numbered(labels, names)
	if !ok {
		return fmt.Errorf("labels up to %d, but %d names of classes", slices.Max(labels), len(names))
	}
	s.labelling = l
	return nil
}

// cifarLabels reads the labels of a file, and tells by them and its size whether there are one or two for an image.
func cifarLabels(file fileAt, coarse bool) (kind int, labels []int64, err error) {
	f, err := os.Open(file.path)
	if err != nil {
		return 0, nil, err
	}
	defer f.Close()
	for i, most := range [][]byte{{9}, {19, 99}} {
		kind := i + 1
		record := int64(kind + cifarPixels)
		if file.size == 0 || file.size%record != 0 {
			continue
		}
		labels, err := recordLabels(io.NewSectionReader(f, 0, file.size), most, coarse)
		if err != nil {
			return 0, nil, err
		}
		if labels != nil {
			return kind, labels, nil
		}
	}
	return 0, nil, fmt.Errorf("it has %d bytes, expected records of %d (CIFAR-10) or %d (CIFAR-100) whose labels are below 10, or 20 and 100",
		file.size, cifarPixels+1, cifarPixels+2)
}

// recordLabels reads a label of each record, nil if one of them is higher than it may be.
func recordLabels(r io.Reader, most []byte, coarse bool) ([]int64, error) {
	in := bufio.NewReaderSize(r, 1<<16)
	labels := []int64{}
	head := make([]byte, len(most))
	for {
		if _, err := io.ReadFull(in, head); errors.Is(err, io.EOF) {
			return labels, nil
		} else if err != nil {
			return nil, err
		}
		for i, v := range head {
			if v > most[i] {
				return nil, nil
			}
		}
		label := head[len(head)-1]
		if coarse {
			label = head[0]
		}
		labels = append(labels, int64(label))
		if _, err := in.Discard(cifarPixels); err != nil {
			return nil, err
		}
	}
}

// cifarClasses are the names in the text file that comes with the images, nil if it is not there.
func cifarClasses(dir string, kind int, coarse bool) ([]string, error) {
	name := "batches.meta.txt"
	if kind == 2 {
		name = "fine_label_names.txt"
		if coarse {
			name = "coarse_label_names.txt"
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return strings.Fields(string(text)), err
}

// Len is the number of images in all files.
func (s *CIFARSource) Len() int { return s.n }

func (s *CIFARSource) at(i int) (part, image int) {
	return within(s.first, i)
}

// Name is image i's file and its place there.
func (s *CIFARSource) Name(i int) string {
	k, n := s.at(i)
	return fmt.Sprintf("%s[%d]", filepath.Base(s.parts[k].path), n)
}

// Image reads an image.
func (s *CIFARSource) Image(ctx context.Context, i int) (*Image, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	k, n := s.at(i)
	pix, err := s.parts[k].read(int64(n)*int64(s.before+cifarPixels)+int64(s.before), cifarPixels)
	if err != nil {
		return nil, err
	}
	return withChannels(&Image{Channels: 3, Height: 32, Width: 32, Pix: pix}, s.opts.Channels)
}

func (s *CIFARSource) options() Options { return s.opts }

func (s *CIFARSource) with(o Options) Source {
	c := *s
	c.opts = o
	return &c
}
