package sigreg_test

import (
	"context"
	"fmt"
	"log"

	"github.com/sugarme/gotch"
	gotchnn "github.com/sugarme/gotch/nn"
	"github.com/sugarme/gotch/ts"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/sigreg"
	"github.com/gojepa/gojepa/sigreg/univariate"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/gotchbridge"
)

// A model of gotch's own, with gotch's optimiser, is trained on a loss that is made in gotch. SIGReg is added to it.
func Example_gotch() {
	vs := gotchnn.NewVarStore(gotch.CPU)
	model := gotchnn.NewLinear(vs.Root().Sub("head"), 8, 4, gotchnn.DefaultLinearConfig())
	optimiser, err := gotchnn.DefaultAdamConfig().Build(vs, 0.03)
	if err != nil {
		log.Fatal(err)
	}

	th, err := torch.Start(torch.Options{Threads: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer th.Close()
	slices := sigreg.Slices{Count: 64, Seed: 1}
	test := sigreg.Default()
	r := rng.New(1, rng.Sample, 0, 0)
	var first, last float64
	for step := range uint64(500) {
		var x []float32
		for range 512 {
			for range 8 {
				x = append(x, float32(0.3+0.3*r.NormFloat64())) // not around 0, and all much the same
			}
		}
		err := th.Do(context.Background(), func(s *torch.Scope) {
			embeddings := model.ForwardT(ts.MustOfSlice(x).MustView([]int64{512, 8}, true), true)
			loss := embeddings.MustSquare(false).MustMean(gotch.Float, true) // one's own

			z := gotchbridge.Import(s, embeddings).Unsqueeze(0) // one view
			reg, _ := test.Mean(s, z, slices.At(s, torch.Float32, step, 4))
			total := gotchbridge.Import(s, loss).MulScalar(1e-3).Add(reg)

			if err := optimiser.ZeroGrad(); err != nil {
				log.Fatal(err)
			}
			total.Backward()
			if err := optimiser.Step(); err != nil {
				log.Fatal(err)
			}
			last = reg.Item()
			if step == 0 {
				first = last
			}
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	fmt.Printf("An exact Gaussian gives %.2f.\n", test.Expected())
	fmt.Println("At first, ten times that or more:", first > 10*test.Expected())
	fmt.Println("In the end, three times that or less:", last < 3*test.Expected())
	// Output:
	// An exact Gaussian gives 1.05.
	// At first, ten times that or more: true
	// In the end, three times that or less: true
}

// Another test in the place of Epps and Pulley's, on orthonormal bases of directions.
func ExampleSliced() {
	th, err := torch.Start(torch.Options{Threads: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer th.Close()
	err = th.Do(context.Background(), func(s *torch.Scope) {
		z := s.Randn(rng.New(1, rng.Sample, 0, 0), torch.Float32, 2, 256, 16) // two views of 256 samples
		collapsed := z.MulScalar(0.1)
		a := sigreg.Slices{Count: 64, Sampling: sigreg.Orthogonal}.At(s, torch.Float32, 0, 16)

		sliced := sigreg.Sliced{Test: univariate.AndersonDarling{}}
		fmt.Printf("expected of a Gaussian: %.1f\n", sliced.Expected(s, 256))
		fmt.Printf("of Gaussian embeddings: %.1f\n", sliced.Statistic(s, z, a).Item())
		fmt.Printf("of collapsed ones:      %.0f\n", sliced.Statistic(s, collapsed, a).Item())
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// expected of a Gaussian: 1.0
	// of Gaussian embeddings: 1.0
	// of collapsed ones:      77
}
