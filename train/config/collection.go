package config

import (
	"fmt"

	"github.com/gojepa/gojepa/vision/images"
)

// Collection says what kind of collection images are, and where in it their labels and captions are.
type Collection struct {
	Kind          string `yaml:"kind" flag:"kind" enum:"auto,folder,list,shards,parquet,arrays,hdf5,cifar,idx" arg:"KIND" help:"what the data is: folder, list, shards, parquet, arrays, hdf5, cifar or idx; auto tells by the path"`
	ImageColumn   string `yaml:"image_column" arg:"NAME" help:"where images are: a column of a list or of Parquet files (of a list without a header its number, from 1), an extension in shards, an array of an .npz file; without it, the usual names"`
	LabelColumn   string `yaml:"label_column" flag:"label-column" arg:"NAME" resume:"free" help:"column of labels in a list or in Parquet files, extension or .json key in shards, array of an .npz file"`
	CaptionColumn string `yaml:"caption_column" flag:"text-column" arg:"NAME" help:"column of captions in a list or in Parquet files, extension or .json key in shards; without it, the usual names: caption, text, captions"`
	Root          string `yaml:"root" arg:"DIR" help:"folder that the paths of a list are relative to; without it, the list's own"`
	Stretch       string `yaml:"stretch" flag:"stretch" arg:"RANGE" help:"which samples deeper than 8 bits become black and white: auto (a DICOM file's window, the range of integers, zscale for FITS, percentiles 1 to 99 for other floats), file, window, zscale, asinh, LOW:HIGH such as 0:10000, or percentile:LOW:HIGH"`
	Bits          string `yaml:"bits" enum:"auto,8" arg:"auto|8" help:"auto: samples of more than 8 bits stay that deep; 8: they are rounded to 8 bits after the stretch"`
	Layout        string `yaml:"array_layout" enum:"auto,hw,hwc,chw,nhw,nhwc,nchw" arg:"LAYOUT" help:"dimensions of arrays: n images, h height, w width, c channels; auto takes three for nhw, or hwc if the last is 4 or less, and four for nhwc or nchw, by which may be channels"`
	JPEG          string `yaml:"jpeg" resume:"free" enum:"auto,go,turbo" arg:"NAME" help:"what decodes JPEG: go, turbo (libjpeg-turbo, three to four times as fast, which has to be there), or auto: turbo where it is found. Pixels differ by 0.2 of 255 levels at most on average"`
}

// OpenCollection is a collection that its path tells the kind of.
func OpenCollection() Collection {
	return Collection{Kind: auto, Stretch: auto, Bits: auto, Layout: auto, JPEG: auto}
}

// Options are those of [images.Open], for images with their own channels. The error begins with the key of what cannot be.
func (c Collection) Options() (images.OpenOptions, error) {
	o := images.DefaultOpen()
	if c.Stretch != "" {
		var err error
		if o.Stretch, err = images.ParseStretch(c.Stretch); err != nil {
			return o, fmt.Errorf("stretch: %w", err)
		}
	}
	if c.JPEG != "" {
		if err := o.JPEG.UnmarshalText([]byte(c.JPEG)); err != nil {
			return o, fmt.Errorf("jpeg: %w", err)
		}
	}
	if c.Bits == "8" {
		o.AsIs, o.Reduce16 = false, true
	}
	o.Kind, o.Layout, o.Root = images.Kind(c.Kind), images.Layout(c.Layout), c.Root
	o.ImageColumn, o.LabelColumn, o.CaptionColumn = c.ImageColumn, c.LabelColumn, c.CaptionColumn
	return o, nil
}
