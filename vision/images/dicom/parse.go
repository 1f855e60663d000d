package dicom

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxInflated is the most bytes that a deflated file may unpack to.
const maxInflated = 1 << 30

// maxDepth is how deep sequences may lie in one another.
const maxDepth = 32

// undefined is the length of what ends with a delimiter.
const undefined = 0xffffffff

// tag is a group and an element.
type tag uint32

func (t tag) String() string { return fmt.Sprintf("(%04x,%04x)", uint32(t)>>16, uint32(t)&0xffff) }

// The tags that are read.
const (
	tagTransferSyntax tag = 0x00020010
	tagSamples        tag = 0x00280002
	tagPhotometric    tag = 0x00280004
	tagPlanar         tag = 0x00280006
	tagFrames         tag = 0x00280008
	tagRows           tag = 0x00280010
	tagColumns        tag = 0x00280011
	tagAllocated      tag = 0x00280100
	tagStored         tag = 0x00280101
	tagHighBit        tag = 0x00280102
	tagSigned         tag = 0x00280103
	tagPadding        tag = 0x00280120
	tagPaddingLimit   tag = 0x00280121
	tagWindowCentre   tag = 0x00281050
	tagWindowWidth    tag = 0x00281051
	tagIntercept      tag = 0x00281052
	tagSlope          tag = 0x00281053
	tagWindowFunction tag = 0x00281056
	tagRedDescriptor  tag = 0x00281101
	tagRed            tag = 0x00281201
	tagSegmentedRed   tag = 0x00281221
	tagModalityLUT    tag = 0x00283000
	tagLUTDescriptor  tag = 0x00283002
	tagLUT            tag = 0x00283006
	tagVOILUT         tag = 0x00283010
	tagFrameVOI       tag = 0x00289132
	tagFrameTransform tag = 0x00289145
	tagSharedGroups   tag = 0x52009229
	tagPerFrameGroups tag = 0x52009230
	tagFloatPixels    tag = 0x7fe00008
	tagDoublePixels   tag = 0x7fe00009
	tagPixels         tag = 0x7fe00010
	tagItem           tag = 0xfffee000
	tagItemDelimiter  tag = 0xfffee00d
	tagSequenceEnd    tag = 0xfffee0dd
	implicitLittle        = "1.2.840.10008.1.2"
	deflatedLittle        = "1.2.840.10008.1.2.1.99"
	explicitBig           = "1.2.840.10008.1.2.2"
	explicitLittle        = "1.2.840.10008.1.2.1"
	preamble              = 128
)

// element is one of the values of a dataset.
type element struct {
	vr        string // "" if the file does not say
	value     []byte
	items     []dataset // of a sequence
	fragments [][]byte  // of encapsulated pixels, the first of which is the table of offsets
}

// dataset has the elements that this package reads, those of the groups 0028, 5200 and 7fe0.
type dataset struct {
	order    binary.ByteOrder
	elements map[tag]element
}

func (d dataset) has(t tag) bool { _, ok := d.elements[t]; return ok }

// integer is a value of 16 or 32 bits, or a number in text.
func (d dataset) integer(t tag, missing int) (int, error) {
	e, ok := d.elements[t]
	if !ok || len(e.value) == 0 {
		return missing, nil
	}
	if e.vr == "IS" || e.vr == "" && t == tagFrames {
		text := strings.Trim(string(first(e.value)), " \x00")
		if text == "" {
			return missing, nil
		}
		v, err := strconv.Atoi(text)
		if err != nil {
			return 0, fmt.Errorf("%v = %q: expected an integer", t, text)
		}
		return v, nil
	}
	switch len(e.value) {
	case 2:
		return int(d.order.Uint16(e.value)), nil
	case 4:
		return int(d.order.Uint32(e.value)), nil
	}
	return 0, fmt.Errorf("%v has %d bytes: expected an integer of 2 or 4", t, len(e.value))
}

