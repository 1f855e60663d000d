// Package fits reads images out of FITS files (FITS standard 4.0), plain or gzipped.
//
// The image of a file is its first HDU, primary or IMAGE extension, that has two dimensions or more. Axes of length 1 beyond
// the second are ignored. Of what is left, the third axis is the channels if it has at most [MaxChannels] planes, and any
// other axis counts images: a spectral cube of 3,000 planes is 3,000 images. The first row is the file's first, as Astropy
// has it; viewers show it at the bottom.
//
// Values are BZERO + BSCALE × the stored number; integers of BLANK, and NaN, are no data. BITPIX 8 without scaling is bytes
// from 0 to 255; wider numbers are counts, which do not say what black and white are. Images that are compressed by tiles
// (.fz) are read where that was by Rice or gzip, with and without dithering; others are refused by name.
//
// (github.com/astrogo/fitsio, the Go library for the format, has had no release since 2023, and no tiles.)
package fits

import (
	"bufio"
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

// MaxChannels is the most planes that are taken for channels.
const MaxChannels = 32

const (
	card       = 80
	block      = 36 * card
	maxBlocks  = 4096    // of a header
	maxHDUs    = 1 << 16 // that are looked at
	maxSkipped = 1 << 32 // bytes of a gzipped file that are read for what lies behind them
)

var (
	magic   = []byte("SIMPLE  =")
	gzMagic = []byte{0x1f, 0x8b, 8}
)

// Match reports whether a file begins as FITS does, gzipped or not.
func Match(head []byte) bool {
	if !bytes.HasPrefix(head, gzMagic) {
		return bytes.HasPrefix(head, magic)
	}
	z, err := gzip.NewReader(bytes.NewReader(head))
	if err != nil {
		return false
	}
	start := make([]byte, len(magic))
	_, err = io.ReadFull(z, start)
	return err == nil && bytes.Equal(start, magic)
}

// image is where the image's numbers begin and what they are.
type image struct {
	raster.Config
	r           *bufio.Reader
	left        int64 // bytes in r, if known, or -1
	t           raster.Type
	scale, zero float64
	blank       int64
	hasBlank    bool
	tiled       bool // it is a table of compressed tiles
	h           header
	axes        []int
	tableSize   int64
}

// Config says what the header of the image says.
func Config(data []byte) (raster.Config, error) {
	m, err := open(data)
	if err != nil {
		return raster.Config{}, err
	}
	return m.Config, nil
}

func open(data []byte) (*image, error) {
	left := int64(len(data))
	var r io.Reader = bytes.NewReader(data)
	if bytes.HasPrefix(data, gzMagic) {
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, err
		}
		r, left = z, -1
	}
	buffered := bufio.NewReaderSize(r, 1<<16)
	tables := 0
	for i := range maxHDUs {
		h, n, err := readHeader(buffered)
		if errors.Is(err, io.EOF) && i > 0 {
			if tables > 0 {
				return nil, fmt.Errorf("no image of two or more dimensions: %d HDUs, of which %d are tables", i, tables)
			}
			return nil, fmt.Errorf("no image of two or more dimensions: %d HDUs", i)
		}
		if err != nil {
			return nil, fmt.Errorf("header %d: %w", i, err)
		}
		size, err := h.size()
		if err != nil {
			return nil, fmt.Errorf("header %d: %w", i, err)
		}
		if left >= 0 {
			left -= int64(n)
		}
		prefix := ""
		if h.text("ZIMAGE") == "T" {
			prefix = "Z" // what a table of tiles says of the image in it
		}
		if kind := h.text("XTENSION"); kind == "" || kind == "IMAGE" || prefix != "" {
			m, err := h.image(prefix)
			if err != nil {
				return nil, fmt.Errorf("header %d: %w", i, err)
			}
			if m != nil {
				m.r, m.left, m.tableSize = buffered, left, size
				return m, nil
			}
		} else {
			tables++
		}
		size = (size + block - 1) / block * block
		if left >= 0 {
			left -= size
		} else if size > maxSkipped {
			return nil, fmt.Errorf("HDU %d of %d bytes lies before the image of a gzipped file: more than the %d that are read for it", i, size, maxSkipped)
		}
		if k, err := io.CopyN(io.Discard, buffered, size); err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("HDU %d, after %d of %d bytes: %w", i, k, size, err)
		}
	}
	return nil, fmt.Errorf("no image of two or more dimensions in %d HDUs", maxHDUs)
}

// header has the values of a header's keywords, as text.
type header map[string]string

