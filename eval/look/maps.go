// Package look makes pictures of what an encoder makes of images: principal components of patch tokens, attention, and
// sheets of pictures.
package look

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"

	"golang.org/x/image/draw"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/images"
	"github.com/gojepa/gojepa/vision/views"
)

// Maps are what an encoder makes of the places of square images.
type Maps struct {
	N, Side int       // images, and tokens along each side
	Tokens  []float32 // [N, Side·Side, D], those of [vision.Encoder.Tokens] without class token and registers, or a finer level's

	// Weights [N, Heads, Side·Side] add up to 1 over each map. Of says what they are.
	Heads   int
	Weights []float32
	Of      string
}

// What Maps.Weights are.
const (
	ClassAttention = "attention of the class token in the last block"
	MeanAttention  = "attention in the last block, mean over all patches: the encoder has no class token"
	Energy         = "length of the tokens: the encoder has no attention over the whole image"
)

// finest is how many tokens along each side say something of places. An encoder without attention that pools fewer has maps of
// the last of its levels that has as many.
const finest = 4

// NewMaps encodes x [N, C, S, S], normalised pixels, without gradient. Attention is that to patches: what class token and
// registers take is left out, and the rest scaled to a sum of 1.
func NewMaps(s *torch.Scope, e *vision.Encoder, x torch.Tensor) (*Maps, error) {
	m := &Maps{N: int(x.Size(0))}
	var err error
	s.NoGrad(func() {
		prefix := int64(e.Prefix())
		var tokens, last torch.Tensor
		if e.Attends() {
			tokens, last = e.LastAttention(s, x, nn.Pass{})
		} else {
			tokens = levelTokens(s, e, x)
		}
		places := tokens.Size(1) - prefix
		m.Side = int(math.Round(math.Sqrt(float64(places))))
		if int64(m.Side*m.Side) != places {
			err = fmt.Errorf("look: %d tokens of an image: expected a square", places)
			return
		}
		m.Tokens = tokens.Narrow(1, prefix, places).Contiguous().To(torch.Float32).Float32s()
		if !e.Attends() {
			m.Heads, m.Of = 1, Energy
			m.Weights = lengths(m.Tokens, int(tokens.Size(2)))
		} else {
			last = last.To(torch.Float32)
			m.Heads = int(last.Size(1))
			var rows torch.Tensor
			if e.Params().Get("cls_token") != nil {
				m.Of, rows = ClassAttention, last.Narrow(2, 0, 1)
			} else {
				m.Of, rows = MeanAttention, last.Narrow(2, prefix, places).MeanDim(2, true)
			}
			m.Weights = rows.Narrow(3, prefix, places).Float32s()
		}
	})
	if err != nil {
		return nil, err
	}
	for of := range slices.Chunk(m.Weights, m.Side*m.Side) {
		var sum float64
		for _, v := range of {
			sum += float64(v)
		}
		for i := range of {
			if sum > 0 {
				of[i] = float32(float64(of[i]) / sum)
			}
		}
	}
	return m, nil
}

// levelTokens are an encoder's tokens [N, h·w, c] or, where these are few, those of the last of its levels that is fine enough.
func levelTokens(s *torch.Scope, e *vision.Encoder, x torch.Tensor) torch.Tensor {
	tokens := e.Tokens(s, x, nn.Pass{})
	if tokens.Size(1) >= finest*finest {
		return tokens
	}
	for _, m := range slices.Backward(e.Features(s, x, nn.Pass{})) {
		if min(m.Size(2), m.Size(3)) >= finest {
			return m.Flatten(2, 3).Transpose(1, 2)
		}
	}
	return tokens
}

// MapsOf is [NewMaps] of prepared images on th: square, of one size, with the channels that mean and std are of, all of them deep
// or none. Samples are normalised.
func MapsOf(ctx context.Context, th *torch.Thread, e *vision.Encoder, all []*images.Image, mean, std []float64) (*Maps, error) {
	if len(all) == 0 {
		return nil, errors.New("look: maps of no images")
	}
	first := all[0]
	g := views.Group{Layout: views.Layout{Views: 1, Channels: first.Channels, Size: first.Width, Deep: first.Deep()}}
	for i, m := range all {
		if m.Width != g.Size || m.Height != g.Size || m.Channels != len(mean) || m.Deep() != g.Deep {
			return nil, fmt.Errorf("look: image %d has %d channels of %d×%d samples, deep: %v; expected %d of %d×%d, deep: %v",
				i, m.Channels, m.Height, m.Width, m.Deep(), len(mean), g.Size, g.Size, g.Deep)
		}
		g.Pix, g.Float = append(g.Pix, m.Pix...), append(g.Float, m.Float...)
	}
	var maps *Maps
	var failed error
	err := th.Do(ctx, func(s *torch.Scope) {
		maps, failed = NewMaps(s, e, vision.NormaliseRows(s, &g, 0, len(all), mean, std))
	})
	return maps, errors.Join(err, failed)
}

