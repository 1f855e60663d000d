package report

import (
	"cmp"
	"fmt"
	"html/template"
	"image/color"
	"math"
	"slices"
	"strings"
)

// Scatter are embeddings as points in a plane.
type Scatter struct {
	X, Y   []float64
	Labels []string // the classes of the points, "" where unknown; nil if there are none
	XLabel string
	YLabel string
}

// palette are the colours of classes, to be told apart on light and on dark ground.
var palette = []color.RGBA{
	{0x4e, 0x79, 0xa7, 0xff}, {0xf2, 0x8e, 0x2b, 0xff}, {0xe1, 0x57, 0x59, 0xff}, {0x49, 0xa8, 0xa0, 0xff}, {0x59, 0xa1, 0x4f, 0xff},
	{0xd9, 0xb4, 0x2a, 0xff}, {0xb0, 0x7a, 0xa1, 0xff}, {0xf0, 0x85, 0x94, 0xff}, {0x9c, 0x75, 0x5f, 0xff}, {0x6b, 0x6f, 0xc9, 0xff},
}

// restColour is that of the points which have no class, or none of the largest ones.
var restColour = color.RGBA{0x99, 0x99, 0x99, 0xff}

// ScatterGroup are the points of one colour.
type ScatterGroup struct {
	Name   string // the class; "" if there are no labels
	Colour color.RGBA
	Index  []int // of the points
}

// Groups are the points by class, in the order of the classes' names. Of more than ten classes the largest nine have colours
// of their own.
func (s *Scatter) Groups() []ScatterGroup {
	if s.Labels == nil {
		g := ScatterGroup{Colour: palette[0]}
		for i := range s.X {
			g.Index = append(g.Index, i)
		}
		return []ScatterGroup{g}
	}
	of := map[string][]int{}
	for i, l := range s.Labels {
		of[l] = append(of[l], i)
	}
	var all []ScatterGroup
	rest := ScatterGroup{Name: "no label", Colour: restColour, Index: of[""]}
	delete(of, "")
	for name, index := range of {
		all = append(all, ScatterGroup{Name: name, Index: index})
	}
	slices.SortFunc(all, func(a, b ScatterGroup) int {
		return cmp.Or(cmp.Compare(len(b.Index), len(a.Index)), strings.Compare(a.Name, b.Name))
	})
	if len(all) > len(palette) {
		rest.Name = fmt.Sprintf("%d other classes", len(all)-len(palette)+1)
		for _, g := range all[len(palette)-1:] {
			rest.Index = append(rest.Index, g.Index...)
		}
		all = all[:len(palette)-1]
	}
	slices.SortFunc(all, func(a, b ScatterGroup) int { return strings.Compare(a.Name, b.Name) })
	for i := range all {
		all[i].Colour = palette[i]
	}
	if len(rest.Index) > 0 {
		all = append([]ScatterGroup{rest}, all...) // below the others
	}
	return all
}

// Size of the drawing, in units of its view box. It is as high as the points want it.
const (
	scatterWidth  = 560.0
	leastHeight   = 200.0
	mostHeight    = 460.0
	scatterMargin = 24.0
)

// scatterView is the drawing, ready for the template.
type scatterView struct {
	Width, Height  float64
	XLabel, YLabel string
	Groups         []scatterPoints
	Legend         bool
	Count          int
}

type scatterPoints struct {
	Name, Count string
	Colour      string
	Swatch      template.CSS // the colour, as a style
	Path        string       // a line of no length at each point, which round caps make a dot
}

// newScatter draws points with the same unit along both axes.
func newScatter(s *Scatter) (*scatterView, error) {
	n := len(s.X)
	if len(s.Y) != n || s.Labels != nil && len(s.Labels) != n {
		return nil, fmt.Errorf("the projection has %d and %d coordinates and %d labels, expected as many of each", n, len(s.Y), len(s.Labels))
	}
	for i := range n {
		if sum := s.X[i] + s.Y[i]; math.IsNaN(sum) || math.IsInf(sum, 0) {
			return nil, fmt.Errorf("point %d of the projection is at %g, %g, expected finite numbers", i, s.X[i], s.Y[i])
		}
	}
	if n < 2 {
		return nil, nil
	}
	x, y := interval{slices.Min(s.X), slices.Max(s.X)}, interval{slices.Min(s.Y), slices.Max(s.Y)}
	unit := max((x.high-x.low)/(scatterWidth-2*scatterMargin), (y.high-y.low)/(mostHeight-2*scatterMargin))
	if unit == 0 {
		unit = 1
	}
	height := math.Ceil(max(leastHeight, (y.high-y.low)/unit+2*scatterMargin))
	v := &scatterView{Width: scatterWidth, Height: height, XLabel: s.XLabel, YLabel: s.YLabel, Legend: s.Labels != nil, Count: n}
	for _, g := range s.Groups() {
		p := scatterPoints{Name: g.Name, Count: fmt.Sprint(len(g.Index)), Colour: fmt.Sprintf("#%02x%02x%02x", g.Colour.R, g.Colour.G, g.Colour.B)}
		p.Swatch = template.CSS("background:" + p.Colour)
		var path strings.Builder
		for _, i := range g.Index {
			fmt.Fprintf(&path, "M%g %gh0", round(scatterWidth/2+(s.X[i]-(x.low+x.high)/2)/unit), round(height/2-(s.Y[i]-(y.low+y.high)/2)/unit))
		}
		p.Path = path.String()
		v.Groups = append(v.Groups, p)
	}
	return v, nil
}
