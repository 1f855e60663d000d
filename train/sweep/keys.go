package sweep

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gojepa/gojepa/internal/fields"
	"github.com/gojepa/gojepa/train/config"
)

// keys are the names that values of a configuration go by: their path, the name of their flag, and the last part of their path
// where no other has the same.
type keys struct {
	paths    []string
	flags    map[string]string   // path by flag
	last     map[string][]string // paths by last part
	sections map[string]bool
}

// owned are the keys that a sweep sets itself.
var owned = []string{"out", "resume"}

func keysOf() keys {
	k := keys{flags: map[string]string{}, last: map[string][]string{}, sections: map[string]bool{}}
	c := config.Default()
	for _, f := range fields.Of(&c) {
		k.paths = append(k.paths, f.Path)
		if f.Flag != "" {
			k.flags[f.Flag] = f.Path
		}
		l := lastPart(f.Path)
		k.last[l] = append(k.last[l], f.Path)
		for i, r := range f.Path {
			if r == '.' {
				k.sections[f.Path[:i]] = true
			}
		}
	}
	return k
}

func lastPart(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// find returns the path that a name stands for. Below a section, prefix is its path and a dot, and names are the rest of paths. A
// mapping belongs to a section.
func (k keys) find(prefix, name string, mapping bool) (path string, section bool, err error) {
	path = prefix + name
	if mapping && k.sections[path] {
		return path, true, nil
	}
	if !slices.Contains(k.paths, path) {
		if path, err = k.short(prefix, name); err != nil {
			return "", false, err
		}
	}
	if slices.Contains(owned, path) {
		return "", false, fmt.Errorf("%s: cannot be set for a run, the sweep does", path)
	}
	return path, false, nil
}

// short returns the path that a short name stands for.
func (k keys) short(prefix, name string) (string, error) {
	if prefix == "" {
		// A flag's name in YAML's spelling, too, whatever other keys end so.
		if path, ok := k.flags[strings.ReplaceAll(name, "_", "-")]; ok {
			return path, nil
		}
		switch same := k.last[name]; len(same) {
		case 0:
		case 1:
			return same[0], nil
		default:
			return "", fmt.Errorf("%s: expected one of %s", name, strings.Join(same, ", "))
		}
	}
	hint := ""
	if near := k.nearest(prefix + name); near != "" {
		hint = "; did you mean " + near + "?"
	}
	return "", fmt.Errorf("%s: no such key of a configuration%s", prefix+name, hint)
}

// nearest is the key that a wrong one is likely meant to be: one with the same last part, or a near one.
func (k keys) nearest(name string) string {
	if same := k.last[lastPart(name)]; len(same) == 1 {
		return same[0]
	}
	names := slices.Clone(k.paths)
	for flag := range k.flags {
		names = append(names, flag)
	}
	slices.Sort(names)
	return fields.Nearest(name, names)
}