// first is the first of several values in text.
func first(b []byte) []byte {
	b, _, _ = bytes.Cut(b, []byte(`\`))
	return b
}

func (d dataset) text(t tag) string { return strings.Trim(string(first(d.elements[t].value)), " \x00") }

// decimal is the first number of a value in text; ok is false if there is none.
func (d dataset) decimal(t tag) (v float64, ok bool, err error) {
	text := d.text(t)
	if text == "" {
		return 0, false, nil
	}
	v, err = strconv.ParseFloat(text, 64)
	if err != nil || v-v != 0 {
		return 0, false, fmt.Errorf("%v = %q: expected a number", t, text)
	}
	return v, true, nil
}

// words are values of 16 bits.
func (d dataset) words(t tag) []uint16 {
	b := d.elements[t].value
	w := make([]uint16, len(b)/2)
	for i := range w {
		w[i] = d.order.Uint16(b[2*i:])
	}
	return w
}

// Match reports whether a file begins as DICOM does: with "DICM" behind a preamble, or, as old files without one, with an
// element of group 2 or 8.
func Match(head []byte) bool {
	if len(head) >= preamble+4 && string(head[preamble:preamble+4]) == "DICM" {
		return true
	}
	if len(head) < 16 || (head[0] != 2 && head[0] != 8) || head[1] != 0 || head[3] != 0 {
		return false
	}
	// Little-endian: a VR and a short length, or a length of 32 bits, and the next element in the same group.
	n := int(binary.LittleEndian.Uint32(head[4:]))
	if isVR(head[4:6]) {
		n = int(binary.LittleEndian.Uint16(head[6:]))
	}
	return n <= len(head)-10 && head[8+n] == head[0] && head[9+n] == 0
}

func isVR(b []byte) bool { return b[0] >= 'A' && b[0] <= 'Z' && b[1] >= 'A' && b[1] <= 'Z' }

// parse reads a file up to its pixels, and returns its transfer syntax.
func parse(data []byte) (d dataset, syntax string, err error) {
	r := &reader{data: data, order: binary.LittleEndian, explicit: true}
	if len(data) >= preamble+4 && string(data[preamble:preamble+4]) == "DICM" {
		r.at = preamble + 4
	}
	for {
		group, ok := r.peekGroup()
		if !ok {
			return d, "", errors.New("the file ends in its header")
		}
		if group != 2 {
			break
		}
		t, e, err := r.element(0)
		if err != nil {
			return d, "", err
		}
		if t == tagTransferSyntax {
			syntax = strings.Trim(string(e.value), " \x00")
		}
	}
	if syntax == "" {
		syntax = implicitLittle
		if b := r.data[r.at:]; len(b) >= 6 && isVR(b[4:]) {
			syntax = explicitLittle
		}
	}
	switch syntax {
	case implicitLittle:
		r.explicit = false
	case explicitBig:
		r.order = binary.BigEndian
	case deflatedLittle:
		z := flate.NewReader(bytes.NewReader(r.data[r.at:]))
		inflated, err := io.ReadAll(io.LimitReader(z, maxInflated+1))
		if len(inflated) > maxInflated {
			err = fmt.Errorf("it unpacks to more than %d bytes", maxInflated)
		}
		if err != nil {
			return d, "", fmt.Errorf("deflated file: %w", err)
		}
		r.data, r.at = inflated, 0
	}
	d, err = r.dataset(len(r.data), 0)
	return d, syntax, err
}

// reader takes elements from a file.
type reader struct {
	data     []byte // up to the end of what is being read
	at       int
	order    binary.ByteOrder
	explicit bool
}

func (r *reader) peekGroup() (uint16, bool) {
	if len(r.data)-r.at < 8 {
		return 0, false
	}
	return r.order.Uint16(r.data[r.at:]), true
}

// dataset reads elements up to an end, or a delimiter of an item, or the pixels.
func (r *reader) dataset(end, depth int) (dataset, error) {
	d := dataset{r.order, map[tag]element{}}
	if depth > maxDepth {
		return d, fmt.Errorf("sequences of more than %d levels", maxDepth)
	}
	for r.at < end {
		t, e, err := r.element(depth)
		if err != nil {
			return d, err
		}
		if t == tagItemDelimiter {
			break
		}
		switch uint32(t) >> 16 {
		case 0x0028, 0x5200, 0x7fe0:
			d.elements[t] = e
		}
		if depth == 0 && (t == tagPixels || t == tagFloatPixels || t == tagDoublePixels) { // and not an icon's
			break
		}
	}
	return d, nil
}

// element reads an element whole.
func (r *reader) element(depth int) (t tag, e element, err error) {
	start := r.at
	fail := func(what string) (tag, element, error) {
		return t, e, fmt.Errorf("element %v at byte %d: %s", t, start, what)
	}
	if len(r.data)-r.at < 8 {
		return fail("the file ends in it")
	}
	b := r.data[r.at:]
	t = tag(uint32(r.order.Uint16(b))<<16 | uint32(r.order.Uint16(b[2:])))
	r.at += 8
	length := r.order.Uint32(b[4:])
	if uint32(t)>>16 != 0xfffe && r.explicit && isVR(b[4:]) {
		e.vr = string(b[4:6])
		length = uint32(r.order.Uint16(b[6:]))
		switch e.vr {
		case "OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV":
			if len(b) < 12 {
				return fail("the file ends in it")
			}
			length = r.order.Uint32(b[8:])
			r.at += 4
		}
	}
	switch {
	case t == tagItemDelimiter || t == tagSequenceEnd:
		return t, e, nil
	case t == tagPixels && length == undefined:
		e.fragments, err = r.fragments()
		return t, e, err
	case length == undefined || e.vr == "SQ" || (e.vr == "" || e.vr == "UN") && sequence(t):
		if e.vr == "UN" { // its elements are implicit, whatever the file's are
			explicit, order := r.explicit, r.order
			r.explicit, r.order = false, binary.LittleEndian
			defer func() { r.explicit, r.order = explicit, order }()
		}
		if length == undefined {
			e.items, err = r.items(len(r.data), depth+1)
			return t, e, err
		}
		if int64(length) > int64(len(r.data)-r.at) {
			return fail(fmt.Sprintf("%d bytes: the file ends before", length))
		}
		end := r.at + int(length)
		if sequence(t) {
			whole := r.data
			r.data = whole[:end]
			e.items, err = r.items(end, depth+1)
			r.data = whole
		}
		r.at = end
		return t, e, err
	}
	if int64(length) > int64(len(r.data)-r.at) {
		return fail(fmt.Sprintf("%d bytes: the file ends before", length))
	}
	e.value = r.data[r.at : r.at+int(length)]
	r.at += int(length)
	return t, e, nil
}

// sequence reports whether a tag is of a sequence that is read.
func sequence(t tag) bool {
	switch t {
	case tagModalityLUT, tagVOILUT, tagFrameVOI, tagFrameTransform, tagSharedGroups, tagPerFrameGroups:
		return true
	}
	return false
}

// items reads the items of a sequence up to an end or its delimiter.
func (r *reader) items(end, depth int) (items []dataset, err error) {
	for r.at < end {
		if len(r.data)-r.at < 8 {
			return nil, fmt.Errorf("the file ends in a sequence, at byte %d", r.at)
		}
		b := r.data[r.at:]
		t := tag(uint32(r.order.Uint16(b))<<16 | uint32(r.order.Uint16(b[2:])))
		length := r.order.Uint32(b[4:])
		r.at += 8
		switch {
		case t == tagSequenceEnd:
			return items, nil
		case t != tagItem:
			return nil, fmt.Errorf("element %v at byte %d of a sequence: expected an item", t, r.at-8)
		}
		whole := r.data
		if length != undefined {
			if int64(length) > int64(len(r.data)-r.at) {
				return nil, fmt.Errorf("item of %d bytes at byte %d: the file or its sequence ends before", length, r.at)
			}
			r.data = whole[:r.at+int(length)]
		}
		d, err := r.dataset(len(r.data), depth)
		if length != undefined {
			r.at = len(r.data)
		}
		r.data = whole
		if err != nil {
			return nil, err
		}
		items = append(items, d)
	}
	return items, nil
}

// fragments reads encapsulated pixels.
func (r *reader) fragments() (all [][]byte, err error) {
	for {
		if len(r.data)-r.at < 8 {
			return nil, errors.New("the file ends in its pixels")
		}
		b := r.data[r.at:]
		t := tag(uint32(r.order.Uint16(b))<<16 | uint32(r.order.Uint16(b[2:])))
		length := r.order.Uint32(b[4:])
		r.at += 8
		if t == tagSequenceEnd {
			break
		}
		if t != tagItem {
			return nil, fmt.Errorf("element %v at byte %d of the pixels: expected an item", t, r.at-8)
		}
		if int64(length) > int64(len(r.data)-r.at) {
			return nil, fmt.Errorf("a fragment of %d bytes at byte %d of the pixels: the file ends before", length, r.at)
		}
		all = append(all, r.data[r.at:r.at+int(length)])
		r.at += int(length)
	}
	if len(all) < 2 {
		return nil, errors.New("it has no fragment of pixels")
	}
	return all, nil
}
