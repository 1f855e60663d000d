package vision

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// TestWithHead: of every family all but the head is copied, so that the scores are the head's of the same features.
func TestWithHead(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		for _, m := range blockModels {
			e := blockEncoder(t, s, variant{m.name, 64, m.family}, m.spec, torch.NewBlankParams(torch.Float32))
			setBlockWeights(s, e)
			c, err := e.WithHead(s, HeadOptions{Classes: 3, DropPath: 0.2, Seed: 7})
			require.NoError(t, err, m.name)
			assert.Equal(t, int64(3), c.Dim(), m.name)
			assert.Equal(t, [2]float64{3, 0.2}, [2]float64{float64(c.Spec().NumClasses), c.Spec().DropPath})
			var head []*torch.Param
			for _, q := range c.Params().All() {
				from := e.Params().Get(q.Name)
				if isHead(q.Name) {
					head = append(head, q)
					continue
				}
				require.NotNil(t, from, "%s of %s", q.Name, m.name)
				assert.Equal(t, s.Use(from.Value).Float64s(), s.Use(q.Value).Float64s(), "%s of %s", q.Name, m.name)
			}
			require.Len(t, head, 2, m.name)
			x := input(s, 1, 2, 2, 64, 64)
			if m.spec.NumClasses == 0 {
				want := e.Forward(s, x, nn.Pass{}).Linear(s.Use(head[0].Value), s.Use(head[1].Value))
				torchtest.Close(t, want.Float64s(), c.Forward(s, x, nn.Pass{}).Float64s(), 1e-5, 1e-6, m.name)
			}
			again, err := c.WithHead(s, HeadOptions{Classes: 3, Seed: 7})
			require.NoError(t, err)
			assert.Equal(t, s.Use(head[0].Value).Float64s(), s.Use(again.Params().Get(head[0].Name).Value).Float64s(), "a new head")
			again.Close()
			c.Close()
			e.Close()
		}
		e, err := New(s, smallViT, 1, torch.Float32)
		require.NoError(t, err)
		defer e.Close()
		size := 2 * smallViT.ImageSize
		c, err := e.WithHead(s, HeadOptions{Classes: 2, ImageSize: size})
		require.NoError(t, err)
		defer c.Close()
		assert.Equal(t, size, c.Spec().ImageSize)
		assert.Greater(t, c.Params().Get("pos_embed").Value.Shape()[1], e.Params().Get("pos_embed").Value.Shape()[1])
		_, err = e.WithHead(s, HeadOptions{})
		assert.EqualError(t, err, "vision: a head of 0 classes: expected 1 or more")
		_, err = (&Encoder{spec: Spec{Name: TorchScript}}).WithHead(s, HeadOptions{Classes: 2})
		assert.ErrorContains(t, err, "expected an encoder with weights under timm's keys")
	})
}
