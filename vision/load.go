package vision

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/weights"
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

// LoadSpec makes the encoder that spec names with the weights of a file: safetensors or any file of torch.save.
//
// What spec leaves at 0 is as the file says, by the metadata that gojepa writes and by the shapes of its tensors, and
// otherwise the model's own. An image size that differs from the file's sets the size that images are resized to; position
// embeddings are then resampled. Missing, unexpected and misshapen keys are reported together, by a *[torch.StateError].
// The caller closes the model.
func LoadSpec(spec Spec, file string, o torch.Options) (_ *Model, err error) {
	f, err := weights.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()

	p, err := planLoad(spec, f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	th, err := torch.Start(o)
	if err != nil {
		return nil, err
	}
	var e *Encoder
	failed := th.Do(context.Background(), func(s *torch.Scope) {
		if e, err = p.variant.encoder(s, p.spec, torch.NewBlankParams(torch.Float32)); err == nil {
			err = e.Params().LoadFile(s, f, file, torch.LoadOptions{})
		}
	})
	if err := errors.Join(failed, err); err != nil {
		if e != nil {
			e.Close()
		}
		th.Close()
		return nil, err
	}
	return &Model{Encoder: e, Thread: th, Size: p.size, Mean: p.mean, Std: p.std}, nil
}

// plan is what a file is to be loaded as.
type plan struct {
	variant   variant
	spec      Spec // complete
	size      int  // of the images
	mean, std []float64
}

func planLoad(spec Spec, f *weights.File) (plan, error) {
	t, err := parseMetadata(f.Metadata())
	if err != nil {
		return plan{}, err
	}
	p := plan{size: cmp.Or(spec.ImageSize, t.imageSize), mean: t.mean, std: t.std}
	if spec.Name == "" || spec.Name == t.spec.Name {
		spec = spec.fill(t.spec)
	}
	if spec.Name == "" {
		return p, errors.New("the file does not say which model it is of: name it")
	}
	if p.variant, err = find(spec.Name); err != nil {
		return p, err
	}
	seen := p.variant.infer(func(key string) []int64 {
		info, _ := f.Lookup(key)
		return info.Shape
	})
	spec.ImageSize = cmp.Or(seen.ImageSize, spec.ImageSize)
	if p.spec, err = p.variant.complete(spec.fill(seen)); err != nil {
		return p, err
	}
	p.size = cmp.Or(p.size, p.spec.ImageSize)
	if err := p.spec.accepts(int64(p.spec.Channels), int64(p.size), int64(p.size)); err != nil {
		return p, err
	}
	if p.mean == nil || p.std == nil {
		p.mean, p.std = DefaultMeanStd(p.spec.Channels)
	}
	return p, CheckMeanStd(p.mean, p.std, p.spec.Channels)
}

// Close frees the weights and ends the thread.
func (m *Model) Close() {
	m.Encoder.Close()
	m.Thread.Close()
}
