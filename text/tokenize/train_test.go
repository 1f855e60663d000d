package tokenize

import (
	"encoding/json"
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func each(texts []string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, t := range texts {
			if !yield(t, nil) {
				return
			}
		}
	}
}

// TestTrainAgainstPython has the vocabulary and the merges of the Python package's trainers.
func TestTrainAgainstPython(t *testing.T) {
	g := readGolden(t)
	for kind, o := range map[string]Training{
		"bpe":       {Kind: "bpe", Size: 500, MinCount: 2, Alphabet: 400, Lower: true, Accents: true},
		"bytelevel": {Kind: "bytelevel", Size: 700, MinCount: 1, Alphabet: 1, Accents: true},
	} {
		l, err := Train(each(g.Captions), o)
		require.NoError(t, err)
		var got struct {
			Model struct {
				Vocab  map[string]int
				Merges [][2]string
			}
		}
		require.NoError(t, json.Unmarshal(l.JSON, &got))
		want := g.Trained[kind]
		assert.Equal(t, want.Merges, got.Model.Merges, kind)
		assert.Equal(t, want.Vocab, got.Model.Vocab, kind)
		assert.Equal(t, len(want.Vocab), l.Size)
		assert.Equal(t, len(g.Captions), l.Texts)
	}
}

func TestTrainWordPiece(t *testing.T) {
	g := readGolden(t)
	o := Training{Kind: "wordpiece", Size: 600, MinCount: 2, Alphabet: 120, Lower: true}
	texts := append(append([]string{}, g.Captions...), "bad \xff", "  ", "")
	l, err := Train(each(texts), o)
	require.NoError(t, err)
	assert.Equal(t, 1, l.Invalid)
	assert.Equal(t, len(g.Captions), l.Texts)
	assert.LessOrEqual(t, l.Size, 600)
	again, err := Train(each(texts), o)
	require.NoError(t, err)
	assert.Equal(t, string(l.JSON), string(again.JSON), "the same texts make the same file")

	tok, err := Parse(l.JSON)
	require.NoError(t, err)
	ids, err := tok.Encode("The hEart", 0)
	require.NoError(t, err)
	assert.Equal(t, "[CLS]", tok.Token(ids[0]))
	assert.Equal(t, "the", tok.Token(ids[1]), "a frequent word is one token")
	unknown, err := tok.Encode("\u13a0", 0)
	require.NoError(t, err)
	assert.Equal(t, "[UNK]", tok.Token(unknown[1]))
	for i := range tok.Size() { // of every token but characters two parts are there
		token := tok.Token(int32(i))
		require.NotEmpty(t, token)
		if i < 5 || len([]rune(strings.TrimPrefix(token, "##"))) == 1 {
			continue
		}
		r := []rune(strings.TrimPrefix(token, "##"))
		prefix := token[:len(token)-len(string(r))]
		found := false
		for j := 1; j < len(r); j++ {
			_, a := tok.ID(prefix + string(r[:j]))
			_, b := tok.ID("##" + string(r[j:]))
			found = found || a && b
		}
		assert.True(t, found, token)
	}
}

// TestNothingLeft has a text that normalization leaves nothing of.
func TestNothingLeft(t *testing.T) {
	l, err := Train(each([]string{"a b"}), Training{Kind: "bytelevel", Size: 272, MinCount: 1, Alphabet: 1})
	require.NoError(t, err)
	tok, err := Parse(l.JSON)
	require.NoError(t, err)
	ids, err := tok.Encode("\u0316\u0301", 0)
	require.NoError(t, err)
	assert.Equal(t, []int32{0, 2}, ids)
}

func TestTrainErrors(t *testing.T) {
	_, err := Train(each(nil), Training{Kind: "magic", Size: 3})
	for _, want := range []string{`kind: "magic", expected one of wordpiece, bpe, bytelevel`, "size: 3, expected 272 to", "min_count: 0", "alphabet: 0"} {
		assert.ErrorContains(t, err, want)
	}
	_, err = Train(each([]string{" ", ""}), DefaultTraining())
	assert.ErrorContains(t, err, "no words")
	broken := errors.New("disk")
	_, err = Train(func(yield func(string, error) bool) { yield("", broken) }, DefaultTraining())
	assert.ErrorIs(t, err, broken)
}
