package train

import (
	"context"
	"errors"
	"fmt"
	"image"
	"slices"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/eval/look"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/train/report"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/images"
)

const (
	mappedImages = 9   // that the page shows maps of
	mapSide      = 144 // pixels of the longer side of a picture on the page
)

// showMaps puts maps of some images, and the embeddings of the last evaluation in a plane, on the page. A run does not end for
// want of them.
func (r *run) showMaps(ctx context.Context) error {
	if !r.cfg.Maps || r.online.features.N == 0 {
		return nil
	}
	maps, err := r.maps(ctx)
	if err != nil {
		r.printf("the page shows no maps: %v\n", err)
	}
	plane, err := Projection(ctx, r.th, r.online.features.Features)
	if err != nil {
		r.printf("the page shows no projection of the embeddings: %v\n", err)
	}
	r.board.Set(func(p *report.Report) { p.Maps, p.Projection = maps, plane })
	return ctx.Err()
}

// maps are those of some images of the last evaluation; nil if the encoder has none.
func (r *run) maps(ctx context.Context) (*report.Maps, error) {
	e, ok := r.model.Encoder.(*vision.Encoder)
	if !ok || e.Scripted() {
		return nil, nil
	}
	rows, shown, err := r.mapped(ctx)
	if err != nil {
		return nil, err
	}
	var m *look.Maps
	if err := r.with(ctx, r.optimiser, func() error {
		m, err = look.MapsOf(ctx, r.th, e, shown, r.mean, r.std)
		return err
	}); err != nil {
		return nil, err
	}
	if m.Side < 2 {
		return nil, nil
	}
	colours, err := look.Colours(ctx, r.th, m.Tokens, m.N, m.Side, m.Side)
	if err != nil {
		return nil, err
	}
	page := &report.Maps{Weights: m.Of}
	for i, img := range shown {
		name := r.online.test.Name(r.online.features.Samples[rows[i]])
		under := look.Thumbnail(img, mapSide)
		size := under.Bounds().Size()
		show := func(what string, p image.Image) report.Picture { return report.Picture{Image: p, Name: what + name} }
		page.Rows = append(page.Rows, report.MapRow{
			Image:      show("", look.Picture(img)),
			Components: show("components of ", look.Scale(colours[i], size.X, size.Y, true)),
			Weights:    show("weights of ", look.Heat(m.Map(i, -1), m.Side, under)),
		})
	}
	return page, nil
}

// mapped are some images of the last evaluation, evenly over it, as the encoder sees them, and their rows in its features.
func (r *run) mapped(ctx context.Context) (rows []int, shown []*images.Image, err error) {
	test, f := r.online.test, r.online.features
	kept := test.kept
	rows = images.Evenly(mappedImages, f.N)
	some := images.Subset{Source: test}
	for _, row := range rows {
		some.Index = append(some.Index, f.Samples[row])
	}
	if kept == nil {
		if kept, err = eval.Prepare(ctx, some, r.extraction()); err != nil {
			return nil, nil, err
		}
	}
	for i, row := range rows {
		if test.kept == nil {
			row = i
		}
		m := kept.Image(row)
		if m == nil { // it could be read for the features
			return nil, nil, errors.New("images of the last evaluation cannot be read any more")
		}
		shown = append(shown, m)
	}
	return rows, shown, nil
}

// Projection is the plane of features in which their variance is largest, by principal components, with the classes of
// those that have one. Nil if there are fewer than two samples or features.
func Projection(ctx context.Context, th *torch.Thread, f eval.Features) (*report.Scatter, error) {
	if f.D < 2 || f.N < 2 {
		return nil, nil
	}
	p, err := look.NewPCA(ctx, th, f.X, f.D, 2)
	if err != nil {
		return nil, err
	}
	axis := func(name string, i int) string {
		if p.Total == 0 {
			return name
		}
		return fmt.Sprintf("%s, with %s of the variance", name, percent(p.Variance[i]/p.Total))
	}
	s := &report.Scatter{XLabel: axis("first", 0), YLabel: axis("second", 1)}
	for at := range slices.Chunk(p.Project(f.X), 2) {
		s.X, s.Y = append(s.X, at[0]), append(s.Y, at[1])
	}
	if len(f.Classes) == 0 {
		return s, nil
	}
	for _, l := range f.Labels {
		name := ""
		if l >= 0 {
			name = f.Classes[l]
		}
		s.Labels = append(s.Labels, name)
	}
	return s, nil
}
