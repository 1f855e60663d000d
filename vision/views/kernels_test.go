package views

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/vision/images"
)

// noise is random samples with many at both ends and many pixels that are grey.
func noise(r *rand.Rand, channels, height, width int) *images.Image {
	m := images.New(channels, height, width)
	for i := range m.Pix {
		switch m.Pix[i] = uint8(r.Uint32()); r.IntN(6) {
		case 0:
			m.Pix[i] = 0
		case 1:
			m.Pix[i] = 255
		}
	}
	for i := range height * width {
		if r.IntN(4) == 0 {
			for c := range channels {
				m.Pix[i+c*height*width] = m.Pix[i]
			}
		}
	}
	return m
}

// TestKernelsAreEqual holds the kernels in C to those in Go, byte for byte, on images and views of many sizes. Images
// have no memory behind their samples, so that a read past their end would be met by a tool that looks for it.
func TestKernelsAreEqual(t *testing.T) {
	type result struct {
		what string
		pix  []uint8
	}
	results := func(k kernels) (all []result) {
		r := rand.New(rand.NewPCG(1, 2))
		z := resizer{kernels: k}
		var blurs blurrer
		add := func(pix []uint8, format string, a ...any) {
			all = append(all, result{fmt.Sprintf(format, a...), slices.Clone(pix)})
		}
		for i := range 400 {
			m := noise(r, 1+i%3, 1+r.IntN(90), 1+r.IntN(90))
			crop := rect{height: 1 + r.IntN(m.Height), width: 1 + r.IntN(m.Width)}
			crop.top, crop.left = r.IntN(m.Height-crop.height+1), r.IntN(m.Width-crop.width+1)
			size := 1 + r.IntN(80)
			kind := Interpolation(r.IntN(2))
			dst := make([]uint8, m.Channels*size*size)
			z.crop(dst, m, crop, size, size, rect{height: size, width: size}, kind, r.IntN(2) == 0, r.IntN(2) == 0)
			add(dst, "crop %v of %d×%d to %d, %v", crop, m.Width, m.Height, size, kind)
			kernel, sigma := 1+2*r.IntN(min(size, 9)), 0.1+2*r.Float64()
			if i%2 == 0 && size > 3 {
				kernel = 7
			}
			blurs.blur(k, dst, size, kernel, sigma)
			add(dst, "blur of %d, kernel %d, sigma %g", size, kernel, sigma)
		}
		for _, n := range []int{1, 7, 31, 32, 33, 255, 5000} {
			for range 20 {
				m := noise(r, 3, 1, n)
				change := func(what string, f func(pix []uint8)) {
					pix := slices.Clone(m.Pix)
					f(pix)
					add(pix, "%s of %d", what, n)
				}
				x := 2 * r.Float64()
				change("brightness", func(pix []uint8) { brightness(k, pix, x) })
				change("contrast", func(pix []uint8) { contrast(k, pix, 3, x) })
				change("contrast of 1 channel", func(pix []uint8) { contrast(k, pix, 1, x) })
				change("saturation", func(pix []uint8) { saturation(k, pix, x) })
				change("hue", func(pix []uint8) { hue(k, pix, x/2-0.5) })
				change("grey", func(pix []uint8) { greyscale(k, pix) })
				threshold := r.IntN(257)
				change("solarize", func(pix []uint8) { k.solarize(pix, threshold) })
			}
		}
		for _, side := range []int{1, 2, 9, 33} {
			for i := range 20 {
				m := noise(r, 1+i%4, side, side)
				dst := make([]uint8, len(m.Pix))
				sin, cos := math.Sincos(math.Pi * (2*r.Float64() - 1))
				k.rotate(dst, m.Pix, side, sin, cos, i%2 == 0, float32(255*r.Float64()))
				add(dst, "rotate of %d", side)
				z := make([]float32, len(dst))
				k.normals(z, r.Uint64(), r.Uint32())
				k.addNoise(dst, z, float32(r.Float64()), float32(255*r.Float64()))
				add(dst, "noise of %d", side)
			}
		}
		// All colours of a coarse cube, and all turns.
		for turn := range 64 {
			var pix [3][]uint8
			for i := range 32 * 32 * 32 {
				for c := range pix {
					pix[c] = append(pix[c], uint8(255*(i>>(5*c)&31)/31))
				}
			}
			all3 := slices.Concat(pix[0], pix[1], pix[2])
			hue(k, all3, float64(turn-32)/64)
			add(all3, "hue of a cube, %d/64", turn-32)
		}
		return all
	}
	want := results(plain{})
	for name, k := range allKernels() {
		t.Run(name, func(t *testing.T) {
			for i, got := range results(k) {
				require.Equal(t, want[i].what, got.what)
				require.Equal(t, want[i].pix, got.pix, got.what)
			}
		})
	}
}
