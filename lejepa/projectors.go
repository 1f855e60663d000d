package lejepa

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/weights"
)

// metaWidths begins the metadata that tell the widths of the projector of a kind.
const metaWidths = "gojepa.projector."

// widths are what a projector is made from.
type widths struct {
	In     int64 `json:"in"`
	Hidden []int `json:"hidden"`
	Dim    int   `json:"dim"`
}

// SaveProjectors writes the projectors of several kinds of views, such as "image" and "text", into one safetensors file, as what they
// map to one space is compared there. Keys are those of torchvision.ops.MLP after the kind and a dot; metadata have the widths.
func SaveProjectors(s *torch.Scope, path string, kinds map[string]*Projector) error {
	var entries []weights.Entry
	meta := map[string]string{}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		p := kinds[kind]
		for _, q := range p.params.All() {
			e, err := torch.NewEntry(s, kind+"."+q.Name, q.Value)
			if err != nil {
				return fmt.Errorf("saving projectors: %w", err)
			}
			entries = append(entries, e)
		}
		text, err := json.Marshal(widths{p.in, append([]int{}, p.config.Hidden...), p.config.Dim})
		if err != nil {
			return fmt.Errorf("saving projectors: %w", err)
		}
		meta[metaWidths+kind] = string(text)
	}
	if err := weights.SaveFile(path, entries, meta); err != nil {
		return fmt.Errorf("saving projectors: %w", err)
	}
	return nil
}

// LoadProjectors reads what [SaveProjectors] wrote, by kind. They are float32, on the scope's device; the caller closes their parameters.
func LoadProjectors(s *torch.Scope, file string) (_ map[string]*Projector, err error) {
	f, err := weights.Open(file)
	if err != nil {
		return nil, fmt.Errorf("projectors: %w", err)
	}
	kinds := map[string]*Projector{}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			for _, p := range kinds {
				p.params.Close()
			}
		}
	}()
	for key, text := range f.Metadata() {
		kind, ok := strings.CutPrefix(key, metaWidths)
		if !ok {
			continue
		}
		var w widths
		err := json.Unmarshal([]byte(text), &w)
		c := ProjectorConfig{Hidden: w.Hidden, Dim: w.Dim}
		if err == nil {
			err = c.Validate()
		}
		if err == nil && w.In < 1 {
			err = fmt.Errorf("in: %d, expected 1 or more", w.In)
		}
		if err == nil {
			err = fits(f, kind, w)
		}
		if err != nil {
			return nil, fmt.Errorf("projectors: %s: metadata %s is %q: expected a projector's widths: %w", file, key, text, err)
		}
		p := newProjector(s, w.In, c, torch.NewBlankParams(torch.Float32))
		kinds[kind] = p
		if err := p.params.LoadFile(s, f, file, torch.LoadOptions{Prefix: kind + "."}); err != nil {
			return nil, fmt.Errorf("projectors: that of %s: %w", kind, err)
		}
	}
	if len(kinds) == 0 {
		return nil, fmt.Errorf("projectors: %s has none: expected metadata %s… in it", file, metaWidths)
	}
	return kinds, nil
}

// fits reports widths that are not those of the file's first layer, before there is memory for what may be far too large.
func fits(f *weights.File, kind string, w widths) error {
	out := w.Dim
	if len(w.Hidden) > 0 {
		out = w.Hidden[0]
	}
	key, want := kind+".0.weight", []int64{int64(out), w.In}
	if info, ok := f.Lookup(key); !ok || !slices.Equal(info.Shape, want) {
		return fmt.Errorf("%s is %v, and by them %v", key, info.Shape, want)
	}
	return nil
}
