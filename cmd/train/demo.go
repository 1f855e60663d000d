package main

import "github.com/gojepa/gojepa/train/config"

// demo is a recipe for MNIST on two cores: a narrow ResNet-18-D that sees two large crops of each digit. Batches are small,
// as many steps matter more here than large ones.
func demo() config.Config {
	c := config.Default()
	c.Encoder.Name = "resnet18d"
	c.Encoder.Width, c.Encoder.Depth = config.Of(32), config.Of(1)
	c.Encoder.DropPath = 0
	c.Views.Global.Count, c.Views.Local.Count = 2, 0
	c.Views.Global.Scale = [2]float64{0.35, 1}
	c.Views.Flip, c.Views.Solarize.P = 0, config.Of(0.0) // a mirrored digit is another character
	c.Views.Blur.P = 0.2
	c.Loss.Lambda, c.Loss.Slices = 0.05, 256
	c.Projector = config.Projector{Hidden: []int{256, 256}, Dim: 32}
	c.Schedule.BatchSize, c.Schedule.Steps = config.Of(64), config.Of(2400)
	c.Optim.LR = config.Of(2e-3)
	c.Threads = config.Of(1) // operations are too small to share: a second thread mostly waits, and views use the other core
	c.Out = "runs/demo"
	return c
}
