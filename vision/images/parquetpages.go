package images

import (
	"bytes"
	"container/list"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sort"
	"sync"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	pq "github.com/parquet-go/parquet-go/format"
)

// openParquetFile reads a file's footer, when it is known that reading it takes no more memory than a file of its size may
// ask for.
func openParquetFile(path string) (f *parquet.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("reading its footer panicked: %v", p)
		}
	}()
	file, _, err := statFile(path)
	if err != nil {
		return nil, err
	}
	if file.size < 12 {
		return nil, fmt.Errorf("%d bytes are no Parquet file", file.size)
	}
	end, err := file.read(file.size-8, 8)
	if err != nil {
		return nil, err
	}
	if string(end[4:]) != "PAR1" {
		return nil, fmt.Errorf("it ends with %q, not with PAR1: it is no Parquet file, or cut short", end[4:])
	}
	size := int64(binary.LittleEndian.Uint32(end))
	footer, err := file.read(file.size-8-size, size)
	if err != nil {
		return nil, fmt.Errorf("footer: %w", err)
	}
	if _, err := thriftSize(footer); err != nil {
		return nil, fmt.Errorf("footer: %w", err)
	}
	return parquet.OpenFile(file, file.size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(1<<16))
}

// thriftSize returns how many bytes a struct of Thrift's compact protocol takes at the beginning of b. It is
// io.ErrUnexpectedEOF if b ends before, as it also does if a list or a text is longer than b has bytes: what a reader
// allocates is then in proportion to b.
func thriftSize(b []byte) (int, error) {
	w := thriftWalker{b: b, elements: 1 << 21}
	err := w.structure(0)
	return w.at, err
}

type thriftWalker struct {
	b        []byte
	at       int
	elements int // of lists that may still come
}

func (w *thriftWalker) byte() (byte, error) {
	if w.at >= len(w.b) {
		return 0, io.ErrUnexpectedEOF
	}
	w.at++
	return w.b[w.at-1], nil
}

func (w *thriftWalker) uvarint() (uint64, error) {
	v, n := binary.Uvarint(w.b[w.at:])
	if n == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	if n < 0 {
		return 0, errors.New("a number is longer than 64 bits")
	}
	w.at += n
	return v, nil
}

func (w *thriftWalker) skip(n uint64) error {
	if n > uint64(len(w.b)-w.at) {
		return io.ErrUnexpectedEOF
	}
	w.at += int(n)
	return nil
}

func (w *thriftWalker) structure(depth int) error {
	for {
		head, err := w.byte()
		if err != nil || head&0xf == 0 {
			return err
		}
		if head>>4 == 0 {
			if _, err := w.uvarint(); err != nil { // the field's number
				return err
			}
		}
		if err := w.value(head&0xf, false, depth); err != nil {
			return err
		}
	}
}

func (w *thriftWalker) value(kind byte, inList bool, depth int) error {
	if depth > 64 {
		return errors.New("it is nested too deeply")
	}
	switch kind {
	case 1, 2: // true and false, which as fields take no more than their head
		if inList {
			return w.skip(1)
		}
		return nil
	case 3:
		return w.skip(1)
	case 4, 5, 6:
		_, err := w.uvarint()
		return err
	case 7:
		return w.skip(8)
	case 8:
		n, err := w.uvarint()
		if err != nil {
			return err
		}
		return w.skip(n)
	case 9, 10:
		head, err := w.byte()
		if err != nil {
			return err
		}
		n := uint64(head >> 4)
		if n == 15 {
			if n, err = w.uvarint(); err != nil {
				return err
			}
		}
		return w.list(n, head&0xf, depth)
	case 12:
		return w.structure(depth + 1)
	}
	return fmt.Errorf("type %d of a field is not known", kind)
}

