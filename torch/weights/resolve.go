package weights

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// stateDictKeys are the names under which training scripts save a state dict
// beside other things. Averaged weights come before the raw ones they follow,
// as timm does it: they are what one evaluates.
var stateDictKeys = []string{
	"state_dict_ema", "model_ema", "ema_state_dict", "ema",
	"state_dict", "model_state_dict", "model_state", "model",
	"teacher", "target_encoder", "encoder", "student", "backbone",
	"net", "network", "module", "weights", "params",
}

// trainerKeys hold tensors that are not a model's.
var trainerKeys = []string{"optimizer", "optimizers", "optimizer_states", "optim", "opt", "optimizer_state_dict",
	"lr_scheduler", "lr_schedulers", "scheduler", "scaler", "amp", "loss", "criterion", "callbacks", "loops"}

const (
	maxDepth   = 32
	maxSkipped = 1000
)

// flat is a tensor under its full path in the file.
type flat struct {
	info Info
	view view
}

// tree flattens what a pickle holds.
type tree struct {
	budget  *budget
	tensors []leaf
	skipped []Skipped
}

type leaf struct {
	name string
	t    *tensor
}

// resolve finds the state dict in root and lists its tensors. locate says where
// the file keeps a storage.
func (f *File) resolve(root any, b *budget, o Options, locate func(*storage) (*blob, error)) error {
	tr := &tree{budget: b}
	if !o.Raw && o.Key == "" {
		sub, path, err := tr.find(root, nil)
		if err != nil {
			return err
		}
		root, f.key = sub, strings.Join(path, ".")
	}
	if _, ok := children(root); !ok && !isList(root) {
		return fmt.Errorf("%w: the file holds %s, not a dict of tensors", ErrNoStateDict, describe(root))
	}
	if err := tr.walk(root, "", 0); err != nil {
		return err
	}
	entries := make([]flat, 0, len(tr.tensors))
	for _, l := range tr.tensors {
		v, err := l.t.view(locate)
		if err != nil {
			return fmt.Errorf("key %q: %w", l.name, err)
		}
		entries = append(entries, flat{Info{l.name, l.t.dtype, l.t.shape}, v})
	}
	return f.pick(entries, tr.skipped, o)
}

// view locates the tensor in the file.
func (t *tensor) view(locate func(*storage) (*blob, error)) (view, error) {
	v := view{dtype: t.dtype, start: t.storage.start, offset: t.offset, shape: t.shape, stride: t.stride, conj: t.conj, neg: t.neg}
	if (Info{Shape: t.shape}).Len() == 0 {
		return v, nil // PyTorch may write no data for it
	}
	b, err := locate(t.storage)
	if err != nil {
		return v, err
	}
	s := t.storage
	if s.numel > b.size/int64(s.size) || s.start+s.numel*int64(s.size) > b.size {
		return v, fmt.Errorf("storage %q: %d elements of %d bytes, but the file has %d bytes", s.key, s.numel, s.size, b.size)
	}
	v.blob = b
	return v, nil
}

// children returns the named parts of v: of a dict, of a foreign object that
// behaves like one, or of a pickled module.
func children(v any) ([]pair, bool) {
	if o, ok := v.(*object); ok {
		if parts, ok := module(o); ok {
			return parts, true
		}
	}
	return mapping(v)
}

// module returns what Module.state_dict would: parameters, persistent buffers
// and submodules.
func module(o *object) ([]pair, bool) {
	state, ok := o.state.(*dict)
	if !ok {
		return nil, false
	}
	params, ok1 := mapping(get(state.pairs, "_parameters"))
	modules, ok2 := mapping(get(state.pairs, "_modules"))
	if !ok1 || !ok2 {
		return nil, false
	}
	buffers, _ := mapping(get(state.pairs, "_buffers"))
	transient := set(get(state.pairs, "_non_persistent_buffers_set"))
	parts := make([]pair, 0, len(params)+len(buffers)+len(modules))
	for _, p := range params {
		if p.value != nil {
			parts = append(parts, p)
		}
	}
	for _, p := range buffers {
		if name, _ := p.key.(string); p.value != nil && !transient[name] {
			parts = append(parts, p)
		}
	}
	for _, p := range modules {
		if p.value != nil {
			parts = append(parts, p)
		}
	}
	return parts, true
}

