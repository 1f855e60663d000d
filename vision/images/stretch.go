package images

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gojepa/gojepa/vision/images/raster"
)

// Range says which samples become black and white.
type Range uint8

// The ranges. The last three come from an image's own samples or are made to be looked through, so that what lies beyond them
// is cut off; what lies beyond the others stays beyond 0 and 1.
const (
	// RangeAuto is what the file says: its window if it has one, else the limits of its integers. Of floats it is
	// RangeZScale for FITS, and percentiles 1 to 99 for others.
	RangeAuto Range = iota
	// RangeFile is the limits of the file's integers, after the rescaling that the file names. Floats have none.
	RangeFile
	// RangeValues is from Low to High, in the units of the file.
	RangeValues
	// RangeWindow is the window (VOI LUT) of a DICOM file, which must have one.
	RangeWindow
	// RangePercentile is from percentile Low to High of all samples, interpolated as NumPy does.
	RangePercentile
	// RangeZScale is IRAF's for faint objects, as Astropy's ZScaleInterval computes it.
	RangeZScale
)

// Stretch says how samples become numbers from 0 to 1. The zero Stretch is RangeAuto. Where a file means white by the lower
// values (MONOCHROME1), black and white are exchanged. It is written and read as text, see [ParseStretch].
type Stretch struct {
	Range     Range
	Low, High float64 // of RangeValues and RangePercentile
	// Asinh lifts faint samples, unless it is 0: x becomes asinh(x/Asinh) / asinh(1/Asinh), as Astropy's AsinhStretch.
	Asinh float64
}

// ParseStretch reads auto, file, window, zscale, LOW:HIGH (such as 0:10000), or percentile:LOW:HIGH (such as
// percentile:1:99), each with +asinh or +asinh:A behind it, where A is 0.1 if it is not said. asinh alone is
// percentile:1:99.9+asinh.
func ParseStretch(text string) (Stretch, error) {
	s, err := parseStretch(text)
	if err == nil {
		err = s.Validate()
	}
	if err != nil {
		return Stretch{}, fmt.Errorf("stretch %q: %w", text, err)
	}
	return s, nil
}

func parseStretch(text string) (s Stretch, err error) {
	if text == "asinh" {
		text = "percentile:1:99.9+asinh"
	}
	text, curve, curved := strings.Cut(text, "+")
	words := strings.Split(text, ":")
	switch {
	case text == "auto":
	case text == "file":
		s.Range = RangeFile
	case text == "window":
		s.Range = RangeWindow
	case text == "zscale":
		s.Range = RangeZScale
	case words[0] == "percentile" && len(words) == 3:
		s.Range = RangePercentile
		s.Low, s.High, err = parseRange(words[1:])
	case len(words) == 2:
		s.Range = RangeValues
		s.Low, s.High, err = parseRange(words)
	default:
		err = errors.New("expected auto, file, window, zscale, LOW:HIGH, percentile:LOW:HIGH, or asinh")
	}
	if err != nil || !curved {
		return s, err
	}
	s.Asinh = 0.1
	name, a, given := strings.Cut(curve, ":")
	if given {
		s.Asinh, err = strconv.ParseFloat(a, 64)
	}
	if name != "asinh" || err != nil || s.Asinh <= 0 {
		return s, fmt.Errorf("+%s: expected +asinh, or +asinh:A with a positive number A", curve)
	}
	return s, nil
}

func parseRange(words []string) (low, high float64, err error) {
	low, e1 := strconv.ParseFloat(words[0], 64)
	high, e2 := strconv.ParseFloat(words[1], 64)
	if e1 != nil || e2 != nil {
		err = fmt.Errorf("%s:%s: expected two numbers", words[0], words[1])
	}
	return low, high, err
}

// String is the text that [ParseStretch] reads.
func (s Stretch) String() string {
	text := "auto"
	switch s.Range {
	case RangeFile:
		text = "file"
	case RangeValues:
		text = fmt.Sprintf("%g:%g", s.Low, s.High)
	case RangeWindow:
		text = "window"
	case RangePercentile:
		text = fmt.Sprintf("percentile:%g:%g", s.Low, s.High)
	case RangeZScale:
		text = "zscale"
	}
	if s.Asinh != 0 {
		text += fmt.Sprintf("+asinh:%g", s.Asinh)
	}
	return text
}

// MarshalText writes [Stretch.String].
func (s Stretch) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what [ParseStretch] reads.
func (s *Stretch) UnmarshalText(text []byte) (err error) {
	*s, err = ParseStretch(string(text))
	return err
}

// Validate says what is wrong with s.
func (s Stretch) Validate() error {
	switch {
	case s.Range > RangeZScale:
		return fmt.Errorf("range %d: expected one of images.RangeAuto to images.RangeZScale", s.Range)
	case s.Range == RangeValues && !finiteRange(s.Low, s.High):
		return fmt.Errorf("from %g to %g: expected two numbers, the lower one first", s.Low, s.High)
	case s.Range == RangePercentile && !(0 <= s.Low && s.Low < s.High && s.High <= 100):
		return fmt.Errorf("percentiles %g to %g: expected two numbers from 0 to 100, the lower one first", s.Low, s.High)
	case !(s.Asinh >= 0) || math.IsInf(s.Asinh, 0):
		return fmt.Errorf("asinh %g: expected a positive number, or 0 for none", s.Asinh)
	}
	return nil
}

func finiteRange(low, high float64) bool {
	return low < high && !math.IsInf(low, 0) && !math.IsInf(high, 0)
}

// window reports whether a file's window is to be used if it has one.
func (s Stretch) window() bool { return s.Range == RangeAuto || s.Range == RangeWindow }

