package vision

import (
	"math"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/lejepa"
	"github.com/gojepa/gojepa/sigreg"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/torch/torchtest"
)

var _ lejepa.Segmented = (*Encoder)(nil)

// stepping makes gradients of a model on views of two sizes.
type stepping struct {
	m     *lejepa.Model
	crops []lejepa.Crops
	views []torch.Tensor
	n     int64
	pass  nn.Pass
	o     lejepa.Objective
}

func (g *stepping) objective(s *torch.Scope, z torch.Tensor) lejepa.Loss {
	return g.o.Compute(s, z, 2, 5)
}

func newStepping(s *torch.Scope, t *testing.T, e *Encoder, n int64, sizes ...int64) *stepping {
	g := &stepping{n: n, pass: nn.Pass{Train: true, Seed: 3, Step: 5}, o: lejepa.Objective{Lambda: 0.3, Test: sigreg.Default(), Slices: sigreg.Slices{Count: 16}}}
	g.m = &lejepa.Model{Encoder: e, Projector: lejepa.NewProjector(s, e.Dim(), lejepa.ProjectorConfig{Hidden: []int{16}, Dim: 8}, 2, torch.Float32)}
	t.Cleanup(g.m.Projector.Params().Close)
	for i, size := range sizes {
		x := s.FromFloat64(torchtest.Values(uint64(i), int(2*n*3*size*size)), 2*n, 3, size, size).To(torch.Float32)
		g.crops = append(g.crops, lejepa.Crops{Views: 2, Images: func(_ *torch.Scope, from, to int64) torch.Tensor { return x.Narrow(0, from, to-from) }})
		g.views = append(g.views, x.Unflatten(0, 2, n))
	}
	return g
}

// run adds gradients of a step, without segments and pieces if images is 0, and returns the loss.
func (g *stepping) run(s *torch.Scope, cast torch.DType, images int64) (loss float64) {
	s.Child(func(s *torch.Scope) torch.Tensor {
		if images > 0 {
			loss = g.m.Accumulate(s, g.crops, g.n, lejepa.Micro{Images: images, Cast: cast, Segments: true}, g.pass, g.objective).Total.Item()
			return torch.Tensor{}
		}
		var z torch.Tensor
		s.Autocast(cast, func() { z = g.m.Forward(s, g.views, g.pass) })
		l := g.objective(s, z)
		l.Total.Backward()
		loss = l.Total.Item()
		return torch.Tensor{}
	})
	return loss
}

// take returns all gradients, which are zero afterwards, and the values of all buffers.
func (g *stepping) take(s *torch.Scope) (gradients, buffers []float64) {
	for _, p := range []*torch.Params{g.m.Encoder.Params(), g.m.Projector.Params()} {
		for _, group := range p.Flatten(s) {
			gradients = append(gradients, s.Use(group.Grad).Float64s()...)
		}
		for _, q := range p.All() {
			if q.Buffer {
				buffers = append(buffers, s.Use(q.Value).Float64s()...)
			}
		}
		p.ZeroGrad(s)
	}
	return gradients, buffers
}

// apart is the norm of a difference, relative to want's.
func apart(want, got []float64) float64 {
	var norm, difference float64
	for i, v := range want {
		norm += v * v
		difference += (v - got[i]) * (v - got[i])
	}
	return math.Sqrt(difference / norm)
}

