package weights

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strings"
)

// reduce stands for Python's f(*args) where f is one of the few functions that
// state dicts need; anything else becomes a foreign object, uncalled.
func (u *unpickler) reduce(f, args any) any {
	var items []any
	if l, ok := args.(*list); ok {
		items = l.items
	}
	g, ok := f.(*global)
	if !ok {
		return u.foreign(f, items)
	}
	switch g.module {
	case "collections":
		if d := u.orderedDict(g.name, items); d != nil {
			return d
		}
	case "torch":
		if g.name == "Size" && len(items) == 1 {
			return items[0]
		}
	case "torch.nn.parameter", "torch.nn":
		if t, ok := arg[*tensor](items, 0); ok && (g.name == "Parameter" || g.name == "Buffer") {
			return t
		}
	case "copyreg", "copy_reg":
		// How protocols below 2 spell an object: class, base class, base value.
		if class, ok := arg[*global](items, 0); ok && g.name == "_reconstructor" {
			return u.foreign(class, nil)
		}
	case "_codecs":
		// How protocol 2 spells bytes: the text in latin-1.
		if s, ok := arg[string](items, 0); ok && g.name == "encode" {
			return s
		}
	case "torch._tensor":
		// Subclasses of Tensor, and tensors with attributes of their own.
		if inner, ok := arg[*list](items, 2); ok && strings.HasPrefix(g.name, "_rebuild_from_type") {
			return u.reduceInner(items[0], inner)
		}
	case "torch._utils":
		if strings.HasPrefix(g.name, "_rebuild") {
			return u.rebuild(g, items)
		}
	}
	return u.foreign(g, items)
}

// reduceInner calls the function wrapped by _rebuild_from_type. Its argument
// must not be that function again, or hostile nesting would recurse.
func (u *unpickler) reduceInner(f any, args *list) any {
	g, ok := f.(*global)
	if !ok || g.module != "torch._utils" || !strings.HasPrefix(g.name, "_rebuild") {
		return u.foreign(f, args.items)
	}
	return u.rebuild(g, args.items)
}

// orderedDict makes a dict of the pairs that Python 2 passed to OrderedDict, or
// returns nil if the class is no dict.
func (u *unpickler) orderedDict(name string, args []any) *dict {
	var pairs any
	switch {
	case name == "OrderedDict" && len(args) == 1, name == "defaultdict" && len(args) == 2:
		pairs = args[len(args)-1]
	case name == "OrderedDict", name == "defaultdict", name == "Counter":
		u.spend(24)
		return &dict{}
	default:
		return nil
	}
	if d, ok := pairs.(*dict); ok {
		return d
	}
	l, ok := pairs.(*list)
	if !ok {
		return nil
	}
	d := &dict{}
	for _, it := range l.items {
		kv, ok := it.(*list)
		if !ok || len(kv.items) != 2 {
			u.fail("%s of something that is no pair", name)
		}
		d.pairs = grow(u, d.pairs, pair{kv.items[0], kv.items[1]})
	}
	return d
}

// arg returns the i-th argument if it is there and has type T.
func arg[T any](items []any, i int) (v T, ok bool) {
	if i >= len(items) {
		return v, false
	}
	v, ok = items[i].(T)
	return v, ok
}

// rebuild stands for one of torch._utils' functions that make a tensor.
func (u *unpickler) rebuild(g *global, args []any) any {
	u.spend(512)
	switch g.name {
	case "_rebuild_tensor", "_rebuild_tensor_v2":
		return u.rebuildTensor(g, args, false)
	case "_rebuild_tensor_v3":
		return u.rebuildTensor(g, args, true)
	case "_rebuild_parameter", "_rebuild_parameter_with_state":
		if t, ok := arg[*tensor](args, 0); ok {
			return t
		}
		u.fail("%s of something that is no tensor", g)
	case "_rebuild_device_tensor_from_cpu_tensor":
		// The copy is cast to the dtype of args[1], which no known writer changes.
		if t, ok := arg[*tensor](args, 0); ok {
			return t
		}
	case "_rebuild_sparse_tensor":
		return &tensor{foreign: "a sparse tensor"}
	case "_rebuild_nested_tensor":
		return &tensor{foreign: "a nested tensor"}
	case "_rebuild_qtensor":
		return &tensor{foreign: "a quantized tensor"}
	case "_rebuild_meta_tensor_no_storage":
		return &tensor{foreign: "a meta tensor, which has no data"}
	}
	return &tensor{foreign: "a tensor made by " + g.String()}
}

// rebuildTensor makes a view of a storage: (storage, offset, size, stride,
// requires_grad, backward_hooks, [dtype,] [metadata]).
func (u *unpickler) rebuildTensor(g *global, args []any, hasDType bool) *tensor {
	t, err := newView(args)
	if err != nil {
		u.fail("%s: %w", g, err)
	}
	rest := 6
	if hasDType {
		rest = 7
		d, ok := arg[*global](args, 6)
		if !ok || d.module != "torch" {
			u.fail("%s: no dtype", g)
		}
		if t.dtype, err = ParseDType(d.name); err != nil {
			return &tensor{foreign: "a tensor of dtype " + d.name}
		}
	}
	if t.dtype == Invalid {
		return &tensor{foreign: "a tensor of a quantized or unknown type"}
	}
	if meta, ok := arg[*dict](args, rest); ok {
		t.conj, _ = get(meta.pairs, "conj").(bool)
		t.neg, _ = get(meta.pairs, "neg").(bool)
	}
	if t.storage.key == "" {
		return &tensor{foreign: "a tensor without data"}
	}
	if err := t.check(); err != nil {
		u.fail("%s: %w", g, err)
	}
	return t
}

