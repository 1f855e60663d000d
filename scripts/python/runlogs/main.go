// Command runlogs is the Go side of check_runlogs.py: it writes into the folder DIR what a run of three sessions leaves, each
// of which but the last was killed some steps after its last checkpoint, in all formats.
package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/gojepa/gojepa/train/runlog"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "runlogs: expected DIR")
		os.Exit(1)
	}
	for _, s := range []struct{ after, upTo int }{{0, 120}, {100, 180}, {150, 300}} {
		if err := session(os.Args[1], s.after, s.upTo); err != nil {
			fmt.Fprintln(os.Stderr, "runlogs:", err)
			os.Exit(1)
		}
	}
}

func session(dir string, after, upTo int) error {
	w, err := runlog.Open(filepath.Join(dir, "metrics.jsonl"), after)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := w.Also(dir, runlog.Formats()...); err != nil {
		return err
	}
	for i := after + 1; i <= upTo; i++ {
		x := float64(i)
		s := runlog.Step{Step: i, Epoch: x / 50, Loss: math.Exp(-x / 100), Prediction: 1 / x, SIGReg: 1 + 1/x, SIGRegSE: 0.1 / x,
			SIGRegExpected: 1.0525, LR: 5e-4 * math.Cos(x/300), GradNorm: math.Sqrt(x), ImagesPerS: 100 + x, Seconds: x / 4}
		if i == 7 {
			s.GradNorm = math.Inf(1)
		}
		if err := w.Step(s); err != nil {
			return err
		}
		if i%50 == 0 {
			if err := w.Eval(runlog.Eval{Step: i, Epoch: s.Epoch, Values: map[string]float64{"knn": 1 - 1/x, "linear": 1 - 0.5/x}, Seconds: 1.5, Share: 0.03}); err != nil {
				return err
			}
		}
	}
	return nil
}
