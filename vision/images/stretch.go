package images

import (
	"fmt"
	"math"

	"github.com/gojepa/gojepa/vision/images/raster"
)

// FromRaster scales a raster's samples so that low becomes 0 and high 1, and takes them over. What the file has no data
// for becomes 0.
func FromRaster(r *raster.Raster, low, high float64) (*Image, error) {
	if !(low < high) || math.IsInf(low, 0) || math.IsInf(high, 0) {
		return nil, fmt.Errorf("range of samples from %g to %g: expected two numbers, the lower one first", low, high)
	}
	m := NewFloat(r.Channels, r.Height, r.Width)
	for i, v := range r.Samples {
		if x := (float64(v) - low) / (high - low); !math.IsNaN(x) && !math.IsInf(x, 0) {
			m.Float[i] = float32(x)
		}
	}
	return m, nil
}
