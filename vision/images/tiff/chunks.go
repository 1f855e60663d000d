package tiff

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/image/tiff/lzw"

	"github.com/gojepa/gojepa/vision/images/raster"
)

// read fills r from all strips or tiles.
func (p *page) read(r *raster.Raster) error {
	samples := p.chunkSamples()
	rowBytes := (p.chunkWidth*samples*p.bits + 7) / 8
	buf := make([]byte, rowBytes*p.chunkHeight)
	planes := p.samples / samples
	for i := range planes * p.down * p.across {
		plane, y, x := i/(p.down*p.across), i/p.across%p.down*p.chunkHeight, i%p.across*p.chunkWidth
		rows := p.chunkHeight
		if p.chunkWidth == p.width { // strips end with the image; tiles may not
			rows = min(rows, p.height-y)
		}
		b := buf[:rowBytes*rows]
		there, err := p.chunk(b, i, rows)
		if err != nil {
			return fmt.Errorf("strip or tile %d of %d: %w", i, planes*p.down*p.across, err)
		}
		h, w := min(rows, p.height-y), min(p.chunkWidth, p.width-x)
		for c := range samples {
			dst := r.Plane(plane + c)
			for row := range h {
				line := dst[(y+row)*p.width+x:][:w]
				switch {
				case there:
					p.numbers(line, b[row*rowBytes:][:rowBytes], c, samples)
				case p.hasNoData:
					for k := range line {
						line[k] = float32(math.NaN())
					}
				}
			}
		}
	}
	return nil
}

// numbers reads sample c of the pixels of a row.
func (p *page) numbers(dst []float32, row []byte, c, samples int) {
	if p.bits == 8 || p.bits == 16 || p.bits >= 32 {
		order := p.f.order
		if p.predictor == 3 {
			order = binary.BigEndian // which is how the predictor leaves them
		}
		p.t.Numbers(dst, row[c*p.t.Size():], samples*p.t.Size(), order)
		return
	}
	for x := range dst {
		var v uint32
		at := (x*samples + c) * p.bits
		for k := at; k < at+p.bits; k++ {
			v = v<<1 | uint32(row[k/8]>>(7-k%8)&1)
		}
		dst[x] = float32(v)
	}
}

// chunk decodes strip or tile i into dst, which holds so many rows of it. It reports false if a sparse file leaves it out.
func (p *page) chunk(dst []byte, i, rows int) (bool, error) {
	offset, ok1 := p.offsets.integer(uint64(i))
	count, ok2 := p.counts.integer(uint64(i))
	if !ok1 || !ok2 {
		return false, errors.New("its offset or its size is no integer")
	}
	if offset == 0 && count == 0 {
		return false, nil
	}
	src, err := p.f.at(offset, count)
	if err != nil {
		return false, err
	}
	if p.reversed && p.compression != jpegCodec {
		src = bytes.Clone(src)
		for k, b := range src {
			src[k] = bits.Reverse8(b)
		}
	}
	switch p.compression {
	case none:
		err = full(dst, copy(dst, src))
	case packBits:
		err = full(dst, unpackBits(dst, src))
	case jpegCodec:
		err = p.jpeg(dst, src, rows)
	case lzwCodec:
		z := lzw.NewReader(bytes.NewReader(src), lzw.MSB, 8)
		_, err = io.ReadFull(z, dst)
		err = errors.Join(err, z.Close())
	case deflate, oldDeflate:
		var z io.ReadCloser
		if z, err = zlib.NewReader(bytes.NewReader(src)); err == nil {
			_, err = io.ReadFull(z, dst)
		}
	case zstdCodec:
		var z *zstd.Decoder
		z, err = zstd.NewReader(bytes.NewReader(src), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(128<<20))
		if err == nil {
			_, err = io.ReadFull(z, dst)
			z.Close()
		}
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", map[uint64]string{
			none: "plain", packBits: "PackBits", jpegCodec: "JPEG", lzwCodec: "LZW", deflate: "Deflate", oldDeflate: "Deflate", zstdCodec: "Zstandard",
		}[p.compression], err)
	}
	p.undo(dst, rows)
	return true, nil
}

func full(dst []byte, n int) error {
	if n < len(dst) {
		return fmt.Errorf("it ends after %d of %d bytes", n, len(dst))
	}
	return nil
}

// unpackBits decodes runs, and returns how many bytes it wrote.
func unpackBits(dst, src []byte) int {
	n := 0
	for n < len(dst) && len(src) > 1 {
		head := int(int8(src[0]))
		src = src[1:]
		switch {
		case head >= 0:
			k := min(head+1, len(src))
			n += copy(dst[n:], src[:k])
			src = src[k:]
		case head > -128:
			for k := 0; k < 1-head && n < len(dst); k++ {
				dst[n] = src[0]
				n++
			}
			src = src[1:]
		}
	}
	return n
}

// undo undoes the predictor: numbers less their left neighbours of the same band, and for floats the bytes of a row apart,
// the highest ones first, less the byte on the left.
func (p *page) undo(b []byte, rows int) {
	if p.predictor == 1 {
		return
	}
	samples, row := p.chunkSamples(), len(b)/rows
	for ; len(b) > 0; b = b[row:] {
		line := b[:row]
		if p.predictor == 3 {
			floats(line, samples, p.t.Size())
			continue
		}
		order := p.f.order
		switch p.bits {
		case 8:
			for i := samples; i < row; i++ {
				line[i] += line[i-samples]
			}
		case 16:
			for i := 2 * samples; i < row; i += 2 {
				order.PutUint16(line[i:], order.Uint16(line[i:])+order.Uint16(line[i-2*samples:]))
			}
		case 32:
			for i := 4 * samples; i < row; i += 4 {
				order.PutUint32(line[i:], order.Uint32(line[i:])+order.Uint32(line[i-4*samples:]))
			}
		case 64:
			for i := 8 * samples; i < row; i += 8 {
				order.PutUint64(line[i:], order.Uint64(line[i:])+order.Uint64(line[i-8*samples:]))
			}
		}
	}
}

// floats undoes predictor 3 of a row, and leaves big-endian floats.
func floats(line []byte, samples, size int) {
	for i := samples; i < len(line); i++ {
		line[i] += line[i-samples]
	}
	n := len(line) / size
	apart := bytes.Clone(line)
	for i := range n {
		for k := range size {
			line[i*size+k] = apart[k*n+i]
		}
	}
}
