package eval_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/images"
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

// The demo's encoder is fine-tuned on the digits that it was trained on without their labels, and saved for timm.
func ExampleFineTuner() {
	ctx := context.Background()
	m, err := vision.LoadFile("runs/demo/encoder.safetensors", vision.LoadOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	train, err := images.MNIST(ctx, "", true, len(m.Mean))
	if err != nil {
		fmt.Println(err)
		return
	}
	test, err := images.MNIST(ctx, "", false, len(m.Mean))
	if err != nil {
		fmt.Println(err)
		return
	}
	f := eval.FineTuner{
		Thread: m.Thread, Train: train, Test: test, FineTuneOptions: eval.DefaultFineTune(),
		New: func(s *torch.Scope, classes int, seed uint64) (eval.Classifier, error) {
			return m.Encoder.WithHead(s, vision.HeadOptions{Classes: classes, DropPath: 0.1, ImageSize: m.Size, Seed: seed})
		},
	}
	f.Images.Size, f.Images.Channels, f.Images.Mean, f.Images.Std = m.Size, len(m.Mean), m.Mean, m.Std
	f.Views.Flip = 0 // a mirrored digit is none
	c, tuned, err := f.Fit(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Params().Close()
	fmt.Println(tuned.Accuracy)
	var failed error
	err = m.Thread.Do(ctx, func(s *torch.Scope) { failed = c.Params().Save(s, "tuned.pt", nil) })
	if err := errors.Join(err, failed); err != nil {
		fmt.Println(err)
	}
}
