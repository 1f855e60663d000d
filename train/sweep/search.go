package sweep

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gojepa/gojepa/internal/fields"
	"github.com/gojepa/gojepa/internal/rng"
)

// mostRuns is how many runs a grid or a random search may have: more is most likely a mistake.
const mostRuns = 10_000

// grid reads {key: [value, …], …} and returns every combination, the last key's values changing first.
func (f *file) grid(n *yaml.Node) []combination {
	all := []combination{{at: n}}
	f.each(n, "grid", func(k, v *yaml.Node) {
		choices := f.choices("grid", k, v)
		if len(choices)*len(all) > mostRuns {
			f.fail(k, "grid: more than %d runs", mostRuns)
			return
		}
		var next []combination
		for _, c := range all {
			for _, choice := range choices {
				next = append(next, combination{at: k, set: slices.Concat(c.set, choice)})
			}
		}
		all = next
	})
	return all
}

// choices reads the list of values of a key. Where the values are mappings, each sets several keys together: those of the
// section that the key is, or, if it is none, of any, and the key is then only a name.
func (f *file) choices(of string, k, v *yaml.Node) (all [][]assignment) {
	if v.Kind != yaml.SequenceNode || len(v.Content) == 0 {
		f.fail(v, "%s: %s: expected a list of values", of, k.Value)
		return nil
	}
	together := !slices.Contains(f.keys.paths, k.Value)
	for _, item := range v.Content {
		together = together && follow(item).Kind == yaml.MappingNode
	}
	for _, item := range v.Content {
		item = follow(item)
		if !together {
			all = append(all, f.flatten("", k, item))
			continue
		}
		prefix := ""
		if f.keys.sections[k.Value] {
			prefix = k.Value + "."
		}
		var set []assignment
		f.each(item, k.Value, func(k, v *yaml.Node) { set = append(set, f.flatten(prefix, k, v)...) })
		all = append(all, set)
	}
	return all
}

// random reads {samples: N, seed: N, key: distribution, …} and draws the values. Each key has a stream of its own, so that the
// first runs of a longer search are those of a shorter one.
func (f *file) random(n *yaml.Node) []combination {
	samples, seed := 0, uint64(0)
	type drawn struct {
		key  *yaml.Node
		draw func(r *rand.Rand) []assignment
	}
	var dims []drawn
	f.each(n, "random", func(k, v *yaml.Node) {
		switch k.Value {
		case "samples":
			if err := v.Decode(&samples); err != nil || samples < 1 || samples > mostRuns {
				f.fail(v, "random: samples: %s, expected how many runs to draw, 1 to %d", v.Value, mostRuns)
			}
		case "seed":
			if err := v.Decode(&seed); err != nil {
				f.fail(v, "random: seed: %s, expected a whole number, 0 or more", v.Value)
			}
		default:
			dims = append(dims, drawn{k, f.distribution(k, v)})
		}
	})
	if samples == 0 {
		f.fail(n, "random: samples: missing, expected how many runs to draw")
	}
	if len(dims) == 0 {
		f.fail(n, "random: expected keys besides samples and seed, such as lambda: {log: [0.005, 0.5]}")
	}
	if len(f.errs) > 0 {
		return nil
	}
	all := make([]combination, samples)
	for _, d := range dims {
		h := fnv.New64a()
		_, _ = h.Write([]byte(d.key.Value))
		r := rng.New(seed, rng.Search, h.Sum64(), 0)
		for i := range all {
			all[i].at = n
			all[i].set = append(all[i].set, d.draw(r)...)
		}
	}
	return all
}

// distributions of numbers, by name.
var distributions = []string{"log", "uniform", "int", "log_int"}

// distribution reads what a key's values are drawn from: {uniform: [a, b]}, {log: [a, b]} with a uniform logarithm, the same of
// whole numbers, ends included, {int: [a, b]} and {log_int: [a, b]}, or a list, each of whose values is as likely. Numbers are
// rounded to three digits, which names can hold.
func (f *file) distribution(k, v *yaml.Node) func(r *rand.Rand) []assignment {
	if v.Kind == yaml.SequenceNode {
		choices := f.choices("random", k, v)
		return func(r *rand.Rand) []assignment { return choices[r.IntN(len(choices))] }
	}
	path, _, err := f.keys.find("", k.Value, false)
	if err != nil {
		f.fail(k, "%v", err)
		return nil
	}
	expected := func(n *yaml.Node) {
		f.fail(n, "random: %s: expected a list of values, or one of {%s: [LEAST, MOST]}", k.Value, strings.Join(distributions, ": …}, {"))
	}
	if v.Kind != yaml.MappingNode || len(v.Content) != 2 || !slices.Contains(distributions, v.Content[0].Value) {
		expected(v)
		return nil
	}
	kind, limits := v.Content[0].Value, follow(v.Content[1])
	if limits.Kind != yaml.SequenceNode || len(limits.Content) != 2 {
		expected(limits)
		return nil
	}
	var ends [2]float64
	for i, n := range limits.Content {
		x, err := fields.ParseFloat(follow(n).Value)
		if err == nil && strings.HasSuffix(kind, "int") && x != math.Trunc(x) {
			err = fmt.Errorf("%q is not a whole number", n.Value)
		}
		if err != nil {
			f.fail(n, "random: %s: %s: %v", k.Value, kind, err)
			return nil
		}
		ends[i] = x
	}
	a, b := ends[0], ends[1]
	if a >= b || strings.HasPrefix(kind, "log") && a <= 0 {
		f.fail(limits, "random: %s: %s: [%v, %v], expected two numbers, the first the less, and above 0 for a logarithm", k.Value, kind, a, b)
		return nil
	}
	return func(r *rand.Rand) []assignment {
		n := &yaml.Node{Kind: yaml.ScalarNode, Value: draw(r, kind, a, b), Line: v.Line}
		return []assignment{{path, n}}
	}
}

// draw writes a number from a to b.
func draw(r *rand.Rand, kind string, a, b float64) string {
	u := r.Float64()
	switch kind {
	case "int":
		return strconv.FormatFloat(a+math.Floor(u*(b-a+1)), 'f', -1, 64)
	case "log_int": // from a to just below b+1, rounded down
		return strconv.FormatFloat(min(b, math.Floor(a*math.Pow((b+1)/a, u))), 'f', -1, 64)
	case "log":
		return rounded(a*math.Pow(b/a, u), a, b)
	}
	return rounded(a+u*(b-a), a, b)
}

// rounded writes x with three digits, within [a, b].
func rounded(x, a, b float64) string {
	x, _ = strconv.ParseFloat(strconv.FormatFloat(x, 'g', 3, 64), 64)
	return strconv.FormatFloat(min(max(x, a), b), 'g', -1, 64)
}
