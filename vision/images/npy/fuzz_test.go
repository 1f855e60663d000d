package npy

import (
	"testing"

	"github.com/gojepa/gojepa/vision/images/raster"
	"github.com/gojepa/gojepa/vision/images/raster/rastertest"
)

func FuzzDecode(f *testing.F) {
	rastertest.Fuzz(f, "npy/", Match, Config, func(data []byte) (*raster.Raster, error) {
		return Decode(data, 0, 1<<16)
	})
}
