package vision

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/lejepa"
	"github.com/gojepa/gojepa/sigreg"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// TestAccumulateEqualsTheWholeBatch holds gradients in pieces to those of the whole batch: in float32 within 1e-5 of the
// norm of all gradients, and in float64 within 1e-9 (position embeddings are resampled in float32, as in timm), of encoders
// that treat images one by one, drop path included.
func TestAccumulateEqualsTheWholeBatch(t *testing.T) {
	const n, globals = 7, 2
	for _, c := range []struct {
		name string
		family
		spec Spec
	}{
		{"vit", vitTiny, Spec{PatchSize: 8, Width: 32, Depth: 2, Heads: 2, DropPath: 0.4}},
		{"convnext", convnext{}, Spec{Width: 8, Depth: 1, DropPath: 0.4}},
	} {
		for _, d := range []struct {
			dtype torch.DType
			tol   float64
		}{{torch.Float32, 1e-5}, {torch.Float64, 1e-9}} {
			t.Run(c.name+"/"+d.dtype.String(), func(t *testing.T) {
				torchtest.Do(t, func(s *torch.Scope) {
					spec := c.spec
					spec.Channels = 3
					e, err := variant{name: c.name, size: 64, family: c.family}.encoder(s, spec, torch.NewParams(1, d.dtype))
					require.NoError(t, err)
					defer e.Close()
					m := &lejepa.Model{Encoder: e, Projector: lejepa.NewProjector(s, e.Dim(), lejepa.ProjectorConfig{Hidden: []int{16}, Dim: 8}, 2, d.dtype)}
					defer m.Projector.Params().Close()
					o := lejepa.Objective{Lambda: 0.3, Test: sigreg.Default(), Slices: sigreg.Slices{Count: 16}}
					large := s.FromFloat64(torchtest.Values(1, globals*n*3*64*64), globals*n, 3, 64, 64).To(d.dtype)
					little := s.FromFloat64(torchtest.Values(2, 3*n*3*32*32), 3*n, 3, 32, 32).To(d.dtype)
					of := func(x torch.Tensor) func(*torch.Scope, int64, int64) torch.Tensor {
						return func(_ *torch.Scope, from, to int64) torch.Tensor { return x.Narrow(0, from, to-from) }
					}
					crops := []lejepa.Crops{{Views: globals, Images: of(large)}, {Views: 3, Images: of(little)}}
					pass := nn.Pass{Train: true, Seed: 3, Step: 5}
					objective := func(s *torch.Scope, z torch.Tensor) lejepa.Loss { return o.Compute(s, z, globals, 5) }
					gradients := func() (all []float64) {
						for _, p := range []*torch.Params{e.Params(), m.Projector.Params()} {
							for _, g := range p.Flatten(s) {
								all = append(all, s.Use(g.Grad).Float64s()...)
							}
							p.ZeroGrad(s)
						}
						return all
					}
					statistics := func() []float64 { return s.Use(m.Projector.Params().Get("1.running_mean").Value).Float64s() }
					gradients()
					initial := statistics()
					whole := objective(s, m.Forward(s, []torch.Tensor{large.Unflatten(0, globals, n), little.Unflatten(0, 3, n)}, pass))
					whole.Total.Backward()
					want, moved := gradients(), statistics()
					assert.NotEqual(t, initial, moved)
					norm := s.FromFloat64(want, int64(len(want))).Norm().Item()
					require.Positive(t, norm)
					for _, images := range []int64{1, 3, 7, 100} {
						s.NoGrad(func() {
							s.Use(m.Projector.Params().Get("1.running_mean").Value).Copy_(s.FromFloat64(initial, int64(len(initial))))
						})
						l := m.Accumulate(s, crops, n, lejepa.Micro{Images: images, Cast: torch.Float32}, pass, objective)
						assert.InDelta(t, whole.Total.Item(), l.Total.Item(), d.tol*10)
						torchtest.Close(t, want, gradients(), 0, d.tol*norm, images, " images at a time")
						torchtest.Close(t, moved, statistics(), 1e-5, 0, "running statistics move once")
					}
				})
			})
		}
	}
}

// TestAccumulateMovesRunningStatisticsOnce: the rehearsal leaves those of an encoder with BatchNorm alone.
func TestAccumulateMovesRunningStatisticsOnce(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		e, err := New(s, Spec{Name: "resnet18", Width: 8, Depth: 1}, 1, torch.Float32)
		require.NoError(t, err)
		defer e.Close()
		m := &lejepa.Model{Encoder: e, Projector: lejepa.NewProjector(s, e.Dim(), lejepa.ProjectorConfig{Dim: 4}, 2, torch.Float32)}
		defer m.Projector.Params().Close()
		x := s.FromFloat64(torchtest.Values(1, 8*3*32*32), 8, 3, 32, 32).To(torch.Float32)
		batches := func() int64 { return s.Use(e.Params().Get("bn1.num_batches_tracked").Value).Int64s()[0] }
		o := lejepa.Objective{Lambda: 0.3, Test: sigreg.Default(), Slices: sigreg.Slices{Count: 4}}
		m.Accumulate(s, []lejepa.Crops{{Views: 2, Images: func(_ *torch.Scope, from, to int64) torch.Tensor { return x.Narrow(0, from, to-from) }}}, 4,
			lejepa.Micro{Images: 2, Cast: torch.Float32}, nn.Pass{Train: true}, func(s *torch.Scope, z torch.Tensor) lejepa.Loss { return o.Compute(s, z, 2, 0) })
		assert.EqualValues(t, 2, batches(), "one for each piece")
	})
}
