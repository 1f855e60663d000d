package images

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// ParquetSource is the images of a column of Parquet files, as the Hugging Face hub stores them: {bytes, path} or bytes
// alone, each a file of an image's format. One of several files that cannot be read is one broken image. It is made by
// [Open].
//
// A row is found by the headers of its column's pages, which are read when the first row of a row group is asked for.
// Reading an image then takes reading its page whole, and the pages that were used last are kept, 64 MiB of them: images in
// their order cost little more than their own bytes. In a random order an image costs a page, which by default holds about 1
// MiB, or a row group of 100 images as the hub's own tools write them.
type ParquetSource struct {
	files    []*parquetFile
	names    []string // by file: for people
	first    []int    // by file: its first image
	n        int
	opts     Options
	captions bool
	labelling
}

// parquetFile is a file's columns.
type parquetFile struct {
	image, caption *parquetColumn // caption is nil if there is none
	path           *parquetColumn // beside the image's bytes, or nil
	broken         error          // the file cannot be read: it stands for one image that is broken
}

// openParquet opens Parquet files, or those below folders.
func openParquet(ctx context.Context, paths []string, o OpenOptions) (Source, error) {
	paths, err := filesOf(ctx, paths, o, ".parquet")
	if err != nil {
		return nil, err
	}
	s := &ParquetSource{names: shortNames(paths), opts: o.decoding()}
	pages := newPageCache(64 << 20)
	type opened struct {
		*parquetFile
		rows   int
		labels parquetLabels
	}
	all, err := parallel(ctx, len(paths), func(i int) (opened, error) {
		f, err := openParquetFile(paths[i])
		if err != nil {
			err = fmt.Errorf("%s: %w", paths[i], err)
			return opened{parquetFile: &parquetFile{broken: err}, rows: 1}, nil
		}
		x := opened{rows: int(f.NumRows())}
		if x.parquetFile, x.labels, err = findParquet(f, paths[i], pages, o); err != nil {
			return x, fmt.Errorf("%s: %w", paths[i], err)
		}
		return x, nil
	})
	if err != nil {
		return nil, err
	}
	good := slices.IndexFunc(all, func(x opened) bool { return x.broken == nil })
	if good < 0 {
		return nil, all[0].broken
	}
	labels := parquetLabels{classes: all[good].labels.classes}
	text := all[good].labels.numbers == nil
	for i, x := range all {
		if x.broken != nil && text {
			x.labels.texts.add("")
		} else if x.broken != nil {
			x.labels.numbers = []int64{-1}
		}
		s.files = append(s.files, x.parquetFile)
		s.first = append(s.first, s.n)
		s.n += x.rows
		s.captions = s.captions || x.caption != nil
		if (x.labels.numbers == nil) != text || !slices.Equal(x.labels.classes, labels.classes) && x.broken == nil {
			return nil, fmt.Errorf("the labels of %s and %s are of two types", paths[good], paths[i])
		}
		labels.append(x.labels)
	}
	if !o.Labels && o.LabelColumn == "" {
		return s, nil
	}
	s.labelling, err = labels.finish()
	return s, err
}

// parquetLabels are labels as they are stored: numbers, of classes with names if the file has those, or texts.
type parquetLabels struct {
	numbers []int64
	classes []string
	texts   labelTexts
}

func (l *parquetLabels) append(more parquetLabels) {
	l.numbers = append(l.numbers, more.numbers...)
	for _, n := range more.texts.labels {
		text := ""
		if n >= 0 {
			text = more.texts.texts[n]
		}
		l.texts.add(text)
	}
}

func (l *parquetLabels) finish() (labelling, error) {
	if l.numbers == nil {
		return l.texts.finish(), nil
	}
	all, ok := numbered(l.numbers, l.classes)
	if !ok {
		return all, errors.New("its labels are no numbers of classes")
	}
	return all, nil
}

// feature is a column's type as the datasets library notes it.
type feature struct {
	Type  string   `json:"_type"`
	Names []string `json:"names"`
}

// featuresOf are the columns' types, empty if they are not noted.
func featuresOf(f *parquet.File) map[string]feature {
	var noted struct {
		Info struct {
			Features map[string]json.RawMessage `json:"features"`
		} `json:"info"`
	}
	all := map[string]feature{}
	text, ok := f.Lookup("huggingface")
	if !ok || json.Unmarshal([]byte(text), &noted) != nil {
		return all
	}
	for name, raw := range noted.Info.Features {
		var x feature
		if json.Unmarshal(raw, &x) == nil { // lists have no type
			all[name] = x
		}
	}
	return all
}

