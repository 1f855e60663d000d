// Package tiff reads TIFF 6.0, BigTIFF and GeoTIFF: strips and tiles, chunky and planar, any number of bands, unsigned and
// signed integers of 8 to 64 bits, unsigned ones of 1 to 16, floats of 16 to 64, predictors 1 to 3; plain, LZW, Deflate,
// PackBits, Zstandard or JPEG.
//
// The images of a file are its pages; overviews and masks are none. Palettes become RGB of 8 bits, and YCbCr of JPEG does.
// White-is-zero files have Low above High. The last band is opacity if the file says so (ExtraSamples). The orientation that
// a page names is applied. What equals GDAL's no-data value, as float32, becomes NaN, and tiles that a sparse file leaves out
// do if there is such a value. GDAL's masks, scales and offsets are not applied.
//
// (golang.org/x/image/tiff has none of floats, bands, BigTIFF, planes and pages; its LZW is used here. github.com/google/tiff
// and cogger do not decode pixels, github.com/hhrutter/tiff is x/image's with CMYK.)
package tiff

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/gojepa/gojepa/vision/images/raster"
)

// maxPages and maxTags are the most directories that are read, and the most tags of all of them together.
const (
	maxPages = 1 << 16
	maxTags  = 1 << 20
)

// The tags that are read.
const (
	tagSubfile      = 254
	tagWidth        = 256
	tagHeight       = 257
	tagBits         = 258
	tagCompression  = 259
	tagPhotometric  = 262
	tagFillOrder    = 266
	tagStripOffsets = 273
	tagOrientation  = 274
	tagSamples      = 277
	tagRowsPerStrip = 278
	tagStripCounts  = 279
	tagPlanar       = 284
	tagPredictor    = 317
	tagColourMap    = 320
	tagTileWidth    = 322
	tagTileHeight   = 323
	tagTileOffsets  = 324
	tagTileCounts   = 325
	tagExtra        = 338
	tagSampleFormat = 339
	tagJPEGTables   = 347
	tagNoData       = 42113
)

// Match reports whether a file begins as TIFF or BigTIFF does.
func Match(head []byte) bool {
	for _, m := range []string{"II*\x00", "MM\x00*", "II+\x00", "MM\x00+"} {
		if bytes.HasPrefix(head, []byte(m)) {
			return true
		}
	}
	return false
}

// file is a TIFF file in memory.
type file struct {
	data  []byte
	order binary.ByteOrder
	big   bool
}

// directory has a page's tags.
type directory map[uint16]tag

type tag struct {
	f      file
	typ    uint16
	count  uint64
	values []byte // count of them
}

// at returns n bytes of the file.
func (f file) at(offset, n uint64) ([]byte, error) {
	if size := uint64(len(f.data)); offset > size || n > size-offset {
		return nil, fmt.Errorf("%d bytes at %d: beyond the file's end, at %d", n, offset, size)
	}
	return f.data[offset : offset+n], nil
}

// pages are the directories of images that are neither overviews nor masks.
func pages(data []byte) ([]directory, error) {
	if !Match(data) || len(data) < 16 {
		return nil, errors.New("no TIFF header")
	}
	f := file{data: data, order: binary.LittleEndian}
	if data[0] == 'M' {
		f.order = binary.BigEndian
	}
	f.big = f.order.Uint16(data[2:]) == 43
	next := uint64(f.order.Uint32(data[4:]))
	if f.big {
		if f.order.Uint16(data[4:]) != 8 {
			return nil, errors.New("BigTIFF with offsets of other than 8 bytes")
		}
		next = f.order.Uint64(data[8:])
	}
	var images []directory
	seen, tags := map[uint64]bool{}, 0
	for i := 0; next != 0; i++ {
		if seen[next] || i == maxPages {
			return nil, fmt.Errorf("directory %d: directories run in a circle, or are more than %d", i, maxPages)
		}
		seen[next] = true
		d, after, err := f.directory(next)
		if err != nil {
			return nil, fmt.Errorf("directory %d: %w", i, err)
		}
		if tags += len(d); tags > maxTags {
			return nil, fmt.Errorf("directory %d: more than %d tags", i, maxTags)
		}
		const reduced, mask, photometricMask = 1, 4, 4
		if d.first(tagSubfile, 0)&(reduced|mask) == 0 && d.first(tagPhotometric, 0) != photometricMask {
			images = append(images, d)
		}
		next = after
	}
	if len(images) == 0 {
		return nil, errors.New("no image in it")
	}
	return images, nil
}