// fixed reports whether integers without a window keep their own limits.
func (s Stretch) fixed() bool { return (s.Range == RangeAuto || s.Range == RangeFile) && s.Asinh == 0 }

// FromRaster scales a raster's samples so that low becomes 0 and high 1, and takes them over. What the file has no data
// for becomes 0.
func FromRaster(r *raster.Raster, low, high float64) (*Image, error) {
	if !finiteRange(low, high) {
		return nil, fmt.Errorf("range of samples from %g to %g: expected two numbers, the lower one first", low, high)
	}
	return fromRaster(r, low, high, false, 0), nil
}

// fromRaster is FromRaster where low may be above high, and with a cut at 0 and 1 and a curve.
func fromRaster(r *raster.Raster, low, high float64, cut bool, asinh float64) *Image {
	m := NewFloat(r.Channels, r.Height, r.Width)
	span, top := high-low, 1.
	if asinh != 0 {
		top = math.Asinh(1 / asinh)
	}
	for i, v := range r.Samples {
		x := (float64(v) - low) / span
		if cut {
			x = min(max(x, 0), 1) // NaN stays
		}
		if asinh != 0 {
			x = math.Asinh(x/asinh) / top
		}
		if f := float32(x); x-x == 0 && !math.IsInf(float64(f), 0) {
			m.Float[i] = f
		}
	}
	return m
}

// Apply scales a raster's samples and takes them over. What the file has no data for becomes 0, and so do all samples of an
// image that has one value.
func (s Stretch) Apply(r *raster.Raster) (*Image, error) {
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("stretch: %w", err)
	}
	known := r.Low != r.High
	if s.Range == RangeAuto && !known {
		s.Range, s.Low, s.High = RangePercentile, 1, 99
		if r.Counts {
			s.Range = RangeZScale
		}
	}
	var low, high float64
	cut := false
	switch s.Range {
	case RangeAuto:
		return fromRaster(r, r.Low, r.High, r.Window, s.Asinh), nil
	case RangeFile:
		if !known || r.Window {
			return nil, errors.New("stretch file: floats have no limits, choose another range, such as percentile:1:99")
		}
		return fromRaster(r, r.Low, r.High, false, s.Asinh), nil
	case RangeWindow:
		if !r.Window {
			return nil, errors.New("stretch window: the file has none")
		}
		return fromRaster(r, r.Low, r.High, true, s.Asinh), nil
	case RangeValues:
		low, high = s.Low, s.High
	case RangePercentile, RangeZScale:
		values := finite(r)
		if len(values) == 0 {
			return nil, errors.New("no sample has a value")
		}
		cut = true
		if s.Range == RangeZScale {
			low, high = zscale(values)
		} else {
			low, high = percentiles(values, s.Low, s.High)
		}
		if !(low < high) {
			return NewFloat(r.Channels, r.Height, r.Width), nil
		}
	}
	if r.Low > r.High {
		low, high = high, low
	}
	return fromRaster(r, low, high, cut, s.Asinh), nil
}

// finite are the samples that are numbers, without opacity.
func finite(r *raster.Raster) []float32 {
	samples := r.DropAlpha().Samples
	values := make([]float32, 0, len(samples))
	for _, v := range samples {
		if v-v == 0 {
			values = append(values, v)
		}
	}
	return values
}

// scale makes an image of a raster as the options ask.
func scale(r *raster.Raster, o Options) (*Image, error) {
	if !o.Deep && !o.Reduce16 && !o.AsIs && !r.Bytes {
		return nil, errors.New("samples of more than 8 bits a channel: set Deep or AsIs to have them as they are, or Reduce16 to round them to 8 bits")
	}
	if r.Alpha && o.Channels != r.Channels {
		r = r.DropAlpha()
	}
	own := r.Channels
	channels, err := o.channels(own, r.Colour)
	if err != nil {
		return nil, err
	}
	m, err := o.Stretch.Apply(r)
	if err != nil {
		return nil, err
	}
	if !o.Deep && (r.Bytes || o.Reduce16) {
		m = round(m)
	}
	switch {
	case own == channels:
		return m, nil
	case own == 1:
		return repeated(m, channels), nil
	}
	return greyOf(m, [3]float32{0.299, 0.587, 0.114}), nil
}

// round makes samples of 8 bits.
func round(m *Image) *Image {
	out := New(m.Channels, m.Height, m.Width)
	for i, v := range m.Float {
		out.Pix[i] = uint8(255*min(max(v, 0), 1) + 0.5)
	}
	return out
}

// repeated has the one channel of m so many times.
func repeated(m *Image, channels int) *Image {
	out := &Image{Channels: channels, Height: m.Height, Width: m.Width}
	if m.Deep() {
		out.Float = slices.Repeat(m.Float, channels)
	} else {
		out.Pix = slices.Repeat(m.Pix, channels)
	}
	return out
}

// greyOf is the luma of red, green and blue: of 8-bit samples Pillow's, of floats with the given weights.
func greyOf(m *Image, weights [3]float32) *Image {
	if !m.Deep() {
		out := New(1, m.Height, m.Width)
		r, g, b := m.Plane(0), m.Plane(1), m.Plane(2)
		for i := range out.Pix {
			out.Pix[i] = luma(r[i], g[i], b[i])
		}
		return out
	}
	out := NewFloat(1, m.Height, m.Width)
	r, g, b := m.FloatPlane(0), m.FloatPlane(1), m.FloatPlane(2)
	for i := range out.Float {
		out.Float[i] = weights[0]*r[i] + weights[1]*g[i] + weights[2]*b[i]
	}
	return out
}
