package views

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/vision/images"
)

// textured is an image with something in it.
func textured(channels, height, width int, seed uint64) *images.Image {
	r := rng.New(seed, rng.Sample, 9, 9)
	m := images.New(channels, height, width)
	for c := range channels {
		a, b := r.Float64()/4, r.Float64()/4
		for y := range height {
			for x := range width {
				m.Plane(c)[y*width+x] = uint8(128 + 100*math.Sin(a*float64(x)+b*float64(y)) + 20*r.Float64())
			}
		}
	}
	return m
}

// small is every augmentation on small views.
func small() Config {
	c := Paper()
	c.Global.Size, c.Local.Size, c.VerticalFlip = 20, 9, 0.3
	return c
}

func TestGenerateFollowsItsNameOnly(t *testing.T) {
	for _, channels := range []int{1, 3, 5} {
		p, err := New(small().For(Kind{Channels: channels}), Kind{Channels: channels}, 7)
		require.NoError(t, err)
		m := textured(channels, 40, 50, 1)
		pix := slices.Clone(m.Pix)
		views := func(w Worker, epoch, sample uint64, rows, row int) []uint8 {
			b := NewBatch(rows, p.Layout())
			require.NoError(t, w.Generate(m, epoch, sample, b, row))
			var all []uint8
			for g := range b.Groups {
				for v := range b.Groups[g].Views {
					all = append(all, b.View(g, v, row)...)
				}
			}
			require.Equal(t, pix, m.Pix)
			return all
		}
		w := p.NewWorker()
		base := views(w, 1, 2, 1, 0)
		assert.Equal(t, base, views(w, 1, 2, 5, 3), "neither the batch nor what came before matters")
		assert.Equal(t, base, views(p.NewWorker(), 1, 2, 1, 0), "nor the worker")
		assert.NotEqual(t, base, views(w, 2, 2, 1, 0), "epoch")
		assert.NotEqual(t, base, views(w, 1, 3, 1, 0), "sample")
		other, err := New(small().For(Kind{Channels: channels}), Kind{Channels: channels}, 8)
		require.NoError(t, err)
		assert.NotEqual(t, base, views(other.NewWorker(), 1, 2, 1, 0), "seed")

		// The views of one image differ from each other.
		n := channels * 20 * 20
		assert.NotEqual(t, base[:n], base[n:2*n])
	}
}

// TestStable pins some bytes, so that a change of what is drawn, which would change every run, is noticed.
func TestStable(t *testing.T) {
	p, err := New(small(), Kind{Channels: 3}, 42)
	require.NoError(t, err)
	b := NewBatch(1, p.Layout())
	require.NoError(t, p.NewWorker().Generate(textured(3, 40, 50, 1), 3, 5, b, 0))
	sum := uint32(2166136261) // FNV
	for _, g := range b.Groups {
		for _, v := range g.Pix {
			sum = (sum ^ uint32(v)) * 16777619
		}
	}
	assert.Equal(t, uint32(0x640cd111), sum)
}

func TestGenerateRefuses(t *testing.T) {
	p, err := New(small(), Kind{Channels: 3}, 7)
	require.NoError(t, err)
	b := NewBatch(1, p.Layout())
	assert.ErrorContains(t, p.NewWorker().Generate(textured(1, 9, 9, 1), 0, 0, b, 0), "image has 1 channels, expected 3")
	assert.ErrorContains(t, p.NewWorker().Generate(&images.Image{Channels: 3, Height: 1, Width: 1}, 0, 0, b, 0), "0 samples of 8 bits")
	_, err = New(small(), Kind{Channels: 0}, 7)
	assert.ErrorContains(t, err, "views.channels: 0, expected at least 1")
	_, err = New(Config{}, Kind{Channels: 3}, 7)
	assert.ErrorContains(t, err, "views.global.count")
}

