package univariate_test

import (
	"context"
	"fmt"
	"log"

	"github.com/gojepa/gojepa/sigreg/univariate"
	"github.com/gojepa/gojepa/torch"
)

// Four slices of nine samples each: a Gaussian's quantiles, as good a fit as nine can be, then shifted, collapsed, and with
// an outlier. Anderson and Darling's statistic sees all three, Shapiro and Wilk's the outlier alone.
func Example() {
	quantiles := []float64{-1.593, -0.967, -0.589, -0.282, 0, 0.282, 0.589, 0.967, 1.593}
	var x []float64
	for i, q := range quantiles {
		outlier := q
		if i == 8 {
			outlier = 6
		}
		x = append(x, q, q+1, q/10, outlier)
	}

	th, err := torch.Start(torch.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer th.Close()
	err = th.Do(context.Background(), func(s *torch.Scope) {
		slices := s.FromFloat64(x, 9, 4)
		fmt.Printf("A²    %.2f\n", univariate.AndersonDarling{}.Statistic(s, slices).Float64s())
		fmt.Printf("1 − W %.2f\n", univariate.ShapiroWilk{}.Statistic(s, slices).Float64s())

		slices.SetRequiresGrad(true)
		univariate.AndersonDarling{}.Statistic(s, slices).Sum().Backward()
		grad := slices.Grad()
		fmt.Printf("what moves the collapsed samples: %.2f … %.2f\n", -grad.Select(0, 0).Float64s()[2], -grad.Select(0, 8).Float64s()[2])
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// A²    [0.08 4.43 2.76 1.96]
	// 1 − W [0.00 0.00 0.00 0.29]
	// what moves the collapsed samples: -1.22 … 1.22
}
