package config

import (
	"path/filepath"
	"regexp"
	"strings"
)

// Facts are what open values are worked out from.
type Facts struct {
	Images        int  // to train on
	Width, Height int  // of a typical image, such as the median
	Channels      int  // of the images
	GPU           bool // the device is one
	BF16          bool // the device computes in bfloat16 natively

	// Mean and Std are the images' own statistics, one for each channel, of samples in [0, 1]. They may be left out;
	// ImageNet's are then taken for 3 channels.
	Mean, Std []float64
}

// Resolve returns the configuration with every open value filled in that depends on data or machine, so that two equal
// resolved configurations train equally. Device, Threads and Workers stay open, since a run may be resumed on another
// machine; so do one of Epochs and Steps, and what only the model's name decides. Validate it again: sizes that were
// open may not suit the ones given.
func (c Config) Resolve(f Facts) Config {
	e := &c.Encoder
	named := e.Name != auto
	if !named {
		e.Name = "vit_tiny_patch16_224"
		if f.GPU {
			e.Name = "vit_small_patch16_224"
		}
	}
	largest := 128
	if f.GPU {
		largest = 224
	}
	size := e.ImageSize.Or(min(f.Width, f.Height, largest))
	patch := e.PatchSize.Or(namedPatch(e.Name))
	if _, set := e.PatchSize.Get(); isViT(e.Name) && !named && !set {
		patch = suitablePatch(size, f.GPU)
	}
	if patch > 0 {
		e.PatchSize = Of(patch)
	}
	patch = max(1, patch) // without patches, views of any size will do
	fill(&e.ImageSize, multiple(float64(size), patch))
	fill(&e.Channels, f.Channels)
	c.Views.resolve(e.ImageSize.value, patch, e.Channels.value, f)
	c.Text.resolve(f.GPU)

	s := &c.Schedule
	batch := 128
	budget := 120_000
	if f.GPU {
		batch, budget = 256, 2_000_000
	}
	fill(&s.BatchSize, max(1, min(batch, f.Images)))
	if _, set := s.Steps.Get(); !set {
		fill(&s.Epochs, max(1, budget/max(1, f.Images)))
	}
	if !c.Optim.WarmupSteps.set {
		c.Optim.WarmupSteps = StepsOf(c.TotalSteps(f.Images) / 10)
	}
	c.Optim.resolve(isViT(e.Name), s.BatchSize.value)
	if c.Precision == auto {
		c.Precision = "fp32"
		if f.BF16 {
			c.Precision = "bf16"
		}
	}
	if c.Out == auto {
		c.Out = filepath.Join("runs", c.DataName())
	}
	return c
}

// resolve fills in what suits the optimiser: the published recipe's for AdamW and, as its steps are as large, for Muon; the
// implementation's own for schedule-free; SimCLR's for LARS (arXiv 2002.05709).
func (o *Optim) resolve(vit bool, batch int) {
	lr, final, decay := 5e-4, 1e-3, 5e-4
	if vit {
		decay = 5e-2
	}
	switch o.Name {
	case ScheduleFree:
		lr, final = 2.5e-3, 1
	case LARS:
		lr, decay = 0.3*float64(batch)/256, 1e-6
		fill(&o.Momentum, 0.9)
	case Muon:
		fill(&o.Momentum, 0.95)
	}
	fill(&o.LR, lr)
	fill(&o.FinalLR, final)
	fill(&o.WeightDecay, decay)
}

func fill[T int | float64](a *Auto[T], value T) {
	if !a.set {
		*a = Of(value)
	}
}

// suitablePatch cuts an image of the given side into about 7 to 14 patches each way. Patches of a GPU's run may be
// smaller, as in the published recipe for 128 pixels.
func suitablePatch(size int, gpu bool) int {
	switch {
	case size <= 40:
		return 4
	case size <= 96 || gpu && size <= 128:
		return 8
	}
	return 16
}

// StepsPerEpoch is the number of whole batches in a collection of images: the remainder waits for the next epoch's
// order. It is 1 for a collection smaller than a batch. The batch size must be resolved.
func (c Config) StepsPerEpoch(images int) int {
	return max(1, images/max(1, c.Schedule.BatchSize.value))
}

// TotalSteps is the length of the run. Batch size and one of Epochs and Steps must be resolved.
func (c Config) TotalSteps(images int) int {
	if steps, set := c.Schedule.Steps.Get(); set {
		return steps
	}
	return c.Schedule.Epochs.value * c.StepsPerEpoch(images)
}

// Warmup is the number of steps of the warm-up. Its length and the batch size must be resolved.
func (c Config) Warmup(images int) int {
	return c.Optim.WarmupSteps.Steps(c.Schedule.BatchSize.value, c.StepsPerEpoch(images))
}

// collectionFile is how the name of a collection that is a file ends.
var collectionFile = regexp.MustCompile(`(?i)\.(csv|tsv|txt|tar|parquet|npy|npz|h5|hdf5|bin)(\.gz)?$`)

// DataName is a short name for the data: the folder's or the file's, or its parent's where the name says only "train" or the
// like, or is a pattern.
func (c Config) DataName() string {
	if c.Data.Path == "" {
		return "mnist"
	}
	path := c.Data.Path
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	for {
		dir, base := filepath.Dir(path), filepath.Base(path)
		base = collectionFile.ReplaceAllString(base, "")
		name := strings.ToLower(base)
		if strings.ContainsAny(name, "*?[{") {
			name = "data"
		}
		switch name {
		case "train", "training", "images", "img", "data":
			if filepath.Dir(dir) != dir {
				path = dir
				continue
			}
		case "/", ".":
			return "data"
		}
		return base
	}
}
