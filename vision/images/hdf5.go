package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/gojepa/gojepa/vision/images/hdf5"
	"github.com/gojepa/gojepa/vision/images/raster"
)

// HDF5 is an array of images in an HDF5 file, and their labels if it has them. Images are read when they are asked for. It is made
// by [OpenHDF5].
type HDF5 struct {
	labelling
	file   *os.File
	name   string
	images *hdf5.Dataset
	layout raster.Array
	opts   Options
}

// OpenHDF5 opens a file's array of images: N×H×W, or N×H×W×C or N×C×H×W of up to 32 channels, the smaller one of both. If images
// is "", the file must have one array of such a rank. labels names an array of N integers from 0, or is "" for none; the
// classes are "0", "1", … up to the highest one.
func OpenHDF5(path, images, labels string, o Options) (*HDF5, error) {
	return openWithLabels(path, images, []string{labels}, o)
}

// openWithLabels is OpenHDF5 with the first of some labels that can be had.
func openWithLabels(path, images string, labels []string, o Options) (s *HDF5, err error) {
	fail := func(err error) (*HDF5, error) { return nil, fmt.Errorf("HDF5 file %s: %w", path, err) }
	if err := o.Validate(); err != nil {
		return fail(err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("HDF5 file: %w", err) // which names the file
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return fail(err)
	}
	h, err := hdf5.Open(f, info.Size())
	if err != nil {
		return fail(err)
	}
	s = &HDF5{file: f, name: filepath.Base(path), opts: o}
	if s.images, err = imagesOf(h, images); err != nil {
		return fail(err)
	}
	if s.layout, err = raster.Arrange(s.images.Shape[1:]); err != nil {
		return fail(fmt.Errorf("dataset %q: images of %w", s.images.Name, err))
	}
	if err := s.layout.Check(o.MaxPixels); err != nil {
		return fail(fmt.Errorf("dataset %q: images of %w", s.images.Name, err))
	}
	var failed []error
	for _, name := range labels {
		if name == "" {
			return s, nil
		}
		err := s.readLabels(h, name)
		if err == nil {
			return s, nil
		}
		failed = append(failed, err)
	}
	return fail(errors.Join(failed...))
}

// imagesOf is the dataset of a name, or the only one that has images.
func imagesOf(h *hdf5.File, name string) (*hdf5.Dataset, error) {
	if name != "" {
		d, err := h.Dataset(name)
		if err == nil && len(d.Shape) != 3 && len(d.Shape) != 4 {
			err = fmt.Errorf("dataset %q has a shape of %v: expected [images height width] and one of channels", name, d.Shape)
		}
		return d, err
	}
	var found *hdf5.Dataset
	for _, n := range h.Datasets() {
		d, err := h.Dataset(n)
		if err != nil || len(d.Shape) != 3 && len(d.Shape) != 4 { // what is no array of images need not be readable
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("datasets %q and %q could be the images: name one", found.Name, d.Name)
		}
		found = d
	}
	if found == nil {
		return nil, fmt.Errorf("none of the datasets %q is an array of images", h.Datasets())
	}
	return found, nil
}

func (s *HDF5) readLabels(h *hdf5.File, name string) error {
	d, err := h.Dataset(name)
	if err != nil {
		return err
	}
	if len(d.Shape) != 1 || d.Shape[0] != s.Len() || d.Type.Kind == raster.Float {
		return fmt.Errorf("dataset %q has a shape of %v, and %v: expected %d integers", name, d.Shape, d.Type, s.Len())
	}
	b, v, labels := make([]byte, d.RowSize()), make([]float32, 1), make([]int64, s.Len())
	for i := range labels {
		if err := d.Row(b, i); err != nil {
			return err
		}
		d.Type.Numbers(v, b, len(b), d.Order)
		if v[0] < 0 || v[0] >= maxClassNumber {
			return fmt.Errorf("dataset %q: label %d is %g, expected an integer from 0 to %d", name, i, v[0], maxClassNumber-1)
		}
		labels[i] = int64(v[0])
	}
	s.labelling, _ = numbered(labels, nil)
	return nil
}

// Close closes the file.
func (s *HDF5) Close() error { return s.file.Close() }

// Len is the number of images.
func (s *HDF5) Len() int { return s.images.Shape[0] }

// Name is the file's name, the array's, and the position in it.
func (s *HDF5) Name(i int) string { return s.name + ":" + s.images.Name + "[" + strconv.Itoa(i) + "]" }

// Image reads image i.
func (s *HDF5) Image(ctx context.Context, i int) (*Image, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b := make([]byte, s.images.RowSize())
	err := s.images.Row(b, i)
	if err == nil && len(b) == 0 {
		err = errors.New("it has no pixels")
	}
	var m *Image
	if err == nil {
		r := s.layout.Read(b, s.images.Type, s.images.Order, false, 0)
		if s.images.Boolean {
			r.High = 1
		}
		m, err = scale(r, s.opts)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name(i), err)
	}
	return m, nil
}

func (s *HDF5) options() Options { return s.opts }

func (s *HDF5) with(o Options) Source {
	c := *s
	c.opts = o
	return &c
}

// labelDatasets are usual names of an array's labels.
var labelDatasets = []string{"labels", "label", "ans", "targets", "y"}

func openHDF5(_ context.Context, paths []string, o OpenOptions) (Source, error) {
	path, err := single(paths)
	if err != nil {
		return nil, err
	}
	if o.CaptionColumn != "" {
		return nil, fmt.Errorf("caption column %q: HDF5 files have no captions", o.CaptionColumn)
	}
	labels := []string{o.LabelColumn}
	if o.Labels && o.LabelColumn == "" {
		labels = labelDatasets
	}
	s, err := openWithLabels(path, o.ImageColumn, labels, o.Options)
	if err != nil {
		return nil, err // and not a Source that holds nil
	}
	return s, nil
}
