package text

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/torch/torchtest"
)

func TestMain(m *testing.M) { torchtest.Main(m) }

// golden is what scripts/golden/text.py wrote.
type golden struct {
	Models map[string]struct {
		Config  map[string]int
		Batches map[string]struct {
			IDs               [][]int64
			Tokens, Mean, CLS []float64
			Grads             map[string][2]float64
		}
	}
	Keys map[string]string
}

func readGolden(t *testing.T) (g golden) {
	raw, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &g))
	require.Len(t, g.Models, 2)
	return g
}

func specOf(c map[string]int) Spec {
	return Spec{Name: "bert_tiny", Vocab: c["vocab_size"], MaxTokens: c["max_position_embeddings"], Width: c["hidden_size"],
		Depth: c["num_hidden_layers"], Heads: c["num_attention_heads"], Hidden: c["intermediate_size"]}
}

// filled is an encoder whose weights are values of their indices.
func filled(t *testing.T, s *torch.Scope, spec Spec, dtype torch.DType) *Encoder {
	e, err := New(s, spec, 1, dtype)
	require.NoError(t, err)
	t.Cleanup(e.Close)
	s.NoGrad(func() {
		for i, q := range e.Params().All() {
			shape := q.Value.Shape()
			v := torchtest.Values(uint64(1000+i), int(q.Value.Numel()))
			for j := range v {
				v[j] *= 0.3
				if len(shape) == 1 && i%2 == 0 {
					v[j]++
				}
			}
			s.Use(q.Value).Copy_(s.FromFloat64(v, shape...).To(dtype))
		}
	})
	return e
}

func tensorOf(s *torch.Scope, ids [][]int64) torch.Tensor {
	var flat []int64
	for _, row := range ids {
		flat = append(flat, row...)
	}
	return s.FromInt64(flat, int64(len(ids)), int64(len(ids[0])))
}

// TestAgainstTransformers allows 1e-5 in float32 and 1e-9 in float64, of the largest value.
func TestAgainstTransformers(t *testing.T) {
	for name, m := range readGolden(t).Models {
		for batch, want := range m.Batches {
			for dtype, tol := range map[torch.DType]float64{torch.Float32: 1e-5, torch.Float64: 1e-9} {
				t.Run(fmt.Sprint(name, "/", batch, "/", dtype), func(t *testing.T) {
					torchtest.Do(t, func(s *torch.Scope) {
						spec := specOf(m.Config)
						spec.Pool = PoolMean
						e := filled(t, s, spec, dtype)
						ids := tensorOf(s, want.IDs)
						there := ids.GeScalar(0).To(dtype).Unsqueeze(2)
						torchtest.Close(t, want.Tokens, e.Tokens(s, ids, nn.Pass{}).Mul(there).Float64s(), tol, 0)
						mean := e.Forward(s, ids, nn.Pass{})
						torchtest.Close(t, want.Mean, mean.Float64s(), tol, 0)
						mean.Mul(s.FromFloat64(torchtest.Values(20, len(want.Mean)), mean.Shape()...).To(dtype)).Sum().Backward()
						require.Len(t, want.Grads, len(e.Params().All()))
						for _, q := range e.Params().All() {
							g := s.Use(q.Value).Grad()
							along := g.Mul(s.FromFloat64(torchtest.Values(30, int(g.Numel())), g.Shape()...).To(dtype)).Sum()
							w := want.Grads[q.Name]
							floor := 10 * tol // of the keys' biases, whose gradient is none
							torchtest.Close(t, w[:1], []float64{g.Norm().Item()}, 10*tol, floor, q.Name)
							assert.InDelta(t, w[1], along.Item(), 20*tol*w[0]+floor, q.Name)
						}
						e.spec.Pool = PoolCLS
						torchtest.Close(t, want.CLS, e.Forward(s, ids, nn.Pass{}).Float64s(), tol, 0)
					})
				})
			}
		}
	}
}

// TestKeys compares names, shapes and order of all variants' parameters with those of BertModel.
func TestKeys(t *testing.T) {
	keys := readGolden(t).Keys
	torchtest.Do(t, func(s *torch.Scope) {
		for _, name := range Names() {
			e, err := build(s, Spec{Name: name}, torch.NewShapes(torch.Float32))
			require.NoError(t, err)
			var lines []string
			for _, q := range e.Params().All() {
				lines = append(lines, fmt.Sprintf("%s %s", q.Name, strings.ReplaceAll(fmt.Sprint(q.Value.Shape()), " ", ", ")))
			}
			if want, ok := keys[name]; ok {
				assert.Equal(t, want, fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(lines, "\n"))))[:16], name)
			} else {
				assert.True(t, strings.HasPrefix(name, "caption_"), name)
			}
			assert.Equal(t, int64(e.Spec().Width), e.Dim())
			e.Close()
		}
	})
}

