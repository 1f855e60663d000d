package report

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/train/runlog"
)

var keep = flag.String("keep", "", "also write the sample report to this file, to look at")

// sampleLog resembles a run: losses that fall, fast at first, with noise.
func sampleLog(steps int) *runlog.Log {
	r := rng.New(1, rng.Sample, 0, 0)
	log := new(runlog.Log)
	for i := 1; i <= steps; i++ {
		f := float64(i) / float64(steps)
		pred := 0.1 + 0.35*math.Exp(-5*f) + 0.02*r.NormFloat64()*math.Exp(-2*f)
		reg := 1.2 + 95*math.Exp(-40*f) + 4*math.Exp(-5*f)
		reg *= math.Exp(0.05 * r.NormFloat64())
		warm := min(1, f*10)
		log.Steps = append(log.Steps, runlog.Step{
			Step: i, Epoch: 20 * f, Prediction: pred, SIGReg: reg, SIGRegSE: reg / 40, Loss: 0.98*pred + 0.02*reg,
			LR: 2e-3 * warm * (0.001 + 0.999*(1+math.Cos(math.Pi*f))/2), GradNorm: math.Exp(-f + 0.3*r.NormFloat64()),
			ImagesPerS: 800, Seconds: 0.2 * float64(i),
		})
		if i%(steps/8) == 0 {
			log.Evals = append(log.Evals, runlog.Eval{Step: i, Epoch: 20 * f, Values: map[string]float64{
				"online_knn": 0.975 - 0.2*math.Exp(-4*f), "online_linear": 0.985 - 0.15*math.Exp(-5*f),
			}})
		}
	}
	return log
}

// disc draws something to look at.
func disc(size int, seed uint64) image.Image {
	r := rng.New(seed, rng.Sample, 1, 0)
	img := image.NewRGBA(image.Rect(0, 0, size, size))
	cx, cy, radius := r.Float64(), r.Float64(), 0.2+0.3*r.Float64()
	ground, ink := []byte{30, 40, 50, 255}, []byte{byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(256)), 255}
	for y := range size {
		for x := range size {
			pixel := img.Pix[img.PixOffset(x, y):]
			copy(pixel, ground)
			if math.Hypot(float64(x)/float64(size)-cx, float64(y)/float64(size)-cy) < radius {
				copy(pixel, ink)
			}
		}
	}
	return img
}

// pictures takes real photographs where they are at hand, for looking at the page.
func pictures(t *testing.T, n int) []Picture {
	files, err := filepath.Glob("../../../shared/data/eurosat/validation/*/*.jpg")
	require.NoError(t, err)
	var all []Picture
	for i := range n {
		if *keep == "" || len(files) < 100 {
			all = append(all, Picture{Image: disc(28, uint64(i)), Name: fmt.Sprint(i), Label: fmt.Sprint(i % 3)})
			continue
		}
		name := files[(i*137)%len(files)]
		f, err := os.Open(name)
		require.NoError(t, err)
		img, _, err := image.Decode(f)
		f.Close()
		require.NoError(t, err)
		all = append(all, Picture{Image: img, Name: filepath.Base(name), Label: filepath.Base(filepath.Dir(name))})
	}
	return all
}

