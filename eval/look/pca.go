package look

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// PCA are principal components of rows of numbers.
type PCA struct {
	Mean       []float64   // [D]
	Components [][]float64 // [k][D], of length 1, those of the largest variance first; the largest entry of each is positive, as by scikit-learn
	Variance   []float64   // [k], with N-1 in the denominator
}

// NewPCA finds the k components of the rows of x [N, d] that have the largest variance, by the eigenvectors of the covariance.
func NewPCA(x []float32, d, k int) (*PCA, error) {
	if d < 1 || k < 1 || k > d || len(x)%d != 0 {
		return nil, fmt.Errorf("look: PCA: %d numbers, %d components of %d: expected whole rows, and no more components than numbers in a row", len(x), k, d)
	}
	n := len(x) / d
	if n < 2 {
		return nil, fmt.Errorf("look: PCA: %d rows: expected two or more", n)
	}
	p := &PCA{Mean: make([]float64, d)}
	for i, v := range x {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return nil, fmt.Errorf("look: PCA: number %d of row %d is %v: expected finite numbers", i%d, i/d, v)
		}
		p.Mean[i%d] += float64(v) / float64(n)
	}
	centred := mat.NewDense(n, d, nil)
	for i, v := range x {
		centred.Set(i/d, i%d, float64(v)-p.Mean[i%d])
	}
	var covariance mat.SymDense
	covariance.SymOuterK(1/float64(n-1), centred.T())
	var eigen mat.EigenSym
	if !eigen.Factorize(&covariance, true) {
		return nil, errors.New("look: PCA: the eigenvectors of the covariance were not found")
	}
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	values := eigen.Values(nil) // ascending
	for c := range k {
		at := d - 1 - c
		v := mat.Col(nil, at, &vectors)
		largest := slices.MaxFunc(v, func(a, b float64) int { return int(math.Copysign(1, math.Abs(a)-math.Abs(b))) })
		if largest < 0 {
			for i := range v {
				v[i] = -v[i]
			}
		}
		p.Components, p.Variance = append(p.Components, v), append(p.Variance, max(values[at], 0))
	}
	return p, nil
}

// Project returns the coordinates [N, k] of rows [N, D].
func (p *PCA) Project(x []float32) []float64 {
	d := len(p.Mean)
	out := make([]float64, 0, len(x)/d*len(p.Components))
	for row := range slices.Chunk(x, d) {
		for _, c := range p.Components {
			var sum float64
			for i, v := range row {
				sum += (float64(v) - p.Mean[i]) * c[i]
			}
			out = append(out, sum)
		}
	}
	return out
}

// Colours makes a picture of a pixel for each token of each of n images with maps of h×w tokens: the first three principal
// components of all tokens together are red, green and blue, from the 1st to the 99th percentile, so that colours
// mean the same in all pictures.
func Colours(tokens []float32, n, h, w int) ([]image.Image, error) {
	if n < 1 || h < 1 || w < 1 || len(tokens)%(n*h*w) != 0 {
		return nil, fmt.Errorf("look: %d numbers for %d maps of %d×%d tokens", len(tokens), n, h, w)
	}
	p, err := NewPCA(tokens, len(tokens)/(n*h*w), 3)
	if err != nil {
		return nil, err
	}
	x := p.Project(tokens)
	var low, high [3]float64
	for c := range 3 {
		all := make([]float64, 0, n*h*w)
		for i := c; i < len(x); i += 3 {
			all = append(all, x[i])
		}
		slices.Sort(all)
		low[c], high[c] = all[len(all)/100], all[len(all)-1-len(all)/100]
	}
	var out []image.Image
	for of := range slices.Chunk(x, 3*h*w) {
		m := image.NewRGBA(image.Rect(0, 0, w, h))
		for i := range h * w {
			var rgb [3]uint8
			for c := range rgb {
				rgb[c] = level(of[3*i+c], low[c], high[c])
			}
			m.SetRGBA(i%w, i/w, color.RGBA{rgb[0], rgb[1], rgb[2], 255})
		}
		out = append(out, m)
	}
	return out, nil
}

// level is where v is between low and high, in 255ths; in the middle if both are one.
func level(v, low, high float64) uint8 {
	if !(high > low) {
		return 128
	}
	return uint8(255*min(max((v-low)/(high-low), 0), 1) + 0.5)
}
