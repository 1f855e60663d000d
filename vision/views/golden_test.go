package views

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/vision/images"
)

// What scripts/golden/views.py wrote of torchvision's output.
type golden struct {
	Sources map[string]goldenImage
	Cases   []goldenCase
}

type goldenImage struct {
	C, H, W int
	Pix     string
}

type goldenCase struct {
	Op, Src, Kind      string
	Out                goldenImage
	Rect               [4]int // top, left, height, width
	Size, Resize       int
	FlipH, FlipV, Grey bool
	X                  float64
	Kernel             int
	Order              [4]int
	Factors            [4]float64
	Solarize           bool
}

func (g goldenImage) image(t testing.TB) *images.Image {
	pix, err := base64.StdEncoding.DecodeString(g.Pix)
	require.NoError(t, err)
	m := &images.Image{Channels: g.C, Height: g.H, Width: g.W, Pix: pix}
	require.NoError(t, m.Check())
	return m
}

func readGolden(t testing.TB) golden {
	data, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	var g golden
	require.NoError(t, json.Unmarshal(data, &g))
	require.NotEmpty(t, g.Cases)
	return g
}

// square is the top left part of m that is as wide as high.
func square(m *images.Image) *images.Image {
	side := min(m.Height, m.Width)
	out := images.New(m.Channels, side, side)
	for c := range m.Channels {
		for y := range side {
			copy(out.Plane(c)[y*side:][:side], m.Plane(c)[y*m.Width:])
		}
	}
	return out
}

// run makes in Go what the case is of.
func (c goldenCase) run(t testing.TB, k kernels, src *images.Image) []uint8 {
	var kind Interpolation
	if c.Kind != "" {
		require.NoError(t, kind.UnmarshalText([]byte(c.Kind)))
	}
	pix := append([]uint8(nil), src.Pix...)
	part := rect{c.Rect[0], c.Rect[1], c.Rect[2], c.Rect[3]}
	switch c.Op {
	case "crop":
		z := resizer{kernels: k}
		out := make([]uint8, src.Channels*c.Size*c.Size)
		z.crop(out, src, part, c.Size, c.Size, rect{height: c.Size, width: c.Size}, kind, c.FlipH, c.FlipV)
		return out
	case "brightness":
		brightness(k, pix, c.X)
	case "contrast":
		contrast(k, pix, src.Channels, c.X)
	case "saturation":
		saturation(k, pix, c.X)
	case "hue":
		hue(k, pix, c.X)
	case "grey":
		greyscale(k, pix)
	case "solarize":
		k.solarize(pix, int(c.X))
	case "blur":
		var z blurrer
		s := square(src)
		z.blur(k, s.Pix, s.Width, c.Kernel, c.X)
		return s.Pix
	case "view":
		cfg := Paper()
		cfg.Global.Size, cfg.Global.Interpolation = c.Size, kind
		cfg = cfg.For(Kind{Channels: src.Channels})
		on := newByteCanvas(k)
		on.pix = make([]uint8, src.Channels*c.Size*c.Size)
		on.start(src, part, c.Size, kind, true, false)
		cfg.apply(on, params{
			jitter: true, order: c.Order, factors: c.Factors, grey: c.Grey && src.Channels == 3, sigma: c.X, solarize: c.Solarize,
		})
		return on.pix
	case "centre":
		crop, err := NewCenterCrop(c.Resize, c.Size, Kind{Channels: src.Channels}, kind)
		require.NoError(t, err)
		b := NewBatch(1, crop.Layout())
		require.NoError(t, crop.NewWorker().Generate(src, 0, 0, b, 0))
		return b.Groups[0].Pix
	default:
		t.Fatalf("unknown case %q", c.Op)
	}
	return pix
}

// tolerance is how far bytes may be from torchvision's: the share of samples that may differ, and by how many levels. What
// is not listed is the same arithmetic and must be equal. Blur depends on the machine's exponential. Hue is computed in
// another way, so that a few numbers fall on the other side of where they are cut; so it is for a view that has it.
var tolerance = map[string]struct {
	share float64
	most  int
}{
	"blur": {0.001, 1}, "hue": {0.001, 1}, "view": {0.001, 1},
}

func TestGolden(t *testing.T) {
	g := readGolden(t)
	sources := map[string]*images.Image{}
	for name, s := range g.Sources {
		sources[name] = s.image(t)
	}
	type worst struct {
		share float64
		most  int
		cases int
	}
	seen := map[string]worst{}
	for i, c := range g.Cases {
		t.Run(fmt.Sprintf("%d %s %s", i, c.Op, c.Src), func(t *testing.T) {
			src := sources[c.Src]
			before := append([]uint8(nil), src.Pix...)
			got, want := c.run(t, fastest(), src), c.Out.image(t)
			for name, k := range allKernels() {
				require.Equal(t, got, c.run(t, k, src), name)
			}
			require.Equal(t, before, src.Pix, "the source must stay as it is")
			require.Len(t, got, len(want.Pix))
			differ, most := 0, 0
			for i, w := range want.Pix {
				if d := int(got[i]) - int(w); d != 0 {
					differ++
					most = max(most, d, -d)
				}
			}
			share := float64(differ) / float64(len(got))
			tol := tolerance[c.Op]
			assert.LessOrEqual(t, share, tol.share, "share of samples that differ")
			assert.LessOrEqual(t, most, tol.most, "levels of difference")
			w := seen[c.Op]
			seen[c.Op] = worst{max(w.share, share), max(w.most, most), w.cases + 1}
		})
	}
	for op, w := range seen {
		t.Logf("%s: %d cases, at most %.3f %% of samples differ, by at most %d", op, w.cases, 100*w.share, w.most)
	}
	assert.Len(t, seen, 10, "every operation must be met")
}