func sample(t *testing.T) *Report {
	r := &Report{
		Title:   "eurosat",
		Summary: "vit_tiny_patch8_224 at 64 px, pretrained without labels on 4,000 images for 20 epochs. Finished on 23 November 2026 after 1h 04m.",
		Figures: []Figure{
			{"92.4 %", "linear probe", "raw pixels: 41.0 %"}, {"89.1 %", "k-NN", "untrained: 60.3 %"},
			{"0.138", "final loss", "prediction 0.109, SIGReg 1.23"}, {"801", "images per second", "on 2 CPU threads, bf16"},
		},
		Accuracy: &Table{
			Caption: "1,000 test images, 10 classes", Columns: []string{"k-NN", "linear probe"},
			Rows: []Row{
				{"trained encoder", []float64{0.891, 0.924}, true},
				{"untrained encoder", []float64{0.603, 0.721}, false},
				{"raw pixels", []float64{0.352, math.NaN()}, false},
			},
			Notes: "k-NN: 20 neighbours, cosine, temperature 0.07. Linear probe: logistic regression on CLS of the last two blocks.",
		},
		Curves: CurvesOf(sampleLog(3000)),
		Facts: []FactGroup{
			{"Data", []Fact{{"images", "4,000"}, {"size", "64 × 64, 3 channels"}, {"labels", "10 classes, unused in training"}}},
			{"Encoder", []Fact{{"model", "vit_tiny_patch8_224"}, {"parameters", "5.4 M"}, {"tokens per global view", "65"}, {"features", "192"}}},
			{"Machine", []Fact{{"device", "cpu, 2 threads"}, {"libtorch", "2.11.0"}, {"precision", "bf16"}, {"peak memory", "2.1 GiB"}}},
		},
		Skipped:        []Skipped{{"train/Forest/Forest_12.jpg", "not an image: unexpected EOF"}, {"train/<script>alert(1)</script>.jpg", "empty file"}},
		Config:         "encoder:\n    name: vit_tiny_patch8_224\nloss:\n    # weight of SIGReg\n    lambda: 0.02\n",
		GaussianSIGReg: 1.0525,
	}
	all := pictures(t, 60)
	for q := range 6 {
		n := Neighbours{Query: all[10*q]}
		for k := 1; k < 10; k++ {
			p := all[10*q+k]
			p.Similarity = 0.99 - 0.02*float64(k)
			n.Nearest = append(n.Nearest, p)
		}
		r.Neighbours = append(r.Neighbours, n)
	}
	r.Maps = &Maps{Weights: "attention of the class token in the last block"}
	for i := range 6 {
		r.Maps.Rows = append(r.Maps.Rows, MapRow{Image: all[i], Components: Picture{Image: disc(8, uint64(i)), Name: "components"}, Weights: Picture{Image: disc(28, uint64(i)), Name: "attention"}})
	}
	r.Projection = cloud(300, 12)
	return r
}

// cloud are points of so many classes.
func cloud(n, classes int) *Scatter {
	r := rng.New(3, rng.Sample, 0, 0)
	s := &Scatter{XLabel: "first (31.4 % of the variance)", YLabel: "second (12.0 %)"}
	for i := range n {
		c := float64(i % classes)
		s.X, s.Y = append(s.X, 3*math.Sin(c)+r.NormFloat64()), append(s.Y, 3*math.Cos(2*c)+r.NormFloat64())
		s.Labels = append(s.Labels, fmt.Sprintf("class %02d", i%classes))
	}
	return s
}

func render(t *testing.T, r *Report) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, Render(&b, r))
	return b.String()
}

// plots parses every drawing of a page as XML, so that a broken one is noticed.
func plots(t *testing.T, html string) []string {
	t.Helper()
	all := regexp.MustCompile(`(?s)<svg class="plot.*?</svg>`).FindAllString(html, -1)
	for _, svg := range all {
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
		}
		assert.False(t, strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf"), "a figure that is none")
	}
	return all
}

func TestRender(t *testing.T) {
	r := sample(t)
	if *keep != "" {
		require.NoError(t, Write(*keep, r))
	}
	html := render(t, r)
	for _, want := range []string{
		"<h1>eurosat</h1>", "92.4 %", "untrained encoder", "35.2 %", "<dt>parameters</dt><dd>5.4 M</dd>",
		"2 files were not used", "unexpected EOF", "lambda: 0.02", "what an exact Gaussian gives", "3000 are 20 epochs",
	} {
		assert.Contains(t, html, want)
	}
	assert.Equal(t, 8+4, len(plots(t, html)), "eight charts, four of them with a logarithmic scale too")
	assert.Equal(t, 60+3*6, strings.Count(html, "data:image/png;base64,"))
	assert.Equal(t, 1, strings.Count(html, "–</span>"), "an accuracy that was not measured has no figure")
	assert.Equal(t, 2, strings.Count(html, `class="value best"`), "the best of each column")
}

// TestNoNetwork: nothing in the page asks for anything outside it.
func TestNoNetwork(t *testing.T) {
	html := render(t, sample(t))
	assert.Contains(t, html, `content="default-src 'none';`)
	for _, url := range regexp.MustCompile(`https?:[^"' ]*`).FindAllString(html, -1) {
		assert.Equal(t, "http://www.w3.org/2000/svg", url, "only the name of the SVG namespace")
	}
	for _, source := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(html, -1) {
		assert.True(t, strings.HasPrefix(source[1], "data:image/png;base64,"), "%.60s", source[1])
	}
	assert.NotContains(t, html, "url(")
	assert.NotContains(t, html, "@import")
}

