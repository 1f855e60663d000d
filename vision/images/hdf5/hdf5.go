// Package hdf5 reads arrays of numbers out of HDF5 files, row by row: files as h5py and the HDF5 library write them by default.
//
// Superblocks 0 to 3, object headers 1 and 2, groups as symbol tables or compact links, contiguous, compact and chunked layouts
// with B-trees of version 1, deflate, shuffle and Fletcher 32 (which is not checked), integers, floats and booleans of 8 to 64
// bits. Other filters, types, and the chunk indices and dense groups of libver="latest" are refused by name.
//
// (github.com/scigolib/hdf5 needs a newer Go than this module; others bind the C library.)
package hdf5

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/gojepa/gojepa/vision/images/raster"
)

const (
	signature = "\x89HDF\r\n\x1a\n"
	maxBlock  = 1 << 26 // bytes of metadata that are read at once
	maxNodes  = 1 << 20 // of trees, and objects
	maxDepth  = 64
	maxRank   = 32
)

// Match reports whether a file begins as HDF5 does.
func Match(head []byte) bool { return bytes.HasPrefix(head, []byte(signature)) }

// File is an open file. It is safe for concurrent use.
type File struct {
	r        io.ReaderAt
	size     int64
	base     uint64
	offsets  int // bytes of an address
	lengths  int
	datasets map[string]uint64 // addresses of objects that are no groups
	names    []string
}

// Open reads the groups of a file of so many bytes.
func Open(r io.ReaderAt, size int64) (*File, error) {
	f := &File{r: r, size: size, datasets: map[string]uint64{}}
	root, err := f.superblock()
	if err != nil {
		return nil, err
	}
	visited := map[uint64]bool{}
	if err := f.walk(root, "", visited, 0); err != nil {
		return nil, err
	}
	sort.Strings(f.names)
	return f, nil
}

// Datasets are the paths of all objects that are not groups, in order, without a slash in front.
func (f *File) Datasets() []string { return f.names }

// at reads n bytes at an address of the file.
func (f *File) at(address uint64, n int) ([]byte, error) {
	at := address + f.base
	if at < address || n < 0 || n > maxBlock || at > uint64(f.size) || uint64(n) > uint64(f.size)-at {
		return nil, fmt.Errorf("%d bytes at %d: the file has %d", n, at, f.size)
	}
	b := make([]byte, n)
	if _, err := f.r.ReadAt(b, int64(at)); err != nil && !(errors.Is(err, io.EOF) && int64(at)+int64(n) == f.size) {
		return nil, err
	}
	return b, nil
}

var errShort = errors.New("a structure that ends early")

// cursor takes little-endian numbers from the front of bytes. Behind their end it gives zeros and remembers.
type cursor struct {
	b    []byte
	over bool
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.over = true
		c.b = nil
		return make([]byte, min(max(n, 0), 64))
	}
	out := c.b[:n]
	c.b = c.b[n:]
	return out
}

func (c *cursor) number(n int) uint64 {
	var v uint64
	for i, b := range c.take(n) {
		v |= uint64(b) << (8 * i)
	}
	return v
}

func (f *File) superblock() (root uint64, err error) {
	for at := uint64(0); ; at = max(512, 2*at) {
		b, err := f.at(at, 8)
		if err != nil || at > 1<<20 {
			return 0, errors.New("no HDF5 signature")
		}
		if string(b) == signature {
			f.base = at
			break
		}
	}
	b, err := f.at(0, int(min(128, f.size-int64(f.base))))
	if err != nil {
		return 0, err
	}
	c := &cursor{b: b[8:]}
	version := c.number(1)
	switch version {
	case 0, 1:
		c.take(4)
		f.offsets, f.lengths = int(c.number(1)), int(c.number(1))
		c.take(9)
		if version == 1 {
			c.take(4)
		}
	case 2, 3:
		f.offsets, f.lengths = int(c.number(1)), int(c.number(1))
		c.take(1)
	default:
		return 0, fmt.Errorf("superblock of version %d", version)
	}
	for _, n := range []int{f.offsets, f.lengths} {
		if n != 2 && n != 4 && n != 8 {
			return 0, fmt.Errorf("addresses of %d bytes", n)
		}
	}
	base := c.number(f.offsets)
	if version < 2 {
		c.take(4 * f.offsets) // free space, end, driver, name of the root
	} else {
		c.take(2 * f.offsets)
	}
	root = c.number(f.offsets)
	if c.over {
		return 0, errShort
	}
	f.base = base
	return root, nil
}

