package images

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ListSource is the images that a list names: a CSV, TSV or text file. It is made by [Open].
type ListSource struct {
	paths    texts
	captions texts // empty without captions
	lines    []uint32
	file     string // the list
	root     string // what paths are relative to
	opts     Options
	labelling
}

// texts is many short texts in one piece of memory.
type texts struct {
	all  []byte
	ends []uint64
}

func (t *texts) add(s string) {
	t.all = append(t.all, s...)
	t.ends = append(t.ends, uint64(len(t.all)))
}

func (t *texts) at(i int) string {
	from := uint64(0)
	if i > 0 {
		from = t.ends[i-1]
	}
	return string(t.all[from:t.ends[i]])
}

// Columns that lists and tables have for images, labels and captions where none is named.
var (
	imageColumns   = []string{"path", "image", "file_name", "filename", "file", "filepath", "file_path", "image_path", "img", "img_path"}
	labelColumns   = []string{"label", "class", "labels", "target", "category", "fine_label"}
	captionColumns = []string{"caption", "text", "captions"}
)

// readList reads a list of images. Columns are separated by commas in a .csv file and by tabs in a .tsv file, with quotes
// as CSV has them. A line of a .txt file is a path, which may have spaces, and, after a tab or the last space, a
// label. The first line names the columns if none of its fields is named like an image.
func readList(ctx context.Context, path string, o OpenOptions) (*ListSource, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<16)
	var r io.Reader = in
	name := path
	if head, _ := in.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		defer z.Close()
		r = z
		name = strings.TrimSuffix(strings.ToLower(path), ".gz")
	}
	s := &ListSource{file: path, root: o.Root, opts: o.decoding()}
	if s.root == "" {
		s.root = filepath.Dir(path)
	}
	rows := rowsOf(r, filepath.Ext(strings.ToLower(name)))
	if err := s.read(ctx, rows, o); err != nil {
		return nil, err
	}
	if s.Len() == 0 {
		return nil, errors.New("it names no image")
	}
	return s, nil
}

// rowsOf returns what reads the next row of a list, and the number of its line.
func rowsOf(r io.Reader, ext string) func() (fields []string, line int, err error) {
	in := bufio.NewReaderSize(r, 1<<16)
	if bom, _ := in.Peek(3); string(bom) == "\ufeff" {
		_, _ = in.Discard(3) // they are there
	}
	if ext == ".csv" || ext == ".tsv" {
		c := csv.NewReader(in)
		c.FieldsPerRecord, c.ReuseRecord = -1, true
		if ext == ".tsv" {
			c.Comma = '\t'
		}
		return func() ([]string, int, error) {
			fields, err := c.Read()
			if err != nil {
				return nil, 0, err
			}
			line, _ := c.FieldPos(0)
			return fields, line, nil
		}
	}
	number := 0
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	return func() ([]string, int, error) {
		for lines.Scan() {
			number++
			if line := strings.TrimRight(lines.Text(), "\r"); strings.TrimSpace(line) != "" {
				return textFields(line), number, nil
			}
		}
		if err := lines.Err(); err != nil {
			return nil, 0, fmt.Errorf("line %d: %w", number+1, err)
		}
		return nil, 0, io.EOF
	}
}

// textFields are the fields of a line of text.
func textFields(line string) []string {
	if strings.Contains(line, "\t") {
		return strings.Split(line, "\t")
	}
	line = strings.TrimSpace(line)
	if i := strings.LastIndexByte(line, ' '); i > 0 && !imageName(line) && imageName(strings.TrimSpace(line[:i])) {
		return []string{strings.TrimSpace(line[:i]), line[i+1:]}
	}
	return []string{line}
}

// columns are the places of a list's columns, -1 where there is none.
type columns struct{ image, label, caption int }

