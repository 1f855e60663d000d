package images

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gojepa/gojepa/internal/npy"
	"github.com/gojepa/gojepa/vision/images/raster"
)

// array is an array of images in a file.
type array struct {
	dims
	element
	file  fileAt
	data  int64  // where its numbers begin
	bytes []byte // all of them, of an array that is compressed

	broken error // the file cannot be read: it stands for one image that is broken
}

// read returns the bytes of image k.
func (a *array) read(k int) ([]byte, error) {
	n := int64(a.samples()) * int64(a.size)
	if a.bytes != nil {
		return a.bytes[int64(k)*n:][:n], nil
	}
	return a.file.read(a.data+int64(k)*n, n)
}

// image makes image k. Numbers of 8 bits stay; others become floats: integers by their limits and floats as they are, unless
// the options ask for a stretch.
func (a *array) image(k int, o Options) (*Image, error) {
	b, err := a.read(k)
	if err != nil {
		return nil, err
	}
	pixels, channels := a.height*a.width, a.channels
	from := func(i int) int { return i } // where sample i of the planar image is
	if !a.planar && channels > 1 {
		from = func(i int) int { return i%pixels*channels + i/pixels }
	}
	if !a.deep() {
		m := New(channels, a.height, a.width)
		scale := uint8(1)
		if a.kind == 'b' {
			scale = 255
		}
		if a.planar || channels == 1 {
			copy(m.Pix, b)
		} else {
			for i := range m.Pix {
				m.Pix[i] = b[from(i)]
			}
		}
		if scale > 1 {
			for i := range m.Pix {
				m.Pix[i] *= scale
			}
		}
		return m, nil
	}
	r := raster.New(channels, a.height, a.width)
	for i := range r.Samples {
		r.Samples[i] = float32(a.at(b, from(i)))
	}
	r.Low, r.High = a.limits()
	var m *Image
	switch {
	case o.Stretch != Stretch{}:
		m, err = o.Stretch.Apply(r)
	case r.Low == r.High:
		m, err = FromRaster(r, 0, 1)
	default:
		m, err = FromRaster(r, r.Low, r.High)
	}
	if err == nil && o.Reduce16 {
		m = round(m)
	}
	return m, err
}

// ArraysSource is the images of .npy and .npz files. One of several files that cannot be read is one broken image. Only
// images that are asked for are read, but arrays that are compressed in an .npz file are in memory whole. It is made by
// [Open].
type ArraysSource struct {
	arrays []array
	names  []string // by array
	first  []int    // by array: its first image
	n      int
	opts   Options // channels, if not 0
	labelling
}

// openArrays opens .npy and .npz files, or those below folders.
func openArrays(ctx context.Context, paths []string, o OpenOptions) (Source, error) {
	if o.CaptionColumn != "" {
		return nil, fmt.Errorf("caption column %q: arrays have no captions", o.CaptionColumn)
	}
	s := &ArraysSource{opts: o.Options}
	var classes []string // of folders
	var byFolder []int32
	if len(paths) == 1 && isDir(paths[0]) {
		r := endings(".npy", ".npz")
		r.labels = o.Labels && o.LabelColumn == ""
		f, err := findFiles(ctx, paths[0], r, o.index())
		if err != nil {
			return nil, err
		}
		if f.Len() == 0 {
			return nil, fmt.Errorf("no .npy or .npz file in it; found %s", f.found)
		}
		root := paths[0]
		paths = make([]string, f.Len())
		for i := range paths {
			paths[i] = filepath.Join(root, f.Name(i))
		}
		classes, byFolder = f.classes, f.labels
	}
	s.names = shortNames(paths)
	type opened struct {
		array
		labels []int64
	}
	all, err := parallel(ctx, len(paths), func(i int) (opened, error) {
		a, labels, err := openArray(paths[i], o)
		if err != nil {
			err = fmt.Errorf("%s: %w", paths[i], err)
			return opened{array{dims: dims{n: 1}, broken: err}, nil}, nil
		}
		return opened{a, labels}, nil
	})
	if err != nil {
		return nil, err
	}
	good := slices.IndexFunc(all, func(a opened) bool { return a.broken == nil })
	if good < 0 {
		return nil, all[0].broken
	}
	var labels []int64
	for i, a := range all {
		if a.broken != nil {
			a.array.channels, a.element = all[good].channels, all[good].element
			if o.Labels || o.LabelColumn != "" {
				a.labels = []int64{-1}
			}
		}
		if first := all[good]; a.channels != first.channels || a.deep() != first.deep() || a.element.kind != first.element.kind || a.element.size != first.element.size {
			return nil, fmt.Errorf("%s has images of %d channels and elements %c%d, but %s of %d and %c%d: expected the same in all files",
				paths[i], a.channels, a.kind, a.size, paths[good], first.channels, first.kind, first.size)
		}
		s.first = append(s.first, s.n)
		s.arrays = append(s.arrays, a.array)
		s.n += a.n
		switch {
		case len(classes) > 0:
			for range a.n {
				labels = append(labels, int64(byFolder[i]))
			}
		case o.Labels || o.LabelColumn != "":
			if a.labels == nil {
				return nil, fmt.Errorf("%s has no labels: expected a second array %q in an .npz file, or a folder for each class", paths[i], arrayLabels)
			}
			labels = append(labels, a.labels...)
		}
	}
	if labels != nil {
		l, ok := numbered(labels, classes)
		if !ok {
			return nil, fmt.Errorf("labels up to %d: expected numbers of classes", slices.Max(labels))
		}
		s.labelling = l
	}
	if s.n == 0 {
		return s, nil
	}
	if err := convertible(all[good].channels, o.Channels); err != nil {
		return nil, err
	}
	if low, high := s.arrays[good].limits(); low == high && s.arrays[good].deep() && s.arrays[good].n > 0 {
		if m, err := s.arrays[good].image(0, Options{}); err == nil && (slices.Min(m.Float) < -1 || slices.Max(m.Float) > 2) {
			o.notef("numbers of %s reach from %g to %g: they are taken as they are, and views expect them to be about 0 to 1",
				s.names[good], slices.Min(m.Float), slices.Max(m.Float))
		}
	}
	return s, nil
}

