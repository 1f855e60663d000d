package weights

import "fmt"

// What a pickle holds, as data. None is nil; booleans, int64, float64 and
// string stand for themselves (Python's bytes and str alike).

// opaque stands for a value that is stepped over, such as a long string.
type opaque string

// bigint is an integer of more than 8 bytes, little endian two's complement.
type bigint string

// global is a name that a pickle asks Python to import. It is never looked up.
type global struct{ module, name string }

func (g *global) String() string { return g.module + "." + g.name }

// list is a Python list, tuple, set or frozenset.
type list struct{ items []any }

type pair struct{ key, value any }

// dict is a Python dict or OrderedDict: pairs in insertion order, in which a
// key may come twice (the later counts).
type dict struct{ pairs []pair }

// object is an instance of a foreign class. Its code is unknown; what was
// pickled with it is kept, since a state dict may be inside.
type object struct {
	class string // "" if it was computed
	state any
	list
	dict
}

// storage is a run of elements that tensors view. An untyped storage counts as
// U8; its tensors bring their own dtype.
type storage struct {
	key   string
	dtype DType // Invalid for quantized elements
	size  int   // bytes per element, 0 if the class is unknown
	numel int64
	start int64 // first byte within the storage called key
}

// tensor is a strided view of a storage. Lengths count elements.
type tensor struct {
	dtype         DType
	shape, stride []int64
	offset        int64
	storage       *storage
	conj, neg     bool
	foreign       string // why it cannot be read, if it cannot
}

// describe names the kind of v for messages.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return "a boolean"
	case int64, bigint:
		return "an integer"
	case float64:
		return "a number"
	case string:
		return "a string"
	case *list:
		return "a list"
	case *dict:
		return "a dict"
	case *object:
		if v.class == "" {
			return "an object of an unknown class"
		}
		return "a " + v.class
	case *global:
		return "the name " + v.String()
	case *storage:
		return "a storage"
	case *tensor:
		if v.foreign != "" {
			return v.foreign
		}
		return "a tensor"
	case opaque:
		return string(v)
	}
	return fmt.Sprintf("a %T", v)
}

// mapping returns the pairs of v if v is a dict or behaves like one.
func mapping(v any) ([]pair, bool) {
	switch v := v.(type) {
	case *dict:
		return v.pairs, true
	case *object:
		return v.pairs, len(v.pairs) > 0
	}
	return nil, false
}

// get returns the value of a string key, nil if there is none.
func get(pairs []pair, key string) any {
	for i := len(pairs) - 1; i >= 0; i-- {
		if pairs[i].key == key {
			return pairs[i].value
		}
	}
	return nil
}
