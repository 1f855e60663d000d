package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// Buffer is memory that one image after the other is read into, so that reading allocates next to nothing. An image that was
// read into it is valid until the next one is. It is not safe for concurrent use; the zero value is ready.
type Buffer struct {
	// Fit, if not nil, is told the size of an image and says by how much it may be reduced as it is decoded: 1, 2, 4 or 8.
	// Decoders that cannot do that, as all but libjpeg-turbo, do not ask.
	Fit func(width, height int) int

	file []byte
	pix  []uint8
	m    Image
}

// Into is a source that can read into a caller's memory.
type Into interface {
	Source
	// ImageInto is Image, in the memory of buf if that is possible. buf is not nil.
	ImageInto(ctx context.Context, i int, buf *Buffer) (*Image, error)
}

// Read reads image i of src into buf if src can do that, and otherwise as it can.
func Read(ctx context.Context, src Source, i int, buf *Buffer) (*Image, error) {
	if s, ok := src.(Into); ok {
		return s.ImageInto(ctx, i, buf)
	}
	return src.Image(ctx, i)
}

// image returns an image of 8-bit samples whose contents are unknown, in memory of its own if b is nil.
func (b *Buffer) image(channels, height, width int) *Image {
	if b == nil {
		return New(channels, height, width)
	}
	b.pix = grow(b.pix, channels*height*width)
	b.m = Image{Channels: channels, Height: height, Width: width, Pix: b.pix}
	return &b.m
}

// reduction is what Fit says, or 1.
func (b *Buffer) reduction(width, height int) int {
	if b == nil || b.Fit == nil {
		return 1
	}
	by := b.Fit(width, height)
	if by != 1 && by != 2 && by != 4 && by != 8 {
		panic(fmt.Sprintf("images: Buffer.Fit(%d, %d) is %d, expected 1, 2, 4 or 8", width, height, by))
	}
	return by
}

// grow returns s with length n, and unknown contents. Where it has to allocate, it takes more than that.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/4)
	}
	return s[:n]
}

// readFile reads a whole file into the buffer, or into memory of its own if b is nil.
func (b *Buffer) readFile(path string) ([]byte, error) {
	if b == nil {
		return os.ReadFile(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b.file = b.file[:0]
	for size := 1 << 16; ; size *= 2 {
		if info, err := f.Stat(); err == nil && info.Size() < 1<<40 {
			size = max(size, int(info.Size())+1) // one more, to meet the end
		}
		b.file = append(grow(b.file, size)[:0], b.file...)
		n, err := io.ReadFull(f, b.file[len(b.file):size])
		b.file = b.file[:len(b.file)+n]
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return b.file, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
	}
}
