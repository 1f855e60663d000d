package report

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	"image/jpeg"
	"image/png"

	"golang.org/x/image/draw"
)

// Pictures are shown about a hundred pixels wide. Larger ones are shrunk; the pixels of small ones are shown as squares. Those
// that are not small are JPEG where that is the smaller.
const (
	largest   = 144
	pixelated = 48
	quality   = 82
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
	kind, data := "png", b.Bytes()
	small := max(img.Bounds().Dx(), img.Bounds().Dy()) <= pixelated
	if !small {
		var lossy bytes.Buffer
		if err := jpeg.Encode(&lossy, img, &jpeg.Options{Quality: quality}); err != nil {
			return thumbnail{}, fmt.Errorf("%s: %w", p.Name, err)
		}
		if lossy.Len() < len(data) {
			kind, data = "jpeg", lossy.Bytes()
		}
	}
	return thumbnail{
		Source:    template.URL("data:image/" + kind + ";base64," + base64.StdEncoding.EncodeToString(data)),
		Name:      p.Name,
		Label:     p.Label,
		Pixelated: small,
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
