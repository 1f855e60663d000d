package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/gojepa/gojepa/internal/cli"
	"github.com/gojepa/gojepa/train"
	"github.com/gojepa/gojepa/train/config"
)

// replay does a step again and shows its figures beside those of the record.
func replay(ctx context.Context, cfg config.Config, x extra, stdout, stderr io.Writer) error {
	given := []string{"data.path", "device", "threads", "workers", "out"}
	var others []string
	for _, d := range config.Differences(config.Default(), cfg) {
		if !slices.Contains(given, d.Key) {
			others = append(others, d.Key)
		}
	}
	if others != nil {
		return cli.Usage(fmt.Errorf("--replay does a step as the run did it: %s cannot be given with it", strings.Join(others, ", ")))
	}
	c := train.ReplayConfig{Run: x.Replay, Step: x.At, Data: cfg.Data.Path, Threads: cfg.Threads.Or(0), Workers: cfg.Workers.Or(0)}
	if cfg.Out != "auto" {
		c.Out = cfg.Out
	}
	if cfg.Device != "auto" {
		c.Device = cfg.Device
	}
	res, err := train.Replay(ctx, c, train.WithOutput(stderr))
	if errors.Is(err, context.Canceled) {
		return cli.Exit(x.Code, err)
	}
	if err != nil {
		return err
	}
	var b bytes.Buffer
	showReplay(&b, res)
	_, err = b.WriteTo(stdout)
	return err
}

// showReplay writes what a step came to.
func showReplay(b *bytes.Buffer, res *train.Replayed) {
	begun := "the beginning"
	if res.From > 0 {
		begun = fmt.Sprintf("the checkpoint after step %d", res.From)
	}
	fmt.Fprintf(b, "step %d, done again from %s\n\n", res.Step.Step, begun)
	w := tabwriter.NewWriter(b, 0, 0, 3, ' ', 0)
	if res.Recorded {
		fmt.Fprintln(w, "\tnow\tin metrics.jsonl\t")
	}
	for _, f := range res.Figures {
		note := "identical"
		if !f.Identical {
			note = "differs"
		}
		fmt.Fprintf(w, "%s\t%v\t%v\t%s\n", f.Name, f.Is, f.Was, note)
	}
	if !res.Recorded {
		fmt.Fprintf(w, "loss\t%v\nprediction\t%v\nsigreg\t%v\ngrad_norm\t%v\n", res.Step.Loss, res.Step.Prediction, res.Step.SIGReg, res.Step.GradNorm)
	}
	w.Flush()
	switch {
	case !res.Recorded:
		fmt.Fprintln(b, "\nThe run's metrics.jsonl has no such step to compare with.")
	case res.Identical():
		fmt.Fprintln(b, "\nAll figures are bit-identical to those of the run.")
	default:
		fmt.Fprintf(b, "\nThe figures are not bit-identical to those of the run; the first that differ are of step %d.\n", res.Parted)
	}
	if res.Diverged {
		fmt.Fprintln(b, "Loss or gradient is not finite.")
	}
	fmt.Fprintf(b, "\nviews    %s/views-000.png, views.safetensors\nimages   %s/step.json\n", res.Out, res.Out)
}