// TestFiniteDifferences moves single weights of every kind, with padding and drop path.
func TestFiniteDifferences(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		m := readGolden(t).Models["plain"]
		spec := specOf(m.Config)
		spec.Pool, spec.DropPath = PoolMean, 0.4
		e := filled(t, s, spec, torch.Float64)
		ids := tensorOf(s, m.Batches["padded"].IDs)
		c := s.FromFloat64(torchtest.Values(5, 4*24), 4, 24)
		loss := func() torch.Tensor { return e.Forward(s, ids, nn.Pass{Train: true, Seed: 3}).Mul(c).Sum() }
		loss().Backward()
		for _, q := range e.Params().All() {
			at := q.Value.Numel() / 2
			var got float64
			s.NoGrad(func() {
				const h = 1e-6
				one := s.Use(q.Value).Reshape(-1).Narrow(0, at, 1)
				one.AddScalar_(h)
				up := loss().Item()
				one.AddScalar_(-2 * h)
				got = (up - loss().Item()) / (2 * h)
				one.AddScalar_(h)
			})
			assert.InDelta(t, got, s.Use(q.Value).Grad().Reshape(-1).Narrow(0, at, 1).Item(), 1e-6, q.Name)
		}
	})
}

// TestPaddingChangesNothing adds padding, and a text of no token.
func TestPaddingChangesNothing(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		for _, pool := range []string{PoolMean, PoolCLS} {
			e := filled(t, s, Spec{Name: "bert_tiny", Vocab: 30, MaxTokens: 40, Width: 16, Depth: 3, Heads: 2, Pool: pool}, torch.Float64)
			short := e.Forward(s, tensorOf(s, [][]int64{{3, 1, 2}}), nn.Pass{}).Float64s()
			long := e.Forward(s, tensorOf(s, [][]int64{{3, 1, 2, -1, -1, -1, -1}, {4, 4, 4, 4, 4, 4, 4}, {-1, -1, -1, -1, -1, -1, -1}}), nn.Pass{})
			torchtest.Close(t, short, long.Select(0, 0).Float64s(), 1e-14, 0)
			assert.True(t, long.AllFinite())
			if pool == PoolMean {
				assert.Zero(t, long.Select(0, 2).Norm().Item(), "a text of no token")
			}
		}
	})
}

func TestDropPathByRow(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		e := filled(t, s, Spec{Name: "bert_tiny", Vocab: 30, MaxTokens: 8, Width: 16, Depth: 3, Heads: 2, DropPath: 0.5}, torch.Float64)
		ids := tensorOf(s, [][]int64{{1, 2}, {3, 4}, {5, 6}, {7, 8}})
		all := e.Forward(s, ids, nn.Pass{Train: true, Seed: 1, Step: 2})
		some := e.Forward(s, ids.Narrow(0, 2, 2), nn.Pass{Train: true, Seed: 1, Step: 2, Row: 2})
		torchtest.Close(t, all.Narrow(0, 2, 2).Float64s(), some.Float64s(), 1e-14, 0)
		assert.NotEqual(t, all.Float64s(), e.Forward(s, ids, nn.Pass{Train: true, Seed: 1, Step: 3}).Float64s())
	})
}

