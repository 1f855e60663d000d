package views

import "math"

// Noise is made from a hash of the number of a sample, so that it can be made in any order, and in vector code; kernels.c
// has the same.

// quantiles are those of half a normal distribution, from its tail on: entry k, below 2049, has the share (1 − k/2048)/2
// of the whole beyond it, counted from the middle, so that the first is the end of the tail and the last is 0. The first
// cell is cut into 256 once more in the entries from 2049 on. The end is where 2^-33 of the whole lie beyond.
var quantiles = func() (t [2049 + 257]float32) {
	beyond := func(share float64) float32 { return float32(math.Sqrt2 * math.Erfinv(1-2*max(share, 1.0/(1<<33)))) }
	for k := range 2049 {
		t[k] = beyond(float64(k) / 4096)
	}
	for k := range 257 {
		t[2049+k] = beyond(float64(k) / 256 / 4096)
	}
	return t
}()

// normals gives numbers from, from+1, … of the normally distributed ones that are named by a seed. Their distribution
// function is within 3e-5 of the normal one, none is beyond 6.3.
func normals(dst []float32, seed uint64, from uint32) {
	low, high := uint32(seed), uint32(seed>>32)
	for i := range dst {
		x := (from+uint32(i))*0x9e3779b9 + low
		x = mixed(mixed(x) ^ high)
		half := x & 0x7fffffff
		cell, rest := half>>20, half&0xfffff
		if cell == 0 {
			cell, rest = 2049+half>>12, half&0xfff<<8
		}
		a, b := quantiles[cell], quantiles[cell+1]
		z := a + float32(float32(float32(int32(rest))*(1.0/(1<<20)))*(b-a))
		if x>>31 != 0 {
			z = -z
		}
		dst[i] = z
	}
}

// chunk is memory for some of the numbers.
type chunk [1024]float32

// each gives the numbers of n samples to add, a chunk at a time, with the sample that it begins at.
func (c *chunk) each(k kernels, n int, seed uint64, add func(at int, z []float32)) {
	for at := 0; at < n; at += len(c) {
		z := c[:min(len(c), n-at)]
		k.normals(z, seed, uint32(at))
		add(at, z)
	}
}

// mixed is a hash of 32 bits, in which each bit of x changes about half of the others.
func mixed(x uint32) uint32 {
	x ^= x >> 16
	x *= 0x7feb352d
	x ^= x >> 15
	x *= 0x846ca68b
	return x ^ x>>16
}
