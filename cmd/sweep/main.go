// Command sweep trains encoders that differ in some values of their configuration.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/gojepa/gojepa/internal/cli"
	"github.com/gojepa/gojepa/train"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/train/selection"
	"github.com/gojepa/gojepa/train/sweep"
	"github.com/gojepa/gojepa/vision"
)

// options are the command's flags.
type options struct {
	Jobs    int      `yaml:"jobs" flag:"jobs" arg:"N" help:"runs at a time, which share the cores out among them; 0 is one, and with --slurm all"`
	Threads int      `yaml:"threads" flag:"threads" arg:"N" help:"threads of a run, where its configuration leaves them open; 0 is the cores divided by --jobs. On a CPU the weights depend on them in their last bits"`
	Devices []string `yaml:"devices" flag:"devices" arg:"DEVICE,DEVICE,…" help:"devices that runs take turns on, such as cuda:0,cuda:1, where their configuration leaves it open"`
	Retry   bool     `yaml:"retry" flag:"retry" help:"do runs that failed or diverged again, too"`
	Extend  bool     `yaml:"extend" flag:"extend" help:"add runs to a plan that was written before"`
	Train   string   `yaml:"train" flag:"train" arg:"PROGRAM" help:"the program train, in place of this one's own, which also stops when the sweep is killed"`
	DryRun  bool     `yaml:"dry_run" flag:"dry-run" help:"print the plan, write nothing and start nothing" group:"In place of training"`
	Slurm   bool     `yaml:"slurm" flag:"slurm" help:"write the plan, print a batch script with a task for each run, and start nothing; --jobs is then how many tasks run at once, and --threads the CPUs of each" group:"In place of training"`
}

// asTrain is the first argument of this program where it is a run of a sweep.
const asTrain = "run-of-sweep"

func main() {
	if len(os.Args) > 1 && os.Args[1] == asTrain {
		os.Exit(runOfSweep(os.Args[2:], os.Stdout, os.Stderr))
	}
	os.Exit(command(os.Args[1:], os.Stdout, os.Stderr))
}

// command runs a command line and returns the exit code.
func command(line []string, stdout, stderr io.Writer) int {
	var o options
	cmd := cli.Command{
		Name:     "sweep",
		Synopsis: "trains encoders that differ in some values of their configuration.",
		Args:     "SWEEP.yaml",
		About: `The file says what the runs share and in what they differ:

  base: base.yaml               # a configuration of train; or config: {data: {path: photos}, …}
  out: runs/photos              # the runs' folders will be in it
  grid:                         # every combination; keys are train's, or its flags
    lambda: [0.005, 0.02, 0.1]
    optim.lr: [1e-4, 5e-4]
    size:                       # values that belong together, under a name of one's own
      - {width: 128, depth: 4}
      - {width: 192, depth: 12}
  random:                       # or drawn: {log: [a, b]}, {uniform: …}, {int: …}, {log_int: …} or a list
    samples: 30
    seed: 0
    lambda: {log: [0.005, 0.5]}
  runs:                         # or one by one
    - {name: long, lambda: 0.05, steps: 20000}
  stop: {at: [500, 1000], keep: 0.5}   # after so many steps the better half goes on, by loss / λ^0.4

All runs are written down in plan.yaml before the first begins. Each is a process of its own, whose output is kept in
its folder (output.log). Ctrl-C or SIGTERM saves the runs and ends with code 75; the same command goes on. Runs that
fail or diverge are reported and do not stop the others; the code is 1 then. Which run is best: see select.`,
		Examples: []cli.Example{
			{For: "what would be trained", Line: "sweep photos.yaml --dry-run"},
			{For: "two runs at a time", Line: "sweep photos.yaml --jobs 2"},
			{For: "a job array", Line: "sweep photos.yaml --slurm --threads 8 > photos.sbatch && sbatch photos.sbatch"},
		},
		Check: o.check,
	}
	cmd.Flags("Runs", &o)
	return cmd.Main(line, stdout, stderr, func(ctx context.Context, args []string) error {
		return run(ctx, o, args, stdout, stderr)
	})
}

func (o *options) check() error {
	var errs []error
	if o.Jobs < 0 {
		errs = append(errs, fmt.Errorf("--jobs: %d, expected 0 or more", o.Jobs))
	}
	if o.Threads < 0 {
		errs = append(errs, fmt.Errorf("--threads: %d, expected 0 or more", o.Threads))
	}
	if o.DryRun && o.Slurm {
		errs = append(errs, errors.New("--slurm: expected without --dry-run"))
	}
	return errors.Join(errs...)
}