// findParquet finds the columns of a file, and reads the labels if they are asked for.
func findParquet(f *parquet.File, path string, cache *pageCache, o OpenOptions) (*parquetFile, parquetLabels, error) {
	features := featuresOf(f)
	x := &parquetFile{}
	image, err := imageColumn(f, features, o.ImageColumn)
	if err != nil {
		return nil, parquetLabels{}, err
	}
	file := fileAt{path, f.Size()}
	if x.image, err = newParquetColumn(file, f, image, cache); err != nil {
		return nil, parquetLabels{}, err
	}
	if group := image.Path(); len(group) > 1 {
		if p := f.Root().Column(group[0]).Column("path"); p != nil && p.Leaf() {
			if x.path, err = newParquetColumn(file, f, p, cache); err != nil {
				return nil, parquetLabels{}, err
			}
		}
	}
	caption := usualColumn(f, o.CaptionColumn, captionColumns)
	switch {
	case caption == nil && o.CaptionColumn != "":
		return nil, parquetLabels{}, noColumn(f, "caption", o.CaptionColumn)
	case caption != nil && isText(caption):
		if x.caption, err = newParquetColumn(file, f, caption, cache); err != nil {
			return nil, parquetLabels{}, err
		}
	case o.CaptionColumn != "":
		return nil, parquetLabels{}, fmt.Errorf("caption column %q is no text", o.CaptionColumn)
	}
	if !o.Labels && o.LabelColumn == "" {
		return x, parquetLabels{}, nil
	}
	label := usualColumn(f, o.LabelColumn, labelColumns)
	if label == nil && o.LabelColumn == "" {
		for _, c := range f.Root().Columns() {
			if features[c.Name()].Type == "ClassLabel" && label == nil {
				label = c
			}
		}
	}
	if label == nil {
		return nil, parquetLabels{}, noColumn(f, "label", o.LabelColumn)
	}
	labels, err := readParquetLabels(file, f, label)
	if err != nil {
		return nil, labels, fmt.Errorf("label column %q: %w", label.Name(), err)
	}
	labels.classes = features[label.Name()].Names
	return x, labels, nil
}

func noColumn(f *parquet.File, what, asked string) error {
	var names []string
	for _, c := range f.Root().Columns() {
		names = append(names, c.Name())
	}
	if asked == "" {
		return fmt.Errorf("no column is known for one of %ss: it has %q: expected its name", what, names)
	}
	return fmt.Errorf("%s column %q: expected one of %q", what, asked, names)
}

func isBytes(c *parquet.Column) bool {
	return c != nil && c.Leaf() && c.Type().Kind() == parquet.ByteArray && c.MaxRepetitionLevel() == 0
}

func isText(c *parquet.Column) bool { return isBytes(c) && c.Type().LogicalType() != nil }

// usualColumn is the column that is asked for, or the first of the usual ones, nil if there is none.
func usualColumn(f *parquet.File, asked string, usual []string) *parquet.Column {
	for _, name := range orUsual(asked, usual) {
		if c := f.Root().Column(name); c != nil {
			return c
		}
	}
	return nil
}

// imageColumn finds the bytes of images: of the column that is asked for, or noted as one of images, or named like one, or
// of the only one that may be one.
func imageColumn(f *parquet.File, features map[string]feature, asked string) (*parquet.Column, error) {
	bytesOf := func(c *parquet.Column) *parquet.Column {
		if c != nil && !c.Leaf() {
			c = c.Column("bytes")
		}
		if !isBytes(c) {
			return nil
		}
		return c
	}
	if asked != "" {
		if c := f.Root().Column(asked); c != nil && bytesOf(c) == nil {
			return nil, fmt.Errorf("image column %q has neither bytes nor {bytes, path}", asked)
		} else if c != nil {
			return bytesOf(c), nil
		}
		return nil, noColumn(f, "image", asked)
	}
	var noted, named, possible []*parquet.Column
	for _, c := range f.Root().Columns() {
		b := bytesOf(c)
		switch {
		case b == nil:
		case features[c.Name()].Type == "Image":
			noted = append(noted, b)
		case !c.Leaf() || !isText(c):
			possible = append(possible, b)
			if strings.EqualFold(c.Name(), "image") || strings.EqualFold(c.Name(), "img") {
				named = append(named, b)
			}
		}
	}
	for _, found := range [][]*parquet.Column{noted, named, possible} {
		if len(found) == 1 || len(found) > 1 && len(noted) > 0 {
			return found[0], nil
		}
	}
	return nil, noColumn(f, "image", "")
}

