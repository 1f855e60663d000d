package eval_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/images"
	"github.com/gojepa/gojepa/vision/views"
)

// drawn are grey images of so many classes, made by pixel.
type drawn struct {
	n, side int
	classes []string
	pixel   func(i, x, y int) uint8
	label   func(i int) int
}

func (d drawn) Len() int                { return d.n }
func (d drawn) Name(i int) string       { return fmt.Sprint("drawn ", i) }
func (d drawn) Classes() []string       { return d.classes }
func (d drawn) Label(i int) (int, bool) { return d.label(i), d.label(i) >= 0 }

func (d drawn) Image(_ context.Context, i int) (*images.Image, error) {
	m := images.New(1, d.side, d.side)
	for p := range m.Pix {
		m.Pix[p] = d.pixel(i, p%d.side, p/d.side)
	}
	return m, nil
}

// striped are images whose stripes lie or stand, anywhere, with noise.
func striped(n int, seed uint64) drawn {
	noise := torchtest.Values(seed, n*256)
	return drawn{n: n, side: 16, classes: []string{"lying", "standing"}, label: func(i int) int { return i % 2 },
		pixel: func(i, x, y int) uint8 {
			at := y
			if i%2 == 1 {
				at = x
			}
			v := 100 + 20*noise[i*256+y*16+x]
			if (at+i/2)%4 < 2 {
				v += 60
			}
			return uint8(v)
		}}
}

// tuner fine-tunes small encoders of a name on grey images of 16 pixels.
func tuner(t *testing.T, spec vision.Spec, train, test images.Labelled) *eval.FineTuner {
	o := eval.DefaultFineTune()
	o.Images.Size, o.Images.Channels, o.Images.Workers = 16, 1, 2
	spec.ImageSize, spec.Channels = 16, 1
	return &eval.FineTuner{Thread: torchtest.Thread(t), Train: train, Test: test, FineTuneOptions: o,
		New: func(s *torch.Scope, classes int, seed uint64) (eval.Classifier, error) {
			e, err := vision.New(s, spec, 1, torch.Float32)
			if err != nil {
				return nil, err
			}
			defer e.Close()
			return e.WithHead(s, vision.HeadOptions{Classes: classes, DropPath: spec.DropPath, Seed: seed})
		}}
}

