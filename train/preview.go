package train

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"slices"

	"golang.org/x/image/draw"

	"github.com/gojepa/gojepa/eval/look"
	"github.com/gojepa/gojepa/internal/atomicfile"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/train/report"
	"github.com/gojepa/gojepa/vision/views"
)

// The sheet that Preview makes.
const (
	previewed   = 8   // images
	previewCell = 160 // pixels that an image or a view has at most
)

// Preview writes a picture (PNG) of what a run of cfg would be trained on: a row for each of some images, drawn by the seed,
// with the image and then its views in the first epoch, global ones first, as large as they are up to 160 pixels. Images of
// 3 channels are shown in colour, others by their first channel. What the file of encoder.init says of sizes is as in a run.
// Nothing is trained, and no run is made or changed.
func Preview(ctx context.Context, cfg config.Config, path string, opts ...Option) error {
	r := newRun(opts)
	device, err := deviceOf(cfg)
	if err != nil {
		return err
	}
	cfg.Data.Index = "none"
	if err := r.prepare(ctx, cfg, true, device, cfg.Out, func(string) {}); err != nil {
		return err
	}
	if err := r.reseed(); err != nil {
		return err
	}
	sheet, err := r.preview(ctx)
	if err != nil {
		return err
	}
	if err := atomicfile.Write(path, func(w io.Writer) error { return png.Encode(w, sheet) }); err != nil {
		return fmt.Errorf("preview: %w", err)
	}
	return nil
}

// preview draws the sheet.
func (r *run) preview(ctx context.Context) (image.Image, error) {
	all, err := r.viewRows(ctx, previewed)
	if err != nil {
		return nil, err
	}
	rows := make([][]image.Image, len(all))
	for i, row := range all {
		for _, p := range slices.Concat([]report.Picture{row.Image}, row.Global, row.Local) {
			rows[i] = append(rows[i], thumbnail(p.Image))
		}
	}
	if len(rows) == 0 {
		return nil, errors.New("preview: there are no images")
	}
	return look.Arrange(rows), nil
}

// viewsOf are the views of a row, as large as they are up to the size of a cell.
func viewsOf(b *views.Batch, row int) (all []image.Image) {
	for g, l := range b.Groups {
		for v := range l.Views {
			all = append(all, thumbnail(viewImage(b, g, v, row)))
		}
	}
	return all
}

// thumbnail is m, made smaller if it is larger than a cell.
func thumbnail(m image.Image) image.Image {
	size := m.Bounds().Size()
	long := max(size.X, size.Y)
	if long <= previewCell {
		return m
	}
	out := image.NewRGBA(image.Rect(0, 0, max(1, size.X*previewCell/long), max(1, size.Y*previewCell/long)))
	draw.CatmullRom.Scale(out, out.Bounds(), m, m.Bounds(), draw.Src, nil)
	return out
}
