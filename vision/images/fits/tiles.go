package fits

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/gojepa/gojepa/vision/images/raster"
)

// maxTable is the most bytes of a table of tiles.
const maxTable = 1 << 31

// tiles is a table of compressed tiles (FITS 4.0, section 10).
type tiles struct {
	m          *image
	rows, heap []byte
	rowSize    int
	count      int
	columns    map[string]column
	method     string
	bytePix    int // of Rice
	blockSize  int
	dither     int // 0 for none, or the method
	seed       int
	random     []float32
	quantized  bool
	blank      int64
	hasBlank   bool
}

// column is where a table has a value.
type column struct {
	offset int
	form   string
}

// readTiles decodes the tiles of a frame.
func (m *image) readTiles(frame int) (*raster.Raster, error) {
	t, err := m.table()
	if err != nil {
		return nil, err
	}
	r, _ := m.raster()
	size := make([]int, len(m.axes)) // of a tile
	grid := make([]int, len(m.axes))
	total := 1
	pixels := int64(1)
	for i, n := range m.axes {
		v, err := m.h.integer("ZTILE"+strconv.Itoa(i+1), map[bool]int64{true: int64(n), false: 1}[i == 0])
		if err != nil || v < 1 || v > math.MaxInt32 {
			return nil, fmt.Errorf("ZTILE%d = %s: expected a positive integer", i+1, m.h["ZTILE"+strconv.Itoa(i+1)])
		}
		size[i] = min(int(v), n)
		grid[i] = (n + size[i] - 1) / size[i]
		pixels *= int64(size[i])
		if total > t.count/grid[i] || pixels > int64(len(r.Samples))*int64(m.Frames) {
			return nil, fmt.Errorf("%d tiles: expected more of tiles of %v", t.count, size)
		}
		total *= grid[i]
	}
	first, planes := frame*m.Channels, m.Channels
	place := make([]int, len(m.axes))
	for i := range total {
		from, to := make([]int, len(m.axes)), make([]int, len(m.axes))
		n := 1
		for k, p := range place {
			from[k], to[k] = p*size[k], min((p+1)*size[k], m.axes[k])
			n *= to[k] - from[k]
		}
		if low, high := plane(m.axes, from), plane(m.axes, last(to)); high >= first && low < first+planes {
			values, err := t.tile(i, n)
			if err != nil {
				return nil, fmt.Errorf("tile %d of %d: %w", i, total, err)
			}
			t.paste(r, values, from, to, first)
		}
		for k := range place {
			if place[k]++; place[k] < grid[k] {
				break
			}
			place[k] = 0
		}
	}
	return r, nil
}

// plane is the index of a place beyond the first two axes.
func plane(axes, at []int) int {
	p := 0
	for k := len(axes) - 1; k >= 2; k-- {
		p = p*axes[k] + at[k]
	}
	return p
}

func last(to []int) []int {
	out := make([]int, len(to))
	for k, v := range to {
		out[k] = v - 1
	}
	return out
}

// paste copies a tile's lines to the planes of a frame, the first of which is given.
func (t *tiles) paste(r *raster.Raster, values []float32, from, to []int, first int) {
	at := append([]int(nil), from...)
	w := to[0] - from[0]
	for len(values) > 0 {
		if p := plane(t.m.axes, at) - first; p >= 0 && p < r.Channels {
			copy(r.Plane(p)[at[1]*r.Width+at[0]:], values[:w])
		}
		values = values[w:]
		for k := 1; k < len(at); k++ {
			if at[k]++; at[k] < to[k] {
				break
			}
			at[k] = from[k]
		}
	}
}

