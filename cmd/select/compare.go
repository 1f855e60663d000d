package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gojepa/gojepa/internal/fields"
	"github.com/gojepa/gojepa/internal/figure"
	"github.com/gojepa/gojepa/train/selection"
)

// result is what the command found.
type result struct {
	*selection.Ranking
	Comparison *comparison `json:"comparison,omitempty"` // with accuracies
	BySteps    []atStep    `json:"by_step,omitempty"`
}

// comparison is of a ranking with accuracies.
type comparison struct {
	Metric     string        `json:"metric"`
	Missing    []string      `json:"missing,omitempty"` // ranked runs without an accuracy
	Runs       []accuracyOf  `json:"runs"`
	Agreements []agreement   `json:"agreements"`
	Alphas     []alphaFigure `json:"alphas"`

	percent bool // accuracies are shares
}

type accuracyOf struct {
	Run      string  `json:"run"`
	Accuracy float64 `json:"accuracy"`
}

// agreement is a selection.Agreement in JSON.
type agreement struct {
	Measure    string        `json:"measure"`
	Rho        figure.Figure `json:"rho"`
	RhoLow     figure.Figure `json:"rho_low"`
	RhoHigh    figure.Figure `json:"rho_high"`
	Chosen     string        `json:"chosen"`
	Regret     figure.Figure `json:"regret"`
	RegretLow  figure.Figure `json:"regret_low"`
	RegretHigh figure.Figure `json:"regret_high"`
}

type alphaFigure struct {
	Alpha float64       `json:"alpha"`
	Rho   figure.Figure `json:"rho"`
}

// atStep is a comparison after some steps.
type atStep struct {
	Step       int           `json:"step"`
	Alpha      float64       `json:"alpha"`
	Metric     string        `json:"metric"`
	Agreements []agreement   `json:"agreements"`
	RhoLast    figure.Figure `json:"rho_with_last"` // of the score after these steps with accuracies after the last
}

// metrics are accuracies that evaluations may have, the first preferred.
var metrics = []string{"linear", "knn", "online_linear", "online_knn"}

// compare adds accuracies, if there are any.
func (r *result) compare(o options, how selection.Options, runs []*selection.Run) error {
	if o.Metric == "none" {
		return nil
	}
	if o.ByStep {
		if err := r.bySteps(o, how, runs); err != nil {
			return err
		}
	}
	name, accuracy := o.Metric, map[string]float64(nil)
	if o.Accuracies != "" {
		var err error
		if accuracy, err = readAccuracies(o.Accuracies); err != nil {
			return err
		}
		name = filepath.Base(o.Accuracies)
	} else {
		if name == "auto" {
			if name = common(r.Runs, metrics); name == "" {
				return nil
			}
		}
		accuracy = recorded(r.Runs, name)
		if len(accuracy) == 0 {
			return fmt.Errorf("--metric: %s is in no run's evaluations, which have %s", name, names(r.Runs))
		}
	}
	c, err := compareWith(r.Ranking, name, accuracy, how)
	if err != nil {
		return err
	}
	r.Comparison = c
	return nil
}

// common is the first metric that all runs have, or else the first that any two have, or "".
func common(runs []selection.Scored, of []string) string {
	for _, least := range []int{len(runs), 2} {
		for _, m := range of {
			if len(recorded(runs, m)) >= least {
				return m
			}
		}
	}
	return ""
}

// recorded are the accuracies that evaluations have.
func recorded(runs []selection.Scored, metric string) map[string]float64 {
	all := map[string]float64{}
	for _, s := range runs {
		if v, ok := s.Values[metric]; ok {
			all[s.Name] = v
		}
	}
	return all
}

