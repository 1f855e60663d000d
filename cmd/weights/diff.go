package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/gojepa/gojepa/internal/cli"
	"github.com/gojepa/gojepa/torch/weights"
)

// errDiffer says that files are not equal; all about it has been printed.
var errDiffer = errors.New("the files differ")

// comparison are the flags of diff.
type comparison struct {
	Tolerance float64 `yaml:"tolerance" flag:"tolerance" arg:"X" help:"numbers that differ by so much are equal" group:"Comparison"`
	Source    source  `yaml:",inline"`
}

func diff() subcommand {
	o := &comparison{}
	cmd := &cli.Command{
		Name:     "weights diff",
		Args:     "A B",
		Synopsis: "compares two files: keys, types, shapes and numbers.",
		About: `A key that only one of them has comes with < or >, and one in both with what differs: its type, its shape, or the largest
difference of its numbers. NaN equals NaN. Order, format and metadata do not count. The exit code is 0 if the files are
equal, 1 if they differ, and 2 if they could not be compared.`,
		Examples: []cli.Example{
			{For: "whether a conversion has kept everything", Line: "weights diff model.pth model.safetensors"},
			{For: "teacher and student of a checkpoint, in part", Line: "weights diff --prefix blocks.0. a.pt b.pt"},
		},
		Check: func() error {
			if !(o.Tolerance >= 0) {
				return errors.Join(fmt.Errorf("--tolerance: %v, expected 0 or more", o.Tolerance), o.Source.check())
			}
			return o.Source.check()
		},
	}
	cmd.Flags("Comparison", o)
	return subcommand{cmd, 2, func(out, _ io.Writer, args []string) error {
		err := o.run(out, args[0], args[1])
		if errors.Is(err, errDiffer) {
			return err
		}
		return cli.Usage(err) // 1 says that the files differ, and nothing else
	}}
}

func (o *comparison) run(out io.Writer, first, second string) error {
	a, err := o.Source.open(first)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := o.Source.open(second)
	if err != nil {
		return err
	}
	defer b.Close()
	same, differing := 0, 0
	for _, x := range a.Tensors() {
		y, ok := b.Lookup(x.Name)
		text := ""
		if !ok {
			text = "< " + shown(x.Name) + describe(x)
		} else if text, err = o.compare(a, b, x, y); err != nil {
			return err
		}
		if text == "" {
			same++
			continue
		}
		differing++
		fmt.Fprintln(out, text)
	}
	for _, y := range b.Tensors() {
		if _, ok := a.Lookup(y.Name); !ok {
			differing++
			fmt.Fprintln(out, "> "+shown(y.Name)+describe(y))
		}
	}
	fmt.Fprintf(out, "equal: %d, different: %d\n", same, differing)
	if differing > 0 {
		return errDiffer
	}
	return nil
}

func describe(i weights.Info) string { return fmt.Sprintf(" %v%v", i.DType, i.Shape) }

// compare says how a tensor of both files differs, "" if it does not.
func (o *comparison) compare(a, b file, x, y weights.Info) (string, error) {
	name := "  " + shown(x.Name)
	if !slices.Equal(x.Shape, y.Shape) {
		return name + describe(x) + ", not" + describe(y), nil
	}
	p, err := a.Read(x.Name)
	if err != nil {
		return "", err
	}
	q, err := b.Read(y.Name)
	if err != nil {
		return "", err
	}
	if x.DType == y.DType && bytes.Equal(p, q) {
		return "", nil
	}
	d := numbers(x.DType, y.DType, p, q)
	if x.DType != y.DType {
		name += describe(x) + ", not" + describe(y)
	} else if !(d.largest > o.Tolerance) && d.nans == 0 {
		return "", nil
	}
	text := fmt.Sprintf("%s: numbers differ by up to %.3g, %d of %d", name, d.largest, d.count, d.of)
	if d.count == 0 {
		text = name + ": numbers are equal"
	}
	if d.nans > 0 {
		text += fmt.Sprintf(", of which %d are NaN in one", d.nans)
	}
	return text, nil
}

// difference is how far the numbers of two tensors are apart.
type difference struct {
	largest         float64
	count, nans, of int
}

// numbers compares tensors of one shape, a piece at a time.
func numbers(a, b weights.DType, p, q []byte) (d difference) {
	const piece = 1 << 14
	var x, y []float64
	for len(p) > 0 {
		n := min(piece, len(p)/a.Size())
		x, y = a.Float64s(x[:0], p[:n*a.Size()]), b.Float64s(y[:0], q[:n*b.Size()])
		p, q = p[n*a.Size():], q[n*b.Size():]
		if len(x) != len(y) { // pairs beside single numbers
			return difference{math.Inf(1), max(len(x), len(y)), 0, max(len(x), len(y))}
		}
		d.of += len(x)
		for i := range x {
			switch gap := math.Abs(x[i] - y[i]); {
			case x[i] == y[i], math.IsNaN(x[i]) && math.IsNaN(y[i]):
			case math.IsNaN(x[i]), math.IsNaN(y[i]):
				d.count++
				d.nans++
			default:
				d.count++
				d.largest = max(d.largest, gap)
			}
		}
	}
	return d
}
