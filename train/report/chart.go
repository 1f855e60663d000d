package report

import (
	"fmt"
	"maps"
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
	Dots       []dot  // the points, where there are few
	X          string // positions, for the script
	Steps      string // values, for the script
	Values     string
}

type dot struct{ X, Y float64 }

// series is a named curve before it is drawn.
type series struct {
	name string
	x, y []float64
}

// bucket is what a curve shows of neighbouring points.
type bucket struct{ x, mean, low, high float64 }

// runCharts draws the curves of a run.
func runCharts(log *runlog.Log, gaussian float64) []*chart {
	var charts []*chart
	add := func(c *chart) {
		if c != nil {
			charts = append(charts, c)
		}
	}
	label := "step"
	if n := len(log.Steps); n > 0 {
		last := log.Steps[n-1]
		label = fmt.Sprintf("step (%d are %s epochs)", last.Step, plain(math.Round(10*last.Epoch)/10))
	}
	curve := func(value func(runlog.Step) float64) []series {
		s := series{}
		for _, r := range log.Steps {
			s.x, s.y = append(s.x, float64(r.Step)), append(s.y, value(r))
		}
		return []series{s}
	}
	add(newChart("loss", "Loss", "(1 − λ) · prediction + λ · SIGReg", label, 0,
		curve(func(s runlog.Step) float64 { return s.Loss })))
	add(newChart("prediction", "Prediction", "squared distance of a sample's views from their centre", label, 0,
		curve(func(s runlog.Step) float64 { return s.Prediction })))
	add(newChart("sigreg", "SIGReg", sigregCaption(log.Steps, gaussian), label, gaussian,
		curve(func(s runlog.Step) float64 { return s.SIGReg })))
	add(newChart("grad", "Gradient norm", "before clipping", label, 0,
		curve(func(s runlog.Step) float64 { return s.GradNorm })))
	add(newChart("lr", "Learning rate", "", label, 0,
		curve(func(s runlog.Step) float64 { return s.LR })))
	add(newChart("accuracy", "Accuracy during training", "of frozen features, in per cent", label, 0,
		evalSeries(log.Evals)))
	return charts
}

func sigregCaption(steps []runlog.Step, gaussian float64) string {
	text := "distance of the projections from N(0, I)"
	if n := len(steps); n > 0 && steps[n-1].SIGRegSE > 0 {
		last := steps[n-1]
		text += fmt.Sprintf("; at the end %s, standard error %s", figures(last.SIGReg, 3), figures(last.SIGRegSE, 2))
	}
	if gaussian > 0 {
		text += fmt.Sprintf("; dashed: %s, what an exact Gaussian gives", figures(gaussian, 3))
	}
	return text
}

// evalSeries gathers the accuracies by name, in per cent. A figure that was measured only once makes no curve, and one
// that leaves [0, 1] is no accuracy.
func evalSeries(evals []runlog.Eval) []series {
	byName := map[string]*series{}
	for _, e := range evals {
		for name, v := range e.Values {
			s := byName[name]
			if s == nil {
				s = &series{name: name}
				byName[name] = s
			}
			s.x, s.y = append(s.x, float64(e.Step)), append(s.y, 100*v)
		}
	}
	var all []series
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		s := *byName[name]
		accuracy := !slices.ContainsFunc(s.y, func(v float64) bool { return v < 0 || v > 100 })
		if accuracy && len(s.x) > 1 {
			all = append(all, s)
		}
	}
	return all
}

