package train

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/lejepa"
	"github.com/gojepa/gojepa/sigreg"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/torch/optim"
	"github.com/gojepa/gojepa/torch/torchtest"
	"github.com/gojepa/gojepa/torch/weights"
	"github.com/gojepa/gojepa/vision"
)

// parityGolden is PyTorch's run: see scripts/golden/parity.py, which says what goes in.
type parityGolden struct {
	Steps, Samples, Globals, Locals, Slices, Warmup, Dim int
	Hidden                                               []int
	Lambda, LR, Final                                    float64
	WeightDecay                                          float64 `json:"weight_decay"`
	Versions                                             map[string]string
	Float64, Float32                                     [][3]float64 // total, prediction, SIGReg of each step
	Between                                              string       // what Apart compares
	Apart                                                struct{ Weights, Losses float64 }
}

// parityRun is what this project makes of the same.
type parityRun struct {
	losses [][3]float64
	grads  map[string][]float64 // of the first step
	final  map[string][]float64
}

// TestParity is the certificate that `make parity` prints: 50 AdamW steps of ViT, projector, LeJEPA and SIGReg on fixed
// views, weights and slices beside PyTorch's.
func TestParity(t *testing.T) {
	var g parityGolden
	raw, err := os.ReadFile("testdata/parity.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &g))
	file, err := weights.OpenOptions("testdata/parity.safetensors", weights.Options{Raw: true})
	require.NoError(t, err)
	defer file.Close()
	th, err := torch.Start(torch.Options{Device: torchtest.Device(), Threads: 1})
	require.NoError(t, err)
	defer th.Close()
	grads := read(t, th, file, "grad.")
	exempt, count := map[string][]bool{}, map[string]int{}
	for name, v := range grads {
		exempt[name] = make([]bool, len(v))
		for i, x := range v {
			if math.Abs(x) < 1e-12 {
				exempt[name][i] = true
				count[name]++
			}
		}
	}

	c := certificate{t: t}
	c.line("LeJEPA parity: %d AdamW steps against torch %s, timm %s, torchvision %s", g.Steps,
		g.Versions["torch"], g.Versions["timm"], g.Versions["torchvision"])
	c.line("libtorch %s, ViT 32 wide and 2 deep, %d+%d views of %d samples, %d slices",
		torch.Version(), g.Globals, g.Locals, g.Samples, g.Slices)

	double := runParity(t, th, g, torch.Float64)
	c.check("float64: every loss, relative", 1e-9, lossDistance(g.Float64, double.losses))
	final := read(t, th, file, "final64.")
	c.check("float64: final weights, relative to the largest of each tensor", 1e-8, weightsMax(final, double.final, exempt))

	single := runParity(t, th, g, torch.Float32)
	c.check("float32: first loss, relative", 1e-5, lossDistance(g.Float64[:1], single.losses[:1]))
	c.check("float32: first gradients, relative to the global norm", 1e-5, weightsNorm(grads, single.grads, nil))
	c.check("float32: losses over all steps, against PyTorch with "+g.Between, g.Apart.Losses,
		lossDistance(g.Float32, single.losses))
	c.check("float32: final weights, against PyTorch with "+g.Between, g.Apart.Weights,
		weightsNorm(read(t, th, file, "final32."), single.final, exempt))

	var names []string
	for name := range count {
		names = append(names, fmt.Sprintf("%s (%d of %d)", name, count[name], len(grads[name])))
	}
	sort.Strings(names)
	c.line("exempt, as their gradient is zero in theory and AdamW scales rounding up to full steps: %s", strings.Join(names, ", "))
}

func runParity(t *testing.T, th *torch.Thread, g parityGolden, dtype torch.DType) parityRun {
	r := parityRun{grads: map[string][]float64{}, final: map[string][]float64{}}
	require.NoError(t, th.Do(context.Background(), func(s *torch.Scope) {
		enc, err := vision.New(s, vision.Spec{Name: "vit_tiny_patch16_224", ImageSize: 16, PatchSize: 4, Width: 32, Depth: 2,
			Heads: 2}, 1, dtype)
		require.NoError(t, err)
		defer enc.Close()
		proj := lejepa.NewProjector(s, enc.Dim(), lejepa.ProjectorConfig{Hidden: g.Hidden, Dim: g.Dim}, 2, dtype)
		defer proj.Params().Close()
		model := lejepa.Model{Encoder: enc, Projector: proj}

		params := map[string]torch.Tensor{}
		index := uint64(0)
		for _, part := range []struct {
			prefix string
			params *torch.Params
		}{{"encoder.", enc.Params()}, {"projector.", proj.Params()}} {
			for _, p := range part.params.Trained() {
				name := part.prefix + p.Name
				params[name] = p.Value
				s.NoGrad(func() { p.Value.Copy_(initialParity(s, index, name, p.Value.Shape())) })
				index++
			}
		}
		opt := optim.NewAdamW(s, optim.Config{WeightDecay: g.WeightDecay, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8},
			enc.Params(), proj.Params())
		defer opt.Close()
		schedule := optim.Schedule{Peak: g.LR, Final: g.Final, Warmup: g.Warmup, Steps: g.Steps}
		n := int64(g.Samples)
		views := []torch.Tensor{
			s.FromFloat64(torchtest.Values(1, g.Globals*g.Samples*3*16*16), int64(g.Globals), n, 3, 16, 16).To(dtype),
			s.FromFloat64(torchtest.Values(2, g.Locals*g.Samples*3*8*8), int64(g.Locals), n, 3, 8, 8).To(dtype),
		}
		for step := range g.Steps {
			s.Child(func(s *torch.Scope) torch.Tensor {
				a := s.FromFloat64(torchtest.Values(uint64(5000+step), g.Dim*g.Slices), int64(g.Dim), int64(g.Slices))
				a = a.Div(a.Square().SumDim(0, true).Sqrt()).To(dtype)
				opt.ZeroGrad(s)
				z := model.Forward(s, views, nn.Pass{Train: true})
				l := lejepa.Objective{Lambda: g.Lambda, Test: sigreg.Default()}.ComputeOn(s, z, g.Globals, a)
				l.Total.Backward()
				if step == 0 {
					for name, p := range params {
						r.grads[name] = p.Grad().Float64s()
					}
				}
				opt.Step(s, schedule.At(step))
				m, _ := l.Metrics(s)
				r.losses = append(r.losses, [3]float64{m.Loss, m.Prediction, m.SIGReg})
				return torch.Tensor{}
			})
		}
		for name, p := range params {
			r.final[name] = p.Float64s()
		}
	}))
	return r
}

// initialParity is 0.1 noise, around one for the weights of norms, as scripts/golden/parity.py has it.
func initialParity(s *torch.Scope, index uint64, name string, shape []int64) torch.Tensor {
	n := 1
	for _, d := range shape {
		n *= int(d)
	}
	t := s.FromFloat64(torchtest.Values(1000+index, n), shape...).MulScalar(0.1)
	if len(shape) == 1 && strings.HasSuffix(name, "weight") {
		t.AddScalar_(1)
	}
	return t
}

func read(t *testing.T, th *torch.Thread, f *weights.File, prefix string) map[string][]float64 {
	out := map[string][]float64{}
	require.NoError(t, th.Do(context.Background(), func(s *torch.Scope) {
		for _, info := range f.Tensors() {
			name, ok := strings.CutPrefix(info.Name, prefix)
			if !ok {
				continue
			}
			data, err := f.Read(info.Name)
			require.NoError(t, err)
			dtype := torch.Float32
			if info.DType == weights.F64 {
				dtype = torch.Float64
			}
			out[name] = s.FromBytes(dtype, data, info.Shape...).Float64s()
		}
	}))
	require.NotEmpty(t, out)
	return out
}

func lossDistance(want, got [][3]float64) (worst float64) {
	for i := range want {
		worst = math.Max(worst, math.Abs(want[i][0]-got[i][0])/math.Abs(want[i][0]))
	}
	return worst
}

// weightsMax is the largest difference, relative to the largest value of its tensor.
func weightsMax(want, got map[string][]float64, exempt map[string][]bool) (worst float64) {
	for name, w := range want {
		var largest, difference float64
		for i := range w {
			if !exempt[name][i] {
				largest = math.Max(largest, math.Abs(w[i]))
				difference = math.Max(difference, math.Abs(w[i]-got[name][i]))
			}
		}
		if largest > 0 {
			worst = math.Max(worst, difference/largest)
		}
	}
	return worst
}

// weightsNorm is the Euclidean distance, relative to the norm of all.
func weightsNorm(want, got map[string][]float64, exempt map[string][]bool) float64 {
	var num, den float64
	for name, w := range want {
		for i := range w {
			if exempt == nil || !exempt[name][i] {
				d := w[i] - got[name][i]
				num += d * d
				den += w[i] * w[i]
			}
		}
	}
	return math.Sqrt(num / den)
}

// certificate prints its lines where tests are verbose, and checks figures against bounds.
type certificate struct{ t *testing.T }

func (c certificate) line(format string, a ...any) {
	if testing.Verbose() {
		fmt.Printf(format+"\n", a...)
	}
}

func (c certificate) check(what string, bound, got float64) {
	verdict := "ok"
	if !(got <= bound) {
		verdict = "FAILS"
	}
	c.line("  %-78s %8.1e  bound %8.1e  %s", what, got, bound, verdict)
	assert.LessOrEqual(c.t, got, bound, what)
	assert.False(c.t, math.IsNaN(got), what)
}
