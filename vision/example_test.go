package vision_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/images"
)

// Weights of a run, or of timm, embed images in a few lines.
func ExampleLoad() {
	m, err := vision.Load("resnet50", "model.safetensors", torch.CPU)
	if err != nil {
		log.Fatal(err) // lists missing, unexpected and misshapen keys
	}
	defer m.Close()
	data, err := os.ReadFile("photo.jpg")
	if err != nil {
		log.Fatal(err)
	}
	photo, err := images.Decode(data, images.DefaultOptions())
	if err != nil {
		log.Fatal(err)
	}
	embeddings, err := m.Embed(context.Background(), []*images.Image{photo})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(embeddings[0]), "features")
}

// An encoder for training works on the thread of its caller. Crops of another size than its own go through as they are.
func ExampleNew() {
	th, err := torch.Start(torch.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer th.Close()
	err = th.Do(context.Background(), func(s *torch.Scope) {
		spec := vision.Spec{Name: "vit_tiny_patch16_224", ImageSize: 64, PatchSize: 8}
		enc, err := vision.New(s, spec, 1, torch.Float32)
		if err != nil {
			log.Fatal(err)
		}
		defer enc.Close()
		crops := s.Randn(rng.New(1, rng.Sample, 0, 0), torch.Float32, 2, 3, 32, 32)
		z := enc.Forward(s, crops, nn.Pass{Train: true, Seed: 1, Step: 0})
		z.Square().Mean().Backward()
		fmt.Println(z.Shape(), enc.Params().Count(), "parameters")
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: [2 192] 5388480 parameters
}

// CLIP as OpenAI names its tensors, in a small size. Its head, the projection to the texts' space, is left out.
func ExampleLoadFile() {
	m, err := vision.LoadFile("../torch/weights/layout/testdata/clip.safetensors", vision.LoadOptions{
		Spec:     vision.Spec{Name: "vit_base_patch32_clip_quickgelu_224", Width: 8, Depth: 2, Heads: 2},
		DropHead: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	fmt.Println(m.Size, m.Encoder.Dim())
	// Output: 6 8
}
