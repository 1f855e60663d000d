// Package fields looks at a configuration struct as a list of named values that can be read from text, so that flags,
// YAML keys, help and error messages all come from the one struct.
//
// A field's tags say all about it:
//
//	yaml:"warmup_steps"    its key; nested structs make paths such as "optim.warmup_steps"
//	flag:"warmup-steps"    a short flag for it, beside the path; without one it is a detail
//	help:"..."             one sentence on what it does, with units and range
//	arg:"N"                what the value is called in help; by default after its type
//	alone:"auto"           the value that its flag has if it stands without one
//	enum:"fp32,bf16"       the values that it may have, of a string
//	group:"..."            the heading of a section: of a nested struct, or of a field beside them
//
// A field is a value if it is a bool, a number, a string, a time.Duration, a slice or array of those, or if it reads
// and writes itself as text (encoding.TextUnmarshaler and TextMarshaler); as YAML too, if it is a yaml.Unmarshaler and
// Marshaler. Any other struct is a section.
package fields

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Field is one value of a configuration struct.
type Field struct {
	Path  string   // "optim.warmup_steps"
	Flag  string   // "warmup-steps", or "" for a detail
	Help  string   // what it does
	Arg   string   // what the value is called in help; "" for a bool
	Alone string   // what the flag means without a value; "" if it needs one
	Enum  []string // the values that it may have, or nil for any
	Group string   // the heading that it stands under
	Tag   reflect.StructTag

	value reflect.Value
}

// Of lists the values of the struct that ptr points to, in their order. It panics if ptr is no pointer to a struct or
// a field is of a kind that cannot be read from text, which are mistakes in the program.
func Of(ptr any) []Field {
	v := reflect.ValueOf(ptr)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("fields: Of(%T): want a pointer to a struct", ptr))
	}
	return list(v.Elem(), "", "")
}

func list(v reflect.Value, prefix, group string) []Field {
	var all []Field
	for i := range v.NumField() {
		t := v.Type().Field(i)
		key, inline := key(t)
		if key == "" && !inline {
			continue
		}
		g := group
		if prefix == "" {
			g = t.Tag.Get("group")
		}
		path := prefix
		if !inline {
			path += key
		}
		if isSection(t.Type) {
			if !inline {
				path += "."
			}
			all = append(all, list(v.Field(i), path, g)...)
			continue
		}
		f := Field{
			Path: path, Flag: t.Tag.Get("flag"), Help: t.Tag.Get("help"), Arg: t.Tag.Get("arg"), Alone: t.Tag.Get("alone"),
			Group: g, Tag: t.Tag, value: v.Field(i),
		}
		if e := t.Tag.Get("enum"); e != "" {
			f.Enum = strings.Split(e, ",")
		}
		if f.Arg == "" {
			f.Arg = argument(t.Type, f.Enum)
		}
		all = append(all, f)
	}
	return all
}

// key returns the name of a struct field in YAML, "" if it has none, and whether its own fields stand in its place.
func key(t reflect.StructField) (name string, inline bool) {
	if !t.IsExported() {
		return "", false
	}
	name, options, _ := strings.Cut(t.Tag.Get("yaml"), ",")
	switch {
	case name == "-":
		return "", false
	case strings.Contains(options, "inline"):
		return "", true
	case name == "":
		return strings.ToLower(t.Name), false
	}
	return name, false
}

var (
	unmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	duration    = reflect.TypeFor[time.Duration]()
)

// isText says whether values of type t read themselves from text.
func isText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(unmarshaler) }

func isSection(t reflect.Type) bool { return t.Kind() == reflect.Struct && !isText(t) }

func isList(t reflect.Type) bool {
	return !isText(t) && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array)
}

// IsBool says whether the field's flag may stand without a value, which means true.
func (f Field) IsBool() bool { return f.value.Kind() == reflect.Bool && !isText(f.value.Type()) }

// Set reads the value from text. A list is separated by commas. The error says what the text is not; it names neither
// the field nor where the text comes from. After an error the value is as it was.
func (f Field) Set(text string) error {
	if f.Enum != nil && !slices.Contains(f.Enum, text) {
		return fmt.Errorf("%q is not one of %s", text, strings.Join(f.Enum, ", "))
	}
	if !isList(f.value.Type()) {
		return set(f.value, text)
	}
	var items []string
	if strings.TrimSpace(text) != "" {
		items = strings.Split(text, ",")
		for i := range items {
			items[i] = strings.TrimSpace(items[i])
		}
	}
	if err := f.setList(items); err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	return nil
}

