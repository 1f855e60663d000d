package j2k

// plane is a resolution's samples, either integers or floats.
type plane struct {
	ints   []int32
	floats []float32
}

// synthesise undoes the wavelet transform of a component, resolution after resolution.
func synthesise(all []*resolution, reversible bool) plane {
	low := plane{all[0].bands[0].ints, all[0].bands[0].data}
	for r := 1; r < len(all); r++ {
		res := all[r]
		if res.empty() {
			continue
		}
		hl, lh, hh := res.bands[0], res.bands[1], res.bands[2]
		if reversible {
			low.ints = join(res.area, low.ints, hl.ints, lh.ints, hh.ints, lift53)
		} else {
			low.floats = join(res.area, low.floats, hl.data, lh.data, hh.data, lift97)
		}
	}
	return low
}

// join interleaves four bands and undoes a level: rows, then columns.
func join[T int32 | float32](a area, ll, hl, lh, hh []T, lift func(line []T, odd int)) []T {
	w, h := a.width(), a.height()
	out := make([]T, w*h)
	lowW := (a.x1+1)/2 - (a.x0+1)/2
	ox, oy := a.x0&1, a.y0&1 // whether the first one is of the high band
	for y := range h {
		row := out[y*w:][:w]
		left, right, at := ll, hl, (y+oy)/2-oy
		if (y+oy)&1 == 1 {
			left, right, at = lh, hh, (y+oy)/2
		}
		for x := range w {
			if (x+ox)&1 == 1 {
				row[x] = right[at*(w-lowW)+(x+ox)/2]
			} else {
				row[x] = left[at*lowW+(x+ox)/2-ox]
			}
		}
		lift(row, ox)
	}
	// Columns, some at a time so that memory is read in lines.
	const group = 16
	line := make([]T, h*group)
	for x0 := 0; x0 < w; x0 += group {
		n := min(group, w-x0)
		for y := range h {
			for i, v := range out[y*w+x0:][:n] {
				line[i*h+y] = v
			}
		}
		for i := range n {
			lift(line[i*h:][:h], oy)
		}
		for y := range h {
			dst := out[y*w+x0:][:n]
			for i := range dst {
				dst[i] = line[i*h+y]
			}
		}
	}
	return out
}

// mirrored is an index into n samples, reflected at the ends.
func mirrored(i, n int) int {
	if i < 0 {
		return -i
	}
	if i >= n {
		return 2*(n-1) - i
	}
	return i
}

// lift53 undoes the reversible transform of a line whose first sample is of the high band if odd is 1 (T.800 F.3.8.1).
func lift53(line []int32, odd int) {
	n := len(line)
	if n == 1 {
		if odd == 1 {
			line[0] >>= 1
		}
		return
	}
	for i := odd; i < n; i += 2 {
		line[i] -= (line[mirrored(i-1, n)] + line[mirrored(i+1, n)] + 2) >> 2
	}
	for i := 1 - odd; i < n; i += 2 {
		line[i] += (line[mirrored(i-1, n)] + line[mirrored(i+1, n)]) >> 1
	}
}

// lift97 undoes the irreversible one (T.800 F.3.8.2).
func lift97(line []float32, odd int) {
	const (
		alpha = -1.586134342059924
		beta  = -0.052980118572961
		gamma = 0.882911075530934
		delta = 0.443506852043971
		k     = 1.230174104914001
	)
	n := len(line)
	if n == 1 {
		if odd == 1 {
			line[0] /= 2
		}
		return
	}
	for i := odd; i < n; i += 2 {
		line[i] *= k
	}
	for i := 1 - odd; i < n; i += 2 {
		line[i] *= 1 / k
	}
	for step, factor := range [4]float32{delta, gamma, beta, alpha} {
		first := odd
		if step%2 == 1 {
			first = 1 - odd
		}
		for i := first; i < n; i += 2 {
			line[i] -= factor * (line[mirrored(i-1, n)] + line[mirrored(i+1, n)])
		}
	}
}

// mix undoes the component transform of the first three planes (T.800 G).
func mix(p []plane, reversible bool) {
	if reversible {
		a, b, c := p[0].ints, p[1].ints, p[2].ints
		for i := range a {
			g := a[i] - (b[i]+c[i])>>2
			a[i], b[i], c[i] = c[i]+g, g, b[i]+g
		}
		return
	}
	a, b, c := p[0].floats, p[1].floats, p[2].floats
	for i := range a {
		y, u, v := a[i], b[i], c[i]
		a[i], b[i], c[i] = y+1.402*v, y-0.344136*u-0.714136*v, y+1.772*u
	}
}
