package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gojepa/gojepa/vision/images"
)

// source says where texts are.
type source struct {
	Column string `yaml:"column" flag:"column" arg:"NAME" help:"column of captions in a CSV or TSV file, or in a collection of images; without it, the usual ones: caption, text"`
}

// maxLine bounds a line of a text file.
const maxLine = 64 << 20

// about is what help says of sources.
const about = `SOURCE is a text file with a text in each line, - for the standard input, a CSV or TSV file with a header, or a collection
of images that has captions: Parquet files, shards, a list (see train --help).`

// texts are those of all paths, one after the other. What cannot be read is an error that names the file.
func (o source) texts(ctx context.Context, stdin io.Reader, paths []string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, path := range paths {
			for text, err := range o.of(ctx, stdin, path) {
				if err != nil {
					err = fmt.Errorf("texts of %s: %w", path, err)
				}
				if !yield(text, err) || err != nil {
					return
				}
			}
		}
	}
}

func (o source) of(ctx context.Context, stdin io.Reader, path string) iter.Seq2[string, error] {
	if path == "-" {
		return lines(stdin)
	}
	switch strings.ToLower(filepath.Ext(path)) {
	case ".txt":
		return file(path, lines)
	case ".csv":
		return file(path, func(r io.Reader) iter.Seq2[string, error] { return o.table(r, ',') })
	case ".tsv":
		return file(path, func(r io.Reader) iter.Seq2[string, error] { return o.table(r, '\t') })
	}
	return o.captions(ctx, path)
}

func fail(err error) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) { yield("", err) }
}

// file reads a file while its texts are asked for.
func file(path string, read func(io.Reader) iter.Seq2[string, error]) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield("", err)
			return
		}
		defer func() { _ = f.Close() }()
		read(f)(yield)
	}
}

func lines(r io.Reader) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		s := bufio.NewScanner(r)
		s.Buffer(nil, maxLine)
		for s.Scan() {
			if !yield(s.Text(), nil) {
				return
			}
		}
		if errors.Is(s.Err(), bufio.ErrTooLong) {
			yield("", fmt.Errorf("a line is longer than %d MB", maxLine>>20))
		} else if s.Err() != nil {
			yield("", s.Err())
		}
	}
}

// usual are the names of columns that hold texts, where none is given.
var usual = []string{"caption", "captions", "text", "report"}

// table reads the column of a table with a header.
func (o source) table(r io.Reader, comma rune) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		c := csv.NewReader(r)
		c.Comma, c.FieldsPerRecord, c.ReuseRecord, c.LazyQuotes = comma, -1, true, true
		header, err := c.Read()
		if err != nil {
			yield("", fmt.Errorf("expected a header: %w", err))
			return
		}
		header = slices.Clone(header)
		header[0] = strings.TrimPrefix(header[0], "\ufeff")
		at := -1
		for _, name := range usual {
			if o.Column != "" {
				name = o.Column
			}
			at = slices.IndexFunc(header, func(h string) bool {
				return h == name || o.Column == "" && strings.EqualFold(strings.TrimSpace(h), name)
			})
			if at >= 0 || o.Column != "" {
				break
			}
		}
		if at < 0 {
			yield("", fmt.Errorf("no column %q in %q: name it with --column", firstOf(o.Column, usual), header))
			return
		}
		for {
			row, err := c.Read()
			if errors.Is(err, io.EOF) {
				return
			}
			text := ""
			if at < len(row) {
				text = row[at]
			}
			if !yield(text, err) || err != nil {
				return
			}
		}
	}
}

func firstOf(name string, usual []string) string {
	if name != "" {
		return name
	}
	return strings.Join(usual, ", ")
}

// captions are those of a collection of images.
func (o source) captions(ctx context.Context, path string) iter.Seq2[string, error] {
	open := images.DefaultOpen()
	open.CaptionColumn = o.Column
	src, err := images.Open(ctx, path, open)
	if err != nil {
		return fail(err)
	}
	captioned, ok := src.(images.Captioned)
	if !ok {
		return fail(errors.New("these images have no captions"))
	}
	return func(yield func(string, error) bool) {
		none := true
		for i := range src.Len() {
			if err := ctx.Err(); err != nil {
				yield("", err)
				return
			}
			if text, ok := captioned.Caption(i); ok {
				none = false
				if !yield(text, nil) {
					return
				}
			}
		}
		if none {
			yield("", fmt.Errorf("none of %d images has a caption: --column names their column", src.Len()))
		}
	}
}
