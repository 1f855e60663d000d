package vision

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/torch/torchtest"
)

var (
	tinyBlocksViT = vit{patchSize: 8, width: 24, depth: 2, heads: 2}
	tinyConvNeXt  = convnext{layers: [4]int{1, 2, 1, 1}, width: 8}
	tinySwin      = swin{layers: [4]int{2, 2, 1, 2}, width: 8, heads: 1}
	tinyMobileNet = efficientnet{stem: 8, act: torch.Tensor.Hardswish, last: 20, mobile: true, stages: []inverted{
		{blocks: 1, kernel: 3, stride: 2, ratio: 1, out: 8, weigh: true, relu: true},
		{blocks: 1, kernel: 3, stride: 2, ratio: 4, out: 16, relu: true},
		{join: true, blocks: 2, kernel: 5, stride: 1, ratio: 3, out: 16, weigh: true},
		{blocks: 1, kernel: 1, stride: 1, out: 24},
	}}
	tinyRegNet       = regnet{depth: 6, first: 8, slope: 8, factor: 2, group: 4, weigh: true}
	tinyEfficientNet = efficientnet{stem: 8, act: torch.Tensor.Silu, last: 32, stages: []inverted{
		{blocks: 1, kernel: 3, stride: 1, ratio: 1, out: 8, weigh: true},
		{blocks: 2, kernel: 3, stride: 2, ratio: 4, out: 16, weigh: true},
		{blocks: 1, kernel: 5, stride: 2, ratio: 6, out: 24, weigh: true},
	}}
)

func tinyBlocksResNet(r resnet, width int64) resnet {
	r.layers, r.width = [4]int{1, 2, 1, 1}, width
	return r
}

// blockModels are the models of scripts/golden/tiny.py, of every kind of block. Images have two channels.
var blockModels = []struct {
	name string
	family
	spec Spec
}{
	{"vit-registers", tinyBlocksViT, Spec{Registers: 2, LayerScale: 0.5, QKNorm: true, NumClasses: 3}},
	{"vit-avg", tinyBlocksViT, Spec{Pool: "avg"}},
	{"vit-gap", tinyBlocksViT.gap().plainQKV(), Spec{}},
	{"vit-reg-gap", vit{patchSize: 8, width: 24, depth: 2, heads: 2, ratio: 5.6}.reg(1), Spec{}},
	{"vit-clip", tinyBlocksViT.clip().quick(), Spec{}},
	{"vit-gated", tinyBlocksViT.dinov2Reg(), Spec{SwiGLU: true}},
	{"dinov3", tinyBlocksViT.rotated().cut(8), Spec{}},
	{"dinov3-gated", tinyBlocksViT.rotated().cut(8).gated(64).qkvb(), Spec{Pool: "token"}},
	{"resnet", tinyBlocksResNet(resnet{}, 4), Spec{}},
	{"resnet-wide", tinyBlocksResNet(resnet{bottleneck: true, inner: 128}, 2), Spec{}},
	{"resnext", tinyBlocksResNet(resnet{bottleneck: true, d: true, groups: 4, inner: 16}, 8), Spec{NumClasses: 3}},
	{"convnext", tinyConvNeXt, Spec{NumClasses: 3}},
	{"convnext-ols", convnext{layers: tinyConvNeXt.layers, width: 8, conv: true, stem: stemTiered, normFirst: true}, Spec{NumClasses: 3}},
	{"convnext-mlp", convnext{layers: tinyConvNeXt.layers, width: 8, conv: true, stem: stemOverlap, hidden: 5, eps: 1e-5}, Spec{NumClasses: 3}},
	{"convnextv2", convnext{layers: tinyConvNeXt.layers, width: 8, v2: true}, Spec{NumClasses: 3}},
	{"swin", tinySwin.cut(4), Spec{NumClasses: 3}},
	{"swin-s3", tinySwin.cuts(5, 3, 3, 7), Spec{NumClasses: 3}},
	{"swinv2", tinySwin.cuts(5, 3, 3, 7).second(), Spec{NumClasses: 3}},
	{"swinv2-trained", tinySwin.cut(4).second(2, 2, 3, 2), Spec{NumClasses: 3}},
	{"mobilenet", tinyMobileNet, Spec{NumClasses: 3}},
	{"efficientnet", tinyEfficientNet, Spec{NumClasses: 3}},
	{"regnet", tinyRegNet, Spec{NumClasses: 3}},
	{"cifar-resnet", cifarResNet{blocks: 2}, Spec{NumClasses: 3, Width: 4}},
	{"wren", wren{layers: [3]int{1, 2, 1}, width: 8}, Spec{NumClasses: 3}},
}

