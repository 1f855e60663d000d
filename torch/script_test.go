package torch_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// perceptron is a network with everything that tracing has to get right: nested names, a buffer, a tensor from Go's memory,
// a token for each image, an operation in place.
type perceptron struct {
	p           *torch.Params
	fc          *nn.Linear
	token, mean torch.Tensor
}

func newPerceptron(s *torch.Scope) *perceptron {
	p := torch.NewParams(3, torch.Float32)
	root := p.Root()
	return &perceptron{
		p:     p,
		token: root.NoDecay(s, "token", nn.TruncNormal(1), 1, 1, 4),
		fc:    nn.NewLinear(s, root.Sub("blocks").At(0).Sub("fc"), 4, 4, nn.Options{Weight: nn.TruncNormal(0.5), Bias: nn.TruncNormal(1)}),
		mean:  root.Buffer(s, "mean", torch.Float32, nn.Ones, 4),
	}
}

// forward maps x [N, T, 4] to [N, T + 1, 4].
func (m *perceptron) forward(s *torch.Scope, x torch.Tensor) torch.Tensor {
	y := x.Sub(s.Use(m.mean)).Mul(s.FromFloat32([]float32{1, 2, 3, 4}, 4)).Add(s.Full(torch.Float32, 0.5, 4))
	y = torch.Cat([]torch.Tensor{s.Use(m.token).ExpandBatch(y), y}, 1)
	y = m.fc.Forward(s, y).Gelu()
	y.MulScalar_(2)
	return y
}

func TestTraceRunsAsTheFunctionDoes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.pt")
	torchtest.Do(t, func(s *torch.Scope) {
		m := newPerceptron(s)
		defer m.p.Close()
		script := s.Trace(m.p, s.FromFloat64(torchtest.Values(1, 24), 2, 3, 4).To(torch.Float32), m.forward)
		defer script.Close()
		require.NoError(t, script.Save(path, `{"a": 1}`))

		loaded, about, err := s.LoadScript(path, false)
		require.NoError(t, err)
		defer loaded.Close()
		assert.Equal(t, `{"a": 1}`, about)
		for n := range int64(3) {
			n++
			x := s.FromFloat64(torchtest.Values(uint64(n+5), int(n*12)), n, 3, 4).To(torch.Float32)
			want := m.forward(s, x).Float32s()
			assert.Equal(t, want, script.Forward(s, x, false).Float32s(), "batch of %d", n)
			assert.Equal(t, want, loaded.Forward(s, x, false).Float32s(), "batch of %d", n)
			assert.Equal(t, want, loaded.Forward(s, x, true).Float32s(), "again, as an optimised graph would differ")
		}
		var names []string
		for _, q := range loaded.Params().All() {
			names = append(names, q.Name)
			assert.Equal(t, m.p.Get(q.Name).Value.Float32s(), q.Value.Float32s(), q.Name)
			assert.Equal(t, m.p.Get(q.Name).Buffer, q.Buffer, q.Name)
		}
		assert.Equal(t, []string{"token", "mean", "blocks.0.fc.weight", "blocks.0.fc.bias"}, names)

		// The module has its own memory, and what trains its parameters trains it.
		x := s.FromFloat64(torchtest.Values(9, 24), 2, 3, 4).To(torch.Float32)
		before := script.Forward(s, x, false).Float32s()
		s.NoGrad(func() { s.Use(m.p.Get("token").Value).Zero_() })
		assert.Equal(t, before, script.Forward(s, x, false).Float32s())
		loss := func() torch.Tensor { return loaded.Forward(s, x, true).Square().Mean() }
		start := loss().Item()
		for range 20 {
			loaded.Params().ZeroGrad(s)
			loss().Backward()
			s.NoGrad(func() {
				for _, g := range loaded.Params().Flatten(s) {
					g.Value.AddScaled_(g.Grad, -0.05)
				}
			})
		}
		assert.Less(t, loss().Item(), 0.5*start)
	})
}

func TestFrozenScript(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.pt")
	torchtest.Do(t, func(s *torch.Scope) {
		m := newPerceptron(s)
		defer m.p.Close()
		x := s.Ones(torch.Float32, 1, 1, 4)
		script := s.Trace(m.p, x, m.forward)
		require.NoError(t, script.Save(path, ""))
		script.Close()
		frozen, about, err := s.LoadScript(path, true)
		require.NoError(t, err)
		defer frozen.Close()
		assert.Empty(t, about)
		assert.Empty(t, frozen.Params().Trained())
		assert.Len(t, frozen.Params().All(), 4)
		x.SetRequiresGrad(true)
		frozen.Forward(s, x, true).Sum().Backward()
		assert.True(t, x.Grad().Defined(), "gradient flows through to the input")
	})
}

func TestTraceFails(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		p := torch.NewParams(1, torch.Float32)
		defer p.Close()
		x := s.Ones(torch.Float32, 2)
		live := s.Live()
		assert.PanicsWithError(t, "torch: reshape(float32[2]): shape '[3]' is invalid for input of size 2", func() {
			s.Trace(p, x, func(s *torch.Scope, x torch.Tensor) torch.Tensor { return x.AddScalar(1).Reshape(3) })
		})
		assert.Panics(t, func() { s.Trace(p, x, func(*torch.Scope, torch.Tensor) torch.Tensor { panic("no") }) })
		assert.Panics(t, func() { s.Trace(p, x, func(*torch.Scope, torch.Tensor) torch.Tensor { return x }) })
		assert.Equal(t, live, s.Live())

		// The thread is not left tracing.
		assert.Equal(t, []float32{2, 2}, x.AddScalar(1).Float32s())
		m := s.Trace(p, x, func(_ *torch.Scope, x torch.Tensor) torch.Tensor { return x.AddScalar(2) })
		defer m.Close()
		assert.Equal(t, []float32{3, 3}, m.Forward(s, x, false).Float32s())
	})
}

func TestLoadScriptFails(t *testing.T) {
	dir := t.TempDir()
	torchtest.Do(t, func(s *torch.Scope) {
		_, _, err := s.LoadScript(filepath.Join(dir, "none.pt"), false)
		assert.ErrorContains(t, err, "none.pt: no such file")
		bad := filepath.Join(dir, "bad.pt")
		require.NoError(t, os.WriteFile(bad, []byte("PK\x03\x04 no archive"), 0o644))
		_, _, err = s.LoadScript(bad, false)
		assert.ErrorContains(t, err, "bad.pt: loading a TorchScript module: ")

		m := s.Trace(torch.NewParams(1, torch.Float32), s.Ones(torch.Float32, 2), func(s *torch.Scope, x torch.Tensor) torch.Tensor {
			return x.Mul(s.FromFloat32([]float32{1, 2}, 2))
		})
		defer m.Close()
		assert.ErrorContains(t, m.Save(filepath.Join(dir, "no", "m.pt"), ""), "saving a TorchScript module: ")
		defer func() {
			failed, ok := recover().(*torch.Error)
			require.True(t, ok)
			assert.Contains(t, failed.Error(), "torch: forward of a TorchScript module(float32[3]): ")
			assert.Contains(t, failed.Msg, "must match the size")
			assert.NotContains(t, failed.Msg, "Exception raised from")
		}()
		m.Forward(s, s.Ones(torch.Float32, 3), false)
	})
}