// Names of arrays in an .npz file.
var (
	arrayImages = []string{"images", "image", "x", "X", "data", "arr_0"}
	arrayLabels = []string{"labels", "label", "y", "Y", "targets"}
)

// openArray finds the images of a file, and their labels, nil if there are none or they are not asked for.
func openArray(path string, o OpenOptions) (array, []int64, error) {
	file, _, err := statFile(path)
	if err != nil {
		return array{}, nil, err
	}
	if magic, err := file.read(0, min(4, file.size)); err != nil || string(magic) != "PK\x03\x04" {
		if o.ImageColumn != "" || o.LabelColumn != "" {
			return array{}, nil, errors.New("a .npy file has one array, without a name: expected no column of images or labels")
		}
		in := io.NewSectionReader(file, 0, file.size)
		a, err := arrayOf(in, o)
		if err != nil {
			return array{}, nil, err
		}
		a.file = file
		a.data, _ = in.Seek(0, io.SeekCurrent)
		return a, nil, a.fits(file.size - a.data)
	}
	z, err := zip.NewReader(file, file.size)
	if err != nil {
		return array{}, nil, err
	}
	var names []string
	for _, f := range z.File {
		names = append(names, strings.TrimSuffix(f.Name, ".npy"))
	}
	find := func(asked string, usual []string) (*zip.File, error) {
		if asked != "" {
			usual = []string{asked}
		} else if o.Test { // train_images and test_images, as some have
			usual = append([]string{"test_" + usual[0], usual[2] + "_test"}, usual...)
		} else {
			usual = append(append([]string{}, usual...), "train_"+usual[0], usual[2]+"_train")
		}
		for _, name := range usual {
			if i := slices.Index(names, name); i >= 0 {
				return z.File[i], nil
			}
		}
		if asked != "" {
			return nil, fmt.Errorf("no array %q in it, but %q", asked, names)
		}
		return nil, nil
	}
	f, err := find(o.ImageColumn, arrayImages)
	if err != nil {
		return array{}, nil, err
	}
	if f == nil && len(z.File) == 1 {
		f = z.File[0]
	}
	if f == nil {
		return array{}, nil, fmt.Errorf("its arrays are %q, expected one of %q, or the name of the one with images", names, arrayImages)
	}
	a, err := zippedArray(file, f, o)
	if err != nil {
		return array{}, nil, fmt.Errorf("array %s: %w", f.Name, err)
	}
	if !o.Labels && o.LabelColumn == "" {
		return a, nil, nil
	}
	usual := arrayLabels
	if image := strings.TrimSuffix(f.Name, ".npy"); strings.Contains(image, "images") && slices.Contains(names, strings.Replace(image, "images", "labels", 1)) {
		usual = append([]string{strings.Replace(image, "images", "labels", 1)}, usual...)
	}
	l, err := find(o.LabelColumn, usual)
	if err != nil || l == nil {
		return a, nil, err
	}
	labels, err := zippedLabels(l, a.n)
	if err != nil {
		return a, nil, fmt.Errorf("array %s: %w", l.Name, err)
	}
	return a, labels, nil
}

