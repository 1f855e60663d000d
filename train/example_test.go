package train_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/train"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/images"
)

// Pretrain on a folder of images and embed one of them. README.md shows this code.
func Example() {
	ctx := context.Background()

	cfg := config.Default() // the published recipe
	cfg.Data.Path = "xrays" // a folder of images, or another collection
	cfg.Encoder.Name = "vit_small_patch16_224"
	cfg.Loss.Lambda = 0.02
	cfg.Out = "runs/xrays" // goes on with a run that was interrupted there
	run, err := train.Run(ctx, cfg, train.WithOutput(os.Stderr))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("loss", run.Last.Loss)

	enc, err := vision.Load("", "runs/xrays/encoder.safetensors", torch.CPU)
	if err != nil {
		log.Fatal(err)
	}
	defer enc.Close()
	src, err := images.Folder(ctx, "xrays", images.DefaultOptions())
	if err != nil {
		log.Fatal(err)
	}
	img, err := src.Image(ctx, 0)
	if err != nil {
		log.Fatal(err)
	}
	emb, err := enc.Embed(ctx, []*images.Image{img}) // [][]float32
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("features", len(emb[0]))
}