// readHeader also returns how many bytes it took. At the end of the file the error is io.EOF.
func readHeader(r io.Reader) (header, int, error) {
	h := header{}
	buf := make([]byte, block)
	for n := 1; n <= maxBlocks; n++ {
		switch _, err := io.ReadFull(r, buf); {
		case err == nil:
		case n == 1 && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)):
			return nil, 0, io.EOF // what is behind the last HDU does not matter
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return nil, 0, fmt.Errorf("it has no END before the file's: %w", io.ErrUnexpectedEOF)
		default:
			return nil, 0, err
		}
		if n == 1 && !bytes.HasPrefix(buf, magic) && !bytes.HasPrefix(buf, []byte("XTENSION=")) {
			return nil, 0, io.EOF
		}
		for c := 0; c < block; c += card {
			line := string(buf[c : c+card])
			key := strings.TrimRight(line[:8], " ")
			if key == "END" {
				return h, n * block, nil
			}
			if _, seen := h[key]; !seen && line[8:10] == "= " {
				h[key] = value(line[10:])
			}
		}
	}
	return nil, 0, fmt.Errorf("it has more than %d cards", maxBlocks*36)
}

// value is a card's value without its comment, and a string's without quotes.
func value(s string) string {
	s = strings.TrimLeft(s, " ")
	if !strings.HasPrefix(s, "'") {
		s, _, _ = strings.Cut(s, "/")
		return strings.TrimRight(s, " ")
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] == '\'' {
			if i+1 == len(s) || s[i+1] != '\'' {
				break
			}
			i++
		}
		b.WriteByte(s[i])
	}
	return strings.TrimRight(b.String(), " ")
}

func (h header) text(key string) string { return h[key] }

func (h header) integer(key string, missing int64) (int64, error) {
	s, ok := h[key]
	if !ok {
		return missing, nil
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s = %s: expected an integer", key, s)
	}
	return v, nil
}

func (h header) float(key string, missing float64) (float64, error) {
	s, ok := h[key]
	if !ok {
		return missing, nil
	}
	v, err := strconv.ParseFloat(strings.ReplaceAll(s, "D", "E"), 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0, fmt.Errorf("%s = %s: expected a number", key, s)
	}
	return v, nil
}

// axes are the lengths of the dimensions, the fastest one first, by the keywords with a prefix.
func (h header) axes(prefix string) ([]int64, error) {
	n, err := h.integer(prefix+"NAXIS", 0)
	if err != nil || n < 0 || n > 999 {
		return nil, fmt.Errorf("%sNAXIS = %s: expected an integer from 0 to 999", prefix, h[prefix+"NAXIS"])
	}
	axes := make([]int64, n)
	for i := range axes {
		key := prefix + "NAXIS" + strconv.Itoa(i+1)
		if axes[i], err = h.integer(key, -1); err != nil || axes[i] < 0 || axes[i] > math.MaxInt32 {
			return nil, fmt.Errorf("%s = %q: expected the length of an axis", key, h[key])
		}
	}
	return axes, nil
}

func (h header) numbers(prefix string) (raster.Type, error) {
	switch h[prefix+"BITPIX"] {
	case "8":
		return raster.Type{Kind: raster.Unsigned, Bits: 8}, nil
	case "16":
		return raster.Type{Kind: raster.Signed, Bits: 16}, nil
	case "32":
		return raster.Type{Kind: raster.Signed, Bits: 32}, nil
	case "64":
		return raster.Type{Kind: raster.Signed, Bits: 64}, nil
	case "-32":
		return raster.Type{Kind: raster.Float, Bits: 32}, nil
	case "-64":
		return raster.Type{Kind: raster.Float, Bits: 64}, nil
	}
	return raster.Type{}, fmt.Errorf("%sBITPIX = %q: expected 8, 16, 32, 64, -32 or -64", prefix, h[prefix+"BITPIX"])
}

// size is the bytes of the HDU's data, without padding.
func (h header) size() (int64, error) {
	axes, err := h.axes("")
	if err != nil {
		return 0, err
	}
	t, err := h.numbers("")
	if err != nil {
		return 0, err
	}
	parameters, err1 := h.integer("PCOUNT", 0)
	groups, err2 := h.integer("GCOUNT", 1)
	if err := errors.Join(err1, err2); err != nil {
		return 0, err
	}
	if len(axes) == 0 {
		return 0, nil
	}
	if h.text("GROUPS") == "T" && axes[0] == 0 {
		axes = axes[1:]
	}
	n, ok := product(axes)
	if !ok || parameters < 0 || groups < 0 || n > math.MaxInt64-parameters {
		return 0, fmt.Errorf("axes of %v, PCOUNT %d and GCOUNT %d: no such size", axes, parameters, groups)
	}
	n, ok = product([]int64{n + parameters, groups, int64(t.Size())})
	if !ok || n > math.MaxInt64-block {
		return 0, fmt.Errorf("axes of %v, PCOUNT %d and GCOUNT %d: no such size", axes, parameters, groups)
	}
	return n, nil
}

