package eval_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/sigreg"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
	"github.com/gojepa/gojepa/vision/views"
)

// labelFree is what scripts/golden/labelfree.py writes.
type labelFree struct {
	Spectra []struct {
		N, D, From, To int
		Alpha          float64
	}
	Agreement []struct {
		N, V, D                      int
		LiDAR, Alignment, Uniformity float64
	}
}

func goldenLabelFree(t *testing.T) (g labelFree) {
	data, err := os.ReadFile("testdata/labelfree.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &g))
	return g
}

// falling are the generator's features, whose variances fall as 1/j.
func falling(seed uint64, n, d int) eval.Features {
	f := eval.Features{N: n, D: d, X: make([]float32, n*d)}
	for i, v := range torchtest.Values(seed, n*d) {
		f.X[i] = float32(v * math.Pow(float64(i%d+1), -0.5))
	}
	return f
}

// viewsOf are the generator's features of views: an image's, noise, and an offset.
func viewsOf(n, v, d int) eval.ViewFeatures {
	image, noise := falling(12, n, d), torchtest.Values(13, n*v*d)
	f := eval.ViewFeatures{N: n, V: v, D: d}
	for i, e := range noise {
		f.X = append(f.X, float32(float64(image.X[i/(v*d)*d+i%d])+float64(e*0.3)+0.1))
	}
	return f
}

func TestPowerLawEqualsNumPy(t *testing.T) {
	th := torchtest.Thread(t)
	g := goldenLabelFree(t)
	require.Len(t, g.Spectra, 3)
	for _, want := range g.Spectra {
		r, err := eval.MeasureRank(ctx, th, falling(11, want.N, want.D))
		require.NoError(t, err)
		assert.Equal(t, want.From, r.Decay.From)
		assert.Equal(t, want.To, r.Decay.To)
		assert.InEpsilon(t, want.Alpha, r.Decay.Alpha, 1e-8)
	}
	r, err := eval.MeasureRank(ctx, th, eval.Features{X: []float32{1, 2, 3, 5}, N: 2, D: 2})
	require.NoError(t, err)
	assert.True(t, math.IsNaN(r.Decay.Alpha), "one eigenvalue above 0")
}

func TestAgreementEqualsNumPy(t *testing.T) {
	th := torchtest.Thread(t)
	g := goldenLabelFree(t)
	require.Len(t, g.Agreement, 2, "more images than features, and fewer")
	for _, want := range g.Agreement {
		a, err := eval.MeasureAgreement(ctx, th, viewsOf(want.N, want.V, want.D))
		require.NoError(t, err)
		assert.InEpsilon(t, want.LiDAR, a.LiDAR, 1e-6)
		assert.InEpsilon(t, want.Alignment, a.Alignment, 1e-6)
		assert.InEpsilon(t, want.Uniformity, a.Uniformity, 1e-6)
	}
}

func TestAgreementOfKnownFeatures(t *testing.T) {
	th := torchtest.Thread(t)
	// Four images at right angles, whose views differ in nothing but length: of three directions about their mean.
	f := eval.ViewFeatures{N: 4, V: 2, D: 4, X: make([]float32, 32)}
	for i := range 4 {
		f.X[i*8+i], f.X[i*8+4+i] = 1, 1
	}
	a, err := eval.MeasureAgreement(ctx, th, f)
	require.NoError(t, err)
	assert.InDelta(t, 3, a.LiDAR, 1e-4)
	assert.InDelta(t, 0, a.Alignment, 1e-12)
	assert.InDelta(t, -4, a.Uniformity, 1e-12, "all distances are √2")

	_, err = eval.MeasureAgreement(ctx, th, eval.ViewFeatures{N: 1, V: 2, D: 1, X: []float32{1, 2}})
	assert.EqualError(t, err, "eval: features of views: 1 images of 2 views: expected at least two of each")
}

// TestGaussian: SIGReg is the formula's, written out here in float64 on the same directions.
func TestGaussian(t *testing.T) {
	th := torchtest.Thread(t)
	const n, d, m = 70, 5, 16
	o := eval.DefaultGaussian()
	o.SetSize, o.Slices.Count = 30, m
	f := falling(14, n, d)
	g, err := eval.MeasureGaussian(ctx, th, f, o)
	require.NoError(t, err)
	assert.Equal(t, 2, g.Sets)
	assert.Equal(t, 30, g.SetSize)
	assert.InDelta(t, 1.0525, g.Expected, 1e-4)

	var a []float64
	require.NoError(t, th.Do(ctx, func(s *torch.Scope) { a = sigreg.Directions(s, torch.Float64, 0, 0, d, m).Float64s() }))
	x, squares := make([]float64, 60*d), 0.
	for j := range d {
		var mean float64
		for i := range 60 {
			mean += float64(f.Row(i)[j]) / 60
		}
		for i := range 60 {
			x[i*d+j] = float64(f.Row(i)[j]) - mean
			squares += x[i*d+j] * x[i*d+j]
		}
	}
	scale := math.Sqrt(float64(60*d) / squares)
	var want float64
	for set := range 2 {
		for k := range m {
			var integral float64
			for knot := range 17 {
				at, w := 3*float64(knot)/16, 2*3./16
				if knot == 0 || knot == 16 {
					w /= 2
				}
				var re, im float64
				for i := range 30 {
					var p float64
					for j := range d {
						p += scale * x[(set*30+i)*d+j] * a[j*m+k]
					}
					re, im = re+math.Cos(at*p)/30, im+math.Sin(at*p)/30
				}
				phi := math.Exp(-at * at / 2)
				integral += w * phi * ((re-phi)*(re-phi) + im*im)
			}
			want += 30 * integral / (2 * m)
		}
	}
	assert.InEpsilon(t, want, g.SIGReg, 1e-4)

	o.SetSize, o.Slices.Count = 0, 0
	_, err = eval.MeasureGaussian(ctx, th, f, o)
	assert.EqualError(t, err, "eval: SIGReg: SetSize is 0: expected 1 or more\nslices: 0, expected 1 or more")
}

// TestExtractViews: each image's views are together, in order, as the pipeline makes them.
func TestExtractViews(t *testing.T) {
	o := eval.DefaultExtract()
	o.Channels, o.Mean, o.Std = 2, []float64{0, 0.5}, []float64{1, 2}
	o.BatchSize, o.Workers, o.MaxBroken = 12, 3, 0.5
	c := views.Paper()
	c.Global.Count, c.Global.Size, c.Local.Count = 3, 4, 0
	kind := views.Kind{Channels: 2}
	p, err := views.New(c.For(kind), kind, 1)
	require.NoError(t, err)
	enc := &average{}
	src := plain{n: 11, channels: 2, broken: true}
	f, err := eval.ExtractViews(ctx, torchtest.Thread(t), enc, src, p, o)
	require.NoError(t, err)
	assert.Equal(t, []int{0, 1, 2, 4, 5, 6, 7, 8, 9}, f.Samples)
	assert.Len(t, f.Broken, 2)
	assert.Equal(t, [3]int{9, 3, 2}, [3]int{f.N, f.V, f.D})
	w := p.NewWorker()
	for i, sample := range f.Samples {
		m, err := src.Image(ctx, sample)
		require.NoError(t, err)
		b := views.NewBatch(1, p.Layout())
		require.NoError(t, w.Generate(m, 0, uint64(sample), b, 0))
		for v := range 3 {
			var mean [2]float64
			for j, pix := range b.View(0, v, 0) {
				mean[j/16] += float64(pix) / 255 / 16
			}
			row := f.X[(i*3+v)*2:]
			assert.InDelta(t, mean[0], row[0], 1e-6)
			assert.InDelta(t, (mean[1]-0.5)/2, row[1], 1e-6)
		}
	}

	c.Local.Count, c.Local.Size = 1, 4
	p, err = views.New(c.For(kind), kind, 1)
	require.NoError(t, err)
	_, err = eval.ExtractViews(ctx, torchtest.Thread(t), enc, src, p, o)
	assert.EqualError(t, err, "eval: features of views: views of 2 sizes: expected one")
}
