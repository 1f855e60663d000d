package views_test

import (
	"fmt"

	"github.com/gojepa/gojepa/vision/images"
	"github.com/gojepa/gojepa/vision/views"
)

// A pipeline of one's own: the crops of a recipe, and augmentations in an order of one's choice.
func ExampleNew() {
	c := views.Satellite()
	c.Global.Count, c.Global.Size = 2, 64
	c.Local.Count, c.Local.Size = 4, 32
	c.Steps = views.Steps{
		{Dihedral: &views.Chance{P: 1}},
		{Noise: &views.NoiseConfig{P: 0.3, Sigma: [2]float64{0.005, 0.02}}},
		{Blur: &views.BlurConfig{P: 0.5, Kernel: 5, Sigma: [2]float64{0.1, 1}}},
	}
	c.Mean, c.Std = nil, nil // of three channels
	const seed = 1
	pipeline, err := views.New(c, views.Kind{Channels: 13, Deep: true}, seed)
	if err != nil {
		fmt.Println(err)
		return
	}
	batch := views.NewBatch(1, pipeline.Layout())
	tile := images.NewFloat(13, 101, 100)
	if err := pipeline.NewWorker().Generate(tile, 0, 0, batch, 0); err != nil {
		fmt.Println(err)
		return
	}
	for _, g := range batch.Groups {
		fmt.Println(g.Views, "views of", g.Channels, "channels and", g.Size, "pixels:", len(g.Float), "floats")
	}

	c.Steps = append(c.Steps, views.Step{Grayscale: &views.Chance{P: 0.2}})
	_, err = views.New(c, views.Kind{Channels: 13, Deep: true}, seed)
	fmt.Println(err)
	// Output:
	// 2 views of 13 channels and 64 pixels: 106496 floats
	// 4 views of 13 channels and 32 pixels: 53248 floats
	// views.steps[3].grayscale.p: 0.2, expected 0 for images of 13 channel(s): only red, green and blue have a luma
}
