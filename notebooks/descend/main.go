// Command descend lets a cloud of points in the plane follow the gradient of every test of Gaussianity that there is here, for
// the notebook on SIGReg.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/gojepa/gojepa/internal/atomicfile"
	"github.com/gojepa/gojepa/internal/cli"
	"github.com/gojepa/gojepa/internal/npy"
	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/sigreg"
	"github.com/gojepa/gojepa/sigreg/gaussianity"
	"github.com/gojepa/gojepa/torch"
)

// options are the command's flags.
type options struct {
	Out     string  `yaml:"out" flag:"out" arg:"DIR" help:"folder for NAME.npy, float32 [frames, points, 2], of each test, and descent.json; it is made if it is not there"`
	Points  int     `yaml:"points" flag:"points" arg:"N" help:"points of the cloud"`
	Steps   int     `yaml:"steps" flag:"steps" arg:"N" help:"steps along the gradient"`
	Every   int     `yaml:"every" flag:"every" arg:"N" help:"steps from one frame to the next; the cloud before the first step is a frame too"`
	Slices  int     `yaml:"slices" flag:"slices" arg:"N" help:"directions to project on, other ones at each step"`
	LR      float64 `yaml:"lr" flag:"lr" arg:"X" help:"how far points go in the first step, root mean square; a half cosine brings it down to nothing"`
	Seed    uint64  `yaml:"seed" flag:"seed" help:"names the cloud, the directions and the Gaussian samples"`
	Threads int     `yaml:"threads" flag:"threads" arg:"N" help:"threads of computation; 0 is one per core"`
}

func main() {
	o := options{Points: 400, Steps: 400, Every: 50, Slices: 64, LR: 0.05}
	cmd := &cli.Command{
		Name:     "descend",
		Synopsis: "lets a cloud in the plane become Gaussian under each test.",
		About: `Every test begins with the same cloud: two crescents and a clump far from them. Tests of projections see it on random
directions; the others as it is. descent.json has each test's value at each step, and what Gaussian samples, as many, have.`,
		Check: o.check,
	}
	cmd.Flags("Descent", &o)
	os.Exit(cmd.Main(os.Args[1:], os.Stdout, os.Stderr, func(ctx context.Context, _ []string) error {
		return run(ctx, o, os.Stdout)
	}))
}

func (o *options) check() error {
	var errs []error
	if o.Out == "" {
		errs = append(errs, errors.New("--out: missing; expected a folder"))
	}
	for _, n := range []struct {
		flag         string
		value, least int
	}{{"points", o.Points, 16}, {"steps", o.Steps, 1}, {"every", o.Every, 1}, {"slices", o.Slices, 1}, {"threads", o.Threads, 0}} {
		if n.value < n.least {
			errs = append(errs, fmt.Errorf("--%s: %d, expected %d or more", n.flag, n.value, n.least))
		}
	}
	if !(o.LR > 0) || math.IsInf(o.LR, 0) {
		errs = append(errs, fmt.Errorf("--lr: %v, expected a number above 0", o.LR))
	}
	return errors.Join(errs...)
}

// descent is what descent.json has of a test.
type descent struct {
	Name     string    `json:"name"`
	Sliced   bool      `json:"sliced"`
	Frames   []int     `json:"frames"`   // the steps after which they are
	Values   []float64 `json:"values"`   // before each step, on the directions of that step, and after the last
	Gaussian float64   `json:"gaussian"` // mean over 100 sets of Gaussian samples
}

func run(ctx context.Context, o options, out io.Writer) error {
	th, err := torch.Start(torch.Options{Threads: o.Threads})
	if err != nil {
		return err
	}
	defer th.Close()
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return err
	}
	start := cloud(o.Points, rng.New(o.Seed, rng.Sample, 0, 0))
	var all []descent
	for i, tests := range [][]gaussianity.Named{gaussianity.SlicedTests(), gaussianity.JointTests()} {
		for _, t := range tests {
			d := descent{Name: t.Name, Sliced: i == 0}
			statistic := o.statistic(t.Test, d.Sliced)
			var frames []float32
			if err := th.Do(ctx, func(s *torch.Scope) {
				d.Gaussian = o.gaussian(s, statistic)
				frames = o.descend(ctx, s, statistic, start, &d)
			}); err != nil {
				return fmt.Errorf("%s: %w", t.Name, err)
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := atomicfile.Write(filepath.Join(o.Out, t.Name+".npy"), func(w io.Writer) error {
				return npy.Write(w, []int{len(d.Frames), o.Points, 2}, frames)
			}); err != nil {
				return err
			}
			fmt.Fprintf(out, "%-18s %9.4g to %9.4g; Gaussian samples %9.4g\n", t.Name, d.Values[0], d.Values[o.Steps], d.Gaussian)
			all = append(all, d)
		}
	}
	return atomicfile.Write(filepath.Join(o.Out, "descent.json"), func(w io.Writer) error { return json.NewEncoder(w).Encode(all) })
}

