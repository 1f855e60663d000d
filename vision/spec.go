package vision

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/gojepa/gojepa/internal/fields"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// Spec names an encoder. Sizes of 0 are the variant's own.
type Spec struct {
	Name       string  // timm's name, one of [Names]
	ImageSize  int     // side of the square images in pixels
	PatchSize  int     // side of a ViT's patches in pixels
	Channels   int     // of the images
	NumClasses int     // width of a linear head on the pooled features; 0 is no head
	Width      int     // of a ViT's tokens, or of a ResNet's first stage, which doubles from stage to stage
	Depth      int     // blocks of a ViT, or of each stage of a ResNet
	Heads      int     // of a ViT's attention; they divide its width
	DropPath   float64 // probability to drop the last residual branches, rising from 0 in the first; below 1
}

// variant is a row of the table of models.
type variant struct {
	name string
	size int // side of the images that it was made for
	family
}

// family is the architecture of a variant with its dimensions.
type family interface {
	// patch is the side of the patches that images are cut into, 0 if they are not.
	patch() int
	// dims are width, depth and heads: depth is 0 if it differs between stages, heads if there are none.
	dims() (width, depth, heads int)
	// build makes the parameters. The spec is complete and valid.
	build(s *torch.Scope, p torch.Path, spec Spec) network
	// infer reads sizes from the shapes of a state dict: 0 where they do not tell.
	infer(shape func(key string) []int64) Spec
}

// network is a built encoder. It maps x [N, C, H, W] to [N, dim].
type network interface {
	forward(s *torch.Scope, x torch.Tensor, p nn.Pass) torch.Tensor
	dim() int64
}

// variants is the table of models. Their dimensions are timm's.
var variants = []variant{
	{"vit_tiny_patch16_224", 224, vit{patchSize: 16, width: 192, depth: 12, heads: 3}},
	{"vit_small_patch32_224", 224, vit{patchSize: 32, width: 384, depth: 12, heads: 6}},
	{"vit_small_patch16_224", 224, vit{patchSize: 16, width: 384, depth: 12, heads: 6}},
	{"vit_small_patch8_224", 224, vit{patchSize: 8, width: 384, depth: 12, heads: 6}},
	{"vit_base_patch32_224", 224, vit{patchSize: 32, width: 768, depth: 12, heads: 12}},
	{"vit_base_patch16_224", 224, vit{patchSize: 16, width: 768, depth: 12, heads: 12}},
	{"vit_base_patch8_224", 224, vit{patchSize: 8, width: 768, depth: 12, heads: 12}},
	{"vit_large_patch32_224", 224, vit{patchSize: 32, width: 1024, depth: 24, heads: 16}},
	{"vit_large_patch16_224", 224, vit{patchSize: 16, width: 1024, depth: 24, heads: 16}},
	{"vit_large_patch14_224", 224, vit{patchSize: 14, width: 1024, depth: 24, heads: 16}},
	{"resnet18", 224, resnet{layers: [4]int{2, 2, 2, 2}, width: 64}},
	{"resnet34", 224, resnet{layers: [4]int{3, 4, 6, 3}, width: 64}},
	{"resnet50", 224, resnet{layers: [4]int{3, 4, 6, 3}, width: 64, bottleneck: true}},
	{"resnet101", 224, resnet{layers: [4]int{3, 4, 23, 3}, width: 64, bottleneck: true}},
	{"resnet18d", 224, resnet{layers: [4]int{2, 2, 2, 2}, width: 64, d: true}},
	{"resnet34d", 224, resnet{layers: [4]int{3, 4, 6, 3}, width: 64, d: true}},
	{"resnet50d", 224, resnet{layers: [4]int{3, 4, 6, 3}, width: 64, bottleneck: true, d: true}},
	{"resnet101d", 224, resnet{layers: [4]int{3, 4, 23, 3}, width: 64, bottleneck: true, d: true}},
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

// SizeStep is what the sides of views are multiples of: a ViT's patch size, and 1 for models that take any size. The
// error is that of [Spec.Validate].
func (s Spec) SizeStep() (int, error) {
	s, err := s.Complete()
	return max(1, s.PatchSize), err
}

func (v variant) complete(s Spec) (Spec, error) {
	if v.patch() == 0 && s.PatchSize != 0 {
		return s, fmt.Errorf("vision: model %s with patch size %d: expected 0, as it has no patches", s.Name, s.PatchSize)
	}
	if s.ImageSize == 0 {
		s.ImageSize = v.size
	}
	if s.PatchSize == 0 {
		s.PatchSize = v.patch()
	}
	if s.Channels == 0 {
		s.Channels = 3
	}
	width, depth, heads := v.dims()
	if heads == 0 && s.Heads != 0 {
		return s, fmt.Errorf("vision: model %s with %d heads: expected 0, as it has no attention", s.Name, s.Heads)
	}
	s.Width, s.Depth, s.Heads = cmp.Or(s.Width, width), cmp.Or(s.Depth, depth), cmp.Or(s.Heads, heads)
	for _, f := range []struct {
		what  string
		value int
	}{{"image size", s.ImageSize}, {"patch size", s.PatchSize}, {"channels", s.Channels}, {"num classes", s.NumClasses},
		{"width", s.Width}, {"depth", s.Depth}, {"heads", s.Heads}} {
		if f.value < 0 {
			return s, fmt.Errorf("vision: model %s with %s %d: expected 0 or more", s.Name, f.what, f.value)
		}
	}
	if s.PatchSize > 0 && s.ImageSize%s.PatchSize != 0 {
		return s, fmt.Errorf("vision: model %s with image size %d, which its patch size %d does not divide: try %d",
			s.Name, s.ImageSize, s.PatchSize, nearestMultiple(s.ImageSize, s.PatchSize))
	}
	if s.Heads > 0 && s.Width%s.Heads != 0 {
		return s, fmt.Errorf("vision: model %s with width %d, which %d heads do not divide: try %d",
			s.Name, s.Width, s.Heads, nearestMultiple(s.Width, s.Heads))
	}
	if !(s.DropPath >= 0 && s.DropPath < 1) {
		return s, fmt.Errorf("vision: model %s with drop path %g: expected 0 or more and less than 1", s.Name, s.DropPath)
	}
	return s, nil
}

func nearestMultiple(n, step int) int { return max(step, (n+step/2)/step*step) }
