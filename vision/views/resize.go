package views

import (
	"encoding/binary"
	"math"

	"github.com/gojepa/gojepa/vision/images"
)

// axis is resampling along one direction: output i is the sum over k < size[i] of weights[i·taps+k] · input[first[i]+k].
// Weights are integers, shift bits after the point; so PyTorch resizes uint8 images on the CPU, and the same integers give the same bytes.
type axis struct {
	first, size []int32
	weights     []int32
	taps        int
	shift       uint
	exact       bool // output i is input first[i]
	signed      bool // a weight may be negative

	real []float64 // weights before they are rounded
}

// grow returns s with length n, and unknown contents.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// set computes the weights from in samples, which begin at offset, to out. Reversed gives the outputs in the opposite order.
func (a *axis) set(offset, in, out int, kind Interpolation, reversed bool) {
	a.exact, a.signed = in == out, kind == Bicubic
	a.first, a.size = grow(a.first, out), grow(a.size, out)
	if a.exact {
		for i := range out {
			j := i
			if reversed {
				j = out - 1 - i
			}
			a.first[j], a.size[j] = int32(offset+i), 1
		}
		return
	}
	reach, filter := 1.0, triangle
	if kind == Bicubic {
		reach, filter = 2.0, cubic
	}
	scale := float64(in) / float64(out)
	support, inverse := reach, 1.0
	if scale >= 1 {
		support, inverse = reach*scale, 1/scale
	}
	a.taps = int(math.Ceil(support))*2 + 1
	a.real, a.weights = grow(a.real, out*a.taps), grow(a.weights, out*a.taps)
	most := 0.0
	for i := range out {
		j := i
		if reversed {
			j = out - 1 - i
		}
		centre := float64(scale * (float64(i) + 0.5)) // the conversion keeps this from being fused, where that is possible
		lo := max(int(centre-support+0.5), 0)
		n := min(max(min(int(centre+support+0.5), in)-lo, 0), a.taps)
		a.first[j], a.size[j] = int32(offset+lo), int32(n)
		w := a.real[j*a.taps:][:n]
		total := 0.0
		for k := range w {
			w[k] = filter((float64(k+lo) - centre + 0.5) * inverse)
			total += w[k]
		}
		for k := range w {
			w[k] /= total
			most = max(most, w[k])
		}
	}
	// As many bits as leave the largest weight within 16, sign included.
	for a.shift = 0; a.shift < 22 && int(0.5+most*float64(int(1)<<(a.shift+1))) < 1<<15; a.shift++ {
	}
	one := float64(int(1) << a.shift)
	for j := range out {
		for k := range int(a.size[j]) {
			a.weights[j*a.taps+k] = int32(math.Round(a.real[j*a.taps+k] * one))
		}
	}
}

func triangle(x float64) float64 {
	return max(0, 1-math.Abs(x))
}

// cubic is Keys' kernel with a = −1/2.
func cubic(x float64) float64 {
	const a = -0.5
	x = math.Abs(x)
	switch {
	case x < 1:
		return float64((float64((a+2)*x)-(a+3))*x*x) + 1
	case x < 2:
		return (float64((float64((x-5)*x)+8)*x) - 4) * a
	}
	return 0
}

// rect is a part of an image, in pixels.
type rect struct {
	top, left, height, width int
}

// resizer is the scratch of resizing.
type resizer struct {
	across, down axis
	rows         []uint8 // the crop's rows, resized across
}

// crop resizes the part r of m to height × width and keeps, of the result, the part keep. flipH and flipV mirror. dst has
// the kept pixels, planar. Across is done before down, with bytes between, as PyTorch does it.
func (z *resizer) crop(dst []uint8, m *images.Image, r rect, height, width int, keep rect, kind Interpolation, flipH, flipV bool) {
	z.across.set(r.left, r.width, width, kind, flipH)
	z.down.set(r.top, r.height, height, kind, flipV)
	// The rows of m that the kept rows of the result need.
	lo, hi := m.Height, 0
	for i := keep.top; i < keep.top+keep.height; i++ {
		lo = min(lo, int(z.down.first[i]))
		hi = max(hi, int(z.down.first[i]+z.down.size[i]))
	}
	z.rows = grow(z.rows, (hi-lo)*keep.width)
	n := keep.height * keep.width
	for c := range m.Channels {
		z.across.rows(z.rows, m.Plane(c)[lo*m.Width:hi*m.Width], m.Width, keep.left, keep.width)
		z.down.columns(dst[c*n:(c+1)*n], z.rows, lo, keep.top, keep.height, keep.width)
	}
}

