package vision

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/weights"
	"github.com/gojepa/gojepa/torch/weights/layout"
)

// Model is an encoder with trained weights, a thread of its own, and the preparation of images that it was trained with.
// Its methods may be called concurrently; they take turns.
type Model struct {
	Encoder   *Encoder
	Thread    *torch.Thread // on which the encoder is
	Size      int           // side of the square that images are resized and cropped to, in pixels
	Mean, Std []float64     // of each channel, of samples in [0, 1]
	BF16      bool          // matrix products in bfloat16; false after loading
}

// Load makes the encoder of a name with the weights of a file, on a device. An empty name is that of the file's metadata.
// The sizes are those of [LoadSpec]. The caller closes it.
func Load(name, file string, d torch.Device) (*Model, error) {
	return LoadSpec(Spec{Name: name}, file, torch.Options{Device: d})
}

// LoadSpec makes the encoder that spec names with the weights of a file, as [LoadFile] does by itself.
func LoadSpec(spec Spec, file string, o torch.Options) (*Model, error) {
	return LoadFile(file, LoadOptions{Spec: spec, Torch: o})
}

// LoadOptions say how a file becomes a model. The zero value takes all of what the file says.
type LoadOptions struct {
	Spec  Spec          // what it leaves at 0 is as the file says
	Torch torch.Options // the device, and the threads

	// Key is the path of the state dict in a file that holds several, such as "teacher"; without it, it is found.
	Key string

	// Names changes the file's keys before they are looked at.
	Names weights.Mapping

	// Layout says whose names the keys are: one of package layout's names, or "timm". Empty means that the keys tell.
	Layout string

	// DropHead leaves out the classifier that the file may have on top of the features.
	DropHead bool

	// Resample makes the position embeddings of a ViT those of the spec's image size, once and for all, so that training goes
	// on with them; otherwise they stay as in the file, and are resampled in each Forward.
	Resample bool

	// Lenient ignores missing and unexpected keys. What is missing has the initial values of a model drawn from seed 0.
	// Shapes must agree all the same.
	Lenient bool
}

// timmLayout is the name of the layout that needs no change.
const timmLayout = "timm"

// LoadFile makes an encoder with the weights of a file: safetensors, any file of torch.save, or an index of shards. A
// TorchScript module is one too: see [LoadTorchScript]. Keys of torchvision, Hugging Face's transformers, CLIP, DINO, DINOv2,
// DINOv3, I-JEPA and MAE are known: see package layout.
//
// What the spec leaves at 0 is as the file says, by the metadata that gojepa writes and by the shapes of its tensors, and
// otherwise the model's own. An image size that differs from the file's sets the size that images are resized to; position
// embeddings are then resampled, and so are the relative positions of a Swin whose windows it makes smaller or larger.
// Missing, unexpected and misshapen keys are reported together, by a *[torch.StateError]. The caller closes the model.
func LoadFile(file string, o LoadOptions) (*Model, error) {
	th, err := torch.Start(o.Torch)
	if err != nil {
		return nil, err
	}
	var l loaded
	if failed := th.Do(context.Background(), func(s *torch.Scope) { l, err = load(s, file, o) }); failed != nil {
		err = failed
	}
	if err != nil {
		th.Close()
		return nil, err
	}
	return &Model{Encoder: l.encoder, Thread: th, Size: l.size, Mean: l.mean, Std: l.std}, nil
}

// LoadEncoder is [LoadFile] on a thread that there is already, whose options o.Torch is not asked for.
func LoadEncoder(s *torch.Scope, file string, o LoadOptions) (*Encoder, error) {
	l, err := load(s, file, o)
	return l.encoder, err
}

// loaded is an encoder, and the preparation of images that it was trained with.
type loaded struct {
	encoder   *Encoder
	size      int
	mean, std []float64
}

// FileInfo says what a file of weights is of, as [LoadFile] would load it.
type FileInfo struct {
	Spec      Spec      // complete; of a TorchScript module its name, and what gojepa says about its images, if it does
	ImageSize int       // that the file's encoder was trained at, or the spec's; 0 if a module does not say
	Mean, Std []float64 // of each channel, of samples in [0, 1]; nil if the file does not say
}

