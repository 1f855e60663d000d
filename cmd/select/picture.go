package main

import (
	"fmt"
	"image/color"
	"io"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"github.com/gojepa/gojepa/cmd/internal/chart"
	"github.com/gojepa/gojepa/train/selection"
)

// draw writes the picture as PNG: accuracies beside scores and beside losses, and ρ by α.
func (r result) draw(w io.Writer) error {
	c := r.Comparison
	row := []*plot.Plot{
		r.scatter(fmt.Sprintf("score = loss / λ^%.3g: ρ = %s", r.Alpha, rho(c.Agreements[0].Rho)), r.Alpha),
		r.scatter(fmt.Sprintf("loss: ρ = %s", rho(c.Agreements[1].Rho)), 0),
		r.alphas(),
	}
	return chart.Write(w, 4.6, [][]*plot.Plot{row}, nil)
}

// scatter shows accuracies by score, dark where λ is large.
func (r result) scatter(title string, alpha float64) *plot.Plot {
	p := chart.Panel(title)
	p.X.Label.Text = "less is better (dark: large λ)"
	p.Y.Label.Text = "accuracy: " + r.Comparison.Metric
	accuracy := map[string]float64{}
	for _, a := range r.Comparison.Runs {
		accuracy[a.Run] = a.Accuracy
	}
	var lambdas, xs []float64
	for _, s := range r.Runs {
		if s.Lambda > 0 {
			lambdas = append(lambdas, math.Log(s.Lambda))
		}
	}
	for _, s := range r.Runs {
		y, ok := accuracy[s.Name]
		if !ok {
			continue
		}
		x := selection.Score(s.Loss, s.Lambda, alpha)
		xs = append(xs, x)
		chart.Dots(p, plotter.XYs{{X: x, Y: y}}, shade(s.Lambda, lambdas))
	}
	margin(&p.X)
	margin(&p.Y)
	if low, high := slices.Min(xs), slices.Max(xs); low > 0 && high > 4*low {
		chart.Logarithmic(&p.X, low/1.05, high*1.05)
	}
	return p
}

// margin keeps points off the ends of an axis.
func margin(a *plot.Axis) {
	m := 0.05 * (a.Max - a.Min)
	if m == 0 {
		m = 0.05*math.Abs(a.Max) + 1e-9
	}
	a.Min, a.Max = a.Min-m, a.Max+m
}

// shade is a blue that is the darker the larger λ is among others, by its logarithm.
func shade(lambda float64, logs []float64) color.Color {
	t := 0.5
	if len(logs) > 0 && slices.Max(logs) > slices.Min(logs) {
		t = 0
		if lambda > 0 {
			t = (math.Log(lambda) - slices.Min(logs)) / (slices.Max(logs) - slices.Min(logs))
		}
	}
	mix := func(from, to float64) uint8 { return uint8(math.Round(from + t*(to-from))) }
	return color.RGBA{R: mix(0x9f, 0x0b), G: mix(0xc8, 0x2a), B: mix(0xf0, 0x55), A: 0xff}
}

// alphas shows ρ by α.
func (r result) alphas() *plot.Plot {
	p := chart.Panel("Spearman's ρ by α")
	p.X.Label.Text = "α"
	p.Y.Label.Text = "ρ"
	var line plotter.XYs
	for _, a := range r.Comparison.Alphas {
		if v := float64(a.Rho); !math.IsNaN(v) {
			line = append(line, plotter.XY{X: a.Alpha, Y: v})
		}
	}
	if len(line) > 0 {
		chart.Outline(p, line, chart.Blue)
		chart.Dots(p, line, chart.Blue)
	}
	p.Y.Max = 1.02
	p.Y.Min = min(p.Y.Min, 0)
	p.X.Min, p.X.Max = 0, 1
	chart.Outline(p, plotter.XYs{{X: r.Alpha, Y: p.Y.Min}, {X: r.Alpha, Y: 1.02}}, chart.Grey)
	return p
}
