package vision

import (
	"fmt"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/vision/views"
)

// Normalise copies a group of views of so many rows to the scope's device and makes of it what encoders take: (x −
// mean)/std in float32, x being in [0, 1], with a mean and a standard deviation for each channel. The result is [Views,
// Rows, Channels, Size, Size]. No gradient. It panics unless both are as long as there are channels.
func Normalise(s *torch.Scope, g *views.Group, rows int, mean, std []float64) torch.Tensor {
	return s.Child(func(s *torch.Scope) torch.Tensor {
		return NormaliseRows(s, g, 0, g.Views*rows, mean, std).Unflatten(0, int64(g.Views), int64(rows))
	})
}

// NormaliseRows is [Normalise] for some of the Views·rows images, which it returns as [to − from, Channels, Size, Size].
func NormaliseRows(s *torch.Scope, g *views.Group, from, to int, mean, std []float64) torch.Tensor {
	c := int64(g.Channels)
	if int64(len(mean)) != c || int64(len(std)) != c {
		panic(fmt.Sprintf("vision: mean of %d and standard deviation of %d channels for %d", len(mean), len(std), c))
	}
	return s.Child(func(s *torch.Scope) (x torch.Tensor) {
		n := g.Channels * g.Size * g.Size
		shape := []int64{int64(to - from), c, int64(g.Size), int64(g.Size)}
		white := 255.0
		if g.Deep {
			white, x = 1, s.FromFloat32(g.Float[from*n:to*n], shape...)
		} else {
			x = s.FromUint8(g.Pix[from*n:to*n], shape...).To(torch.Float32)
		}
		scale, shift := make([]float64, c), make([]float64, c)
		for i := range scale {
			scale[i] = 1 / (white * std[i])
			shift[i] = -mean[i] / std[i]
		}
		x.Mul_(s.FromFloat64(scale, c, 1, 1).To(torch.Float32))
		x.Add_(s.FromFloat64(shift, c, 1, 1).To(torch.Float32))
		return x
	})
}
