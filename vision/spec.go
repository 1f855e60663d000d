package vision

import (
	"cmp"
	"fmt"
	"math"
	"strings"

	"github.com/gojepa/gojepa/internal/fields"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// Spec names an encoder. Sizes of 0 are the variant's own.
type Spec struct {
	Name       string  // timm's name, one of [Names]
	ImageSize  int     // side of the square images in pixels
	PatchSize  int     // side of a ViT's or Swin's patches in pixels
	Channels   int     // of the images
	NumClasses int     // width of a linear head on the pooled features; 0 is no head
	Width      int     // of a ViT's tokens, or of the first stage of a ResNet, ConvNeXt, Swin or wren, which doubles from stage to stage
	Depth      int     // blocks of a ViT, or of each stage of a ResNet, ConvNeXt, Swin or wren
	Heads      int     // of a ViT's attention; they divide its width
	DropPath   float64 // probability to drop the last residual branches, rising from 0 in the first; below 1

	// What else a ViT may have. The zero values are the variant's own.
	Pool       string  // what an embedding is: "token", the class token, or "avg", the average of the patches' tokens
	Registers  int     // tokens that see all patches and belong to none (Darcet et al., arXiv 2309.16588)
	LayerScale float64 // initial scale of the residual branches, which is then learnt for each feature
	QKNorm     bool    // queries and keys are normalised, head by head
	SwiGLU     bool    // gated MLPs, of as many parameters (Shazeer, arXiv 2002.05202)
}

// The values of [Spec.Pool].
const (
	poolToken = "token"
	poolAvg   = "avg"
)

// variant is a row of the table of models.
type variant struct {
	name string
	size int // side of the images that it was made for
	family
}

// family is the architecture of a variant with its dimensions.
type family interface {
	// own are the sizes of the variant's own, and what a Spec may set besides image size, channels, classes and drop path.
	own() (Spec, settable)
	// check reports what the family cannot have of a spec that is complete and otherwise valid.
	check(spec Spec) error
	// build makes the parameters. The spec is complete and valid.
	build(s *torch.Scope, p torch.Path, spec Spec) network
	// inputConv is the key of the convolution that sees the images.
	inputConv() string
	// layerRules say in which layers parameters are.
	layerRules() []layerRule
	// infer reads sizes besides the number of channels from the shapes of a state dict: 0 where they do not tell.
	infer(shape func(key string) []int64) Spec
}

// settable says which fields of a Spec a family has a use for.
type settable struct {
	patches bool // PatchSize
	width   bool
	depth   bool
	tokens  bool // Heads, and all that only a ViT may have
}

// network is a built encoder.
type network interface {
	// forward maps x [N, C, H, W] to [N, dim].
	forward(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor
	// features maps x to maps [N, c, h, w], one for each level.
	features(s *torch.Scope, x torch.Tensor, p nn.Pass) []torch.Tensor
	// tokens maps x to [N, prefix + h·w, width], what is pooled.
	tokens(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor
	// prefix is the number of tokens that belong to no place of the image.
	prefix() int64
	dim() int64
}

// Names lists the models that there are.
func Names() []string {
	names := make([]string, len(variants))
	for i, v := range variants {
		names[i] = v.name
	}
	return names
}

func find(name string) (variant, error) {
	for _, v := range variants {
		if v.name == name {
			return v, nil
		}
	}
	hint := ""
	if near := fields.Nearest(name, Names()); near != "" {
		hint = fmt.Sprintf(" (did you mean %s?)", near)
	}
	return variant{}, fmt.Errorf("vision: unknown model %q%s: expected one of %s", name, hint, strings.Join(Names(), ", "))
}

// Complete returns s with the variant's own sizes where s has 0. The error is that of [Spec.Validate].
func (s Spec) Complete() (Spec, error) {
	v, err := find(s.Name)
	if err != nil {
		return s, err
	}
	return v.complete(s)
}

// Validate reports an unknown model, with the nearest name, or the first size that the model cannot have.
func (s Spec) Validate() error {
	_, err := s.Complete()
	return err
}

// SizeStep is what the sides of views are multiples of: a ViT's or Swin's patch size, and 1 for models that take any size. The
// error is that of [Spec.Validate].
func (s Spec) SizeStep() (int, error) {
	s, err := s.Complete()
	return max(1, s.PatchSize), err
}

// infer reads the sizes that shapes of a state dict tell.
func (v variant) infer(shape func(key string) []int64) Spec {
	s := v.family.infer(shape)
	if w := shape(v.inputConv()); len(w) == 4 {
		s.Channels = int(w[1])
	}
	return s
}

func (v variant) complete(s Spec) (Spec, error) {
	own, can := v.own()
	if err := can.check(s); err != nil {
		return s, fmt.Errorf("vision: model %s with %w", s.Name, err)
	}
	s = s.fill(own)
	s.ImageSize, s.Channels = cmp.Or(s.ImageSize, v.size), cmp.Or(s.Channels, 3)
	err := s.check()
	if err == nil {
		err = v.check(s)
	}
	if err != nil {
		return s, fmt.Errorf("vision: model %s with %w", s.Name, err)
	}
	return s, nil
}

// check reports what a spec sets that the family has no use for.
func (c settable) check(s Spec) error {
	for _, f := range []struct {
		allowed, set bool
		what, why    string
	}{
		{c.patches, s.PatchSize != 0, fmt.Sprint("patch size ", s.PatchSize), "it has no patches"},
		{c.width, s.Width != 0, fmt.Sprint("width ", s.Width), "its stages are as wide as its name says"},
		{c.depth, s.Depth != 0, fmt.Sprint("depth ", s.Depth), "its stages are as deep as its name says"},
		{c.tokens, s.Heads != 0, fmt.Sprint(s.Heads, " heads"), "it is no ViT"},
		{c.tokens, s.Registers != 0, fmt.Sprint(s.Registers, " registers"), "it is no ViT"},
		{c.tokens, s.LayerScale != 0, fmt.Sprint("layer scale ", s.LayerScale), "it is no ViT"},
	} {
		if f.set && !f.allowed {
			return fmt.Errorf("%s: expected 0, as %s", f.what, f.why)
		}
	}
	if !c.tokens && (s.Pool != "" || s.QKNorm || s.SwiGLU) {
		return fmt.Errorf("pool, qk-norm or SwiGLU: it is no ViT")
	}
	return nil
}

// check reports the first value of a complete spec that no model can have.
func (s Spec) check() error {
	for _, f := range []struct {
		what  string
		value int
	}{{"image size", s.ImageSize}, {"patch size", s.PatchSize}, {"channels", s.Channels}, {"num classes", s.NumClasses},
		{"width", s.Width}, {"depth", s.Depth}, {"heads", s.Heads}, {"registers", s.Registers}} {
		if f.value < 0 {
			return fmt.Errorf("%s %d: expected 0 or more", f.what, f.value)
		}
	}
	if s.PatchSize > 0 && s.ImageSize%s.PatchSize != 0 {
		return fmt.Errorf("image size %d, which its patch size %d does not divide: try %d",
			s.ImageSize, s.PatchSize, nearestMultiple(s.ImageSize, s.PatchSize))
	}
	if s.Heads > 0 && s.Width%s.Heads != 0 {
		return fmt.Errorf("width %d, which %d heads do not divide: try %d", s.Width, s.Heads, nearestMultiple(s.Width, s.Heads))
	}
	if !(s.DropPath >= 0 && s.DropPath < 1) {
		return fmt.Errorf("drop path %g: expected 0 or more and less than 1", s.DropPath)
	}
	if !(s.LayerScale >= 0) || math.IsInf(s.LayerScale, 0) {
		return fmt.Errorf("layer scale %g: expected 0 or more", s.LayerScale)
	}
	if s.Pool != "" && s.Pool != poolToken && s.Pool != poolAvg {
		return fmt.Errorf("pool %q: expected %s or %s", s.Pool, poolToken, poolAvg)
	}
	return nil
}

func nearestMultiple(n, step int) int { return max(step, (n+step/2)/step*step) }
