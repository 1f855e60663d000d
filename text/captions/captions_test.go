package captions

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/lejepa"
	"github.com/gojepa/gojepa/sigreg"
	"github.com/gojepa/gojepa/text"
	"github.com/gojepa/gojepa/text/augment"
	"github.com/gojepa/gojepa/text/tokenize"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
	"github.com/gojepa/gojepa/torch/torchtest"
	"github.com/gojepa/gojepa/vision"
)

func TestMain(m *testing.M) { torchtest.Main(m) }

func maker(t *testing.T) Maker {
	tok, err := tokenize.Open("../tokenize/testdata/bert_uncased.json")
	require.NoError(t, err)
	return Maker{Tokenizer: tok, Augment: augment.Config{Sentences: [2]float64{0.3, 1}, DropWords: 0.1}, Count: 2, Max: 24, Seed: 3}
}

var some = []Caption{
	{Sample: 10, Text: "The heart is enlarged. There is a small effusion. No pneumothorax."},
	{Sample: 11},
	{Sample: 12, Text: "A dog."},
	{Sample: 13, Text: "bad \xff"},
	{Sample: 14, Text: " \n"},
	{Sample: 15, Text: "Two dogs are running through the shallow water of a lake. One of them carries a stick."},
}

func TestViews(t *testing.T) {
	m := maker(t)
	require.NoError(t, m.Validate(128))
	b, bad := m.Views(some, 4)
	assert.ElementsMatch(t, []int{0, 2, 5}, b.Samples)
	assert.Equal(t, 2, b.Samples[2], "the shortest comes last")
	assert.Equal(t, 6, b.Rows())
	require.Len(t, bad, 1)
	require.ErrorIs(t, bad[0].Err, tokenize.ErrInvalidUTF8)
	assert.Equal(t, 3, bad[0].At)
	for v := range 2 {
		for i, at := range b.Samples {
			want, err := m.Tokenizer.Encode(m.Augment.View(some[at].Text, augment.Key{Seed: 3, Epoch: 4, Sample: some[at].Sample, View: uint16(v)}), 24)
			require.NoError(t, err)
			assert.Equal(t, want, b.IDs[3*v+i])
		}
	}
	ids, n := b.Padded(1, 3)
	require.Len(t, ids, 2*n)
	assert.Equal(t, int64(b.IDs[1][0]), ids[0])
	for i := len(b.IDs[2]); i < n; i++ {
		assert.Equal(t, int64(-1), ids[n+i])
	}
	_, n = b.Padded(2, 2)
	assert.Equal(t, 1, n)

	// One sample's views do not depend on who else is there.
	alone, _ := m.Views(some[5:], 4)
	at := 0
	for b.Samples[at] != 5 {
		at++
	}
	assert.Equal(t, [][]int32{b.IDs[at], b.IDs[3+at]}, alone.IDs)

	none, bad := m.Views([]Caption{{}, {}}, 0)
	assert.Empty(t, none.Samples)
	assert.Empty(t, bad)

	m.Count, m.Max = 0, 2
	err := m.Validate(128)
	assert.ErrorContains(t, err, "count: 0")
	assert.ErrorContains(t, err, "max: 2, expected 3")
}

// TestTrains takes steps of images with captions, of which some are missing: by the whole batch and in pieces, with the same
// gradients, and the loss goes down.
func TestTrains(t *testing.T) {
	const n, k = 6, 8
	th := torchtest.Thread(t)
	require.NoError(t, th.Do(context.Background(), func(s *torch.Scope) {
		images, err := vision.New(s, vision.Spec{Name: "vit_tiny_patch16_224", ImageSize: 16, PatchSize: 8, Width: 24, Depth: 2, Heads: 2}, 1, torch.Float64)
		require.NoError(t, err)
		defer images.Close()
		texts, err := text.New(s, text.Spec{Name: "caption_tiny", Vocab: 500, MaxTokens: 24, Width: 24, Depth: 2, Heads: 2, DropPath: 0.1}, 2, torch.Float64)
		require.NoError(t, err)
		defer texts.Close()
		m := maker(t)
		require.NoError(t, texts.Spec().CheckVocabulary(m.Tokenizer.Size()))
		joint := lejepa.Joint{{Encoder: images}, {Encoder: texts}}
		for i, e := range []lejepa.Encoder{images, texts} {
			joint[i].Projector = lejepa.NewProjector(s, e.Dim(), lejepa.ProjectorConfig{Hidden: []int{16}, Dim: k}, uint64(3+i), torch.Float64)
			defer joint[i].Projector.Params().Close()
		}
		var params []*torch.Param
		for _, j := range joint {
			params = append(append(params, j.Encoder.Params().Trained()...), j.Projector.Params().Trained()...)
		}
		o := lejepa.Objective{Lambda: 0.05, Test: sigreg.Default(), Slices: sigreg.Slices{Count: 16}}
		x := s.FromFloat64(torchtest.Values(5, 2*n*3*16*16), 2, n, 3, 16, 16)

		b, _ := m.Views(some, 0)
		rows := func(s *torch.Scope, from, to int64) torch.Tensor {
			ids, t := b.Padded(int(from), int(to))
			return s.FromInt64(ids, to-from, int64(t))
		}
		objective := func(s *torch.Scope, z []torch.Tensor) lejepa.Loss {
			return o.ComputeJoint(s, []lejepa.Views{{Z: z[0], Globals: 1}, {Z: z[1], Samples: b.Samples}}, n, 1)
		}
		gradients := func(pass nn.Pass, pieces int64) (float64, []float64) {
			for _, q := range params {
				s.Use(q.Value).SetGrad(torch.Tensor{})
			}
			var loss lejepa.Loss
			if pieces == 0 {
				ids := rows(s, 0, int64(b.Rows()))
				loss = objective(s, joint.Forward(s, [][]torch.Tensor{{x}, {ids.Reshape(int64(b.Count), -1, ids.Size(1))}}, pass))
				loss.Total.Backward()
			} else {
				flat := x.Flatten(0, 1)
				loss = joint.Accumulate(s, []lejepa.Kind{
					{Crops: []lejepa.Crops{{Views: 2, Images: func(_ *torch.Scope, from, to int64) torch.Tensor { return flat.Narrow(0, from, to-from) }}}, N: n},
					{Crops: []lejepa.Crops{{Views: int64(b.Count), Images: rows}}, N: int64(len(b.Samples))},
				}, lejepa.Micro{Images: pieces, Cast: torch.Float32}, pass, objective)
			}
			var all []float64
			for _, q := range params {
				if g := s.Use(q.Value).Grad(); g.Defined() {
					all = append(all, g.Float64s()...)
				} else {
					require.Fail(t, "no gradient", q.Name)
				}
			}
			return loss.Total.Item(), all
		}
		train := nn.Pass{Train: true, Seed: 7}
		whole, want := gradients(train, 0)
		for _, pieces := range []int64{1, 2, 100} {
			loss, got := gradients(train, pieces)
			assert.InDelta(t, whole, loss, 1e-12)
			torchtest.Close(t, want, got, 1e-10, 0)
		}
		first := whole
		for range 60 {
			_, _ = gradients(nn.Pass{Train: true}, 0)
			s.NoGrad(func() {
				for _, q := range params {
					v := s.Use(q.Value)
					v.AddScaled_(v.Grad(), -0.05)
				}
			})
		}
		last, _ := gradients(train, 0)
		assert.Less(t, last, 0.8*first)
	}))
}
