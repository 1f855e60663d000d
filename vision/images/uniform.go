package images

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gojepa/gojepa/internal/rng"
)

// Uniform returns src with images that are alike: of so many channels, or of their own if that is 0, and of 8-bit samples
// or, if deep, of floats. Grey images are repeated to 3 channels, and 3 are mixed to grey as Pillow does; other
// channels are not converted. 8-bit samples become floats by 1/255, but floats do not become 8 bits, as that would lose what
// they have: such an image is an error. Labels and captions stay those of src.
func Uniform(src Source, channels int, deep bool) *UniformSource {
	if own, ok := src.(decoder); ok {
		o := own.options()
		o.Channels = channels
		if deep && !o.Reduce16 {
			o.Deep = true
		}
		if o.Validate() == nil {
			src = own.with(o)
		}
	}
	return &UniformSource{Source: src, Channels: channels, Deep: deep}
}

// looked is how many images Alike looks at.
const looked = 32

// Alike looks at a few images, drawn by seed, and returns src by [Uniform] with the channels and the depth that suit all,
// and the images as src has them. Channels that are 0 are the images' own: 3 if some are grey and some have 3, and 1 if all
// have 3 that are equal. They are deep if any is. The error is the last image's if none can be read.
func Alike(ctx context.Context, src Source, channels int, seed uint64) (*UniformSource, []*Image, error) {
	r := rng.New(seed, rng.Sample, 0, 0)
	var found []*Image
	var failed error
	for i := range min(looked, src.Len()) { // all there are, if they are few
		if src.Len() > looked {
			i = r.IntN(src.Len())
		}
		m, err := src.Image(ctx, i)
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if err == nil {
			err = m.Check()
		}
		if err != nil {
			failed = fmt.Errorf("none of the images looked at can be read, the last being %s: %w", src.Name(i), err)
			continue
		}
		found = append(found, m)
	}
	if len(found) == 0 {
		if failed == nil {
			failed = errors.New("there are no images")
		}
		return nil, nil, failed
	}
	own, deep := found[0].Channels, false
	for _, m := range found {
		deep = deep || m.Deep()
		if m.Channels != own && (convertible(m.Channels, own) != nil || channels != 0 && convertible(m.Channels, channels) != nil) {
			return nil, nil, fmt.Errorf("images of %d channels and of %d: expected the same number in all", own, m.Channels)
		}
		own = max(own, m.Channels)
	}
	if channels == 0 {
		channels = own
		if own == 3 && !slices.ContainsFunc(found, func(m *Image) bool { return !m.grey() }) {
			channels = 1
		}
	}
	if err := convertible(own, channels); err != nil {
		return nil, nil, err
	}
	return Uniform(src, channels, deep), found, nil
}

// grey reports whether all channels are equal.
func (m *Image) grey() bool {
	for c := 1; c < m.Channels; c++ {
		if m.Deep() && !slices.Equal(m.FloatPlane(c), m.FloatPlane(0)) || !m.Deep() && !slices.Equal(m.Plane(c), m.Plane(0)) {
			return false
		}
	}
	return true
}

// decoder is a source whose images can be decoded in another way, rather than converted afterwards.
type decoder interface {
	options() Options
	with(o Options) Source
}

// UniformSource is a source whose images are alike. It is made by [Uniform] or [Alike].
type UniformSource struct {
	Source
	Channels int // 0: the images' own
	Deep     bool
}

// Image is the source's image, converted.
func (u *UniformSource) Image(ctx context.Context, i int) (*Image, error) {
	m, err := u.Source.Image(ctx, i)
	if err != nil {
		return nil, err
	}
	return u.convert(m, i)
}

// ImageInto is Image in the memory of buf if the source's image needs no conversion.
func (u *UniformSource) ImageInto(ctx context.Context, i int, buf *Buffer) (*Image, error) {
	m, err := Read(ctx, u.Source, i, buf)
	if err != nil {
		return nil, err
	}
	return u.convert(m, i)
}

func (u *UniformSource) convert(m *Image, i int) (*Image, error) {
	err := m.Check()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", u.Name(i), err)
	}
	if m, err = withChannels(m, u.Channels); err != nil {
		return nil, fmt.Errorf("%s: %w", u.Name(i), err)
	}
	switch {
	case u.Deep && !m.Deep():
		m = m.deepened()
	case !u.Deep && m.Deep():
		return nil, fmt.Errorf("%s: its samples are deeper than 8 bits, and those of the other images are not", u.Name(i))
	}
	return m, nil
}

// Label is the source's.
func (u *UniformSource) Label(i int) (int, bool) {
	if l, ok := u.Source.(Labelled); ok {
		return l.Label(i)
	}
	return 0, false
}

// Classes are the source's.
func (u *UniformSource) Classes() []string {
	if l, ok := u.Source.(Labelled); ok {
		return l.Classes()
	}
	return nil
}

// Caption is the source's.
func (u *UniformSource) Caption(i int) (string, bool) {
	if c, ok := u.Source.(Captioned); ok {
		return c.Caption(i)
	}
	return "", false
}

// convertible says whether images can be had with so many channels; 0 are their own.
func convertible(have, want int) error {
	if want == 0 || have == want || have == 1 && want == 3 || have == 3 && want == 1 {
		return nil
	}
	return fmt.Errorf("the image has %d channels, expected %d", have, want)
}

// withChannels returns an image with so many channels: itself if it has them, or if they are 0.
func withChannels(m *Image, channels int) (*Image, error) {
	if err := convertible(m.Channels, channels); err != nil {
		return nil, err
	}
	switch {
	case channels == 0 || channels == m.Channels:
		return m, nil
	case channels == 3:
		return repeated(m, channels), nil
	}
	return greyOf(m, [3]float32{lumaR / 65536., lumaG / 65536., lumaB / 65536.}), nil
}
