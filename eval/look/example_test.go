package look_test

import (
	"context"
	"fmt"

	"github.com/gojepa/gojepa/eval/look"
	"github.com/gojepa/gojepa/torch"
)

func ExampleNewPCA() {
	th, err := torch.Start(torch.Options{})
	if err != nil {
		panic(err)
	}
	defer th.Close()
	p, err := look.NewPCA(context.Background(), th, []float32{0, 0, 1, 2, 2, 4, 3, 6}, 2, 1) // on a line of slope 2
	if err != nil {
		panic(err)
	}
	fmt.Printf("%.2f %.2f\n", p.Components[0], p.Project([]float32{3, 6}))
	// Output: [0.45 0.89] [3.35]
}