// typeSizes are the bytes of a value, by TIFF's numbers of types.
var typeSizes = [...]uint64{0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8}

func (f file) directory(offset uint64) (d directory, next uint64, err error) {
	head, entry, word := uint64(2), uint64(12), uint64(4)
	if f.big {
		head, entry, word = 8, 20, 8
	}
	b, err := f.at(offset, head)
	if err != nil {
		return nil, 0, err
	}
	n := f.number(b)
	if n > math.MaxUint16 {
		return nil, 0, fmt.Errorf("%d tags: more than are read", n)
	}
	b, err = f.at(offset+head, n*entry)
	if err != nil {
		return nil, 0, fmt.Errorf("%d tags: %w", n, err)
	}
	d = directory{}
	for ; len(b) > 0; b = b[entry:] {
		id, t := f.order.Uint16(b), tag{f: f, typ: f.order.Uint16(b[2:])}
		field := b[4+word : 4+2*word]
		t.count = f.number(b[4 : 4+word])
		if int(t.typ) >= len(typeSizes) || typeSizes[t.typ] == 0 || t.count == 0 {
			continue
		}
		size := typeSizes[t.typ]
		if t.count > uint64(len(f.data))/size {
			return nil, 0, fmt.Errorf("tag %d has %d values: more than the file can hold", id, t.count)
		}
		if t.values = field; t.count*size > word {
			if t.values, err = f.at(f.number(field), t.count*size); err != nil {
				return nil, 0, fmt.Errorf("tag %d: %w", id, err)
			}
		}
		if _, twice := d[id]; !twice {
			d[id] = t
		}
	}
	b, err = f.at(offset+head+n*entry, word)
	if err != nil { // some writers leave out the zero that ends the list
		return d, 0, nil //nolint:nilerr // the pages so far are whole
	}
	return d, f.number(b), nil
}

// number is an unsigned integer of 2, 4 or 8 bytes.
func (f file) number(b []byte) uint64 {
	switch len(b) {
	case 2:
		return uint64(f.order.Uint16(b))
	case 4:
		return uint64(f.order.Uint32(b))
	}
	return f.order.Uint64(b)
}

// integer is value i, an unsigned integer; ok is false if it is not that.
func (t tag) integer(i uint64) (v uint64, ok bool) {
	const bytes, shorts, longs, longs8, directories8 = 1, 3, 4, 16, 18
	if i >= t.count {
		return 0, false
	}
	switch t.typ {
	case bytes:
		return uint64(t.values[i]), true
	case shorts:
		return uint64(t.f.order.Uint16(t.values[2*i:])), true
	case longs:
		return uint64(t.f.order.Uint32(t.values[4*i:])), true
	case longs8, directories8:
		return t.f.order.Uint64(t.values[8*i:]), true
	}
	return 0, false
}

// first is a tag's first value, or missing.
func (d directory) first(id uint16, missing uint64) uint64 {
	if v, ok := d[id].integer(0); ok {
		return v
	}
	return missing
}

// page is what a directory says of its pixels.
type page struct {
	d                        directory
	f                        file
	width, height, samples   int
	t                        raster.Type
	bits                     int // of t's, as they are packed
	photometric, compression uint64
	predictor, orientation   uint64
	planar, reversed         bool
	alpha                    bool
	chunkWidth, chunkHeight  int // of strips or tiles
	across, down             int
	offsets, counts          tag
	noData                   float32
	hasNoData                bool
	jpegTables               []byte
}

// The values of tags that are named.
const (
	whiteIsZero, blackIsZero, rgb, palette, separated, ycbcr = 0, 1, 2, 3, 5, 6

	none, lzwCodec, jpegCodec, deflate, packBits, oldDeflate, zstdCodec = 1, 5, 7, 8, 32773, 32946, 50000
)

var compressions = map[uint64]string{
	2: "CCITT RLE", 3: "CCITT Group 3", 4: "CCITT Group 4", 6: "old-style JPEG", 34712: "JPEG 2000", 33003: "JPEG 2000 (Aperio)",
	33005: "JPEG 2000 (Aperio)", 34887: "LERC", 34925: "LZMA", 50001: "WebP", 50002: "JPEG XL", 34676: "SGI Log", 34677: "SGI Log24",
}

