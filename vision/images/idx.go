package images

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
)

// maxIDX is the most samples that an IDX file may claim: what it claims is allocated.
const maxIDX = 1 << 32

// IDX is a pair of IDX files in memory: grey images of 8 bits and their labels, the format of MNIST and its kin.
type IDX struct {
	name          string
	channels      int
	height, width int
	pix           []uint8
	labels        []uint8
	classes       []string
}

// ReadIDX reads images from an IDX file of unsigned bytes, N×H×W, and labels from another, N, or none if its path is "".
// Either may be gzipped. Images have the given number of channels, 1 or 3; grey is repeated. The classes are "0", "1", … up to
// the highest label.
func ReadIDX(images, labels string, channels int) (*IDX, error) {
	if err := checkChannels(channels); err != nil {
		return nil, fmt.Errorf("IDX file %s: %w", images, err)
	}
	dims, pix, err := readIDX(images, 3)
	if err != nil {
		return nil, err
	}
	s := &IDX{name: filepath.Base(images), channels: channels, height: dims[1], width: dims[2], pix: pix}
	if labels == "" {
		return s, nil
	}
	n, l, err := readIDX(labels, 1)
	if err != nil {
		return nil, err
	}
	if n[0] != dims[0] {
		return nil, fmt.Errorf("IDX file %s has %d labels, but %s has %d images", labels, n[0], images, dims[0])
	}
	s.labels = l
	var top uint8
	for _, v := range l {
		top = max(top, v)
	}
	for c := range int(top) + 1 {
		s.classes = append(s.classes, strconv.Itoa(c))
	}
	return s, nil
}

// readIDX reads an array of bytes with so many dimensions.
func readIDX(path string, rank int) (dims []int, data []byte, err error) {
	fail := func(err error) ([]int, []byte, error) { return nil, nil, fmt.Errorf("IDX file %s: %w", path, err) }
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("IDX file: %w", err) // which names the file
	}
	defer f.Close()
	buffered := bufio.NewReaderSize(f, 1<<16)
	var r io.Reader = buffered
	if head, _ := buffered.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return fail(err)
		}
		defer z.Close()
		r = z
	}
	header := make([]byte, 4+4*rank)
	if _, err := io.ReadFull(r, header); err != nil {
		return fail(fmt.Errorf("reading header: %w", err))
	}
	if want := []byte{0, 0, 8, byte(rank)}; !bytes.Equal(header[:4], want) {
		return fail(fmt.Errorf("begins with % x, expected % x (unsigned bytes, %d dimensions)", header[:4], want, rank))
	}
	size := int64(1)
	for i := range rank {
		d := int64(binary.BigEndian.Uint32(header[4+4*i:]))
		if d == 0 {
			return fail(fmt.Errorf("dimension %d is 0", i))
		}
		if d > maxIDX/size {
			return fail(errors.New("claims more than 4 GiB"))
		}
		size *= d
		dims = append(dims, int(d))
	}
	// Memory grows with what is there, not with what is claimed.
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(r, size+1))
	if err != nil {
		return fail(fmt.Errorf("after %d of %d bytes: %w", n, size, err))
	}
	if n < size {
		return fail(fmt.Errorf("ends after %d of %d bytes", n, size))
	}
	if n > size {
		return fail(fmt.Errorf("goes on after the %d bytes that its header claims", size))
	}
	return dims, b.Bytes(), nil
}

// Len is the number of images.
func (s *IDX) Len() int { return len(s.pix) / (s.height * s.width) }

// Name is the file's name and the position in it.
func (s *IDX) Name(i int) string { return s.name + "[" + strconv.Itoa(i) + "]" }

// Image returns image i. With one channel it shares the source's memory.
func (s *IDX) Image(ctx context.Context, i int) (*Image, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	n := s.height * s.width
	grey := s.pix[i*n : (i+1)*n : (i+1)*n]
	if s.channels == 1 {
		return &Image{Channels: 1, Height: s.height, Width: s.width, Pix: grey}, nil
	}
	m := New(s.channels, s.height, s.width)
	for c := range s.channels {
		copy(m.Plane(c), grey)
	}
	return m, nil
}

// Label is the label of image i, if a file of labels was given.
func (s *IDX) Label(i int) (int, bool) {
	if s.labels == nil {
		return 0, false
	}
	return int(s.labels[i]), true
}

// Classes are "0", "1", … up to the highest label.
func (s *IDX) Classes() []string { return s.classes }
