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

// A model in several files is opened by its index, and then like any other.
func ExampleOpen_shards() {
	f, err := weights.Open(filepath.Join("testdata", "model.safetensors.index.json"))
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	info, _ := f.Lookup("bfloat16.matrix")
	fmt.Println(f.Format(), info)
	// Output: safetensors in 5 shards bfloat16.matrix bfloat16[3 4]
}

// Of a checkpoint, the convolution under another name, and nothing else.
func ExampleMapping() {
	f, err := weights.Open(filepath.Join("testdata", "dino.pth"))
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	g, err := weights.Mapping{Drop: []string{"bn.", "blocks.", "mask"}, Rename: [][2]string{{"conv.", "stem."}}}.Apply(f)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(g.Tensors())
	// Output: [stem.weight float32[2 1 3 3]]
}

// Rows and columns change places, and two tensors become one; nothing is read yet.
func ExampleFile_Derive() {
	f, err := weights.Open(filepath.Join("testdata", "protocol4.pt"))
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	g, err := f.Derive([]weights.Recipe{
		{Name: "both", Parts: []weights.Part{{Name: "weight", Transpose: true}, {Name: "weight"}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	data, err := g.Read("both")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(g.Tensors(), weights.F32.Float64s(nil, data))
	// Output: [both float32[4 2]] [0 2 1 3 0 1 2 3]
}

// Half the size: floats are rounded, the counter is not.
func ExampleEntry_As() {
	f, err := weights.Open(filepath.Join("testdata", "protocol4.pt"))
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	for _, e := range f.Entries() {
		e, err := e.As(weights.BF16)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e)
	}
	// Output:
	// weight bfloat16[2 2]
	// bias bfloat16[2]
	// steps int64[]
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