func lengths(x []float32, d int) (out []float32) {
	for row := range slices.Chunk(x, d) {
		var sum float64
		for _, v := range row {
			sum += float64(v) * float64(v)
		}
		out = append(out, float32(math.Sqrt(sum)))
	}
	return out
}

// Map is the weights [Side·Side] of a head for an image; of all heads on average if head is -1.
func (m *Maps) Map(img, head int) []float32 {
	size := m.Side * m.Side
	all := m.Weights[img*m.Heads*size : (img+1)*m.Heads*size]
	if head >= 0 {
		return all[head*size : (head+1)*size]
	}
	mean := make([]float32, size)
	for i, v := range all {
		mean[i%size] += v / float32(m.Heads)
	}
	return mean
}

// Heat lays a map of side×side weights over a picture: dark and blue where it is 0, as it is and red where it is largest.
func Heat(weights []float32, side int, under image.Image) image.Image {
	most := float64(slices.Max(weights))
	grid := image.NewGray(image.Rect(0, 0, side, side))
	for i, v := range weights {
		grid.Pix[i] = level(float64(v), 0, most)
	}
	size := under.Bounds().Size()
	fine := image.NewGray(image.Rect(0, 0, size.X, size.Y))
	draw.BiLinear.Scale(fine, fine.Bounds(), grid, grid.Bounds(), draw.Src, nil)
	out := image.NewRGBA(fine.Bounds())
	for y := range size.Y {
		for x := range size.X {
			r, g, b, _ := under.At(under.Bounds().Min.X+x, under.Bounds().Min.Y+y).RGBA()
			grey := (299*float64(r) + 587*float64(g) + 114*float64(b)) / 1000 / 257
			v := float64(fine.GrayAt(x, y).Y) / 255
			mix := func(hot float64) uint8 { return uint8(0.45*grey + 0.55*255*hot) }
			out.SetRGBA(x, y, color.RGBA{mix(v), mix(4 * v * (1 - v) * 0.8), mix((1 - v) * 0.7), 255})
		}
	}
	return out
}

// Scale is a picture of another size: pixels stay squares if smooth is false.
func Scale(m image.Image, width, height int, smooth bool) image.Image {
	out := image.NewRGBA(image.Rect(0, 0, width, height))
	var by draw.Scaler = draw.NearestNeighbor
	if smooth {
		by = draw.CatmullRom
	}
	by.Scale(out, out.Bounds(), m, m.Bounds(), draw.Src, nil)
	return out
}

// Picture turns planar samples into something to look at: RGB if there are three channels, otherwise the first as grey.
func Picture(m *images.Image) image.Image {
	out := image.NewRGBA(image.Rect(0, 0, m.Width, m.Height))
	sample := func(c, i int) uint8 {
		if m.Deep() {
			return uint8(255*min(max(m.FloatPlane(c)[i], 0), 1) + 0.5)
		}
		return m.Plane(c)[i]
	}
	colours := [3]int{}
	if m.Channels == 3 {
		colours = [3]int{0, 1, 2}
	}
	for i := range m.Height * m.Width {
		out.SetRGBA(i%m.Width, i/m.Width, color.RGBA{R: sample(colours[0], i), G: sample(colours[1], i), B: sample(colours[2], i), A: 255})
	}
	return out
}

// space is the pixels between pictures of a sheet.
const space = 4

// Arrange puts pictures into rows and columns, each as wide and as high as its largest, on white.
func Arrange(rows [][]image.Image) image.Image {
	var widths, heights []int
	for y, row := range rows {
		heights = append(heights, 0)
		for x, m := range row {
			if x == len(widths) {
				widths = append(widths, 0)
			}
			widths[x], heights[y] = max(widths[x], m.Bounds().Dx()), max(heights[y], m.Bounds().Dy())
		}
	}
	total := func(sizes []int) int {
		sum := space
		for _, s := range sizes {
			sum += s + space
		}
		return sum
	}
	sheet := image.NewRGBA(image.Rect(0, 0, total(widths), total(heights)))
	draw.Draw(sheet, sheet.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
	for y, row := range rows {
		for x, m := range row {
			at := image.Pt(total(widths[:x]), total(heights[:y]))
			draw.Draw(sheet, m.Bounds().Sub(m.Bounds().Min).Add(at), m, m.Bounds().Min, draw.Src)
		}
	}
	return sheet
}
