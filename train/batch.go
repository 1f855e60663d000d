package train

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"path/filepath"
	"strconv"

	"github.com/gojepa/gojepa/eval/look"
	"github.com/gojepa/gojepa/internal/atomicfile"
	"github.com/gojepa/gojepa/torch/weights"
	"github.com/gojepa/gojepa/vision/images"
	"github.com/gojepa/gojepa/vision/views"
)

// The files that tell of one step's batch.
const (
	batchFile = "step.json"         // which images, of which step
	viewsFile = "views.safetensors" // the views, exactly
	sheetRows = 32                  // images of a picture of views
)

// batchInfo is step.json.
type batchInfo struct {
	Step    int      `json:"step"`  // 1 being the first
	Epoch   int      `json:"epoch"` // 0 being the first
	Seed    uint64   `json:"seed"`  // what names the step's random streams
	Samples []int    `json:"samples"`
	Files   []string `json:"files"`

	Captions []string `json:"captions,omitempty"` // of a run on captions, "" for an image without
}

// writeBatch writes into a folder which images a step saw, their views as pictures (views-000.png …, a row for each image, the
// image first) and as tensors: "views.0" and so on, [views, images, channels, size, size] with 0 to 255 or, if they are floats, 0
// to 1, and "samples", the images' numbers. Of captions it writes the ids of their views, "texts" [views, captions, tokens] with -1 beyond
// the end of each, and "texts.rows", the rows of the images that they belong to.
func writeBatch(ctx context.Context, dir string, src images.Source, b *views.Batch, step int, seed uint64) error {
	info := batchInfo{Step: step, Epoch: b.Epoch, Seed: seed, Samples: b.Samples, Files: names(b)}
	if t, ok := b.Beside.(captioned); ok {
		for _, c := range t.written {
			info.Captions = append(info.Captions, c.Text)
		}
	}
	text, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return fmt.Errorf("writing a batch: %w", err)
	}
	if err := atomicfile.Write(filepath.Join(dir, batchFile), func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	}); err != nil {
		return fmt.Errorf("writing a batch: %w", err)
	}
	if err := weights.SaveChecked(filepath.Join(dir, viewsFile), viewEntries(b), map[string]string{
		"gojepa.step": strconv.Itoa(step), "gojepa.seed": strconv.FormatUint(seed, 10),
	}); err != nil {
		return fmt.Errorf("writing a batch: %w", err)
	}
	for from := 0; from < b.Rows(); from += sheetRows {
		var rows [][]image.Image
		for row := from; row < min(from+sheetRows, b.Rows()); row++ {
			whole := image.Image(image.NewRGBA(image.Rect(0, 0, 1, 1))) // where it cannot be read any more
			if m, err := src.Image(ctx, b.Samples[row]); err == nil {
				whole = thumbnail(look.Picture(m))
			}
			rows = append(rows, append([]image.Image{whole}, viewsOf(b, row)...))
		}
		path := filepath.Join(dir, fmt.Sprintf("views-%03d.png", from/sheetRows))
		if err := atomicfile.Write(path, func(w io.Writer) error { return png.Encode(w, look.Arrange(rows)) }); err != nil {
			return fmt.Errorf("writing a batch: %w", err)
		}
	}
	return nil
}

// viewEntries are a batch's views and samples as tensors.
func viewEntries(b *views.Batch) []weights.Entry {
	var all []weights.Entry
	for i, g := range b.Groups {
		info := weights.Info{Name: fmt.Sprintf("views.%d", i), DType: weights.U8,
			Shape: []int64{int64(g.Views), int64(b.Rows()), int64(g.Channels), int64(g.Size), int64(g.Size)}}
		if !g.Deep {
			all = append(all, weights.NewEntry(info, g.Pix))
			continue
		}
		info.DType = weights.F32
		all = append(all, weights.Entry{Info: info, WriteData: func(w io.Writer) error { return binary.Write(w, binary.LittleEndian, g.Float) }})
	}
	samples := make([]int64, b.Rows())
	for i, s := range b.Samples {
		samples[i] = int64(s)
	}
	integers := func(name string, values []int64, shape ...int64) {
		all = append(all, weights.Entry{Info: weights.Info{Name: name, DType: weights.I64, Shape: shape},
			WriteData: func(w io.Writer) error { return binary.Write(w, binary.LittleEndian, values) }})
	}
	integers("samples", samples, int64(b.Rows()))
	if t := textsOf(b); t.Rows() > 0 {
		ids, length := t.Padded(0, t.Rows())
		integers("texts", ids, int64(t.Count), int64(len(t.Samples)), int64(length))
		rows := make([]int64, len(t.Samples))
		for i, row := range t.Samples {
			rows[i] = int64(row)
		}
		integers("texts.rows", rows, int64(len(rows)))
	}
	return all
}
