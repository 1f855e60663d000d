package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"text/tabwriter"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/torch"
)

// fewShot is what --shots and the flags beside it ask for.
func (o options) fewShot() (eval.FewShotOptions, error) {
	f := eval.DefaultFewShot()
	f.Shots, f.Draws, f.C, f.Seed = nil, o.Draws, o.ShotsC, o.Seed
	var errs []error
	for _, text := range o.Shots {
		if text == "all" {
			f.Shots = append(f.Shots, 0)
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			errs = append(errs, fmt.Errorf("--shots: %q, expected numbers from 1, or all", text))
		}
		f.Shots = append(f.Shots, n)
	}
	if o.Draws < 1 {
		errs = append(errs, fmt.Errorf("--draws: %d, expected 1 or more", o.Draws))
	}
	if !(o.ShotsC > 0) || math.IsInf(o.ShotsC, 0) {
		errs = append(errs, fmt.Errorf("--shots-c: %v, expected a number above 0", o.ShotsC))
	}
	return f, errors.Join(errs...)
}

// checkShots finds classes that have too few images before anything is embedded.
func (o options) checkShots(s source) error {
	if len(o.Shots) == 0 {
		return nil
	}
	f, err := o.fewShot()
	if err != nil {
		return err
	}
	labels := make([]int, s.Len())
	for i := range labels {
		labels[i] = -1
		if l, ok := s.Label(i); ok {
			labels[i] = l
		}
	}
	if err := f.Check(labels, s.Classes()); err != nil {
		return fmt.Errorf("--shots: %w", err)
	}
	return nil
}

// measureShots adds to s what a few images of each class are enough for.
func (o options) measureShots(ctx context.Context, th *torch.Thread, train, test eval.Features, s *score) error {
	if len(o.Shots) == 0 {
		return nil
	}
	f, err := o.fewShot()
	if err != nil {
		return err
	}
	s.FewShot, err = eval.FewShots(ctx, th, train, test, f)
	return err
}

// writeShots is a table of top-1 accuracies.
func (r result) writeShots(out io.Writer) error {
	if len(r.Scores[0].FewShot) == 0 {
		return nil
	}
	fmt.Fprintf(out, "\nlinear probe of a few images of each class, mean of draws with its 95 %% interval\n\n")
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "features\t")
	for _, f := range r.Scores[0].FewShot {
		fmt.Fprintf(w, "%s\t", shots(f.Shots))
	}
	fmt.Fprintln(w)
	for _, s := range r.Scores {
		fmt.Fprintf(w, "%s (%d)\t", s.Features, s.Dim)
		for _, f := range s.FewShot {
			fmt.Fprintf(w, "%s\t", percentOf(f.Top1))
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

func shots(n int) string {
	if n == 0 {
		return "all"
	}
	return strconv.Itoa(n)
}

func percentOf(e eval.Estimate) string {
	if math.IsNaN(float64(e.High)) {
		return percent(e.Mean)
	}
	return fmt.Sprintf("%.2f ± %.2f %%", 100*e.Mean, 100*(float64(e.High)-e.Mean))
}
