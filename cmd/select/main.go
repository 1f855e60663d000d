// Command select ranks training runs without labels.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gojepa/gojepa/internal/atomicfile"
	"github.com/gojepa/gojepa/internal/cli"
	"github.com/gojepa/gojepa/internal/fields"
	"github.com/gojepa/gojepa/train/runlog"
	"github.com/gojepa/gojepa/train/selection"
	"github.com/gojepa/gojepa/train/sweep"
)

// options are the command's flags.
type options struct {
	Alpha     string  `yaml:"alpha" flag:"alpha" arg:"X|auto" help:"exponent of λ in loss / λ^α; auto is a heuristic: the share of SIGReg in the loss, of the run in the middle (docs/selection.md)"`
	At        int     `yaml:"at" flag:"at" arg:"STEP" help:"rank by what was known after STEP steps, unfinished runs too; 0 is the end"`
	Window    float64 `yaml:"window" flag:"window" arg:"SHARE" help:"share of the steps, the last ones, whose loss is averaged; 20 steps at least"`
	Resamples int     `yaml:"resamples" flag:"resamples" arg:"N" help:"of the bootstrap, for probabilities and intervals"`
	Seed      uint64  `yaml:"seed" flag:"seed" help:"names the resamples"`

	Metric     string `yaml:"metric" flag:"metric" arg:"NAME" help:"accuracy in the runs' evaluations to compare with, such as linear, knn, online_linear or online_knn; none for no comparison; auto is the first of these that all have" group:"Comparison with labels"`
	Accuracies string `yaml:"accuracies" flag:"accuracies" arg:"FILE" help:"CSV file with columns run and accuracy, in place of the runs' own" group:"Comparison with labels"`
	ByStep     bool   `yaml:"by_step" flag:"by-step" help:"compare after every step after which all runs were evaluated" group:"Comparison with labels"`

	Plot string `yaml:"plot" flag:"plot" arg:"FILE" help:"where to draw scores and accuracies (PNG)" group:"Output"`
	JSON string `yaml:"json" flag:"json" arg:"FILE" help:"where to write everything as JSON; - is the standard output, in place of the text" group:"Output"`
}

func defaults() options {
	d := selection.DefaultOptions()
	return options{Alpha: strconv.FormatFloat(d.Alpha, 'g', -1, 64), Window: d.Window, Resamples: d.Resamples, Metric: "auto"}
}

func main() {
	os.Exit(command(os.Args[1:], os.Stdout, os.Stderr))
}

// command runs a command line and returns the exit code.
func command(line []string, stdout, stderr io.Writer) int {
	o := defaults()
	cmd := cli.Command{
		Name:     "select",
		Synopsis: "ranks training runs without labels, by LeJEPA's loss.",
		Args:     "RUN…",
		About: `RUN is the folder of a run, or of a sweep, which stands for all its runs. The score is train loss / λ^α, and less is
better: over hyper-parameters it goes with the accuracy of a linear probe (arXiv 2511.08544, section 6.2). The loss is
the mean of the last steps; P(1st) and the interval of ranks say how sure the order is in view of the noise of steps,
and nothing of what another seed would give. Where there are accuracies it shows how well the score agrees with them.`,
		Examples: []cli.Example{
			{For: "the runs of a sweep", Line: "select runs/photos"},
			{For: "with accuracies of one's own, and a picture", Line: "select runs/a runs/b runs/c --accuracies test.csv --plot selection.png"},
			{For: "how early the loss would have told", Line: "select runs/photos --by-step"},
		},
		Check: o.check,
	}
	cmd.Flags("Ranking", &o)
	return cmd.Main(line, stdout, stderr, func(_ context.Context, args []string) error { return run(o, args, stdout) })
}

// ranking is what the flags say of the ranking.
func (o *options) ranking() (selection.Options, error) {
	r := selection.Options{Auto: o.Alpha == "auto", At: o.At, Window: o.Window, Resamples: o.Resamples, Seed: o.Seed}
	if r.Auto {
		return r, nil
	}
	var err error
	if r.Alpha, err = fields.ParseFloat(o.Alpha); err != nil {
		return r, fmt.Errorf("--alpha: %w, expected one, or auto", err)
	}
	return r, nil
}