// TestExtremeImages makes views of images of every small shape, and of very long ones.
func TestExtremeImages(t *testing.T) {
	c := small()
	c.Local.Interpolation = Bicubic
	p, err := New(c, Kind{Channels: 3}, 7)
	require.NoError(t, err)
	w, b := p.NewWorker(), NewBatch(1, p.Layout())
	for _, s := range [][2]int{{1, 1}, {1, 2}, {2, 1}, {3, 3}, {1, 500}, {500, 1}, {2, 3000}, {9, 9}, {700, 700}} {
		for sample := range uint64(20) {
			require.NoError(t, w.Generate(textured(3, s[0], s[1], 1), 0, sample, b, 0), "%v", s)
		}
	}
	// A constant image stays constant through crop, resize, flips and blur.
	c.Jitter.P, c.Grayscale, c.Solarize.P, c.Blur.P = 0, 0, 0, 1
	p, err = New(c, Kind{Channels: 3}, 7)
	require.NoError(t, err)
	flat := images.New(3, 31, 17)
	for i := range flat.Pix {
		flat.Pix[i] = 201
	}
	w = p.NewWorker()
	for sample := range uint64(50) {
		require.NoError(t, w.Generate(flat, 0, sample, b, 0))
		for _, g := range b.Groups {
			for _, v := range g.Pix {
				require.Equal(t, uint8(201), v)
			}
		}
	}
}

// TestAllocations: the random stream of an image is all that is allocated, whatever the number of views.
func TestAllocations(t *testing.T) {
	stream := testing.AllocsPerRun(50, func() { rng.New(1, rng.Views, 2, 3).Uint64() })
	require.LessOrEqual(t, stream, 2.0)
	for _, channels := range []int{1, 3, 5} {
		for _, crops := range [][2]int{{1, 0}, {2, 6}, {4, 12}} {
			c := small()
			c.Global.Count, c.Local.Count = crops[0], crops[1]
			c.Dihedral, c.Rotation.P, c.Noise.P, c.DropChannels.P = 0.5, 0.5, 0.5, 0.5
			p, err := New(c.For(Kind{Channels: channels}), Kind{Channels: channels}, 7)
			require.NoError(t, err)
			w, b, m := p.NewWorker(), NewBatch(1, p.Layout()), textured(channels, 60, 80, 1)
			sample := uint64(0)
			for ; sample < 300; sample++ { // scratch grows with the largest crop so far
				require.NoError(t, w.Generate(m, 0, sample, b, 0))
			}
			got := testing.AllocsPerRun(200, func() {
				sample = (sample + 1) % 300
				_ = w.Generate(m, 0, sample, b, 0)
			})
			assert.LessOrEqual(t, got, stream, "%d channels, %v views", channels, crops)
		}
	}
}

