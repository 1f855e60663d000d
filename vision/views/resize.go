package views

import (
	"math"

	"github.com/gojepa/gojepa/vision/images"
)

// axis is resampling along one direction: output i is the sum over k < size[i] of weights[i·pitch+k] · input[first[i]+k].
// Weights are integers, shift bits after the point; so PyTorch resizes uint8 images on the CPU, and the same integers give
// the same bytes. Weights from size[i] to pitch are 0.
type axis struct {
	first, size []int32
	weights     []int16
	pitch       int // 4, or a multiple of 8
	shift       uint
	exact       bool // output i is input first[i]
	signed      bool // a weight may be negative

	taps int       // for each output in real
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
	a.real = grow(a.real, out*a.taps)
	most, longest := 0.0, 0
	for i := range out {
		j := i
		if reversed {
			j = out - 1 - i
		}
		centre := float64(scale * (float64(i) + 0.5)) // the conversion keeps this from being fused, where that is possible
		lo := max(int(centre-support+0.5), 0)
		n := min(max(min(int(centre+support+0.5), in)-lo, 0), a.taps)
		a.first[j], a.size[j] = int32(offset+lo), int32(n)
		longest = max(longest, n)
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
	a.pitch = 4
	if longest > 4 {
		a.pitch = (longest + 7) / 8 * 8
	}
	a.weights = grow(a.weights, out*a.pitch)
	one := float64(int(1) << a.shift)
	for j := range out {
		w := a.weights[j*a.pitch:][:a.pitch]
		n := int(a.size[j])
		for k, x := range a.real[j*a.taps:][:n] {
			w[k] = int16(math.Round(x * one))
		}
		clear(w[n:])
	}
}

// reach is from which input on, up to which, the outputs from to from+count are made.
func (a *axis) reach(from, count int) (lo, hi int) {
	lo = math.MaxInt
	for i := from; i < from+count; i++ {
		lo, hi = min(lo, int(a.first[i])), max(hi, int(a.first[i]+a.size[i]))
	}
	return lo, hi
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
	kernels      kernels
	across, down axis
	rows         []uint8 // the crop's rows, resized across
	row          []uint8 // for kernels
}

// crop resizes the part r of m to height × width and keeps, of the result, the part keep. flipH and flipV mirror. dst has
// the kept pixels, planar. Across is done before down, with bytes between, as PyTorch does it.
func (z *resizer) crop(dst []uint8, m *images.Image, r rect, height, width int, keep rect, kind Interpolation, flipH, flipV bool) {
	z.across.set(r.left, r.width, width, kind, flipH)
	z.down.set(r.top, r.height, height, kind, flipV)
	lo, hi := z.down.reach(keep.top, keep.height)
	z.rows = grow(z.rows, (hi-lo)*keep.width)
	z.row = grow(z.row, scratchSize(m.Width, z.across.pitch, keep.width))
	for c := range m.Channels {
		z.resizeAcross(m.Pix[(c*m.Height+lo)*m.Width:], hi-lo, m.Width, keep.left, keep.width)
		z.resizeDown(dst[c*keep.height*keep.width:][:keep.height*keep.width], lo, keep)
	}
}

// resizeAcross resamples n rows of src, of the given stride, and keeps outputs from to from+count of each. What is in src
// after the rows may be read, and does not matter.
func (z *resizer) resizeAcross(src []uint8, n, stride, from, count int) {
	a := &z.across
	if !a.exact {
		z.kernels.rows(z.rows, src, n, stride, a, from, count, z.row)
		return
	}
	for y := range n {
		row, out := src[y*stride:][:stride], z.rows[y*count:][:count]
		if first := int(a.first[from]); count == 1 || a.first[from+1] > a.first[from] {
			copy(out, row[first:])
			continue
		}
		for i := range out {
			out[i] = row[a.first[from+i]]
		}
	}
}

// resizeDown resamples down the columns of z.rows, whose first row is lo, and keeps the rows that are wanted.
func (z *resizer) resizeDown(dst []uint8, lo int, keep rect) {
	a := &z.down
	if !a.exact {
		z.kernels.columns(dst, z.rows, lo, a, keep.top, keep.height, keep.width)
		return
	}
	for i := range keep.height {
		copy(dst[i*keep.width:][:keep.width], z.rows[(int(a.first[keep.top+i])-lo)*keep.width:])
	}
}
