package views

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/vision/images"
)

// floatImage is an image of floats in testdata/alone.json.
func (g goldenImage) floatImage(t testing.TB) *images.Image {
	data, err := base64.StdEncoding.DecodeString(g.Pix)
	require.NoError(t, err)
	m := images.NewFloat(g.C, g.H, g.W)
	require.Len(t, data, 2*len(m.Float))
	for i := range m.Float {
		m.Float[i] = float32(float64(binary.LittleEndian.Uint16(data[2*i:]))/20000 - 1)
	}
	return m
}

type aloneCase struct {
	goldenCase
	Type       string
	Fill, Mean float64
	Smooth     bool
	Quarters   int
	Mirror     bool
	Normals    []float32
}

// run does what the case is of on a canvas.
func (c aloneCase) run(t testing.TB, on canvas) {
	switch c.Op {
	case "crop", "flip": // by start
	case "turn":
		on.turn(c.Quarters, c.Mirror)
	case "rotate":
		on.rotate(c.X, c.Smooth, c.Fill)
	case "noise":
		normals := slices.Clone(c.Normals)
		for i := range normals {
			normals[i] /= 1024
		}
		on.(interface {
			addNoise(at int, z []float32, mean, sigma float64)
		}).addNoise(0, normals, c.Mean, c.X)
	case "brightness":
		on.brightness(c.X)
	case "contrast":
		on.contrast(c.X)
	case "saturation":
		on.saturation(c.X)
	case "hue":
		on.hue(c.X)
	case "grey":
		on.grey()
	case "solarize":
		on.solarize(int(c.X))
	case "blur":
		on.blur(c.Kernel, c.X)
	default:
		t.Fatalf("unknown case %q", c.Op)
	}
}

// TestAlone holds each augmentation on its own to torchvision's: floats to 1e-3 at most, bytes to equality, but for
// rotations, where a sum may be rounded to the other side, and a sample that lies in the middle between two may be
// either.
func TestAlone(t *testing.T) {
	data, err := os.ReadFile("testdata/alone.json")
	require.NoError(t, err)
	var g struct {
		Floats, Bytes map[string]goldenImage
		Cases         []aloneCase
	}
	require.NoError(t, json.Unmarshal(data, &g))
	seen, worst := map[string]int{}, map[string]float64{}
	for i, c := range g.Cases {
		t.Run(fmt.Sprintf("%d %s %s %s", i, c.Op, c.Src, c.Type), func(t *testing.T) {
			seen[c.Op+" "+c.Type]++
			var m *images.Image
			if c.Type == "float" {
				m = g.Floats[c.Src].floatImage(t)
			} else {
				m = g.Bytes[c.Src].image(t)
			}
			part, size := rect{height: m.Height, width: m.Width}, m.Height
			var kind Interpolation
			if c.Op == "crop" {
				part, size = rect{c.Rect[0], c.Rect[1], c.Rect[2], c.Rect[3]}, c.Size
				require.NoError(t, kind.UnmarshalText([]byte(c.Kind)))
			}
			if c.Type == "float" {
				on := newFloatCanvas(fastest())
				on.pix = make([]float32, m.Channels*size*size)
				on.start(m, part, size, kind, c.FlipH, c.FlipV)
				c.run(t, on)
				want := c.Out.floatImage(t)
				require.Len(t, on.pix, len(want.Float))
				far := 0
				for i, w := range want.Float {
					d := math.Abs(float64(on.pix[i] - w))
					if d > 1e-3 {
						far++
					}
					worst[c.Op] = max(worst[c.Op], d)
				}
				allowed := 0
				if c.Op == "rotate" && !c.Smooth {
					allowed = len(want.Float) / 100
				}
				assert.LessOrEqual(t, far, allowed, "samples that are off by more than 1e-3")
				return
			}
			on := newByteCanvas(fastest())
			on.pix = make([]uint8, m.Channels*size*size)
			on.start(m, part, size, kind, c.FlipH, c.FlipV)
			c.run(t, on)
			want := c.Out.image(t)
			require.Len(t, on.pix, len(want.Pix))
			differ, most := 0, 0
			for i, w := range want.Pix {
				if d := max(int(on.pix[i])-int(w), int(w)-int(on.pix[i])); d > 0 {
					differ, most = differ+1, max(most, d)
				}
			}
			if c.Op != "rotate" {
				assert.Zero(t, most)
				return
			}
			assert.LessOrEqual(t, float64(differ)/float64(len(want.Pix)), 0.01, "share of samples that differ")
			if c.Smooth {
				assert.LessOrEqual(t, most, 1)
			}
		})
	}
	t.Log(worst)
	assert.Len(t, seen, 15, "%v", seen)
}

