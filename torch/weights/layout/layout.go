// Package layout knows how other libraries name the tensors of an image encoder,
// and gives them timm's names, which are those of gojepa's encoders.
//
// A layout is recognised by its keys. Tensors are not only renamed: separate
// queries, keys and values are joined, a flat class token gets its dimensions.
// Nothing of that is read before it is asked for.
//
//	f, err := weights.Open("pytorch_model.bin")
//	...
//	if l, ok := layout.Detect(f); ok {
//		f, err = l.Apply(f)
//	}
package layout

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gojepa/gojepa/torch/weights"
)

// ErrUnsupported is wrapped by the error of [Layout.Apply] for an encoder of a
// kind that timm's names have no room for.
var ErrUnsupported = errors.New("an encoder that cannot be represented")

// Layout is a way to name tensors.
type Layout struct {
	// Name is what commands call it, such as "torchvision".
	Name string

	// About says in a few words whose names these are.
	About string

	// prefixes are what may stand before all keys of the encoder. What has not
	// the prefix that was found is left out, unless rules name it.
	prefixes []string

	// marks are keys, without the prefix, of which all are in the file, and
	// absent are some of which none is.
	marks, absent []string

	rules []rule

	// refuse, if set, says what it is that cannot be represented.
	refuse string

	// finish changes the recipes when all keys are known.
	finish func(f *weights.File, recipes []weights.Recipe) ([]weights.Recipe, error)
}

// rule says what becomes of the keys that match one of its patterns: a # stands
// for a number, a ? for one that is not kept, a * at the end for any rest. A
// pattern is compared with what follows the prefix, and after a / with the whole
// key. The first rule that fits counts.
type rule struct {
	to   string   // "" leaves them out
	from []string // joined in this order, along the first dimension
	form form
}

// form is what is done to a tensor besides.
type form int

const (
	asIs       form = iota
	batched         // a dimension of 1 is put in front
	token           // two are
	transposed      // a matrix is
)

// All lists the layouts, in the order in which they are looked for.
func All() []*Layout { return slices.Clone(layouts) }

// Names lists the layouts' names.
func Names() []string {
	names := make([]string, len(layouts))
	for i, l := range layouts {
		names[i] = l.Name
	}
	return names
}

// Find returns the layout of a name.
func Find(name string) (*Layout, error) {
	for _, l := range layouts {
		if l.Name == name {
			return l, nil
		}
	}
	return nil, fmt.Errorf("layout: unknown layout %q: expected one of %s", name, strings.Join(Names(), ", "))
}

// Detect recognises the layout of a file. It finds none where the keys are
// timm's, or nobody's that is known.
func Detect(f *weights.File) (*Layout, bool) {
	for _, l := range layouts {
		if _, ok := l.prefix(f); ok {
			return l, true
		}
	}
	return nil, false
}

// prefix is the one of l's prefixes under which f has l's marks.
func (l *Layout) prefix(f *weights.File) (string, bool) {
	has := func(key string) bool { _, ok := f.Lookup(key); return ok }
	for _, p := range l.prefixes {
		lacks := func(key string) bool { return !has(p + key) }
		if !slices.ContainsFunc(l.marks, lacks) && (len(l.absent) == 0 || !slices.ContainsFunc(l.absent, func(key string) bool { return has(p + key) })) {
			return p, true
		}
	}
	return "", false
}

// Apply returns f under timm's names. Keys that the layout does not know stay as
// they are, so that whoever loads them sees them; those that it knows to belong
// to something else, such as CLIP's text encoder, are left out. f must stay open.
func (l *Layout) Apply(f *weights.File) (*weights.File, error) {
	if l.refuse != "" {
		return nil, fmt.Errorf("layout %s: %w: %s", l.Name, ErrUnsupported, l.refuse)
	}
	prefix, ok := l.prefix(f)
	if !ok {
		return nil, fmt.Errorf("layout %s: the file lacks the keys %s", l.Name, strings.Join(l.marks, ", "))
	}
	recipes, err := l.recipes(f, prefix)
	if err == nil && l.finish != nil {
		recipes, err = l.finish(f, recipes)
	}
	if err != nil {
		return nil, fmt.Errorf("layout %s: %w", l.Name, err)
	}
	return f.Derive(recipes)
}

// parts are the keys that are to become one tensor.
type parts struct {
	rule rule
	keys []string // one for each pattern; "" where none was found yet
}

func (l *Layout) recipes(f *weights.File, prefix string) ([]weights.Recipe, error) {
	var order []string
	found := make(map[string]*parts)
	for _, info := range f.Tensors() {
		key := info.Name
		to, r, i, ok := l.match("/" + key)
		if rest, under := strings.CutPrefix(key, prefix); !ok && under {
			if to, r, i, ok = l.match(rest); !ok {
				to, r, ok = rest, rule{to: rest, from: []string{""}}, true
			}
		}
		if !ok || r.to == "" {
			continue
		}
		p := found[to]
		if p == nil {
			p = &parts{rule: r, keys: make([]string, len(r.from))}
			found[to] = p
			order = append(order, to)
		}
		if len(r.from) != len(p.keys) || p.keys[i] != "" {
			return nil, fmt.Errorf("two tensors would become %s: %s is one", to, key)
		}
		p.keys[i] = key
	}
	var recipes []weights.Recipe
	for _, to := range order {
		p := found[to]
		if slices.Contains(p.keys, "") { // whole tensors only; what is there shows under its own name
			for _, key := range p.keys {
				if key != "" {
					recipes = append(recipes, weights.Recipe{Name: key, Parts: []weights.Part{{Name: key}}})
				}
			}
			continue
		}
		recipes = append(recipes, p.recipe(f, to))
	}
	return recipes, nil
}

func (p *parts) recipe(f *weights.File, to string) weights.Recipe {
	r := weights.Recipe{Name: to}
	for _, key := range p.keys {
		r.Parts = append(r.Parts, weights.Part{Name: key, Transpose: p.rule.form == transposed})
	}
	if p.rule.form == batched || p.rule.form == token {
		info, _ := f.Lookup(p.keys[0])
		r.Shape = append([]int64{1, 1}[:p.rule.form], info.Shape...)
	}
	return r
}

// match is the first rule that fits a key, the name that it gives, and the
// pattern of it that fits.
func (l *Layout) match(key string) (to string, r rule, i int, ok bool) {
	for _, r := range l.rules {
		for i, pattern := range r.from {
			if caught, ok := match(pattern, key); ok {
				return expand(r.to, caught), r, i, true
			}
		}
	}
	return "", rule{}, 0, false
}

// match compares a key with a pattern, and returns what # and * stand for.
func match(pattern, key string) (caught []string, ok bool) {
	for pattern != "" {
		switch c := pattern[0]; c {
		case '*':
			return append(caught, key), true
		case '#', '?':
			n := 0
			for n < len(key) && key[n] >= '0' && key[n] <= '9' {
				n++
			}
			if n == 0 {
				return nil, false
			}
			if c == '#' {
				caught = append(caught, key[:n])
			}
			key = key[n:]
		default:
			if key == "" || key[0] != c {
				return nil, false
			}
			key = key[1:]
		}
		pattern = pattern[1:]
	}
	return caught, key == ""
}

// expand puts what was caught in the place of # and *.
func expand(to string, caught []string) string {
	for _, c := range caught {
		if i := strings.IndexAny(to, "#*"); i >= 0 {
			to = to[:i] + c + to[i+1:]
		}
	}
	return to
}
