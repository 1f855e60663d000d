// Package chroma turns the luma and chroma of JPEG into RGB as libjpeg does, smooth upsampling included.
package chroma

import "image"

// The conversion of JFIF in fixed point of 16 bits, as libjpeg has it: R = Y + 1.402 Cr, G = Y − 0.344136 Cb −
// 0.714136 Cr, B = Y + 1.772 Cb, with Cb and Cr less 128.
const (
	crToR = 91881  // round(1.402 · 2^16)
	cbToG = 22554  // round(0.344136286 · 2^16)
	crToG = 46802  // round(0.714136286 · 2^16)
	cbToB = 116130 // round(1.772 · 2^16)
)

// Converter makes RGB of a JPEG's luma and chroma, row after row.
type Converter struct {
	src    *image.YCbCr
	up     *upsampler
	cb, cr []uint8
}

// New is a converter of src, which has bounds from 0.
func New(src *image.YCbCr) *Converter {
	up := newUpsampler(src, src.Rect.Dx())
	return &Converter{src, up, make([]uint8, up.width*up.h), make([]uint8, up.width*up.h)}
}

// Row writes row y. The slices have a sample for each pixel of it.
func (c *Converter) Row(y int, reds, greens, blues []uint8) {
	c.up.row(c.cb, c.src.Cb, y)
	c.up.row(c.cr, c.src.Cr, y)
	toRGB(reds, greens, blues, c.src.Y[y*c.src.YStride:], c.cb, c.cr)
}

// RGB converts one pixel.
func RGB(y, cb, cr uint8) (r, g, b uint8) {
	l, u, v := int32(y)<<16+1<<15, int32(cb)-128, int32(cr)-128
	return clamp((l + crToR*v) >> 16), clamp((l - cbToG*u - crToG*v) >> 16), clamp((l + cbToB*u) >> 16)
}

// toRGB converts a row.
func toRGB(reds, greens, blues, ys, cbs, crs []uint8) {
	n := len(reds)
	greens, blues, ys, cbs, crs = greens[:n], blues[:n], ys[:n], cbs[:n], crs[:n]
	for x := range reds {
		l, u, v := int32(ys[x])<<16+1<<15, int32(cbs[x])-128, int32(crs[x])-128
		reds[x] = clamp((l + crToR*v) >> 16)
		greens[x] = clamp((l - cbToG*u - crToG*v) >> 16)
		blues[x] = clamp((l + cbToB*u) >> 16)
	}
}

func clamp(v int32) uint8 {
	if uint32(v) <= 255 {
		return uint8(v)
	}
	return ^uint8(v >> 31) // 0 below, 255 above
}

// upsampler doubles chroma as libjpeg does by default ("fancy upsampling"): a triangle filter, with weights 3/4 for the
// nearer and 1/4 for the farther sample in each direction that is halved, and edges repeated. Ratios of 4 and 1 are
// repeated without a filter.
type upsampler struct {
	h, v          int // luma samples for one of chroma, across and down
	stride        int
	width, height int // of chroma
	sum           []int32
}

func newUpsampler(s *image.YCbCr, width int) *upsampler {
	u := &upsampler{h: 1, v: 1, stride: s.CStride}
	switch s.SubsampleRatio {
	case image.YCbCrSubsampleRatio422:
		u.h = 2
	case image.YCbCrSubsampleRatio420:
		u.h, u.v = 2, 2
	case image.YCbCrSubsampleRatio440:
		u.v = 2
	case image.YCbCrSubsampleRatio411:
		u.h = 4
	case image.YCbCrSubsampleRatio410:
		u.h, u.v = 4, 2
	}
	u.width = (width + u.h - 1) / u.h
	u.height = (s.Rect.Dy() + u.v - 1) / u.v
	u.sum = make([]int32, u.width)
	return u
}

// row writes row y of a chroma plane at luma's width, rounded up to whole samples of chroma, into dst.
func (u *upsampler) row(dst, plane []uint8, y int) {
	near := plane[y/u.v*u.stride:][:u.width]
	// libjpeg filters across only if there are more than 2 samples to a row, and in neither direction where it has
	// reduced by more than 2.
	switch {
	case u.h == 1 && u.v == 1:
		copy(dst, near)
		return
	case u.h == 4 || u.h == 2 && u.width <= 2:
		for x := range dst {
			dst[x] = near[x/u.h]
		}
		return
	case u.v == 1:
		for x, v := range near {
			u.sum[x] = 4 * int32(v)
		}
		u.across(dst, 4, 8) // of sixteenths, as below: a quarter and a half
		return
	}
	far := plane[min(max(y/2-1+2*(y%2), 0), u.height-1)*u.stride:][:u.width]
	if u.h == 1 {
		bias := uint32(1 + y%2)
		for x, n := range near {
			dst[x] = uint8((3*uint32(n) + uint32(far[x]) + bias) >> 2)
		}
		return
	}
	sum := u.sum[:len(near)]
	for x, n := range near {
		sum[x] = 3*int32(n) + int32(far[x])
	}
	u.across(dst, 8, 7)
}

// across doubles u.sum, which is in quarters, with the given roundings of even and odd samples, in sixteenths.
func (u *upsampler) across(dst []uint8, even, odd int32) {
	sum := u.sum
	last := len(sum) - 1
	dst = dst[:2*len(sum)]
	before, s := sum[0], sum[0]
	for x := range last {
		after := sum[x+1]
		dst[2*x], dst[2*x+1] = uint8((3*s+before+even)>>4), uint8((3*s+after+odd)>>4)
		before, s = s, after
	}
	dst[2*last], dst[2*last+1] = uint8((3*s+before+even)>>4), uint8((3*s+s+odd)>>4)
}
