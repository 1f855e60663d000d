package gaussianity_test

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"

	"github.com/gojepa/gojepa/sigreg/gaussianity"
	"github.com/gojepa/gojepa/torch"
)

// Embeddings of 8 dimensions that vary in 3 of them.
func Example() {
	r := rand.New(rand.NewPCG(1, 2))
	var x []float64
	for range 200 {
		a, b, c := r.NormFloat64(), r.NormFloat64(), r.NormFloat64()
		x = append(x, a, b, c, a+b, a-b, b+c, b-c, a+c)
	}

	th, err := torch.Start(torch.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer th.Close()
	o := gaussianity.DefaultOptions()
	o.Slices, o.Simulations = 32, 19
	var report *gaussianity.Report
	if err := th.Do(context.Background(), func(s *torch.Scope) {
		report, err = gaussianity.Examine(context.Background(), s, s.FromFloat64(x, 200, 8), o)
	}); err != nil {
		log.Fatal(err)
	}
	if err != nil {
		log.Fatal(err)
	}
	rank := report.Covariance[0]
	fmt.Printf("%s %.0f, of Gaussian samples %.0f, p = %.2f\n", rank.Name, rank.Observed, rank.Gaussian.Median, rank.P)
	fmt.Printf("p = %.2f for all tests together\n", report.P)
	// Output:
	// effective rank 3, of Gaussian samples 8, p = 0.05
	// p = 0.05 for all tests together
}
