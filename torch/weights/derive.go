package weights

import (
	"fmt"
	"slices"
	"strings"
)

// Recipe says how a tensor is made of those of a file.
type Recipe struct {
	Name  string
	Parts []Part  // one behind the other, along the first dimension
	Plus  *Part   // added to that, element by element
	Shape []int64 // what is made has this shape; nil is that of the parts
	DType DType   // of what has no parts, and is zeros of that shape
}

// Part is a tensor of a file, or what is cut out of it.
type Part struct {
	Name      string
	Dim       int   // the dimension that is cut
	From, To  int64 // the places that are taken; To = 0 is the end
	Transpose bool  // rows and columns of a matrix change places
}

// Derive returns the file that recipes make of f: the same data, read when they
// are asked for, under other names and in other shapes. It needs f open, and its
// Close closes nothing.
func (f *File) Derive(recipes []Recipe) (*File, error) {
	d := &File{
		name: f.name, format: f.format, key: f.key, r: f.r, size: f.size, skipped: f.skipped, metadata: f.metadata,
		infos: make([]Info, 0, len(recipes)), views: make([]view, 0, len(recipes)), index: make(map[string]int, len(recipes)),
	}
	for _, r := range recipes {
		info, v, err := f.make(r)
		if err == nil {
			err = d.add(info, v)
		} else {
			err = fmt.Errorf("key %q: %w", r.Name, err)
		}
		if err != nil {
			return nil, fmt.Errorf("weights: %s: %w", f.name, err)
		}
	}
	return d, nil
}

// make is the tensor of a recipe.
func (f *File) make(r Recipe) (Info, view, error) {
	info := Info{Name: r.Name, DType: r.DType, Shape: slices.Clone(r.Shape)}
	if len(r.Parts) == 0 {
		return info, view{in: f, dtype: r.DType, shape: info.Shape}, info.check()
	}
	shape, first, err := f.join(r.Parts)
	if err != nil {
		return info, view{}, err
	}
	if r.Plus != nil && (first.next != nil || first.plus != nil) {
		return info, view{}, fmt.Errorf("%s is put together already", r.Parts[0].Name)
	}
	made := Info{Name: r.Name, DType: first.dtype, Shape: shape}
	if r.Shape != nil {
		info.DType = first.dtype
		if err := info.check(); err != nil {
			return info, view{}, err
		}
		if info.Len() != made.Len() {
			return info, view{}, fmt.Errorf("%v%v of %v", info.DType, info.Shape, made)
		}
	} else {
		info = made
	}
	if r.Plus != nil {
		_, plus, err := f.join([]Part{*r.Plus})
		if err != nil {
			return info, view{}, err
		}
		if plus.dtype != first.dtype || plus.bytes() != info.Bytes() || !first.dtype.canHold() {
			return info, view{}, fmt.Errorf("%v%v cannot be added to %v", plus.dtype, plus.shape, info)
		}
		first.plus = plus
	}
	return info, *first, nil
}

// join lists the views of parts, linked, and the shape that they have together.
func (f *File) join(parts []Part) (shape []int64, first *view, err error) {
	last := &first
	for _, p := range parts {
		v, own, err := f.cut(p)
		if err != nil {
			return nil, nil, err
		}
		if len(parts) > 1 && v.next != nil {
			return nil, nil, fmt.Errorf("%s is put together already", p.Name)
		}
		if first == nil {
			shape = slices.Clone(own)
		} else {
			if v.dtype != first.dtype || len(own) == 0 || len(shape) != len(own) || !slices.Equal(shape[1:], own[1:]) {
				return nil, nil, fmt.Errorf("%s %v%v does not fit behind %v%v", p.Name, v.dtype, own, first.dtype, shape)
			}
			shape[0] += own[0]
		}
		*last = v
		last = &v.next
	}
	return shape, first, nil
}

// cut is the view of a part, and its shape.
func (f *File) cut(p Part) (*view, []int64, error) {
	i, ok := f.index[p.Name]
	if !ok {
		return nil, nil, fmt.Errorf("there is no %s", p.Name)
	}
	v := f.views[i]
	if p.From == 0 && p.To == 0 && !p.Transpose {
		return &v, f.infos[i].Shape, nil
	}
	if v.next != nil || v.plus != nil || !slices.Equal(v.shape, f.infos[i].Shape) {
		return nil, nil, fmt.Errorf("%s is put together already", p.Name)
	}
	v.shape, v.stride = slices.Clone(v.shape), slices.Clone(v.stride)
	if v.stride == nil {
		v.stride = strides(v.shape)
	}
	if p.From != 0 || p.To != 0 {
		if p.Dim >= len(v.shape) {
			return nil, nil, fmt.Errorf("%s %v has no dimension %d", p.Name, v.shape, p.Dim)
		}
		to := p.To
		if to == 0 {
			to = v.shape[p.Dim]
		}
		if p.From > to || to > v.shape[p.Dim] {
			return nil, nil, fmt.Errorf("%s %v: places %d to %d of dimension %d", p.Name, v.shape, p.From, to, p.Dim)
		}
		v.offset += p.From * v.stride[p.Dim]
		v.shape[p.Dim] = to - p.From
	}
	if p.Transpose {
		if len(v.shape) != 2 {
			return nil, nil, fmt.Errorf("%s %v is no matrix", p.Name, v.shape)
		}
		slices.Reverse(v.shape)
		slices.Reverse(v.stride)
	}
	return &v, v.shape, nil
}

// Mapping chooses tensors by their names, and gives them others. The zero value
// changes nothing.
type Mapping struct {
	// Prefix selects the names that begin with it, and is taken off them.
	Prefix string

	// Drop leaves out the names that begin with one of these.
	Drop []string

	// Rename puts another beginning in the place of one: {"fc.", "head."}. The
	// first that fits counts.
	Rename [][2]string
}

// Apply returns f under the names that m gives, as [File.Derive] does. Prefix
// comes first, Rename last. If nothing remains, or two tensors get one name, it
// is an error.
func (m Mapping) Apply(f *File) (*File, error) {
	if m.Prefix == "" && len(m.Drop) == 0 && len(m.Rename) == 0 {
		return f, nil
	}
	var recipes []Recipe
	for _, info := range f.infos {
		if name, ok := m.name(info.Name); ok {
			recipes = append(recipes, Recipe{Name: name, Parts: []Part{{Name: info.Name}}})
		}
	}
	if len(recipes) == 0 && len(f.infos) > 0 {
		return nil, fmt.Errorf("weights: %s: %w: no key is left of %d (prefix %q, without %q)", f.name, ErrNoStateDict, len(f.infos), m.Prefix, m.Drop)
	}
	return f.Derive(recipes)
}

func (m Mapping) name(name string) (string, bool) {
	name, ok := strings.CutPrefix(name, m.Prefix)
	if !ok || slices.ContainsFunc(m.Drop, func(p string) bool { return strings.HasPrefix(name, p) }) {
		return "", false
	}
	for _, r := range m.Rename {
		if rest, ok := strings.CutPrefix(name, r[0]); ok {
			return r[1] + rest, true
		}
	}
	return name, true
}

// ParseRename reads the pairs of [Mapping.Rename] from texts such as "fc.=head.".
func ParseRename(pairs []string) ([][2]string, error) {
	var out [][2]string
	for _, p := range pairs {
		old, to, ok := strings.Cut(p, "=")
		if !ok || old == "" {
			return nil, fmt.Errorf("%q: expected OLD=NEW", p)
		}
		out = append(out, [2]string{old, to})
	}
	return out, nil
}
