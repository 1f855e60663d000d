package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"maps"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/weights"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/train/runlog"
	"github.com/gojepa/gojepa/vision/images"
)

// A checkpoint is one safetensors file with checksums: the encoder's and the projector's state dicts under "encoder." and
// "projector.", those of captions under "text_encoder." and "text_projector.", the optimiser's state of each parameter under its name, as in "exp_avg.encoder.cls_token", the average of the
// encoder's weights under "ema.", and in the metadata how far the run is, its configuration, and what made it. Weights are
// those to use: where an optimiser trains others (optim.Optimiser.Eval), they are part of its state. Random streams are named
// by the step, so that no generator's state has to be in it.
const (
	encoderPrefix   = "encoder."
	projectorPrefix = "projector."

	textEncoderPrefix   = "text_encoder."
	textProjectorPrefix = "text_projector."

	progressKey = "gojepa.progress"
	configKey   = "gojepa.config"
	formatKey   = "gojepa.format"
	versionKey  = "gojepa.version" // of gojepa
	machineKey  = "gojepa.machine"
)

// checkpointFormat is the number of what is said above. It grows with each change that a program of before would misread.
const checkpointFormat = 1

// position is how far a run is.
type position struct {
	Step    int               `json:"step"`    // steps done
	Elapsed time.Duration     `json:"elapsed"` // training time of all sessions, in nanoseconds
	Data    fingerprint       `json:"data"`    // of the images, which steps count on
	Broken  map[string]string `json:"broken"`  // images that could not be read, and why

	BadTexts map[string]string `json:"bad_captions,omitempty"` // images whose captions could not be used, and why

	Evaluated int           `json:"evaluated"`       // the step after which features were last evaluated in training
	Backs     []runlog.Back `json:"backs,omitempty"` // times that the run diverged and stepped back
	Extra     bool          `json:"extra,omitempty"` // the checkpoint is of an interruption, and not one of those that are due

	Optimiser map[string]float64 `json:"optimiser"` // its counters
}

// seed names the random streams of a step, of which 0 is the first.
func (p position) seed(first uint64, step int) uint64 {
	for _, b := range p.Backs {
		if b.Step <= step {
			first = b.Seed
		}
	}
	return first
}

// machine is what bits of results depend on besides the configuration.
type machine struct {
	Libtorch string `json:"libtorch"`
	Device   string `json:"device"`
	Threads  int    `json:"threads"` // of the CPU
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
	all := []part{{encoderPrefix, t.model.Encoder.Params()}, {projectorPrefix, t.model.Projector.Params()}}
	if t.text != nil {
		all = append(all, part{textEncoderPrefix, t.text.Encoder.Params()}, part{textProjectorPrefix, t.text.Projector.Params()})
	}
	return all
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

// save writes a checkpoint, with what meta says besides. The file appears whole or not at all.
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
	meta[formatKey] = strconv.Itoa(checkpointFormat)
	if err := weights.SaveChecked(path, entries, meta); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// saved is a checkpoint that is open, and whole.
type saved struct {
	path string
	file *weights.File
	made config.Config // what it was made with
	at   position
	on   machine
}

// damagedError says that a checkpoint is not as it was written.
type damagedError struct{ err error }

func (e *damagedError) Error() string { return e.err.Error() }
func (e *damagedError) Unwrap() error { return e.err }

// openCheckpoint opens a checkpoint and compares all of it with its checksums. The error is a *damagedError where the file is
// at fault, and another checkpoint may do.
func openCheckpoint(path string) (_ *saved, err error) {
	c := &saved{path: path, made: config.Default()} // as config.Load begins
	if c.file, err = weights.OpenOptions(path, weights.Options{Raw: true}); err != nil {
		return nil, fmt.Errorf("checkpoint: %w", classified(err))
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("checkpoint: %w", err), c.file.Close())
		}
	}()
	meta := c.file.Metadata()
	// Those without a format are from before there were checksums.
	if err := c.file.Verify(); err != nil && !(errors.Is(err, weights.ErrUnchecked) && meta[formatKey] == "") {
		return nil, classified(err)
	}
	if n, err := strconv.Atoi(meta[formatKey]); meta[formatKey] != "" && (err != nil || n > checkpointFormat) {
		return nil, fmt.Errorf("%s has the format %s, made by gojepa %s; this gojepa, %s, knows formats up to %d: expected a newer gojepa",
			path, meta[formatKey], meta[versionKey], version(), checkpointFormat)
	}
	if err := c.made.Decode([]byte(meta[configKey]), path); err != nil {
		return nil, fmt.Errorf("its configuration: %w", err)
	}
	if err := json.Unmarshal([]byte(meta[progressKey]), &c.at); err != nil {
		return nil, fmt.Errorf("%s: metadata %s is %q, expected a step: %w", path, progressKey, meta[progressKey], err)
	}
	if text := meta[machineKey]; text != "" {
		if err := json.Unmarshal([]byte(text), &c.on); err != nil {
			return nil, fmt.Errorf("%s: metadata %s is %q, expected what it was trained on: %w", path, machineKey, text, err)
		}
	}
	if c.at.Broken == nil {
		c.at.Broken = map[string]string{}
	}
	return c, nil
}

// classified makes a *damagedError of what a file is to blame for: not what the system refuses, such as permission, but what
// it cannot read.
func classified(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) && errno != syscall.EIO || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return &damagedError{err}
}

// restore sets model and optimiser to the state of a checkpoint. The error lists keys that do not fit; the model is not to be
// used then.
func (t *trainer) restore(s *torch.Scope, c *saved) error {
	for _, p := range t.parts() {
		if err := p.params.LoadFile(s, c.file, c.path, torch.LoadOptions{Prefix: p.prefix}); err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
	}
	for _, m := range t.moments(s) {
		if err := torch.ReadTensor(s, c.file, m.key, m.value); err != nil {
			return fmt.Errorf("checkpoint %s: %w", c.path, err)
		}
	}
	if err := t.optimiser.SetCounters(c.at.Optimiser); err != nil {
		return fmt.Errorf("checkpoint %s: metadata %s: %w", c.path, progressKey, err)
	}
	return nil
}

// version is that of gojepa in this program: "(devel)" where it was not built from a version.
func version() string {
	const module = "github.com/gojepa/gojepa"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	for _, m := range append([]*debug.Module{&info.Main}, info.Deps...) {
		if m.Path == module && m.Version != "" {
			return m.Version
		}
	}
	return "(devel)"
}
