package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/torch"
)

// retrieval is what is found, and among which images.
type retrieval struct {
	Among string `json:"among"` // "gallery" or "leave-one-out"
	eval.Retrieval
}

// retrieve looks for the test images' classes by --retrieval; nil without it.
func (o options) retrieve(ctx context.Context, th *torch.Thread, train, test eval.Features) (*retrieval, error) {
	r := &retrieval{Among: o.Retrieval}
	var err error
	switch o.Retrieval {
	case "gallery":
		r.Retrieval, err = eval.Retrieve(ctx, th, train, test, o.RecallAt)
	case "leave-one-out":
		r.Retrieval, err = eval.RetrieveLeaveOneOut(ctx, th, test, o.RecallAt)
	default:
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// writeRetrieval is a table of mean average precision and recalls.
func (r result) writeRetrieval(out io.Writer) error {
	first := r.Scores[0].Retrieval
	if first == nil {
		return nil
	}
	among := "training images"
	if first.Among == "leave-one-out" {
		among = "the other test images"
	}
	fmt.Fprintf(out, "\nretrieval of %d test images' classes among %s", first.Queries, among)
	if first.Alone > 0 {
		fmt.Fprintf(out, "; %d are the only ones of their class", first.Alone)
	}
	fmt.Fprint(out, "\n\n")
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "features\tmAP\t")
	for _, a := range first.Recall {
		fmt.Fprintf(w, "recall@%d\t", a.K)
	}
	fmt.Fprintln(w)
	for _, s := range r.Scores {
		fmt.Fprintf(w, "%s (%d)\t%s\t", s.Features, s.Dim, figure(s.Retrieval.MAP))
		for _, a := range s.Retrieval.Recall {
			fmt.Fprintf(w, "%s\t", figure(a.Share))
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}