// rows resamples each row of src, of the given stride, and writes outputs from to from+count of it.
func (a *axis) rows(dst, src []uint8, stride, from, count int) {
	n := len(src) / stride
	if a.exact {
		for y := range n {
			row, out := src[y*stride:][:stride], dst[y*count:][:count]
			if first := int(a.first[from]); count == 1 || a.first[from+1] > a.first[from] {
				copy(out, row[first:])
				continue
			}
			for i := range out {
				out[i] = row[a.first[from+i]]
			}
		}
		return
	}
	y := 0
	if !a.signed {
		for ; y+4 <= n; y += 4 {
			a.fourRows(dst[y*count:][:4*count], src[y*stride:][:4*stride], stride, from, count)
		}
	}
	round := int32(1) << a.shift >> 1
	for ; y < n; y++ {
		row, out := src[y*stride:][:stride], dst[y*count:][:count]
		for i := range out {
			o := from + i
			in := row[a.first[o]:][:a.size[o]]
			sum := round
			for k, w := range a.weights[o*a.taps:][:len(in)] {
				sum += w * int32(in[k])
			}
			out[i] = clamp(sum >> a.shift)
		}
	}
}

// fourRows is rows for four of them, and weights that are not negative. Sums of two rows share a 64-bit word: as weights
// add up to one, that is at most 2^22, they stay below 2^31 and nothing carries over.
func (a *axis) fourRows(dst, src []uint8, stride, from, count int) {
	r0, r1, r2, r3 := src[:stride], src[stride:2*stride], src[2*stride:3*stride], src[3*stride:4*stride]
	d0, d1, d2, d3 := dst[:count], dst[count:2*count], dst[2*count:3*count], dst[3*count:4*count]
	round := uint64(1)<<a.shift>>1 | uint64(1)<<a.shift>>1<<32
	shift := a.shift & 31
	for i := range count {
		o := from + i
		f, n := int(a.first[o]), int(a.size[o])
		w := a.weights[o*a.taps:][:n]
		i0, i1, i2, i3 := r0[f:][:n], r1[f:][:n], r2[f:][:n], r3[f:][:n]
		s, t := round, round
		for k, v := range w {
			s += uint64(v) * (uint64(i0[k]) | uint64(i1[k])<<32)
			t += uint64(v) * (uint64(i2[k]) | uint64(i3[k])<<32)
		}
		// The weights' sum may exceed one by a rounding, so that 255 may become 256.
		d0[i] = uint8(min(uint32(s)>>shift, 255))
		d1[i] = uint8(min(uint32(s>>32)>>shift, 255))
		d2[i] = uint8(min(uint32(t)>>shift, 255))
		d3[i] = uint8(min(uint32(t>>32)>>shift, 255))
	}
}

// columns resamples down the columns of src, width bytes to a row, whose first row is lo, and writes rows from to
// from+count.
func (a *axis) columns(dst, src []uint8, lo, from, count, width int) {
	for i := range count {
		o := from + i
		first := int(a.first[o]) - lo
		out := dst[i*width:][:width]
		if a.exact {
			copy(out, src[first*width:])
			continue
		}
		in := src[first*width:][:int(a.size[o])*width]
		w := a.weights[o*a.taps:][:a.size[o]]
		x := 0
		if !a.signed {
			x = a.eightColumns(out, in, w, width)
		}
		round := int32(1) << a.shift >> 1
		for ; x < width; x++ {
			sum := round
			for k, v := range w {
				sum += v * int32(in[k*width+x])
			}
			out[x] = clamp(sum >> a.shift)
		}
	}
}

// eightColumns does the columns eight at a time, as far as they go, and returns how many it did. As in fourRows, two sums share
// a word.
func (a *axis) eightColumns(out, in []uint8, w []int32, width int) int {
	const pair = 0x000000ff_000000ff
	round := uint64(1)<<a.shift>>1 | uint64(1)<<a.shift>>1<<32
	shift := a.shift & 31
	x := 0
	for ; x+8 <= width; x += 8 {
		s0, s1, s2, s3 := round, round, round, round
		at := x
		for _, v := range w {
			p := binary.LittleEndian.Uint64(in[at : at+8])
			u := uint64(v)
			s0 += u * (p & pair)
			s1 += u * (p >> 8 & pair)
			s2 += u * (p >> 16 & pair)
			s3 += u * (p >> 24 & pair)
			at += width
		}
		o := out[x : x+8 : x+8]
		o[0], o[4] = uint8(min(uint32(s0)>>shift, 255)), uint8(min(uint32(s0>>32)>>shift, 255))
		o[1], o[5] = uint8(min(uint32(s1)>>shift, 255)), uint8(min(uint32(s1>>32)>>shift, 255))
		o[2], o[6] = uint8(min(uint32(s2)>>shift, 255)), uint8(min(uint32(s2>>32)>>shift, 255))
		o[3], o[7] = uint8(min(uint32(s3)>>shift, 255)), uint8(min(uint32(s3>>32)>>shift, 255))
	}
	return x
}

func clamp(v int32) uint8 {
	if uint32(v) <= 255 {
		return uint8(v)
	}
	return ^uint8(v >> 31) // 0 below, 255 above
}
