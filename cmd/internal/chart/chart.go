// Package chart has the parts that commands' pictures share, over gonum.org/v1/plot.
package chart

import (
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Panel makes an empty plot.
func Panel(title string) *plot.Plot {
	p := plot.New()
	sans := font.Font{Typeface: "Liberation", Variant: "Sans"}
	p.Title.Text = title
	p.Title.Padding = vg.Points(6)
	p.Title.TextStyle.Font = font.From(sans, 11)
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font = font.From(sans, 10)
		axis.Tick.Label.Font = font.From(sans, 9)
		axis.Tick.Length = vg.Points(4)
		axis.Padding = 0
	}
	return p
}

// Fill draws an area.
func Fill(p *plot.Plot, area plotter.XYs, inside, edge color.Color) {
	p.Add(&plotter.Polygon{XYs: []plotter.XYs{area}, Color: inside, LineStyle: draw.LineStyle{Color: edge, Width: vg.Points(0.5)}})
}

// Outline draws a line.
func Outline(p *plot.Plot, line plotter.XYs, colour color.Color) {
	p.Add(&plotter.Line{XYs: line, LineStyle: draw.LineStyle{Color: colour, Width: vg.Points(1.5)}})
}

// Dots marks points.
func Dots(p *plot.Plot, points plotter.XYs, colour color.Color) {
	p.Add(&plotter.Scatter{XYs: points, GlyphStyle: draw.GlyphStyle{Color: colour, Radius: vg.Points(2), Shape: draw.CircleGlyph{}}})
}

// Logarithmic makes an axis of positive numbers one with ticks at 1, 2 and 5 times the powers of ten.
func Logarithmic(axis *plot.Axis, low, high float64) {
	if high <= low*1.01 {
		low, high = low/1.5, high*1.5
	}
	axis.Scale, axis.Tick.Marker = plot.LogScale{}, logTicks{}
	axis.Min, axis.Max = low, high
}

type logTicks struct{}

func (logTicks) Ticks(low, high float64) []plot.Tick {
	decades := math.Log10(high / low)
	every := max(1, math.Ceil(decades/6)) // decades from one label to the next
	var ticks []plot.Tick
	for power := math.Floor(math.Log10(low)); power <= math.Log10(high); power++ {
		for _, factor := range []float64{1, 2, 5} {
			v := factor * math.Pow(10, power)
			if v < low || v > high {
				continue
			}
			tick := plot.Tick{Value: v}
			if factor == 1 && math.Mod(power, every) == 0 || decades < 2.5 {
				tick.Label = strconv.FormatFloat(v, 'g', 3, 64)
			}
			ticks = append(ticks, tick)
		}
	}
	return ticks
}
