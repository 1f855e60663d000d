package views

import (
	"math"

	"github.com/gojepa/gojepa/vision/images"
)

// floatCanvas is a canvas of float samples, 0 being black and 1 white. It computes as torchvision does on float images,
// but for samples beyond that range, which measurements may have: brightness, contrast, saturation and noise keep results
// within 0 and 1, or within the crop's own range where that is wider, so that nothing is cut that was there before; hue
// turns what there is.
type floatCanvas struct {
	kernels  kernels
	resizer  resizer
	blurrer  blurrer
	rows     []float32
	pix      []float32
	spare    []float32
	normals  chunk
	channels int
	side     int
	lo, hi   float32 // the range of results
}

func newFloatCanvas(k kernels) *floatCanvas {
	return &floatCanvas{kernels: k, resizer: resizer{kernels: k}}
}

func (c *floatCanvas) start(m *images.Image, r rect, size int, kind Interpolation, flipH, flipV bool) {
	c.channels, c.side = m.Channels, size
	c.crop(c.pix, m, r, size, size, rect{height: size, width: size}, kind, flipH, flipV)
	c.lo, c.hi = 0, 1
	for _, v := range c.pix {
		c.lo, c.hi = min(c.lo, v), max(c.hi, v)
	}
}

// crop is resizer.crop for floats.
func (c *floatCanvas) crop(dst []float32, m *images.Image, r rect, height, width int, keep rect, kind Interpolation, flipH, flipV bool) {
	across, down := &c.resizer.across, &c.resizer.down
	across.set(r.left, r.width, width, kind, flipH)
	down.set(r.top, r.height, height, kind, flipV)
	lo, hi := down.reach(keep.top, keep.height)
	c.rows = grow(c.rows, (hi-lo)*keep.width)
	for ch := range m.Channels {
		plane := m.FloatPlane(ch)
		for y := lo; y < hi; y++ {
			row, out := plane[y*m.Width:][:m.Width], c.rows[(y-lo)*keep.width:][:keep.width]
			for i := range out {
				o := keep.left + i
				in := row[across.first[o]:][:across.size[o]]
				if across.exact {
					out[i] = in[0]
					continue
				}
				sum := 0.0
				for k, w := range across.real[o*across.taps:][:len(in)] {
					sum += float64(w * float64(in[k]))
				}
				out[i] = float32(sum)
			}
		}
		for i := range keep.height {
			o := keep.top + i
			out := dst[(ch*keep.height+i)*keep.width:][:keep.width]
			first := int(down.first[o]) - lo
			if down.exact {
				copy(out, c.rows[first*keep.width:])
				continue
			}
			clear(out)
			for k, w := range down.real[o*down.taps:][:down.size[o]] {
				w := float32(w)
				for x, v := range c.rows[(first+k)*keep.width:][:keep.width] {
					out[x] += float32(w * v)
				}
			}
		}
	}
}

func (c *floatCanvas) turn(quarters int, mirror bool) {
	c.spare = grow(c.spare, c.side*c.side)
	turn(c.pix, c.spare, c.side, quarters, mirror)
}

func (c *floatCanvas) rotate(angle float64, smooth bool, fill float64) {
	c.spare = append(c.spare[:0], c.pix...)
	sin, cos := math.Sincos(angle * math.Pi / 180)
	rotate(c.pix, c.spare, c.side, sin, cos, smooth, float32(fill), func(v float32) float32 { return v })
}

// planes are the three channels.
func (c *floatCanvas) planes() (r, g, b []float32) {
	n := c.side * c.side
	return c.pix[:n:n], c.pix[n : 2*n : 2*n], c.pix[2*n : 3*n : 3*n]
}

// scale makes v·factor + offset of each sample.
func (c *floatCanvas) scale(factor, offset float32) {
	for i, v := range c.pix {
		c.pix[i] = min(max(float32(v*factor)+offset, c.lo), c.hi)
	}
}

func (c *floatCanvas) brightness(factor float64) { c.scale(float32(factor), 0) }

func floatLuma(r, g, b float32) float32 {
	return float32(r*0.2989) + float32(g*0.587) + float32(b*0.114)
}

