package npy

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
)

// Decode reads the next len(dst) elements, in the order of the file. h is the
// header that r began with; its element type must be T, in either byte order.
func Decode[T Number](r io.Reader, h Header, dst []T) error {
	order, err := byteOrder[T](h)
	if err != nil {
		return err
	}
	size := binary.Size(*new(T))
	buf := make([]byte, min(len(dst)*size, 1<<16))
	for len(dst) > 0 {
		b := buf[:min(len(buf), len(dst)*size)]
		if _, err := io.ReadFull(r, b); err != nil {
			return fmt.Errorf("npy: elements: %w", noEOF(err))
		}
		n := len(b) / size
		decode(dst[:n], b, order)
		dst = dst[n:]
	}
	return nil
}

func byteOrder[T Number](h Header) (binary.ByteOrder, error) {
	want := descr[T]()
	if len(h.Descr) != len(want) || h.Descr[1:] != want[1:] {
		return nil, fmt.Errorf("npy: element type is %q, expected %q", h.Descr, want)
	}
	if h.Descr[0] == '>' {
		return binary.BigEndian, nil
	}
	return binary.LittleEndian, nil
}

func decode[T Number](dst []T, b []byte, order binary.ByteOrder) {
	switch dst := any(dst).(type) {
	case []float32:
		for i := range dst {
			dst[i] = math.Float32frombits(order.Uint32(b[4*i:]))
		}
	case []float64:
		for i := range dst {
			dst[i] = math.Float64frombits(order.Uint64(b[8*i:]))
		}
	case []int64:
		for i := range dst {
			dst[i] = int64(order.Uint64(b[8*i:]))
		}
	case []uint8:
		copy(dst, b)
	}
}

// Read reads a whole file and returns its shape and elements in C order. Memory
// grows with what is read, whatever the header claims.
func Read[T Number](r io.Reader) (shape []int, data []T, err error) {
	h, err := ReadHeader(r)
	if err != nil {
		return nil, nil, err
	}
	for left := h.Len(); left > 0; {
		n := min(left, max(1<<16, len(data)))
		data = slices.Grow(data, n)[:len(data)+n]
		if err := Decode(r, h, data[len(data)-n:]); err != nil {
			return nil, nil, err
		}
		left -= n
	}
	if _, err := byteOrder[T](h); err != nil {
		return nil, nil, err // an empty array of another type
	}
	if h.Fortran {
		data = fromFortran(data, h.Shape)
	}
	return h.Shape, data, nil
}

// fromFortran returns the elements of an array in C order.
func fromFortran[T Number](data []T, shape []int) []T {
	out := make([]T, len(data))
	stride := make([]int, len(shape))
	n := 1
	for i, d := range shape {
		stride[i] = n
		n *= d
	}
	index := make([]int, len(shape))
	at := 0
	for i := range out {
		out[i] = data[at]
		for k := len(shape) - 1; k >= 0; k-- {
			index[k]++
			at += stride[k]
			if index[k] < shape[k] {
				break
			}
			at -= stride[k] * shape[k]
			index[k] = 0
		}
	}
	return out
}

// Write writes data as an array of the given shape, in C order.
func Write[T Number](w io.Writer, shape []int, data []T) error {
	h := Header{Descr: descr[T](), Shape: shape}
	if h.Len() != len(data) {
		return fmt.Errorf("npy: shape %v takes %d elements, got %d", shape, h.Len(), len(data))
	}
	if _, err := w.Write(formatHeader(h.Descr, shape)); err != nil {
		return err
	}
	return Encode(w, data)
}

// FormatHeader is the header of an array of so many rows of the given shape. Its length does not depend on the number of
// rows, so that one may be written first and the true one in its place.
func FormatHeader[T Number](rows int, row ...int) []byte {
	return formatHeader(descr[T](), append([]int{rows}, row...))
}

// formatHeader returns a header of version 1, the same as NumPy's byte for byte.
// It has room for any number of rows, so that its length does not depend on it.
func formatHeader(descr string, shape []int) []byte {
	text := fmt.Appendf(nil, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr)
	for i, d := range shape {
		if i > 0 {
			text = append(text, ' ')
		}
		text = fmt.Appendf(text, "%d", d)
		if i < len(shape)-1 || len(shape) == 1 {
			text = append(text, ',')
		}
	}
	text = append(text, "), }"...)
	room := 0
	if len(shape) > 0 {
		room = 21 - len(strconv.Itoa(shape[0]))
	}
	size := len(magic) + 4 + len(text) + room + 1
	size = (size/64 + 1) * 64
	b := append([]byte(magic), 1, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(size-len(b)-2))
	b = append(b, text...)
	for len(b) < size-1 {
		b = append(b, ' ')
	}
	return append(b, '\n')
}

// Encode writes elements as they follow a header.
func Encode[T Number](w io.Writer, data []T) error {
	size := binary.Size(*new(T))
	buf := make([]byte, 0, min(len(data)*size, 1<<16))
	for chunk := range slices.Chunk(data, 1<<13) {
		b, err := binary.Append(buf[:0], binary.LittleEndian, chunk)
		if err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}
