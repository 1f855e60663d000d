package vision

import (
	"fmt"
	"strings"

	"github.com/gojepa/gojepa/torch"
)

// heads is what timm's classifiers begin with. (head.norm is part of a ConvNeXt's features.)
var heads = []string{"head.weight", "head.bias", "head.fc.", "fc.", "classifier."}

// isHead says whether a key belongs to a classifier on top of the features.
func isHead(key string) bool {
	for _, h := range heads {
		if strings.HasPrefix(key, h) {
			return true
		}
	}
	return false
}

// HeadOptions are those of [Encoder.WithHead].
type HeadOptions struct {
	Classes   int     // width of the head, 1 or more
	DropPath  float64 // as [Spec.DropPath]
	ImageSize int     // side of the images that it is trained with, in pixels; 0: the encoder's own
	Seed      uint64  // names the initial weights of the head
}

// WithHead makes a classifier out of e, of whose weights it has copies: features as before, and on them a new linear head
// with timm's name and timm's initial weights. A head that e has is left out. Position embeddings are resampled once and for
// all where the image size is another than e's. e stays as it is. The caller closes the classifier.
func (e *Encoder) WithHead(s *torch.Scope, o HeadOptions) (*Encoder, error) {
	if e.family == nil {
		return nil, fmt.Errorf("vision: a head on %s: its features end where its code does; expected an encoder with weights under timm's keys", e.spec.Name)
	}
	if o.Classes < 1 {
		return nil, fmt.Errorf("vision: a head of %d classes: expected 1 or more", o.Classes)
	}
	spec := e.spec
	spec.NumClasses, spec.DropPath = o.Classes, o.DropPath
	made, err := variant{spec.Name, spec.ImageSize, e.family}.encoder(s, spec, torch.NewParams(o.Seed, e.params.DType()))
	if err != nil {
		return nil, err
	}
	s.NoGrad(func() {
		for _, q := range made.params.All() {
			if from := e.params.Get(q.Name); from != nil && !isHead(q.Name) {
				s.Use(q.Value).Copy_(s.Use(from.Value))
			}
		}
	})
	if o.ImageSize > 0 && o.ImageSize != spec.ImageSize {
		made.resample(s, o.ImageSize)
	}
	return made, nil
}
