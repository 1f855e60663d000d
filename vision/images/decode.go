package images

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gojepa/gojepa/vision/images/dicom"
	"github.com/gojepa/gojepa/vision/images/fits"
	"github.com/gojepa/gojepa/vision/images/npy"
	"github.com/gojepa/gojepa/vision/images/raster"
	"github.com/gojepa/gojepa/vision/images/tiff"
)

// DefaultMaxPixels is the size that [DefaultOptions] allows an image: 2^27, such as 11,585 × 11,585.
const DefaultMaxPixels = 1 << 27

// MaxChannels is the most channels that an image may have.
const MaxChannels = 32

// Options say how files become images.
type Options struct {
	// Channels is the number of channels of every image, up to MaxChannels, or 0 for what each file has. Grey becomes RGB
	// and RGB grey as Pillow converts them. Any other conversion is an error.
	Channels int
	// MaxPixels is the size above which images are refused before they are decoded, as a small file can claim any size.
	MaxPixels int64
	// Deep makes all images deep: samples of 8 bits are divided by 255, deeper ones are scaled by Stretch.
	Deep bool
	// AsIs leaves each image the depth of its file: samples of 8 bits stay those, and deeper ones are scaled by Stretch, where
	// neither Deep nor Reduce16 is set.
	AsIs bool
	// Stretch says how deeper samples than 8 bits are scaled. JPEG and PNG files of 8 bits have no need of it.
	Stretch Stretch
	// Reduce16 rounds deeper samples to 8 bits after Stretch rather than refuse them, where Deep is not set. Of PNG files
	// of 16 bits it keeps the upper 8, unless Stretch asks for a range.
	Reduce16 bool
	// Labels is for Folder: the first folder below the root is an image's class.
	Labels bool
	// JPEG is what decodes JPEG files.
	JPEG JPEGDecoder
}

// DefaultOptions are 3 channels, DefaultMaxPixels, deeper samples than 8 bits refused, no labels.
func DefaultOptions() Options {
	return Options{Channels: 3, MaxPixels: DefaultMaxPixels}
}

