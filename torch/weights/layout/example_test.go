package layout_test

import (
	"fmt"
	"log"
	"path/filepath"

	"github.com/gojepa/gojepa/torch/weights"
	"github.com/gojepa/gojepa/torch/weights/layout"
)

// CLIP as Hugging Face's transformers save it: queries, keys and values become
// one tensor, the text encoder is left out.
func ExampleDetect() {
	f, err := weights.Open(filepath.Join("testdata", "hf-clip.safetensors"))
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	l, ok := layout.Detect(f)
	if !ok {
		log.Fatal("unknown keys")
	}
	timm, err := l.Apply(f)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(l.About)
	for _, name := range []string{"cls_token", "blocks.0.attn.qkv.weight"} {
		info, _ := timm.Lookup(name)
		fmt.Println(info)
	}
	// Output:
	// CLIP in Hugging Face's transformers
	// cls_token float32[1 1 8]
	// blocks.0.attn.qkv.weight float32[24 8]
}
