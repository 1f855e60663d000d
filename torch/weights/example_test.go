package weights_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/gojepa/gojepa/torch/weights"
)

// A checkpoint of DINO holds a student, a teacher and an optimiser. Without
// options the teacher is found; the names are those of the model.
func ExampleOpen() {
	f, err := weights.Open(filepath.Join("testdata", "dino.pth"))
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	fmt.Println(f.Format(), f.Key())
	for _, t := range f.Tensors()[:2] {
		data, err := f.Read(t.Name)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(t, len(data))
	}
	// Output:
	// PyTorch zip teacher
	// mask bool[2] 2
	// conv.weight float32[2 1 3 3] 72
}

// Converting a file: tensors pass through memory one at a time.
func ExampleSaveFile() {
	dir, err := os.MkdirTemp("", "weights")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	f, err := weights.Open(filepath.Join("testdata", "lightning.ckpt"))
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	path := filepath.Join(dir, "model.safetensors")
	if err := weights.SaveFile(path, f.Entries(), map[string]string{"format": "pt"}); err != nil {
		log.Fatal(err)
	}
	g, err := weights.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer g.Close()
	fmt.Println(g.Format(), len(g.Tensors()), g.Metadata())
	// Output: safetensors 9 map[format:pt]
}
