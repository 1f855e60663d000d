package vision

import (
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/gojepa/gojepa/vision/views"
)

// The keys of a file's metadata. All values but the model's name are JSON.
const (
	metaModel = "gojepa.model"
	metaSpec  = "gojepa.spec"
	metaSize  = "gojepa.image_size"
	metaMean  = "gojepa.mean"
	metaStd   = "gojepa.std"
)

// Metadata is what a file of weights says about itself, so that [Load] knows the encoder and the images that it was trained
// on: the spec, the side of the images in pixels, and mean and standard deviation of each channel, of samples in [0, 1].
// The spec of an encoder that is not of this package may be zero; that of a TorchScript module counts as zero. It panics on numbers that are infinite or NaN.
func Metadata(spec Spec, imageSize int, mean, std []float64) map[string]string {
	m := map[string]string{}
	add := func(key string, v any) {
		text, err := json.Marshal(v)
		if err != nil {
			panic(fmt.Sprintf("vision: metadata %s of %v: %v", key, v, err))
		}
		m[key] = string(text)
	}
	if spec != (Spec{}) && spec.Name != TorchScript {
		m[metaModel] = spec.Name
		add(metaSpec, spec)
	}
	add(metaSize, imageSize)
	add(metaMean, mean)
	add(metaStd, std)
	return m
}

// told is what a file's metadata say; what is not there is zero.
type told struct {
	spec      Spec
	imageSize int
	mean, std []float64
}

// parseMetadata reads what [Metadata] wrote.
func parseMetadata(m map[string]string) (t told, err error) {
	for _, v := range []struct {
		key, want string
		to        any
	}{
		{metaSpec, "the sizes of an encoder", &t.spec},
		{metaSize, "a number", &t.imageSize},
		{metaMean, "a list of numbers", &t.mean},
		{metaStd, "a list of numbers", &t.std},
	} {
		if text, ok := m[v.key]; ok && json.Unmarshal([]byte(text), v.to) != nil {
			return t, fmt.Errorf("metadata %s is %q: expected %s", v.key, text, v.want)
		}
	}
	t.spec.Name = cmp.Or(m[metaModel], t.spec.Name)
	return t, nil
}

// fill takes what s has at 0 from o.
func (s Spec) fill(o Spec) Spec {
	return Spec{
		Name:       cmp.Or(s.Name, o.Name),
		ImageSize:  cmp.Or(s.ImageSize, o.ImageSize),
		PatchSize:  cmp.Or(s.PatchSize, o.PatchSize),
		Channels:   cmp.Or(s.Channels, o.Channels),
		NumClasses: cmp.Or(s.NumClasses, o.NumClasses),
		Width:      cmp.Or(s.Width, o.Width),
		Depth:      cmp.Or(s.Depth, o.Depth),
		Heads:      cmp.Or(s.Heads, o.Heads),
		DropPath:   cmp.Or(s.DropPath, o.DropPath),
		Pool:       cmp.Or(s.Pool, o.Pool),
		Registers:  cmp.Or(s.Registers, o.Registers),
		LayerScale: cmp.Or(s.LayerScale, o.LayerScale),
		QKNorm:     s.QKNorm || o.QKNorm,
		SwiGLU:     s.SwiGLU || o.SwiGLU,
	}
}

// DefaultMeanStd is the normalisation of images about which nothing else is known: ImageNet's for 3 channels, and 0.5 for
// each channel otherwise, which maps [0, 1] to [-1, 1].
func DefaultMeanStd(channels int) (mean, std []float64) {
	if channels == 3 {
		imageNet := views.Paper()
		return imageNet.Mean, imageNet.Std
	}
	mean = make([]float64, channels)
	for i := range mean {
		mean[i] = 0.5
	}
	return mean, append([]float64(nil), mean...)
}

// CheckMeanStd reports why a normalisation does not fit images of so many channels.
func CheckMeanStd(mean, std []float64, channels int) error {
	if len(mean) != channels || len(std) != channels {
		return fmt.Errorf("mean of %d and standard deviation of %d channels: expected %d", len(mean), len(std), channels)
	}
	for _, v := range std {
		if !(v > 0) {
			return fmt.Errorf("standard deviation %v: expected more than 0", std)
		}
	}
	return nil
}
