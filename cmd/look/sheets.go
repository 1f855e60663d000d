package main

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"io"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"github.com/gojepa/gojepa/cmd/internal/chart"
	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/eval/look"
	"github.com/gojepa/gojepa/train/report"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/images"
)

// side is the longer side of a picture on a sheet, in pixels.
const side = 160

// drawMaps are the rows of the sheets of components and of attention, and what the latter is.
func drawMaps(ctx context.Context, m *vision.Model, shown []*images.Image) (components, attention [][]image.Image, of string, err error) {
	maps, err := look.MapsOf(ctx, m.Thread, m.Encoder, shown, m.Mean, m.Std)
	if err != nil {
		return nil, nil, "", err
	}
	colours, err := look.Colours(ctx, m.Thread, maps.Tokens, maps.N, maps.Side, maps.Side)
	if err != nil {
		return nil, nil, "", err
	}
	for i, img := range shown {
		p := look.Thumbnail(img, side)
		size := p.Bounds().Size()
		components = append(components, []image.Image{p, look.Scale(colours[i], size.X, size.Y, false), look.Scale(colours[i], size.X, size.Y, true)})
		row := []image.Image{p, look.Heat(maps.Map(i, -1), maps.Side, p)}
		for h := 0; h < maps.Heads && maps.Heads > 1; h++ {
			row = append(row, look.Heat(maps.Map(i, h), maps.Side, p))
		}
		attention = append(attention, row)
	}
	return components, attention, maps.Of, nil
}

// neighbours are the rows of the sheet of nearest images to some of those among which they are looked for.
func neighbours(ctx context.Context, m *vision.Model, o options, f eval.Extracted, among images.Source) ([][]image.Image, error) {
	queries := eval.Features{D: f.D}
	for _, i := range images.Evenly(o.Images, f.N) {
		queries.X = append(queries.X, f.Row(i)...)
		queries.N++
	}
	found, err := eval.Neighbours(ctx, m.Thread, eval.Features{X: f.X, N: f.N, D: f.D}, queries, o.Neighbours+1)
	if err != nil {
		return nil, err
	}
	var rows [][]image.Image
	for _, list := range found {
		var row []image.Image
		for _, n := range list {
			img, err := among.Image(ctx, f.Samples[n.Index])
			if err != nil {
				return nil, err
			}
			row = append(row, look.Thumbnail(img, side))
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// drawProjection writes features in a plane as PNG, with a legend on the right where there are classes.
func drawProjection(w io.Writer, s *report.Scatter) error {
	p := chart.Panel(fmt.Sprintf("%d images on two principal components of their features", len(s.X)))
	p.X.Label.Text, p.Y.Label.Text = s.XLabel, s.YLabel
	legend := plot.NewLegend()
	legend.Left, legend.YPosition, legend.Top = true, draw.PosTop, true
	legend.TextStyle.Font = p.X.Tick.Label.Font
	legend.Padding = vg.Points(3)
	for _, g := range s.Groups() {
		dots := &plotter.Scatter{GlyphStyle: draw.GlyphStyle{Color: faded(g.Colour), Radius: vg.Points(2.2), Shape: draw.CircleGlyph{}}}
		for _, i := range g.Index {
			dots.XYs = append(dots.XYs, plotter.XY{X: s.X[i], Y: s.Y[i]})
		}
		p.Add(dots)
		if g.Name != "" {
			legend.Add(fmt.Sprintf("%s (%d)", g.Name, len(g.Index)), dots)
		}
	}
	// The same unit along both axes, on a square.
	half := max(p.X.Max-p.X.Min, p.Y.Max-p.Y.Min) * 0.53
	if half == 0 {
		half = 1
	}
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		middle := (axis.Min + axis.Max) / 2
		axis.Min, axis.Max = middle-half, middle+half
	}
	width, strip := 7*vg.Inch, vg.Length(0)
	if s.Labels != nil {
		strip = 2 * vg.Inch
	}
	picture := vgimg.NewWith(vgimg.UseWH(width+strip, width), vgimg.UseDPI(100))
	canvas := draw.New(picture)
	canvas.SetColor(color.White)
	canvas.Fill(canvas.Rectangle.Path())
	pad := vg.Points(8)
	p.Draw(draw.Crop(canvas, pad, -strip-pad, pad, -pad))
	if strip > 0 {
		legend.Draw(draw.Crop(canvas, width, -pad, pad, -vg.Points(30)))
	}
	_, err := vgimg.PngCanvas{Canvas: picture}.WriteTo(w)
	return err
}

// faded is a colour through which others are seen.
func faded(c color.RGBA) color.NRGBA { return color.NRGBA{c.R, c.G, c.B, 0xb0} }
