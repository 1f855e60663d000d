package config_test

import (
	"fmt"

	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/vision/views"
)

func Example() {
	cfg := config.Default()
	cfg.Data.Path = "xrays"
	cfg.Encoder.Name = "vit_small_patch8_224"
	cfg.Encoder.ImageSize = config.Of(128)
	cfg.Views = config.OpenViews(views.MultiCrop(2, 4))
	cfg.Loss.Lambda = 0.05
	if err := cfg.Validate(); err != nil {
		fmt.Println(err)
		return
	}

	resolved := cfg.Resolve(config.Facts{Images: 5000, Width: 1024, Height: 1024, Channels: 1})
	fmt.Println("channels", resolved.Encoder.Channels, "local views of", resolved.Views.Local.Size, "pixels")
	fmt.Println(resolved.TotalSteps(5000), "steps, results in", resolved.Out)
	// Output:
	// channels 1 local views of 56 pixels
	// 936 steps, results in runs/xrays
}
