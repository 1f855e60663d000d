package main

import (
	"errors"
	"fmt"

	"github.com/gojepa/gojepa/torch/weights"
	"github.com/gojepa/gojepa/torch/weights/layout"
)

// source says what is read of a file, and under which names.
type source struct {
	Key    string   `yaml:"key" flag:"key" arg:"KEY" help:"path of the state dict in a file that holds several, such as teacher; without it, it is looked for" group:"Reading"`
	Raw    bool     `yaml:"raw" flag:"raw" help:"every tensor of the file, under its full path" group:"Reading"`
	Prefix string   `yaml:"prefix" flag:"prefix" arg:"TEXT" help:"only keys that begin so, without it" group:"Names"`
	Drop   []string `yaml:"drop" flag:"drop" arg:"TEXT,…" help:"leave out keys that begin so" group:"Names"`
	Rename []string `yaml:"rename" flag:"rename" arg:"OLD=NEW,…" help:"other beginnings of keys; the first that fits counts" group:"Names"`
	Layout string   `yaml:"layout" flag:"layout" arg:"NAME" help:"to timm's names, from those of auto (the keys tell), torchvision, clip, hf-clip, hf-vit, hf-dinov3, dinov3, dinov2, mae, dino, dino-resnet, cifar-resnet, openclip-timm or ijepa" group:"Names"`
}

// auto is the layout that the keys tell.
const auto = "auto"

func (s *source) check() error {
	var errs []error
	if s.Raw && s.Key != "" {
		errs = append(errs, errors.New("--raw and --key: expected one of them"))
	}
	if _, err := weights.ParseRename(s.Rename); err != nil {
		errs = append(errs, fmt.Errorf("--rename: %w", err))
	}
	if s.Layout != "" && s.Layout != auto {
		if _, err := layout.Find(s.Layout); err != nil {
			errs = append(errs, fmt.Errorf("--layout: %w", err))
		}
	}
	return errors.Join(errs...)
}

// file is an opened file, and what is to be seen of it.
type file struct {
	*weights.File
	path   string
	opened *weights.File
	layout *layout.Layout // that its names have, or had: nil if they are timm's or unknown
}

func (f file) Close() error { return f.opened.Close() }

func (s *source) open(path string) (f file, err error) {
	f.path = path
	if f.opened, err = weights.OpenOptions(path, weights.Options{Key: s.Key, Raw: s.Raw}); err != nil {
		return f, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.opened.Close())
		}
	}()
	m := weights.Mapping{Prefix: s.Prefix, Drop: s.Drop}
	if m.Rename, err = weights.ParseRename(s.Rename); err != nil {
		return f, err
	}
	if f.File, err = m.Apply(f.opened); err != nil {
		return f, err
	}
	switch s.Layout {
	case "", auto:
		f.layout, _ = layout.Detect(f.File)
	default:
		if f.layout, err = layout.Find(s.Layout); err != nil {
			return f, err
		}
	}
	if s.Layout != "" && f.layout != nil {
		f.File, err = f.layout.Apply(f.File)
	}
	return f, err
}

// size is a number of bytes for people.
func size(n int64) string {
	units := []string{"bytes", "kB", "MB", "GB", "TB"}
	v, u := float64(n), 0
	for v >= 1000 && u < len(units)-1 {
		v /= 1000
		u++
	}
	if u == 0 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.3g %s", v, units[u])
}

// tensors is a number of them.
func tensors(n int) string {
	if n == 1 {
		return "1 tensor"
	}
	return fmt.Sprintf("%d tensors", n)
}
