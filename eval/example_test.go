package eval_test

import (
	"context"
	"fmt"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/torch"
)

// Features from anywhere can be evaluated; these are eight made-up ones.
func Example() {
	th, err := torch.Start(torch.Options{Device: torch.CPU, Threads: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer th.Close()
	classes := []string{"cat", "dog"}
	train := eval.Features{
		X: []float32{2, 1, 3, 1, 2, 0, 1, 2, 0, 3, 1, 3}, N: 6, D: 2,
		Labels: []int{0, 0, 0, 1, 1, 1}, Classes: classes,
	}
	test := eval.Features{X: []float32{3, 0, 0, 2}, N: 2, D: 2, Labels: []int{0, 1}, Classes: classes}

	knn, err := eval.KNN(context.Background(), th, train, test, eval.KNNOptions{K: 3, Temperature: 0.07})
	if err != nil {
		fmt.Println(err)
		return
	}
	linear, err := eval.LinearProbe(context.Background(), th, train, test, eval.DefaultProbe())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("k-NN  ", knn)
	fmt.Println("linear", linear)
	// Output:
	// k-NN   100.00 % (2 of 2)
	// linear 100.00 % (2 of 2)
}
