package train

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"strconv"
	"time"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/weights"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/vision/images"
)

// A checkpoint is one safetensors file: the encoder's and the projector's state dicts under "encoder." and "projector.",
// the optimiser's state of each parameter under its name, as in "exp_avg.encoder.cls_token", the average of the encoder's weights under "ema.", and in the metadata how far the
// run is. Weights are those to use: where an optimiser trains others (optim.Optimiser.Eval), they are part of its state. Random streams are named by the step, so that no generator's state has to be in it.
const (
	encoderPrefix   = "encoder."
	projectorPrefix = "projector."
	progressKey     = "gojepa.progress"
	configKey       = "gojepa.config"
)

// position is how far a run is.
type position struct {
	Step    int               `json:"step"`    // steps done
	Elapsed time.Duration     `json:"elapsed"` // training time of all sessions, in nanoseconds
	Data    fingerprint       `json:"data"`    // of the images, which steps count on
	Broken  map[string]string `json:"broken"`  // images that could not be read, and why

	Optimiser map[string]float64 `json:"optimiser"` // its counters
}

// fingerprint tells one collection of images from another. Samples are drawn by their numbers, so that a run which went
// on with a file more or less would see other images than it would have.
type fingerprint struct {
	Images int    `json:"images"`
	Names  string `json:"names"` // a hash of all names in their order
}

func fingerprintOf(src images.Source) fingerprint {
	h := fnv.New64a()
	for i := range src.Len() {
		_, _ = io.WriteString(h, src.Name(i)+"\x00") // a hash takes everything
	}
	return fingerprint{src.Len(), strconv.FormatUint(h.Sum64(), 16)}
}

// parts are the state dicts of a checkpoint.
func (t *trainer) parts() []part {
	return []part{{encoderPrefix, t.model.Encoder.Params()}, {projectorPrefix, t.model.Projector.Params()}}
}

type part struct {
	prefix string
	params *torch.Params
}

// moment is a tensor of the state of optimiser or average, with its key in a checkpoint.
type moment struct {
	key   string
	value torch.Tensor
}

// moments are the state of optimiser and average, as views that can be written into.
func (t *trainer) moments(s *torch.Scope) (all []moment) {
	prefix := map[*torch.Param]string{}
	for _, p := range t.parts() {
		for _, q := range p.params.All() {
			prefix[q] = p.prefix
		}
	}
	slots := t.optimiser.State(s)
	if t.average != nil {
		slots = append(slots, t.average.State(s)...)
	}
	for _, m := range slots {
		all = append(all, moment{m.Name + "." + prefix[m.Param] + m.Param.Name, m.Value})
	}
	return all
}

// save writes a checkpoint, which says of its encoder what meta says. The file appears whole or not at all.
func (t *trainer) save(s *torch.Scope, path string, at position, config []byte, meta map[string]string) error {
	t.optimiser.Eval(s)
	defer t.optimiser.Train(s)
	at.Optimiser = t.optimiser.Counters()
	var entries []weights.Entry
	add := func(name string, v torch.Tensor) error {
		e, err := torch.NewEntry(s, name, v)
		entries = append(entries, e)
		return err
	}
	for _, p := range t.parts() {
		for _, q := range p.params.All() {
			if err := add(p.prefix+q.Name, q.Value); err != nil {
				return fmt.Errorf("checkpoint %s: %w", path, err)
			}
		}
	}
	for _, m := range t.moments(s) {
		if err := add(m.key, m.value); err != nil {
			return fmt.Errorf("checkpoint %s: %w", path, err)
		}
	}
	progress, err := json.Marshal(at)
	if err != nil {
		return fmt.Errorf("checkpoint %s: %w", path, err)
	}
	meta = maps.Clone(meta)
	meta[progressKey], meta[configKey] = string(progress), string(config)
	err = weights.SaveFile(path, entries, meta)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// load sets model and optimiser to the state of a checkpoint and returns how far it was. The error lists keys that do not
// fit; the model is not to be used then. check may refuse the configuration that the checkpoint was made with.
func (t *trainer) load(s *torch.Scope, path string, check func(config.Config) error) (at position, err error) {
	f, err := weights.OpenOptions(path, weights.Options{Raw: true})
	if err != nil {
		return at, fmt.Errorf("checkpoint: %w", err)
	}
	defer f.Close()
	made := config.Default() // as config.Load begins
	if err := made.Decode([]byte(f.Metadata()[configKey]), path); err != nil {
		return at, fmt.Errorf("checkpoint: its configuration: %w", err)
	}
	if err := check(made); err != nil {
		return at, err
	}
	if err := json.Unmarshal([]byte(f.Metadata()[progressKey]), &at); err != nil {
		return at, fmt.Errorf("checkpoint %s: metadata %s is %s, expected a step: %w", path, progressKey,
			strconv.Quote(f.Metadata()[progressKey]), err)
	}
	for _, p := range t.parts() {
		if err := p.params.LoadFile(s, f, path, torch.LoadOptions{Prefix: p.prefix}); err != nil {
			return at, fmt.Errorf("checkpoint: %w", err)
		}
	}
	for _, m := range t.moments(s) {
		if err := torch.ReadTensor(s, f, m.key, m.value); err != nil {
			return at, fmt.Errorf("checkpoint %s: %w", path, err)
		}
	}
	if err := t.optimiser.SetCounters(at.Optimiser); err != nil {
		return at, fmt.Errorf("checkpoint %s: metadata %s: %w", path, progressKey, err)
	}
	return at, nil
}