// TestBeyondWhite: what is beyond 0 and 1 before brightness, contrast, saturation and noise may stay there, and within it
// they clamp as torchvision does.
func TestBeyondWhite(t *testing.T) {
	m := images.NewFloat(1, 2, 2)
	copy(m.Float, []float32{-0.5, 0.4, 0.9, 3})
	on := newFloatCanvas(fastest())
	on.pix = make([]float32, 4)
	on.start(m, rect{height: 2, width: 2}, 2, Bilinear, false, false)
	on.brightness(2)
	assert.Equal(t, []float32{-0.5, 0.8, 1.8, 3}, on.pix)

	m.Float[0], m.Float[3] = 0, 1
	on.start(m, rect{height: 2, width: 2}, 2, Bilinear, false, false)
	on.brightness(2)
	assert.Equal(t, []float32{0, 0.8, 1, 1}, on.pix)
}

// TestBytesAndFloatsAgree: a pipeline of floats makes of an image of 8 bits nearly what one of bytes makes: all that is
// drawn is the same, and only the rounding between steps differs.
func TestBytesAndFloatsAgree(t *testing.T) {
	for _, channels := range []int{1, 3, 5} {
		c := small()
		c.Local.Interpolation = Bicubic
		c.Dihedral, c.Rotation = 0.5, RotationConfig{P: 0.5, Degrees: 40, Smooth: true, Fill: 0.3}
		c.DropChannels = DropConfig{P: 0.3, Most: 2, Fill: 0.5}
		c.Solarize.P = 0 // a sample beside the threshold may fall on either side
		c.Noise = NoiseConfig{P: 0.5, Sigma: [2]float64{0.01, 0.1}}
		k := Kind{Channels: channels}
		c = c.For(k)
		bytes, err := New(c, k, 7)
		require.NoError(t, err)
		k.Deep = true
		floats, err := New(c, k, 7)
		require.NoError(t, err)
		m := textured(channels, 40, 50, 1)
		wb, wf := bytes.NewWorker(), floats.NewWorker()
		b, f := NewBatch(1, bytes.Layout()), NewBatch(1, floats.Layout())
		sum, n := 0.0, 0.0
		for sample := range uint64(20) {
			require.NoError(t, wb.Generate(m, 0, sample, b, 0))
			require.NoError(t, wf.Generate(m, 0, sample, f, 0))
			for g := range b.Groups {
				require.Nil(t, f.Groups[g].Pix)
				require.Nil(t, b.Groups[g].Float)
				require.Len(t, f.Groups[g].Float, len(b.Groups[g].Pix))
				for i, v := range b.Groups[g].Pix {
					sum += math.Abs(float64(v)/255 - float64(f.Groups[g].Float[i]))
					n++
				}
			}
		}
		// Bytes are rounded down by each step of colour jitter.
		assert.Less(t, sum/n, 1.5/255, "%d channels: mean difference", channels)
	}
}

func TestDeepImagesAndKinds(t *testing.T) {
	c := small().For(Kind{Channels: 2})
	plain, err := New(c, Kind{Channels: 2}, 7)
	require.NoError(t, err)
	deep, err := New(c, Kind{Channels: 2, Deep: true}, 7)
	require.NoError(t, err)
	m := images.NewFloat(2, 9, 9)
	err = plain.NewWorker().Generate(m, 0, 0, NewBatch(1, plain.Layout()), 0)
	assert.ErrorContains(t, err, "image has float samples, expected 8 bits")
	require.NoError(t, deep.NewWorker().Generate(m, 0, 0, NewBatch(1, deep.Layout()), 0))
	m.Float[3] = float32(math.NaN())
	err = deep.NewWorker().Generate(m, 0, 0, NewBatch(1, deep.Layout()), 0)
	assert.ErrorContains(t, err, "infinite or no numbers")

	// The transform of evaluation, of floats and of bytes.
	crop, err := NewCenterCrop(8, 6, Kind{Channels: 2, Deep: true}, Bilinear)
	require.NoError(t, err)
	bytes, err := NewCenterCrop(8, 6, Kind{Channels: 2}, Bilinear)
	require.NoError(t, err)
	b, f := NewBatch(1, bytes.Layout()), NewBatch(1, crop.Layout())
	require.NoError(t, bytes.NewWorker().Generate(textured(2, 20, 15, 3), 0, 0, b, 0))
	require.NoError(t, crop.NewWorker().Generate(textured(2, 20, 15, 3), 0, 0, f, 0))
	for i, v := range b.Groups[0].Pix {
		assert.InDelta(t, float64(v)/255, f.Groups[0].Float[i], 1.01/255)
	}

	// Rows are dropped from floats too.
	three := NewBatch(3, deep.Layout())
	for i := range three.Groups[0].Float {
		three.Groups[0].Float[i] = float32(i)
	}
	n := three.Groups[0].samples()
	three.keep([]int{0, 2})
	assert.Equal(t, float32(2*n), three.FloatView(0, 0, 1)[0])
	assert.Equal(t, float32(3*n), three.FloatView(0, 1, 0)[0])
}