// read takes the rows.
func (s *ListSource) read(ctx context.Context, next func() ([]string, int, error), o OpenOptions) error {
	var c columns
	var labels labelTexts
	first := true
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		row, line, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if first {
			first = false
			var header bool
			if c, header, err = findColumns(row, o); err != nil {
				return err
			}
			if header {
				continue
			}
		}
		if least := max(c.image, c.label, c.caption); len(row) <= least {
			return fmt.Errorf("line %d has %d fields, expected %d or more", line, len(row), least+1)
		}
		if len(s.lines) >= 1<<31-1 {
			return errors.New("it has more than 2^31 lines")
		}
		s.paths.add(strings.TrimSpace(row[c.image]))
		s.lines = append(s.lines, uint32(line))
		if c.label >= 0 {
			labels.add(strings.TrimSpace(row[c.label]))
		}
		if c.caption >= 0 {
			s.captions.add(row[c.caption])
		}
	}
	if c.label >= 0 && len(labels.labels) > 0 {
		s.labelling = labels.finish()
	}
	return nil
}

// findColumns finds the columns by the first row, and whether that is a header.
func findColumns(row []string, o OpenOptions) (c columns, header bool, err error) {
	header = true
	likeImage := -1
	for i, field := range row {
		if imageName(strings.TrimSpace(field)) {
			header = false
			if likeImage < 0 {
				likeImage = i
			}
		}
	}
	// find is the column that is asked for by name or number, or one of the usual names.
	find := func(what, asked string, usual []string) (int, error) {
		if n, err := strconv.Atoi(asked); err == nil && n >= 1 && n <= len(row) {
			return n - 1, nil
		}
		if asked != "" {
			for i, field := range row {
				if header && strings.TrimSpace(field) == asked {
					return i, nil
				}
			}
			if !header {
				return 0, fmt.Errorf("%s column %q: the first line is no header but %q: expected the column's number, from 1", what, asked, row)
			}
			return 0, fmt.Errorf("%s column %q: expected one of %q, or its number from 1 to %d", what, asked, row, len(row))
		}
		if !header {
			return -1, nil
		}
		for _, name := range usual {
			for i, field := range row {
				if strings.EqualFold(strings.TrimSpace(field), name) {
					return i, nil
				}
			}
		}
		return -1, nil
	}
	if c.image, err = find("image", o.ImageColumn, imageColumns); err != nil {
		return c, header, err
	}
	if c.image < 0 {
		switch {
		case !header:
			c.image = likeImage
		case len(row) == 1: // paths without an extension
			c.image, header = 0, false
		default:
			return c, header, fmt.Errorf("no column of images: the first line is %q, expected a header with %q, or the path of an image in it",
				row, imageColumns[0])
		}
	}
	if c.label, err = find("label", o.LabelColumn, nil); err != nil {
		return c, header, err
	}
	if c.label < 0 && o.Labels {
		if c.label, err = find("label", "", labelColumns); err != nil {
			return c, header, err
		}
		if c.label < 0 && !header && len(row) >= 2 {
			c.label = 1 // the usual place
			if c.image == 1 {
				c.label = 0
			}
		}
		if c.label < 0 {
			return c, header, fmt.Errorf("no column of labels in %q: expected one of %q, or a label column that is named", row, labelColumns)
		}
	}
	c.caption, err = find("caption", o.CaptionColumn, captionColumns)
	return c, header, err
}

// Len is the number of images that the list names.
func (s *ListSource) Len() int { return len(s.lines) }

// Name is the path of image i as the list has it, or the list's line if it has none there.
func (s *ListSource) Name(i int) string {
	if path := s.paths.at(i); path != "" {
		return path
	}
	return fmt.Sprintf("%s:%d", filepath.Base(s.file), s.lines[i])
}

// Image reads and decodes the file that line i of the list names.
func (s *ListSource) Image(ctx context.Context, i int) (*Image, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	path := s.paths.at(i)
	if path == "" {
		return nil, fmt.Errorf("%s:%d: it names no image", s.file, s.lines[i])
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.root, path)
	}
	m, err := decodeFile(path, s.opts)
	if err != nil {
		return nil, fmt.Errorf("%s:%d: %w", s.file, s.lines[i], err)
	}
	return m, nil
}

// Caption is what the list's column of captions has for image i.
func (s *ListSource) Caption(i int) (string, bool) {
	if len(s.captions.ends) == 0 {
		return "", false
	}
	text := s.captions.at(i)
	return text, text != ""
}

func (s *ListSource) options() Options { return s.opts }

func (s *ListSource) with(o Options) Source {
	c := *s
	c.opts = o
	return &c
}
