package vision

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/lejepa"
	"github.com/gojepa/gojepa/sigreg"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/torch/optim"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// learners are small models, one or two of each family.
var learners = []struct {
	name string
	family
	spec Spec
}{
	{"vit", vitTiny, Spec{PatchSize: 8, Width: 32, Depth: 2, Heads: 2}},
	{"vit-registers", vitTiny, Spec{PatchSize: 8, Width: 32, Depth: 2, Heads: 2, Registers: 2, QKNorm: true, SwiGLU: true, Pool: "avg"}},
	{"dinov3", vitTiny.rotated(), Spec{PatchSize: 8, Width: 32, Depth: 2, Heads: 2}},
	{"resnet", resnet{d: true}, Spec{Width: 8, Depth: 1}},
	{"resnet-bottleneck", resnet{bottleneck: true, d: true}, Spec{Width: 8, Depth: 1}},
	{"convnext", convnext{}, Spec{Width: 8, Depth: 1}},
	{"convnextv2", convnext{v2: true}, Spec{Width: 8, Depth: 1}},
	{"swin", tinySwin.cut(2), Spec{Width: 16, PatchSize: 2}},
	{"swinv2", tinySwin.cut(2).second(), Spec{Width: 16, PatchSize: 2}},
	{"mobilenet", tinyMobileNet, Spec{}},
	{"efficientnet", tinyEfficientNet, Spec{}},
	{"regnet", tinyRegNet, Spec{}},
	{"wren", wren{layers: [3]int{1, 1, 1}, width: 16}, Spec{}},
}

// blobs are images [n, 3, 32, 32] of a bright spot on noise; the i-th of each call is about the i-th sample, whose spot has
// a place and a colour of its own.
func blobs(s *torch.Scope, n int, view uint64) torch.Tensor {
	const side = 32
	x := make([]float32, 0, n*3*side*side)
	for i := range n {
		what, noise := rng.New(1, rng.Sample, uint64(i), 0), rng.New(2, rng.Sample, uint64(i), view)
		cx, cy := 6+20*what.Float64()+2*noise.Float64(), 6+20*what.Float64()+2*noise.Float64()
		for range 3 {
			level := 4 * what.Float64()
			for p := range side * side {
				dx, dy := float64(p%side)-cx, float64(p/side)-cy
				x = append(x, float32(level*math.Exp(-(dx*dx+dy*dy)/40)+0.3*noise.NormFloat64()))
			}
		}
	}
	return s.FromFloat32(x, int64(n), 3, side, side)
}

// effectiveRank is e to the entropy of the shares that the principal directions of rows x have of their variance.
func effectiveRank(x torch.Tensor) float64 {
	x = x.Detach().To(torch.Float64)
	x = x.Sub(x.MeanDim(0, true))
	values, _ := x.Matmul(x.T()).Eigh()
	var total, entropy float64
	shares := values.Float64s()
	for _, v := range shares {
		total += v
	}
	for _, v := range shares {
		if v /= total; v > 1e-12 {
			entropy -= v * math.Log(v)
		}
	}
	return math.Exp(entropy)
}

// TestFamiliesLearnWithoutCollapse trains each family by LeJEPA for some steps: the loss falls, gradient reaches every
// parameter, and embeddings span more directions than a collapsed encoder's, which have one.
func TestFamiliesLearnWithoutCollapse(t *testing.T) {
	const n, steps, views = 32, 20, 2
	for _, m := range learners {
		t.Run(m.name, func(t *testing.T) {
			require.NoError(t, torchtest.Thread(t).Do(context.Background(), func(s *torch.Scope) {
				e, err := variant{m.name, 32, m.family}.encoder(s, m.spec, torch.NewParams(1, torch.Float32))
				require.NoError(t, err)
				defer e.Close()
				proj := lejepa.NewProjector(s, e.Dim(), lejepa.ProjectorConfig{Hidden: []int{32}, Dim: 8}, 2, torch.Float32)
				defer proj.Params().Close()
				model := lejepa.Model{Encoder: e, Projector: proj}
				opt := optim.NewAdamW(s, optim.Config{WeightDecay: 1e-3, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}, e.Params(), proj.Params())
				defer opt.Close()
				objective := lejepa.Objective{Lambda: 0.1, Test: sigreg.Default(), Slices: sigreg.Slices{Count: 64}}
				rank := func() float64 {
					return effectiveRank(e.Forward(s, blobs(s, n, 1000), nn.Pass{}))
				}
				before := rank()
				var losses []float64
				reached := map[string]bool{}
				for step := range uint64(steps) {
					s.Child(func(s *torch.Scope) torch.Tensor {
						images := torch.Stack([]torch.Tensor{blobs(s, n, 2*step), blobs(s, n, 2*step+1)}, 0)
						opt.ZeroGrad(s)
						z := model.Forward(s, []torch.Tensor{images}, nn.Pass{Train: true, Seed: 1, Step: step})
						loss := objective.Compute(s, z, views, step)
						loss.Total.Backward()
						for _, q := range e.Params().Trained() {
							reached[q.Name] = reached[q.Name] || s.Use(q.Value).Grad().Abs().Max().Item() > 0
						}
						opt.Step(s, 3e-3)
						losses = append(losses, loss.Total.Item())
						return torch.Tensor{}
					})
				}
				for name, ok := range reached {
					assert.True(t, ok, "no gradient reaches %s", name)
				}
				first, last := mean(losses[:5]), mean(losses[steps-5:])
				assert.Less(t, last, 0.8*first, "loss %v", losses)
				after := rank()
				t.Logf("loss %.3f → %.3f, effective rank %.1f → %.1f of %d", first, last, before, after, e.Dim())
				assert.Greater(t, after, 1.5)
			}))
		})
	}
}

func mean(v []float64) float64 {
	var sum float64
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}
