package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/torch"
)

// result is what the command prints.
type result struct {
	Weights   string  `json:"weights"`
	Untrained bool    `json:"untrained,omitempty"` // of the weights' file, or of no file, the model alone
	Model     string  `json:"model"`               // "" of embeddings
	ImageSize int     `json:"image_size"`          // 0 likewise
	Train     *set    `json:"train,omitempty"`
	Test      set     `json:"test"`
	Scores    []score `json:"scores,omitempty"`

	Regression []regression `json:"regression,omitempty"`
	MultiLabel []multiLabel `json:"multi_label,omitempty"`

	FineTuned *fineTuned `json:"fine_tuned,omitempty"`

	LabelFree *labelFree `json:"label_free,omitempty"` // of the encoder's features of the test images
}

// set is one collection of images.
type set struct {
	Path    string   `json:"path"`
	Images  int      `json:"images"`
	Used    int      `json:"used"` // those that can be read and have a class
	Classes []string `json:"classes"`
}

// score is how good one kind of features is.
type score struct {
	Features string              `json:"features"` // "encoder", "class tokens", "pixels" or "embeddings"
	Dim      int                 `json:"dim"`
	KNN      eval.Classification `json:"knn"`
	Linear   eval.Classification `json:"linear"`
	Probe    probe               `json:"probe"`

	FewShot   []eval.FewShot `json:"few_shot,omitempty"`
	Retrieval *retrieval     `json:"retrieval,omitempty"`
}

// probe is how the linear classifier was fitted.
type probe struct {
	Kind      string  `json:"kind"`
	L2        float64 `json:"l2"`                  // the strength of regularisation that was chosen; of lbfgs
	Loss      float64 `json:"loss"`                // mean cross-entropy on the training images
	Weights   string  `json:"class_weights"`       // "none" or "balanced"
	Converged *bool   `json:"converged,omitempty"` // of lbfgs
}

// of is the features of a source's images.
type of struct {
	source source
	eval.Extracted
}

// measureClasses adds to r how well classes are told apart.
func (o options) measureClasses(ctx context.Context, th *torch.Thread, name string, train, test of, r *result) error {
	s, err := o.measure(ctx, th, train.Features, test.Features)
	if err != nil {
		return err
	}
	s.Features = name
	if err := o.measureShots(ctx, th, train.Features, test.Features, &s); err != nil {
		return err
	}
	if s.Retrieval, err = o.retrieve(ctx, th, train.Features, test.Features); err != nil {
		return err
	}
	r.Scores = append(r.Scores, s)
	return nil
}

// measure is k-NN and a linear probe.
func (o options) measure(ctx context.Context, th *torch.Thread, train, test eval.Features) (score, error) {
	s := score{Dim: train.D, Probe: probe{Kind: o.Probe, Weights: o.ClassWeights}}
	var err error
	if s.KNN, err = eval.ClassifyKNN(ctx, th, train, test, eval.KNNOptions{K: o.K, Temperature: o.Temperature}); err != nil {
		return s, err
	}
	var l *eval.Linear
	if o.Probe == "adamw" {
		a := eval.DefaultAdamW()
		a.Seed = o.Seed
		l, err = eval.FitAdamW(ctx, th, train, a)
	} else {
		p := eval.DefaultProbe()
		p.L2, p.Seed, p.Balanced = o.L2, o.Seed, o.balancedClasses()
		if l, err = eval.FitLinear(ctx, th, train, p); err == nil {
			s.Probe.L2, s.Probe.Converged = l.L2, &l.Converged
		}
	}
	if err != nil {
		return s, err
	}
	s.Probe.Loss = l.Loss
	s.Linear, err = l.Classify(ctx, th, test)
	return s, err
}

func (r result) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func (r result) writeTable(out io.Writer) error {
	if r.Train == nil {
		fmt.Fprintf(out, "%s\n\n", r.encoder())
		return r.LabelFree.write(out)
	}
	write := r.writeClasses
	if len(r.Scores) == 0 {
		write = r.writeTargets
	}
	if err := write(out); err != nil || r.LabelFree == nil {
		return err
	}
	fmt.Fprintln(out)
	return r.LabelFree.write(out)
}

// writeClasses is a table of accuracies, and what else is known of classes.
func (r result) writeClasses(out io.Writer) error {
	fmt.Fprintf(out, "%s: %d images of %d classes to learn from, %d to be tested on\n\n",
		r.encoder(), r.Train.Used, len(r.Train.Classes), r.Test.Used)
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	balanced := r.unbalanced()
	columns := []string{"features", "linear probe", "k-NN"}
	if balanced {
		columns = append(columns, "linear, balanced", "k-NN, balanced")
	}
	columns = append(columns, "linear, AUROC", "k-NN, AUROC")
	fmt.Fprintln(w, strings.Join(columns, "\t")+"\t")
	for _, s := range r.Scores {
		row := []string{s.Features + " (" + strconv.Itoa(s.Dim) + ")", percent(s.Linear.Top1), percent(s.KNN.Top1)}
		if balanced {
			row = append(row, percent(s.Linear.Balanced), percent(s.KNN.Balanced))
		}
		row = append(row, figure(s.Linear.AUROC), figure(s.KNN.AUROC))
		fmt.Fprintln(w, strings.Join(row, "\t")+"\t")
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return errors.Join(r.writeShots(out), r.writeRetrieval(out), r.FineTuned.write(out))
}

// encoder is what is evaluated.
func (r result) encoder() string {
	if r.Model == "" {
		return "embeddings"
	}
	untrained := ""
	if r.Untrained {
		untrained = ", untrained"
	}
	return fmt.Sprintf("%s at %d px%s", r.Model, r.ImageSize, untrained)
}

// unbalanced says whether the test set's classes differ in size, so that a mean over classes says something else.
func (r result) unbalanced() bool {
	first := 0
	for _, c := range r.Scores[0].KNN.Classes {
		if c.N > 0 && first > 0 && c.N != first {
			return true
		}
		if c.N > 0 {
			first = c.N
		}
	}
	return false
}

func percent(v float64) string { return fmt.Sprintf("%.2f %%", 100*v) }

// figure is a share of 1, or a dash where it does not exist.
func figure(v eval.Score) string {
	if math.IsNaN(float64(v)) {
		return "–"
	}
	return fmt.Sprintf("%.4f", float64(v))
}