// Inspect reads what a file is of without its weights.
func Inspect(file string, o LoadOptions) (info FileInfo, err error) {
	opened, err := weights.OpenOptions(file, weights.Options{Key: o.Key})
	if errors.Is(err, weights.ErrTorchScript) {
		return inspectScript(file, o)
	}
	if err != nil {
		return info, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	f, _, err := o.names(opened)
	if err != nil {
		return info, err
	}
	p, err := planLoad(o.Spec, f)
	if err != nil {
		return info, fmt.Errorf("%s: %w", file, err)
	}
	if o.DropHead {
		p.spec.NumClasses = 0
	}
	return FileInfo{Spec: p.spec, ImageSize: p.size, Mean: p.told.mean, Std: p.told.std}, nil
}

func load(s *torch.Scope, file string, o LoadOptions) (_ loaded, err error) {
	opened, err := weights.OpenOptions(file, weights.Options{Key: o.Key})
	if errors.Is(err, weights.ErrTorchScript) {
		return loadFileScript(s, file, o)
	}
	if err != nil {
		return loaded{}, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	f, l, err := o.names(opened)
	if err != nil {
		return loaded{}, err
	}
	p, err := planLoad(o.Spec, f)
	if err != nil {
		return loaded{}, fmt.Errorf("%s: %w", file, err)
	}
	if o.DropHead {
		p.spec.NumClasses, p.stored.NumClasses = 0, 0
	}
	e, err := p.fill(s, f, file, o.Lenient)
	if err == nil && o.Resample {
		e.resample(s, p.size)
	}
	if l != nil && err != nil {
		err = fmt.Errorf("%w (the file's keys are those of %s)", err, l.About)
	}
	return loaded{encoder: e, size: p.size, mean: p.mean, std: p.std}, err
}

// fill makes the encoder with the weights of f.
func (p plan) fill(s *torch.Scope, f *weights.File, file string, lenient bool) (*Encoder, error) {
	params := torch.NewBlankParams(torch.Float32)
	if lenient {
		params = torch.NewParams(0, torch.Float32)
	}
	e, err := p.variant.encoder(s, p.stored, params)
	if err != nil {
		return nil, err
	}
	filled := false
	defer func() {
		if !filled {
			e.Close()
		}
	}()
	if err := e.adaptTables(s, shapes(f), func() error {
		return e.Params().LoadFile(s, f, file, torch.LoadOptions{Lenient: lenient})
	}); err != nil {
		return nil, err
	}
	e.adaptChannels(s, p.spec.Channels)
	filled = true
	return e, nil
}

// names gives the tensors of f timm's names, and says whose they were if they were others.
func (o LoadOptions) names(f *weights.File) (*weights.File, *layout.Layout, error) {
	f, err := o.Names.Apply(f)
	if err != nil {
		return nil, nil, err
	}
	var l *layout.Layout
	switch o.Layout {
	case timmLayout:
	case "":
		l, _ = layout.Detect(f)
	default:
		if l, err = layout.Find(o.Layout); err != nil {
			return nil, nil, err
		}
	}
	if l != nil {
		if f, err = l.Apply(f); err != nil {
			return nil, nil, err
		}
	}
	if o.DropHead {
		f, err = weights.Mapping{Drop: heads}.Apply(f)
	}
	return f, l, err
}

// plan is what a file is to be loaded as.
type plan struct {
	variant   variant
	spec      Spec // complete
	stored    Spec // with the channels that the file's weights are for
	size      int  // of the images
	mean, std []float64
	told      told // by the file
}

func planLoad(spec Spec, f *weights.File) (plan, error) {
	t, err := parseMetadata(f.Metadata())
	if err != nil {
		return plan{}, err
	}
	p := plan{size: cmp.Or(spec.ImageSize, t.imageSize), mean: t.mean, std: t.std, told: t}
	if spec.Name == "" || spec.Name == t.spec.Name {
		spec = spec.fill(t.spec)
	}
	if spec.Name == "" {
		return p, errors.New("the file does not say which model it is of: name it")
	}
	if p.variant, err = find(spec.Name); err != nil {
		return p, err
	}
	seen := p.variant.infer(shapes(f))
	spec.ImageSize = cmp.Or(seen.ImageSize, spec.ImageSize)
	if p.spec, err = p.variant.complete(spec.fill(seen)); err != nil {
		return p, err
	}
	p.stored = p.spec
	p.stored.Channels = cmp.Or(seen.Channels, p.spec.Channels)
	p.size = cmp.Or(p.size, p.spec.ImageSize)
	if err := p.spec.accepts(int64(p.spec.Channels), int64(p.size), int64(p.size)); err != nil {
		return p, err
	}
	if p.mean == nil || p.std == nil {
		p.mean, p.std = DefaultMeanStd(p.spec.Channels)
	}
	return p, CheckMeanStd(p.mean, p.std, p.spec.Channels)
}

// shapes tells the shapes of f's tensors, nil for those that it lacks.
func shapes(f *weights.File) func(key string) []int64 {
	return func(key string) []int64 {
		info, _ := f.Lookup(key)
		return info.Shape
	}
}

// Close frees the weights and ends the thread.
func (m *Model) Close() {
	m.Encoder.Close()
	m.Thread.Close()
}