// Validate names everything that is wrong with the options.
func (o Options) Validate() error {
	var errs []error
	if o.Channels < 0 || o.Channels > MaxChannels {
		errs = append(errs, fmt.Errorf("channels: %d, expected 1 to %d, or 0 for what each file has", o.Channels, MaxChannels))
	}
	if o.MaxPixels <= 0 {
		errs = append(errs, fmt.Errorf("max pixels: %d, expected a positive number, such as %d", o.MaxPixels, DefaultMaxPixels))
	}
	if o.Deep && o.Reduce16 {
		errs = append(errs, errors.New("deep and reduce16 are set, expected either"))
	}
	if err := o.Stretch.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("stretch: %w", err))
	}
	if _, err := o.JPEG.library(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// format is a kind of file.
type format struct {
	name       string
	extensions []string // in lower case, of files in folders
	match      func(head []byte) bool
	frames     func(data []byte) (int, error) // nil where a file is one image
	decode     func(data []byte, frame int, o Options) (*Image, error)
}

// headLen is how much of a file tells its format.
const headLen = 512

var formats = []format{
	{"JPEG", []string{".jpg", ".jpeg", ".jpe", ".jfif"}, magic("\xff\xd8\xff"), nil, decodeJPEG},
	{"PNG", []string{".png"}, magic("\x89PNG\r\n\x1a\n"), nil, decodePNG},
	scientific("DICOM", []string{".dcm", ".dicom", ".ima"}, dicom.Match, dicom.Config, func(data []byte, frame int, o Options) (*raster.Raster, error) {
		return dicom.Decode(data, frame, dicom.Options{MaxPixels: o.MaxPixels, Window: o.Stretch.window()})
	}),
	scientific("TIFF", []string{".tif", ".tiff"}, tiff.Match, tiff.Config, plainDecode(tiff.Decode)),
	scientific("FITS", []string{".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fits.fz", ".fz"}, fits.Match, fits.Config, plainDecode(fits.Decode)),
	scientific("NumPy array", []string{".npy"}, npy.Match, npy.Config, plainDecode(npy.Decode)),
}

func magic(prefix string) func([]byte) bool {
	return func(head []byte) bool { return bytes.HasPrefix(head, []byte(prefix)) }
}

// scientific is a format whose reader makes rasters.
func scientific(
	name string, extensions []string, match func([]byte) bool, config func([]byte) (raster.Config, error),
	decode func([]byte, int, Options) (*raster.Raster, error),
) format {
	return format{
		name, extensions, match,
		func(data []byte) (int, error) {
			c, err := config(data)
			return c.Frames, err
		},
		func(data []byte, frame int, o Options) (*Image, error) {
			r, err := decode(data, frame, o)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			m, err := scale(r, o)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			return m, nil
		},
	}
}

// plainDecode is a reader that asks for no more than a limit of size.
func plainDecode(decode func([]byte, int, int64) (*raster.Raster, error)) func([]byte, int, Options) (*raster.Raster, error) {
	return func(data []byte, frame int, o Options) (*raster.Raster, error) {
		return decode(data, frame, o.MaxPixels)
	}
}

// hasImageExtension says whether a file's name is that of an image. What it is, its first bytes decide.
func hasImageExtension(name string) bool { return byExtension(name) != nil }

// mayHaveFrames says whether files of this name can be of several images. Of others one need not ask.
func mayHaveFrames(name string) bool {
	f := byExtension(name)
	return f == nil || f.frames != nil
}

// byExtension is the format of a name, or nil.
func byExtension(name string) *format {
	name = strings.ToLower(name)
	ext := filepath.Ext(name)
	if ext == ".gz" {
		ext = filepath.Ext(strings.TrimSuffix(name, ext)) + ext
	}
	for i, f := range formats {
		if ext != "" && slices.Contains(f.extensions, ext) {
			return &formats[i]
		}
	}
	return nil
}

// byHead is the format of a file that begins so, or nil. Up to headLen bytes are looked at.
func byHead(head []byte) *format {
	head = head[:min(len(head), headLen)]
	for i, f := range formats {
		if f.match(head) {
			return &formats[i]
		}
	}
	return nil
}

func formatOf(data []byte) (*format, error) {
	if len(data) == 0 {
		return nil, errors.New("the file is empty")
	}
	if f := byHead(data); f != nil {
		return f, nil
	}
	var names []string
	for _, f := range formats {
		names = append(names, f.name)
	}
	last := len(names) - 1
	return nil, fmt.Errorf("neither %s nor %s: it begins with %q", strings.Join(names[:last], ", "), names[last], data[:min(len(data), 8)])
}

// Frames says how many images a file of these bytes is: the frames of a DICOM file, the pages of a TIFF file, the planes of a
// long FITS cube, the first dimension of a NumPy array of four; 1 of most files. Only the file's head is looked at.
func Frames(data []byte) (int, error) {
	f, err := formatOf(data)
	if err != nil || f.frames == nil {
		return 1, err
	}
	n, err := f.frames(data)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", f.name, err)
	}
	return n, nil
}

// Decode makes an image of a file's bytes, whichever format it has, and of the first if it is several. See the package for
// what becomes of colour, depth, alpha and orientation.
func Decode(data []byte, o Options) (*Image, error) { return decode(data, 0, o, nil) }

// DecodeInto is Decode into the memory of buf, which may be nil; see there for how long the image is then valid.
func DecodeInto(data []byte, o Options, buf *Buffer) (*Image, error) { return decode(data, 0, o, buf) }

// DecodeFrame is [Decode] of image i of those that [Frames] counts.
func DecodeFrame(data []byte, i int, o Options) (*Image, error) { return decode(data, i, o, nil) }

func decode(data []byte, i int, o Options, buf *Buffer) (*Image, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if i == 0 {
		if m := decodeTurbo(data, o, buf); m != nil {
			return m, nil
		}
	}
	f, err := formatOf(data)
	if err != nil {
		return nil, err
	}
	if f.frames == nil && i != 0 {
		return nil, fmt.Errorf("%s: there is no image %d: the file has 1, counted from 0", f.name, i)
	}
	return f.decode(data, i, o)
}
