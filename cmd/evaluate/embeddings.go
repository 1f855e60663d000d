package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/eval/store"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/vision/images"
)

// embedded are the rows of a set of embeddings, in the place of images.
type embedded struct {
	store.Part
	path string
}

func (e embedded) Len() int { return e.N }

// Name is the row's, or its number where rows have no names.
func (e embedded) Name(i int) string {
	if e.Names == nil {
		return fmt.Sprintf("row %d of %s", i, e.path)
	}
	return e.Names[i]
}

func (e embedded) Classes() []string { return e.Part.Classes }

func (e embedded) Label(i int) (int, bool) {
	if e.Labels == nil {
		return 0, false
	}
	return e.Labels[i], e.Labels[i] >= 0
}

// Image reports that there is none.
func (e embedded) Image(context.Context, int) (*images.Image, error) {
	return nil, errors.New("a set of embeddings has no images")
}

func (o options) checkEmbeddings() error {
	var errs []error
	if o.Test == "" {
		errs = append(errs, errors.New("--embeddings: expected --train and --test, or with --label-free --test alone"))
	}
	if o.Model.Weights != "" || o.Untrained || o.Pixels || o.FineTune || o.ClassTokens != 0 || o.Views != "" {
		errs = append(errs, errors.New("--embeddings: --weights, --untrained, --pixels, --fine-tune, --class-tokens and --views need images"))
	}
	return errors.Join(append(errs, o.Model.CheckMachine())...)
}

// measureEmbeddings is withLabels and withoutLabels for sets of embeddings.
func (o options) measureEmbeddings(ctx context.Context, r *result, log io.Writer) error {
	device, err := torch.ParseDevice(o.Model.Device)
	if err != nil {
		return err
	}
	th, err := torch.Start(torch.Options{Device: device, Threads: o.Model.Threads})
	if err != nil {
		return err
	}
	defer th.Close()
	test, testIndex, err := o.rows(ctx, "test", o.Test)
	if err != nil {
		return err
	}
	r.Test = test.source.describe()
	r.Test.Used = test.N
	if o.Train != "" {
		train, trainIndex, err := o.rows(ctx, "train", o.Train)
		if err != nil {
			return err
		}
		if err := o.checkShots(train.source); err != nil {
			return err
		}
		for _, key := range []string{"weights", "flags", "image_size", "mean", "std"} {
			if a, b := trainIndex.MadeWith[key], testIndex.MadeWith[key]; a != b {
				return fmt.Errorf("--train and --test: embeddings of different encoders: %s was %s for one and %s for the other", key, a, b)
			}
		}
		described := train.source.describe()
		r.Train = &described
		a, b := labelledRows(train, log), labelledRows(test, log)
		if err := o.measureKind(ctx, th, "embeddings", a, b, r); err != nil {
			return err
		}
		test = b
	}
	if !o.LabelFree {
		return nil
	}
	l, err := o.wholeFeatures(ctx, th, test.Features)
	r.LabelFree = &l
	return err
}

// rows reads the set of a flag.
func (o options) rows(ctx context.Context, flag, path string) (of, *store.Set, error) {
	set, err := store.Open(path)
	if err != nil {
		return of{}, nil, fmt.Errorf("--%s: %w", flag, err)
	}
	p, err := set.Load(ctx)
	if err != nil {
		return of{}, nil, fmt.Errorf("--%s: %w", flag, err)
	}
	if p.Labels == nil && !o.alone() {
		return of{}, nil, fmt.Errorf("--%s: %s has no labels: expected what embed --labels has written", flag, path)
	}
	x := eval.Extracted{Features: p.Features, Samples: make([]int, p.N)}
	for i := range x.Samples {
		x.Samples[i] = i
	}
	return of{source{Labelled: embedded{p, path}, flag: flag, path: path}, x}, set, nil
}

// labelledRows leaves out rows without a label, and counts them.
func labelledRows(x of, log io.Writer) of {
	labelled := x.Labelled()
	if n := x.N - labelled.N; n > 0 {
		fmt.Fprintf(log, "left out %d rows of %s that have no label\n", n, x.source.path)
	}
	return of{x.source, labelled}
}