// run reads the file and does what is asked for with it.
func run(ctx context.Context, o options, args []string, stdout, stderr io.Writer) error {
	if len(args) != 1 {
		return cli.Usage(fmt.Errorf("%d arguments, expected one: the sweep's file", len(args)))
	}
	p, err := sweep.Load(args[0])
	if err != nil {
		return cli.Usage(err)
	}
	if err := check(p); err != nil {
		return cli.Usage(err)
	}
	if o.Slurm && p.Stop.At != nil {
		return cli.Usage(fmt.Errorf("--slurm: %s has stop, which needs one process that compares the runs: expected a sweep without it", args[0]))
	}
	if p.Stop.At != nil {
		for _, warning := range selection.Differing(configs(p)) {
			fmt.Fprintf(stderr, "warning: stop: %s\n", warning)
		}
	}
	if o.DryRun {
		return show(stdout, p)
	}
	if err := p.Save(o.Extend); err != nil {
		if errors.As(err, new(*sweep.ChangedError)) {
			return cli.Usage(err)
		}
		return err
	}
	if o.Slurm {
		program := "train"
		if o.Train != "" {
			program = o.Train
		}
		return p.Slurm(stdout, []string{program}, o.Jobs, o.Threads)
	}
	program, err := o.program()
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "%d runs in %s, see plan.yaml there\n", len(p.Runs), p.Out)
	states, err := sweep.Execute(ctx, p, sweep.Options{
		Train: program, Jobs: max(1, o.Jobs), Threads: o.Threads, Devices: o.Devices, Retry: o.Retry, Output: stderr,
	})
	if errors.Is(err, context.Canceled) {
		fmt.Fprintf(stderr, "interrupted; the runs are saved in %s. The same command goes on with them.\n", p.Out)
		return cli.Exit(cli.TryAgain, err)
	}
	if err != nil {
		return err
	}
	return report(stdout, p, states)
}

func configs(p *sweep.Plan) []config.Config {
	all := make([]config.Config, len(p.Runs))
	for i, r := range p.Runs {
		all[i] = r.Config
	}
	return all
}

// program is what does a run: a program that is given, or this one.
func (o *options) program() ([]string, error) {
	if o.Train != "" {
		return []string{o.Train}, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program, to start runs with: %w; --train says which to take", err)
	}
	return []string{self, asTrain}, nil
}

// show prints the plan.
func show(w io.Writer, p *sweep.Plan) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range p.Runs {
		fmt.Fprintf(t, "%s", r.Name)
		for _, v := range r.Set {
			fmt.Fprintf(t, "\t%s=%s", v.Key, v.Value)
		}
		fmt.Fprintln(t)
	}
	fmt.Fprintf(t, "\n%d runs in %s; early stopping: %s\n", len(p.Runs), p.Out, p.Stop)
	return t.Flush()
}

// report prints what became of the runs. Runs that did not finish are an error.
func report(w io.Writer, p *sweep.Plan, states []sweep.Status) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	bad := 0
	for _, s := range states {
		fmt.Fprintf(t, "%s\t%s", s.State, s.Name)
		if s.State == sweep.Stopped {
			fmt.Fprintf(t, "\t%s", s.Message)
		}
		fmt.Fprintln(t)
		if s.State != sweep.Finished && s.State != sweep.Stopped {
			bad++
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d runs in %s did not finish; the same command goes on with those that were killed, and with --retry does those that failed or diverged again", bad, len(states), p.Out)
	}
	return nil
}

// check reports what no run can have, as far as that is known before any image is read: encoders that there are not, and paths
// with nothing there.
func check(p *sweep.Plan) error {
	var errs []error
	seen := map[string]bool{}
	fail := func(r sweep.Run, key string, err error) {
		if err != nil && !seen[err.Error()] {
			seen[err.Error()] = true
			errs = append(errs, fmt.Errorf("run %s: %s: %w", r.Name, key, err))
		}
	}
	for _, r := range p.Runs {
		e, data := r.Config.Encoder, r.Config.Data
		if e.Name != "auto" && e.Init == "" {
			spec := train.EncoderSpec(e)
			if _, set := e.ImageSize.Get(); !set { // the images' own will do, where the model's need not
				spec = vision.Spec{Name: e.Name}
			}
			fail(r, "encoder", spec.Validate())
		}
		for _, f := range []struct{ key, path string }{{"data.path", data.Path}, {"data.test_path", data.TestPath}, {"encoder.init", e.Init}} {
			if f.path != "" && !strings.ContainsAny(f.path, "*?[{") {
				_, err := os.Stat(f.path)
				fail(r, f.key, err)
			}
		}
	}
	return errors.Join(errs...)
}