func (d directory) page() (*page, error) {
	p := &page{d: d, f: d[tagWidth].f, photometric: d.first(tagPhotometric, blackIsZero), compression: d.first(tagCompression, none)}
	width, height, samples := d.first(tagWidth, 0), d.first(tagHeight, 0), d.first(tagSamples, 1)
	if max(width, height, samples) > math.MaxInt32 || min(width, height, samples) == 0 {
		return nil, fmt.Errorf("%d×%d pixels of %d samples: no such image", width, height, samples)
	}
	p.width, p.height, p.samples = int(width), int(height), int(samples)
	switch p.compression {
	case none, lzwCodec, jpegCodec, deflate, packBits, oldDeflate, zstdCodec:
	default:
		name, known := compressions[p.compression]
		if !known {
			name = "an unknown one"
		}
		return nil, fmt.Errorf("compression %d (%s): expected none, LZW, Deflate, PackBits, Zstandard or JPEG", p.compression, name)
	}
	switch p.photometric {
	case whiteIsZero, blackIsZero, rgb, palette, separated:
	case ycbcr:
		if p.compression != jpegCodec {
			return nil, errors.New("YCbCr that is not compressed as JPEG is not supported")
		}
	default:
		return nil, fmt.Errorf("photometric interpretation %d is not supported: expected white or black is zero, RGB, palette, CMYK or YCbCr", p.photometric)
	}
	if colours := map[uint64]int{rgb: 3, separated: 4, ycbcr: 3}[p.photometric]; p.samples < colours {
		return nil, fmt.Errorf("photometric interpretation %d with %d samples: expected at least %d", p.photometric, p.samples, colours)
	}
	if err := p.readType(); err != nil {
		return nil, err
	}
	p.planar = d.first(tagPlanar, 1) == 2 && p.samples > 1
	p.reversed = d.first(tagFillOrder, 1) == 2
	p.orientation = d.first(tagOrientation, 1)
	p.predictor = d.first(tagPredictor, 1)
	if p.predictor < 1 || p.predictor > 3 || p.predictor == 2 && p.bits < 8 || p.predictor == 3 && p.t.Kind != raster.Float {
		return nil, fmt.Errorf("predictor %d of %v is not supported", p.predictor, p.t)
	}
	if p.compression == none || p.compression == jpegCodec || p.compression == packBits {
		p.predictor = 1 // it belongs to LZW, Deflate and Zstandard
	}
	if extra, ok := d[tagExtra]; ok && p.samples > 1 {
		const associated, unassociated = 1, 2
		v, _ := extra.integer(extra.count - 1)
		p.alpha = v == associated || v == unassociated
	}
	if t := d[tagNoData]; len(t.values) > 0 {
		v, err := strconv.ParseFloat(strings.Trim(string(t.values[:min(len(t.values), 64)]), " \x00"), 64)
		p.noData, p.hasNoData = float32(v), err == nil || errors.Is(err, strconv.ErrRange)
	}
	if t := d[tagJPEGTables]; p.compression == jpegCodec {
		p.jpegTables = t.values
	}
	return p, p.readChunks()
}

// readType reads what the samples are.
func (p *page) readType() error {
	bits, format := p.d[tagBits], p.d[tagSampleFormat]
	p.bits = int(min(p.d.first(tagBits, 1), 1<<16))
	kind := p.d.first(tagSampleFormat, 1)
	for i := range min(bits.count, uint64(p.samples)) {
		if v, _ := bits.integer(i); v != uint64(p.bits) {
			return fmt.Errorf("samples of %d and of %d bits: expected one size", p.bits, v)
		}
	}
	for i := range min(format.count, uint64(p.samples)) {
		if v, _ := format.integer(i); v != kind {
			return errors.New("samples of several formats: expected one")
		}
	}
	p.t = raster.Type{Bits: p.bits}
	switch kind {
	case 1, 4: // 4 is "undefined", which libtiff takes for unsigned
	case 2:
		p.t.Kind = raster.Signed
	case 3:
		p.t.Kind = raster.Float
	default:
		return fmt.Errorf("samples of format %d: expected integers or floats", kind)
	}
	unsigned := p.t.Kind == raster.Unsigned && p.bits >= 1 && p.bits <= 16
	whole := p.bits == 8 || p.bits == 16 || p.bits == 32 || p.bits == 64
	if !unsigned && (!whole || p.t.Kind == raster.Float && p.bits == 8) {
		return fmt.Errorf("%v are not supported", p.t)
	}
	if p.photometric == palette && (p.samples != 1 || !unsigned || p.d[tagColourMap].count != 3<<p.bits) {
		return fmt.Errorf("a palette of %d colours for %d samples of %v: expected three times 2^bits colours for one", p.d[tagColourMap].count, p.samples, p.t)
	}
	if p.compression == jpegCodec && (p.bits != 8 || p.t.Kind != raster.Unsigned) {
		return fmt.Errorf("JPEG of %v: expected 8-bit unsigned integers", p.t)
	}
	return nil
}

