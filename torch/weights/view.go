package weights

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
)

// maxExpansion is how many bytes a tensor, or a compressed part of a file, may
// take beyond the size of the file.
const maxExpansion = 24 << 20

// blob is where the bytes of a storage lie: at off in the file, or compressed
// in an entry of a zip archive.
type blob struct {
	off, size int64
	deflated  *zip.File // nil if stored
	crc       uint32    // of all the bytes, 0 if unknown
	bigEndian bool
}

// view is a tensor's place in a blob; one without a blob is of zeros, or empty.
type view struct {
	*blob
	in        *File // whose bytes they are
	next      *view // what follows it, of a tensor that is put together
	plus      *view // what is added to it, likewise
	dtype     DType
	start     int64 // byte of the blob where offset 0 lies
	offset    int64 // the following count elements
	shape     []int64
	stride    []int64 // nil for C order
	conj, neg bool
}

// read reads the elements into dst, which has just their size.
func (v view) read(r io.ReaderAt, dst []byte) error {
	if v.blob == nil || len(dst) == 0 {
		clear(dst)
		return nil
	}
	var err error
	if v.contiguous() {
		err = v.readRun(r, dst, v.start+v.offset*int64(v.dtype.Size()))
	} else {
		err = v.gather(r, dst)
	}
	if err != nil {
		return err
	}
	if v.bigEndian {
		swapWords(dst, dtypes[v.dtype].word)
	}
	return v.negate(dst)
}

// bytes returns how many bytes read needs.
func (v *view) bytes() int64 { return Info{DType: v.dtype, Shape: v.shape}.Bytes() }

// fill reads the elements, and adds those of v.plus.
func (v *view) fill(dst []byte) error {
	if err := v.read(v.in.r, dst); err != nil || v.plus == nil {
		return err
	}
	more := make([]byte, len(dst))
	if err := v.plus.fill(more); err != nil {
		return err
	}
	return addTo(v.dtype, dst, more)
}

// contiguous reports whether the elements lie in C order without gaps.
func (v view) contiguous() bool {
	if v.stride == nil {
		return true
	}
	want := int64(1)
	for i := len(v.shape) - 1; i >= 0; i-- {
		if v.shape[i] != 1 && v.stride[i] != want {
			return false
		}
		want *= v.shape[i]
	}
	return true
}

// readRun reads the bytes of b from off on. If they are all there is, their
// checksum is compared.
func (b *blob) readRun(r io.ReaderAt, dst []byte, off int64) error {
	if b.deflated == nil {
		if off != 0 || int64(len(dst)) != b.size || b.crc == 0 {
			return readFull(r, dst, b.off+off)
		}
		return b.readChecked(r, dst)
	}
	rc, err := b.deflated.Open()
	if err != nil {
		return err
	}
	defer rc.Close()
	if _, err := io.CopyN(io.Discard, rc, off); err != nil {
		return fmt.Errorf("unpacking: %w", err)
	}
	if _, err := io.ReadFull(rc, dst); err != nil {
		return fmt.Errorf("unpacking: %w", err)
	}
	if off+int64(len(dst)) < b.size {
		return nil
	}
	// Only at the end does the reader of an entry compare the checksum.
	if _, err := io.Copy(io.Discard, rc); err != nil {
		return fmt.Errorf("unpacking: %w", err)
	}
	return nil
}

// readChecked reads all the bytes of b, piece by piece, so that each is still in
// the processor's cache when its checksum is taken.
func (b *blob) readChecked(r io.ReaderAt, dst []byte) error {
	const piece = 256 << 10
	sum := uint32(0)
	for at := 0; at < len(dst); at += piece {
		p := dst[at:min(at+piece, len(dst))]
		if err := readFull(r, p, b.off+int64(at)); err != nil {
			return err
		}
		sum = crc32.Update(sum, crc32.IEEETable, p)
	}
	if sum != b.crc {
		return fmt.Errorf("the data are damaged: %w", zip.ErrChecksum)
	}
	return nil
}

// axis is a dimension of a strided copy. Strides count bytes.
type axis struct{ n, src, dst int64 }

