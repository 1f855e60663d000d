package config

import "github.com/gojepa/gojepa/vision/images"

// Collection says what kind of collection images are, and where in it their labels and captions are.
type Collection struct {
	Kind          string `yaml:"kind" flag:"kind" enum:"auto,folder,list,shards,parquet,arrays,cifar,idx" arg:"KIND" help:"what the data is: folder, list, shards, parquet, arrays, cifar or idx; auto tells by the path"`
	ImageColumn   string `yaml:"image_column" arg:"NAME" help:"where images are: a column of a list or of Parquet files (of a list without a header its number, from 1), an extension in shards, an array of an .npz file; without it, the usual names"`
	LabelColumn   string `yaml:"label_column" flag:"label-column" arg:"NAME" resume:"free" help:"column of labels in a list or in Parquet files, extension or .json key in shards, array of an .npz file"`
	CaptionColumn string `yaml:"caption_column" arg:"NAME" resume:"free" help:"where captions are, likewise"`
	Root          string `yaml:"root" arg:"DIR" help:"folder that the paths of a list are relative to; without it, the list's own"`
	Layout        string `yaml:"array_layout" enum:"auto,hw,hwc,chw,nhw,nhwc,nchw" arg:"LAYOUT" help:"dimensions of arrays: n images, h height, w width, c channels; auto takes three for nhw, or hwc if the last is 4 or less, and four for nhwc or nchw, by which may be channels"`
}

// OpenCollection is a collection that its path tells the kind of.
func OpenCollection() Collection { return Collection{Kind: auto, Layout: auto} }

// Options are those of [images.Open], for images with their own channels.
func (c Collection) Options() images.OpenOptions {
	o := images.DefaultOpen()
	o.Kind, o.Layout, o.Root = images.Kind(c.Kind), images.Layout(c.Layout), c.Root
	o.ImageColumn, o.LabelColumn, o.CaptionColumn = c.ImageColumn, c.LabelColumn, c.CaptionColumn
	return o
}
