package views

import (
	"encoding/binary"
	"math"
)

// kernels are the loops over samples of 8 bits. There are two kinds: plain, in Go, and those of kernels.c, which are vector
// code and are used where cgo is. They give the same bytes.
type kernels interface {
	// rows resamples n rows of src, of the given stride, by outputs from to from+count of a. What follows the rows in src
	// may be read. The scratch is of scratchSize samples.
	rows(dst, src []uint8, n, stride int, a *axis, from, count int, scratch []uint8)
	// columns resamples down the columns of src, width samples to a row, whose first row is lo, and writes rows from to
	// from+n of a.
	columns(dst, src []uint8, lo int, a *axis, from, n, width int)
	// scale makes x·factor + offset of each sample.
	scale(pix []uint8, factor, offset float32)
	// lumaSum is the sum of the pixels' luma.
	lumaSum(r, g, b []uint8) uint64
	// saturation makes x·factor + luma·rest of each sample.
	saturation(r, g, b []uint8, factor, rest float32)
	// grey replaces the samples of each pixel by its luma.
	grey(r, g, b []uint8)
	// hue turns the hue by so many sixths of a turn.
	hue(r, g, b []uint8, turn float32)
	// solarize inverts samples from threshold on.
	solarize(pix []uint8, threshold int)
	// normals gives what normal in noise.go does.
	normals(dst []float32, seed uint64, from uint32)
	// addNoise adds mean + z·sigma, rounded towards 0, to each sample.
	addNoise(pix []uint8, z []float32, mean, sigma float32)
	// rotate turns planes of side×side samples as rotate in canvas.go does, from src to dst.
	rotate(dst, src []uint8, side int, sin, cos float64, smooth bool, fill float32)
	// blur convolves a plane of side×side samples across and down with z.weights, mirrored at the edges. The other
	// memory of z is large enough.
	blur(plane []uint8, side int, z *blurrer)
}

// scratchSize is what rows needs: a row, and the weights of count outputs once more, with 32 bytes for four of them.
func scratchSize(stride, pitch, count int) int {
	return stride + pitch + 64 + (count+16)*(2*pitch+8)
}

// plain is the kernels in Go. They compute in float32 in torchvision's order, with conversions between a product and a sum:
// without them a compiler may fuse the two, and views would differ between machines.
type plain struct{}