func (w *thriftWalker) list(n uint64, kind byte, depth int) error {
	if n > uint64(len(w.b)-w.at) {
		return io.ErrUnexpectedEOF
	}
	if w.elements -= int(n); w.elements < 0 {
		return errors.New("its lists have more than 2 million elements")
	}
	for range n {
		if err := w.value(kind, true, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// parquetColumn reads single values of a column of bytes.
type parquetColumn struct {
	file   fileAt
	chunks []*parquetChunk
	cache  *pageCache
}

// parquetChunk is a column in a row group.
type parquetChunk struct {
	first int // row of the file
	rows  int
	chunk *parquet.FileColumnChunk
	meta  pq.ColumnMetaData

	once       sync.Once
	pages      []parquetPage
	dictionary extent
	err        error
}

// extent is a part of a file.
type extent struct{ off, n int64 }

// parquetPage is where a page is, header and all.
type parquetPage struct {
	first int // row of the row group
	extent
	dictionary bool // it needs it
}

func newParquetColumn(file fileAt, f *parquet.File, c *parquet.Column, cache *pageCache) (*parquetColumn, error) {
	p := &parquetColumn{file: file, cache: cache}
	first := 0
	for i, g := range f.RowGroups() {
		chunk, ok := g.ColumnChunks()[c.Index()].(*parquet.FileColumnChunk)
		if !ok || g.NumRows() < 0 {
			return nil, fmt.Errorf("row group %d is not of a file", i)
		}
		meta := f.Metadata().RowGroups[i].Columns[c.Index()].MetaData
		p.chunks = append(p.chunks, &parquetChunk{first: first, rows: int(g.NumRows()), chunk: chunk, meta: meta})
		first += int(g.NumRows())
	}
	if int64(first) != f.NumRows() {
		return nil, fmt.Errorf("%d rows, but %d in its row groups", f.NumRows(), first)
	}
	return p, nil
}

// value is the bytes of a row, false if it is null. They are not to be written to.
func (p *parquetColumn) value(row int) ([]byte, bool, error) {
	k := sort.Search(len(p.chunks), func(k int) bool { return p.chunks[k].first > row }) - 1
	c := p.chunks[k]
	row -= c.first
	c.once.Do(func() { c.err = c.scan(p.file) })
	if c.err != nil {
		return nil, false, fmt.Errorf("%s: row group %d: %w", p.file.path, k, c.err)
	}
	n := sort.Search(len(c.pages), func(n int) bool { return c.pages[n].first > row }) - 1
	values, err := p.cache.get(pageKey{c, n}, func() ([][]byte, error) { return c.read(p.file, n) })
	if err != nil {
		return nil, false, fmt.Errorf("%s: row group %d, page %d: %w", p.file.path, k, n, err)
	}
	v := values[row-c.pages[n].first]
	return v, v != nil, nil
}

// scan finds the pages by their headers.
func (c *parquetChunk) scan(file fileAt) error {
	at := c.meta.DataPageOffset
	if d := c.meta.DictionaryPageOffset; d > 0 && d < at {
		at = d
	}
	end := at + c.meta.TotalCompressedSize
	if at < 4 || end < at || end > file.size {
		return fmt.Errorf("it claims bytes %d to %d of a file of %d", at, end, file.size)
	}
	for rows := 0; rows < c.rows; {
		h, size, err := readPageHeader(file, at, end)
		if err != nil {
			return fmt.Errorf("page header at byte %d: %w", at, err)
		}
		e := extent{at, size + int64(h.CompressedPageSize)}
		if h.CompressedPageSize < 0 || e.n > end-at {
			return fmt.Errorf("page at byte %d claims %d bytes, but its column ends at byte %d", at, e.n, end)
		}
		if h.UncompressedPageSize > maxPage {
			return fmt.Errorf("page at byte %d claims %d bytes when unpacked, more than %d", at, h.UncompressedPageSize, maxPage)
		}
		at += e.n
		var n int32
		var encoding pq.Encoding
		switch {
		case h.Type == pq.DictionaryPage:
			c.dictionary = e
			continue
		case h.Type == pq.DataPage && h.DataPageHeader != nil:
			n, encoding = h.DataPageHeader.NumValues, h.DataPageHeader.Encoding
		case h.Type == pq.DataPageV2 && h.DataPageHeaderV2 != nil:
			n, encoding = h.DataPageHeaderV2.NumValues, h.DataPageHeaderV2.Encoding
		default:
			continue
		}
		if n < 0 || int(n) > c.rows-rows {
			return fmt.Errorf("page at byte %d claims %d rows of %d", e.off, n, c.rows-rows)
		}
		if n > 0 {
			c.pages = append(c.pages, parquetPage{rows, e, encoding == 2 || encoding == pq.RLEDictionary}) // 2 is what older writers call it
		}
		rows += int(n)
	}
	return nil
}

// maxPage is the most bytes that a page may claim to hold.
const maxPage = 1 << 30

// readPageHeader reads a header, and returns its size too.
func readPageHeader(file fileAt, at, end int64) (*pq.PageHeader, int64, error) {
	for most := int64(1 << 10); ; most *= 8 { // texts in its statistics may be long
		b, err := file.read(at, min(most, end-at))
		if err != nil {
			return nil, 0, err
		}
		size, err := thriftSize(b)
		if errors.Is(err, io.ErrUnexpectedEOF) && int64(len(b)) == most && most < 1<<22 {
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		h := new(pq.PageHeader)
		if err := thrift.Unmarshal(new(thrift.CompactProtocol), b[:size], h); err != nil {
			return nil, 0, err
		}
		return h, int64(size), nil
	}
}

// read reads the values of a page; nil is null. The library reads pages one after the other, so it is shown a column of this
// one page, after the dictionary if it needs that.
func (c *parquetChunk) read(file fileAt, n int) (values [][]byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			values, err = nil, fmt.Errorf("reading it panicked: %v", p)
		}
	}()
	page := c.pages[n]
	var shown []byte
	for _, e := range []struct {
		extent
		on bool
	}{{c.dictionary, page.dictionary}, {page.extent, true}} {
		if !e.on {
			continue
		}
		b, err := file.read(e.off, e.n)
		if err != nil {
			return nil, err
		}
		if shown == nil {
			shown = b
		} else {
			shown = append(shown, b...)
		}
	}
	base := c.meta.DataPageOffset
	if c.meta.DictionaryPageOffset != 0 {
		base = c.meta.DictionaryPageOffset // where the library begins
	}
	pages := c.chunk.PagesFrom(&shownAt{base, bytes.NewReader(shown)})
	defer pages.Close()
	p, err := pages.ReadPage() // never released, as values lie in it
	if err != nil {
		return nil, noEOF(err)
	}
	rows := c.rows - page.first
	if n+1 < len(c.pages) {
		rows = c.pages[n+1].first - page.first
	}
	if p.NumValues() != int64(rows) {
		return nil, fmt.Errorf("it has %d values, expected %d", p.NumValues(), rows)
	}
	all := make([]parquet.Value, rows)
	r := p.Values()
	for k := 0; k < rows; {
		m, err := r.ReadValues(all[k:])
		if k += m; k < rows && (err != nil || m == 0) {
			return nil, fmt.Errorf("after %d of %d values: %w", k, rows, noEOF(err))
		}
	}
	values = make([][]byte, rows)
	for k, v := range all {
		if !v.IsNull() {
			values[k] = v.ByteArray()
			if values[k] == nil {
				values[k] = []byte{}
			}
		}
	}
	return values, nil
}

// noEOF says that an end was not expected.
func noEOF(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// shownAt is bytes that seem to lie somewhere in a file.
type shownAt struct {
	base int64
	r    *bytes.Reader
}

// ReadAt is io.ReaderAt's.
func (s *shownAt) ReadAt(p []byte, off int64) (int, error) { return s.r.ReadAt(p, off-s.base) }

// pageCache keeps the values of the pages that were used last, up to a number of bytes, and has a page read once if several
// want it at a time.
type pageCache struct {
	mu    sync.Mutex
	room  int64 // bytes that may still be kept
	used  *list.List
	pages map[pageKey]*list.Element
}

type pageKey struct {
	chunk *parquetChunk
	page  int
}

type cachedPage struct {
	key    pageKey
	once   sync.Once
	values [][]byte
	err    error
	bytes  int64 // as counted
}

func newPageCache(bytes int64) *pageCache {
	return &pageCache{room: bytes, used: list.New(), pages: map[pageKey]*list.Element{}}
}

// get returns the values of a page, which read reads if they are not kept.
func (c *pageCache) get(key pageKey, read func() ([][]byte, error)) ([][]byte, error) {
	c.mu.Lock()
	e, ok := c.pages[key]
	if !ok {
		e = c.used.PushFront(&cachedPage{key: key})
		c.pages[key] = e
	}
	c.used.MoveToFront(e)
	c.mu.Unlock()
	p := e.Value.(*cachedPage)
	p.once.Do(func() {
		p.values, p.err = read()
		size := int64(0)
		for _, v := range p.values {
			size += int64(len(v)) + 24
		}
		c.count(p, size)
	})
	return p.values, p.err
}

// count takes a page's bytes from the room, and drops pages that were used long ago until there is enough.
func (c *pageCache) count(p *cachedPage, size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, kept := c.pages[p.key]; !kept {
		return // dropped while it was read
	}
	p.bytes = size
	c.room -= size
	for e := c.used.Back(); e != nil && c.room < 0; {
		before := e.Prev()
		old := e.Value.(*cachedPage)
		c.room += old.bytes
		c.used.Remove(e)
		delete(c.pages, old.key)
		e = before
	}
	if p.err != nil { // it is not to take room, and the next who asks tries again
		if e, kept := c.pages[p.key]; kept && e.Value == any(p) {
			c.room += p.bytes
			c.used.Remove(e)
			delete(c.pages, p.key)
		}
	}
}
