package views

// The functions of this file change planar views in place: n samples to a plane. They compute in float32 in torchvision's order,
// with conversions between a product and a sum: without them a compiler may fuse the two, and views would differ between
// machines.

// table replaces each sample by its entry.
func table(pix []uint8, t *[256]uint8) {
	for i, v := range pix {
		pix[i] = t[v]
	}
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

// brightness multiplies by factor.
func brightness(pix []uint8, factor float64) {
	var t [256]uint8
	f := float32(factor)
	for v := range t {
		t[v] = truncate(float32(v) * f)
	}
	table(pix, &t)
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

// contrast blends with the mean luma, of 3 channels, or the mean of all samples.
func contrast(pix []uint8, channels int, factor float64) {
	var sum uint64
	n := len(pix) / channels
	if channels == 3 {
		rs, gs, bs := pix[:n], pix[n:2*n], pix[2*n:3*n]
		for i, r := range rs {
			sum += uint64(luma(r, gs[i], bs[i]))
		}
	} else {
		for _, v := range pix {
			sum += uint64(v)
		}
		n = len(pix)
	}
	mean := float32(float64(sum) / float64(n))
	f := float32(factor)
	offset := float32(mean * float32(1-factor))
	var t [256]uint8
	for v := range t {
		t[v] = truncate(float32(float32(v)*f) + offset)
	}
	table(pix, &t)
}

// saturation blends with luma. It takes 3 channels. The sum of a sample's part, rounded to float32, and luma's part, which is
// not, is rounded once: what a fused multiply-add of float32 gives, as PyTorch's kernel uses.
func saturation(pix []uint8, factor float64) {
	n := len(pix) / 3
	rs, gs, bs := pix[:n], pix[n:2*n], pix[2*n:3*n]
	var own, grey [256]float64
	f, rest := float32(factor), float32(1-factor)
	for v := range own {
		own[v], grey[v] = float64(float32(v)*f), float64(v)*float64(rest)
	}
	for i, r := range rs {
		g, b := gs[i], bs[i]
		l := grey[luma(r, g, b)]
		rs[i], gs[i], bs[i] = truncate(float32(own[r]+l)), truncate(float32(own[g]+l)), truncate(float32(own[b]+l))
	}
}

// greyscale replaces colours by luma. It takes 3 channels.
func greyscale(pix []uint8) {
	n := len(pix) / 3
	rs, gs, bs := pix[:n], pix[n:2*n], pix[2*n:3*n]
	for i, r := range rs {
		l := luma(r, gs[i], bs[i])
		rs[i], gs[i], bs[i] = l, l, l
	}
}

// solarize inverts samples from threshold on.
func solarize(pix []uint8, threshold int) {
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

// hue turns the hue by shift turns. It takes 3 channels.
//
// In HSV with V the largest sample and C its distance to the smallest, a turn keeps both: the largest and the smallest of the result
// are those of the pixel, and the third is linear in the hue between them. So there is no need of the S and V of
// torchvision's conversion there and back, whose result, times 255.999 and rounded down, this equals but for rounding.
func hue(pix []uint8, shift float64) {
	n := len(pix) / 3
	rs, gs, bs := pix[:n], pix[n:2*n], pix[2*n:3*n]
	turn := float32(6 * shift)
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
		h += turn
		if h < 0 {
			h += 6
		}
		if h >= 6 {
			h -= 6
		}
		sector := int32(h)
		f := h - float32(sector)
		var third uint8
		if sector&1 == 0 {
			third = truncate((float32(least) + float32(chroma*f)) * stretch)
		} else {
			third = truncate((float32(most) - float32(chroma*f)) * stretch)
		}
		switch sector {
		case 0:
			r, g, b = most, third, least
		case 1:
			r, g, b = third, most, least
		case 2:
			r, g, b = least, most, third
		case 3:
			r, g, b = least, third, most
		case 4:
			r, g, b = third, least, most
		default:
			r, g, b = most, least, third
		}
		rs[i], gs[i], bs[i] = r, g, b
	}
}