// message is a part of an object's header.
type message struct {
	kind  int
	flags byte
	data  []byte
}

// The kinds of messages that are read.
const (
	kindSpace        = 0x01
	kindLinkInfo     = 0x02
	kindType         = 0x03
	kindLink         = 0x06
	kindLayout       = 0x08
	kindFilters      = 0x0b
	kindContinuation = 0x10
	kindSymbols      = 0x11
)

// header reads an object's messages.
func (f *File) header(address uint64) ([]message, error) {
	b, err := f.at(address, 16)
	if err != nil {
		return nil, err
	}
	type span struct {
		address uint64
		n       int
	}
	var spans []span
	v2, order := string(b[:4]) == "OHDR", false
	if v2 {
		if b, err = f.at(address, int(min(64, uint64(f.size)-address-f.base))); err != nil {
			return nil, err
		}
		c := &cursor{b: b[5:]}
		flags := c.number(1)
		order = flags&4 != 0
		if flags&0x20 != 0 {
			c.take(16)
		}
		if flags&0x10 != 0 {
			c.take(4)
		}
		n := c.number(1 << (flags & 3))
		if c.over || n > maxBlock {
			return nil, errShort
		}
		spans = []span{{address + uint64(len(b)-len(c.b)), int(n)}}
	} else {
		if b[0] != 1 {
			return nil, fmt.Errorf("object header of version %d at %d", b[0], address)
		}
		spans = []span{{address + 16, int(min(binary.LittleEndian.Uint32(b[8:]), maxBlock))}}
	}
	var all []message
	for i := 0; i < len(spans); i++ {
		if i > 1024 {
			return nil, errors.New("an object header in more than 1024 pieces")
		}
		b, err := f.at(spans[i].address, spans[i].n)
		if err != nil {
			return nil, err
		}
		if v2 && i > 0 {
			if len(b) < 8 || string(b[:4]) != "OCHK" {
				return nil, errors.New("a broken object header")
			}
			b = b[4 : len(b)-4]
		}
		for c := (&cursor{b: b}); len(c.b) >= 4; {
			var m message
			var n int
			if v2 {
				m.kind, n, m.flags = int(c.number(1)), int(c.number(2)), byte(c.number(1))
				if order {
					c.take(2)
				}
			} else {
				m.kind, n, m.flags = int(c.number(2)), int(c.number(2)), byte(c.number(1))
				c.take(3)
			}
			if m.data = c.take(n); c.over {
				return nil, errShort
			}
			if m.kind == kindContinuation {
				k := &cursor{b: m.data}
				s := span{k.number(f.offsets), int(min(k.number(f.lengths), maxBlock))}
				spans = append(spans, s)
			}
			all = append(all, m)
		}
	}
	return all, nil
}

// walk finds what is below a group.
func (f *File) walk(address uint64, path string, visited map[uint64]bool, depth int) error {
	if visited[address] {
		return nil
	}
	if visited[address] = true; len(visited) > maxNodes || depth > maxDepth {
		return fmt.Errorf("more than %d objects, or %d levels of groups", maxNodes, maxDepth)
	}
	messages, err := f.header(address)
	if err != nil {
		return fmt.Errorf("object %q: %w", path, err)
	}
	group := false
	for _, m := range messages {
		c := &cursor{b: m.data}
		switch m.kind {
		case kindSymbols:
			group = true
			tree, heap := c.number(f.offsets), c.number(f.offsets)
			names, err := f.heap(heap)
			if err == nil {
				err = f.symbols(tree, names, path, visited, depth)
			}
			if err != nil {
				return fmt.Errorf("group %q: %w", path, err)
			}
		case kindLinkInfo:
			group = true
			flags := c.take(2)[1]
			if flags&1 != 0 {
				c.take(8)
			}
			if heap := c.number(f.offsets); heap != f.nowhere() {
				return fmt.Errorf("group %q: links in a fractal heap are not supported: write it with libver=\"earliest\"", path)
			}
		case kindLink:
			group = true
			name, to, hard := f.link(c)
			if c.over {
				return fmt.Errorf("group %q: %w", path, errShort)
			}
			if hard {
				if err := f.walk(to, joined(path, name), visited, depth+1); err != nil {
					return err
				}
			}
		}
	}
	if !group && path != "" {
		f.datasets[path] = address
		f.names = append(f.names, path)
	}
	return nil
}

