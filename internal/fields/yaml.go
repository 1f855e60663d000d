package fields

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// DecodeYAML sets the struct that ptr points to from a YAML document; keys that the document lacks leave their values
// as they are. The error joins every mistake of the document: keys that do not exist, with the nearest that does, keys
// given twice, and values of the wrong type. Each is one line that begins with name and the line's number.
func DecodeYAML(text []byte, name string, ptr any) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return fmt.Errorf("%s: %s", name, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if doc.Kind == 0 { // empty, or only comments
		return nil
	}
	return DecodeNode(doc.Content[0], name, ptr)
}

// DecodeNode is DecodeYAML for a part of a document: a mapping, which may be empty.
func DecodeNode(n *yaml.Node, name string, ptr any) error {
	d := decoder{name: name, values: map[string]Field{}, sections: map[string][]string{}}
	for _, f := range Of(ptr) {
		d.add(f)
	}
	d.section("", n)
	return errors.Join(d.errs...)
}

type decoder struct {
	name     string
	values   map[string]Field    // by path
	sections map[string][]string // by path, with a dot at its end or "" for the document: the keys
	paths    []string            // of all values
	errs     []error
}

// add enters a value, and the sections that it is in.
func (d *decoder) add(f Field) {
	d.values[f.Path] = f
	d.paths = append(d.paths, f.Path)
	for path := f.Path; ; {
		i := strings.LastIndexByte(path, '.') + 1
		prefix, k := path[:i], path[i:]

		if !slices.Contains(d.sections[prefix], k) {
			d.sections[prefix] = append(d.sections[prefix], k)
		}
		if prefix == "" {
			return
		}
		path = strings.TrimSuffix(prefix, ".")
	}
}

func (d *decoder) fail(n *yaml.Node, format string, args ...any) {
	d.errs = append(d.errs, fmt.Errorf("%s:%d: %s", d.name, n.Line, fmt.Sprintf(format, args...)))
}

// section reads a mapping whose keys have the given prefix.
func (d *decoder) section(prefix string, n *yaml.Node) {
	n = target(n)
	where := strings.TrimSuffix(prefix, ".")
	if where == "" {
		where = "the document"
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" { // a heading with nothing under it
		return
	}
	if n.Kind != yaml.MappingNode {
		d.fail(n, "%s: expected keys and values, found %s", where, kindOf(n))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		path := prefix + k.Value
		if first, twice := seen[k.Value]; twice {
			d.fail(k, "%s: given twice, first on line %d", path, first)
			continue
		}
		seen[k.Value] = k.Line
		switch f, ok := d.values[path]; {
		case ok:
			if err := f.SetNode(v); err != nil {
				d.fail(v, "%s: %v", path, err)
			}
		case d.sections[path+"."] != nil:
			d.section(path+".", v)
		default:
			d.fail(k, "%s: no such key%s", path, d.suggest(prefix, k.Value))
		}
	}
}

// suggest names the key that an unknown one is likely meant to be: one of the same name in another section, or else a
// near one of the same section, or of any.
func (d *decoder) suggest(prefix, k string) string {
	var near string
	for _, p := range d.paths {
		if p[strings.LastIndexByte(p, '.')+1:] == plain(k) {
			near = p
			break
		}
	}
	if near == "" {
		if near = Nearest(k, d.sections[prefix]); near != "" {
			near = prefix + near
		}
	}
	if near == "" {
		near = Nearest(k, d.paths)
	}
	if near == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", near)
}

var (
	nodeUnmarshaler = reflect.TypeFor[yaml.Unmarshaler]()
	nodeMarshaler   = reflect.TypeFor[yaml.Marshaler]()
)

// SetNode sets the value from a scalar, or from a sequence if it is a list or reads itself from text, perhaps as one,
// or from what a value that reads itself from YAML takes. Its errors are like those of [Field.Set].
func (f Field) SetNode(n *yaml.Node) error {
	n = target(n)
	if reflect.PointerTo(f.value.Type()).Implements(nodeUnmarshaler) && n.Kind != yaml.ScalarNode {
		made := reflect.New(f.value.Type())
		if err := n.Decode(made.Interface()); err != nil {
			return err
		}
		f.value.Set(made.Elem())
		return nil
	}
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return errors.New("it has no value")
		}
		return f.Set(n.Value)
	case yaml.SequenceNode:
		if !isList(f.value.Type()) && !isText(f.value.Type()) {
			return fmt.Errorf("expected %s, found a list", wanted(f.value.Type()))
		}
		of := f.value.Type()
		if isList(of) {
			of = of.Elem()
		}
		items := make([]string, len(n.Content))
		for i, item := range n.Content {
			item = target(item)
			if item.Kind != yaml.ScalarNode {
				return fmt.Errorf("value %d: expected %s, found %s", i+1, wanted(of), kindOf(item))
			}
			items[i] = item.Value
		}
		if isText(f.value.Type()) {
			return f.Set(strings.Join(items, ","))
		}
		return f.setList(items)
	}
	return fmt.Errorf("expected a value, found %s", kindOf(n))
}

// target follows an alias.
func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys and values"
	case yaml.SequenceNode:
		return "a list"
	}
	return fmt.Sprintf("%q", n.Value)
}

// EncodeYAML writes the struct that ptr points to as a YAML document that DecodeYAML reads, with each value's help as
// a comment.
func EncodeYAML(ptr any) ([]byte, error) {
	root := &yaml.Node{Kind: yaml.MappingNode}
	sections := map[string]*yaml.Node{"": root}
	for _, f := range Of(ptr) {
		i := strings.LastIndexByte(f.Path, '.') + 1
		parent := within(sections, f.Path[:i])
		k := &yaml.Node{Kind: yaml.ScalarNode, Value: f.Path[i:], HeadComment: comment(f)}
		parent.Content = append(parent.Content, k, f.encode())
	}
	return yaml.Marshal(root)
}

// within returns the mapping of a section, making those that lead to it.
func within(sections map[string]*yaml.Node, prefix string) *yaml.Node {
	if n := sections[prefix]; n != nil {
		return n
	}
	path := strings.TrimSuffix(prefix, ".")
	i := strings.LastIndexByte(path, '.') + 1
	n := &yaml.Node{Kind: yaml.MappingNode}
	sections[prefix] = n
	parent := within(sections, path[:i])
	parent.Content = append(parent.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: path[i:]}, n)
	return n
}

func comment(f Field) string {
	if f.Enum == nil {
		return f.Help
	}
	return strings.TrimSpace(f.Help + " (" + strings.Join(f.Enum, ", ") + ")")
}

// encode returns the value as a node: strings quoted where YAML would take them for something else, and what writes
// itself with commas as a list.
func (f Field) encode() *yaml.Node {
	list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	if f.value.Type().Implements(nodeMarshaler) {
		n := new(yaml.Node)
		if err := n.Encode(f.value.Interface()); err == nil {
			n.Style = yaml.FlowStyle
			return n
		}
	}
	switch t := f.value.Type(); {
	case isList(t):
		for i := range f.value.Len() {
			list.Content = append(list.Content, scalar(f.value.Index(i)))
		}
	case isText(t) && strings.Contains(f.String(), ","):
		for _, item := range strings.Split(f.String(), ",") {
			list.Content = append(list.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: item})
		}
	default:
		return scalar(f.value)
	}
	return list
}

func scalar(v reflect.Value) *yaml.Node {
	n := new(yaml.Node)
	if v.Kind() == reflect.String && !isText(v.Type()) {
		n.SetString(v.String())
		return n
	}
	n.Kind, n.Value = yaml.ScalarNode, write(v)
	return n
}