var blockCases = []struct {
	name  string
	seed  uint64
	shape []int64
	exact float64 // what is allowed in float64: position embeddings are resampled in float32, here as in timm
}{{"native", 15, []int64{3, 2, 64, 64}, 1e-9}, {"odd", 11, []int64{2, 2, 40, 72}, 1e-7}}

// blockWeight is the generator's value of the index-th entry of a state dict.
func blockWeight(q *torch.Param, index int) []float64 {
	shape := q.Value.Shape()
	v := torchtest.Values(uint64(1000+index), int(q.Value.Numel()))
	scale, shift := 0.1, 0.0
	switch {
	case strings.HasSuffix(q.Name, "running_var"):
		scale, shift = 0.25, 1
	case len(shape) < 2:
		if strings.HasSuffix(q.Name, "weight") || strings.Contains(q.Name, "gamma") {
			shift = 1
		}
	case shape[0] == 1:
		scale = 0.5
	default:
		scale = 1 / math.Sqrt(float64(len(v))/float64(shape[0]))
	}
	for i := range v {
		v[i] = shift + scale*v[i]
	}
	return v
}

// forBlocks runs f with each model in each type, the generator's weights in it.
func forBlocks(t *testing.T, f func(t *testing.T, s *torch.Scope, name string, e *Encoder)) {
	for _, m := range blockModels {
		for _, dtype := range []torch.DType{torch.Float32, torch.Float64} {
			t.Run(m.name+"/"+dtype.String(), func(t *testing.T) {
				require.NoError(t, torchtest.Thread(t).Do(context.Background(), func(s *torch.Scope) {
					e := blockEncoder(t, s, variant{m.name, 64, m.family}, m.spec, torch.NewBlankParams(dtype))
					defer e.Close()
					setBlockWeights(s, e)
					f(t, s, m.name, e)
				}))
			})
		}
	}
}

func blockEncoder(t *testing.T, s *torch.Scope, v variant, spec Spec, params *torch.Params) *Encoder {
	spec.Channels = cmp.Or(spec.Channels, 2)
	e, err := v.encoder(s, spec, params)
	require.NoError(t, err)
	return e
}

func setBlockWeights(s *torch.Scope, e *Encoder) {
	for i, q := range e.Params().All() {
		s.NoGrad(func() {
			if q.Value.DType() == torch.Int64 {
				s.Use(q.Value).Zero_()
				return
			}
			s.Use(q.Value).Copy_(s.FromFloat64(blockWeight(q, i), q.Value.Shape()...))
		})
	}
}

// digest is the generator's: of each tensor a projection on fixed numbers and the norm, both over the root of its size.
func digest(tensors []torch.Tensor) (rows []float64) {
	for i, x := range tensors {
		v := x.Float64s()
		var dot, norm float64
		for j, u := range torchtest.Values(uint64(5000+i), len(v)) {
			dot += u * v[j]
			norm += v[j] * v[j]
		}
		n := math.Sqrt(float64(len(v)))
		rows = append(rows, dot/n, math.Sqrt(norm)/n)
	}
	return rows
}