func TestEscaping(t *testing.T) {
	const evil = `"><script>alert('x')</script><!--`
	picture := Picture{Image: disc(8, 1), Name: evil, Label: evil}
	log := sampleLog(40)
	for i := range log.Evals {
		log.Evals[i].Values[evil] = float64(i) / 10
	}
	html := render(t, &Report{
		Title: evil, Summary: evil, Config: evil, Curves: CurvesOf(log),
		Figures:    []Figure{{evil, evil, evil}},
		Accuracy:   &Table{Caption: evil, Columns: []string{evil}, Rows: []Row{{evil, []float64{1}, true}}, Notes: evil},
		Neighbours: []Neighbours{{picture, []Picture{picture}}},
		Facts:      []FactGroup{{evil, []Fact{{evil, evil}}}},
		Skipped:    []Skipped{{evil, evil}},
	})
	assert.Equal(t, 1, strings.Count(html, "<script>"), "only the page's own")
	assert.NotContains(t, html, "<!--")
	assert.GreaterOrEqual(t, strings.Count(html, "&lt;script&gt;"), 18)
	plots(t, html)
}

func TestEmptySectionsAreLeftOut(t *testing.T) {
	html := render(t, &Report{Title: "nothing yet"})
	assert.Contains(t, html, "<h1>nothing yet</h1>")
	for _, absent := range []string{"<section", "<dl", "<table", "<svg", "<p class=\"summary\""} {
		assert.NotContains(t, html, absent)
	}
	assert.NotContains(t, render(t, &Report{Curves: new(Curves), Accuracy: new(Table)}), "<section")
}

func TestOddRuns(t *testing.T) {
	constant := func(n int, loss float64) *runlog.Log {
		log := new(runlog.Log)
		for i := range n {
			log.Steps = append(log.Steps, runlog.Step{Step: i + 1, Epoch: 0.25, Loss: loss})
		}
		return log
	}
	diverged := sampleLog(50)
	for i := 40; i < 50; i++ {
		diverged.Steps[i].Loss, diverged.Steps[i].SIGReg = math.NaN(), math.Inf(1)
	}
	huge := constant(20, 1)
	huge.Steps[3].Loss = 1e300
	for _, tt := range []struct {
		name  string
		log   *runlog.Log
		plots int
	}{
		{"one step", constant(1, 3), 0},
		{"two steps", constant(2, 3), 7},
		{"all zero", constant(200, 0), 7},
		{"negative", constant(200, -2), 7},
		{"all NaN", constant(200, math.NaN()), 6},
		{"diverged", diverged, 12},
		{"huge", huge, 8},
		{"resumed far on", &runlog.Log{Steps: sampleLog(4000).Steps[3900:]}, 8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			html := render(t, &Report{Title: "x", Curves: CurvesOf(tt.log), GaussianSIGReg: 1.05})
			assert.Equal(t, tt.plots, len(plots(t, html)))
		})
	}
}

func TestEvaluations(t *testing.T) {
	log := new(runlog.Log)
	for i := range 3 {
		log.Evals = append(log.Evals, runlog.Eval{Step: i, Values: map[string]float64{"online_knn": 0.5, "online_linear": 0.6, "knn": 0.7, "rankme": 31, "unheard_of": 1}})
	}
	log.Evals[1].Values["once"] = 0.5
	log.Evals[2].Values["online_linear"] = math.NaN()
	html := render(t, &Report{Curves: CurvesOf(log)})
	assert.Contains(t, html, `<span class="s0">k-NN</span> <span class="s1">linear probe</span> </p>`)
	assert.Equal(t, 2, len(plots(t, html)), "accuracies and rank")
	assert.NotContains(t, html, "NaN %")
}

func TestManySkipped(t *testing.T) {
	r := new(Report)
	for i := range maxSkipped + 20 {
		r.Skipped = append(r.Skipped, Skipped{fmt.Sprintf("%d.jpg", i), "broken"})
	}
	html := render(t, r)
	assert.Contains(t, html, "520 files were not used")
	assert.Contains(t, html, "and 20 more")
	assert.Equal(t, maxSkipped, strings.Count(html, ".jpg"))
	assert.NotContains(t, html, "<details open")

	r.Skipped = r.Skipped[:1]
	html = render(t, r)
	assert.Contains(t, html, "1 file was not used")
	assert.Contains(t, html, "<details open")
}