func (f Field) setList(items []string) error {
	t := f.value.Type()
	var made reflect.Value
	if t.Kind() == reflect.Array {
		if len(items) != t.Len() {
			return fmt.Errorf("a list of %d values, expected %d", len(items), t.Len())
		}
		made = reflect.New(t).Elem()
	} else {
		made = reflect.MakeSlice(t, len(items), len(items))
	}
	for i, item := range items {
		if err := set(made.Index(i), item); err != nil {
			return err
		}
	}
	f.value.Set(made)
	return nil
}

// set reads a single value.
func set(v reflect.Value, text string) error {
	if isText(v.Type()) {
		made := reflect.New(v.Type())
		if err := made.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
			return err
		}
		v.Set(made.Elem())
		return nil
	}
	no := fmt.Errorf("%q is not %s", text, wanted(v.Type()))
	tooLarge := fmt.Errorf("%q is out of range", text)
	switch k := v.Kind(); {
	case v.Type() == duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return no
		}
		v.SetInt(int64(d))
	case k == reflect.Bool:
		if text != "true" && text != "false" {
			return no
		}
		v.SetBool(text == "true")
	case v.CanInt():
		n, err := ParseInt(text)
		if err != nil {
			return err
		}
		if v.OverflowInt(n) {
			return tooLarge
		}
		v.SetInt(n)
	case v.CanUint():
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			m, err := ParseInt(text)
			if err != nil {
				return err
			}
			if m < 0 {
				return tooLarge
			}
			n = uint64(m)
		}
		if v.OverflowUint(n) {
			return tooLarge
		}
		v.SetUint(n)
	case v.CanFloat():
		x, err := ParseFloat(text)
		if err != nil {
			return err
		}
		v.SetFloat(x)
	case k == reflect.String:
		v.SetString(text)
	default:
		panic(fmt.Sprintf("fields: %s cannot be read from text", v.Type()))
	}
	return nil
}

// ParseInt reads a whole number, also one written as 1e5.
func ParseInt(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil {
		return n, nil
	}
	x, err := ParseFloat(text)
	if err != nil || x != math.Trunc(x) {
		return 0, fmt.Errorf("%q is not a whole number", text)
	}
	if math.Abs(x) > 1<<53 {
		return 0, fmt.Errorf("%q is out of range", text)
	}
	return int64(x), nil
}

// ParseFloat reads a finite number in decimal notation.
func ParseFloat(text string) (float64, error) {
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) || strings.ContainsAny(text, "xX_") {
		return 0, fmt.Errorf("%q is not a number", text)
	}
	return x, nil
}

// String writes the value as Set reads it.
func (f Field) String() string {
	v := f.value
	if !isList(v.Type()) {
		return write(v)
	}
	items := make([]string, v.Len())
	for i := range items {
		items[i] = write(v.Index(i))
	}
	return strings.Join(items, ",")
}

func write(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case encoding.TextMarshaler:
		b, err := x.MarshalText()
		if err != nil {
			panic(fmt.Sprintf("fields: writing a %T: %v", x, err))
		}
		return string(b)
	case time.Duration:
		return x.String()
	}
	if v.CanFloat() {
		text := strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits())
		return strings.Replace(text, "e-0", "e-", 1) // 1e-8, as people write it
	}
	return fmt.Sprint(v.Interface())
}

// wanted describes in words what a value of type t is.
func wanted(t reflect.Type) string {
	switch k := t.Kind(); {
	case t == duration:
		return "a time such as 90s or 10m"
	case isText(t):
		return "a single value"
	case k == reflect.Bool:
		return "true or false"
	case k >= reflect.Int && k <= reflect.Uint64:
		return "a whole number"
	case k == reflect.Float32 || k == reflect.Float64:
		return "a number"
	}
	return "text"
}

// argument is what a value of type t is called in help.
func argument(t reflect.Type, enum []string) string {
	switch k := t.Kind(); {
	case enum != nil:
		return strings.Join(enum, "|")
	case t == duration:
		return "TIME"
	case isText(t):
		return "VALUE"
	case isList(t):
		item := argument(t.Elem(), nil)
		if k == reflect.Array {
			return strings.Repeat(item+",", t.Len()-1) + item
		}
		return item + "," + item + ",…"
	case k == reflect.Bool:
		return ""
	case k >= reflect.Int && k <= reflect.Uint64:
		return "N"
	case k == reflect.Float32 || k == reflect.Float64:
		return "X"
	}
	return "TEXT"
}
