// Package report writes what a training run came to as one HTML file that opens without a network: headline figures,
// accuracies, nearest neighbours, maps and a projection of the embeddings, training curves, the facts of the run and the files that it skipped.
package report

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"image"
	"io"
	"math"
	"slices"
	texttemplate "text/template"

	"github.com/gojepa/gojepa/internal/atomicfile"
	"github.com/gojepa/gojepa/train/trace"
)

// Report is what the page shows. Sections without content are left out.
type Report struct {
	Title   string // what was trained, such as the data's name
	Summary string // a sentence or two: how the run ended, on what, for how long

	Figures    []Figure     // headline figures, four or so
	Accuracy   *Table       // of frozen features on a test set
	Neighbours []Neighbours // rows of the sheet of nearest neighbours
	Maps       *Maps        // what the encoder makes of the places of some images; nil for none
	Projection *Scatter     // embeddings in a plane; nil for none
	Views      []ViewRow    // some images and their views
	Curves     *Curves
	Profile    *trace.Summary // where the time of some steps went; nil for none
	Facts      []FactGroup
	Skipped    []Skipped // files that could not be used
	Config     string    // the resolved configuration, as YAML
	Live       bool      // the page is served and follows a run

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

// Maps are what an encoder makes of the places of some images.
type Maps struct {
	Rows    []MapRow
	Weights string // what MapRow.Weights are
}

// MapRow is an image with its maps.
type MapRow struct {
	Image      Picture
	Components Picture // the first three principal components of the tokens, as colours
	Weights    Picture // attention, or what stands for it, laid over the image
}

// ViewRow is an image and the views that training makes of it.
type ViewRow struct {
	Image  Picture
	Global []Picture
	Local  []Picture
	Texts  []string // the views of its caption, of a run on captions
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
func Render(w io.Writer, r *Report) error { return execute(w, r, "page.html") }

// parts are the parts of the page that may change while a run goes on, and whether they do so with each step.
var parts = map[string]bool{
	"head": false, "figures": true, "accuracy": false, "curves": true, "neighbours": false, "maps": false, "projection": false, "views": false, "profile": false, "facts": false,
	"skipped": false, "config": false,
}

// HasPart says whether the page has a part of that name.
func HasPart(name string) bool {
	_, ok := parts[name]
	return ok
}

// ChangesWithSteps says whether a part is another after each step.
func ChangesWithSteps(name string) bool { return parts[name] }

// RenderPart writes what is in one part of the page. It panics if there is no such part.
func RenderPart(w io.Writer, r *Report, name string) error {
	if !HasPart(name) {
		panic(fmt.Sprintf("report: no part %q", name))
	}
	return execute(w, r, "part-"+name)
}

func execute(w io.Writer, r *Report, name string) error {
	t, err := template.ParseFS(assets, "page.html")
	if err != nil {
		return fmt.Errorf("rendering report: %w", err)
	}
	if err := t.ExecuteTemplate(w, name, &page{Report: r}); err != nil {
		var of texttemplate.ExecError
		if errors.As(err, &of) && errors.Unwrap(of.Err) != nil {
			err = errors.Unwrap(of.Err) // what is wrong with the report, without where the template shows it
		}
		return fmt.Errorf("rendering report: %w", err)
	}
	return nil
}

// page is what the template sees. What takes time to make is made where it is shown.
type page struct{ *Report }

// Style is the page's.
func (p *page) Style() (template.CSS, error) {
	b, err := assets.ReadFile("style.css")
	return template.CSS(b), err
}

// Script is the page's.
func (p *page) Script() (template.JS, error) {
	b, err := assets.ReadFile("script.js")
	return template.JS(b), err
}

// Headline are the figures to begin with.
func (p *page) Headline() []Figure {
	if len(p.Figures) > 0 || p.Curves == nil {
		return p.Figures
	}
	return headline(p.Curves)
}

// Table compares accuracies; nil if there are none.
func (p *page) Table() (*tableView, error) {
	if p.Accuracy == nil || len(p.Accuracy.Rows) == 0 {
		return nil, nil
	}
	return newTable(p.Accuracy)
}

// Sheet is that of nearest neighbours.
func (p *page) Sheet() (rows []sheetRow, err error) {
	for i, n := range p.Neighbours {
		row, err := newSheetRow(n)
		if err != nil {
			return nil, fmt.Errorf("row %d of the nearest neighbours: %w", i+1, err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// MapRows are images with their maps.
func (p *page) MapRows() (rows []mapRow, err error) {
	if p.Maps == nil {
		return nil, nil
	}
	for i, m := range p.Maps.Rows {
		var row mapRow
		for _, t := range []struct {
			from Picture
			to   *thumbnail
		}{{m.Image, &row.Image}, {m.Components, &row.Components}, {m.Weights, &row.Weights}} {
			if *t.to, err = newThumbnail(t.from); err != nil {
				return nil, fmt.Errorf("row %d of the maps: %w", i+1, err)
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// Points are the projection of the embeddings; nil if there is none.
func (p *page) Points() (*scatterView, error) {
	if p.Projection == nil {
		return nil, nil
	}
	return newScatter(p.Projection)
}

// HasLabels says whether images of the sheet have classes.
func (p *page) HasLabels() bool {
	return slices.ContainsFunc(p.Neighbours, func(n Neighbours) bool { return n.Query.Label != "" })
}

// ViewRows are images with their views.
func (p *page) ViewRows() (rows []viewRow, err error) {
	for i, v := range p.Views {
		row, err := newViewRow(v)
		if err != nil {
			return nil, fmt.Errorf("row %d of the views: %w", i+1, err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// Charts are the curves.
func (p *page) Charts() []*chart {
	if p.Curves == nil {
		return nil
	}
	return runCharts(p.Curves, p.GaussianSIGReg)
}

// Named are the skipped files that the page names.
func (p *page) Named() []Skipped { return p.Skipped[:min(len(p.Skipped), maxSkipped)] }

// More is how many it does not.
func (p *page) More() int { return len(p.Skipped) - len(p.Named()) }

// headline are the figures of a run that goes on, or is over.
func headline(c *Curves) (all []Figure) {
	last := c.Last()
	if last.Step > 0 {
		all = append(all, Figure{figures(last.Loss, 3), "training loss", fmt.Sprintf("prediction %s, SIGReg %s", figures(last.Prediction, 3), figures(last.SIGReg, 3))})
	}
	values := c.LastEval().Values
	for _, f := range []struct{ name, online, title string }{{"linear", "online_linear", "linear probe"}, {"knn", "online_knn", "k-NN"}} {
		v, whole := values[f.name]
		note := "of all images"
		if !whole {
			if v, whole = values[f.online]; !whole {
				continue
			}
			note = fmt.Sprintf("of some images, after step %d", c.LastEval().Step)
		}
		if math.IsNaN(v) {
			continue
		}
		if pixels, ok := values["pixels_"+f.name]; ok {
			note = fmt.Sprintf("raw pixels %s, untrained %s", percent(pixels), percent(values["untrained_"+f.name]))
		}
		all = append(all, Figure{percent(v), f.title, note})
	}
	if v, ok := values["rankme"]; ok {
		all = append(all, Figure{figures(v, 3), "embedding rank", "RankMe; held-out SIGReg " + figures(values["sigreg"], 3)})
	}
	if last.Step > 0 {
		all = append(all, Figure{figures(last.ImagesPerS, 3), "images per second", fmt.Sprintf("waiting for data %s of the last step", percent(last.WaitShare))})
	}
	return all
}

func percent(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) }

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

type mapRow struct{ Image, Components, Weights thumbnail }

type viewRow struct {
	Image         thumbnail
	Global, Local []thumbnail
	Texts         []string
}

type thumbnail struct {
	Source     template.URL
	Name       string
	Label      string
	Similarity string
	Match      string // "same" or "other" class than the query's, "" if not known
	Pixelated  bool   // so small that it is shown enlarged
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
				c = cell{Text: percent(x), Width: 100 * min(max(x, 0), 1), Known: true, Best: x == best[i]}
			}
			r.Cells = append(r.Cells, c)
		}
		v.Rows = append(v.Rows, r)
	}
	return v, nil
}

func newViewRow(v ViewRow) (row viewRow, err error) {
	if row.Image, err = newThumbnail(v.Image); err != nil {
		return row, err
	}
	row.Texts = v.Texts
	for _, group := range []struct {
		from []Picture
		to   *[]thumbnail
	}{{v.Global, &row.Global}, {v.Local, &row.Local}} {
		for _, p := range group.from {
			t, err := newThumbnail(p)
			if err != nil {
				return row, err
			}
			*group.to = append(*group.to, t)
		}
	}
	return row, nil
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
