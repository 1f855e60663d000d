//go:build cgo

package views

// #cgo CFLAGS: -O3
// #cgo linux LDFLAGS: -lm
// #include "kernels.h"
import "C"

import "unsafe"

// fastest are the kernels of this machine.
func fastest() kernels { return compiled{level: C.views_level()} }

// compiled is the kernels in C, for a level of what the processor can do: see kernels.h.
type compiled struct{ level C.int }

// head is where a slice begins. It is not empty.
func head(s []uint8) *C.uint8_t { return (*C.uint8_t)(unsafe.Pointer(&s[0])) }

func reals(s []float32) *C.float { return (*C.float)(unsafe.Pointer(&s[0])) }

func numbers(s []int32) *C.int32_t { return (*C.int32_t)(unsafe.Pointer(&s[0])) }

func (a *axis) weightsFrom(i int) *C.int16_t {
	return (*C.int16_t)(unsafe.Pointer(&a.weights[i*a.pitch]))
}

func (k compiled) rows(dst, src []uint8, n, stride int, a *axis, from, count int, scratch []uint8) {
	_, _ = dst[n*count-1], scratch[scratchSize(stride, a.pitch, count)-1]
	C.views_rows(k.level, head(dst), head(src), C.long(n), C.long(stride), C.long(len(src)-n*stride), C.long(count),
		numbers(a.first[from:from+count]), a.weightsFrom(from), C.long(a.pitch), C.int(a.shift), head(scratch))
}

func (k compiled) columns(dst, src []uint8, lo int, a *axis, from, n, width int) {
	_ = dst[n*width-1]
	C.views_columns(k.level, head(dst), head(src), C.long(lo), C.long(n), C.long(width),
		numbers(a.first[from:from+n]), numbers(a.size[from:from+n]), a.weightsFrom(from), C.long(a.pitch), C.int(a.shift))
}

func (k compiled) scale(pix []uint8, factor, offset float32) {
	C.views_scale(k.level, head(pix), C.long(len(pix)), C.float(factor), C.float(offset))
}

func (k compiled) lumaSum(r, g, b []uint8) uint64 {
	return uint64(C.views_luma_sum(k.level, head(r), head(g), head(b), C.long(len(r))))
}

func (k compiled) saturation(r, g, b []uint8, factor, rest float32) {
	C.views_saturation(k.level, head(r), head(g), head(b), C.long(len(r)), C.float(factor), C.float(rest))
}

func (k compiled) grey(r, g, b []uint8) {
	C.views_grey(k.level, head(r), head(g), head(b), C.long(len(r)))
}

func (k compiled) hue(r, g, b []uint8, turn float32) {
	C.views_hue(k.level, head(r), head(g), head(b), C.long(len(r)), C.float(turn))
}

func (k compiled) solarize(pix []uint8, threshold int) {
	C.views_solarize(k.level, head(pix), C.long(len(pix)), C.int(threshold))
}

func (k compiled) normals(dst []float32, seed uint64, from uint32) {
	C.views_normals(k.level, reals(dst), C.long(len(dst)), C.uint64_t(seed), C.uint32_t(from), reals(quantiles[:]))
}

func (k compiled) addNoise(pix []uint8, z []float32, mean, sigma float32) {
	C.views_add_noise(k.level, head(pix), reals(z[:len(pix)]), C.long(len(pix)), C.float(mean), C.float(sigma))
}

func (k compiled) rotate(dst, src []uint8, side int, sin, cos float64, smooth bool, fill float32) {
	way := C.int(0)
	if smooth {
		way = 1
	}
	_ = src[len(dst)-1]
	C.views_rotate(k.level, head(dst), head(src), C.long(len(dst)/(side*side)), C.long(side), C.double(sin), C.double(cos), way, C.float(fill))
}

func (k compiled) blur(plane []uint8, side int, z *blurrer) {
	radius := len(z.weights) - 1
	_, _, _ = z.rows[(side+2*radius)*side-1], z.padded[side+2*radius-1], z.sum[side-1]
	C.views_blur(k.level, head(plane), C.long(side), reals(z.weights), C.long(radius), reals(z.rows), reals(z.padded), reals(z.sum))
}
