package hdf5

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"slices"
)

// The filters that are undone.
const (
	filterDeflate  = 1
	filterShuffle  = 2
	filterFletcher = 3
)

var otherFilters = map[int]string{4: "SZIP", 5: "N-bit", 6: "scale and offset", 32000: "LZF", 32001: "Blosc", 32004: "LZ4", 32015: "Zstandard"}

func (d *Dataset) readFilters(c *cursor) error {
	version, n := c.number(1), int(c.number(1))
	if version == 1 {
		c.take(6)
	}
	for range n {
		id := int(c.number(2))
		length := 0
		if version == 1 || id >= 256 {
			length = int(c.number(2))
		}
		c.take(2)
		values := int(c.number(2))
		if version == 1 {
			length = (length + 7) / 8 * 8
			values += values % 2
		}
		c.take(length)
		c.take(4 * values)
		if id < filterDeflate || id > filterFletcher {
			return fmt.Errorf("filter %d (%s) is not supported: expected deflate, shuffle or Fletcher 32", id, otherFilters[id])
		}
		d.filters = append(d.filters, id)
	}
	return nil
}

func (d *Dataset) readLayout(c *cursor) error {
	const compact, contiguous, chunked = 0, 1, 2
	version, class := c.number(1), c.number(1)
	if version != 3 && (version != 4 || class == chunked) {
		return fmt.Errorf("a layout of version %d is not supported: write it with libver=\"earliest\"", version)
	}
	total := d.row * int64(d.Shape[0])
	switch class {
	case compact:
		n := c.number(2)
		if d.data = c.take(int(n)); int64(n) < total {
			return fmt.Errorf("%d bytes of data: expected %d", n, total)
		}
	case contiguous:
		d.address = c.number(d.f.offsets)
		if d.address == d.f.nowhere() {
			return errors.New("it was never written")
		}
		if end := d.address + d.f.base + uint64(total); end > uint64(d.f.size) || end < d.address {
			return fmt.Errorf("%d bytes of data at %d: the file ends before", total, d.address)
		}
	case chunked:
		rank := int(c.number(1)) - 1
		tree := c.number(d.f.offsets)
		if rank != len(d.Shape) {
			return fmt.Errorf("chunks of %d dimensions: expected %d", rank, len(d.Shape))
		}
		size := int64(d.Type.Size())
		for range rank {
			n := int64(c.number(4))
			if n < 1 || n > maxBlock/size {
				return fmt.Errorf("chunks of more than %d bytes, or of none", maxBlock)
			}
			size *= n
			d.chunk = append(d.chunk, int(n))
		}
		d.chunks = map[int64]stored{}
		if tree != d.f.nowhere() {
			return d.index(tree, map[uint64]bool{}, 0)
		}
	default:
		return fmt.Errorf("a layout of class %d is not supported", class)
	}
	return nil
}

// key numbers the chunks by their place in the grid.
func (d *Dataset) key(place []int) int64 {
	k := int64(0)
	for i, p := range place {
		k = k*int64((d.Shape[i]+d.chunk[i]-1)/d.chunk[i]) + int64(p)
	}
	return k
}

// index reads the tree of chunks.
func (d *Dataset) index(address uint64, visited map[uint64]bool, depth int) error {
	if visited[address] || depth > maxDepth || len(visited) > maxNodes {
		return errors.New("a tree of chunks that runs in a circle, or is too large")
	}
	visited[address] = true
	level, b, n, err := d.f.node(address, 1, 8+8*(len(d.Shape)+1))
	if err != nil {
		return err
	}
	c := &cursor{b: b}
	place := make([]int, len(d.Shape))
	for range n {
		s := stored{size: int(min(c.number(4), 1<<31)), skipped: uint32(c.number(4))}
		inside := true
		for i := range place {
			v := c.number(8)
			inside = inside && v < uint64(d.Shape[i]) && v%uint64(d.chunk[i]) == 0
			place[i] = int(v / uint64(d.chunk[i]))
		}
		c.take(8)
		s.address = c.number(d.f.offsets)
		if level > 0 {
			if err := d.index(s.address, visited, depth+1); err != nil {
				return err
			}
		} else if inside { // a dataset that was made smaller leaves others behind
			d.chunks[d.key(place)] = s
		}
	}
	return nil
}