// TestSuits: saturation, hue and grey need three channels, solarizing a picture; all else works with any number, and the
// keys that do not are named before anything is made.
func TestSuits(t *testing.T) {
	plain := Config{Global: GlobalConfig{Count: 1, Size: 16, Scale: [2]float64{1, 1}, Ratio: [2]float64{1, 1}}}
	views := func(c Config, k Kind) any {
		p, err := New(c, k, 7)
		require.NoError(t, err)
		b := NewBatch(1, p.Layout())
		require.NoError(t, p.NewWorker().Generate(textured(k.Channels, 16, 16, 1), 0, 0, b, 0))
		if k.Deep {
			return b.Groups[0].Float
		}
		return b.Groups[0].Pix
	}
	alone := func(set func(c *Config)) Config {
		c := plain
		set(&c)
		return c
	}
	for _, channels := range []int{1, 2, 3, 5, 32} {
		for _, deep := range []bool{false, true} {
			k := Kind{Channels: channels, Deep: deep}
			for key, c := range map[string]struct {
				config Config
				works  bool
			}{
				"views.jitter.saturation":  {alone(func(c *Config) { c.Jitter = JitterConfig{P: 1, Saturation: 0.5} }), channels == 3},
				"views.jitter.hue":         {alone(func(c *Config) { c.Jitter = JitterConfig{P: 1, Hue: 0.4} }), channels == 3},
				"views.grayscale":          {alone(func(c *Config) { c.Grayscale = 1 }), channels == 3},
				"views.solarize.p":         {alone(func(c *Config) { c.Solarize = SolarizeConfig{P: 1, Threshold: 128} }), channels == 1 || channels == 3},
				"views.drop_channels.most": {alone(func(c *Config) { c.DropChannels = DropConfig{P: 1, Most: 1} }), channels > 1},
				"brightness":               {alone(func(c *Config) { c.Jitter = JitterConfig{P: 1, Brightness: 0.5} }), true},
				"contrast":                 {alone(func(c *Config) { c.Jitter = JitterConfig{P: 1, Contrast: 0.5} }), true},
				"blur":                     {alone(func(c *Config) { c.Blur = BlurConfig{P: 1, Kernel: 5, Sigma: [2]float64{1, 1}} }), true},
				"flip":                     {alone(func(c *Config) { c.Flip = 1 }), true},
				"rotation":                 {alone(func(c *Config) { c.Rotation = RotationConfig{P: 1, Degrees: 90, Smooth: true} }), true},
				"noise":                    {alone(func(c *Config) { c.Noise = NoiseConfig{P: 1, Sigma: [2]float64{0.1, 0.2}} }), true},
			} {
				if c.works {
					assert.NotEqual(t, views(plain, k), views(c.config, k), "%s, %+v", key, k)
					continue
				}
				_, err := New(c.config, k, 7)
				assert.ErrorContains(t, err, key+": ", "%+v", k)
				assert.Equal(t, views(plain, k), views(c.config.For(k), k), "%s, %+v", key, k)
			}
		}
	}
	// All at once, with the reason.
	err := Paper().Suits(Kind{Channels: 2})
	for _, want := range []string{
		"views.jitter.saturation: 0.2, expected 0 for images of 2 channel(s): it is a property of red, green and blue",
		"views.jitter.hue: 0.1", "views.grayscale: 0.2, expected 0 for images of 2 channel(s): only red", "views.solarize.p: 0.2",
		"views.mean: 3 values, expected 2",
	} {
		assert.ErrorContains(t, err, want)
	}
	assert.NoError(t, Paper().Suits(Kind{Channels: 3, Deep: true}))
}

// kolmogorov is the largest distance between the empirical distribution of xs and that of f, times √n. Above 2.2 is met once
// in 10⁴.
func kolmogorov(xs []float64, f func(float64) float64) float64 {
	slices.Sort(xs)
	d, n := 0.0, float64(len(xs))
	for i, x := range xs {
		p := f(x)
		d = max(d, math.Abs(p-float64(i)/n), math.Abs(p-float64(i+1)/n))
	}
	return d * math.Sqrt(n)
}

func between(lo, hi float64) func(float64) float64 {
	return func(x float64) float64 { return min(max((x-lo)/(hi-lo), 0), 1) }
}

