package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gojepa/gojepa/sigreg/gaussianity"
)

// writeText prints the report for people.
func (r result) writeText(w io.Writer) error {
	var b bytes.Buffer
	r.writeHead(&b)
	r.writeTable(&b)
	r.writeDirections(&b)
	fmt.Fprintf(&b, "\np is how often Gaussian samples are as far out; %s is the least that %d simulations can show.\n", r.p(1/float64(r.Simulations+1)), r.Simulations)
	fmt.Fprintf(&b, "ratio is the value by the Gaussian samples' median. seen is the share of slices on which a test finds more than on\n")
	fmt.Fprintf(&b, "95 %% of the simulated ones: 5 %% of them by chance.\n")
	if r.Picture != "" {
		fmt.Fprintf(&b, "\npicture: %s\n", r.Picture)
	}
	_, err := b.WriteTo(w)
	return err
}

func (r result) writeHead(b *bytes.Buffer) {
	name := r.File
	if r.Tensor != "" {
		name += ", tensor " + r.Tensor
	}
	fmt.Fprintf(b, "%s: %d rows of %s (%s)", name, r.Rows, count(r.Dim, "number"), r.DType)
	if r.Samples < r.Rows {
		fmt.Fprintf(b, ", %d of the rows examined", r.Samples)
	}
	fmt.Fprintln(b)
	switch r.Standardise {
	case gaussianity.None:
		fmt.Fprintf(b, "as they are (--standardise none)")
	case gaussianity.Scale:
		fmt.Fprintf(b, "centred from a mean of length %s, and divided by %s for a mean variance of 1 (--standardise scale)", number(length(r.Mean)), number(r.Scale))
	case gaussianity.Whiten:
		fmt.Fprintf(b, "centred from a mean of length %s, and whitened to a covariance of 1 (--standardise whiten)", number(length(r.Mean)))
	}
	fmt.Fprintf(b, ",\nbeside %s of as many Gaussian samples, put through the same\n", count(r.Simulations, "simulated set"))
	if r.Duplicates > 0 {
		fmt.Fprintf(b, "%s among them: rows should be independent\n", count(r.Duplicates, "repeated row"))
	}
	if n := len(r.Constant); n > 0 {
		fmt.Fprintf(b, "%s: %s\n", count(n, "constant column"), list(r.Constant, 10))
	}
	if r.Rank < min(r.Dim, r.Samples-1) {
		fmt.Fprintf(b, "the rows vary in %d of %d dimensions only\n", r.Rank, r.Dim)
	}
	fmt.Fprintln(b)
	r.writeVerdict(b)
}

// writeVerdict says in words what matters most.
func (r result) writeVerdict(b *bytes.Buffer) {
	against := map[gaussianity.Standardise]string{
		gaussianity.None: "N(0, I)", gaussianity.Scale: "an isotropic Gaussian", gaussianity.Whiten: "a Gaussian",
	}[r.Standardise]
	if r.P > 0.05 {
		fmt.Fprintf(b, "Nothing here tells these embeddings from %s: p = %s for all together.\n\n", against, r.p(r.P))
		return
	}
	fmt.Fprintf(b, "These embeddings are not those of %s: p = %s for all together.\n", against, r.p(r.P))
	for _, s := range r.Covariance {
		format, known := map[string]string{
			"length of the mean": "- Their mean has length %s; that of Gaussian samples %s.\n",
			"mean variance":      "- Their variance is %s on average; that of Gaussian samples %s.\n",
			"effective rank":     "- They spread over %s dimensions (effective rank); Gaussian samples over %s.\n",
		}[s.Name]
		if known && s.P <= 0.05 {
			fmt.Fprintf(b, format, number(s.Observed), number(s.Gaussian.Median))
		}
	}
	if s := r.Sliced[0]; s.P <= 0.05 {
		fmt.Fprintf(b, "- SIGReg is %s times what it is for Gaussian samples, and sees a difference on %s of the slices.\n", figures(s.Ratio(), 3), percent(s.Beyond))
	}
	if len(r.Directions) > 0 && r.Directions[0].P <= 0.05 {
		fmt.Fprintf(b, "- On the worst direction they are %s.\n", words(r.Directions[0].Deviations))
	}
	fmt.Fprintln(b)
}

// words joins deviations, or says that none has a name.
func words(ds []gaussianity.Deviation) string {
	var all []string
	for _, d := range ds {
		all = append(all, d.String())
	}
	if len(all) == 0 {
		return "different in no way that has a name here"
	}
	return strings.Join(all, ", ")
}

