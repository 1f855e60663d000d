package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/torch"
)

// regression is how near numbers are predicted from one kind of features.
type regression struct {
	Features string  `json:"features"`
	Dim      int     `json:"dim"`
	L2       float64 `json:"l2"`
	eval.Regression
}

// multiLabel is how well labels are predicted from one kind of features.
type multiLabel struct {
	Features  string  `json:"features"`
	Dim       int     `json:"dim"`
	L2        float64 `json:"l2"`
	Converged bool    `json:"converged"`
	eval.MultiLabel
}

// hasTargets says whether images have numbers, or several labels, rather than classes.
func (o options) hasTargets() bool { return o.TargetColumn != "" || o.MultiLabel != "" }

func (o options) checkTargets() error {
	if !o.hasTargets() {
		return nil
	}
	var errs []error
	if o.TargetColumn != "" && (o.MultiLabel != "" || o.Collection.LabelColumn != "") {
		errs = append(errs, errors.New("--target-column: expected neither --multi-label nor --label-column beside it"))
	}
	if o.Train == "" || o.Test == "" {
		errs = append(errs, errors.New("--target-column and --multi-label: expected --train and --test"))
	}
	if len(o.Shots) > 0 || o.Retrieval != "none" || o.balancedClasses() || o.Probe != "lbfgs" || o.FineTune {
		errs = append(errs, errors.New("--target-column and --multi-label: --shots, --retrieval, --class-weights, --probe and --fine-tune are for classes"))
	}
	return errors.Join(errs...)
}

// measureTargets fits and tests what predicts the targets of images from features.
func (o options) measureTargets(ctx context.Context, th *torch.Thread, name string, train, test of, r *result) error {
	y, err := o.targets(train)
	if err != nil {
		return err
	}
	truth, err := o.targets(test)
	if err != nil {
		return err
	}
	r.Train.Classes, r.Test.Classes = y.Names, truth.Names
	if o.TargetColumn != "" {
		l2 := o.L2
		if slices.Equal(l2, eval.DefaultProbe().L2) {
			l2 = eval.DefaultRidge()
		}
		fit, err := eval.FitRidge(ctx, th, train.Features, y, l2)
		if err != nil {
			return err
		}
		figures, err := fit.Compare(ctx, th, test.Features, truth)
		r.Regression = append(r.Regression, regression{name, train.D, fit.L2, figures})
		return err
	}
	p := eval.DefaultProbe()
	p.L2, p.Seed = o.L2, o.Seed
	fit, err := eval.FitMultiLabel(ctx, th, train.Features, y, p)
	if err != nil {
		return err
	}
	figures, err := fit.Compare(ctx, th, test.Features, truth)
	r.MultiLabel = append(r.MultiLabel, multiLabel{name, train.D, fit.L2, fit.Converged, figures})
	return err
}

// targets are what labels, as texts, say of images.
func (o options) targets(x of) (eval.Targets, error) {
	if o.MultiLabel != "" {
		return o.labelSets(x.Extracted), nil
	}
	y := eval.Targets{D: 1, Names: []string{o.TargetColumn}}
	for i, l := range x.Labels {
		v, err := strconv.ParseFloat(strings.TrimSpace(x.Classes[l]), 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return y, fmt.Errorf("--%s: column %s of %s is %q, expected a number", x.source.flag, o.TargetColumn, x.source.Name(x.Samples[i]), x.Classes[l])
		}
		y.Y = append(y.Y, v)
	}
	return y, nil
}

// labelSets splits labels at --multi-label.
func (o options) labelSets(x eval.Extracted) eval.Targets {
	sets := make([][]string, len(x.Classes))
	y := eval.Targets{}
	used := make([]bool, len(x.Classes))
	for _, l := range x.Labels {
		used[l] = true
	}
	for c, text := range x.Classes {
		for part := range strings.SplitSeq(text, o.MultiLabel) {
			if part = strings.TrimSpace(part); part != "" && used[c] {
				sets[c] = append(sets[c], part)
			}
		}
		y.Names = append(y.Names, sets[c]...)
	}
	slices.Sort(y.Names)
	y.Names = slices.Compact(y.Names)
	y.D = len(y.Names)
	y.Y = make([]float64, len(x.Labels)*y.D)
	for i, l := range x.Labels {
		for _, part := range sets[l] {
			at, _ := slices.BinarySearch(y.Names, part)
			y.Y[i*y.D+at] = 1
		}
	}
	return y
}

// writeTargets is a table of what is predicted.
func (r result) writeTargets(out io.Writer) error {
	fmt.Fprintf(out, "%s: %d images to learn from, %d to be tested on\n\n", r.encoder(), r.Train.Used, r.Test.Used)
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	if len(r.Regression) > 0 {
		fmt.Fprintln(w, "features\ttarget\tR²\tMAE\tRMSE\tl2\t")
	} else {
		fmt.Fprintln(w, "features\tlabels\tmAP\tAUROC\tmacro F1\tmicro F1\tall right\tl2\t")
	}
	for _, s := range r.Regression {
		for _, t := range s.Targets {
			fmt.Fprintf(w, "%s (%d)\t%s\t%s\t%.4g\t%.4g\t%g\t\n", s.Features, s.Dim, t.Name, figure(t.R2), float64(t.MAE), float64(t.RMSE), s.L2)
		}
	}
	for _, s := range r.MultiLabel {
		fmt.Fprintf(w, "%s (%d)\t%d\t%s\t%s\t%s\t%s\t%s\t%g\t\n", s.Features, s.Dim, len(s.Labels), figure(s.MAP), figure(s.AUROC), figure(s.F1), figure(s.Micro.F1),
			figure(s.Exact), s.L2)
	}
	return w.Flush()
}