// TestDistributions holds what is drawn to torchvision's distributions: those of its transforms' make_params. Bounds are
// five standard errors, or once in 10⁴.
func TestDistributions(t *testing.T) {
	const n = 20000
	c := Paper()
	c.Flip, c.VerticalFlip = 0.5, 0.1
	const height, width = 3000, 4000 // so large that crops are not cut to the image's edge in pixels
	c.Global.Scale = [2]float64{0.05, 0.3}
	count := map[string]float64{}
	var area, ratio, top, left, sigma []float64
	var factors [4][]float64
	orders := map[[4]int]float64{}
	w := &worker{pipeline: &Pipeline{kind: Kind{Channels: 6}}}
	c.Dihedral = 0.6
	c.Rotation = RotationConfig{P: 0.3, Degrees: 25}
	c.Noise = NoiseConfig{P: 0.4, Sigma: [2]float64{0.1, 0.5}}
	c.DropChannels = DropConfig{P: 0.7, Most: 3}
	var angles, noises, first []float64
	ways, dropped, numbers := map[[2]int]float64{}, [6]float64{}, [4]float64{}
	for i := range uint64(n) {
		random := rng.New(3, rng.Views, 0, i)
		r := drawCrop(random, c.Global.Scale, c.Global.Ratio, height, width)
		p := c.drawAfterCrop(random, w)
		require.True(t, r.top >= 0 && r.left >= 0 && r.height > 0 && r.width > 0 && r.top+r.height <= height && r.left+r.width <= width)
		area = append(area, float64(r.height)*float64(r.width)/(height*width))
		ratio = append(ratio, math.Log(float64(r.width)/float64(r.height)))
		top = append(top, (float64(r.top)+0.5)/float64(height-r.height+1))
		left = append(left, (float64(r.left)+0.5)/float64(width-r.width+1))
		for k, x := range p.factors {
			factors[k] = append(factors[k], x)
		}
		orders[p.order]++
		for name, is := range map[string]bool{
			"flip": p.flipH, "vertical": p.flipV, "jitter": p.jitter, "grey": p.grey, "blur": p.sigma > 0, "solarize": p.solarize,
			"rotate": p.rotate, "noise": p.noise > 0, "drop": len(p.dropped) > 0, "rotate and noise": p.rotate && p.noise > 0,
			"jitter and grey": p.jitter && p.grey, "blur and solarize": p.sigma > 0 && p.solarize, "flip and blur": p.flipH && p.sigma > 0,
		} {
			if is {
				count[name]++
			}
		}
		if p.sigma > 0 {
			sigma = append(sigma, p.sigma)
		}
		angles = append(angles, p.angle)
		if p.noise > 0 {
			noises = append(noises, p.noise)
			var z [1]float32
			fastest().normals(z[:], p.noiseSeed, 0)
			first = append(first, float64(z[0]))
		}
		way := [2]int{p.quarters, 0}
		if p.mirror {
			way[1] = 1
		}
		ways[way]++
		numbers[len(p.dropped)]++
		for _, channel := range p.dropped {
			dropped[channel]++
		}
		require.Len(t, slices.Compact(slices.Sorted(slices.Values(p.dropped))), len(p.dropped), "no channel twice")
	}
	assert.Less(t, kolmogorov(angles, between(-25, 25)), 2.2, "angle")
	assert.Less(t, kolmogorov(noises, between(0.1, 0.5)), 2.2, "noise")
	assert.Less(t, kolmogorov(first, func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }), 2.2, "normal")
	near := func(p, got float64, what any) {
		assert.InDelta(t, p, got/n, 5*math.Sqrt(p*(1-p)/n), "%v", what)
	}
	assert.Len(t, ways, 8)
	for way, got := range ways { // one that changes nothing comes too where nothing is done
		if p := 0.6 / 8; way == [2]int{} {
			near(0.4+p, got, way)
		} else {
			near(p, got, way)
		}
	}
	for k, got := range numbers {
		if k == 0 {
			near(0.3, got, "none dropped")
		} else {
			near(0.7/3, got, k)
		}
	}
	for channel, got := range dropped {
		near(0.7*2/6, got, channel)
	}
	for name, p := range map[string]float64{
		"rotate": 0.3, "noise": 0.4, "drop": 0.7, "rotate and noise": 0.12,
		"flip": 0.5, "vertical": 0.1, "jitter": 0.8, "grey": 0.2, "blur": 0.5, "solarize": 0.2,
		"jitter and grey": 0.16, "blur and solarize": 0.1, "flip and blur": 0.25,
	} {
		assert.InDelta(t, p, count[name]/n, 5*math.Sqrt(p*(1-p)/n), name)
	}
	assert.Less(t, kolmogorov(area, between(0.05, 0.3)), 2.2, "area")
	assert.Less(t, kolmogorov(ratio, between(math.Log(3.0/4), math.Log(4.0/3))), 2.2, "ratio")
	assert.Less(t, kolmogorov(top, between(0, 1)), 2.2, "top")
	assert.Less(t, kolmogorov(left, between(0, 1)), 2.2, "left")
	assert.Less(t, kolmogorov(sigma, between(0.1, 2)), 2.2, "sigma")
	assert.Less(t, kolmogorov(factors[jitterBrightness], between(0.6, 1.4)), 2.2, "brightness")
	assert.Less(t, kolmogorov(factors[jitterContrast], between(0.6, 1.4)), 2.2, "contrast")
	assert.Less(t, kolmogorov(factors[jitterSaturation], between(0.8, 1.2)), 2.2, "saturation")
	assert.Less(t, kolmogorov(factors[jitterHue], between(-0.1, 0.1)), 2.2, "hue")
	assert.Len(t, orders, 24)
	chi := 0.0
	for _, k := range orders {
		chi += (k - n/24.0) * (k - n/24.0) / (n / 24.0)
	}
	assert.Less(t, chi, 58.0, "orders: chi-square with 23 degrees of freedom")

	// Factors never fall below 0.
	c.Jitter.Brightness = 1.5
	least, most := math.Inf(1), 0.0
	for i := range uint64(2000) {
		f := c.drawAfterCrop(rng.New(3, rng.Views, 1, i), w).factors[jitterBrightness]
		least, most = min(least, f), max(most, f)
	}
	assert.InDelta(t, 0, least, 0.01)
	assert.InDelta(t, 2.5, most, 0.01)
}

