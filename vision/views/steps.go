package views

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Step is one augmentation of a pipeline of one's own: the one field that is set. In YAML, such as
//
//	steps:
//	  - dihedral: {p: 1}
//	  - jitter: {p: 0.8, brightness: 0.4, contrast: 0.4}
//	  - blur: {p: 0.5, kernel: 7, sigma: [0.1, 2]}
type Step struct {
	Flip         *Chance         `yaml:"flip,omitempty"`
	VerticalFlip *Chance         `yaml:"vertical_flip,omitempty"`
	Dihedral     *Chance         `yaml:"dihedral,omitempty"`
	Rotation     *RotationConfig `yaml:"rotation,omitempty"`
	Jitter       *JitterConfig   `yaml:"jitter,omitempty"`
	Grayscale    *Chance         `yaml:"grayscale,omitempty"`
	Blur         *BlurConfig     `yaml:"blur,omitempty"`
	Noise        *NoiseConfig    `yaml:"noise,omitempty"`
	Solarize     *SolarizeConfig `yaml:"solarize,omitempty"`
	DropChannels *DropConfig     `yaml:"drop_channels,omitempty"`
}

// Chance is the probability of an augmentation that has nothing else to say.
type Chance struct {
	P float64 `yaml:"p"`
}

// Steps are augmentations in their order. Text is their YAML on one line.
type Steps []Step

// UnmarshalYAML reads a list of steps. Keys that do not exist are errors.
func (s *Steps) UnmarshalYAML(n *yaml.Node) error {
	// A node forgets that keys must be known, and text does not.
	text, err := yaml.Marshal(n)
	if err != nil {
		return err
	}
	return s.UnmarshalText(text)
}

// UnmarshalText reads a list of steps in YAML.
func (s *Steps) UnmarshalText(text []byte) error {
	*s = nil
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	var list []Step
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&list); err != nil {
		return fmt.Errorf("not a list of augmentations: %w", err)
	}
	if len(list) > 0 {
		*s = list
	}
	return nil
}

// MarshalYAML is the list.
func (s Steps) MarshalYAML() (any, error) { return []Step(s), nil }

// MarshalText writes what UnmarshalText reads.
func (s Steps) MarshalText() ([]byte, error) {
	if len(s) == 0 {
		return []byte("[]"), nil
	}
	var n yaml.Node
	if err := n.Encode([]Step(s)); err != nil {
		return nil, err
	}
	n.Style = yaml.FlowStyle
	text, err := yaml.Marshal(&n)
	return []byte(strings.Join(strings.Fields(string(text)), " ")), err
}

// set is how many fields are.
func (s Step) set() (n int) {
	v := reflect.ValueOf(s)
	for i := range v.NumField() {
		if !v.Field(i).IsNil() {
			n++
		}
	}
	return n
}

func (s Step) validate(c *checker, key string, smallest int) {
	c.check(s.set() == 1, key, "%d augmentations, expected one: each stands in a list entry of its own", s.set())
	for name, p := range map[string]*Chance{"flip": s.Flip, "vertical_flip": s.VerticalFlip, "dihedral": s.Dihedral, "grayscale": s.Grayscale} {
		if p != nil {
			c.prob(key+"."+name+".p", p.P)
		}
	}
	switch {
	case s.Rotation != nil:
		c.rotation(key+".rotation.", *s.Rotation)
	case s.Jitter != nil:
		c.jitter(key+".jitter.", *s.Jitter)
	case s.Blur != nil:
		c.blur(key+".blur.", *s.Blur, smallest)
	case s.Noise != nil:
		c.noise(key+".noise.", *s.Noise)
	case s.Solarize != nil:
		c.solarize(key+".solarize.", *s.Solarize)
	case s.DropChannels != nil:
		c.drop(key+".drop_channels.", *s.DropChannels)
	}
}

func (s Step) suits(c *checker, key string, k Kind) {
	switch {
	case s.Jitter != nil:
		c.suitsJitter(key+".jitter.", *s.Jitter, k)
	case s.Grayscale != nil:
		c.suitsGrey(key+".grayscale.p", s.Grayscale.P, k)
	case s.Solarize != nil:
		c.suitsSolarize(key+".solarize.", *s.Solarize, k)
	case s.DropChannels != nil:
		c.suitsDrop(key+".drop_channels.", *s.DropChannels, k)
	}
}

// config is a fixed order whose only augmentation is s.
func (s Step) config() (c Config) {
	switch {
	case s.Flip != nil:
		c.Flip = s.Flip.P
	case s.VerticalFlip != nil:
		c.VerticalFlip = s.VerticalFlip.P
	case s.Dihedral != nil:
		c.Dihedral = s.Dihedral.P
	case s.Rotation != nil:
		c.Rotation = *s.Rotation
	case s.Jitter != nil:
		c.Jitter = *s.Jitter
	case s.Grayscale != nil:
		c.Grayscale = s.Grayscale.P
	case s.Blur != nil:
		c.Blur = *s.Blur
	case s.Noise != nil:
		c.Noise = *s.Noise
	case s.Solarize != nil:
		c.Solarize = *s.Solarize
	case s.DropChannels != nil:
		c.DropChannels = *s.DropChannels
	}
	return c
}

// steps makes a view by augmentations of one's own order: each is the fixed order with that one alone.
func (w *worker) steps(r *rand.Rand, c canvas) {
	for i := range w.pipeline.steps {
		one := &w.pipeline.steps[i]
		p := one.drawAfterCrop(r, w)
		if p.flipH {
			c.turn(0, true)
		}
		if p.flipV {
			c.turn(2, true)
		}
		one.apply(c, p)
	}
}
