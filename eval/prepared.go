package eval

import (
	"context"
	"fmt"
	"slices"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/vision/images"
	"github.com/gojepa/gojepa/vision/views"
)

// Prepared are the images of a source as [Extract] shows them to an encoder, read once and kept, for features of the same
// images by weights that change.
type Prepared struct {
	o        ExtractOptions
	batches  []preparedBatch
	broken   []views.Broken
	classes  []string
	labelled bool
}

type preparedBatch struct {
	group           views.Group
	samples, labels []int
}

// PreparedBytes is the memory that so many images take in [Prepared].
func (o ExtractOptions) PreparedBytes(images int) int64 {
	bytes := int64(images) * int64(o.Channels) * int64(o.Size) * int64(o.Size)
	if o.Deep {
		bytes *= 4
	}
	return bytes
}

// Prepare reads a source's images.
func Prepare(ctx context.Context, src images.Source, o ExtractOptions) (*Prepared, error) {
	if err := o.normalise(); err != nil {
		return nil, err
	}
	p := &Prepared{o: o}
	if l, ok := src.(images.Labelled); ok && len(l.Classes()) > 0 {
		p.labelled, p.classes = true, l.Classes()
	}
	err := o.each(ctx, src, func(b views.Broken) { p.broken = append(p.broken, b) }, func(b *views.Batch) error {
		g := b.Groups[0]
		g.Pix, g.Float = slices.Clone(g.Pix), slices.Clone(g.Float) // the loader's are used again
		p.batches = append(p.batches, preparedBatch{g, slices.Clone(b.Samples), slices.Clone(b.Labels)})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("eval: preparing images: %w", err)
	}
	return p, nil
}

// Extract is [Extract] of the images that are kept.
func (p *Prepared) Extract(ctx context.Context, th *torch.Thread, encoder Encoder) (Extracted, error) {
	c := &collector{labelled: p.labelled}
	c.D, c.Classes, c.Broken = int(encoder.Dim()), p.classes, p.broken
	embed := p.o.embedder(ctx, th, encoder)
	for _, b := range p.batches {
		x, err := embed(&b.group, len(b.samples))
		if err != nil {
			return Extracted{}, fmt.Errorf("eval: features: %w", err)
		}
		c.add(b.samples, b.labels, x)
	}
	return c.finish()
}

// Image is the image of a row of the features, as an encoder sees it. Nil where there is no such row.
func (p *Prepared) Image(row int) *images.Image {
	for _, b := range p.batches {
		if row < len(b.samples) {
			return imageOf(b.group, row)
		}
		row -= len(b.samples)
	}
	return nil
}

// imageOf copies an image of a group of one view.
func imageOf(g views.Group, row int) *images.Image {
	m := &images.Image{Channels: g.Channels, Height: g.Size, Width: g.Size}
	n := g.Channels * g.Size * g.Size
	if g.Deep {
		m.Float = slices.Clone(g.Float[row*n : (row+1)*n])
	} else {
		m.Pix = slices.Clone(g.Pix[row*n : (row+1)*n])
	}
	return m
}
