// Command gaussianity reports how far embeddings are from isotropic Gaussian.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gojepa/gojepa/internal/atomicfile"
	"github.com/gojepa/gojepa/internal/cli"
	"github.com/gojepa/gojepa/sigreg/gaussianity"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/train/progress"
)

// options are the command's flags.
type options struct {
	Tensor string `yaml:"tensor" flag:"tensor" arg:"NAME" help:"which tensor of a .safetensors file; by default \"features\", as embed writes it, or else the only matrix"`

	Standardise gaussianity.Standardise `yaml:"standardise" flag:"standardise" arg:"none|scale|whiten" help:"what is not to count, and is taken out of the embeddings and of the simulated sets alike. none: nothing, they are compared with N(0, I), as SIGReg does with projections. scale: the mean and one common scale. whiten: the mean and the whole covariance, which leaves the shape"`
	Samples     int                     `yaml:"samples" flag:"samples" arg:"N" help:"rows to examine at most, drawn at random; 0 for all. Joint tests take 1024 of them at most"`
	Slices      int                     `yaml:"slices" flag:"slices" arg:"N" help:"random directions to project on"`
	Simulations int                     `yaml:"simulations" flag:"simulations" arg:"N" help:"simulated sets to compare with: the least p-value is 1/(N+1)"`
	Directions  int                     `yaml:"directions" flag:"directions" arg:"N" help:"least Gaussian directions to describe"`
	Seed        uint64                  `yaml:"seed" flag:"seed" help:"names what is random: the rows, the directions, the simulated sets"`

	Picture string `yaml:"picture" flag:"picture" arg:"FILE" help:"where to draw a picture (PNG), or none; by default NAME.gaussianity.png in this folder, for a file NAME.npy" group:"Output"`
	JSON    string `yaml:"json" flag:"json" arg:"FILE" help:"where to write everything as JSON, spectrum and directions in full; - is the standard output, in place of the text" group:"Output"`

	Threads int `yaml:"threads" flag:"threads" arg:"N" help:"threads of computation; 0 is one per core" group:"Machine"`
}

func defaults() options {
	d := gaussianity.DefaultOptions()
	return options{
		Standardise: d.Standardise, Samples: d.Samples, Slices: d.Slices, Simulations: d.Simulations, Directions: d.Directions,
	}
}

func main() {
	o := defaults()
	os.Exit(command(&o).Main(os.Args[1:], os.Stdout, os.Stderr, func(ctx context.Context, args []string) error {
		return run(ctx, o, args, os.Stdout, os.Stderr)
	}))
}

func command(o *options) *cli.Command {
	cmd := &cli.Command{
		Name:     "gaussianity",
		Synopsis: "reports how far embeddings are from isotropic Gaussian.",
		Args:     "FILE",
		About: `FILE is a .npy or a .safetensors file with one embedding in each row, of float16, bfloat16, float32 or float64, or the
index or the folder of a set that embed wrote. Rows should be independent of each other: views of one image are not,
and belong into files of their own.

The report has figures of the covariance and its eigenvalues, every test of packages sigreg, sigreg/univariate and
sigreg/multivariate, and the directions on which the embeddings are least Gaussian. Each number stands beside what
simulated Gaussian samples, as many and of as many dimensions, give in the same steps; p is how often they are as far
out. A small p says that a difference is no chance. It does not say that it is large: see the ratios for that.`,
		Examples: []cli.Example{
			{For: "the features of an encoder", Line: "gaussianity features.npy"},
			{For: "projections, as SIGReg sees them in training", Line: "gaussianity projections.npy --standardise none"},
			{For: "finer p-values, more of the rows, and all numbers for a program", Line: "gaussianity features.safetensors --simulations 999 --samples 10000 --json report.json"},
		},
		Check: o.check,
	}
	cmd.Flags("Examination", o)
	return cmd
}

func (o *options) check() error {
	errs := []error{cli.Dashed(o.examination().Validate())}
	if o.Threads < 0 {
		errs = append(errs, fmt.Errorf("--threads: %d, expected 0 or more", o.Threads))
	}
	if o.Picture != "" && o.Picture != "none" && !strings.EqualFold(filepath.Ext(o.Picture), ".png") {
		errs = append(errs, fmt.Errorf("--picture: %q, expected a name that ends in .png, or none", o.Picture))
	}
	for _, f := range []struct{ flag, file string }{{"picture", o.Picture}, {"json", o.JSON}} {
		dir := filepath.Dir(f.file)
		if info, err := os.Stat(dir); f.file != "" && (err != nil || !info.IsDir()) {
			errs = append(errs, fmt.Errorf("--%s: there is no folder %s", f.flag, dir))
		}
	}
	return errors.Join(errs...)
}

func (o *options) examination() gaussianity.Options {
	return gaussianity.Options{
		Standardise: o.Standardise, Samples: o.Samples, Slices: o.Slices, Simulations: o.Simulations, Directions: o.Directions,
		Seed: o.Seed,
	}
}

// result is what the command found, and in which file.
type result struct {
	File    string `json:"file"`
	Tensor  string `json:"tensor,omitempty"` // of a file that may have several
	DType   string `json:"dtype"`
	Picture string `json:"picture,omitempty"`
	*gaussianity.Report
}

// run examines the file, prints the report to out and all else to log.
func run(ctx context.Context, o options, args []string, out, log io.Writer) error {
	if len(args) != 1 {
		return cli.Usage(fmt.Errorf("%d arguments, expected one: the file of embeddings", len(args)))
	}
	m, err := readMatrix(args[0], o.Tensor)
	if err != nil {
		return err
	}
	r := result{File: m.file, Tensor: m.tensor, DType: m.dtype.String(), Picture: o.picture(m.file)}
	if r.Report, err = examine(ctx, o, m, log); err != nil {
		return fmt.Errorf("%s: %w", m.name(), err)
	}
	if r.Picture != "" {
		if err := write(r.Picture, r.draw); err != nil {
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

// picture is the file to draw to, or "".
func (o *options) picture(file string) string {
	switch o.Picture {
	case "none":
		return ""
	case "":
		base := filepath.Base(file)
		return strings.TrimSuffix(base, filepath.Ext(base)) + ".gaussianity.png"
	}
	return o.Picture
}

func examine(ctx context.Context, o options, m *matrix, log io.Writer) (*gaussianity.Report, error) {
	th, err := torch.Start(torch.Options{Threads: o.Threads})
	if err != nil {
		return nil, err
	}
	defer th.Close()
	bar := progress.New(log, progress.Options{Total: o.Simulations + 1, Unit: "set", Item: "sets", Every: 10 * time.Second})
	defer bar.Finish()
	e := o.examination()
	e.Progress = func(done, _ int) { bar.Set(done, done) }
	var report *gaussianity.Report
	if err := th.Do(ctx, func(s *torch.Scope) {
		x := m.load(s)
		report, err = gaussianity.Examine(ctx, s, x, e)
	}); err != nil {
		return nil, err
	}
	switch {
	case errors.Is(err, gaussianity.ErrConstant):
		err = fmt.Errorf("%w; --standardise none takes them as they are", err)
	case errors.Is(err, gaussianity.ErrSingular):
		err = fmt.Errorf("%w; --standardise scale needs no inverse", err)
	}
	return report, err
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
