package main

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/cmd/internal/model"
	"github.com/gojepa/gojepa/eval"
	"github.com/gojepa/gojepa/eval/store"
	"github.com/gojepa/gojepa/train/config"
	"github.com/gojepa/gojepa/vision"
	"github.com/gojepa/gojepa/vision/images"
)

// embed writes the features of a folder's images as cmd/embed does, in shards.
func embed(t *testing.T, weights, dir, out, hash string, labelled bool) string {
	ctx := context.Background()
	m, err := vision.LoadFile(weights, vision.LoadOptions{})
	require.NoError(t, err)
	defer m.Close()
	src, err := model.OpenImages(ctx, dir, config.OpenCollection(), 1, func(o *images.OpenOptions) { o.Labels = true })
	require.NoError(t, err)
	x, err := eval.Extract(ctx, m.Thread, m.Encoder, src, eval.ExtractOptions{Size: 16, Channels: 1, Mean: m.Mean, Std: m.Std, BatchSize: 64, Workers: 1, MaxBroken: 1})
	require.NoError(t, err)
	o := store.Options{Path: out, Images: x.N, ShardRows: 20, Dim: x.D, Named: true, Labelled: labelled, MadeWith: map[string]string{"weights": hash}}
	if labelled {
		o.Classes = x.Classes
	}
	_, err = store.Write(ctx, o, func(_ context.Context, from, to int, add func(store.Rows) error) ([]store.LeftOut, error) {
		r := store.Rows{X: x.X[from*x.D : to*x.D]}
		for i := from; i < to; i++ {
			r.Names = append(r.Names, src.Name(x.Samples[i]))
		}
		if labelled {
			r.Labels = x.Labels[from:to]
		}
		return nil, add(r)
	})
	require.NoError(t, err)
	return out
}

// TestEmbeddings: embeddings on disk are as good as the encoder and the images that they are of.
func TestEmbeddings(t *testing.T) {
	train, test := folders(t)
	weights, dir := savedEncoder(t), t.TempDir()
	a := embed(t, weights, train, filepath.Join(dir, "train.npy"), "w", true)
	b := embed(t, weights, test, filepath.Join(dir, "test.parquet"), "w", true)
	how := []string{"--k", "3", "--shots", "2", "--draws", "3", "--retrieval", "gallery", "--json"}
	code, out, log := evaluate(append(how, "--weights", weights, "--train", train, "--test", test)...)
	require.Zero(t, code, log)
	var want, got result
	require.NoError(t, json.Unmarshal([]byte(out), &want))
	how = append(how, "--embeddings", "--train", a, "--test", b)
	code, out, log = evaluate(append(how, "--label-free")...)
	require.Zero(t, code, log)
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	assert.Contains(t, log, "left out 1 rows of "+a+" that have no label")
	assert.Equal(t, set{Path: b, Images: 10, Used: 10, Classes: []string{"blank", "standing"}}, got.Test)
	require.Len(t, got.Scores, 1)
	assert.Equal(t, "embeddings", got.Scores[0].Features)
	got.Scores[0].Features = "encoder"
	wantScores, err := json.Marshal(want.Scores)
	require.NoError(t, err)
	gotScores, err := json.Marshal(got.Scores)
	require.NoError(t, err)
	assert.JSONEq(t, string(wantScores), string(gotScores))
	assert.Equal(t, 10, got.LabelFree.Images)
	assert.Nil(t, got.LabelFree.Views)

	code, out, log = evaluate("--embeddings", "--test", b, "--label-free")
	require.Zero(t, code, log)
	assert.Regexp(t, `^embeddings\n\nwithout labels, of 10 whole images\n(?s:.*)in sets of 10\)\n$`, out)

	bare := embed(t, weights, test, filepath.Join(dir, "bare.npy"), "w", false)
	other := embed(t, weights, test, filepath.Join(dir, "other.npy"), "v", true)
	for want, line := range map[string][]string{
		"--test: " + bare + " has no labels: expected what embed --labels has written": {"--train", a, "--test", bare},
		"embeddings of different encoders: weights was w for one and v for the other":  {"--train", a, "--test", other},
		"--test: " + filepath.Join(dir, "none.npy"):                                    {"--train", a, "--test", filepath.Join(dir, "none.npy")},
	} {
		code, _, log := evaluate(append(line, "--embeddings")...)
		assert.Equal(t, 1, code)
		assert.Contains(t, log, want)
	}
	code, _, log = evaluate("--embeddings", "--untrained", "--test", b, "--label-free")
	assert.Equal(t, 2, code)
	assert.Contains(t, log, "--embeddings: --weights, --untrained,")
	code, _, log = evaluate("--embeddings", "--weights", weights)
	assert.Equal(t, 2, code)
	assert.Contains(t, log, "--embeddings: expected --train and --test, or")
	assert.Contains(t, log, "--fine-tune, --class-tokens and --views need images")
}