// TestCropsAsTorchvision compares crops, those that had to be drawn again included, with 20,000 of torchvision's.
func TestCropsAsTorchvision(t *testing.T) {
	data, err := os.ReadFile("testdata/crops.json")
	require.NoError(t, err)
	var cases []struct {
		Height, Width, N                                 int
		Scale, Ratio                                     [2]float64
		AtMostHeight, AtMostWidth, AtMostTop, AtMostLeft []float64
	}
	data = []byte(strings.ReplaceAll(string(data), "at_most_", "atMost"))
	require.NoError(t, json.Unmarshal(data, &cases))
	require.NotEmpty(t, cases)
	for _, c := range cases {
		counts := [4][]float64{}
		for k := range counts {
			counts[k] = make([]float64, max(c.Height, c.Width)+1)
		}
		for i := range uint64(c.N) {
			r := drawCrop(rng.New(5, rng.Views, 0, i), c.Scale, c.Ratio, c.Height, c.Width)
			for k, v := range []int{r.height, r.width, r.top, r.left} {
				counts[k][v]++
			}
		}
		for k, want := range [][]float64{c.AtMostHeight, c.AtMostWidth, c.AtMostTop, c.AtMostLeft} {
			require.Len(t, want, len(counts[k]))
			d, sum := 0.0, 0.0
			for v, n := range counts[k] {
				sum += n
				d = max(d, math.Abs(sum-want[v])/float64(c.N))
			}
			// Two-sample Kolmogorov–Smirnov: above 2.2 once in 10⁴, and less often for whole numbers.
			assert.Less(t, d*math.Sqrt(float64(c.N)/2), 2.2, "%d×%d %v %v: %d", c.Width, c.Height, c.Scale, c.Ratio, k)
		}
	}
}

// TestCropFallsBack: where no crop of an allowed ratio fits, it is the largest central one.
func TestCropFallsBack(t *testing.T) {
	ratio := [2]float64{3.0 / 4, 4.0 / 3}
	r := rng.New(1, rng.Views, 0, 0)
	assert.Equal(t, rect{top: 43, left: 0, height: 13, width: 10}, drawCrop(r, [2]float64{1, 1}, ratio, 100, 10))
	assert.Equal(t, rect{top: 0, left: 93, height: 10, width: 13}, drawCrop(r, [2]float64{1, 1}, ratio, 10, 200))
}