func (o *options) check() error {
	r, err := o.ranking()
	errs := []error{err, cli.Dashed(r.Validate())}
	if o.Metric == "" {
		errs = append(errs, errors.New("--metric: empty, expected a name, auto or none"))
	}
	if o.Accuracies != "" && (o.Metric != "auto" || o.ByStep) {
		errs = append(errs, errors.New("--accuracies: expected without --metric and --by-step, which are of the runs' own evaluations"))
	}
	if o.ByStep && (o.At != 0 || o.Metric == "none") {
		errs = append(errs, errors.New("--by-step: expected without --at, and with a metric"))
	}
	if o.Plot != "" && !strings.EqualFold(filepath.Ext(o.Plot), ".png") {
		errs = append(errs, fmt.Errorf("--plot: %q, expected a name that ends in .png", o.Plot))
	}
	if o.Plot != "" && o.Metric == "none" {
		errs = append(errs, errors.New("--plot: expected with accuracies, and not with --metric none"))
	}
	for _, f := range []struct{ flag, file string }{{"plot", o.Plot}, {"json", o.JSON}} {
		dir := filepath.Dir(f.file)
		if info, err := os.Stat(dir); f.file != "" && (err != nil || !info.IsDir()) {
			errs = append(errs, fmt.Errorf("--%s: there is no folder %s", f.flag, dir))
		}
	}
	return errors.Join(errs...)
}

// run ranks the runs and says what came of it.
func run(o options, args []string, out io.Writer) error {
	runs, skipped, err := open(args)
	if err != nil {
		return err
	}
	how, err := o.ranking()
	if err != nil {
		return err
	}
	ranking, err := selection.Rank(runs, how)
	if err != nil {
		return err
	}
	ranking.Skipped = append(skipped, ranking.Skipped...)
	r := result{Ranking: ranking}
	if err := r.compare(o, how, runs); err != nil {
		return err
	}
	if o.Plot != "" {
		if r.Comparison == nil {
			return errors.New("--plot: the runs have no accuracies to draw: expected runs with --labels, or --accuracies")
		}
		if err := write(o.Plot, r.draw); err != nil {
			return err
		}
	}
	if o.JSON == "-" {
		return r.writeJSON(out)
	}
	if o.JSON != "" {
		if err := write(o.JSON, r.writeJSON); err != nil {
			return err
		}
	}
	return r.writeText(out)
}

// open reads the runs in folders, and those of sweeps. Runs of a sweep that were not begun are left out.
func open(args []string) (runs []*selection.Run, skipped []selection.Skipped, err error) {
	var errs []error
	seen := map[string]bool{}
	add := func(dir string, planned bool) {
		abs, err := filepath.Abs(dir)
		if err != nil || seen[abs] {
			errs = append(errs, err)
			return
		}
		seen[abs] = true
		run, err := selection.Open(dir)
		switch {
		case err != nil && planned && (!exists(filepath.Join(dir, runlog.ConfigFile)) || !exists(filepath.Join(dir, runlog.MetricsFile))):
			skipped = append(skipped, selection.Skipped{Name: filepath.Base(dir), Why: "not begun"})
		case err != nil:
			errs = append(errs, err)
		default:
			runs = append(runs, run)
		}
	}
	for _, arg := range args {
		planned, err := sweep.Runs(arg)
		if err != nil {
			errs = append(errs, err)
		}
		for _, dir := range planned {
			add(dir, true)
		}
		if planned == nil && err == nil {
			add(arg, false)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	if len(runs) < 2 {
		return nil, nil, cli.Usage(fmt.Errorf("%d runs, expected 2 or more folders of runs, or the folder of a sweep", len(runs)))
	}
	return named(runs), skipped, nil
}

// named gives runs whose folders have the same name that of their parents, too.
func named(runs []*selection.Run) []*selection.Run {
	count := map[string]int{}
	for _, r := range runs {
		count[r.Name]++
	}
	for _, r := range runs {
		if count[r.Name] > 1 {
			r.Name = filepath.Clean(r.Dir)
		}
	}
	return runs
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (r result) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func write(path string, f func(w io.Writer) error) error {
	if err := atomicfile.Write(path, f); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
