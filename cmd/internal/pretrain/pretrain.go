// Package pretrain is a run as commands do it: with the errors and exit codes that batch systems and sweeps rely on.
package pretrain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/gojepa/gojepa/internal/cli"
	"github.com/gojepa/gojepa/train"
	"github.com/gojepa/gojepa/train/config"
)

// Run trains, with progress on stderr. A run that was told to stop ends a command with the given code; one that the run's folder
// does not suit is the user's mistake.
func Run(ctx context.Context, cfg config.Config, code int, stderr io.Writer, opts ...train.Option) (*train.Result, error) {
	res, err := train.Run(ctx, cfg, append([]train.Option{train.WithOutput(stderr)}, opts...)...)
	var stopped *train.Interrupted
	if errors.As(err, &stopped) {
		fmt.Fprintf(stderr, "%v\nThe same command goes on with it.\n", stopped)
	}
	if errors.Is(err, context.Canceled) { // perhaps before there was anything to save
		return nil, cli.Exit(code, err)
	}
	if errors.As(err, new(*config.MismatchError)) {
		return nil, cli.Usage(err)
	}
	return res, err
}

// Show writes what a run came to.
func Show(b *bytes.Buffer, res *train.Result) {
	if rows := train.Accuracies(res.Values); len(rows) > 0 {
		fmt.Fprintln(b)
		w := tabwriter.NewWriter(b, 0, 0, 3, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "\tlinear probe\tk-NN\t")
		for _, row := range rows {
			fmt.Fprintf(w, "%s\t%.2f %%\t%.2f %%\t\n", row.Name, 100*row.Linear, 100*row.KNN)
		}
		w.Flush()
	}
	if n := len(res.Broken); n > 0 {
		fmt.Fprintf(b, "\nimages that could not be read: %d, see %s/bad_files.txt\n", n, res.Out)
	}
	if n := len(res.BadTexts); n > 0 {
		fmt.Fprintf(b, "\ncaptions that could not be read: %d, see %s/bad_captions.txt\n", n, res.Out)
	}
	fmt.Fprintf(b, "\nweights  %s/encoder.safetensors\nreport   %s/report.html\n", res.Out, res.Out)
}