// set returns the strings of a pickled set.
func set(v any) map[string]bool {
	// Protocol 2 spells a set as a call of the class with a list.
	if o, ok := v.(*object); ok {
		if args, ok := o.state.(*list); ok && len(args.items) == 1 {
			v = args.items[0]
		}
	}
	l, ok := v.(*list)
	if !ok {
		return nil
	}
	names := make(map[string]bool, len(l.items))
	for _, item := range l.items {
		if s, ok := item.(string); ok {
			names[s] = true
		}
	}
	return names
}

func isList(v any) bool {
	_, ok := v.(*list)
	return ok
}

// find descends from v to the state dict, whose path it returns.
func (tr *tree) find(v any, path []string) (any, []string, error) {
	pairs, ok := children(v)
	if !ok {
		return nil, nil, fmt.Errorf("%w: the file holds %s, not a dict of tensors", ErrNoStateDict, describe(v))
	}
	if len(path) == 8 {
		return v, path, nil
	}
	var dicts []string // the keys of mappings with tensors, in order
	seen := make(map[string]bool)
	scalars := false
	for _, p := range pairs {
		if t, ok := p.value.(*tensor); ok {
			if len(t.shape) > 0 {
				return v, path, nil
			}
			scalars = true // such as a best accuracy
			continue
		}
		name, ok := p.key.(string)
		if !ok || seen[name] || slices.Contains(trainerKeys, name) {
			continue
		}
		seen[name] = true
		has, err := tr.hasTensors(p.value, 0)
		if err != nil {
			return nil, nil, err
		}
		if has {
			dicts = append(dicts, name)
		}
	}
	if o, ok := v.(*object); ok && len(dicts) > 0 {
		if _, ok := module(o); ok {
			return v, path, nil
		}
	}
	for _, key := range stateDictKeys {
		if slices.Contains(dicts, key) {
			return tr.find(get(pairs, key), append(path, key))
		}
	}
	switch {
	case len(dicts) == 1:
		return tr.find(get(pairs, dicts[0]), append(path, dicts[0]))
	case len(dicts) > 1:
		return nil, nil, fmt.Errorf("%w that is plainly the model's: choose one of %q as the key", ErrNoStateDict, limit(dicts))
	case scalars || len(pairs) == 0 && len(path) == 0:
		return v, path, nil
	}
	return nil, nil, fmt.Errorf("%w: no tensors under the keys %q", ErrNoStateDict, limit(names(pairs)))
}

// hasTensors reports whether v is a mapping with a tensor somewhere below.
func (tr *tree) hasTensors(v any, depth int) (bool, error) {
	pairs, ok := children(v)
	if !ok || depth > maxDepth {
		return false, nil
	}
	if err := tr.budget.spend(32*int64(len(pairs)) + 16); err != nil {
		return false, err
	}
	for _, p := range pairs {
		if _, ok := p.value.(*tensor); ok {
			return true, nil
		}
		if has, err := tr.hasTensors(p.value, depth+1); has || err != nil {
			return has, err
		}
	}
	return false, nil
}

