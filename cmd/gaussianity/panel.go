package main

import (
	"math"
	"slices"
	"sort"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"github.com/gojepa/gojepa/cmd/internal/chart"
)

// compare draws the histograms of two sets of positive numbers, on a logarithmic axis where they are of several sizes.
func compare(p *plot.Plot, here, gaussian []float64) {
	low := min(quantile(here, 0.002), quantile(gaussian, 0.002))
	high := max(quantile(here, 0.998), quantile(gaussian, 0.998))
	var b bins
	if low = max(low, high*1e-6); high > 8*low {
		b = logBins(low, high, binsFor(here))
		chart.Logarithmic(&p.X, b.edges[0], b.edges[len(b.edges)-1])
	} else {
		margin := max(0.05*(high-low), 1e-9*high)
		b = linearBins(low-margin, high+margin, binsFor(here))
	}
	chart.Fill(p, b.steps(b.density(gaussian)), paleGrey, grey)
	chart.Fill(p, b.steps(b.density(here)), paleBlue, blue)
	heights(p, 1.05*p.Y.Max)
}

// heights ends the vertical axis of densities, which has no need of numbers.
func heights(p *plot.Plot, most float64) {
	p.Y.Min, p.Y.Max = 0, most
	p.Y.Tick.Marker = noTicks{}
	p.Y.LineStyle.Width = 0
}

// bins are those of a histogram. What lies outside is counted in the outermost.
type bins struct {
	edges []float64
	width float64 // in the axis's own scale
	at    func(x float64) float64
}

// binsFor is how many bins values fill without more noise than shape.
func binsFor(values []float64) int {
	return min(max(int(1.5*math.Sqrt(float64(len(values)))), 12), 60)
}

func linearBins(low, high float64, n int) bins {
	b := bins{width: (high - low) / float64(n), at: func(x float64) float64 { return x }}
	for i := range n + 1 {
		b.edges = append(b.edges, low+float64(i)*b.width)
	}
	return b
}

func logBins(low, high float64, n int) bins {
	b := linearBins(math.Log(low), math.Log(high), n)
	for i := range b.edges {
		b.edges[i] = math.Exp(b.edges[i])
	}
	return b
}

// density is the share of values in each bin by its width.
func (b bins) density(values []float64) []float64 {
	n := len(b.edges) - 1
	d := make([]float64, n)
	for _, v := range values {
		i := sort.SearchFloat64s(b.edges, v) - 1
		d[min(max(i, 0), n-1)] += 1 / (float64(len(values)) * b.width)
	}
	return d
}

// steps is the area under a histogram.
func (b bins) steps(heights []float64) plotter.XYs {
	area := plotter.XYs{{X: b.edges[0]}}
	for i, h := range heights {
		area = append(area, plotter.XY{X: b.edges[i], Y: h}, plotter.XY{X: b.edges[i+1], Y: h})
	}
	return append(area, plotter.XY{X: b.edges[len(b.edges)-1]})
}

// quantile of unsorted values.
func quantile(values []float64, q float64) float64 {
	v := slices.Sorted(slices.Values(values))
	return v[int(q*float64(len(v)-1))]
}

// wholeTicks are whole numbers.
type wholeTicks struct{}

func (wholeTicks) Ticks(low, high float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(low, high)
	for i, t := range ticks {
		if t.Label != "" && t.Value == math.Trunc(t.Value) {
			ticks[i].Label = strconv.Itoa(int(t.Value))
		} else {
			ticks[i].Label = ""
		}
	}
	return ticks
}

// noTicks are those of an axis whose numbers say nothing.
type noTicks struct{}

func (noTicks) Ticks(_, _ float64) []plot.Tick { return nil }
