package dicom

import (
	"errors"
	"fmt"
	"math"

	"github.com/gojepa/gojepa/vision/images/raster"
)

// scale makes the modality's units of stored values, and says what black and white are.
func (p *picture) scale(r *raster.Raster, frame int, window bool) error {
	if p.samples == 3 {
		r.Integers(p.stored, p.signed)
		r.Colour = true
		return nil
	}
	if err := p.pad(r); err != nil {
		return err
	}
	r.Integers(p.stored, p.signed)
	if err := p.modality(r, frame); err != nil {
		return err
	}
	if window {
		if err := p.window(r, frame); err != nil {
			return err
		}
	}
	if p.photometric == "MONOCHROME1" {
		r.Low, r.High = r.High, r.Low
	}
	return nil
}

// group is the dataset that has what a frame says in one of its functional groups: its own, the one that all share, or
// the file's.
func (p *picture) group(sequence tag, frame int) dataset {
	for _, t := range []tag{tagPerFrameGroups, tagSharedGroups} {
		items := p.d.elements[t].items
		if t == tagSharedGroups {
			frame = 0
		}
		if frame < len(items) {
			if inner := items[frame].elements[sequence].items; len(inner) > 0 {
				return inner[0]
			}
		}
	}
	return p.d
}

// pad marks what the file says is padding.
func (p *picture) pad(r *raster.Raster) error {
	if !p.d.has(tagPadding) {
		return nil
	}
	low, err1 := p.d.integer(tagPadding, 0)
	high, err2 := p.d.integer(tagPaddingLimit, low)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if p.signed {
		low, high = int(int16(low)), int(int16(high))
	}
	low, high = min(low, high), max(low, high)
	for i, v := range r.Samples {
		if v >= float32(low) && v <= float32(high) {
			r.Samples[i] = float32(math.NaN())
		}
	}
	return nil
}

func (p *picture) modality(r *raster.Raster, frame int) error {
	if items := p.d.elements[tagModalityLUT].items; len(items) > 0 {
		t, err := items[0].table(tagLUTDescriptor, tagLUT, p.signed)
		if err != nil {
			return fmt.Errorf("modality LUT: %w", err)
		}
		t.apply(r)
		return nil
	}
	g := p.group(tagFrameTransform, frame)
	slope, given, err1 := g.decimal(tagSlope)
	intercept, _, err2 := g.decimal(tagIntercept)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if !given {
		slope = 1
	}
	if slope == 1 && intercept == 0 {
		return nil
	}
	for i, v := range r.Samples {
		r.Samples[i] = float32(float64(v)*slope + intercept)
	}
	low, high := r.Low*slope+intercept, r.High*slope+intercept
	r.Low, r.High = min(low, high), max(low, high)
	return nil
}

// window makes the first window or table for display, if there is one, what black and white are.
func (p *picture) window(r *raster.Raster, frame int) error {
	g := p.group(tagFrameVOI, frame)
	if items := g.elements[tagVOILUT].items; len(items) > 0 {
		t, err := items[0].table(tagLUTDescriptor, tagLUT, p.signed)
		if err != nil {
			return fmt.Errorf("VOI LUT: %w", err)
		}
		t.apply(r)
		r.Window = true
		return nil
	}
	c, ok1, err1 := g.decimal(tagWindowCentre)
	w, ok2, err2 := g.decimal(tagWindowWidth)
	if err := errors.Join(err1, err2); err != nil || !ok1 || !ok2 {
		return err
	}
	function := g.text(tagWindowFunction)
	switch {
	case (function == "" || function == "LINEAR") && w >= 1:
		// PS3.3 C.11.2.1.2.1: from centre − 0.5 − (width − 1)/2 on. A width of 1 is a step.
		half := max((w-1)/2, 1e-3)
		r.Low, r.High = c-0.5-half, c-0.5+half
	case function == "LINEAR_EXACT" && w > 0:
		r.Low, r.High = c-w/2, c+w/2
	case function == "SIGMOID" && w > 0:
		for i, v := range r.Samples {
			r.Samples[i] = float32(1 / (1 + math.Exp(-4*(float64(v)-c)/w)))
		}
		r.Low, r.High = 0, 1
	default:
		return fmt.Errorf("window of width %g and function %q: expected at least 1 for LINEAR, more than 0 for LINEAR_EXACT or SIGMOID", w, function)
	}
	r.Window = true
	return nil
}

// table is a lookup table.
type table struct {
	first   int // value of the first entry
	bits    int
	entries []uint16
}

// table reads a descriptor and entries. Whether the first value is signed, the pixels say.
func (d dataset) table(descriptor, entries tag, signed bool) (t table, err error) {
	words := d.words(descriptor)
	if len(words) != 3 {
		return t, fmt.Errorf("descriptor %v has %d values, expected 3", descriptor, len(words))
	}
	n := int(words[0])
	if n == 0 {
		n = 1 << 16
	}
	t.first, t.bits = int(words[1]), int(words[2])
	if signed {
		t.first = int(int16(words[1]))
	}
	if t.bits < 8 || t.bits > 16 {
		return t, fmt.Errorf("entries of %d bits, expected 8 to 16", t.bits)
	}
	b := d.elements[entries].value
	switch {
	case len(b) >= 2*n:
		t.entries = d.words(entries)[:n]
	case len(b) >= n && t.bits == 8: // packed
		for _, v := range b[:n] {
			t.entries = append(t.entries, uint16(v))
		}
	default:
		return t, fmt.Errorf("%d bytes of entries %v, expected %d of %d bits", len(b), entries, n, t.bits)
	}
	return t, nil
}

func (t table) at(v float32) float32 {
	return float32(t.entries[min(max(int(v)-t.first, 0), len(t.entries)-1)])
}

// apply replaces values by entries.
func (t table) apply(r *raster.Raster) {
	for i, v := range r.Samples {
		if v == v {
			r.Samples[i] = t.at(v)
		}
	}
	r.Integers(t.bits, false)
}

// lookUp makes RGB of a palette's indices.
func (p *picture) lookUp(indices *raster.Raster) (*raster.Raster, error) {
	if p.d.has(tagSegmentedRed) {
		return nil, errors.New("segmented palettes are not supported")
	}
	r := raster.New(3, p.Height, p.Width)
	r.Colour = true
	for c := range 3 {
		t, err := p.d.table(tagRedDescriptor+tag(c), tagRed+tag(c), p.signed)
		if err != nil {
			return nil, fmt.Errorf("palette: %w", err)
		}
		r.Integers(t.bits, false)
		plane := r.Plane(c)
		for i, v := range indices.Samples {
			plane[i] = t.at(v)
		}
	}
	return r, nil
}
