package main

import (
	"fmt"
	"image/color"
	"io"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/gojepa/gojepa/cmd/internal/chart"
	"github.com/gojepa/gojepa/sigreg/gaussianity"
)

// Colours: the embeddings, and Gaussian samples beside them.
var (
	blue     = chart.Blue
	paleBlue = color.NRGBA{R: 0x1f, G: 0x5f, B: 0xa8, A: 0x50}
	grey     = chart.Grey
	paleGrey = color.RGBA{R: 0xc8, G: 0xc8, B: 0xc8, A: 0xff}
)

// draw writes the picture as PNG: the spectrum, the statistics of the slices and the lengths of the rows above, the worst
// directions below.
func (r result) draw(w io.Writer) error {
	panels := [][]*plot.Plot{{r.spectrum(), r.slices(), r.norms()}}
	if worst := r.Directions[:min(3, len(r.Directions))]; len(worst) > 0 {
		var row []*plot.Plot
		for i, d := range worst {
			row = append(row, r.direction(i, d))
		}
		panels = append(panels, row)
	}
	return chart.Write(w, 0.7+4.2*float64(len(panels)), panels, r.head)
}

// head writes what the picture is of, and which colour is what, and returns the rest of the canvas.
func (r result) head(c draw.Canvas) draw.Canvas {
	style := chart.Panel("").Title.TextStyle
	style.XAlign, style.YAlign = text.XLeft, text.YTop
	line := func(top float64, size float64, x vg.Length, colour color.Color, words string) vg.Length {
		style.Font.Size, style.Color = vg.Points(size), colour
		c.FillText(style, vg.Point{X: x, Y: c.Max.Y - vg.Points(top)}, words)
		return x + style.Width(words)
	}
	x := c.Min.X + vg.Points(14)
	line(10, 15, x, color.Black, fmt.Sprintf("%s: %d × %d, standardised by %s, p = %s", r.File, r.Samples, r.Dim, r.Standardise, r.p(r.P)))
	next := line(32, 11, x, blue, "blue: these embeddings")
	line(32, 11, next+vg.Points(16), grey, fmt.Sprintf("grey: Gaussian samples, %s of as many", count(r.Simulations, "simulated set")))
	return draw.Crop(c, 0, 0, 0, -vg.Points(56))
}

// spectrum shows the eigenvalues.
func (r result) spectrum() *plot.Plot {
	p := chart.Panel("eigenvalues of the covariance (grey: 5 – 95 %)")
	p.X.Label.Text = "rank"
	p.X.Tick.Marker = wholeTicks{}
	least, most := math.Inf(1), 0.0 // of those above 0
	for _, e := range r.Spectrum {
		most = max(most, e.Observed, e.Gaussian.High)
		for _, v := range []float64{e.Observed, e.Gaussian.Low} {
			if v > 0 {
				least = min(least, v)
			}
		}
	}
	floor := 0.0
	if most > 8*least {
		floor = max(least, 1e-6*most) // what is below lies on the axis
	}
	var here, low, high plotter.XYs
	for i, e := range r.Spectrum {
		add := func(line *plotter.XYs, v float64) {
			*line = append(*line, plotter.XY{X: float64(i + 1), Y: max(v, floor)})
		}
		add(&here, e.Observed)
		add(&low, e.Gaussian.Low)
		add(&high, e.Gaussian.High)
	}
	slices.Reverse(low)
	chart.Fill(p, append(high, low...), paleGrey, grey)
	chart.Outline(p, here, blue)
	if len(here) <= 40 {
		chart.Dots(p, here, blue)
	}
	if floor > 0 {
		chart.Logarithmic(&p.Y, floor, 1.1*most)
	} else {
		p.Y.Min, p.Y.Max = 0, 1.05*most
	}
	return p
}

// slices shows SIGReg's statistic on each slice.
func (r result) slices() *plot.Plot {
	p := chart.Panel("EppsPulley (SIGReg) on each slice")
	compare(p, r.SIGReg.Observed, r.SIGReg.Gaussian)
	return p
}

// norms shows how long the rows are.
func (r result) norms() *plot.Plot {
	p := chart.Panel(fmt.Sprintf("squared lengths of rows / %d", r.Dim))
	scaled := func(v []float64) []float64 {
		v = slices.Clone(v)
		for i := range v {
			v[i] /= float64(r.Dim)
		}
		return v
	}
	compare(p, scaled(r.Norms.Observed), scaled(r.Norms.Gaussian))
	return p
}

// direction shows the projections on one of the worst directions, beside what the search finds in Gaussian samples, and
// the density of N(0, 1).
func (r result) direction(i int, d gaussianity.Direction) *plot.Plot {
	var names []string
	for _, deviation := range d.Deviations {
		names = append(names, deviation.String())
	}
	what := strings.Join(names, ", ")
	if d.P > 0.05 {
		what = "no more than by chance"
	}
	p := chart.Panel(fmt.Sprintf("direction %d: EppsPulley %s, p = %s\n%s", i+1, number(d.Statistic), r.p(d.P), what))
	b := linearBins(min(-3.5, quantile(d.Projection, 0.002)), max(3.5, quantile(d.Projection, 0.998)), binsFor(d.Projection))
	here := b.density(d.Projection)
	chart.Fill(p, b.steps(b.density(r.GaussianWorst)), paleGrey, grey)
	chart.Fill(p, b.steps(here), paleBlue, blue)
	var curve plotter.XYs
	for i := range 401 {
		x := b.edges[0] + (b.edges[len(b.edges)-1]-b.edges[0])*float64(i)/400
		curve = append(curve, plotter.XY{X: x, Y: math.Exp(-x*x/2) / math.Sqrt(2*math.Pi)})
	}
	chart.Outline(p, curve, grey)
	p.X.Label.Text = "projection (grey: the worst of a simulated set; line: N(0, 1))"
	// A peak of nearly all samples would leave nothing to see of the rest.
	heights(p, min(1.05*max(0.42, slices.Max(here)), 2.5))
	return p
}