// TestFineTuneEqualsPyTorch takes eight steps on the one batch that all images make, and compares losses, to 1e-5, and weights and
// running statistics afterwards, to 2e-4 of the largest digest, with scripts/golden/finetune.py: both sides are in float32.
func TestFineTuneEqualsPyTorch(t *testing.T) {
	var golden struct {
		Options struct {
			LR, WeightDecay, LayerDecay, Smoothing, Clip, Warmup float64
			Steps                                                int
		}
		Runs []struct {
			Model                  string
			Losses, Digest, Logits []float64
			Keys                   []string
		}
	}
	raw, err := os.ReadFile("testdata/finetune.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &golden))
	require.Len(t, golden.Runs, 2)
	pixels := torchtest.Values(1, 8*16*16)
	src := drawn{n: 8, side: 16, classes: []string{"a", "b", "c"}, label: func(i int) int { return i % 3 },
		pixel: func(i, x, y int) uint8 { return uint8(min(max(math.Floor(128+60*pixels[i*256+y*16+x]), 0), 255)) }}
	specs := map[string]vision.Spec{
		"vit_tiny_patch16_224": {PatchSize: 4, Width: 16, Depth: 3, Heads: 2},
		"resnet18":             {Width: 8, Depth: 1},
	}
	for _, want := range golden.Runs {
		t.Run(want.Model, func(t *testing.T) {
			spec := specs[want.Model]
			spec.Name = want.Model
			f := tuner(t, spec, src, src)
			g := golden.Options
			f.LR, f.WeightDecay, f.LayerDecay, f.Smoothing, f.ClipNorm, f.Warmup = []float64{g.LR}, g.WeightDecay, g.LayerDecay, g.Smoothing, g.Clip, g.Warmup
			f.Epochs, f.LeastSteps, f.Views = g.Steps, 0, views.Config{}
			var losses []float64
			f.OnStep = func(_, _ int, loss float64) { losses = append(losses, loss) }
			make := f.New
			f.New = func(s *torch.Scope, classes int, seed uint64) (eval.Classifier, error) {
				c, err := make(s, classes, seed)
				if err == nil {
					setWeights(s, c.Params())
				}
				return c, err
			}
			c, r, err := f.Fit(ctx)
			require.NoError(t, err)
			defer c.Params().Close()
			torchtest.Close(t, want.Losses, losses, 0, 1e-5)
			assert.Equal(t, g.Steps, r.Steps)
			var keys []string
			var digest []float64
			require.NoError(t, f.Thread.Do(ctx, func(s *torch.Scope) {
				for i, q := range c.Params().All() {
					keys = append(keys, q.Name)
					v := s.Use(q.Value).To(torch.Float64).Float64s()
					if strings.HasSuffix(q.Name, "qkv.bias") {
						clear(v[len(v)/3 : 2*len(v)/3])
					}
					var dot, norm float64
					for j, u := range torchtest.Values(uint64(5000+i), len(v)) {
						dot += u * v[j]
						norm += v[j] * v[j]
					}
					n := math.Sqrt(float64(len(v)))
					digest = append(digest, dot/n, math.Sqrt(norm)/n)
				}
			}))
			assert.Equal(t, want.Keys, keys)
			for i := range digest {
				assert.InDelta(t, want.Digest[i], digest[i], 2e-4, keys[i/2])
			}
			x, err := eval.Extract(ctx, f.Thread, c, src, f.Images)
			require.NoError(t, err)
			torchtest.Close(t, want.Logits, float64s(x.X), 1e-3, 0)
		})
	}
}

// setWeights is the generator's start.
func setWeights(s *torch.Scope, p *torch.Params) {
	for i, q := range p.All() {
		if q.Buffer {
			continue
		}
		shape := q.Value.Shape()
		n, scale, one := 1, 0.3, 0.
		for d, size := range shape {
			n *= int(size)
			if d > 0 {
				scale = 1
			}
		}
		if len(shape) > 1 {
			scale = 1 / math.Sqrt(float64(n)/float64(shape[0]))
		} else if strings.HasSuffix(q.Name, "weight") {
			one = 1
		}
		v := torchtest.Values(uint64(100+i), n)
		for j := range v {
			v[j] = one + float64(float32(scale*v[j]))
		}
		s.NoGrad(func() { s.Use(q.Value).Copy_(s.FromFloat64(v, shape...)) })
	}
}

// TestFineTuneLearns: classes that a linear classifier of pixels does not tell apart are learnt, from few images worse than
// from many, and the same each time.
func TestFineTuneLearns(t *testing.T) {
	for _, spec := range []vision.Spec{
		{Name: "resnet18", Width: 8, Depth: 1},
		{Name: "vit_tiny_patch16_224", PatchSize: 4, Width: 32, Depth: 2, Heads: 2, DropPath: 0.1},
	} {
		f := tuner(t, spec, striped(40, 1), striped(30, 2))
		f.LeastSteps, f.BatchSize, f.LR, f.LayerDecay = 60, 10, []float64{3e-3}, 1
		c, r, err := f.Fit(ctx)
		require.NoError(t, err)
		c.Params().Close()
		assert.GreaterOrEqual(t, r.Top1, 0.9, spec.Name)
		assert.Greater(t, float64(r.AUROC), 0.95, spec.Name)
		assert.Equal(t, [2]int{120, 40}, [2]int{r.Steps, r.Images}, "30 epochs of 4 batches")
		assert.Less(t, r.Loss, 0.5)
		f.Images.Workers = 1
		c, again, err := f.Fit(ctx)
		require.NoError(t, err)
		c.Params().Close()
		want, err := json.Marshal(r)
		require.NoError(t, err)
		got, err := json.Marshal(again)
		require.NoError(t, err)
		assert.JSONEq(t, string(want), string(got))
	}
}

func TestFineTuneShots(t *testing.T) {
	f := tuner(t, vision.Spec{Name: "resnet18", Width: 8, Depth: 1}, striped(40, 1), striped(30, 2))
	f.LeastSteps, f.Epochs, f.BatchSize, f.LR = 20, 1, 10, []float64{3e-3}
	f.Seed = 5
	all, err := f.Shots(ctx, []int{2, 0}, 2)
	require.NoError(t, err)
	require.Len(t, all, 2)
	assert.Equal(t, [3]int{2, 2, 4}, [3]int{all[0].Shots, all[0].Draws, all[0].N})
	assert.Equal(t, [3]int{0, 2, 40}, [3]int{all[1].Shots, all[1].Draws, all[1].N})
	assert.Len(t, all[1].Each, 2)
	again, err := f.Shots(ctx, []int{2}, 2)
	require.NoError(t, err)
	assert.Equal(t, all[0], again[0])
	_, err = f.Shots(ctx, []int{21}, 2)
	assert.ErrorContains(t, err, "class lying has 20 training samples: expected 21 or more")
}

// TestFineTuneBalanced: of images that say nothing the more frequent class is the answer, unless classes count the same.
func TestFineTuneBalanced(t *testing.T) {
	grey := drawn{n: 40, side: 16, classes: []string{"many", "few"}, pixel: func(int, int, int) uint8 { return 100 },
		label: func(i int) int { return max(0, i-29) / max(1, i-29) }}
	scores := map[bool][]float64{}
	for _, balanced := range []bool{false, true} {
		f := tuner(t, vision.Spec{Name: "vit_tiny_patch16_224", PatchSize: 4, Width: 8, Depth: 1, Heads: 2}, grey, grey)
		f.Balanced, f.Epochs, f.LeastSteps, f.Smoothing, f.LR, f.Views = balanced, 1, 150, 0, []float64{1e-2}, views.Config{}
		c, _, err := f.Fit(ctx)
		require.NoError(t, err)
		x, err := eval.Extract(ctx, f.Thread, c, grey, f.Images)
		require.NoError(t, err)
		scores[balanced] = float64s(x.Row(0))
		c.Params().Close()
	}
	// The optimum is the classes' shares: 30 to 10, or as much of each.
	assert.InDelta(t, math.Log(3), scores[false][0]-scores[false][1], 0.05)
	assert.InDelta(t, 0, scores[true][0]-scores[true][1], 0.05)
}

// TestFineTuneChoosesLR: a learning rate that learns nothing is not taken, wherever it stands.
func TestFineTuneChoosesLR(t *testing.T) {
	f := tuner(t, vision.Spec{Name: "resnet18", Width: 8, Depth: 1}, striped(40, 1), striped(30, 2))
	f.LeastSteps, f.Epochs, f.BatchSize = 60, 1, 10
	for _, lr := range [][]float64{{1e-9, 3e-3}, {3e-3, 1e-9}, {1e30, 3e-3}} {
		f.LR = lr
		c, r, err := f.Fit(ctx)
		require.NoError(t, err)
		c.Params().Close()
		assert.Equal(t, 3e-3, r.LR)
		assert.Equal(t, 40, r.Images)
	}
}

func TestFineTuneMistakes(t *testing.T) {
	spec := vision.Spec{Name: "resnet18", Width: 8, Depth: 1}
	fit := func(change func(f *eval.FineTuner)) error {
		f := tuner(t, spec, striped(8, 1), striped(8, 2))
		f.Epochs, f.LeastSteps = 1, 0
		change(f)
		c, _, err := f.Fit(ctx)
		if err == nil {
			c.Params().Close()
		}
		return err
	}
	require.NoError(t, fit(func(*eval.FineTuner) {}))
	for want, change := range map[string]func(f *eval.FineTuner){
		"drawn 0 has no label: expected one of 2 classes": func(f *eval.FineTuner) {
			f.Train = drawn{n: 3, classes: []string{"a", "b"}, label: func(int) int { return -1 }}
		},
		"all 4 samples are of class a: expected two classes or more": func(f *eval.FineTuner) {
			f.Train = drawn{n: 4, classes: []string{"a", "b"}, label: func(int) int { return 0 }}
		},
		"training images: no labels": func(f *eval.FineTuner) { f.Train = drawn{classes: []string{"a", "b"}} },
		"is of class c, which the training set does not have": func(f *eval.FineTuner) {
			test := striped(4, 1)
			test.classes = []string{"lying", "c"}
			f.Test = test
		},
		"LR is -1: expected a number above 0":                     func(f *eval.FineTuner) { f.LR = []float64{-1} },
		"LR is []: expected one learning rate":                    func(f *eval.FineTuner) { f.LR = nil },
		"HoldOut is 1: expected a share":                          func(f *eval.FineTuner) { f.LR, f.HoldOut = []float64{1, 2}, 1 },
		"Epochs is 0: expected 1 or more":                         func(f *eval.FineTuner) { f.Epochs = 0 },
		"BatchSize is 0: expected 1":                              func(f *eval.FineTuner) { f.BatchSize = 0 },
		"LayerDecay is 1.5: expected a number above 0, at most 1": func(f *eval.FineTuner) { f.LayerDecay = 1.5 },
		"Smoothing is 1: expected 0 or more, below 1":             func(f *eval.FineTuner) { f.Smoothing = 1 },
		"step 1 of 1: the loss is not finite: it is":              func(f *eval.FineTuner) { f.Images.Mean, f.Images.Std = []float64{0}, []float64{1e-300} },
		"mean of 0 and standard deviation of 2 channels":          func(f *eval.FineTuner) { f.Images.Std = []float64{1, 2} },
		"training needs more than one value per channel":          func(f *eval.FineTuner) { f.BatchSize = 1 },
		"a classifier with 5 scores: expected 2, one for each class": func(f *eval.FineTuner) {
			make := f.New
			f.New = func(s *torch.Scope, _ int, seed uint64) (eval.Classifier, error) { return make(s, 5, seed) }
		},
	} {
		assert.ErrorContains(t, fit(change), want)
	}
	stopped, stop := context.WithCancel(ctx)
	f := tuner(t, spec, striped(8, 1), nil)
	f.OnStep = func(done, _ int, _ float64) {
		if done == 3 {
			stop()
		}
		assert.LessOrEqual(t, done, 3)
	}
	_, _, err := f.Fit(stopped)
	assert.ErrorIs(t, err, context.Canceled)
}
