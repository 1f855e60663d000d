package multivariate_test

import (
	"context"
	"fmt"
	"log"
	"math"

	"github.com/gojepa/gojepa/sigreg/multivariate"
	"github.com/gojepa/gojepa/torch"
)

// Four views of 18 samples in the plane: as good a fit as 18 can be, then shifted, on a line, and with an outlier. BHEP sees
// the shift and the line, and Henze and Zirkler's test of residuals the line and the outlier, which the others see most.
func Example() {
	var views [4][]float64
	for ring := range 3 {
		radius := math.Sqrt(-2 * math.Log(1-(float64(ring)+0.5)/3))
		for step := range 6 {
			sin, cos := math.Sincos(math.Pi / 3 * (float64(step) + float64(ring)/2))
			x, y := radius*cos, radius*sin
			views[0] = append(views[0], x, y)
			views[1] = append(views[1], x+1, y)
			views[2] = append(views[2], x, x)
			if ring == 2 && step == 0 {
				x, y = 4, 4
			}
			views[3] = append(views[3], x, y)
		}
	}
	var samples []float64
	for _, v := range views {
		samples = append(samples, v...)
	}

	th, err := torch.Start(torch.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer th.Close()
	err = th.Do(context.Background(), func(s *torch.Scope) {
		x := s.FromFloat64(samples, 4, 18, 2).SetRequiresGrad(true)
		statistics := multivariate.BHEP{}.Statistic(s, x)
		fmt.Printf("BHEP          %.2f\n", statistics.Float64s())
		fmt.Printf("Henze–Zirkler %.2f\n", multivariate.HenzeZirkler{Standardise: true}.Statistic(s, x).Float64s())
		fmt.Printf("Henze–Visagie %.2f\n", multivariate.HenzeVisagie{}.Statistic(s, x).Float64s())
		fmt.Printf("COMB          %.2f\n", multivariate.COMB{}.Statistic(s, x).Float64s())

		statistics.Sum().Backward()
		moved := x.Grad().Neg().Select(0, 1).MeanDim(0, false).Float64s()
		fmt.Printf("the shifted samples are moved by %.2f on average\n", moved[0])
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// BHEP          [0.05 1.33 1.96 0.13]
	// Henze–Zirkler [0.06 0.06 2.01 0.51]
	// Henze–Visagie [0.08 24.28 2.93 247.37]
	// COMB          [0.01 0.03 0.01 14.21]
	// the shifted samples are moved by -0.13 on average
}
