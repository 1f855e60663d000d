package views

import (
	"math"

	"github.com/gojepa/gojepa/vision/images"
)

// canvas is a view that is being made, square and planar, of bytes or of floats. Numbers that stand for samples are in
// units of white: 1 is 255 of bytes. Methods on colours take 3 channels.
type canvas interface {
	// start crops and resizes m to size×size samples.
	start(m *images.Image, r rect, size int, kind Interpolation, flipH, flipV bool)
	// turn is a quarter turn counter-clockwise, so many times, and then mirroring left to right.
	turn(quarters int, mirror bool)
	// rotate turns by an angle in degrees counter-clockwise about the centre. What comes from outside is fill.
	rotate(angle float64, smooth bool, fill float64)
	brightness(factor float64)
	contrast(factor float64)
	saturation(factor float64)
	hue(turns float64)
	grey()
	blur(kernel int, sigma float64)
	noise(seed uint64, mean, sigma float64)
	// solarize inverts samples from a threshold on, from 0 to 255.
	solarize(threshold int)
	// drop replaces a channel by fill.
	drop(channel int, fill float64)
}

// byteCanvas is a canvas of 8-bit samples.
type byteCanvas struct {
	kernels  kernels
	resizer  resizer
	blurrer  blurrer
	pix      []uint8
	spare    []uint8
	normals  chunk
	channels int
	side     int
}

func newByteCanvas(k kernels) *byteCanvas {
	return &byteCanvas{kernels: k, resizer: resizer{kernels: k}}
}

func (c *byteCanvas) start(m *images.Image, r rect, size int, kind Interpolation, flipH, flipV bool) {
	c.channels, c.side = m.Channels, size
	c.resizer.crop(c.pix, m, r, size, size, rect{height: size, width: size}, kind, flipH, flipV)
}

func (c *byteCanvas) turn(quarters int, mirror bool) {
	c.spare = grow(c.spare, c.side*c.side)
	turn(c.pix, c.spare, c.side, quarters, mirror)
}

func (c *byteCanvas) rotate(angle float64, smooth bool, fill float64) {
	c.spare = append(c.spare[:0], c.pix...)
	sin, cos := math.Sincos(angle * math.Pi / 180)
	c.kernels.rotate(c.pix, c.spare, c.side, sin, cos, smooth, float32(255*fill))
}

func (c *byteCanvas) brightness(factor float64) { brightness(c.kernels, c.pix, factor) }
func (c *byteCanvas) contrast(factor float64)   { contrast(c.kernels, c.pix, c.channels, factor) }
func (c *byteCanvas) saturation(factor float64) { saturation(c.kernels, c.pix, factor) }
func (c *byteCanvas) hue(turns float64)         { hue(c.kernels, c.pix, turns) }
func (c *byteCanvas) grey()                     { greyscale(c.kernels, c.pix) }
func (c *byteCanvas) solarize(threshold int)    { c.kernels.solarize(c.pix, threshold) }

func (c *byteCanvas) blur(kernel int, sigma float64) {
	c.blurrer.blur(c.kernels, c.pix, c.side, kernel, sigma)
}

func (c *byteCanvas) noise(seed uint64, mean, sigma float64) {
	c.normals.each(c.kernels, len(c.pix), seed, func(at int, z []float32) { c.addNoise(at, z, mean, sigma) })
}

// addNoise adds whole numbers, rounded towards 0, as torchvision does, to the samples from at on.
func (c *byteCanvas) addNoise(at int, z []float32, mean, sigma float64) {
	c.kernels.addNoise(c.pix[at:][:len(z)], z, float32(255*mean), float32(255*sigma))
}

func (c *byteCanvas) drop(channel int, fill float64) {
	n := c.side * c.side
	v := uint8(math.RoundToEven(255 * fill))
	for i := range c.pix[channel*n:][:n] {
		c.pix[channel*n+i] = v
	}
}

// turn turns the planes of pix by quarters counter-clockwise, and then mirrors them. The spare memory is for a plane.
func turn[T uint8 | float32](pix, spare []T, side, quarters int, mirror bool) {
	// Sample (y, x) of the result is at first + y·down + x·across of the plane.
	first, down, across := 0, side, 1
	switch last := side - 1; quarters & 3 {
	case 1:
		first, down, across = last, -1, side
	case 2:
		first, down, across = side*side-1, -side, -1
	case 3:
		first, down, across = last*side, 1, -side
	}
	if mirror {
		first, across = first+(side-1)*across, -across
	}
	for ; len(pix) > 0; pix = pix[side*side:] {
		plane := pix[:side*side]
		copy(spare, plane)
		for y := range side {
			at := first + y*down
			for x := range side {
				plane[y*side+x] = spare[at]
				at += across
			}
		}
	}
}

// rotate turns the planes of spare about their centre, into pix, as torchvision does: each sample of the result is
// interpolated where it comes from, with nothing around the image; fill then has the share that came from there, the rest
// being weighted once more if smooth, which is torchvision's way. convert makes a sample of a number.
func rotate[T uint8 | float32](pix, spare []T, side int, sin, cos float64, smooth bool, fill float32, convert func(float32) T) {
	half := float64(side-1) / 2
	outside := convert(fill)
	plane := side * side
	for y := range side {
		v := float64(y) - half
		for x := range side {
			u := float64(x) - half
			sx, sy := float64(cos*u)-float64(sin*v)+half, float64(sin*u)+float64(cos*v)+half
			to := y*side + x
			if !smooth {
				nx, ny := int(math.RoundToEven(sx)), int(math.RoundToEven(sy))
				inside := uint(nx) < uint(side) && uint(ny) < uint(side)
				for at := 0; at < len(pix); at += plane {
					if inside {
						pix[at+to] = spare[at+ny*side+nx]
					} else {
						pix[at+to] = outside
					}
				}
				continue
			}
			// The four samples around, with a weight of 0 for those that are not there.
			fx, fy := math.Floor(sx), math.Floor(sy)
			px, py := float32(sx-fx), float32(sy-fy)
			var from [4]int
			weights := [4]float32{(1 - py) * (1 - px), (1 - py) * px, py * (1 - px), py * px}
			var mask float32
			for k := range from {
				iy, ix := int(fy)+k/2, int(fx)+k%2
				if uint(iy) >= uint(side) || uint(ix) >= uint(side) {
					weights[k] = 0
					continue
				}
				from[k] = iy*side + ix
				mask += weights[k]
			}
			for at := 0; at < len(pix); at += plane {
				sum := float32(weights[0]*float32(spare[at+from[0]])) + float32(weights[1]*float32(spare[at+from[1]])) +
					float32(weights[2]*float32(spare[at+from[2]])) + float32(weights[3]*float32(spare[at+from[3]]))
				pix[at+to] = convert(float32(mask*(sum-fill)) + fill)
			}
		}
	}
}