// contrast blends with the mean luma, of 3 channels, or the mean of all samples.
func (c *floatCanvas) contrast(factor float64) {
	sum, n := 0.0, len(c.pix)
	if c.channels == 3 {
		r, g, b := c.planes()
		for i := range r {
			sum += float64(floatLuma(r[i], g[i], b[i]))
		}
		n = len(r)
	} else {
		for _, v := range c.pix {
			sum += float64(v)
		}
	}
	c.scale(float32(factor), float32(sum/float64(n))*float32(1-factor))
}

func (c *floatCanvas) saturation(factor float64) {
	f, rest := float32(factor), float32(1-factor)
	r, g, b := c.planes()
	for i := range r {
		l := floatLuma(r[i], g[i], b[i]) * rest
		r[i] = min(max(float32(r[i]*f)+l, c.lo), c.hi)
		g[i] = min(max(float32(g[i]*f)+l, c.lo), c.hi)
		b[i] = min(max(float32(b[i]*f)+l, c.lo), c.hi)
	}
}

// hue keeps the largest and the smallest sample of a pixel, as hue in colour.go does.
func (c *floatCanvas) hue(turns float64) {
	rs, gs, bs := c.planes()
	sixths := float32(6 * turns)
	for i := range rs {
		r, g, b := rs[i], gs[i], bs[i]
		most, least := max(r, g, b), min(r, g, b)
		chroma := most - least
		if chroma == 0 {
			continue
		}
		var h float32
		switch most {
		case r:
			h = (g - b) / chroma
		case g:
			h = 2 + (b-r)/chroma
		default:
			h = 4 + (r-g)/chroma
		}
		sector, f := turned(h, sixths)
		third := least + float32(chroma*f)
		if sector&1 == 1 {
			third = most - float32(chroma*f)
		}
		rs[i], gs[i], bs[i] = pixel(sector, most, third, least)
	}
}

func (c *floatCanvas) grey() {
	r, g, b := c.planes()
	for i := range r {
		l := floatLuma(r[i], g[i], b[i])
		r[i], g[i], b[i] = l, l, l
	}
}

func (c *floatCanvas) blur(kernel int, sigma float64) {
	z, side, radius := &c.blurrer, c.side, kernel/2
	z.prepare(side, radius, sigma)
	for pix := c.pix; len(pix) > 0; pix = pix[side*side:] {
		for y := range side {
			copy(z.padded[radius:], pix[y*side:][:side])
			z.across(z.rows[(y+radius)*side:][:side], radius)
		}
		z.mirrorRows(side, radius)
		for y := range side {
			copy(pix[y*side:][:side], z.sumDown(y+radius, side))
		}
	}
}

func (c *floatCanvas) noise(seed uint64, mean, sigma float64) {
	c.normals.each(c.kernels, len(c.pix), seed, func(at int, z []float32) { c.addNoise(at, z, mean, sigma) })
}

func (c *floatCanvas) addNoise(at int, z []float32, mean, sigma float64) {
	m, s := float32(mean), float32(sigma)
	for i, x := range z {
		c.pix[at+i] = min(max(c.pix[at+i]+(m+float32(x*s)), c.lo), c.hi)
	}
}

func (c *floatCanvas) solarize(threshold int) {
	t := float32(threshold) / 255
	for i, v := range c.pix {
		if v >= t {
			c.pix[i] = 1 - v
		}
	}
}

func (c *floatCanvas) drop(channel int, fill float64) {
	n := c.side * c.side
	for i := range c.pix[channel*n:][:n] {
		c.pix[channel*n+i] = float32(fill)
	}
}

// floats is m with samples of 8 bits as floats, in the memory of dst.
func floats(dst *images.Image, m *images.Image) *images.Image {
	*dst = images.Image{Channels: m.Channels, Height: m.Height, Width: m.Width, Float: images.AppendFloats(dst.Float[:0], m.Pix)}
	return dst
}

// finite reports whether all samples are numbers.
func finite(samples []float32) bool {
	for _, v := range samples {
		if math.Float32bits(v)&0x7f800000 == 0x7f800000 {
			return false
		}
	}
	return true
}
