package torch_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
	"github.com/gojepa/gojepa/torch/weights"
)

// smallModel is a set with each kind of entry, under a prefix.
func smallModel(s *torch.Scope, p *torch.Params, prefix string) {
	root := p.Root()
	if prefix != "" {
		root = root.Sub(prefix)
	}
	root.Param(s, "z.weight", normal, 3, 2)
	root.Param(s, "a.bias", normal, 3)
	root.Buffer(s, "bn.running_var", torch.Float32, normal, 3)
	root.Buffer(s, "bn.num_batches_tracked", torch.Int64, ones)
}

func values(s *torch.Scope, p *torch.Params) (out [][]float64) {
	for _, q := range p.All() {
		out = append(out, s.Use(q.Value).Float64s())
	}
	return out
}

func TestStateDictsGoOutAndIn(t *testing.T) {
	dir := t.TempDir()
	torchtest.Do(t, func(s *torch.Scope) {
		for _, dtype := range []torch.DType{torch.Float32, torch.Float64, torch.BFloat16} {
			p, q, blank := torch.NewParams(1, dtype), torch.NewParams(2, dtype), torch.NewBlankParams(dtype)
			defer p.Close()
			defer q.Close()
			defer blank.Close()
			for _, m := range []*torch.Params{p, q, blank} {
				smallModel(s, m, "")
			}
			require.NotEqual(t, values(s, p), values(s, q))
			q.Flatten(s)
			for _, ext := range []string{".safetensors", ".pt"} {
				path := filepath.Join(dir, dtype.String()+ext)
				require.NoError(t, p.Save(s, path, map[string]string{"made": "here"}))
				for _, m := range []*torch.Params{q, blank} {
					require.NoError(t, m.Load(s, path, torch.LoadOptions{}))
					assert.Equal(t, values(s, p), values(s, m))
				}
				f, err := weights.Open(path)
				require.NoError(t, err)
				assert.Equal(t, "here", f.Metadata()["made"])
				if ext == ".pt" {
					assert.Equal(t, "[z.weight "+dtype.String()+"[3 2] a.bias "+dtype.String()+
						"[3] bn.running_var float32[3] bn.num_batches_tracked int64[]]", fmt.Sprint(f.Tensors()), "the model's order")
				}
				require.NoError(t, f.Close())
			}
			flat := q.Flatten(s)
			assert.Equal(t, values(s, p)[0], s.Use(flat[0].Value).Float64s(), "loading fills the flat memory")
		}
	})
}

func TestLoadConverts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "double.pt")
	torchtest.Do(t, func(s *torch.Scope) {
		p, q := torch.NewParams(1, torch.Float64), torch.NewParams(2, torch.Float32)
		defer p.Close()
		defer q.Close()
		smallModel(s, p, "module.encoder")
		smallModel(s, q, "")
		require.NoError(t, p.Save(s, path, nil))
		require.NoError(t, q.Load(s, path, torch.LoadOptions{Prefix: "encoder."}), "wrappers' prefixes are off already")
		for i := range values(s, p) {
			torchtest.Close(t, values(s, p)[i], values(s, q)[i], 1e-7, 0)
		}
	})
}

func TestWeightsOfAnotherModel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.safetensors")
	entry := func(name string, d weights.DType, shape ...int64) weights.Entry {
		info := weights.Info{Name: name, DType: d, Shape: shape}
		return weights.NewEntry(info, make([]byte, info.Bytes()))
	}
	require.NoError(t, weights.SaveFile(path, []weights.Entry{
		entry("z.weight", weights.F32, 2, 3),
		entry("bn.running_var", weights.C64, 3),
		entry("fc.weight", weights.F32, 1),
		entry("fc.bias", weights.F32, 1),
	}, nil))
	torchtest.Do(t, func(s *torch.Scope) {
		p := torch.NewParams(1, torch.Float32)
		defer p.Close()
		smallModel(s, p, "")
		before := values(s, p)

		err := p.Load(s, path, torch.LoadOptions{})
		var state *torch.StateError
		require.ErrorAs(t, err, &state)
		assert.Equal(t, []string{"a.bias"}, state.Missing, "num_batches_tracked may be missing")
		assert.Equal(t, []string{"fc.bias", "fc.weight"}, state.Unexpected)
		assert.Equal(t, []torch.Mismatch{{"z.weight", "float32[2 3]", "float32[3 2]"},
			{"bn.running_var", "complex64[3]", "float32[3]"}}, state.Misshapen)
		assert.Equal(t, "torch: "+path+": not the weights of this model: missing keys (1): a.bias; "+
			"unexpected keys (2): fc.bias, fc.weight; keys of another shape (2): z.weight float32[2 3], expected float32[3 2], "+
			"bn.running_var complex64[3], expected float32[3]", err.Error())

		err = p.Load(s, path, torch.LoadOptions{Lenient: true})
		require.ErrorAs(t, err, &state)
		assert.Empty(t, state.Missing)
		assert.Empty(t, state.Unexpected)
		assert.Len(t, state.Misshapen, 2, "shapes count all the same")
		assert.Equal(t, before, values(s, p), "nothing has changed")
	})
}

func TestLenientLoadTakesWhatIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "part.pt")
	require.NoError(t, weights.SaveFile(path, []weights.Entry{
		weights.NewEntry(weights.Info{Name: "a.bias", DType: weights.F32, Shape: []int64{3}}, make([]byte, 12)),
		weights.NewEntry(weights.Info{Name: "extra", DType: weights.F32}, make([]byte, 4)),
	}, nil))
	torchtest.Do(t, func(s *torch.Scope) {
		p := torch.NewParams(1, torch.Float32)
		defer p.Close()
		smallModel(s, p, "")
		before := values(s, p)
		require.NoError(t, p.Load(s, path, torch.LoadOptions{Lenient: true}))
		assert.Equal(t, before[0], values(s, p)[0])
		assert.Equal(t, []float64{0, 0, 0}, values(s, p)[1])
	})
}

func TestLoadMapsKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "double.pt")
	torchtest.Do(t, func(s *torch.Scope) {
		p, q := torch.NewParams(1, torch.Float32), torch.NewParams(2, torch.Float32)
		defer p.Close()
		defer q.Close()
		smallModel(s, p, "net.old")
		smallModel(s, q, "new")
		require.NoError(t, p.Save(s, path, nil))
		keys := weights.Mapping{Prefix: "net.", Rename: [][2]string{{"old.", "new."}}}
		require.NoError(t, q.Load(s, path, torch.LoadOptions{Keys: keys}))
		assert.Equal(t, values(s, p), values(s, q))
		keys.Drop = []string{"old.a."}
		assert.ErrorContains(t, q.Load(s, path, torch.LoadOptions{Keys: keys}), "missing keys (1): new.a.bias")
		keys.Prefix = "none."
		assert.ErrorContains(t, q.Load(s, path, torch.LoadOptions{Keys: keys}), "no key is left")
	})
}

// TestLoadingSpoilsTheGraph: a backward through values that were loaded over is an error, as after any change in place.
func TestLoadingSpoilsTheGraph(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.safetensors")
	th := torchtest.Thread(t)
	require.ErrorContains(t, th.Do(ctx, func(s *torch.Scope) {
		p := torch.NewParams(1, torch.Float32)
		defer p.Close()
		w := p.Root().Param(s, "w", normal, 3)
		require.NoError(t, p.Save(s, path, nil))
		y := s.Use(w).Mul(s.Use(w)).Sum()
		require.NoError(t, p.Load(s, path, torch.LoadOptions{}))
		y.Backward()
	}), "modified by an inplace operation")
}

// TestLoadReportsWhatCannotBeRead: of several tensors that are read at a time, one in a damaged file fails the load.
func TestLoadReportsWhatCannotBeRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.pt")
	torchtest.Do(t, func(s *torch.Scope) {
		p := torch.NewParams(1, torch.Float32)
		defer p.Close()
		for i := range 9 {
			p.Root().At(i).Param(s, "w", normal, 300)
		}
		require.NoError(t, p.Save(s, path, nil))
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		data[len(data)/2] ^= 1
		require.NoError(t, os.WriteFile(path, data, 0o600))
		err = p.Load(s, path, torch.LoadOptions{})
		assert.ErrorContains(t, err, "loading "+path)
		assert.ErrorContains(t, err, "the data are damaged")
	})
}

func TestManyKeysAreCounted(t *testing.T) {
	e := &torch.StateError{File: "f.pt"}
	for i := range 25 {
		e.Missing = append(e.Missing, fmt.Sprint("k", i))
	}
	assert.Contains(t, e.Error(), "missing keys (25): k0, k1,")
	assert.Contains(t, e.Error(), "k19 and 5 more")
	assert.NotContains(t, e.Error(), "k20")
}

func TestSaveAndLoadNameTheFile(t *testing.T) {
	dir := t.TempDir()
	torchtest.Do(t, func(s *torch.Scope) {
		p := torch.NewParams(1, torch.Float32)
		defer p.Close()
		smallModel(s, p, "")
		assert.ErrorContains(t, p.Save(s, filepath.Join(dir, "w.npz"), nil), "w.npz")
		assert.ErrorContains(t, p.Save(s, filepath.Join(dir, "none", "w.pt"), nil), "none")
		assert.ErrorContains(t, p.Load(s, filepath.Join(dir, "none.pt"), torch.LoadOptions{}), "none.pt")
		broken := filepath.Join(dir, "broken.pt")
		require.NoError(t, os.WriteFile(broken, []byte("PK\x03\x04"), 0o600))
		assert.ErrorContains(t, p.Load(s, broken, torch.LoadOptions{}), "broken.pt")
	})
}