// RowSize is the bytes of an index of the first dimension.
func (d *Dataset) RowSize() int64 { return d.row }

// Row reads index i of the first dimension into dst, RowSize bytes, elements in order. What was never written is 0. Each
// call reads and unpacks the chunks that it needs; none are kept.
func (d *Dataset) Row(dst []byte, i int) error {
	if i < 0 || i >= d.Shape[0] || int64(len(dst)) != d.row {
		return fmt.Errorf("dataset %q: row %d into %d bytes: it has %d rows of %d", d.Name, i, len(dst), d.Shape[0], d.row)
	}
	switch {
	case d.data != nil:
		copy(dst, d.data[int64(i)*d.row:])
		return nil
	case d.chunk == nil:
		_, err := d.f.r.ReadAt(dst, int64(d.f.base+d.address)+int64(i)*d.row)
		if errors.Is(err, io.EOF) {
			err = nil // the last byte of the file was the last one wanted: the size was checked
		}
		return err
	}
	clear(dst)
	grid := make([]int, len(d.Shape))
	place := make([]int, len(d.Shape))
	for k := range grid {
		grid[k] = (d.Shape[k] + d.chunk[k] - 1) / d.chunk[k]
	}
	place[0] = i / d.chunk[0]
	for {
		if err := d.paste(dst, i, place); err != nil {
			return fmt.Errorf("dataset %q: chunk at %v: %w", d.Name, place, err)
		}
		k := len(place) - 1
		for ; k > 0; k-- {
			if place[k]++; place[k] < grid[k] {
				break
			}
			place[k] = 0
		}
		if k <= 0 {
			return nil
		}
	}
}

// paste copies what row i has of a chunk.
func (d *Dataset) paste(dst []byte, i int, place []int) error {
	s, ok := d.chunks[d.key(place)]
	if !ok {
		return nil
	}
	b, err := d.unpack(s)
	if err != nil {
		return err
	}
	size := d.Type.Size()
	rank := len(d.Shape)
	// Lines along the last dimension; a row of one element for one dimension.
	at := make([]int, rank) // in the chunk
	at[0] = i - place[0]*d.chunk[0]
	if rank == 1 {
		copy(dst, b[at[0]*size:])
		return nil
	}
	last := rank - 1
	n := min(d.chunk[last], d.Shape[last]-place[last]*d.chunk[last]) * size
	for {
		from, to := 0, 0
		inside := true
		for k := range rank {
			from = from*d.chunk[k] + at[k]
			if k > 0 {
				v := place[k]*d.chunk[k] + at[k]
				inside = inside && v < d.Shape[k]
				to = to*d.Shape[k] + v
			}
		}
		if inside {
			copy(dst[to*size:][:n], b[from*size:])
		}
		k := last - 1
		for ; k > 0; k-- {
			if at[k]++; at[k] < d.chunk[k] {
				break
			}
			at[k] = 0
		}
		if k <= 0 {
			return nil
		}
	}
}

// unpack reads a chunk and undoes its filters, the last one first.
func (d *Dataset) unpack(s stored) ([]byte, error) {
	b, err := d.f.at(s.address, s.size)
	if err != nil {
		return nil, err
	}
	want := d.Type.Size()
	for _, n := range d.chunk {
		want *= n
	}
	for k, filter := range slices.Backward(d.filters) {
		if s.skipped>>k&1 == 1 {
			continue
		}
		switch filter {
		case filterDeflate:
			z, err := zlib.NewReader(bytes.NewReader(b))
			if err != nil {
				return nil, err
			}
			// A checksum of another filter may lie behind the data.
			if b, err = io.ReadAll(io.LimitReader(z, int64(want)+4)); err != nil {
				return nil, err
			}
		case filterShuffle:
			b = unshuffled(b, d.Type.Size())
		case filterFletcher:
			if len(b) < 4 {
				return nil, errShort
			}
			b = b[:len(b)-4]
		}
	}
	if len(b) < want {
		return nil, fmt.Errorf("%d bytes of %d", len(b), want)
	}
	return b, nil
}

// unshuffled puts together the bytes of elements, of which all first ones come first.
func unshuffled(b []byte, size int) []byte {
	n := len(b) / size
	out := make([]byte, len(b))
	for k := range size {
		for i := range n {
			out[i*size+k] = b[k*n+i]
		}
	}
	copy(out[n*size:], b[n*size:])
	return out
}