func newView(args []any) (*tensor, error) {
	s, ok := arg[*storage](args, 0)
	if !ok {
		return nil, errors.New("no storage")
	}
	offset, ok := arg[int64](args, 1)
	if !ok || offset < 0 {
		return nil, errors.New("no storage offset")
	}
	shape, err := dims(args, 2)
	if err != nil {
		return nil, fmt.Errorf("size: %w", err)
	}
	stride, err := dims(args, 3)
	if err != nil {
		return nil, fmt.Errorf("stride: %w", err)
	}
	if len(shape) != len(stride) {
		return nil, fmt.Errorf("%d sizes but %d strides", len(shape), len(stride))
	}
	return &tensor{dtype: s.dtype, shape: shape, stride: stride, offset: offset, storage: s}, nil
}

// dims reads a tuple of at most maxDims non-negative integers.
func dims(args []any, i int) ([]int64, error) {
	l, ok := arg[*list](args, i)
	if !ok {
		return nil, errors.New("missing")
	}
	if len(l.items) > maxDims {
		return nil, fmt.Errorf("%d dimensions, more than %d", len(l.items), maxDims)
	}
	out := make([]int64, len(l.items))
	for i, v := range l.items {
		n, ok := v.(int64)
		if !ok || n < 0 {
			return nil, fmt.Errorf("found %s where a size belongs", describe(v))
		}
		out[i] = n
	}
	return out, nil
}

// check reports a view that reaches beyond its storage.
func (t *tensor) check() error {
	info := Info{DType: t.dtype, Shape: t.shape}
	if err := info.check(); err != nil {
		return err
	}
	have := t.storage.numel * int64(t.storage.size) / int64(t.dtype.Size())
	last := uint64(t.offset)
	for i, n := range t.shape {
		if n == 0 {
			return nil
		}
		hi, lo := bits.Mul64(uint64(n-1), uint64(t.stride[i]))
		sum, carry := bits.Add64(last, lo, 0)
		if hi != 0 || carry != 0 {
			return fmt.Errorf("size %v with stride %v overflows", t.shape, t.stride)
		}
		last = sum
	}
	if last >= uint64(have) {
		return fmt.Errorf("size %v with stride %v at %d reaches element %d of a storage of %d",
			t.shape, t.stride, t.offset, last, have)
	}
	return nil
}

// storages resolves the persistent ids of a file: a tuple ("storage", class,
// key, location, numel) and in legacy files a view (key, offset, numel) after it.
type storages struct {
	byKey  map[string]*storage
	legacy bool // the file may also name the source code of pickled modules
}

func (s *storages) load(id any) (any, error) {
	l, ok := id.(*list)
	if !ok {
		return nil, fmt.Errorf("persistent id is %s, not a tuple", describe(id))
	}
	kind, _ := arg[string](l.items, 0)
	if kind == "module" && s.legacy && len(l.items) > 1 {
		return l.items[1], nil
	}
	if kind != "storage" {
		return nil, fmt.Errorf("persistent id of kind %q, not a storage", kind)
	}
	class, ok1 := arg[*global](l.items, 1)
	key, ok2 := arg[string](l.items, 2)
	location, ok3 := arg[string](l.items, 3)
	numel, ok4 := arg[int64](l.items, 4)
	if !ok1 || !ok2 || !ok3 || !ok4 || key == "" || numel < 0 {
		return nil, errors.New("malformed storage id")
	}
	st := &storage{key: key, numel: numel}
	st.setClass(class)
	if st.size > 0 && numel > math.MaxInt64/int64(st.size) {
		return nil, fmt.Errorf("storage %q: %d elements overflow", key, numel)
	}
	if location == "meta" {
		st.key = ""
		return st, nil
	}
	if old := s.byKey[key]; old != nil {
		if *old != *st {
			return nil, fmt.Errorf("storage %q declared twice, as %v[%d] and %v[%d]", key, old.dtype, old.numel, st.dtype, st.numel)
		}
		st = old
	} else {
		s.byKey[key] = st
	}
	view, ok := arg[*list](l.items, 5)
	if !ok {
		return st, nil
	}
	offset, ok1 := arg[int64](view.items, 1)
	size, ok2 := arg[int64](view.items, 2)
	if !ok1 || !ok2 || offset < 0 || size < 0 || offset > numel || size > numel-offset {
		return nil, fmt.Errorf("malformed view of storage %q", key)
	}
	part := *st
	part.numel = size
	part.start = offset * int64(st.size)
	return &part, nil
}

// setClass sets the dtype that a storage class implies; Invalid for quantized types.
func (s *storage) setClass(class *global) {
	if strings.HasSuffix(class.name, "UntypedStorage") {
		s.dtype, s.size = U8, 1
		return
	}
	for d := Invalid + 1; d < numDTypes; d++ {
		if dtypes[d].class != "" && dtypes[d].class == class.name {
			s.dtype, s.size = d, d.Size()
			return
		}
	}
	switch class.name {
	case "QInt8Storage", "QUInt8Storage", "QUInt4x2Storage", "QUInt2x4Storage":
		s.size = 1
	case "QInt32Storage":
		s.size = 4
	}
}