func joined(path, name string) string {
	if path == "" {
		return name
	}
	return path + "/" + name
}

// nowhere is the address that means none.
func (f *File) nowhere() uint64 { return ^uint64(0) >> (64 - 8*f.offsets) }

// link reads a link message; hard is false for links by name.
func (f *File) link(c *cursor) (name string, to uint64, hard bool) {
	c.take(1)
	flags, kind := c.number(1), uint64(0)
	if flags&8 != 0 {
		kind = c.number(1)
	}
	if flags&4 != 0 {
		c.take(8)
	}
	if flags&16 != 0 {
		c.take(1)
	}
	n := c.number(1 << (flags & 3))
	if n > uint64(len(c.b)) {
		c.over = true
		return "", 0, false
	}
	name = string(c.take(int(n)))
	if kind != 0 {
		return name, 0, false
	}
	return name, c.number(f.offsets), true
}

// heap is the text of a local heap.
func (f *File) heap(address uint64) ([]byte, error) {
	b, err := f.at(address, 8+2*f.lengths+f.offsets)
	if err != nil {
		return nil, err
	}
	c := &cursor{b: b}
	if string(c.take(4)) != "HEAP" {
		return nil, errors.New("no local heap where one should be")
	}
	c.take(4)
	n := c.number(f.lengths)
	c.take(f.lengths)
	if n > maxBlock {
		return nil, fmt.Errorf("a local heap of %d bytes", n)
	}
	return f.at(c.number(f.offsets), int(n))
}

// node reads a node of a tree of version 1: its level and, behind each key, a child.
func (f *File) node(address uint64, kind byte, keySize int) (level int, entries []byte, n int, err error) {
	head := 8 + 2*f.offsets
	b, err := f.at(address, head)
	if err != nil {
		return 0, nil, 0, err
	}
	if string(b[:4]) != "TREE" || b[4] != kind {
		return 0, nil, 0, fmt.Errorf("no node of a tree at %d", address)
	}
	n = int(binary.LittleEndian.Uint16(b[6:]))
	entries, err = f.at(address+uint64(head), n*(keySize+f.offsets))
	return int(b[5]), entries, n, err
}

