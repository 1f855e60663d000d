package vision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/vision/images"
	"github.com/gojepa/gojepa/vision/views"
)

// embedBatch is how many images go through the encoder at a time.
const embedBatch = 64

// Embed returns the embedding of each image: the pooled features, or what the head makes of them. The shorter side of an
// image is resized to Size, bilinear and antialiased, the centre cropped, and samples are normalised. The error names the
// image that does not fit, the first being image 0.
func (m *Model) Embed(ctx context.Context, imgs []*images.Image) ([][]float32, error) {
	if len(imgs) == 0 {
		return nil, nil
	}
	kind := views.Kind{Channels: len(m.Mean), Deep: slices.ContainsFunc(imgs, func(m *images.Image) bool { return m != nil && m.Deep() })}
	t, err := views.NewCenterCrop(m.Size, m.Size, kind, views.Bilinear)
	if err != nil {
		return nil, err
	}
	c := views.DefaultLoaderConfig()
	c.BatchSize, c.InOrder, c.MaxBroken = embedBatch, true, 0
	loader, err := views.NewLoader(ctx, memory(imgs), t, c)
	if err != nil {
		return nil, err
	}
	defer loader.Close()
	all := make([][]float32, 0, len(imgs))
	for {
		b, err := loader.Next(ctx)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		g := b.Groups[0]
		rows, err := m.run(ctx, func(s *torch.Scope) torch.Tensor {
			return Normalise(s, &g, b.Rows(), m.Mean, m.Std).Select(0, 0)
		})
		if err != nil {
			return nil, err
		}
		for dim := len(rows) / b.Rows(); len(rows) > 0; rows = rows[dim:] {
			all = append(all, rows[:dim:dim])
		}
	}
}

// Pixels returns the embeddings [n, Dim] of images that are prepared already: x is [n, c, h, w] in C order.
func (m *Model) Pixels(ctx context.Context, x []float32, n, c, h, w int) ([]float32, error) {
	if len(x) != n*c*h*w {
		return nil, fmt.Errorf("vision: %d values: expected %d, for %d images of %d channels and %d×%d pixels", len(x), n*c*h*w, n, c, h, w)
	}
	return m.run(ctx, func(s *torch.Scope) torch.Tensor {
		return s.FromFloat32(x, int64(n), int64(c), int64(h), int64(w))
	})
}

// run encodes what input makes, without gradient.
func (m *Model) run(ctx context.Context, input func(s *torch.Scope) torch.Tensor) (y []float32, err error) {
	err = m.Thread.Do(ctx, func(s *torch.Scope) {
		dtype := torch.Float32
		if m.BF16 {
			dtype = torch.BFloat16
		}
		s.NoGrad(func() {
			x := input(s)
			s.Autocast(dtype, func() { y = m.Encoder.Forward(s, x, nn.Pass{}).Float32s() })
		})
	})
	return y, err
}

// memory is a source of images that are decoded already.
type memory []*images.Image

func (m memory) Len() int { return len(m) }

func (m memory) Image(_ context.Context, i int) (*images.Image, error) { return m[i], nil }

func (m memory) Name(i int) string { return fmt.Sprint("image ", i) }
