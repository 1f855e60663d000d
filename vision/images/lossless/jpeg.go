package lossless

import (
	"errors"
	"fmt"
)

// JPEG decodes process 14: Huffman-coded differences to a prediction.
func JPEG(data []byte, want Size) (*Picture, error) { return decode(data, want, markSOF3, jpegScan) }

// huffman has, for the next 16 bits of a stream, the length of the code that they begin with and its value: length<<8 | value.
// Length 0 is no code.
type huffman [1 << 16]uint16

func (f *frame) readHuffman(b []byte) error {
	for len(b) > 0 {
		if len(b) < 17 {
			return errEnd
		}
		n := 0
		for _, k := range b[1:17] {
			n += int(k)
		}
		id := b[0] & 15
		if len(b) < 17+n || id > 3 {
			return errors.New("a broken Huffman table")
		}
		t := &huffman{}
		code, values := 0, b[17:17+n]
		for length := 1; length <= 16; length++ {
			for range b[length] {
				last := (code + 1) << (16 - length)
				if last > len(t) {
					return errors.New("a broken Huffman table: too many codes")
				}
				for i := code << (16 - length); i < last; i++ {
					t[i] = uint16(length)<<8 | uint16(values[0])
				}
				code, values = code+1, values[1:]
			}
			code <<= 1
		}
		f.huffman[id] = t
		b = b[17+n:]
	}
	return nil
}

// bitReader reads the bits of a scan, up to a marker; behind it there are zeros.
type bitReader struct {
	data []byte
	at   int
	bits uint64 // the next ones at the top
	n    int    // how many there are
	over int    // bits that were taken behind the end
}

func (r *bitReader) fill() {
	for r.n <= 48 {
		if r.at >= len(r.data) {
			return
		}
		b := r.data[r.at]
		if b == 0xff {
			if r.at+1 >= len(r.data) || r.data[r.at+1] != 0 {
				return
			}
			r.at++
		}
		r.at++
		r.bits |= uint64(b) << (56 - r.n)
		r.n += 8
	}
}

func (r *bitReader) take(n int) {
	r.bits <<= n
	if r.n -= n; r.n < 0 {
		r.over -= r.n
		r.n = 0
	}
}

// difference reads a category and as many bits.
func (r *bitReader) difference(t *huffman) (int, error) {
	r.fill()
	e := t[r.bits>>48]
	if e == 0 {
		return 0, errors.New("bits that are no Huffman code")
	}
	r.take(int(e >> 8))
	s := int(e & 255)
	switch {
	case s == 0:
		return 0, nil
	case s == 16:
		return 1 << 15, nil
	case s > 16:
		return 0, fmt.Errorf("a difference of %d bits", s)
	}
	r.fill()
	v := int(r.bits >> (64 - s))
	r.take(s)
	if v < 1<<(s-1) {
		v -= 1<<s - 1
	}
	return v, nil
}

func jpegScan(f *frame, s scanHeader, data []byte) (int, error) {
	predictor, shift := s.a, s.c&15
	if predictor < 1 || predictor > 7 || shift >= f.Bits {
		return 0, fmt.Errorf("predictor %d and point transform %d of %d bits, expected 1 to 7 and less than the bits", predictor, shift, f.Bits)
	}
	tables := make([]*huffman, len(s.components))
	for i, t := range s.tables {
		if t>>4 > 3 || f.huffman[t>>4] == nil {
			return 0, fmt.Errorf("there is no Huffman table %d", t>>4)
		}
		tables[i] = f.huffman[t>>4]
	}
	if f.restart%f.Width != 0 {
		return 0, fmt.Errorf("restarts every %d pixels of rows of %d: expected whole rows", f.restart, f.Width)
	}
	r := &bitReader{data: data}
	step := f.Components
	row := f.Width * step
	first := true // in the first row, and that after a restart, prediction is along it
	for y := range f.Height {
		if f.restart > 0 && y > 0 && y%(f.restart/f.Width) == 0 {
			if r.at+1 >= len(data) || data[r.at] != 0xff || data[r.at+1]&0xf8 != 0xd0 {
				return 0, fmt.Errorf("row %d: expected a restart", y)
			}
			*r = bitReader{data: data, at: r.at + 2, over: r.over}
			first = true
		}
		for x := range f.Width {
			for i, c := range s.components {
				at := y*row + x*step + c
				px := 1 << (f.Bits - shift - 1)
				switch {
				case first && x > 0:
					px = int(f.Samples[at-step])
				case !first && x == 0:
					px = int(f.Samples[at-row])
				case !first:
					px = predict(predictor, int(f.Samples[at-step]), int(f.Samples[at-row]), int(f.Samples[at-row-step]))
				}
				d, err := r.difference(tables[i])
				if err != nil {
					return 0, fmt.Errorf("row %d: %w", y, err)
				}
				f.Samples[at] = uint16(px + d)
			}
		}
		if r.over > 0 {
			return 0, fmt.Errorf("the stream ends in row %d of %d", y, f.Height)
		}
		first = false
	}
	if shift > 0 {
		for _, c := range s.components {
			for i := c; i < len(f.Samples); i += step {
				f.Samples[i] <<= shift
			}
		}
	}
	return r.at, nil
}

// predict is T.81's table H.1, from the samples on the left, above, and above on the left.
func predict(predictor, a, b, c int) int {
	switch predictor {
	case 1:
		return a
	case 2:
		return b
	case 3:
		return c
	case 4:
		return a + b - c
	case 5:
		return a + (b-c)>>1
	case 6:
		return b + (a-c)>>1
	}
	return (a + b) >> 1
}
