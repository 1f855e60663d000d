package views

// The functions on planar views change them in place. Those on colours take 3 channels.

// planes are the three channels of a view.
func planes(pix []uint8) (r, g, b []uint8) {
	n := len(pix) / 3
	return pix[:n:n], pix[n : 2*n : 2*n], pix[2*n : 3*n : 3*n]
}

// brightness multiplies by factor.
func brightness(k kernels, pix []uint8, factor float64) { k.scale(pix, float32(factor), 0) }

// contrast blends with the mean luma, of 3 channels, or the mean of all samples.
func contrast(k kernels, pix []uint8, channels int, factor float64) {
	var sum uint64
	n := len(pix) / channels
	if channels == 3 {
		sum = k.lumaSum(planes(pix))
	} else {
		for _, v := range pix {
			sum += uint64(v)
		}
		n = len(pix)
	}
	mean := float32(float64(sum) / float64(n))
	k.scale(pix, float32(factor), float32(mean*float32(1-factor)))
}

// saturation blends with luma.
func saturation(k kernels, pix []uint8, factor float64) {
	r, g, b := planes(pix)
	k.saturation(r, g, b, float32(factor), float32(1-factor))
}

// greyscale replaces colours by luma.
func greyscale(k kernels, pix []uint8) { k.grey(planes(pix)) }

// hue turns the hue by shift turns.
//
// In HSV with V the largest sample and C its distance to the smallest, a turn keeps both: the largest and the smallest of the result
// are those of the pixel, and the third is linear in the hue between them. So there is no need of the S and V of
// torchvision's conversion there and back, whose result, times 255.999 and rounded down, this equals but for rounding.
func hue(k kernels, pix []uint8, shift float64) {
	r, g, b := planes(pix)
	k.hue(r, g, b, float32(6*shift))
}

// turned is a hue after a turn, both in sixths of the circle: in which sixth it is, from 0 to 5, and how far. It may begin
// and be turned by less than a circle beyond its ends.
func turned(hue, by float32) (sector int, part float32) {
	hue += by
	if hue < 0 {
		hue += 6
	}
	if hue >= 6 {
		hue -= 6
	}
	sector = int(hue)
	return sector, hue - float32(sector)
}

// pixel is red, green and blue of a pixel whose hue is in a sixth of the circle, and whose samples are most, third and least.
func pixel[T uint8 | float32](sector int, most, third, least T) (r, g, b T) {
	switch sector {
	case 0:
		return most, third, least
	case 1:
		return third, most, least
	case 2:
		return least, most, third
	case 3:
		return least, third, most
	case 4:
		return third, least, most
	}
	return most, least, third
}
