// Package chart has the parts that commands' pictures share, over gonum.org/v1/plot.
package chart

import (
	"image/color"
	"io"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// What is shown, and what it is compared with.
var (
	Blue = color.RGBA{R: 0x1f, G: 0x5f, B: 0xa8, A: 0xff}
	Grey = color.RGBA{R: 0x80, G: 0x80, B: 0x80, A: 0xff}
)

// columns are the panels in a row of a page.
const columns = 3

// Write writes a page of so many inches' height as PNG: rows of up to three panels, below what head draws of its own, which
// returns the rest of the canvas; it may be nil.
func Write(w io.Writer, height float64, panels [][]*plot.Plot, head func(c draw.Canvas) draw.Canvas) error {
	image := vgimg.NewWith(vgimg.UseWH(15*vg.Inch, vg.Length(height)*vg.Inch), vgimg.UseDPI(100))
	canvas := draw.New(image)
	canvas.SetColor(color.White)
	canvas.Fill(canvas.Rectangle.Path())
	tiles := draw.Tiles{
		Rows: len(panels), Cols: columns, PadX: vg.Points(22), PadY: vg.Points(18),
		PadLeft: vg.Points(8), PadRight: vg.Points(14), PadBottom: vg.Points(8),
	}
	if head != nil {
		canvas = head(canvas)
	} else {
		tiles.PadTop = vg.Points(8)
	}
	rows := make([][]*plot.Plot, len(panels))
	for i, row := range panels {
		rows[i] = append(row, make([]*plot.Plot, columns-len(row))...)
	}
	for i, row := range plot.Align(rows, tiles, canvas) {
		for j, c := range row {
			if rows[i][j] != nil {
				rows[i][j].Draw(c)
			}
		}
	}
	_, err := vgimg.PngCanvas{Canvas: image}.WriteTo(w)
	return err
}

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
