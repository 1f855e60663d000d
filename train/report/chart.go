package report

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gojepa/gojepa/train/runlog"
)

// Geometry of a chart, in units of its view box.
const (
	chartWidth, chartHeight = 460.0, 240.0
	left, right             = 52.0, 12.0
	top, bottom             = 12.0, 42.0
)

// chart is a figure on the page: one plot with a linear scale and, where all values are positive, one with a
// logarithmic scale to choose instead.
type chart struct {
	ID, Title, Caption string
	Linear, Log        *plot
	LogFirst           bool // the logarithmic scale is the one to show first
	Legend             []string
	Thinned            bool   // points are means over several steps
	Data               string // for the script, as JSON
}

// plot is a chart's drawing at one scale, ready for the template.
type plot struct {
	Class, Label   string
	XTicks, YTicks []tick
	XLabel         string
	XLabelAt       float64
	Lines          []line
	Reference      *float64 // position of the line that marks the value to expect
	Left, Right    float64
	Top, Bottom    float64
	Width, Height  float64
}

// tick is a mark of an axis.
type tick struct {
	At   float64
	Text string
}

// line is a curve: the mean of each bucket of steps, and the area between their least and greatest values, if a bucket
// holds several.
type line struct {
	Name       string
	Path, Band string
	Dots       []dot // the points, where there are few
}

type dot struct{ X, Y float64 }

// series is a named curve before it is drawn.
type series struct {
	name   string
	points []bucket
}

// bucket is what a curve shows of neighbouring points.
type bucket struct{ x, mean, low, high float64 }

// runCharts draws the curves of a run.
func runCharts(c *Curves, gaussian float64) []*chart {
	var charts []*chart
	label := "step"
	if last := c.last; last.Step > 0 {
		label = fmt.Sprintf("step (%d are %s epochs)", last.Step, plain(math.Round(10*last.Epoch)/10))
	}
	add := func(id, title, caption string, reference float64, all ...series) {
		if drawn := newChart(id, title, caption, label, reference, float64(c.last.Step), all); drawn != nil {
			charts = append(charts, drawn)
		}
	}
	step := func(name string) series { return series{points: c.steps.curve(name, 1)} }
	withTexts := func(name string) []series {
		if c.last.Texts == nil {
			return []series{step(name)}
		}
		return []series{{"all views", c.steps.curve(name, 1)}, {"captions alone", c.steps.curve("text_"+name, 1)}}
	}
	add("loss", "Loss", "(1 − λ) · prediction + λ · SIGReg", 0, step("loss"))
	add("prediction", "Prediction", "squared distance of a sample’s views from their centre", 0, withTexts("prediction")...)
	add("sigreg", "SIGReg", sigregCaption(c.last, gaussian), gaussian, withTexts("sigreg")...)
	eval := func(name, as string, factor float64) series { return series{as, c.evals.curve(name, factor)} }
	var accuracies []series
	for _, f := range []struct{ name, as string }{
		{"online_knn", "k-NN"}, {"online_linear", "linear probe"}, {"ema_online_knn", "k-NN, averaged weights"}, {"ema_online_linear", "linear probe, averaged weights"},
	} {
		accuracies = append(accuracies, eval(f.name, f.as, 100))
	}
	add("accuracy", "Accuracy during training", "of frozen features of some held-out images, in per cent", 0, accuracies...)
	expected := c.latest.Values["sigreg_expected"]
	caption := "SIGReg of images as they are, of weights as they are used"
	if expected > 0 {
		caption += fmt.Sprintf("; dashed: %s, what an exact Gaussian gives", figures(expected, 3))
	}
	add("heldout", "Gaussianity, held out", caption, expected,
		eval("sigreg", "projections", 1), eval("sigreg_embeddings", "embeddings, standardised", 1))
	add("rank", "Rank of the embeddings", "dimensions in which held-out embeddings spread; it falls where they collapse", 0,
		eval("rankme", "RankMe", 1), eval("participation", "participation ratio", 1))
	add("alpha", "α-ReQ", "how fast the eigenvalues of held-out embeddings’ covariance fall; dashed: 1, near which features generalise best", 1, eval("alpha_req", "", 1))
	add("lr", "Learning rate", "", 0, step("lr"))
	add("grad", "Gradient norm", "before clipping", 0, step("grad"))
	add("rate", "Throughput", "images per second, not views", 0, step("rate"))
	add("wait", "Waiting for data", "share of a step’s time, in per cent", 0, step("wait"))
	return charts
}

func sigregCaption(last runlog.Step, gaussian float64) string {
	text := "distance of the projections from N(0, I)"
	if last.SIGRegSE > 0 {
		text += fmt.Sprintf("; of the last step %s, standard error %s", figures(last.SIGReg, 3), figures(last.SIGRegSE, 2))
	}
	if gaussian > 0 {
		text += fmt.Sprintf("; dashed: %s, what an exact Gaussian gives", figures(gaussian, 3))
	}
	return text
}