func (f *File) symbols(address uint64, names []byte, path string, visited map[uint64]bool, depth int) error {
	if visited[address] || depth > maxDepth {
		return errors.New("a tree that runs in a circle")
	}
	visited[address] = true
	level, b, n, err := f.node(address, 0, f.lengths)
	if err != nil {
		return err
	}
	c := &cursor{b: b}
	for range n {
		c.take(f.lengths)
		child := c.number(f.offsets)
		if level > 0 {
			if err := f.symbols(child, names, path, visited, depth+1); err != nil {
				return err
			}
			continue
		}
		head, err := f.at(child, 8)
		if err != nil {
			return err
		}
		if string(head[:4]) != "SNOD" {
			return errors.New("no table of symbols where one should be")
		}
		count := int(binary.LittleEndian.Uint16(head[6:]))
		b, err := f.at(child+8, count*(2*f.offsets+24))
		if err != nil {
			return err
		}
		s := &cursor{b: b}
		for range count {
			name, to, kind := s.number(f.offsets), s.number(f.offsets), s.number(4)
			s.take(20)
			if name >= uint64(len(names)) {
				return errors.New("a name outside of its heap")
			}
			text, _, _ := bytes.Cut(names[name:], []byte{0})
			const symbolicLink = 2
			if kind == symbolicLink {
				continue
			}
			if err := f.walk(to, joined(path, string(text)), visited, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// Dataset is an array of numbers. It is safe for concurrent use.
type Dataset struct {
	f       *File
	Name    string
	Shape   []int
	Type    raster.Type
	Order   binary.ByteOrder
	Boolean bool

	row     int64  // bytes of an index of the first dimension
	data    []byte // of a compact layout
	address uint64 // of a contiguous one
	chunk   []int  // of a chunked one
	chunks  map[int64]stored
	filters []int
}

// stored is where a chunk is.
type stored struct {
	address uint64
	size    int
	skipped uint32 // filters, as bits
}

// Dataset opens an array, which has at least one dimension.
func (f *File) Dataset(path string) (*Dataset, error) {
	address, ok := f.datasets[path]
	if !ok {
		return nil, fmt.Errorf("there is no dataset %q: it has %q", path, f.names[:min(len(f.names), 8)])
	}
	messages, err := f.header(address)
	if err != nil {
		return nil, fmt.Errorf("dataset %q: %w", path, err)
	}
	d := &Dataset{f: f, Name: path, Order: binary.LittleEndian}
	for _, kind := range []int{kindSpace, kindType, kindFilters, kindLayout} { // in the order in which they need each other
		found := kind == kindFilters
		for _, m := range messages {
			if m.kind != kind || found && kind != kindFilters {
				continue
			}
			found = true
			c := &cursor{b: m.data}
			switch {
			case m.flags&2 != 0:
				err = errors.New("a shared type or space is not supported")
			case kind == kindSpace:
				err = d.readSpace(c)
			case kind == kindType:
				err = d.readType(c)
			case kind == kindFilters:
				err = d.readFilters(c)
			default:
				err = d.readLayout(c)
			}
			if err == nil && c.over {
				err = errShort
			}
			if err != nil {
				return nil, fmt.Errorf("dataset %q: %w", path, err)
			}
		}
		if !found {
			return nil, fmt.Errorf("dataset %q: it says nothing of its shape, type or layout", path)
		}
	}
	return d, nil
}

func (d *Dataset) readSpace(c *cursor) error {
	version, rank := c.number(1), int(c.number(1))
	switch version {
	case 1:
		c.take(6)
	case 2:
		c.take(2)
	default:
		return fmt.Errorf("a space of version %d", version)
	}
	if rank < 1 || rank > maxRank {
		return fmt.Errorf("%d dimensions: expected 1 to %d", rank, maxRank)
	}
	total := int64(8) // bytes of the largest element
	for range rank {
		n := c.number(d.f.lengths)
		if n > 1<<40 || int64(n) > (1<<56)/total {
			return fmt.Errorf("a dimension of %d: too large", n)
		}
		total *= max(int64(n), 1)
		d.Shape = append(d.Shape, int(n))
	}
	return nil
}

func (d *Dataset) readType(c *cursor) error {
	head, bits, size := c.number(1), c.number(3), c.number(4)
	const fixed, float, enum = 0, 1, 8
	if head&15 == enum && size == 1 { // h5py's booleans
		d.Boolean = true
		head, bits, size = c.number(1), c.number(3), c.number(4)
	}
	d.Type.Bits = int(min(size, 1<<20)) * 8
	if bits&1 != 0 {
		d.Order = binary.BigEndian
	}
	if size != 1 && size != 2 && size != 4 && size != 8 || head&15 == float && size == 1 || head&15 != fixed && head&15 != float {
		return fmt.Errorf("elements of class %d and %d bytes: expected integers or floats of up to 8", head&15, size)
	}
	if head&15 == float {
		d.Type.Kind = raster.Float
	} else if bits&8 != 0 && !d.Boolean {
		d.Type.Kind = raster.Signed
	}
	d.row = int64(size)
	for _, n := range d.Shape[1:] {
		d.row *= int64(n)
	}
	return nil
}