// readParquetLabels reads a column of whole numbers or texts.
func readParquetLabels(file fileAt, f *parquet.File, c *parquet.Column) (l parquetLabels, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("reading it panicked: %v", p)
		}
	}()
	if !c.Leaf() || c.MaxRepetitionLevel() > 0 {
		return l, errors.New("it is nested, expected numbers or texts")
	}
	text := c.Type().Kind() == parquet.ByteArray
	if !text {
		l.numbers = []int64{}
	}
	values := make([]parquet.Value, 1024)
	for _, g := range f.RowGroups() {
		pages := g.ColumnChunks()[c.Index()].(*parquet.FileColumnChunk).PagesFrom(file)
		rows := int64(0)
		for rows < g.NumRows() {
			page, err := pages.ReadPage()
			if err != nil {
				return l, fmt.Errorf("after %d of %d rows of a row group: %w", rows, g.NumRows(), noEOF(err))
			}
			r := page.Values()
			for {
				n, err := r.ReadValues(values)
				for _, v := range values[:n] {
					if err := l.add(v); err != nil {
						return l, err
					}
				}
				rows += int64(n)
				if err != nil || n == 0 {
					break // at the page's end, or where the number of rows will not be right
				}
			}
			parquet.Release(page)
		}
		if err := pages.Close(); err != nil {
			return l, err
		}
		if rows != g.NumRows() {
			return l, fmt.Errorf("%d values in a row group of %d rows", rows, g.NumRows())
		}
	}
	return l, nil
}

func (l *parquetLabels) add(v parquet.Value) error {
	if l.numbers == nil {
		if v.IsNull() {
			l.texts.add("")
		} else {
			l.texts.add(string(v.ByteArray()))
		}
		return nil
	}
	n := int64(-1)
	if !v.IsNull() {
		switch v.Kind() {
		case parquet.Int32:
			n = int64(v.Int32())
		case parquet.Int64:
			n = v.Int64()
		case parquet.Boolean:
			n = 0
			if v.Boolean() {
				n = 1
			}
		default:
			return fmt.Errorf("it has elements of type %v, expected whole numbers or texts", v.Kind())
		}
	}
	l.numbers = append(l.numbers, n)
	return nil
}

// Len is the number of rows in all files.
func (s *ParquetSource) Len() int { return s.n }

func (s *ParquetSource) at(i int) (file, row int) {
	return within(s.first, i)
}

// Name is image i's file and its row there.
func (s *ParquetSource) Name(i int) string {
	k, row := s.at(i)
	if s.files[k].broken != nil {
		return s.names[k]
	}
	return fmt.Sprintf("%s[%d]", s.names[k], row)
}

// Image reads and decodes an image.
func (s *ParquetSource) Image(ctx context.Context, i int) (*Image, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	k, row := s.at(i)
	f := s.files[k]
	if f.broken != nil {
		return nil, f.broken
	}
	data, ok, err := f.image.value(row)
	if err != nil {
		return nil, fmt.Errorf("row %d: %w", row, err)
	}
	if !ok {
		where := ""
		if f.path != nil {
			if path, ok, err := f.path.value(row); err == nil && ok {
				where = fmt.Sprintf(", but only the path %q", path)
			}
		}
		return nil, fmt.Errorf("%s: row %d has no image%s", f.image.file.path, row, where)
	}
	m, err := Decode(data, s.opts)
	if err != nil {
		return nil, fmt.Errorf("%s: row %d: %w", f.image.file.path, row, err)
	}
	return m, nil
}

// Caption is what the column of captions has for image i.
func (s *ParquetSource) Caption(i int) (string, bool) {
	k, row := s.at(i)
	if s.files[k].caption == nil {
		return "", false
	}
	text, ok, err := s.files[k].caption.value(row)
	return string(text), ok && err == nil
}

func (s *ParquetSource) options() Options { return s.opts }

func (s *ParquetSource) with(o Options) Source {
	c := *s
	c.opts = o
	return &c
}
