package look

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"

	"github.com/gojepa/gojepa/torch"
)

// PCA are principal components of rows of numbers.
type PCA struct {
	Mean       []float64   // [D]
	Components [][]float64 // [k][D], of length 1, those of the largest variance first; the largest entry of each is positive, as by scikit-learn
	Variance   []float64   // [k], with N-1 in the denominator
	Total      float64     // variance of all D components together
}

// NewPCA finds the k components of the rows of x [N, d] that have the largest variance, by the eigenvectors of the covariance in
// float64. It takes the time of d²·(N + 10·d) multiplications.
func NewPCA(ctx context.Context, th *torch.Thread, x []float32, d, k int) (*PCA, error) {
	if d < 1 || k < 1 || k > d || len(x)%d != 0 {
		return nil, fmt.Errorf("look: PCA: %d numbers, %d components of %d: expected whole rows, and no more components than numbers in a row", len(x), k, d)
	}
	n := len(x) / d
	if n < 2 {
		return nil, fmt.Errorf("look: PCA: %d rows: expected two or more", n)
	}
	for i, v := range x {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return nil, fmt.Errorf("look: PCA: number %d of row %d is %v: expected finite numbers", i%d, i/d, v)
		}
	}
	p := &PCA{}
	var values, vectors []float64 // eigenvalues rise, and a vector is a row
	err := th.Do(ctx, func(s *torch.Scope) {
		s.NoGrad(func() {
			x := s.FromFloat32(x, int64(n), int64(d)).To(torch.Float64)
			mean := x.MeanDim(0, true)
			centred := x.Sub(mean)
			a, b := centred.T().Matmul(centred).MulScalar(1 / float64(n-1)).Eigh()
			p.Mean, values, vectors = mean.Float64s(), a.Float64s(), b.T().Contiguous().Float64s()
		})
	})
	if err != nil {
		return nil, fmt.Errorf("look: PCA: %w", err)
	}
	for _, v := range values {
		p.Total += max(v, 0)
	}
	for c := d - 1; c >= d-k; c-- {
		v := slices.Clone(vectors[c*d : (c+1)*d])
		largest := slices.MaxFunc(v, func(a, b float64) int { return int(math.Copysign(1, math.Abs(a)-math.Abs(b))) })
		if largest < 0 {
			for i := range v {
				v[i] = -v[i]
			}
		}
		p.Components, p.Variance = append(p.Components, v), append(p.Variance, max(values[c], 0))
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
func Colours(ctx context.Context, th *torch.Thread, tokens []float32, n, h, w int) ([]image.Image, error) {
	if n < 1 || h < 1 || w < 1 || len(tokens)%(n*h*w) != 0 {
		return nil, fmt.Errorf("look: %d numbers for %d maps of %d×%d tokens", len(tokens), n, h, w)
	}
	p, err := NewPCA(ctx, th, tokens, len(tokens)/(n*h*w), 3)
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