// writeTable prints every statistic.
func (r result) writeTable(b *bytes.Buffer) {
	t := table{{"", "value", "Gaussian: median (5 – 95 %)", "ratio", "seen", "p"}}
	group := func(title string, statistics ...gaussianity.Statistic) {
		t = append(t, []string{title})
		for _, s := range statistics {
			t = append(t, r.statistic(s))
		}
	}
	switch {
	case len(r.Covariance) == 0:
	case r.Standardise == gaussianity.None:
		group("covariance", r.Covariance...)
	default:
		group("covariance, of mean variance 1", r.Covariance...)
	}
	group(fmt.Sprintf("tests of projections on %s, mean", count(r.Slices, "slice")))
	for _, s := range r.Sliced {
		line := r.statistic(s.Statistic)
		if s.Error > 1e-6*math.Abs(s.Observed) {
			line[1] += " ± " + figures(s.Error, 2)
		}
		line[4] = percent(s.Beyond)
		t = append(t, line)
	}
	group(fmt.Sprintf("tests of all dimensions, on %d rows", r.JointRows), r.Joint...)
	group("least Gaussian direction that a search finds", r.Worst)
	t.write(b)
	if r.Standardise == gaussianity.None {
		fmt.Fprintf(b, "\nThe expectation of EppsPulley on a slice, SIGReg's optimum, is %s for N(0, I).\n", number(r.Expected))
	}
}

// statistic is a line of the table.
func (r result) statistic(s gaussianity.Statistic) []string {
	ratio := ""
	if s.Ratio() > 0 {
		ratio = figures(s.Ratio(), 3)
	}
	g := s.Gaussian
	band := fmt.Sprintf("%s (%s – %s)", number(g.Median), number(g.Low), number(g.High))
	return []string{"  " + s.Name, number(s.Observed), band, ratio, "", r.p(s.P)}
}

// writeDirections describes the worst directions.
func (r result) writeDirections(b *bytes.Buffer) {
	if len(r.Directions) == 0 {
		return
	}
	fmt.Fprintf(b, "\nleast Gaussian directions, at right angles to each other; p compares them with the worst of each simulated set\n")
	for i, d := range r.Directions {
		fmt.Fprintf(b, "  %d  EppsPulley %s, p %s", i+1, number(d.Statistic), r.p(d.P))
		if d.P <= 0.05 {
			fmt.Fprintf(b, ": %s", words(d.Deviations))
		}
		fmt.Fprintf(b, "\n     mean %s, variance %s, skewness %s, excess kurtosis %s\n", rounded(d.Mean), number(d.Variance), rounded(d.Skewness), rounded(d.Kurtosis))
		var weights []string
		for _, k := range d.Coordinates(5) {
			weights = append(weights, fmt.Sprintf("%d (%+.2f)", k, d.Weights[k]/length(d.Weights)))
		}
		fmt.Fprintf(b, "     columns %s; rows at its ends %s and %s\n", strings.Join(weights, ", "), list(d.Least, 3), list(d.Greatest, 3))
	}
}

// table has a name first in each line, and numbers after it. A line with a name alone is a heading.
type table [][]string

func (t table) write(b *bytes.Buffer) {
	var widths []int
	for _, line := range t {
		for i, cell := range line {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if len(line) > 1 {
				widths[i] = max(widths[i], utf8.RuneCountInString(cell))
			}
		}
	}
	for _, line := range t {
		var text strings.Builder
		for i, cell := range line {
			pad := strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(cell)))
			if i == 0 {
				text.WriteString(cell + pad)
			} else {
				text.WriteString("  " + pad + cell)
			}
		}
		fmt.Fprintln(b, strings.TrimRight(text.String(), " "))
	}
}

// number writes v with four figures.
func number(v float64) string { return figures(v, 4) }

// figures writes v with n figures, and whole numbers below a million with all of theirs.
func figures(v float64, n int) string {
	text := strconv.FormatFloat(v, 'e', n-1, 64) // rounded, it may have one power of ten more
	_, power, _ := strings.Cut(text, "e")
	e, err := strconv.Atoi(power)
	switch {
	case v == 0 || err != nil:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case e >= 6 || e < -4:
		return strings.NewReplacer("e-0", "e-", "e+0", "e", "e+", "e").Replace(text)
	}
	return strconv.FormatFloat(v, 'f', max(0, n-1-e), 64)
}

// p writes a p-value with as many decimals as the least one has, up to four.
func (r result) p(v float64) string {
	least := 1 / float64(r.Simulations+1)
	decimals := 2
	for decimals < 4 && math.Abs(math.Round(least*math.Pow10(decimals))-least*math.Pow10(decimals)) > 1e-9 {
		decimals++
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// rounded writes v, which has a scale of 1, with two decimals, or four figures where it is large.
func rounded(v float64) string {
	if math.Abs(v) >= 100 {
		return number(v)
	}
	text := strconv.FormatFloat(v, 'f', 2, 64)
	if text == "-0.00" {
		return "0.00"
	}
	return text
}

func length(v []float64) float64 {
	var sum float64
	for _, v := range v {
		sum = math.Hypot(sum, v)
	}
	return sum
}

func percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

// count writes a number of things, such as "1 row" or "2 rows".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// list writes at most n numbers.
func list(all []int, n int) string {
	var text []string
	for _, v := range all[:min(n, len(all))] {
		text = append(text, strconv.Itoa(v))
	}
	if len(all) > n {
		text = append(text, "…")
	}
	return strings.Join(text, " ")
}