func TestLoad(t *testing.T) {
	spec := Spec{Name: "bert_tiny", Heads: 1}
	torchtest.Do(t, func(s *torch.Scope) {
		g := readGolden(t).Models["one"]
		want := g.Batches["full"].CLS
		ids := tensorOf(s, g.Batches["full"].IDs)
		for _, file := range []string{"prefixed.safetensors", "pytorch_model.bin"} {
			e, err := Load(s, filepath.Join("testdata", file), spec)
			require.NoError(t, err, file)
			assert.Equal(t, Spec{Name: "bert_tiny", Vocab: 11, MaxTokens: 6, Width: 8, Depth: 1, Heads: 1, Hidden: 32, Pool: PoolCLS}, e.Spec())
			torchtest.Close(t, want, e.Forward(s, ids, nn.Pass{}).Float64s(), 1e-5, 0, file)

			own := filepath.Join(t.TempDir(), "text.safetensors")
			require.NoError(t, e.Params().Save(s, own, Metadata(e.Spec())))
			told, err := SpecOf(Metadata(e.Spec()))
			require.NoError(t, err)
			assert.Equal(t, e.Spec(), told)
			_, err = SpecOf(nil)
			require.ErrorContains(t, err, "metadata gojepa.text.spec is \"\"")
			again, err := Load(s, own, Spec{})
			require.NoError(t, err)
			assert.Equal(t, e.Spec(), again.Spec())
			torchtest.Close(t, want, again.Forward(s, ids, nn.Pass{}).Float64s(), 1e-5, 0)
			again.Close()
			e.Close()
		}
		file := filepath.Join("testdata", "prefixed.safetensors")
		got, err := Inspect(file, spec)
		require.NoError(t, err)
		assert.Equal(t, 11, got.Vocab)
		for want, spec := range map[string]Spec{
			"the file does not say which model it is of": {},
			"its vocabulary is 11: expected 500":         {Name: "bert_tiny", Heads: 1, Vocab: 500},
			"its max tokens is 6: expected 512":          {Name: "bert_tiny", Heads: 1, MaxTokens: 512},
			"width 8, which 3 heads do not divide":       {Name: "bert_tiny", Heads: 3},
			"encoder.layer.1.attention":                  {Name: "bert_tiny", Heads: 1, Depth: 2},
		} {
			_, err := Load(s, file, spec)
			require.ErrorContains(t, err, want)
			assert.ErrorContains(t, err, file)
		}
		other := filepath.Join(t.TempDir(), "other.safetensors")
		p := torch.NewParams(1, torch.Float32)
		nn.NewLinear(s, p.Root(), 2, 2, nn.Options{})
		require.NoError(t, p.Save(s, other, nil))
		p.Close()
		_, err = Load(s, other, spec)
		assert.ErrorContains(t, err, "expected the weights of a BERT")
	})
}

func TestSpec(t *testing.T) {
	full, err := Spec{Name: "minilm_l6_h384"}.Complete()
	require.NoError(t, err)
	assert.Equal(t, Spec{Name: "minilm_l6_h384", Vocab: 30522, MaxTokens: 512, Width: 384, Depth: 6, Heads: 12, Hidden: 1536, Pool: PoolMean}, full)
	assert.ErrorContains(t, Spec{Name: "bert_bse"}.Validate(), "did you mean bert_base?")
	assert.ErrorContains(t, Spec{Name: "bert_base", Heads: 7}.Validate(), "width 768, which 7 heads do not divide")
	assert.ErrorContains(t, Spec{Name: "bert_base", DropPath: 1}.Validate(), "drop path 1")
	assert.ErrorContains(t, Spec{Name: "bert_base", Pool: "max"}.Validate(), `pool "max": expected mean or cls`)
	assert.ErrorContains(t, Spec{Name: "bert_base", Depth: -1}.Validate(), "depth -1")
	assert.NoError(t, Spec{Name: "bert_base"}.CheckVocabulary(30522))
	assert.NoError(t, Spec{Name: "bert_base", Vocab: 30528}.CheckVocabulary(30522))
	assert.ErrorContains(t, Spec{Name: "bert_base"}.CheckVocabulary(500), "the tokenizer has 500 tokens, and the word embeddings of bert_base have 30522 rows")
	assert.Error(t, Spec{Name: "bert_base"}.CheckVocabulary(30523))
}

func TestWrongInput(t *testing.T) {
	torchtest.Do(t, func(s *torch.Scope) {
		e := filled(t, s, Spec{Name: "bert_tiny", Vocab: 30, MaxTokens: 4, Width: 16, Depth: 1, Heads: 2}, torch.Float32)
		for want, ids := range map[string]torch.Tensor{
			"expected int64 ids":                 s.Zeros(torch.Float32, 2, 3),
			"texts of 5 tokens: expected 1 to 4": s.Zeros(torch.Int64, 2, 5),
			"index out of range":                 s.Full(torch.Int64, 30, 1, 2),
			"out of range":                       s.Full(torch.Int64, 1000, 1, 2),
		} {
			err := s.Try(func(s *torch.Scope) { e.Forward(s, ids, nn.Pass{}) })
			assert.ErrorContains(t, err, want)
		}
	})
}