// newChart returns nil if there are fewer than two points to draw.
func newChart(id, title, caption, xLabel string, gaussian float64, all []series) *chart {
	c := &chart{ID: id, Title: title, Caption: caption}
	var drawn [][]bucket
	var names []string
	for _, s := range all {
		if b := buckets(s.x, s.y); len(b) > 1 {
			drawn, names = append(drawn, b), append(names, s.name)
		}
	}
	if len(drawn) == 0 {
		return nil
	}
	if len(drawn) > 1 {
		c.Legend = names
	}
	ys := extent(drawn)
	xs := interval{0, lastStep(all)}
	if gaussian > 0 {
		ys = ys.with(gaussian)
	}
	c.Linear = newPlot("linear", title, xLabel, drawn, names, xs, linearScale(ys), gaussian)
	if ys.low > 0 && ys.high > 1.5*ys.low && id != "lr" && len(drawn) == 1 {
		c.Log = newPlot("log", title+", logarithmic", xLabel, drawn, names, xs, logScale(ys), gaussian)
		c.LogFirst = ys.high > 10*drawn[0][len(drawn[0])-1].mean
	}
	return c
}

// interval is a range of values.
type interval struct{ low, high float64 }

func (i interval) with(x float64) interval { return interval{min(i.low, x), max(i.high, x)} }

// extent is the range of the curves' values.
func extent(all [][]bucket) interval {
	y := interval{math.Inf(1), math.Inf(-1)}
	for _, buckets := range all {
		for _, b := range buckets {
			y = y.with(b.low).with(b.high)
		}
	}
	return y
}

func lastStep(all []series) float64 {
	var last float64
	for _, s := range all {
		for _, x := range s.x {
			last = max(last, x)
		}
	}
	return last
}

// buckets thins a curve out to what a screen can show. Values that are not finite are left out.
func buckets(x, y []float64) []bucket {
	const few, many = 100, 300
	var points []bucket
	for i := range x {
		if !math.IsNaN(y[i]) && !math.IsInf(y[i], 0) {
			points = append(points, bucket{x[i], y[i], y[i], y[i]})
		}
	}
	n := min(max(len(points)/8, few), many)
	if len(points) <= n {
		return points
	}
	thin := make([]bucket, n)
	for i := range thin {
		from, to := i*len(points)/n, (i+1)*len(points)/n
		b := bucket{low: math.Inf(1), high: math.Inf(-1)}
		for _, p := range points[from:to] {
			b.x += p.x / float64(to-from)
			b.mean += p.mean / float64(to-from)
			b.low, b.high = min(b.low, p.low), max(b.high, p.high)
		}
		thin[i] = b
	}
	return thin
}

func newPlot(class, title, xLabel string, all [][]bucket, names []string, xs interval, y scale, gaussian float64) *plot {
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
	for i, buckets := range all {
		p.Lines = append(p.Lines, newLine(names[i], buckets, px, py))
	}
	if gaussian > 0 {
		y := py(gaussian)
		p.Reference = &y
	}
	return p
}

func newLine(name string, buckets []bucket, px, py func(float64) float64) line {
	l := line{Name: name}
	var path, high, low, xs, steps, values []string
	var thinned bool
	for i, b := range buckets {
		x, y := px(b.x), py(b.mean)
		command := "L"
		if i == 0 {
			command = "M"
		}
		path = append(path, fmt.Sprintf("%s%g %g", command, x, y))
		high = append(high, fmt.Sprintf("%s%g %g", command, x, py(b.high)))
		low = append(low, fmt.Sprintf("L%g %g", x, py(b.low)))
		xs, steps = append(xs, fmt.Sprint(x)), append(steps, fmt.Sprintf("%.0f", b.x))
		values = append(values, figures(b.mean, 3))
		thinned = thinned || b.low < b.high
		if len(buckets) <= 30 {
			l.Dots = append(l.Dots, dot{x, y})
		}
	}
	l.Path = strings.Join(path, "")
	if thinned {
		slices.Reverse(low)
		l.Band = strings.Join(high, "") + strings.Join(low, "") + "Z"
	}
	l.X, l.Steps, l.Values = strings.Join(xs, " "), strings.Join(steps, " "), strings.Join(values, " ")
	return l
}

// round keeps a tenth of a unit, which is finer than a screen shows and keeps the page small.
func round(x float64) float64 { return math.Round(10*x) / 10 }
