package report

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestScatterGroups(t *testing.T) {
	s := cloud(300, 12)
	groups := s.Groups()
	require.Len(t, groups, 10, "nine classes and the others")
	assert.Equal(t, "3 other classes", groups[0].Name)
	assert.Len(t, groups[0].Index, 75)
	assert.Equal(t, "class 00", groups[1].Name)
	seen := map[int]bool{}
	for _, g := range groups {
		for _, i := range g.Index {
			seen[i] = true
		}
	}
	assert.Len(t, seen, 300, "every point once")

	s = cloud(30, 10)
	s.Labels[4] = ""
	groups = s.Groups()
	require.Len(t, groups, 11)
	assert.Equal(t, ScatterGroup{"no label", restColour, []int{4}}, groups[0])
	assert.Equal(t, "class 00", groups[1].Name)
	assert.Equal(t, []int{0, 10, 20}, groups[1].Index)

	s.Labels = nil
	assert.Len(t, s.Groups(), 1)
}

func TestScatter(t *testing.T) {
	s := &Scatter{X: []float64{-1, 1, 0}, Y: []float64{0, 0, 1}, Labels: []string{"a", "b", "a"}, XLabel: "first", YLabel: "second"}
	html := render(t, &Report{Projection: s})
	// One unit is (560 - 48) / 2 across and as much up, around the middle.
	assert.Contains(t, html, `d="M24 280h0M280 24h0"`)
	assert.Contains(t, html, `d="M536 280h0"`)
	assert.Contains(t, html, "3 images on the two principal components")
	assert.Contains(t, html, "</i>a <small>2</small>")
	s.Labels = nil
	assert.NotContains(t, render(t, &Report{Projection: s}), `class="classes"`)
	same := render(t, &Report{Projection: &Scatter{X: []float64{3, 3}, Y: []float64{4, 4}}})
	assert.Contains(t, same, `d="M280 100h0M280 100h0"`, "points that are all the same")
	assert.NotContains(t, render(t, &Report{Projection: &Scatter{X: []float64{1}, Y: []float64{1}}}), `class="scatter"`)

	const evil = `"><script>alert('x')</script>`
	html = render(t, &Report{Projection: &Scatter{X: s.X, Y: s.Y, Labels: []string{evil, evil, "b"}, XLabel: evil}})
	assert.Equal(t, 1, strings.Count(html, "<script>"), "the page's own")
}

func TestBadScatter(t *testing.T) {
	for want, s := range map[string]*Scatter{
		"3 and 2 coordinates and 0 labels":       {X: make([]float64, 3), Y: make([]float64, 2)},
		"2 and 2 coordinates and 1 labels":       {X: make([]float64, 2), Y: make([]float64, 2), Labels: []string{"a"}},
		"point 1 of the projection is at 0, NaN": {X: make([]float64, 2), Y: []float64{0, math.NaN()}},
	} {
		_, err := newScatter(s)
		assert.ErrorContains(t, err, want)
	}
	err := Render(new(strings.Builder), &Report{Maps: &Maps{Rows: []MapRow{{Image: Picture{Image: disc(8, 1)}, Components: Picture{Name: "c"}}}}})
	assert.ErrorContains(t, err, "row 1 of the maps: c: it has no image")
}
