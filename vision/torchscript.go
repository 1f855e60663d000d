package vision

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// TorchScript is the model's name in the Spec of an encoder that is a TorchScript module.
const TorchScript = "torchscript"

// ScriptOptions say what a TorchScript module does not.
type ScriptOptions struct {
	Channels  int  // of the images; 0 is as the file says if gojepa wrote it, and 3 otherwise
	ImageSize int  // side of the images in pixels, at which the width of the result is found; 0 is as the file says, or 224
	Frozen    bool // its parameters are not trained: they are buffers
}

// LoadTorchScript makes an encoder of a module that torch.jit.save or [Encoder.SaveTorchScript] wrote, on s's device. The
// module's forward takes images [N, C, H, W] to embeddings [N, Dim], or to a tuple that begins with them. Its parameters,
// under the module's names, are the encoder's: an optimiser trains them, unless they are frozen.
//
// A module that was traced fits the image sizes that it was traced for; all else fails in Forward, with libtorch's message.
// There are embeddings and nothing else: Features, Tokens and Attention panic with a *[torch.Error], which Do returns.
// Loading runs what the file's author wrote, on libtorch's operations: load only files that you trust.
func LoadTorchScript(s *torch.Scope, path string, o ScriptOptions) (*Encoder, error) {
	e, _, err := loadScript(s, path, o)
	return e, err
}

// loadScript tells besides what the file says.
func loadScript(s *torch.Scope, path string, o ScriptOptions) (e *Encoder, t told, err error) {
	if o.Channels < 0 || o.ImageSize < 0 {
		return nil, t, fmt.Errorf("%s: images of %d channels and %d pixels: expected 0 or more", path, o.Channels, o.ImageSize)
	}
	script, about, err := s.LoadScript(path, o.Frozen)
	if err != nil {
		return nil, t, err
	}
	defer func() {
		if err != nil {
			script.Close()
		}
	}()
	if t, err = parseScript(path, about); err != nil {
		return nil, t, err
	}
	channels := cmp.Or(o.Channels, t.spec.Channels, len(t.mean), 3)
	size := cmp.Or(o.ImageSize, t.imageSize, 224)
	n := &scriptNet{script: script}
	if n.width, err = n.measure(s, channels, size); err != nil {
		return nil, t, fmt.Errorf("%s: %w", path, err)
	}
	spec := Spec{Name: TorchScript, Channels: channels, ImageSize: size}
	return &Encoder{spec: spec, params: script.Params(), net: n}, t, nil
}

// Scripted reports whether the encoder is a TorchScript module.
func (e *Encoder) Scripted() bool { return e.spec.Name == TorchScript }

// scriptNet is a module as a network.
type scriptNet struct {
	script *torch.Script
	width  int64
}

// measure finds the width of the result by running the module on two black images.
func (n *scriptNet) measure(s *torch.Scope, channels, size int) (width int64, err error) {
	var shape []int64
	err = s.Try(func(s *torch.Scope) {
		s.NoGrad(func() {
			x := s.Zeros(n.script.Params().DType(), 2, int64(channels), int64(size), int64(size))
			shape = n.script.Forward(s, x, false).Shape()
		})
	})
	if err != nil {
		return 0, fmt.Errorf("the module does not take images of %d channels and %d×%d pixels: %w", channels, size, size, err)
	}
	if len(shape) != 2 || shape[0] != 2 {
		return 0, fmt.Errorf("the module makes %v of 2 images: expected embeddings [2, D]", shape)
	}
	return shape[1], nil
}