// arrayOf reads an array's header.
func arrayOf(r io.Reader, o OpenOptions) (array, error) {
	h, err := npy.ReadHeader(r)
	if err != nil {
		return array{}, err
	}
	e, err := elementOf(h.Descr)
	if err != nil {
		return array{}, err
	}
	if h.Fortran && len(h.Shape) > 1 {
		return array{}, errors.New("the first dimension varies fastest: expected C order, as numpy.ascontiguousarray makes it")
	}
	d, err := o.Layout.dimsOf(h.Shape)
	if err != nil {
		return array{}, err
	}
	if int64(d.height)*int64(d.width) > o.MaxPixels {
		return array{}, fmt.Errorf("images of %d×%d pixels: more than the %d that are allowed (MaxPixels)", d.width, d.height, o.MaxPixels)
	}
	return array{dims: d, element: e}, nil
}

// fits says whether so many bytes hold the array.
func (a *array) fits(bytes int64) error {
	each := int64(a.samples()) * int64(a.size)
	if a.n > 0 && bytes/each < int64(a.n) {
		return fmt.Errorf("its header claims %d images of %d bytes, but there is room for %d", a.n, each, bytes/each)
	}
	return nil
}

// zippedArray is an array in an .npz file.
func zippedArray(file fileAt, f *zip.File, o OpenOptions) (array, error) {
	if f.Method == zip.Store {
		off, err := f.DataOffset()
		if err != nil {
			return array{}, err
		}
		in := io.NewSectionReader(file, off, int64(min(f.UncompressedSize64, uint64(file.size))))
		a, err := arrayOf(in, o)
		if err != nil {
			return array{}, err
		}
		at, _ := in.Seek(0, io.SeekCurrent)
		a.file, a.data = file, off+at
		return a, a.fits(min(in.Size(), file.size-off) - at)
	}
	r, err := f.Open()
	if err != nil {
		return array{}, err
	}
	defer r.Close()
	a, err := arrayOf(r, o)
	if err != nil {
		return array{}, err
	}
	size := int64(a.n) * int64(a.samples()) * int64(a.size)
	if most := file.size * flateMost; size > most {
		return array{}, fmt.Errorf("its header claims %d bytes, more than the file can hold", size)
	}
	// Memory grows with what is there, not with what is claimed.
	var b bytes.Buffer
	if n, err := io.Copy(&b, io.LimitReader(r, size)); err != nil || n < size {
		var corrupt flate.CorruptInputError
		if err == nil || errors.As(err, &corrupt) {
			return array{}, fmt.Errorf("it ends after %d of %d bytes, or is damaged there", n, size)
		}
		return array{}, err
	}
	a.bytes = b.Bytes()
	return a, nil
}

// flateMost is how much deflate can pack into a byte.
const flateMost = 1032

// zippedLabels are the numbers of an array of n labels, [N] or [N, 1].
func zippedLabels(f *zip.File, n int) ([]int64, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	h, err := npy.ReadHeader(r)
	if err != nil {
		return nil, err
	}
	e, err := elementOf(h.Descr)
	if err != nil {
		return nil, err
	}
	if len(h.Shape) == 0 || h.Len() != n || h.Shape[0] != n {
		return nil, fmt.Errorf("shape %v, expected a label for each of %d images", h.Shape, n)
	}
	labels := make([]int64, n)
	b := make([]byte, e.size)
	for i := range labels {
		if _, err := io.ReadFull(r, b); err != nil {
			return nil, fmt.Errorf("label %d: %w", i, err)
		}
		v, ok := wholeNumber(e.at(b, 0))
		if !ok {
			return nil, fmt.Errorf("label %d is %g, expected the number of a class", i, e.at(b, 0))
		}
		labels[i] = v
	}
	return labels, nil
}

// Len is the number of images in all arrays.
func (s *ArraysSource) Len() int { return s.n }

func (s *ArraysSource) at(i int) (array, image int) {
	return within(s.first, i)
}

// Name is the file that image i is in, and its place there if it is not the only one.
func (s *ArraysSource) Name(i int) string {
	k, n := s.at(i)
	if s.arrays[k].n == 1 {
		return s.names[k]
	}
	return fmt.Sprintf("%s[%d]", s.names[k], n)
}

// Image reads an image.
func (s *ArraysSource) Image(ctx context.Context, i int) (*Image, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	k, n := s.at(i)
	if broken := s.arrays[k].broken; broken != nil {
		return nil, broken
	}
	m, err := s.arrays[k].image(n, s.opts)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name(i), err)
	}
	return withChannels(m, s.opts.Channels)
}

func (s *ArraysSource) options() Options { return s.opts }

func (s *ArraysSource) with(o Options) Source {
	c := *s
	c.opts = o
	return &c
}