// TestSegmentsHaveTheSameGradients: recomputed activations give the loss of kept ones bit for bit, and in float32 the gradients,
// drop path included; but for convolutions, which libtorch may run in another layout, within 1e-6 of their norm. Running
// statistics move once and to the same values. In bfloat16, whose gradients of views of two sizes are added up in float32 here and
// in bfloat16 otherwise, they are no further from float32's gradients.
func TestSegmentsHaveTheSameGradients(t *testing.T) {
	for _, l := range learners {
		for _, cast := range []torch.DType{torch.Float32, torch.BFloat16} {
			t.Run(l.name+"/"+cast.String(), func(t *testing.T) {
				torchtest.Do(t, func(s *torch.Scope) {
					made := func() *stepping {
						spec := l.spec
						spec.DropPath = 0.3
						e, err := variant{l.name, 64, l.family}.encoder(s, spec, torch.NewParams(1, torch.Float32))
						require.NoError(t, err)
						t.Cleanup(e.Close)
						g := newStepping(s, t, e, 4, 64, 32)
						g.take(s)
						return g
					}
					kept, again := made(), made()
					wantLoss, gotLoss := kept.run(s, cast, 0), again.run(s, cast, 4)
					want, moved := kept.take(s)
					got, movedAgain := again.take(s)
					assert.Equal(t, wantLoss, gotLoss)
					assert.Equal(t, moved, movedAgain)
					if cast == torch.BFloat16 {
						exact := made()
						exact.run(s, torch.Float32, 0)
						truth, _ := exact.take(s)
						kept, again := apart(truth, want), apart(truth, got)
						t.Logf("gradients differ by %.2g and %.2g of their norm from float32's", kept, again)
						assert.Less(t, again, 1.2*kept)
						assert.Less(t, apart(want, got), 0.02)
						return
					}
					relative := apart(want, got)
					t.Logf("gradients differ by %.2g of their norm", relative)
					if _, convolutions := again.m.Encoder.(*Encoder).net.(*cnn); convolutions {
						assert.Less(t, relative, 1e-6)
					} else {
						assert.Zero(t, relative)
					}
				})
			})
		}
	}
}

// TestSegmentsOfPieces: with pieces of a batch the gradients are the whole batch's, too.
func TestSegmentsOfPieces(t *testing.T) {
	for _, l := range learners {
		if !strings.HasPrefix(l.name, "vit") && !strings.HasPrefix(l.name, "convnext") {
			continue // BatchNorm sees the pieces
		}
		torchtest.Do(t, func(s *torch.Scope) {
			spec := l.spec
			spec.DropPath = 0.3
			e, err := variant{l.name, 32, l.family}.encoder(s, spec, torch.NewParams(1, torch.Float32))
			require.NoError(t, err)
			defer e.Close()
			g := newStepping(s, t, e, 6, 64, 32)
			g.take(s)
			g.run(s, torch.Float32, 0)
			want, _ := g.take(s)
			g.run(s, torch.Float32, 4)
			got, _ := g.take(s)
			norm := s.FromFloat64(want, int64(len(want))).Norm().Item()
			torchtest.Close(t, want, got, 0, 1e-5*norm, l.name)
		})
	}
}

// TestSegmentsTakeLessMemory compares the process's peaks of a deep ViT's step.
func TestSegmentsTakeLessMemory(t *testing.T) {
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Skip("the peak of memory cannot be reset here: ", err)
	}
	torchtest.Do(t, func(s *torch.Scope) {
		e, err := New(s, Spec{Name: "vit_tiny_patch16_224", ImageSize: 64, PatchSize: 8, Depth: 8}, 1, torch.Float32)
		require.NoError(t, err)
		defer e.Close()
		g := newStepping(s, t, e, 64, 64)
		g.take(s)
		g.run(s, torch.Float32, 1) // what stays
		before := float64(torchtest.Memory(t, "VmRSS"))
		// From the least to the most: what one frees stays with the process.
		peak := func(images int64) float64 {
			require.NoError(t, os.WriteFile("/proc/self/clear_refs", []byte("5"), 0))
			g.run(s, torch.Float32, images)
			return float64(torchtest.Memory(t, "VmHWM")) - before
		}
		both, again, kept := peak(8), peak(64), peak(0)
		t.Logf("%.0f MB; with segments %.0f MB; and eight images at a time %.0f MB", kept/1e6, again/1e6, both/1e6)
		assert.Less(t, again, 0.5*kept)
		assert.Less(t, both, 0.5*again)
	})
}