// newChart returns nil if no curve has two points to draw.
func newChart(id, title, caption, xLabel string, reference, last float64, all []series) *chart {
	c := &chart{ID: id, Title: title, Caption: caption}
	all = slices.DeleteFunc(all, func(s series) bool { return len(s.points) < 2 })
	if len(all) == 0 {
		return nil
	}
	ys := extent(all)
	if reference > 0 {
		ys = ys.with(reference)
	}
	for _, s := range all {
		if len(all) > 1 {
			c.Legend = append(c.Legend, s.name)
		}
		last = max(last, s.points[len(s.points)-1].x)
		for _, b := range s.points {
			c.Thinned = c.Thinned || b.low < b.high
		}
	}
	xs := interval{0, last}
	c.Data = chartData(all, xs, reference)
	c.Linear = newPlot("linear", title, xLabel, all, xs, linearScale(ys), reference)
	if ys.low > 0 && ys.high > 1.5*ys.low && id != "lr" && id != "wait" && len(all) == 1 {
		c.Log = newPlot("log", title+", logarithmic", xLabel, all, xs, logScale(ys), reference)
		points := all[0].points
		c.LogFirst = ys.high > 10*points[len(points)-1].mean
	}
	return c
}

// chartData is what the script shows and zooms: the axis, the value to expect, and of each curve its name, steps, means and,
// where points are several steps, least and greatest values.
func chartData(all []series, xs interval, reference float64) string {
	type curve struct {
		Name string    `json:"name"`
		X    []float64 `json:"x"`
		Mean []float64 `json:"mean"`
		Low  []float64 `json:"low,omitempty"`
		High []float64 `json:"high,omitempty"`
	}
	data := struct {
		X         [2]float64 `json:"x"`
		Reference float64    `json:"reference,omitempty"`
		Curves    []curve    `json:"curves"`
	}{[2]float64{xs.low, xs.high}, reference, nil}
	for _, s := range all {
		c := curve{Name: s.name}
		thinned := false
		for _, b := range s.points {
			c.X, c.Mean = append(c.X, math.Round(b.x)), append(c.Mean, significant(b.mean, 5))
			c.Low, c.High = append(c.Low, significant(b.low, 4)), append(c.High, significant(b.high, 4))
			thinned = thinned || b.low < b.high
		}
		if !thinned {
			c.Low, c.High = nil, nil
		}
		data.Curves = append(data.Curves, c)
	}
	text, err := json.Marshal(data)
	if err != nil {
		panic(fmt.Sprintf("report: a chart's figures: %v", err)) // they are finite
	}
	return string(text)
}

// interval is a range of values.
type interval struct{ low, high float64 }

func (i interval) with(x float64) interval { return interval{min(i.low, x), max(i.high, x)} }

// extent is the range of the curves' values.
func extent(all []series) interval {
	y := interval{math.Inf(1), math.Inf(-1)}
	for _, s := range all {
		for _, b := range s.points {
			y = y.with(b.low).with(b.high)
		}
	}
	return y
}

func newPlot(class, title, xLabel string, all []series, xs interval, y scale, gaussian float64) *plot {
	x := linearAxis(xs, false, 5)
	p := &plot{
		Class: class, Label: title + " by step", XLabel: xLabel, XLabelAt: (left + chartWidth - right) / 2,
		Left: left, Right: chartWidth - right, Top: top, Bottom: chartHeight - bottom,
		Width: chartWidth, Height: chartHeight,
	}
	px := func(v float64) float64 { return round(left + x.at(v)*(chartWidth-left-right)) }
	py := func(v float64) float64 { return round(chartHeight - bottom - y.at(v)*(chartHeight-top-bottom)) }
	for i, text := range x.labels() {
		p.XTicks = append(p.XTicks, tick{px(x.ticks[i]), text})
	}
	for i, text := range y.labels() {
		p.YTicks = append(p.YTicks, tick{py(y.ticks[i]), text})
	}
	for _, s := range all {
		p.Lines = append(p.Lines, newLine(s, px, py))
	}
	if gaussian > 0 {
		y := py(gaussian)
		p.Reference = &y
	}
	return p
}

func newLine(s series, px, py func(float64) float64) line {
	l := line{Name: s.name}
	var path, high, low []string
	var thinned bool
	for i, b := range s.points {
		x, y := px(b.x), py(b.mean)
		command := "L"
		if i == 0 {
			command = "M"
		}
		path = append(path, fmt.Sprintf("%s%g %g", command, x, y))
		high = append(high, fmt.Sprintf("%s%g %g", command, x, py(b.high)))
		low = append(low, fmt.Sprintf("L%g %g", x, py(b.low)))
		thinned = thinned || b.low < b.high
		if len(s.points) <= 30 {
			l.Dots = append(l.Dots, dot{x, y})
		}
	}
	l.Path = strings.Join(path, "")
	if thinned {
		slices.Reverse(low)
		l.Band = strings.Join(high, "") + strings.Join(low, "") + "Z"
	}
	return l
}

// round keeps a tenth of a unit, which is finer than a screen shows and keeps the page small.
func round(x float64) float64 { return math.Round(10*x) / 10 }
