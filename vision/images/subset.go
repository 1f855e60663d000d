package images

import "context"

// Subset is some images of a source, with their labels and texts. It may name an image more than once.
type Subset struct {
	Source
	Index []int // of each image in Source
}

// Len is the number of images.
func (s Subset) Len() int { return len(s.Index) }

// Image decodes an image.
func (s Subset) Image(ctx context.Context, i int) (*Image, error) {
	return s.Source.Image(ctx, s.Index[i])
}

// ImageInto decodes an image, into buf if the whole source can.
func (s Subset) ImageInto(ctx context.Context, i int, buf *Buffer) (*Image, error) {
	return Read(ctx, s.Source, s.Index[i], buf)
}

// Name is an image's name in the whole source.
func (s Subset) Name(i int) string { return s.Source.Name(s.Index[i]) }

// Label is an image's class.
func (s Subset) Label(i int) (int, bool) {
	if l, ok := s.Source.(Labelled); ok {
		return l.Label(s.Index[i])
	}
	return 0, false
}

// Caption is an image's text.
func (s Subset) Caption(i int) (string, bool) {
	if c, ok := s.Source.(Captioned); ok {
		return c.Caption(s.Index[i])
	}
	return "", false
}

// Classes are those of the whole source.
func (s Subset) Classes() []string {
	if l, ok := s.Source.(Labelled); ok {
		return l.Classes()
	}
	return nil
}

// Evenly is n indices below size, or all of them if there are fewer, spread evenly and in order, the first being 0.
func Evenly(n, size int) []int {
	n = min(n, size)
	index := make([]int, n)
	for i := range index {
		index[i] = int(int64(i) * int64(size) / int64(n))
	}
	return index
}
