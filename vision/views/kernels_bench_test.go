package views

import (
	"math/rand/v2"
	"testing"
)

// BenchmarkKernels times the steps of a view on their own, by each kind of kernels: nanoseconds of a view of 224 pixels.
func BenchmarkKernels(b *testing.B) {
	m := noise(rand.New(rand.NewPCG(1, 2)), 3, 400, 533)
	const side = 224
	for name, k := range allKernels() {
		z := resizer{kernels: k}
		var blurs blurrer
		pix := make([]uint8, 3*side*side)
		run := func(what string, f func()) {
			b.Run(what+"/"+name, func(b *testing.B) {
				for range b.N {
					f()
				}
			})
		}
		crop := func(kind Interpolation, share int) {
			r := rect{height: m.Height * share / 100, width: m.Width * share / 100}
			z.crop(pix, m, r, side, side, rect{height: side, width: side}, kind, true, false)
		}
		run("crop", func() { crop(Bilinear, 75) })
		run("crop-whole", func() { crop(Bilinear, 100) })
		run("crop-bicubic", func() { crop(Bicubic, 75) })
		run("brightness", func() { brightness(k, pix, 1) })
		run("contrast", func() { contrast(k, pix, 3, 1) })
		run("saturation", func() { saturation(k, pix, 1) })
		run("hue", func() { hue(k, pix, 0.1) })
		run("grey", func() { greyscale(k, pix) })
		run("solarize", func() { k.solarize(pix, 128) })
		on := newByteCanvas(k)
		on.pix, on.channels, on.side = pix, 3, side
		run("rotate", func() { on.rotate(33, true, 0) })
		run("turn", func() { on.turn(1, true) })
		run("noise", func() { on.noise(7, 0, 0.02) })
		run("blur", func() { blurs.blur(k, pix, side, 7, 1) })
	}
}