// table reads the table, and what its header says of the compression.
func (m *image) table() (*tiles, error) {
	h := m.h
	t := &tiles{m: m, columns: map[string]column{}, method: h.text("ZCMPTYPE"), blockSize: 32, bytePix: 4}
	var rowSize, count, heapAt, fields, zero int64
	var errs []error
	for _, f := range []struct {
		to      *int64
		key     string
		missing int64
	}{{&rowSize, "NAXIS1", 0}, {&count, "NAXIS2", 0}, {&fields, "TFIELDS", 0}, {&zero, "ZDITHER0", 1}, {&t.blank, "ZBLANK", 0}} {
		v, err := h.integer(f.key, f.missing)
		*f.to = v
		errs = append(errs, err)
	}
	heapAt, err := h.integer("THEAP", rowSize*count)
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	if m.tableSize > maxTable || rowSize < 1 || fields < 1 || fields > 999 || heapAt < rowSize*count || heapAt > m.tableSize {
		return nil, fmt.Errorf("a table of %d bytes, %d rows of %d bytes, and a heap at %d: no such table", m.tableSize, count, rowSize, heapAt)
	}
	if m.left >= 0 && m.tableSize > m.left {
		return nil, fmt.Errorf("a table of %d bytes: the file ends after %d", m.tableSize, m.left)
	}
	var table bytes.Buffer
	if _, err := io.CopyN(&table, m.r, m.tableSize); err != nil {
		return nil, fmt.Errorf("after %d of %d bytes: %w", table.Len(), m.tableSize, err)
	}
	t.rows, t.heap, t.rowSize, t.count = table.Bytes()[:rowSize*count], table.Bytes()[heapAt:], int(rowSize), int(count)
	_, t.hasBlank = h["ZBLANK"]
	offset := 0
	for i := 1; i <= int(fields); i++ {
		form := h.text("TFORM" + strconv.Itoa(i))
		t.columns[h.text("TTYPE"+strconv.Itoa(i))] = column{offset, form}
		n, err := formSize(form)
		if err != nil {
			return nil, err
		}
		if offset += n; offset > t.rowSize {
			return nil, fmt.Errorf("fields of more than the %d bytes of a row", t.rowSize)
		}
	}
	switch t.method {
	case "RICE_1", "RICE_ONE", "GZIP_1", "GZIP_2":
	default:
		return nil, fmt.Errorf("an image compressed by tiles with %s is not supported: expected RICE_1, GZIP_1 or GZIP_2", t.method)
	}
	for i := 1; ; i++ {
		name, ok := h["ZNAME"+strconv.Itoa(i)]
		if !ok {
			break
		}
		v, err := h.integer("ZVAL"+strconv.Itoa(i), 0)
		if name == "BLOCKSIZE" && err == nil {
			t.blockSize = int(v)
		}
		if name == "BYTEPIX" && err == nil {
			t.bytePix = int(v)
		}
	}
	if t.blockSize < 1 || t.blockSize > 1<<16 || t.bytePix != 1 && t.bytePix != 2 && t.bytePix != 4 {
		return nil, fmt.Errorf("blocks of %d pixels and %d bytes in Rice's code: expected a positive number, and 1, 2 or 4", t.blockSize, t.bytePix)
	}
	if _, t.quantized = t.columns["ZSCALE"]; t.quantized {
		switch h.text("ZQUANTIZ") {
		case "", "NONE", "NO_DITHER":
		case "SUBTRACTIVE_DITHER_1":
			t.dither = 1
		case "SUBTRACTIVE_DITHER_2":
			t.dither = 2
		default:
			return nil, fmt.Errorf("ZQUANTIZ = %s is not supported", h.text("ZQUANTIZ"))
		}
		if zero < 1 || zero > 10000 {
			return nil, fmt.Errorf("ZDITHER0 = %d: expected 1 to 10000", zero)
		}
		t.seed = int(zero)
		t.random = randoms()
	}
	return t, nil
}

// formSize is the bytes of a field in a row.
func formSize(form string) (int, error) {
	digits := strings.IndexFunc(form, func(c rune) bool { return c < '0' || c > '9' })
	if digits < 0 {
		return 0, fmt.Errorf("TFORM = %q: no such field", form)
	}
	n := 1
	if digits > 0 {
		var err error
		if n, err = strconv.Atoi(form[:digits]); err != nil || n > 1<<20 {
			return 0, fmt.Errorf("TFORM = %q: no such field", form)
		}
	}
	size, ok := map[byte]int{'L': 1, 'B': 1, 'I': 2, 'J': 4, 'K': 8, 'A': 1, 'E': 4, 'D': 8, 'C': 8, 'M': 16, 'P': 8, 'Q': 16}[form[digits]]
	if !ok {
		return 0, fmt.Errorf("TFORM = %q is not supported", form)
	}
	return n * size, nil
}

