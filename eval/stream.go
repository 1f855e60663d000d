package eval

import (
	"context"
	"fmt"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/vision/images"
	"github.com/gojepa/gojepa/vision/views"
)

// Batch are the features of some images.
type Batch struct {
	X       []float32 // [len(Samples), Dim], a row for each
	Samples []int     // by row: the image's index in the source
	Labels  []int     // by row: its class, -1 for none; all of them where the source has no classes
}

// Stream is [Extract] for more images than memory has room for the features of: it hands each batch to f as it is made, in
// the order of the source, and keeps none. What f gets is valid until it returns. It returns the images that could not be
// read, which have no row.
func Stream(ctx context.Context, th *torch.Thread, encoder Encoder, src images.Source, o ExtractOptions, f func(Batch) error) (broken []views.Broken, err error) {
	if err := o.normalise(); err != nil {
		return nil, err
	}
	embed := o.embedder(ctx, th, encoder)
	err = o.each(ctx, src, func(b views.Broken) { broken = append(broken, b) }, func(b *views.Batch) error {
		x, err := embed(&b.Groups[0], b.Rows())
		if err != nil {
			return err
		}
		return f(Batch{X: x, Samples: b.Samples, Labels: b.Labels})
	})
	if err != nil {
		return broken, fmt.Errorf("eval: features: %w", err)
	}
	return broken, nil
}