// readChunks reads how strips or tiles lie.
func (p *page) readChunks() error {
	p.offsets, p.counts = p.d[tagStripOffsets], p.d[tagStripCounts]
	width, height := uint64(p.width), min(p.d.first(tagRowsPerStrip, math.MaxUint32), uint64(p.height))
	if _, tiled := p.d[tagTileOffsets]; tiled {
		p.offsets, p.counts = p.d[tagTileOffsets], p.d[tagTileCounts]
		width, height = p.d.first(tagTileWidth, 0), p.d.first(tagTileHeight, 0)
	}
	if max(width, height) > math.MaxInt32 || min(width, height) == 0 {
		return fmt.Errorf("strips or tiles of %d×%d pixels: no such size", width, height)
	}
	p.chunkWidth, p.chunkHeight = int(width), int(height)
	p.across = (p.width + p.chunkWidth - 1) / p.chunkWidth
	p.down = (p.height + p.chunkHeight - 1) / p.chunkHeight
	want := uint64(p.across) * uint64(p.down)
	if p.planar && want < math.MaxUint32 {
		want *= uint64(p.samples)
	}
	if p.offsets.count < want || p.counts.count < want {
		return fmt.Errorf("%d offsets and %d sizes of strips or tiles: expected %d", p.offsets.count, p.counts.count, want)
	}
	return nil
}

// config is what becomes of the page.
func (p *page) config(frames int) raster.Config {
	c := raster.Config{Channels: p.samples, Height: p.height, Width: p.width, Frames: frames}
	if p.photometric == palette {
		c.Channels = 3
	}
	if p.orientation >= 5 && p.orientation <= 8 {
		c.Height, c.Width = c.Width, c.Height
	}
	return c
}

// Config says what the first page is, and how many there are. Others may have other sizes.
func Config(data []byte) (raster.Config, error) {
	all, err := pages(data)
	if err != nil {
		return raster.Config{}, err
	}
	p, err := all[0].page()
	if err != nil {
		return raster.Config{}, err
	}
	return p.config(len(all)), nil
}

// Decode reads page frame, of at most maxPixels pixels.
func Decode(data []byte, frame int, maxPixels int64) (*raster.Raster, error) {
	all, err := pages(data)
	if err != nil {
		return nil, err
	}
	if err := (raster.Config{Frames: len(all)}).CheckFrame(frame); err != nil {
		return nil, err
	}
	p, err := all[frame].page()
	if err != nil {
		return nil, err
	}
	chunk := raster.Config{Channels: p.chunkSamples(), Height: p.chunkHeight, Width: p.chunkWidth, Frames: 1}
	// A tile may be larger than its image, but not by much.
	if err := errors.Join(p.config(1).Check(maxPixels), chunk.Check(max(maxPixels, 1<<20))); err != nil {
		return nil, err
	}
	r := raster.New(p.samples, p.height, p.width)
	if p.t.Kind != raster.Float {
		r.Integers(p.bits, p.t.Kind == raster.Signed)
	}
	if p.photometric == whiteIsZero {
		r.Low, r.High = r.High, r.Low
	}
	r.Colour, r.Alpha = p.photometric == rgb || p.photometric == ycbcr, p.alpha
	if err := p.read(r); err != nil {
		return nil, err
	}
	if p.hasNoData {
		for i, v := range r.Samples {
			if v == p.noData {
				r.Samples[i] = float32(math.NaN())
			}
		}
	}
	if p.photometric == palette {
		r = p.lookUp(r)
	}
	r.Orient(int(p.orientation))
	return r, nil
}

// lookUp makes RGB of a palette's indices.
func (p *page) lookUp(indices *raster.Raster) *raster.Raster {
	r := raster.New(3, p.height, p.width)
	r.Integers(8, false)
	r.Colour = true
	colours := p.d[tagColourMap]
	for c := range 3 {
		plane := r.Plane(c)
		for i, v := range indices.Samples {
			if v != v {
				plane[i] = v
				continue
			}
			entry, _ := colours.integer(uint64(c)<<p.bits + uint64(v))
			plane[i] = float32(entry >> 8)
		}
	}
	return r
}

// chunkSamples are the samples of a strip's or tile's pixels.
func (p *page) chunkSamples() int {
	if p.planar {
		return 1
	}
	return p.samples
}