// bytes are what a row has in a column of arrays of bytes, none if it has no such column.
func (t *tiles) bytes(row int, name string) ([]byte, error) {
	c, ok := t.columns[name]
	if !ok {
		return nil, nil
	}
	b := t.rows[row*t.rowSize+c.offset:]
	var n, at uint64
	switch {
	case strings.Contains(c.form, "PB") || strings.Contains(c.form, "PI") || strings.Contains(c.form, "PJ"):
		n, at = uint64(binary.BigEndian.Uint32(b)), uint64(binary.BigEndian.Uint32(b[4:]))
	case strings.Contains(c.form, "QB"):
		n, at = binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
	default:
		return nil, fmt.Errorf("column %s of form %s: expected arrays of bytes", name, c.form)
	}
	if strings.Contains(c.form, "PI") && n < 1<<32 {
		n *= 2
	} else if strings.Contains(c.form, "PJ") && n < 1<<32 {
		n *= 4
	}
	if at > uint64(len(t.heap)) || n > uint64(len(t.heap))-at {
		return nil, fmt.Errorf("column %s: %d bytes at %d of a heap of %d", name, n, at, len(t.heap))
	}
	return t.heap[at : at+n], nil
}

// number is what a row has in a column of doubles, or the header if there is no such column.
func (t *tiles) number(row int, name string, missing float64) (float64, error) {
	c, ok := t.columns[name]
	if !ok {
		return t.m.h.float(name, missing)
	}
	if c.form != "1D" && c.form != "D" {
		return 0, fmt.Errorf("column %s of form %s: expected 1D", name, c.form)
	}
	return math.Float64frombits(binary.BigEndian.Uint64(t.rows[row*t.rowSize+c.offset:])), nil
}

// tile decodes one of so many pixels into values.
func (t *tiles) tile(row, n int) ([]float32, error) {
	src, err := t.bytes(row, "COMPRESSED_DATA")
	if err != nil {
		return nil, err
	}
	values := make([]float32, n)
	if len(src) == 0 { // what could not be quantised is as it was
		if src, err = t.bytes(row, "GZIP_COMPRESSED_DATA"); err != nil {
			return nil, err
		}
		if len(src) == 0 {
			return nil, errors.New("it has no data")
		}
		b, err := unzipped(src, n*t.m.t.Size())
		if err != nil {
			return nil, err
		}
		for i := range values {
			values[i] = t.m.number(b[i*t.m.t.Size():])
		}
		return values, nil
	}
	size := t.m.t.Size()
	if t.quantized {
		size = 4
	}
	if strings.HasPrefix(t.method, "GZIP") {
		return values, t.gzipped(values, src, row, size)
	}
	if t.m.t.Kind == raster.Float && !t.quantized {
		return nil, errors.New("floats that are not quantised in Rice's code")
	}
	ints, err := rice(src, n, t.blockSize, t.bytePix)
	if err != nil {
		return nil, err
	}
	return values, t.values(values, row, func(i int) int64 {
		if t.bytePix == 1 {
			return int64(uint8(ints[i]))
		}
		return int64(ints[i])
	})
}

// gzipped undoes gzip, and of GZIP_2 the order of bytes, all first ones first.
func (t *tiles) gzipped(values []float32, src []byte, row, size int) error {
	b, err := unzipped(src, len(values)*size)
	if err != nil {
		return err
	}
	if t.method == "GZIP_2" {
		apart := b
		b = make([]byte, len(apart))
		for k := range size {
			for i := range values {
				b[i*size+k] = apart[k*len(values)+i]
			}
		}
	}
	if t.m.t.Kind == raster.Float && !t.quantized {
		for i := range values {
			values[i] = t.m.number(b[i*size:])
		}
		return nil
	}
	return t.values(values, row, func(i int) int64 {
		switch size {
		case 1:
			return int64(b[i])
		case 2:
			return int64(int16(binary.BigEndian.Uint16(b[2*i:])))
		case 4:
			return int64(int32(binary.BigEndian.Uint32(b[4*i:])))
		}
		return int64(binary.BigEndian.Uint64(b[8*i:]))
	})
}

