package sweep

import (
	"fmt"
	"hash/fnv"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/gojepa/gojepa/internal/fields"
	"github.com/gojepa/gojepa/train/config"
)

// longestName is the length of a run's name in bytes; file systems take 255.
const longestName = 160

// runs makes the runs of what is to be set, and reports what cannot be.
func (f *file) runs(out string, sets []combination) []Run {
	short := shortNames(sets)
	var all []Run
	names, same := map[string]int{}, map[string]string{}
	for _, c := range sets {
		r := f.run(c)
		r.Name = c.name
		if r.Name == "" {
			r.Name = nameOf(r.Set, short)
		}
		key := fmt.Sprint(r.Set)
		if before, is := same[key]; is {
			f.fail(c.at, "%s: the same run as %s", r.Name, before)
			continue
		}
		same[key] = r.Name
		if names[r.Name]++; names[r.Name] > 1 { // letters that a name cannot have were what told them apart
			if c.name != "" {
				f.fail(c.at, "name: %s is another run's", c.name)
			}
			r.Name = fmt.Sprintf("%s_%d", r.Name, names[r.Name])
		}
		r.Config.Out = filepath.Join(out, r.Name)
		if err := r.Config.Validate(); err != nil && len(f.errs) < 20 {
			for _, line := range strings.Split(err.Error(), "\n") {
				f.fail(c.at, "run %s: %s", r.Name, line)
			}
		}
		all = append(all, r)
	}
	return all
}

// run sets what a run has of its own.
func (f *file) run(c combination) Run {
	r := Run{Config: f.base}
	values := map[string]fields.Field{}
	for _, field := range fields.Of(&r.Config) {
		values[field.Path] = field
	}
	seen := map[string]bool{}
	for _, preset := range []bool{true, false} { // which others are changes of
		for _, a := range c.set {
			if (a.path == "views.preset") != preset {
				continue
			}
			if seen[a.path] {
				f.fail(a.node, "%s: set twice for one run", a.path)
				continue
			}
			seen[a.path] = true
			field := values[a.path]
			if err := field.SetNode(a.node); err != nil {
				f.fail(a.node, "%s: %v", a.path, err)
				continue
			}
			if preset {
				r.Config.Views = config.PresetViews(field.String())
			}
		}
	}
	for _, a := range c.set {
		r.Set = append(r.Set, Value{a.path, values[a.path].String()})
	}
	return r
}

// shortNames are the last parts of the keys that are set, or all of a key where another has the same last part.
func shortNames(sets []combination) map[string]string {
	paths := map[string]map[string]bool{}
	for _, c := range sets {
		for _, a := range c.set {
			l := lastPart(a.path)
			if paths[l] == nil {
				paths[l] = map[string]bool{}
			}
			paths[l][a.path] = true
		}
	}
	short := map[string]string{}
	for l, same := range paths {
		for p := range same {
			short[p] = l
			if len(same) > 1 {
				short[p] = p
			}
		}
	}
	return short
}

// nameOf tells values in a folder's name: "lambda=0.02_lr=0.0005".
func nameOf(set []Value, short map[string]string) string {
	if len(set) == 0 {
		return "base"
	}
	var parts []string
	for _, v := range set {
		parts = append(parts, short[v.Key]+"="+v.Value)
	}
	name := clean(strings.Join(parts, "_"))
	if len(name) > longestName {
		h := fnv.New32a()
		_, _ = h.Write([]byte(name))
		name = fmt.Sprintf("%s_%08x", name[:longestName], h.Sum32())
	}
	return name
}

var strange = regexp.MustCompile(`^[^A-Za-z0-9]|[^A-Za-z0-9._=+-]`)

// clean replaces what is no good in the name of a folder, in shells or in CSV files.
func clean(name string) string { return strange.ReplaceAllString(name, "-") }
