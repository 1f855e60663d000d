package vision

import (
	"fmt"

	"github.com/gojepa/gojepa/torch"
)

// Normalise turns bytes [..., C, H, W] into what encoders take: (x/255 − mean)/std in float32, with a mean and a standard
// deviation for each channel, of samples in [0, 1]. No gradient. It panics unless both are C long.
func Normalise(s *torch.Scope, pixels torch.Tensor, mean, std []float64) torch.Tensor {
	c := pixels.Size(-3)
	if int64(len(mean)) != c || int64(len(std)) != c {
		panic(fmt.Sprintf("vision: mean of %d and standard deviation of %d channels for %v", len(mean), len(std), pixels))
	}
	return s.Child(func(s *torch.Scope) torch.Tensor {
		scale, shift := make([]float64, c), make([]float64, c)
		for i := range scale {
			scale[i] = 1 / (255 * std[i])
			shift[i] = -mean[i] / std[i]
		}
		x := pixels.To(torch.Float32)
		x.Mul_(s.FromFloat64(scale, c, 1, 1).To(torch.Float32))
		x.Add_(s.FromFloat64(shift, c, 1, 1).To(torch.Float32))
		return x
	})
}