func unzipped(src []byte, n int) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(src))
	if err != nil {
		return nil, err
	}
	b := make([]byte, n)
	_, err = io.ReadFull(z, b)
	return b, err
}

// values makes values of integers: of an image of integers by BSCALE and BZERO, of one of floats by the tile's scale, less
// what dithering added.
func (t *tiles) values(values []float32, row int, integer func(int) int64) error {
	if !t.quantized {
		for i := range values {
			v := integer(i)
			if t.m.hasBlank && v == t.m.blank {
				values[i] = float32(math.NaN())
				continue
			}
			values[i] = float32(t.m.zero + t.m.scale*float64(v))
		}
		return nil
	}
	scale, err1 := t.number(row, "ZSCALE", 1)
	zero, err2 := t.number(row, "ZZERO", 0)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	const zeroValue = math.MinInt32 + 2 // of the second method
	seed := (row + t.seed - 1) % len(t.random)
	next := int(t.random[seed] * 500)
	for i := range values {
		v := integer(i)
		switch {
		case t.hasBlank && v == t.blank:
			values[i] = float32(math.NaN())
		case t.dither == 2 && v == zeroValue:
		case t.dither > 0:
			values[i] = float32((float64(v)-float64(t.random[next])+0.5)*scale + zero)
		default:
			values[i] = float32(float64(v)*scale + zero)
		}
		if next++; next == len(t.random) {
			seed = (seed + 1) % len(t.random)
			next = int(t.random[seed] * 500)
		}
	}
	return nil
}

// randoms are the standard's 10,000 numbers (appendix I).
func randoms() []float32 {
	out := make([]float32, 10000)
	seed := 1.
	for i := range out {
		seed = math.Mod(16807*seed, 2147483647)
		out[i] = float32(seed / 2147483647)
	}
	return out
}

// rice decodes n integers: the first as it is, then blocks of differences, each a number of low bits and the rest in unary.
func rice(src []byte, n, blockSize, bytePix int) ([]int32, error) {
	fsBits := map[int]int{1: 3, 2: 4, 4: 5}[bytePix]
	fsMax := map[int]int{1: 6, 2: 14, 4: 25}[bytePix]
	width := 8 * bytePix
	r := riceBits{src: src}
	extend := func(v uint32) int32 { return int32(v<<(32-width)) >> (32 - width) }
	value := extend(r.take(width))
	out := make([]int32, n)
	for i := 0; i < n; {
		fs := int(r.take(fsBits)) - 1
		end := min(i+blockSize, n)
		for ; i < end; i++ {
			var d uint32
			switch {
			case fs < 0: // no differences
			case fs == fsMax:
				d = r.take(width)
			default:
				d = r.zeros()<<fs | r.take(fs)
			}
			value = extend(uint32(value) + (d>>1 ^ -(d & 1)))
			out[i] = value
		}
		if r.over {
			return nil, fmt.Errorf("the data end after %d of %d pixels", i, n)
		}
	}
	return out, nil
}

// riceBits reads bits, the highest ones first.
type riceBits struct {
	src  []byte
	buf  uint64
	n    int
	over bool
}

func (r *riceBits) take(n int) uint32 {
	for r.n < n {
		var b byte
		if len(r.src) > 0 {
			b, r.src = r.src[0], r.src[1:]
		} else {
			r.over = true
		}
		r.buf = r.buf<<8 | uint64(b)
		r.n += 8
	}
	r.n -= n
	return uint32(r.buf >> r.n & (1<<n - 1))
}

// zeros counts those before a one.
func (r *riceBits) zeros() uint32 {
	n := uint32(0)
	for r.take(1) == 0 {
		if n++; r.over {
			return 0
		}
	}
	return n
}
