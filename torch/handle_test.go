package torch_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/sugarme/gotch/libtch"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

func TestHandlesAreReferencesOfTheirOwn(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		var again torch.Tensor
		s.Child(func(c *torch.Scope) torch.Tensor {
			x := c.Ones(torch.Float32, 2)
			h := x.NewHandle()
			again = s.FromHandle(h)
			libtch.AtFree(libtch.Ctensor(h))
			x.AddScalar_(1)
			return torch.Tensor{}
		})
		assert.Equal(t, []float32{2, 2}, again.Float32s(), "the memory is shared and outlives its first owner")
		assert.Panics(t, func() { s.FromHandle(nil) })
	})
}

func TestAdoptedParametersAreTrainedWhereTheyAre(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		p := torch.NewParams(0, torch.Float32)
		defer p.Close()
		w := s.Ones(torch.Float32, 2, 3).SetRequiresGrad(true)
		view := w.Detach().T() // as another library may hold it
		require.NoError(t, p.Adopt("fc.weight", w))
		require.NoError(t, p.Adopt("fc.scale", s.Full(torch.Float64, 2).SetRequiresGrad(true)))
		require.NoError(t, p.Adopt("fc.steps", s.FromInt64([]int64{4})))
		assert.EqualValues(t, 7, p.Count())
		assert.True(t, p.Get("fc.steps").Buffer)

		assert.EqualError(t, p.Adopt("fc.weight", s.Ones(torch.Float32)), `torch: parameter "fc.weight" exists already`)
		flipped := s.Ones(torch.Float32, 2, 3).T().SetRequiresGrad(true)
		assert.ErrorContains(t, p.Adopt("flipped", flipped), `parameter "flipped", float32[3 2]: not contiguous`)
		product := s.Ones(torch.Float32, 2).SetRequiresGrad(true).MulScalar(2)
		assert.ErrorContains(t, p.Adopt("product", product), `parameter "product", float32[2]: the result of an operation`)

		groups := p.Flatten(s)
		require.Len(t, groups, 2)
		assert.True(t, groups[0].Decay)
		assert.False(t, groups[1].Decay)
		assert.Equal(t, torch.Float64, groups[1].Value.DType())
		for range 2 {
			p.ZeroGrad(s)
			s.Use(p.Get("fc.weight").Value).MulScalar(5).Sum().Backward()
		}
		s.NoGrad(func() { s.Use(groups[0].Value).AddScaled_(groups[0].Grad, -0.1) })
		assert.Equal(t, []float32{.5, .5, .5, .5, .5, .5}, view.Float32s(), "views of the parameter follow")
		assert.ErrorContains(t, p.Adopt("late", s.Ones(torch.Float32)), "after Flatten")
	})
}