func product(factors []int64) (int64, bool) {
	n, overflow := int64(1), false
	for _, f := range factors {
		if f == 0 {
			return 0, true
		}
		overflow = overflow || n > math.MaxInt64/f
		if !overflow {
			n *= f
		}
	}
	return n, !overflow
}

// image is what the header says of an image by the keywords with a prefix, nil if it has none.
func (h header) image(prefix string) (*image, error) {
	axes, err := h.axes(prefix)
	if err != nil || len(axes) < 2 {
		return nil, err
	}
	if n, _ := product(axes); n == 0 {
		return nil, nil
	}
	m := &image{tiled: prefix != "", h: h}
	for _, a := range axes {
		m.axes = append(m.axes, int(a))
	}
	m.Width, m.Height, m.Channels, m.Frames = int(axes[0]), int(axes[1]), 1, 1
	var more []int64
	for _, a := range axes[2:] {
		if a > 1 {
			more = append(more, a)
		}
	}
	if len(more) > 0 && more[0] <= MaxChannels {
		m.Channels, more = int(more[0]), more[1:]
	}
	frames, ok := product(more)
	if !ok || frames > math.MaxInt32 {
		return nil, fmt.Errorf("axes of %v: too many", axes)
	}
	m.Frames = int(frames)
	if m.t, err = h.numbers(prefix); err != nil {
		return nil, err
	}
	var err1, err2, err3 error
	m.scale, err1 = h.float("BSCALE", 1)
	m.zero, err2 = h.float("BZERO", 0)
	m.blank, err3 = h.integer("BLANK", 0)
	m.hasBlank = h["BLANK"] != "" && m.t.Kind != raster.Float
	return m, errors.Join(err1, err2, err3)
}

// Decode reads image frame, of at most maxPixels pixels.
func Decode(data []byte, frame int, maxPixels int64) (*raster.Raster, error) {
	m, err := open(data)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(m.Check(maxPixels), m.CheckFrame(frame)); err != nil {
		return nil, err
	}
	if m.tiled {
		return m.readTiles(frame)
	}
	size := int64(m.Channels) * int64(m.Height) * int64(m.Width) * int64(m.t.Size())
	if m.left >= 0 && m.left/size <= int64(frame) {
		return nil, fmt.Errorf("the file ends before image %d: %d bytes of numbers, images of %d each", frame, m.left, size)
	}
	for range frame {
		if _, err := io.CopyN(io.Discard, m.r, size); err != nil {
			return nil, fmt.Errorf("the file ends before image %d: %w", frame, err)
		}
	}
	r, plain := m.raster()
	row := make([]byte, m.Width*m.t.Size())
	for at := 0; at < len(r.Samples); at += m.Width {
		if _, err := io.ReadFull(m.r, row); err != nil {
			return nil, fmt.Errorf("reading row %d of %d: %w", at/m.Width, len(r.Samples)/m.Width, err)
		}
		dst := r.Samples[at : at+m.Width]
		if plain {
			m.t.Numbers(dst, row, m.t.Size(), binary.BigEndian)
			continue
		}
		for x := range dst {
			dst[x] = m.number(row[x*m.t.Size():])
		}
	}
	return r, nil
}

// raster is an empty one, and whether stored numbers are values as they are.
func (m *image) raster() (r *raster.Raster, plain bool) {
	r = raster.New(m.Channels, m.Height, m.Width)
	plain = m.scale == 1 && m.zero == 0 && !m.hasBlank
	if plain && m.t.Bits == 8 {
		m.t.Limits(r)
	}
	r.Colour, r.Counts = m.Channels == 3, r.Low == r.High
	return r, plain
}

// number is one value, scaled in double precision.
func (m *image) number(b []byte) float32 {
	var v float64
	var i int64
	switch m.t.Bits {
	case 8:
		i = int64(b[0])
	case 16:
		i = int64(int16(binary.BigEndian.Uint16(b)))
	case 32:
		i = int64(int32(binary.BigEndian.Uint32(b)))
		v = float64(math.Float32frombits(uint32(i)))
	case 64:
		i = int64(binary.BigEndian.Uint64(b))
		v = math.Float64frombits(uint64(i))
	}
	if m.t.Kind != raster.Float {
		if m.hasBlank && i == m.blank {
			return float32(math.NaN())
		}
		v = float64(i)
	}
	return float32(m.zero + m.scale*v)
}
