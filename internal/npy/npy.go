// Package npy reads and writes NumPy's .npy files of plain numbers.
//
// (The one Go library for the format, github.com/sbinet/npyio, reads and writes
// whole arrays only; here a file may be larger than memory, and its length may
// be known only at the end.)
package npy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

const magic = "\x93NUMPY"

// maxHeader is the longest header that is read; NumPy's limit is 10,000 bytes.
const maxHeader = 1 << 16

// maxDims bounds the dimensions of an array, as NumPy does.
const maxDims = 64

// Number is an element type that this package reads and writes.
type Number interface {
	float32 | float64 | uint8 | int64
}

// Header describes the array of a file.
type Header struct {
	Descr   string // NumPy's name of the element type, such as "<f4"
	Fortran bool   // the first dimension varies fastest
	Shape   []int  // empty for a scalar
}

// Len returns the number of elements.
func (h Header) Len() int {
	n := 1
	for _, d := range h.Shape {
		n *= d
	}
	return n
}

// ReadHeader reads the header of format version 1, 2 or 3. The elements follow
// it in r, for [Decode].
func ReadHeader(r io.Reader) (Header, error) {
	h, err := readHeader(r)
	if err != nil {
		return Header{}, fmt.Errorf("npy: header: %w", noEOF(err))
	}
	return h, nil
}

func readHeader(r io.Reader) (Header, error) {
	var b [12]byte
	if _, err := io.ReadFull(r, b[:8]); err != nil {
		return Header{}, err
	}
	if string(b[:6]) != magic {
		return Header{}, fmt.Errorf("starts with %q, not with %q: no .npy file", b[:6], magic)
	}
	size := 4
	switch b[6] {
	case 1:
		size = 2
	case 2, 3:
	default:
		return Header{}, fmt.Errorf("format version %d.%d is not known", b[6], b[7])
	}
	if _, err := io.ReadFull(r, b[8:8+size]); err != nil {
		return Header{}, err
	}
	n := binary.LittleEndian.Uint32(b[8:])
	if n > maxHeader {
		return Header{}, fmt.Errorf("%d bytes long, more than %d", n, maxHeader)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return Header{}, err
	}
	return parseHeader(string(text))
}

// parseHeader parses the Python dict that is the header's text.
func parseHeader(text string) (Header, error) {
	var h Header
	var seen [3]bool
	p := &parser{strings.TrimRight(text, " \n\x00")}
	p.want("{")
	for !p.skip("}") {
		var err error
		switch key := p.str(); key {
		case "descr":
			seen[0] = true
			p.want(":")
			if strings.HasPrefix(p.rest(), "[") {
				return h, errors.New("structured arrays are not supported")
			}
			h.Descr = p.str()
		case "fortran_order":
			seen[1] = true
			p.want(":")
			h.Fortran, err = p.boolean()
		case "shape":
			seen[2] = true
			p.want(":")
			h.Shape, err = p.tuple()
		default:
			err = fmt.Errorf("unexpected key %q in %q", key, text)
		}
		if err != nil {
			return h, err
		}
		if !p.skip(",") && p.rest() != "}" {
			return h, fmt.Errorf("malformed: %q", text)
		}
	}
	if p.rest() != "" || seen != [3]bool{true, true, true} {
		return h, fmt.Errorf("malformed: %q", text)
	}
	size, err := elementSize(h.Descr)
	if err != nil {
		return h, err
	}
	n := size
	for _, d := range h.Shape {
		if d > math.MaxInt/max(1, n) {
			return h, fmt.Errorf("shape %v overflows", h.Shape)
		}
		n *= max(1, d)
	}
	return h, nil
}

// elementSize returns the bytes per element that descr gives.
func elementSize(descr string) (int, error) {
	if len(descr) < 3 || !strings.Contains("<>|=", descr[:1]) || !strings.Contains("fuibc", descr[1:2]) {
		return 0, fmt.Errorf("element type %q is not supported", descr)
	}
	n, err := strconv.Atoi(descr[2:])
	if err != nil || n < 1 || n > 32 {
		return 0, fmt.Errorf("element type %q is not supported", descr)
	}
	return n, nil
}

// parser takes tokens from the front of a text. Whitespace between them does
// not count.
type parser struct{ s string }

func (p *parser) rest() string {
	p.s = strings.TrimLeft(p.s, " \t\r\n")
	return p.s
}

func (p *parser) skip(token string) bool {
	rest, ok := strings.CutPrefix(p.rest(), token)
	p.s = rest
	return ok
}

// want takes a token. One that is missing shows in what follows.
func (p *parser) want(token string) { p.skip(token) }

// str takes a quoted string without escapes, "" if there is none.
func (p *parser) str() string {
	s := p.rest()
	if s == "" || s[0] != '\'' && s[0] != '"' {
		return ""
	}
	end := strings.IndexByte(s[1:], s[0])
	if end < 0 {
		return ""
	}
	p.s = s[end+2:]
	return s[1 : end+1]
}

func (p *parser) boolean() (bool, error) {
	switch {
	case p.skip("True"):
		return true, nil
	case p.skip("False"):
		return false, nil
	}
	return false, fmt.Errorf("fortran_order is neither True nor False: %.20q", p.s)
}

func (p *parser) tuple() ([]int, error) {
	shape := []int{}
	if !p.skip("(") {
		return nil, fmt.Errorf("shape is no tuple: %.20q", p.s)
	}
	for !p.skip(")") {
		s := p.rest()
		end := strings.IndexFunc(s, func(c rune) bool { return c < '0' || c > '9' })
		if end <= 0 {
			return nil, fmt.Errorf("shape is no tuple of sizes: %.20q", s)
		}
		n, err := strconv.Atoi(s[:end])
		if err != nil {
			return nil, fmt.Errorf("shape: %w", err)
		}
		p.s = strings.TrimPrefix(s[end:], "L") // Python 2's long integers
		shape = append(shape, n)
		if len(shape) > maxDims {
			return nil, fmt.Errorf("more than %d dimensions", maxDims)
		}
		if !p.skip(",") && !strings.HasPrefix(p.rest(), ")") {
			return nil, fmt.Errorf("shape is no tuple of sizes: %.20q", p.s)
		}
	}
	return shape, nil
}

// descr returns NumPy's name of T, little endian.
func descr[T Number]() string {
	switch any(*new(T)).(type) {
	case float32:
		return "<f4"
	case float64:
		return "<f8"
	case uint8:
		return "|u1"
	}
	return "<i8"
}

// noEOF says that an end of file was not expected.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