// walk lists the tensors below v, whose path is name.
func (tr *tree) walk(v any, name string, depth int) error {
	if err := tr.budget.spend(int64(len(name)) + 64); err != nil {
		return err
	}
	if depth > maxDepth {
		return fmt.Errorf("key %q: nested more than %d deep", name, maxDepth)
	}
	if t, ok := v.(*tensor); ok && t.foreign == "" {
		if err := tr.budget.spend(400); err != nil {
			return err
		}
		tr.tensors = append(tr.tensors, leaf{name, t})
		return nil
	}
	if pairs, ok := children(v); ok {
		for _, p := range last(pairs) {
			key, ok := keyName(p.key)
			if !ok {
				key = "<" + describe(p.key) + ">"
			}
			if err := tr.walk(p.value, join(name, key), depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	before := len(tr.tensors)
	if l, ok := v.(*list); ok {
		skipped := len(tr.skipped)
		for i, item := range l.items {
			if err := tr.walk(item, join(name, strconv.Itoa(i)), depth+1); err != nil {
				return err
			}
		}
		tr.skipped = tr.skipped[:skipped]
	}
	if len(tr.tensors) == before && len(tr.skipped) < maxSkipped {
		tr.skipped = append(tr.skipped, Skipped{name, describe(v)})
	}
	return nil
}

// last drops the pairs whose key comes again later, as a dict does; the first
// keeps its place.
func last(pairs []pair) []pair {
	at := make(map[string]int, len(pairs))
	out := make([]pair, 0, len(pairs))
	for _, p := range pairs {
		key, ok := keyName(p.key)
		if i, again := at[key]; ok && again {
			out[i].value = p.value
			continue
		}
		if ok {
			at[key] = len(out)
		}
		out = append(out, p)
	}
	return out
}

// keyName returns a dict's key as a part of a tensor's name.
func keyName(key any) (string, bool) {
	switch k := key.(type) {
	case string:
		return k, true
	case int64:
		return strconv.FormatInt(k, 10), true
	}
	return "", false
}

func join(name, key string) string {
	if name == "" {
		return key
	}
	return name + "." + key
}

// names returns the keys of pairs, for messages.
func names(pairs []pair) []string {
	var out []string
	for _, p := range pairs[:min(len(pairs), 20)] {
		if k, ok := keyName(p.key); ok {
			out = append(out, k)
		}
	}
	return out
}

func limit(s []string) []string { return s[:min(len(s), 20)] }

// pick lists the entries that the options ask for, under the model's names.
func (f *File) pick(entries []flat, skipped []Skipped, o Options) error {
	if o.Key != "" {
		f.key = o.Key
		cut := func(name string) (string, bool) { return strings.CutPrefix(name, o.Key+".") }
		kept := make([]flat, 0, len(entries))
		for _, e := range entries {
			if name, ok := cut(e.info.Name); ok {
				e.info.Name = name
				kept = append(kept, e)
			}
		}
		if len(kept) == 0 {
			return fmt.Errorf("%w under the key %q: the tops are %q", ErrNoStateDict, o.Key, tops(entries))
		}
		entries = kept
		skipped = slices.DeleteFunc(skipped, func(s Skipped) bool { _, ok := cut(s.Name); return !ok })
		for i := range skipped {
			skipped[i].Name, _ = cut(skipped[i].Name)
		}
	}
	if !o.Raw {
		unwrap(entries)
	}
	f.skipped = skipped
	f.infos = make([]Info, 0, len(entries))
	f.views = make([]view, 0, len(entries))
	f.index = make(map[string]int, len(entries))
	for _, e := range entries {
		if err := f.add(e.info, e.view); err != nil {
			return err
		}
	}
	return nil
}

// tops returns the first parts of the names, for messages.
func tops(entries []flat) []string {
	var out []string
	for _, e := range entries {
		top, _, _ := strings.Cut(e.info.Name, ".")
		if len(out) < 20 && !slices.Contains(out, top) {
			out = append(out, top)
		}
	}
	return out
}

// unwrap takes off what DataParallel, DistributedDataParallel ("module." before
// every name) and torch.compile ("_orig_mod." anywhere) put into names.
func unwrap(entries []flat) {
	for i := range entries {
		entries[i].info.Name = strings.ReplaceAll(entries[i].info.Name, "_orig_mod.", "")
	}
	for len(entries) > 0 && !slices.ContainsFunc(entries, func(e flat) bool { return !strings.HasPrefix(e.info.Name, "module.") }) {
		for i := range entries {
			entries[i].info.Name = strings.TrimPrefix(entries[i].info.Name, "module.")
		}
	}
}
