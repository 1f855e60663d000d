package selection_test

import (
	"fmt"
	"log"

	"github.com/gojepa/gojepa/train/selection"
)

func ExampleRank() {
	var runs []*selection.Run
	for _, dir := range []string{"testdata/low", "testdata/high"} {
		run, err := selection.Open(dir)
		if err != nil {
			log.Fatal(err)
		}
		runs = append(runs, run)
	}
	ranking, err := selection.Rank(runs, selection.DefaultOptions())
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range ranking.Runs {
		fmt.Printf("%s: %.3f\n", s.Name, s.Score)
	}
	// Output:
	// high: 1.256
	// low: 1.913
}
