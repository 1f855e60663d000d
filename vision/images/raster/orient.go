package raster

// Oriented turns and mirrors planes of height × width samples as orientation o of EXIF and TIFF asks, 1 to 8, so that they
// are the right way up. It returns new samples, and their height and width.
func Oriented[T any](samples []T, height, width, o int) (out []T, h, w int) {
	h, w = height, width
	if o >= 5 {
		h, w = w, h
	}
	out = make([]T, len(samples))
	for at := 0; at < len(samples); at += h * w {
		src, dst := samples[at:at+h*w], out[at:at+h*w]
		for y := range h {
			for x := range w {
				sy, sx := y, x
				switch o {
				case 2:
					sx = w - 1 - x
				case 3:
					sy, sx = h-1-y, w-1-x
				case 4:
					sy = h - 1 - y
				case 5:
					sy, sx = x, y
				case 6:
					sy, sx = w-1-x, y
				case 7:
					sy, sx = w-1-x, h-1-y
				case 8:
					sy, sx = x, h-1-y
				}
				dst[y*w+x] = src[sy*width+sx]
			}
		}
	}
	return out, h, w
}

// Orient turns r so that a file's orientation o, 1 to 8, is the right way up. Any other o leaves it as it is.
func (r *Raster) Orient(o int) {
	if o > 1 && o <= 8 {
		r.Samples, r.Height, r.Width = Oriented(r.Samples, r.Height, r.Width, o)
	}
}
