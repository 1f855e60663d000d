package look

import (
	"image"
	"image/color"

	"golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"github.com/gojepa/gojepa/vision/images"
)

// Thumbnail is the [Picture] of an image with a longer side of so many pixels.
func Thumbnail(m *images.Image, side int) image.Image {
	long := max(m.Width, m.Height)
	return Scale(Picture(m), max(1, m.Width*side/long), max(1, m.Height*side/long), long > side)
}

// Caption puts a line of text below a picture, on white. The text is cut to what the picture's width has room for, and the picture
// is never less wide than least pixels.
func Caption(m image.Image, least int, text string) image.Image {
	face := basicfont.Face7x13
	size := m.Bounds().Size()
	width := max(size.X, least)
	out := image.NewRGBA(image.Rect(0, 0, width, size.Y+face.Height+2))
	draw.Draw(out, out.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
	draw.Draw(out, image.Rect(0, 0, size.X, size.Y), m, m.Bounds().Min, draw.Src)
	if letters := []rune(text); len(letters) > width/face.Advance {
		text = string(letters[:width/face.Advance])
	}
	pen := font.Drawer{Dst: out, Src: image.NewUniform(color.Black), Face: face, Dot: fixed.P(0, size.Y+1+face.Ascent)}
	pen.DrawString(text)
	return out
}
