package report

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	"image/png"

	"golang.org/x/image/draw"
)

// Pictures are shown about a hundred pixels wide, on screens that may have two pixels to one. Larger ones are shrunk;
// the pixels of small ones are shown as squares.
const (
	largest   = 200
	pixelated = 48
)

// newThumbnail makes the picture part of the page.
func newThumbnail(p Picture) (thumbnail, error) {
	if p.Image == nil || p.Image.Bounds().Empty() {
		return thumbnail{}, fmt.Errorf("%s: it has no image", p.Name)
	}
	img := shrink(p.Image)
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return thumbnail{}, fmt.Errorf("%s: %w", p.Name, err)
	}
	return thumbnail{
		Source:    template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes())),
		Name:      p.Name,
		Label:     p.Label,
		Pixelated: max(img.Bounds().Dx(), img.Bounds().Dy()) <= pixelated,
	}, nil
}

// shrink returns an image of at most largest pixels on its longer side.
func shrink(img image.Image) image.Image {
	from := img.Bounds()
	longer := max(from.Dx(), from.Dy())
	if longer <= largest {
		return img
	}
	to := image.NewRGBA(image.Rect(0, 0, max(1, from.Dx()*largest/longer), max(1, from.Dy()*largest/longer)))
	draw.CatmullRom.Scale(to, to.Bounds(), img, from, draw.Src, nil)
	return to
}