// gather copies a strided view to C order. It walks the storage from front to
// back, whatever the order of the dimensions, so that each part is read once.
func (v view) gather(r io.ReaderAt, dst []byte) error {
	es := int64(v.dtype.Size())
	base := v.off + v.start
	limit := v.off + v.size
	if v.deflated != nil {
		if v.size+int64(len(dst)) > int64(v.deflated.CompressedSize64)+maxExpansion {
			return errors.New("a strided tensor in a compressed entry of this size; save the file again with PyTorch")
		}
		all := make([]byte, v.size)
		if err := v.readRun(r, all, 0); err != nil {
			return err
		}
		r, base, limit = bytes.NewReader(all), v.start, v.size
	}
	axes := v.axes(es)
	inner := axes[len(axes)-1]
	w := window{r: r, limit: limit, cap: 1 << 20}
	if inner.src > 64<<10 {
		w.cap = es
	}
	counter := make([]int64, len(axes))
	src, to := base+v.offset*es, int64(0)
	for {
		for i := int64(0); i < inner.n; {
			buf, err := w.at(src+i*inner.src, es)
			if err != nil {
				return err
			}
			i += copyStrided(dst[to+i*inner.dst:], buf, inner, inner.n-i, es)
		}
		k := len(axes) - 2
		for ; k >= 0; k-- {
			counter[k]++
			src += axes[k].src
			to += axes[k].dst
			if counter[k] < axes[k].n {
				break
			}
			counter[k] = 0
			src -= axes[k].src * axes[k].n
			to -= axes[k].dst * axes[k].n
		}
		if k < 0 {
			return nil
		}
	}
}

// axes returns the dimensions of v longer than 1, those with the longest stride
// in the storage first; at least one.
func (v view) axes(es int64) []axis {
	var axes []axis
	dst := es
	for i := len(v.shape) - 1; i >= 0; i-- {
		if v.shape[i] != 1 {
			axes = append(axes, axis{v.shape[i], v.stride[i] * es, dst})
		}
		dst *= v.shape[i]
	}
	slices.SortStableFunc(axes, func(a, b axis) int {
		switch {
		case a.src > b.src:
			return -1
		case a.src < b.src:
			return 1
		}
		return 0
	})
	if len(axes) == 0 {
		axes = append(axes, axis{1, es, es})
	}
	return axes
}

// copyStrided copies up to n elements of es bytes that lie within src, and
// returns how many; the first one does.
func copyStrided(dst, src []byte, a axis, n, es int64) int64 {
	if a.src > 0 {
		n = min(n, (int64(len(src))-es)/a.src+1)
	}
	switch es {
	case 2:
		for i := range n {
			*(*[2]byte)(dst[i*a.dst:]) = *(*[2]byte)(src[i*a.src:])
		}
	case 4:
		for i := range n {
			*(*[4]byte)(dst[i*a.dst:]) = *(*[4]byte)(src[i*a.src:])
		}
	default:
		for i := range n {
			copy(dst[i*a.dst:i*a.dst+es], src[i*a.src:i*a.src+es])
		}
	}
	return n
}

// window reads a file through a buffer that moves forwards.
type window struct {
	r     io.ReaderAt
	limit int64 // end of the storage
	cap   int64
	start int64
	buf   []byte
}

// at returns the bytes from off on that are at hand, at least n of them.
func (w *window) at(off, n int64) ([]byte, error) {
	if off >= w.start && off+n <= w.start+int64(len(w.buf)) {
		return w.buf[off-w.start:], nil
	}
	size := min(w.cap, w.limit-off)
	if int64(cap(w.buf)) < size {
		w.buf = make([]byte, size)
	}
	w.start, w.buf = off, w.buf[:size]
	return w.buf, readFull(w.r, w.buf, off)
}

// swapWords reverses the bytes of each word.
func swapWords(b []byte, word int) {
	if word == 1 {
		return
	}
	for ; len(b) >= word; b = b[word:] {
		slices.Reverse(b[:word])
	}
}

// negate applies the flags of PyTorch's lazy conjugates and negatives, which
// flip signs of numbers already in dst.
func (v view) negate(dst []byte) error {
	if !v.conj && !v.neg {
		return nil
	}
	if v.conj && !v.dtype.complex() || v.neg && !v.dtype.signed() {
		return fmt.Errorf("a lazy conjugate or negative of %v", v.dtype)
	}
	word := dtypes[v.dtype].word
	for i := 0; i+word <= len(dst); i += word {
		imaginary := v.dtype.complex() && i/word%2 == 1
		if v.neg != (v.conj && imaginary) {
			dst[i+word-1] ^= 0x80
		}
	}
	return nil
}