func (n *scriptNet) forward(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor {
	return n.script.Forward(s, x, p.Train)
}

func (n *scriptNet) features(*torch.Scope, torch.Tensor, nn.Pass) []torch.Tensor {
	panic(embeddingsOnly("features"))
}

func (n *scriptNet) tokens(*torch.Scope, torch.Tensor, nn.Pass) torch.Tensor {
	panic(embeddingsOnly("tokens"))
}

func (n *scriptNet) prefix() int64 { return 0 }

func (n *scriptNet) dim() int64 { return n.width }

func embeddingsOnly(what string) *torch.Error {
	return &torch.Error{Op: TorchScript, Msg: what + " of a TorchScript module, which has embeddings only"}
}

// checkScript reports what a TorchScript module cannot be loaded with.
func (o LoadOptions) checkScript(file string) error {
	if n := o.Spec.Name; n != "" && n != TorchScript {
		return fmt.Errorf("%s: a TorchScript module, which is an encoder by itself: expected no model's name with it, and not %q", file, n)
	}
	if o.Key != "" || o.Layout != "" || o.Lenient || o.Names.Prefix != "" || len(o.Names.Drop)+len(o.Names.Rename) > 0 {
		return fmt.Errorf("%s: a TorchScript module: its keys cannot be chosen or renamed", file)
	}
	return nil
}

// inspectScript is [Inspect] for a TorchScript module.
func inspectScript(file string, o LoadOptions) (info FileInfo, err error) {
	if err := o.checkScript(file); err != nil {
		return info, err
	}
	about, err := torch.ReadScriptAbout(file)
	if err != nil {
		return info, err
	}
	t, err := parseScript(file, about)
	if err != nil {
		return info, err
	}
	spec := Spec{Name: TorchScript, Channels: cmp.Or(o.Spec.Channels, t.spec.Channels, len(t.mean)), ImageSize: cmp.Or(o.Spec.ImageSize, t.imageSize)}
	return FileInfo{Spec: spec, ImageSize: t.imageSize, Mean: t.mean, Std: t.std}, nil
}

// parseScript reads what gojepa says about a module, empty if it was written by others.
func parseScript(file, about string) (t told, err error) {
	if about == "" {
		return t, nil
	}
	var meta map[string]string
	if err := json.Unmarshal([]byte(about), &meta); err != nil {
		return t, fmt.Errorf("%s: what gojepa says about it: %w", file, err)
	}
	if t, err = parseMetadata(meta); err != nil {
		return t, fmt.Errorf("%s: %w", file, err)
	}
	return t, nil
}

// loadFileScript is [LoadFile] for a TorchScript module.
func loadFileScript(s *torch.Scope, file string, o LoadOptions) (loaded, error) {
	if err := o.checkScript(file); err != nil {
		return loaded{}, err
	}
	if o.DropHead {
		return loaded{}, fmt.Errorf("%s: a TorchScript module: its head cannot be dropped", file)
	}
	e, t, err := loadScript(s, file, ScriptOptions{Channels: o.Spec.Channels, ImageSize: o.Spec.ImageSize})
	if err != nil {
		return loaded{}, err
	}
	l := loaded{encoder: e, size: e.spec.ImageSize, mean: t.mean, std: t.std}
	if l.mean == nil || l.std == nil {
		l.mean, l.std = DefaultMeanStd(e.spec.Channels)
	}
	if err := CheckMeanStd(l.mean, l.std, e.spec.Channels); err != nil {
		e.Close()
		return loaded{}, fmt.Errorf("%s: %w", file, err)
	}
	return l, nil
}

// TraceOptions say what a TorchScript module is made for.
type TraceOptions struct {
	ImageSize int       // side of the images in pixels; 0 is the encoder's own
	Mean, Std []float64 // of each channel, of samples in [0, 1]; they go into what the file says
	Pixels    bool      // the module takes samples in [0, 1] and normalises them itself, by Mean and Std
}

// SaveTorchScript writes the encoder, as it is for evaluation, as a TorchScript module: torch.jit.load reads it in Python,
// [LoadTorchScript] here. It is made by libtorch's tracer out of Forward. Its state dict has the encoder's keys and values;
// it takes batches of any size and images of o.ImageSize, other sizes too where the encoder has no sizes in it, as
// convolutional ones have not.
//
// The file appears whole or not at all: not if the module, read again, does not do what the encoder does.
func (e *Encoder) SaveTorchScript(s *torch.Scope, path string, o TraceOptions) error {
	size := int64(cmp.Or(o.ImageSize, e.spec.ImageSize))
	channels := int64(e.spec.Channels)
	if err := e.spec.accepts(channels, size, size); err != nil {
		return err
	}
	mean, std := o.Mean, o.Std
	if mean == nil || std == nil {
		if o.Pixels {
			return errors.New("a module that normalises its images: expected a mean and a standard deviation")
		}
		mean, std = DefaultMeanStd(e.spec.Channels)
	}
	if err := CheckMeanStd(mean, std, e.spec.Channels); err != nil {
		return err
	}
	forward := func(s *torch.Scope, x torch.Tensor) torch.Tensor { return e.Forward(s, x, nn.Pass{}) }
	if o.Pixels {
		scale, shift := affine(mean, std)
		forward = func(s *torch.Scope, x torch.Tensor) torch.Tensor {
			x = x.Mul(s.FromFloat32(scale, channels, 1, 1)).Add(s.FromFloat32(shift, channels, 1, 1))
			return e.Forward(s, x, nn.Pass{})
		}
		mean, std = make([]float64, channels), make([]float64, channels)
		for i := range std {
			std[i] = 1
		}
	}
	about, err := json.Marshal(Metadata(e.spec, int(size), mean, std))
	if err != nil {
		return err
	}
	temporary := path + ".tmp"
	defer os.Remove(temporary) // is not there if all went well
	if script, ok := e.net.(*scriptNet); ok {
		if o.Pixels {
			return errors.New("the encoder is a TorchScript module already: it cannot be made to normalise its images")
		}
		if err := script.script.Save(temporary, string(about)); err != nil {
			return err
		}
		return os.Rename(temporary, path)
	}
	images := func(n int64) torch.Tensor {
		return s.Arange(n*channels*size*size).To(torch.Float32).MulScalar(0.7).Sin().Reshape(n, channels, size, size)
	}
	m := s.Trace(e.params, images(2), forward)
	defer m.Close()
	if err := m.Save(temporary, string(about)); err != nil {
		return err
	}
	if err := checkScript(s, temporary, images, forward); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// affine is what normalising is as a multiplication and an addition: x·scale + shift.
func affine(mean, std []float64) (scale, shift []float32) {
	for i, v := range std {
		scale = append(scale, float32(1/v))
		shift = append(shift, float32(-mean[i]/v))
	}
	return scale, shift
}

// checkScript holds a module to the function that it was traced from, at sizes of the batch that it was not traced with.
func checkScript(s *torch.Scope, path string, images func(n int64) torch.Tensor, forward func(s *torch.Scope, x torch.Tensor) torch.Tensor) error {
	m, _, err := s.LoadScript(path, true)
	if err != nil {
		return fmt.Errorf("reading what was written: %w", err)
	}
	defer m.Close()
	s.NoGrad(func() {
		for _, n := range []int64{1, 3} {
			s.Child(func(s *torch.Scope) torch.Tensor {
				x := images(n)
				want := forward(s, x)
				got := m.Forward(s, x, false)
				diff, scale := got.Sub(want).Abs().Max().Item(), want.Abs().Max().Item()
				if !(diff <= 1e-5*max(scale, 1)) {
					err = fmt.Errorf("the module's embeddings of %d images differ by %g from the encoder's, which are up to %g", n, diff, scale)
				}
				return torch.Tensor{}
			})
		}
	})
	return err
}
