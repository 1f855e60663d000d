package vision

import (
	"context"
	"encoding/binary"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/torch/torchtest"
	"github.com/gojepa/gojepa/torch/weights"
)

// tinyModels are the models of scripts/golden/vision.py: each kind of block, small enough for their weights and gradients
// to be committed.
var tinyModels = []struct {
	file    string
	variant variant
	spec    Spec
	sizes   map[string][]int64 // of the inputs
	train   bool               // gradients are those of training mode
}{
	{"vit", variant{"tiny_vit", 16, vit{patchSize: 4, width: 24, depth: 2, heads: 2}}, Spec{Channels: 2, NumClasses: 5},
		map[string][]int64{"native": {3, 2, 16, 16}, "odd": {2, 2, 12, 20}}, false},
	{"resnet", variant{"tiny_resnet", 64, resnet{layers: [4]int{1, 2, 1, 1}, width: 3}}, Spec{Channels: 1},
		map[string][]int64{"native": {4, 1, 64, 64}, "odd": {2, 1, 45, 70}}, true},
	{"resnetd", variant{"tiny_resnetd", 64, resnet{layers: [4]int{1, 1, 1, 1}, width: 4, d: true}}, Spec{Channels: 1},
		map[string][]int64{"native": {4, 1, 64, 64}, "odd": {2, 1, 45, 70}}, true},
	{"bottleneck", variant{"tiny_bottleneck", 64, resnet{layers: [4]int{1, 1, 1, 1}, width: 2, bottleneck: true}},
		Spec{NumClasses: 3}, map[string][]int64{"native": {4, 3, 64, 64}, "odd": {2, 3, 45, 70}}, true},
}

// golden is a file of scripts/golden/vision.py.
type golden struct {
	t *testing.T
	f *weights.File
}

func openGolden(t *testing.T, name string) golden {
	f, err := weights.OpenOptions(filepath.Join("testdata", name+".safetensors"), weights.Options{Raw: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return golden{t, f}
}

// values reads a tensor of any type as float64.
func (g golden) values(key string) []float64 {
	info, ok := g.f.Lookup(key)
	require.True(g.t, ok, key)
	data, err := g.f.Read(key)
	require.NoError(g.t, err)
	out := make([]float64, info.Len())
	for i := range out {
		switch info.DType {
		case weights.F32:
			out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:])))
		case weights.F64:
			out[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
		case weights.I64:
			out[i] = float64(binary.LittleEndian.Uint64(data[8*i:]))
		default:
			require.Failf(g.t, "type", "%v", info)
		}
	}
	return out
}

// load fills the encoder with the file's weights.
func (g golden) load(s *torch.Scope, e *Encoder) {
	require.NoError(g.t, e.Params().LoadFile(s, g.f, "golden", torch.LoadOptions{Prefix: "weights/"}))
}

func (g golden) names(prefix string) (names []string) {
	for _, info := range g.f.Tensors() {
		if name, ok := strings.CutPrefix(info.Name, prefix); ok {
			names = append(names, name)
		}
	}
	return names
}

func input(s *torch.Scope, seed uint64, shape ...int64) torch.Tensor {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	return s.FromFloat64(torchtest.Values(seed, int(n)), shape...)
}

// forTiny runs f with each tiny model in each type, its golden weights loaded.
func forTiny(t *testing.T, f func(t *testing.T, s *torch.Scope, g golden, i int, e *Encoder)) {
	for i, m := range tinyModels {
		for _, dtype := range []torch.DType{torch.Float32, torch.Float64} {
			t.Run(m.file+"/"+dtype.String(), func(t *testing.T) {
				g := openGolden(t, m.file)
				require.NoError(t, torchtest.Thread(t).Do(context.Background(), func(s *torch.Scope) {
					e, err := m.variant.encoder(s, m.spec, torch.NewBlankParams(dtype))
					require.NoError(t, err)
					defer e.Close()
					g.load(s, e)
					f(t, s, g, i, e)
				}))
			})
		}
	}
}

// goldenSeeds are those of the generator's inputs and of the weights of its loss.
var goldenSeeds = map[string]uint64{"native": 10, "odd": 11}

// TestOutputsEqualTimm allows 1e-5 in float32 and 1e-9 in float64, of the largest output.
func TestOutputsEqualTimm(t *testing.T) {
	forTiny(t, func(t *testing.T, s *torch.Scope, g golden, i int, e *Encoder) {
		for name, shape := range tinyModels[i].sizes {
			x := input(s, goldenSeeds[name], shape...)
			out, tol := "/out64", 1e-9
			if e.Params().DType() == torch.Float32 {
				out, tol = "/out32", 1e-5
			}
			y := e.Forward(s, x, nn.Pass{})
			assert.Equal(t, []int64{shape[0], e.Dim()}, y.Shape())
			torchtest.Close(t, g.values(name+out), y.Float64s(), tol, 0, name)
		}
	})
}

// TestGradientsEqualTimm compares every parameter's gradient, at the native size and, for the ViT, through resampled
// position embeddings, and the running statistics that a training step leaves: 1e-9 of the largest value in float64, and
// 1e-4 in float32, in which PyTorch sums gradients in an order of its own. Gradients that are zero but for rounding, such as
// those of biases in front of a softmax, have a floor of 1e-9 and 1e-4.
func TestGradientsEqualTimm(t *testing.T) {
	forTiny(t, func(t *testing.T, s *torch.Scope, g golden, i int, e *Encoder) {
		tol := 1e-9
		if e.Params().DType() == torch.Float32 {
			tol = 1e-4
		}
		m := tinyModels[i]
		for name, shape := range m.sizes {
			g.load(s, e)
			x := input(s, goldenSeeds[name], shape...).SetRequiresGrad(true)
			y := e.Forward(s, x, nn.Pass{Train: m.train})
			if m.train {
				torchtest.Close(t, g.values(name+"/train"), y.Float64s(), tol, 0, name)
			}
			for _, key := range g.names(name + "/buffer/") {
				got := s.Use(e.Params().Get(key).Value).Float64s()
				torchtest.Close(t, g.values(name+"/buffer/"+key), got, tol, 0, name, key)
			}
			keys := g.names(name + "/grad/")
			if len(keys) == 0 {
				continue
			}
			e.Params().ZeroGrad(s)
			y.Mul(input(s, goldenSeeds[name]+10, y.Shape()...).To(y.DType())).Sum().Backward()
			for _, key := range keys {
				leaf := x
				if key != "x" {
					leaf = s.Use(e.Params().Get(key).Value)
				}
				torchtest.Close(t, g.values(name+"/grad/"+key), leaf.Grad().Float64s(), tol, tol, name, key)
			}
			if !m.train {
				assert.Len(t, keys, len(e.Params().Trained())+1)
			}
		}
	})
}