// TestParityOfBlocks compares every kind of block at two sizes of image: embeddings, tokens and the maps of all levels,
// gradients and running statistics. It allows 1e-9 in float64, or 1e-7 at the size that is not the model's own, and 2e-5 in
// float32, of the largest value. What training
// leaves went through normalisations by few values and corners of ReLU: ten times as much, and 1e-3 in float32. With -v it
// says how far embeddings are from timm's, and gradients.
func TestParityOfBlocks(t *testing.T) {
	g := openGolden(t, "blocks")
	seen := map[string]bool{} // with class tokens
	forBlocks(t, func(t *testing.T, s *torch.Scope, name string, e *Encoder) {
		var out, grad float64
		for _, c := range blockCases {
			tol, train := c.exact, 10*c.exact
			if e.Params().DType() == torch.Float32 {
				tol, train = 2e-5, 1e-3
			}
			setBlockWeights(s, e)
			at := name + "/" + c.name + "/"
			x := input(s, c.seed, c.shape...)
			y := e.Forward(s, x, nn.Pass{})
			assert.Equal(t, []int64{c.shape[0], e.Dim()}, y.Shape())
			torchtest.Close(t, g.values(at+"out"), y.Float64s(), tol, 0, c.name)
			out = max(out, distance(g.values(at+"out"), y.Float64s()))
			closeRows(t, g.values(at+"tokens"), digest([]torch.Tensor{e.Tokens(s, x, nn.Pass{})}), tol, c.name, "tokens")
			closeRows(t, g.values(at+"levels"), digest(e.Features(s, x, nn.Pass{})), tol, c.name, "level")

			if c, err := e.ClassTokens(2); err == nil {
				torchtest.Close(t, g.values(at+"class"), c.Forward(s, x, nn.Pass{}).Float64s(), tol, 0, name, "class tokens")
				seen[name] = true
			}

			x.SetRequiresGrad(true)
			e.Params().ZeroGrad(s)
			y = e.Forward(s, x, nn.Pass{Train: true})
			torchtest.Close(t, g.values(at+"train"), y.Float64s(), train, 0, c.name, "training")
			y.Mul(input(s, c.seed+10, y.Shape()...).To(y.DType())).Sum().Backward()
			grads, buffers := []torch.Tensor{x.Grad()}, []torch.Tensor{}
			names := []string{"x"}
			for _, q := range e.Params().All() {
				switch {
				case !q.Buffer:
					grads, names = append(grads, s.Use(q.Value).Grad()), append(names, q.Name)
				case q.Value.DType() != torch.Int64:
					buffers = append(buffers, s.Use(q.Value))
				}
			}
			closeRows(t, g.values(at+"grads"), digest(grads), train, c.name, fmt.Sprint(names))
			grad = max(grad, distance(g.values(at+"grads"), digest(grads)))
			if len(buffers) > 0 {
				closeRows(t, g.values(at+"buffers"), digest(buffers), train, c.name, "buffer")
			}
		}
		t.Logf("%-14s %-8v embeddings %.1e, gradients %.1e of the largest", name, e.Params().DType(), out, grad)
	})
	assert.Len(t, seen, len(slices.DeleteFunc(g.names(""), func(key string) bool { return !strings.HasSuffix(key, "/native/class") })))
}

// distance is the largest difference, relative to the largest value.
func distance(want, got []float64) float64 {
	var largest, difference float64
	for i, w := range want {
		largest, difference = max(largest, math.Abs(w)), max(difference, math.Abs(w-got[i]))
	}
	return difference / largest
}

// closeRows compares digests row by row. What is zero but for rounding, such as the gradient of a bias in front of a
// softmax, has a floor.
func closeRows(t *testing.T, want, got []float64, tol float64, msg ...any) {
	t.Helper()
	require.Len(t, got, len(want), msg...)
	for i, row := range slices.Collect(slices.Chunk(want, 2)) {
		torchtest.Close(t, row, got[2*i:2*i+2], tol, tol, append(msg, " row ", i)...)
	}
}