func (plain) rows(dst, src []uint8, n, stride int, a *axis, from, count int, _ []uint8) {
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
			for k, w := range a.weights[o*a.pitch:][:len(in)] {
				sum += int32(w) * int32(in[k])
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
		w := a.weights[o*a.pitch:][:n]
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

func (plain) columns(dst, src []uint8, lo int, a *axis, from, n, width int) {
	for i := range n {
		o := from + i
		out := dst[i*width:][:width]
		in := src[(int(a.first[o])-lo)*width:][:int(a.size[o])*width]
		w := a.weights[o*a.pitch:][:a.size[o]]
		x := 0
		if !a.signed {
			x = a.eightColumns(out, in, w, width)
		}
		round := int32(1) << a.shift >> 1
		for ; x < width; x++ {
			sum := round
			for k, v := range w {
				sum += int32(v) * int32(in[k*width+x])
			}
			out[x] = clamp(sum >> a.shift)
		}
	}
}

// eightColumns does the columns eight at a time, as far as they go, and returns how many it did. As in fourRows, two sums
// share a word.
func (a *axis) eightColumns(out, in []uint8, w []int16, width int) int {
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

// truncate is how torchvision makes bytes of numbers.
func truncate(v float32) uint8 {
	if v <= 0 {
		return 0
	}
	if v >= 255 {
		return 255
	}
	return uint8(int32(v))
}

func (plain) scale(pix []uint8, factor, offset float32) {
	var t [256]uint8
	for v := range t {
		t[v] = truncate(float32(float32(v)*factor) + offset)
	}
	for i, v := range pix {
		pix[i] = t[v]
	}
}

// Luma with torchvision's weights, 0.2989, 0.587 and 0.114 in float32, rounded down: exact integer arithmetic in units of
// 2^-27.
const (
	lumaR = 40117680 // float32(0.2989) · 2^27
	lumaG = 78785808
	lumaB = 15300821
)

func luma(r, g, b uint8) uint8 {
	return uint8((uint64(r)*lumaR + uint64(g)*lumaG + uint64(b)*lumaB) >> 27)
}

func (plain) lumaSum(rs, gs, bs []uint8) (sum uint64) {
	for i, r := range rs {
		sum += uint64(luma(r, gs[i], bs[i]))
	}
	return sum
}

// The sum of a sample's part, rounded to float32, and luma's part, which is not, is rounded once: what a fused
// multiply-add of float32 gives, as PyTorch's kernel uses.
func (plain) saturation(rs, gs, bs []uint8, factor, rest float32) {
	var own, grey [256]float64
	for v := range own {
		own[v], grey[v] = float64(float32(v)*factor), float64(v)*float64(rest)
	}
	for i, r := range rs {
		g, b := gs[i], bs[i]
		l := grey[luma(r, g, b)]
		rs[i], gs[i], bs[i] = truncate(float32(own[r]+l)), truncate(float32(own[g]+l)), truncate(float32(own[b]+l))
	}
}

func (plain) grey(rs, gs, bs []uint8) {
	for i, r := range rs {
		l := luma(r, gs[i], bs[i])
		rs[i], gs[i], bs[i] = l, l, l
	}
}

func (plain) solarize(pix []uint8, threshold int) {
	for i, v := range pix {
		if int(v) >= threshold {
			pix[i] = 255 - v
		}
	}
}

// reciprocals are 1/v, and 1 for 0.
var reciprocals = func() (t [256]float32) {
	t[0] = 1
	for v := 1; v < len(t); v++ {
		t[v] = 1 / float32(v)
	}
	return t
}()

func (plain) hue(rs, gs, bs []uint8, turn float32) {
	const stretch = 255.999 / 255
	for i, r := range rs {
		g, b := gs[i], bs[i]
		most, least := max(r, g, b), min(r, g, b)
		if most == least {
			continue
		}
		chroma := float32(most - least)
		// Hue in sixths of a turn, from −1 on.
		var h float32
		switch over := reciprocals[most-least]; most {
		case r:
			h = float32(float32(int(g)-int(b)) * over)
		case g:
			h = 2 + float32(float32(int(b)-int(r))*over)
		default:
			h = 4 + float32(float32(int(r)-int(g))*over)
		}
		sector, f := turned(h, turn)
		var third uint8
		if sector&1 == 0 {
			third = truncate((float32(least) + float32(chroma*f)) * stretch)
		} else {
			third = truncate((float32(most) - float32(chroma*f)) * stretch)
		}
		rs[i], gs[i], bs[i] = pixel(sector, most, third, least)
	}
}

func (plain) normals(dst []float32, seed uint64, from uint32) { normals(dst, seed, from) }

func (plain) addNoise(pix []uint8, z []float32, mean, sigma float32) {
	for i, v := range pix {
		n := mean + float32(z[i]*sigma)
		pix[i] = clamp(int32(v) + int32(min(max(n, -1000), 1000)))
	}
}

func (plain) rotate(dst, src []uint8, side int, sin, cos float64, smooth bool, fill float32) {
	rotate(dst, src, side, sin, cos, smooth, fill, func(v float32) uint8 { return nearest(min(max(v, 0), 255)) })
}

func (plain) blur(plane []uint8, side int, z *blurrer) {
	radius := len(z.weights) - 1
	for y := range side {
		for x, v := range plane[y*side:][:side] {
			z.padded[radius+x] = float32(v)
		}
		z.across(z.rows[(y+radius)*side:][:side], radius)
	}
	z.mirrorRows(side, radius)
	for y := range side {
		out := plane[y*side:][:side]
		for x, v := range z.sumDown(y+radius, side) {
			out[x] = nearest(v)
		}
	}
}

// mirrorRows fills the rows above and below.
func (z *blurrer) mirrorRows(side, radius int) {
	for k := 1; k <= radius; k++ {
		copy(z.rows[(radius-k)*side:][:side], z.rows[(radius+k)*side:])
		copy(z.rows[(radius+side-1+k)*side:][:side], z.rows[(radius+side-1-k)*side:])
	}
}

// across convolves the row in z.padded, whose samples beyond the edges it fills in.
func (z *blurrer) across(dst []float32, radius int) {
	last := len(dst) - 1
	p := z.padded
	for k := 1; k <= radius; k++ {
		p[radius-k], p[radius+last+k] = p[radius+k], p[radius+last-k]
	}
	if radius == 3 {
		w0, w1, w2, w3 := z.weights[0], z.weights[1], z.weights[2], z.weights[3]
		p = p[:len(dst)+6]
		for x := range dst {
			q := p[x : x+7 : x+7]
			dst[x] = float32(w0*q[3]) + float32(w1*(q[2]+q[4])) + float32(w2*(q[1]+q[5])) + float32(w3*(q[0]+q[6]))
		}
		return
	}
	w := z.weights[0]
	for x, v := range p[radius:][:len(dst)] {
		dst[x] = w * v
	}
	for k := 1; k <= radius; k++ {
		w, before, after := z.weights[k], p[radius-k:][:len(dst)], p[radius+k:][:len(dst)]
		for x := range dst {
			dst[x] += float32(w * (before[x] + after[x]))
		}
	}
}

// sumDown is the row of the result that has row y of z.rows in its centre. It is valid until the next call.
func (z *blurrer) sumDown(y, side int) []float32 {
	row := func(y int) []float32 { return z.rows[y*side:][:side] }
	sum := z.sum[:side]
	if len(z.weights) == 4 {
		w0, w1, w2, w3 := z.weights[0], z.weights[1], z.weights[2], z.weights[3]
		a3, a2, a1, c, b1, b2, b3 := row(y-3), row(y-2), row(y-1), row(y), row(y+1), row(y+2), row(y+3)
		for x := range sum {
			sum[x] = float32(w0*c[x]) + float32(w1*(a1[x]+b1[x])) + float32(w2*(a2[x]+b2[x])) + float32(w3*(a3[x]+b3[x]))
		}
		return sum
	}
	w := z.weights[0]
	for x, v := range row(y) {
		sum[x] = w * v
	}
	for k := 1; k < len(z.weights); k++ {
		w, above, below := z.weights[k], row(y-k), row(y+k)
		for x := range sum {
			sum[x] += float32(w * (above[x] + below[x]))
		}
	}
	return sum
}

// nearest rounds a number from 0 to 255, ties to even: adding 2^23 leaves no bits after the point.
func nearest(v float32) uint8 {
	return uint8(math.Float32bits(v + 1<<23))
}