// cloud are n points: two crescents that interlock, and a tenth of them in a clump.
func cloud(n int, r *rand.Rand) []float64 {
	x := make([]float64, 0, 2*n)
	for i := range n {
		angle := math.Pi * r.Float64()
		at := [2]float64{2*math.Cos(angle) - 0.5, 2*math.Sin(angle) - 0.5}
		switch {
		case i%10 == 0:
			at = [2]float64{3, 2.5}
		case i%2 == 0:
			at = [2]float64{1.5 - 2*math.Cos(angle), 0.5 - 2*math.Sin(angle)}
		}
		x = append(x, at[0]+0.12*r.NormFloat64(), at[1]+0.12*r.NormFloat64())
	}
	return x
}

// statistic is a test of points x [N, 2] at a step, as a scalar through which gradient flows.
func (o options) statistic(test sigreg.Test, sliced bool) func(s *torch.Scope, x torch.Tensor, step int) torch.Tensor {
	if !sliced {
		return func(s *torch.Scope, x torch.Tensor, _ int) torch.Tensor { return test.Statistic(s, x).Mean() }
	}
	t, slices := sigreg.Sliced{Test: test}, sigreg.Slices{Count: o.Slices, Seed: o.Seed}
	return func(s *torch.Scope, x torch.Tensor, step int) torch.Tensor {
		return t.Statistic(s, x, slices.At(s, x.DType(), uint64(step), 2))
	}
}

// gaussian is the mean of a statistic of as many samples of N(0, I).
func (o options) gaussian(s *torch.Scope, statistic func(*torch.Scope, torch.Tensor, int) torch.Tensor) (mean float64) {
	const sets = 100
	s.NoGrad(func() {
		for i := range sets {
			s.Child(func(s *torch.Scope) torch.Tensor {
				x := s.Randn(rng.New(o.Seed, rng.Simulation, uint64(i), 0), torch.Float64, int64(o.Points), 2)
				mean += statistic(s, x, i).Item() / sets
				return torch.Tensor{}
			})
		}
	})
	return mean
}

// descend follows a statistic's gradient from the points of start, which it leaves alone, and returns the frames.
func (o options) descend(ctx context.Context, s *torch.Scope, statistic func(*torch.Scope, torch.Tensor, int) torch.Tensor,
	start []float64, d *descent) (frames []float32) {
	points := s.FromFloat64(start, int64(o.Points), 2)
	frame := func(step int) {
		d.Frames = append(d.Frames, step)
		frames = append(frames, points.To(torch.Float32).Float32s()...)
	}
	frame(0)
	for step := 0; step < o.Steps && ctx.Err() == nil; step++ {
		s.Child(func(s *torch.Scope) torch.Tensor {
			x := s.Use(points).Detach().SetRequiresGrad(true)
			v := statistic(s, x, step)
			v.Backward()
			d.Values = append(d.Values, v.Item())
			// The statistics differ in scale by orders of magnitude: the cloud goes as far at a step under each.
			length := x.Grad().Square().SumDim(1, false).Mean().Sqrt().Item()
			far := o.LR * (1 + math.Cos(math.Pi*float64(step)/float64(o.Steps))) / 2
			if length > 0 {
				s.NoGrad(func() { s.Use(points).AddScaled_(x.Grad(), -far/length) })
			}
			return torch.Tensor{}
		})
		if done := step + 1; done%o.Every == 0 || done == o.Steps {
			frame(done)
		}
	}
	s.NoGrad(func() { d.Values = append(d.Values, statistic(s, points, o.Steps).Item()) })
	return frames
}