func TestNeighbours(t *testing.T) {
	at := func(label string) Picture {
		return Picture{Image: disc(28, 1), Name: "a.png", Label: label, Similarity: 0.987}
	}
	html := render(t, &Report{Neighbours: []Neighbours{{at("7"), []Picture{at("7"), at("1"), at("")}}}})
	assert.Equal(t, 1, strings.Count(html, `<figure class="same">`))
	assert.Equal(t, 1, strings.Count(html, `<figure class="other">`))
	assert.Equal(t, 1, strings.Count(html, `<figure>`))
	assert.Equal(t, 3, strings.Count(html, ">0.99</span>"))
	assert.Contains(t, html, "same class")
	assert.NotContains(t, render(t, &Report{Neighbours: []Neighbours{{at(""), []Picture{at("")}}}}), "same class")
}

func TestThumbnails(t *testing.T) {
	for _, tt := range []struct{ w, h, wantW, wantH int }{
		{28, 28, 28, 28}, {144, 100, 144, 100}, {400, 533, 108, 144}, {4000, 3, 144, 1}, {1, 900, 1, 144},
	} {
		got, err := newThumbnail(Picture{Image: image.NewGray(image.Rect(5, 5, 5+tt.w, 5+tt.h)), Name: "x"})
		require.NoError(t, err)
		_, text, ok := strings.Cut(string(got.Source), ";base64,")
		require.True(t, ok)
		b, err := base64.StdEncoding.DecodeString(text)
		require.NoError(t, err)
		img, _, err := image.Decode(bytes.NewReader(b))
		require.NoError(t, err)
		assert.Equal(t, image.Pt(tt.wantW, tt.wantH), img.Bounds().Size())
		assert.Equal(t, max(tt.w, tt.h) < 50, got.Pixelated)
	}
}

func TestBadReports(t *testing.T) {
	for want, r := range map[string]*Report{
		"row 2 of the nearest neighbours: b.png: it has no image": {Neighbours: []Neighbours{
			{Query: Picture{Image: disc(8, 1)}}, {Query: Picture{Name: "b.png"}},
		}},
		"row 1 of the nearest neighbours: c.png: it has no image": {Neighbours: []Neighbours{
			{Query: Picture{Image: disc(8, 1)}, Nearest: []Picture{{Name: "c.png", Image: image.NewGray(image.Rect(0, 0, 0, 9))}}},
		}},
		`row "x" of the accuracies has 1 values, expected 2`: {Accuracy: &Table{
			Columns: []string{"a", "b"}, Rows: []Row{{"x", []float64{1}, true}},
		}},
	} {
		assert.EqualError(t, Render(io.Discard, r), "rendering report: "+want)
		path := filepath.Join(t.TempDir(), "report.html")
		assert.Error(t, Write(path, r))
		assert.NoFileExists(t, path)
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "report.html")
	require.NoError(t, Write(path, &Report{Title: "first"}))
	require.NoError(t, Write(path, &Report{Title: "second"}))
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Contains(t, string(b), "<h1>second</h1>")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1, "no temporary file stays")

	err = Write(filepath.Join(dir, "gone", "report.html"), &Report{})
	require.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "writing report")
}

// TestCaptions: captions are text, whatever is in them.
func TestCaptions(t *testing.T) {
	one := Picture{Image: disc(16, 1), Name: "a"}
	html := render(t, &Report{Title: "Captions", Views: []ViewRow{{Image: one, Global: []Picture{one}, Texts: []string{"<script>alert(1)</script> & so on", "second"}}}})
	assert.Contains(t, html, `<div class="texts"><p>&lt;script&gt;alert(1)&lt;/script&gt; &amp; so on</p><p>second</p></div>`)
	log := sampleLog(20)
	assert.NotContains(t, render(t, &Report{Title: "Curves", Curves: CurvesOf(log)}), "captions alone")
	for i := range log.Steps {
		log.Steps[i].Texts = &runlog.Texts{Captions: 3, Prediction: math.NaN(), SIGReg: 1}
		if i > 3 {
			log.Steps[i].Texts.Prediction = 0.25
		}
	}
	html = render(t, &Report{Title: "Curves", Curves: CurvesOf(log)})
	assert.Contains(t, html, "captions alone")
	plots(t, html)
	assert.NotContains(t, render(t, &Report{Title: "None", Views: []ViewRow{{Image: one}}}), `class="texts"`)
}
