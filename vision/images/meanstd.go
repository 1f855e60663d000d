package images

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/gojepa/gojepa/internal/rng"
)

// MeanStd measures each channel's mean and standard deviation over n images that are drawn without replacement by seed, or
// over all if there are no more. 8-bit samples count by their 255th part, deep ones as they are. Images count equally,
// whatever their size. Others are drawn for those that cannot be read, at most n and a few; the error is theirs, joined, if
// none can. A standard deviation of 0 (a channel that is constant) comes back as 1, so that it can be divided by. The result
// depends on the collection, seed and n alone.
func MeanStd(ctx context.Context, src Source, seed uint64, n int) (mean, std []float64, err error) {
	if n <= 0 {
		return nil, nil, fmt.Errorf("mean and std over %d images: expected at least 1", n)
	}
	var sum, square []float64
	var failed []error
	var count float64
	for _, i := range sample(seed, src.Len(), 2*n+10) {
		if count == float64(n) {
			break
		}
		m, err := src.Image(ctx, i)
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if err == nil {
			err = m.Check()
		}
		if err != nil {
			if len(failed) < 10 {
				failed = append(failed, err)
			}
			continue
		}
		if sum == nil {
			sum, square = make([]float64, m.Channels), make([]float64, m.Channels)
		}
		if len(sum) != m.Channels {
			return nil, nil, fmt.Errorf("mean and std: %s has %d channels, others %d", src.Name(i), m.Channels, len(sum))
		}
		for c := range m.Channels {
			s, q := moments(m, c)
			sum[c] += s
			square[c] += q
		}
		count++
	}
	if count == 0 {
		return nil, nil, fmt.Errorf("mean and std: no image could be read: %w", errors.Join(failed...))
	}
	mean, std = make([]float64, len(sum)), make([]float64, len(sum))
	for c := range sum {
		mean[c] = sum[c] / count
		std[c] = math.Sqrt(max(0, square[c]/count-float64(mean[c]*mean[c])))
		if std[c] <= 1e-6*math.Abs(mean[c]) { // no more than rounding
			std[c] = 1
		}
	}
	return mean, std, nil
}

// moments are the means of a channel's samples, scaled to [0, 1], and of their squares.
func moments(m *Image, c int) (mean, square float64) {
	size := float64(m.Height * m.Width)
	if m.Deep() {
		for _, v := range m.FloatPlane(c) {
			x := float64(v)
			mean += x
			square += float64(x * x)
		}
		return mean / size, square / size
	}
	var s, q uint64
	for _, v := range m.Plane(c) {
		s += uint64(v)
		q += uint64(v) * uint64(v)
	}
	return float64(s) / size / 255, float64(q) / size / (255 * 255)
}

// sample draws min(n, size) different indices below size: the first steps of a Fisher–Yates shuffle that keeps only what it
// moved.
func sample(seed uint64, size, n int) []int {
	r := rng.New(seed, rng.Sample, 0, 0)
	moved := map[int]int{}
	at := func(i int) int {
		if v, ok := moved[i]; ok {
			return v
		}
		return i
	}
	drawn := make([]int, 0, min(n, size))
	for i := range min(n, size) {
		j := i + r.IntN(size-i)
		drawn = append(drawn, at(j))
		moved[j] = at(i)
	}
	return drawn
}
