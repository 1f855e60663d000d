// Package sweep plans training runs that differ in some values of their configuration, and does them as processes.
//
// A sweep's file says what the runs share and in what they differ:
//
//	base: base.yaml          # what they share, beside this file; or, or besides, config: {…}
//	out: runs/eurosat        # a folder for each run below it
//	grid:                    # every combination of the values
//	  lambda: [0.005, 0.02, 0.1]
//	  optim.lr: [1e-4, 5e-4]
//	random:                  # values drawn at random
//	  samples: 30
//	  seed: 0
//	  lambda: {log: [0.005, 0.5]}
//	runs:                    # runs one by one
//	  - {name: small, encoder: {width: 64, depth: 4}}
//	stop: {at: [500, 1000]}  # early stopping: see Stop
//
// [Load] makes a [Plan] of it, which [Plan.Save] writes down before anything is trained, and [Execute] does the runs.
package sweep

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gojepa/gojepa/train/config"
)

// Plan is the runs of a sweep. Which they are is known before the first begins.
type Plan struct {
	Out  string // the sweep's folder
	Runs []Run
	Stop Stop // a rule for early stopping
}

// Run is one run of a plan.
type Run struct {
	Name   string        // of its folder, which tells the values
	Set    []Value       // what it does not have from what all share, as the file has it
	Config config.Config // all of it
}

// Value is a value of a configuration.
type Value struct{ Key, Value string }

// assignment is a value for a key, as a file has it.
type assignment struct {
	path string
	node *yaml.Node
}

// file is a sweep's file while it is read.
type file struct {
	name string
	keys keys
	base config.Config
	errs []error
}

func (f *file) fail(n *yaml.Node, format string, args ...any) {
	f.errs = append(f.errs, fmt.Errorf("%s:%d: %s", f.name, n.Line, fmt.Sprintf(format, args...)))
}

// Load reads a sweep's file. The error names every mistake of it, one a line, with the line's number and what was expected;
// values that no run can have are mistakes too. A path of a base configuration is relative to the file.
func Load(path string) (*Plan, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the sweep: %w", err)
	}
	return decode(text, path)
}

func decode(text []byte, name string) (*Plan, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("%s: %s", name, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if doc.Kind == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s: expected keys and values: %s", name, strings.Join(sections, ", "))
	}
	f := &file{name: name, keys: keysOf(), base: config.Default()}
	parts := f.parts(doc.Content[0])
	f.readBase(parts)
	p := &Plan{}
	if n := parts["out"]; n == nil {
		f.fail(doc.Content[0], "out: missing, expected the folder that gets a folder for each run")
	} else if n.Kind != yaml.ScalarNode || n.Value == "" {
		f.fail(n, "out: expected a folder")
	} else {
		p.Out = filepath.Clean(n.Value)
	}
	var sets []combination
	if n := parts["grid"]; n != nil {
		sets = append(sets, f.grid(n)...)
	}
	if n := parts["random"]; n != nil {
		sets = append(sets, f.random(n)...)
	}
	if n := parts["runs"]; n != nil {
		sets = append(sets, f.list(n)...)
	}
	if n := parts["stop"]; n != nil {
		p.Stop = f.readStop(n)
	}
	if len(f.errs) == 0 && len(sets) == 0 {
		f.fail(doc.Content[0], "no runs: expected grid, random or runs")
	}
	if len(f.errs) > 0 {
		return nil, errors.Join(f.errs...)
	}
	p.Runs = f.runs(p.Out, sets)
	if n := parts["stop"]; n != nil {
		f.checkStop(n, p)
	}
	if len(f.errs) > 0 {
		return nil, errors.Join(f.errs...)
	}
	return p, nil
}

// sections are the keys of a sweep's file.
var sections = []string{"base", "config", "out", "grid", "random", "runs", "stop"}

// parts are the values of the file's keys.
func (f *file) parts(doc *yaml.Node) map[string]*yaml.Node {
	parts := map[string]*yaml.Node{}
	f.each(doc, "", func(k, v *yaml.Node) {
		if !slices.Contains(sections, k.Value) {
			f.fail(k, "%s: no such key, expected one of %s", k.Value, strings.Join(sections, ", "))
			return
		}
		parts[k.Value] = v
	})
	return parts
}

// each calls do for every key of a mapping; prefix is what the mapping is called in errors.
func (f *file) each(n *yaml.Node, prefix string, do func(k, v *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		f.fail(n, "%s: expected keys and values", prefix)
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], follow(n.Content[i+1])
		if first, twice := seen[k.Value]; twice {
			f.fail(k, "%s: given twice, first on line %d", k.Value, first)
			continue
		}
		seen[k.Value] = k.Line
		do(k, v)
	}
}

// follow returns what an alias stands for.
func follow(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// readBase reads what the runs share.
func (f *file) readBase(parts map[string]*yaml.Node) {
	if n := parts["base"]; n != nil {
		path := n.Value
		if n.Kind != yaml.ScalarNode || path == "" {
			f.fail(n, "base: expected the name of a configuration file")
			return
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(f.name), path)
		}
		if err := f.base.Read(path); err != nil {
			f.errs = append(f.errs, err)
		}
	}
	if n := parts["config"]; n != nil {
		if err := f.base.DecodeNode(n, f.name); err != nil {
			f.errs = append(f.errs, err)
		}
	}
}

// combination is what a run sets, and where the file says so.
type combination struct {
	name string // that it is given, or ""
	at   *yaml.Node
	set  []assignment
}

// list reads runs that are given one by one.
func (f *file) list(n *yaml.Node) (all []combination) {
	if n.Kind != yaml.SequenceNode {
		f.fail(n, "runs: expected a list of runs, each {key: value, …}")
		return nil
	}
	for i, item := range n.Content {
		item = follow(item)
		c := combination{at: item}
		f.each(item, fmt.Sprintf("runs: run %d", i+1), func(k, v *yaml.Node) {
			if k.Value != "name" {
				c.set = append(c.set, f.flatten("", k, v)...)
				return
			}
			c.name = v.Value
			if v.Kind != yaml.ScalarNode || clean(c.name) != c.name || c.name == "" || slices.Contains(reserved, c.name) {
				f.fail(v, "name: %q, expected letters, digits and any of . _ = + -, none of which begins it but letters and digits, and not %s",
					c.name, strings.Join(reserved, " or "))
			}
		})
		all = append(all, c)
	}
	return all
}

// flatten reads a value for a key, or values for the keys of a section.
func (f *file) flatten(prefix string, k, v *yaml.Node) (all []assignment) {
	path, section, err := f.keys.find(prefix, k.Value, v.Kind == yaml.MappingNode)
	if err != nil {
		f.fail(k, "%v", err)
		return nil
	}
	if !section {
		return []assignment{{path, v}}
	}
	f.each(v, path, func(k, v *yaml.Node) { all = append(all, f.flatten(path+".", k, v)...) })
	return all
}