// names lists what evaluations have.
func names(runs []selection.Scored) string {
	var all []string
	for _, s := range runs {
		for name := range s.Values {
			if !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	if all == nil {
		return "nothing"
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// compareWith compares a ranking with accuracies by the runs' names, or by their folders.
func compareWith(r *selection.Ranking, metric string, accuracy map[string]float64, how selection.Options) (*comparison, error) {
	c := &comparison{Metric: metric, percent: true}
	var runs []selection.Scored
	var values []float64
	for _, s := range r.Runs {
		v, ok := accuracy[s.Name]
		if !ok {
			v, ok = accuracy[filepath.Clean(s.Dir)]
		}
		if !ok {
			c.Missing = append(c.Missing, s.Name)
			continue
		}
		runs, values = append(runs, s), append(values, v)
		c.Runs = append(c.Runs, accuracyOf{s.Name, v})
		c.percent = c.percent && v >= 0 && v <= 1
	}
	if len(runs) < 2 {
		return nil, fmt.Errorf("accuracies (%s): %d of the ranked runs have one, expected 2 or more", metric, len(runs))
	}
	for _, m := range measures(runs, r.Alpha) {
		c.Agreements = append(c.Agreements, agree(runs, m, values, how))
	}
	for tenth := range 11 {
		alpha := float64(tenth) / 10
		c.Alphas = append(c.Alphas, alphaFigure{alpha, figure.Figure(selection.Spearman(scores(runs, alpha), values))})
	}
	return c, nil
}

// scores are losses / λ^α, less being better, with the sign that makes more better.
func scores(runs []selection.Scored, alpha float64) []float64 {
	all := make([]float64, len(runs))
	for i, s := range runs {
		all[i] = -selection.Score(s.Loss, s.Lambda, alpha)
	}
	return all
}

// measures are what may tell how good runs are, without labels.
func measures(runs []selection.Scored, alpha float64) []selection.Measure {
	all := []selection.Measure{
		{Name: fmt.Sprintf("loss / λ^%.3g", alpha), Values: scores(runs, alpha)},
		{Name: "loss", Values: scores(runs, 0)},
	}
	if alpha != selection.Alpha {
		all = append(all, selection.Measure{Name: fmt.Sprintf("loss / λ^%.3g", selection.Alpha), Values: scores(runs, selection.Alpha)})
	}
	for _, m := range []struct {
		key, name string
		good      func(v float64) float64 // the more the better
	}{
		{"rankme", "RankMe", func(v float64) float64 { return v }},
		{"participation", "participation ratio", func(v float64) float64 { return v }},
		{"alpha_req", "|α-ReQ − 1|", func(v float64) float64 { return -math.Abs(v - 1) }},
		{"sigreg", "held-out SIGReg", func(v float64) float64 { return -v }},
	} {
		values := make([]float64, len(runs))
		complete := true
		for i, s := range runs {
			v, ok := s.Values[m.key]
			values[i], complete = m.good(v), complete && ok && !math.IsNaN(v)
		}
		if complete {
			all = append(all, selection.Measure{Name: m.name, Values: values})
		}
	}
	return all
}

func agree(runs []selection.Scored, m selection.Measure, values []float64, how selection.Options) agreement {
	names := make([]string, len(runs))
	for i, s := range runs {
		names[i] = s.Name
	}
	a := selection.Agree(names, m, values, how.Resamples, how.Seed)
	return agreement{
		Measure: m.Name, Rho: figure.Figure(a.Rho), RhoLow: figure.Figure(a.RhoIn.Low), RhoHigh: figure.Figure(a.RhoIn.High),
		Chosen: a.Chosen, Regret: figure.Figure(a.Regret), RegretLow: figure.Figure(a.RegretIn.Low), RegretHigh: figure.Figure(a.RegretIn.High),
	}
}

// bySteps compares after every step after which all ranked runs were evaluated with labels.
func (r *result) bySteps(o options, how selection.Options, runs []*selection.Run) error {
	ranked := slices.DeleteFunc(slices.Clone(runs), func(run *selection.Run) bool {
		return !slices.ContainsFunc(r.Runs, func(s selection.Scored) bool { return s.Dir == run.Dir })
	})
	steps := selection.EvaluatedSteps(ranked)
	metric := o.Metric
	if metric == "auto" {
		metric = ""
		for _, m := range metrics {
			if metric == "" || evaluatedBy(ranked, steps, m) > evaluatedBy(ranked, steps, metric) {
				metric = m
			}
		}
	}
	var last map[string]float64
	for _, step := range slices.Backward(steps) {
		at := how
		at.At = step
		ranking, err := selection.Rank(ranked, at)
		if err != nil { // too early for it
			continue
		}
		accuracy := recorded(ranking.Runs, metric)
		if len(accuracy) < len(ranking.Runs) {
			continue
		}
		if last == nil {
			last = accuracy
		}
		c, err := compareWith(ranking, metric, accuracy, how)
		if err != nil {
			return err
		}
		late := make([]float64, len(ranking.Runs))
		for i, s := range ranking.Runs {
			late[i] = last[s.Name]
		}
		r.BySteps = append(r.BySteps, atStep{
			Step: step, Alpha: ranking.Alpha, Metric: metric, Agreements: c.Agreements,
			RhoLast: figure.Figure(selection.Spearman(scores(ranking.Runs, ranking.Alpha), late)),
		})
	}
	if r.BySteps == nil {
		return errors.New("--by-step: there is no step after which all runs were evaluated with labels: expected runs with --labels, and --eval-every in steps, such as 500")
	}
	slices.Reverse(r.BySteps)
	return nil
}

// evaluatedBy is after how many of some steps all runs have an accuracy of a kind.
func evaluatedBy(runs []*selection.Run, steps []int, metric string) (n int) {
	for _, step := range steps {
		all := true
		for _, r := range runs {
			e, _ := r.EvalAt(step)
			_, ok := e.Values[metric]
			all = all && ok && e.Step == step
		}
		if all {
			n++
		}
	}
	return n
}

// readAccuracies reads a CSV file with columns run and accuracy, perhaps among others.
func readAccuracies(path string) (map[string]float64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--accuracies: %w", err)
	}
	defer f.Close()
	c := csv.NewReader(f)
	rows, err := c.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("--accuracies: %s: %w", path, err)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("--accuracies: %s: empty, expected a first line with run and accuracy", path)
	}
	run, accuracy := slices.Index(rows[0], "run"), slices.Index(rows[0], "accuracy")
	if run < 0 || accuracy < 0 {
		return nil, fmt.Errorf("--accuracies: %s:1: columns %s, expected run and accuracy among them", path, strings.Join(rows[0], ", "))
	}
	all := map[string]float64{}
	var errs []error
	for i, row := range rows[1:] {
		name := strings.TrimSuffix(row[run], "/")
		v, err := fields.ParseFloat(strings.TrimSpace(row[accuracy]))
		switch _, twice := all[name]; {
		case err != nil:
			errs = append(errs, fmt.Errorf("--accuracies: %s:%d: %s: accuracy: %w", path, i+2, name, err))
		case name == "" || twice:
			errs = append(errs, fmt.Errorf("--accuracies: %s:%d: run: %q, expected the name of a run, each once", path, i+2, name))
		}
		all[name] = v
	}
	return all, errors.Join(errs...)
}
