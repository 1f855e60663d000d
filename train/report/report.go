// Package report writes what a training run came to as one HTML file that opens without a network: headline figures,
// accuracies, nearest neighbours, training curves, the facts of the run and the files that it skipped.
package report

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"image"
	"io"
	"math"

	"github.com/gojepa/gojepa/internal/atomicfile"
	"github.com/gojepa/gojepa/train/runlog"
)

// Report is what the page shows. Sections without content are left out.
type Report struct {
	Title   string // what was trained, such as the data's name
	Summary string // a sentence or two: how the run ended, on what, for how long

	Figures    []Figure     // headline figures, four or so
	Accuracy   *Table       // of frozen features on a test set
	Neighbours []Neighbours // rows of the sheet of nearest neighbours
	Log        *runlog.Log  // the curves
	Facts      []FactGroup
	Skipped    []Skipped // files that could not be used
	Config     string    // the resolved configuration, as YAML

	// GaussianSIGReg is the value of SIGReg expected of true N(0, 1) projections, drawn beside its curve; 0 for none.
	GaussianSIGReg float64
}

// Figure is a headline figure: "98.1 %", "linear probe", "raw pixels: 91.6 %".
type Figure struct{ Value, Name, Note string }

// Table compares accuracies.
type Table struct {
	Caption string
	Columns []string // "k-NN", "linear probe"
	Rows    []Row
	Notes   string // how they were measured
}

// Row is one line of a Table.
type Row struct {
	Name   string
	Values []float64 // as many as columns, in [0, 1]; NaN where it was not measured
	Main   bool      // the row that the page is about
}

// Neighbours is a query image and those nearest to it in the space of features, nearest first.
type Neighbours struct {
	Query   Picture
	Nearest []Picture
}

// Picture is an image with what is known of it. Images of any size will do.
type Picture struct {
	Image      image.Image
	Name       string  // its file, or its number
	Label      string  // its class; "" if not known
	Similarity float64 // cosine of its features and the query's; not used of a query
}

// FactGroup is a titled list of facts.
type FactGroup struct {
	Name  string
	Facts []Fact
}

// Fact is something known about the run: "parameters", "5.4 M".
type Fact struct{ Name, Value string }

// Skipped is a file that was not used, and why.
type Skipped struct{ Path, Reason string }

// maxSkipped is how many skipped files the page names; it counts them all.
const maxSkipped = 500

//go:embed page.html style.css script.js
var assets embed.FS

// Write writes the report to path, replacing what is there only when it is whole.
func Write(path string, r *Report) error {
	var page bytes.Buffer
	if err := Render(&page, r); err != nil {
		return err
	}
	if err := atomicfile.Write(path, func(w io.Writer) error {
		_, err := page.WriteTo(w)
		return err
	}); err != nil {
		return fmt.Errorf("writing report: %w", err)
	}
	return nil
}

// Render writes the page to w.
func Render(w io.Writer, r *Report) error {
	page, err := newPage(r)
	if err != nil {
		return fmt.Errorf("rendering report: %w", err)
	}
	t, err := template.ParseFS(assets, "page.html")
	if err != nil {
		return fmt.Errorf("rendering report: %w", err)
	}
	if err := t.Execute(w, page); err != nil {
		return fmt.Errorf("rendering report: %w", err)
	}
	return nil
}

// page is what the template sees.
type page struct {
	*Report
	Style      template.CSS
	Script     template.JS
	Table      *tableView
	Sheet      []sheetRow
	HasLabels  bool
	Charts     []*chart
	Thinned    bool // some curve shows means over several steps
	More       int  // skipped files that are counted but not named
	TotalNamed int
}

type tableView struct {
	Caption, Notes string
	Columns        []string
	Rows           []rowView
}

type rowView struct {
	Name  string
	Main  bool
	Cells []cell
}

// cell is an accuracy; Width is the length of its bar in per cent.
type cell struct {
	Text  string
	Width float64
	Best  bool
	Known bool
}

type sheetRow struct {
	Query   thumbnail
	Nearest []thumbnail
}

type thumbnail struct {
	Source     template.URL
	Name       string
	Label      string
	Similarity string
	Match      string // "same" or "other" class than the query's, "" if not known
	Pixelated  bool   // so small that it is shown enlarged
}

func newPage(r *Report) (*page, error) {
	style, err := assets.ReadFile("style.css")
	if err != nil {
		return nil, err
	}
	script, err := assets.ReadFile("script.js")
	if err != nil {
		return nil, err
	}
	named := *r
	named.Skipped = r.Skipped[:min(len(r.Skipped), maxSkipped)]
	p := &page{
		Report: &named, Style: template.CSS(style), Script: template.JS(script),
		TotalNamed: len(r.Skipped), More: len(r.Skipped) - len(named.Skipped),
	}
	if r.Accuracy != nil && len(r.Accuracy.Rows) > 0 {
		if p.Table, err = newTable(r.Accuracy); err != nil {
			return nil, err
		}
	}
	for i, n := range r.Neighbours {
		row, err := newSheetRow(n)
		if err != nil {
			return nil, fmt.Errorf("row %d of the nearest neighbours: %w", i+1, err)
		}
		p.Sheet = append(p.Sheet, row)
		p.HasLabels = p.HasLabels || n.Query.Label != ""
	}
	if r.Log != nil {
		p.Charts = runCharts(r.Log, r.GaussianSIGReg)
		for _, c := range p.Charts {
			p.Thinned = p.Thinned || c.Linear.Lines[0].Band != ""
		}
	}
	return p, nil
}

func newTable(t *Table) (*tableView, error) {
	v := &tableView{Caption: t.Caption, Notes: t.Notes, Columns: t.Columns}
	best := make([]float64, len(t.Columns))
	for _, row := range t.Rows {
		if len(row.Values) != len(t.Columns) {
			return nil, fmt.Errorf("row %q of the accuracies has %d values, expected %d", row.Name, len(row.Values),
				len(t.Columns))
		}
		for i, x := range row.Values {
			if x > best[i] {
				best[i] = x
			}
		}
	}
	for _, row := range t.Rows {
		r := rowView{Name: row.Name, Main: row.Main}
		for i, x := range row.Values {
			c := cell{Text: "–"}
			if !math.IsNaN(x) {
				c = cell{Text: fmt.Sprintf("%.1f %%", 100*x), Width: 100 * min(max(x, 0), 1), Known: true, Best: x == best[i]}
			}
			r.Cells = append(r.Cells, c)
		}
		v.Rows = append(v.Rows, r)
	}
	return v, nil
}

func newSheetRow(n Neighbours) (sheetRow, error) {
	var row sheetRow
	var err error
	if row.Query, err = newThumbnail(n.Query); err != nil {
		return row, err
	}
	for _, p := range n.Nearest {
		t, err := newThumbnail(p)
		if err != nil {
			return row, err
		}
		t.Similarity = fmt.Sprintf("%.2f", p.Similarity)
		if p.Label != "" && n.Query.Label != "" {
			t.Match = "other"
			if p.Label == n.Query.Label {
				t.Match = "same"
			}
		}
		row.Nearest = append(row.Nearest, t)
	}
	return row, nil
}
