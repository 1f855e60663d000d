package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"

	"github.com/gojepa/gojepa/internal/figure"
	"github.com/gojepa/gojepa/train/selection"
)

// writeText writes the tables.
func (r result) writeText(w io.Writer) error {
	var b bytes.Buffer
	r.writeRanking(&b)
	if r.Comparison != nil {
		r.Comparison.write(&b)
	}
	if r.BySteps != nil {
		r.writeSteps(&b)
	}
	_, err := b.WriteTo(w)
	return err
}

// writeRanking writes the runs, the best first.
func (r result) writeRanking(b *bytes.Buffer) {
	how := ""
	if r.Auto {
		how = " (auto: λ·(SIGReg − prediction) / loss, of the run in the middle)"
	}
	fmt.Fprintf(b, "score = loss / λ^%.3g%s; less is better\n\n", r.Alpha, how)
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	accuracy := map[string]float64{}
	metric := ""
	if c := r.Comparison; c != nil {
		metric = c.Metric + "\t"
		for _, a := range c.Runs {
			accuracy[a.Run] = a.Accuracy
		}
	}
	keys := []struct{ key, name, format string }{{"rankme", "RankMe", "%.1f"}, {"participation", "participation", "%.1f"}, {"alpha_req", "α-ReQ", "%.2f"}, {"sigreg", "SIGReg", "%.3g"}}
	fmt.Fprintf(t, "\tscore\t± s.e.\tP(1st)\tranks\tλ\tloss\t")
	for _, k := range keys {
		fmt.Fprintf(t, "%s\t", k.name)
	}
	fmt.Fprintf(t, "%s  run\n", metric)
	for i, s := range r.Runs {
		ranks := fmt.Sprintf("%d–%d", s.RankLow, s.RankHigh)
		if s.RankLow == s.RankHigh {
			ranks = fmt.Sprint(s.RankLow)
		}
		fmt.Fprintf(t, "%d\t%.4g\t%.2g\t%.2f\t%s\t%.4g\t%.4g\t", i+1, s.Score, s.ScoreSE, s.PFirst, ranks, s.Lambda, s.Loss)
		for _, k := range keys {
			if v, ok := s.Values[k.key]; ok && !math.IsNaN(v) {
				fmt.Fprintf(t, k.format+"\t", v)
			} else {
				fmt.Fprint(t, "–\t")
			}
		}
		if metric != "" {
			if v, ok := accuracy[s.Name]; ok {
				fmt.Fprintf(t, "%s\t", r.Comparison.accuracy(v))
			} else {
				fmt.Fprint(t, "–\t")
			}
		}
		fmt.Fprintf(t, "  %s\n", s.Name)
	}
	t.Flush()
	fmt.Fprintf(b, "\nloss: mean of the last %d of %d steps", r.Runs[0].Steps, r.Runs[0].Step)
	if !same(r.Runs) {
		fmt.Fprint(b, " (of the first; others have other lengths)")
	}
	fmt.Fprint(b, "; RankMe, participation ratio, α-ReQ and held-out SIGReg: of the last evaluation\n")
	for _, s := range r.Skipped {
		fmt.Fprintf(b, "not ranked: %s: %s\n", s.Name, s.Why)
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(b, "warning: %s\n", warning)
	}
}

// same says whether runs have the same length.
func same(runs []selection.Scored) bool {
	for _, s := range runs {
		if s.Step != runs[0].Step {
			return false
		}
	}
	return true
}

// write writes how well measures agree with accuracies.
func (c *comparison) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "\nAgreement with accuracy (%s) over %d runs: Spearman's ρ, 1 being the same order, and what is lost by choosing the\nrun that is best by the measure; in brackets 95 %% of a bootstrap over runs\n\n", c.Metric, len(c.Runs))
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tρ\t\tregret\t\tchosen")
	for _, a := range c.Agreements {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t[%s, %s]\t%s\n", a.Measure, rho(a.Rho), between(a), c.accuracy(float64(a.Regret)),
			c.accuracy(float64(a.RegretLow)), c.accuracy(float64(a.RegretHigh)), cmp.Or(a.Chosen, "–"))
	}
	t.Flush()
	fmt.Fprintln(b)
	t = tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	alphas, rhos := "α\t", "ρ\t"
	for _, a := range c.Alphas {
		alphas += fmt.Sprintf("%.1f\t", a.Alpha)
		rhos += rho(a.Rho) + "\t"
	}
	fmt.Fprintf(t, "%s\n%s\n", alphas, rhos)
	t.Flush()
	if len(c.Missing) > 0 {
		fmt.Fprintf(b, "without an accuracy: %s\n", strings.Join(c.Missing, ", "))
	}
	if len(c.Runs) < 5 {
		fmt.Fprintf(b, "warning: of %d runs ρ says little\n", len(c.Runs))
	}
}

// accuracy writes an accuracy or a difference of two.
func (c *comparison) accuracy(v float64) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case c.percent:
		return fmt.Sprintf("%.2f %%", 100*v)
	}
	return fmt.Sprintf("%.4g", v)
}

func rho(f figure.Figure) string {
	if math.IsNaN(float64(f)) {
		return "–"
	}
	return fmt.Sprintf("%.3f", float64(f))
}

func between(a agreement) string { return "[" + rho(a.RhoLow) + ", " + rho(a.RhoHigh) + "]" }

// writeSteps writes how agreement grows with training.
func (r result) writeSteps(b *bytes.Buffer) {
	fmt.Fprintf(b, "\nρ after so many steps, with the accuracy then (%s), and of the score with the accuracy at the end\n\n", r.BySteps[0].Metric)
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "steps\tα\t")
	for i, a := range r.BySteps[len(r.BySteps)-1].Agreements {
		name := a.Measure
		if i == 0 {
			name = "score\t"
		}
		fmt.Fprintf(t, "%s\t", name)
	}
	fmt.Fprintln(t, "score, end\t")
	for _, s := range r.BySteps {
		fmt.Fprintf(t, "%d\t%.3g\t", s.Step, s.Alpha)
		for i, a := range s.Agreements {
			fmt.Fprintf(t, "%s\t", rho(a.Rho))
			if i == 0 {
				fmt.Fprintf(t, "%s\t", between(a))
			}
		}
		fmt.Fprintf(t, "%s\t\n", rho(s.RhoLast))
	}
	t.Flush()
}
