package tokenize

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// changed is a tokenizer.json of testdata with a value set at a path of keys.
func changed(t testing.TB, name string, value any, path ...string) []byte {
	raw, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	require.NoError(t, err)
	var all map[string]any
	require.NoError(t, json.Unmarshal(raw, &all))
	at := all
	for _, key := range path[:len(path)-1] {
		at = at[key].(map[string]any)
	}
	at[path[len(path)-1]] = value
	raw, err = json.Marshal(all)
	require.NoError(t, err)
	return raw
}

func TestErrors(t *testing.T) {
	type m = map[string]any
	for _, c := range []struct {
		data []byte
		want string
	}{
		{nil, "expected the JSON of a tokenizer.json"},
		{[]byte("{}"), "model: missing"},
		{[]byte(`{"model": 3}`), "model: "},
		{[]byte(`[1]`), "expected the JSON"},
		{changed(t, "gpt2", m{"vocab": m{"a": 1}}, "model"), "model: expected a type: one of WordPiece"},
		{changed(t, "gpt2", m{"type": "Magic"}, "model"), "model Magic: not supported; expected one of WordPiece"},
		{changed(t, "gpt2", 0.1, "model", "dropout"), "model BPE: dropout 0.1: not supported"},
		{changed(t, "gpt2", []any{"a"}, "model", "merges"), `model BPE: merges[0]: "a": expected two tokens`},
		{changed(t, "gpt2", []any{"a zzz"}, "model", "merges"), `merges[0]: token "zzz" is not in the vocabulary`},
		{changed(t, "gpt2", m{}, "model", "vocab"), "vocab: missing or empty"},
		{changed(t, "gpt2", m{"a": -1}, "model", "vocab"), "merges[0]"},
		{changed(t, "wordlevel", m{"[UNK]": 1 << 40}, "model", "vocab"), "has id 1099511627776: expected 0 to"},
		{changed(t, "wordlevel", m{"a": "b"}, "model", "vocab"), "ocab is a string: expected int"},
		{changed(t, "bert_uncased", "[NO]", "model", "unk_token"), `unk_token "[NO]" is not in the vocabulary`},
		{changed(t, "bert_uncased", m{"type": "Precompiled"}, "normalizer"), "normalizer Precompiled: not supported"},
		{changed(t, "bert_uncased", m{"type": "Nmt"}, "normalizer"), "normalizer Nmt: not supported; expected one of"},
		{changed(t, "bert_uncased", m{"type": "Sequence", "normalizers": []any{m{"type": "NFC"}, m{"type": "X"}}}, "normalizer"), "normalizer.normalizers[1] X: not supported"},
		{changed(t, "bert_uncased", m{"type": "Replace", "pattern": m{"Regex": "(?=a)"}, "content": ""}, "normalizer"), "Go's regular expressions do not look ahead"},
		{changed(t, "bert_uncased", m{"type": "Replace", "pattern": m{"Regex": "("}, "content": ""}, "normalizer"), `normalizer Replace: pattern "("`},
		{changed(t, "bert_uncased", m{"type": "Replace", "pattern": m{"Regex": "a*"}, "content": ""}, "normalizer"), "matches nothing"},
		{changed(t, "bert_uncased", m{"type": "UnicodeScripts"}, "pre_tokenizer"), "pre_tokenizer UnicodeScripts: not supported"},
		{changed(t, "bert_uncased", m{"type": "Metaspace", "prepend_scheme": "first"}, "pre_tokenizer"), `prepend_scheme "first" after a normalizer`},
		{changed(t, "bert_uncased", m{"type": "Split", "pattern": m{"String": "a"}, "behavior": "Odd"}, "pre_tokenizer"), `behavior "Odd"`},
		{changed(t, "bert_uncased", m{"type": "Other"}, "post_processor"), "post_processor Other: not supported"},
		{changed(t, "bert_uncased", m{"type": "TemplateProcessing"}, "post_processor"), "post_processor TemplateProcessing"},
		{changed(t, "roberta", []any{"</s>", 5000}, "post_processor", "sep"), "special token 5000 is not in the vocabulary"},
		{changed(t, "roberta", []any{m{"id": 7, "content": "<s>"}}, "added_tokens"), `added_tokens[0]: "<s>" has id 7 here and 0`},
		{changed(t, "roberta", []any{m{"id": 0, "content": "new"}}, "added_tokens"), `id 0 is that of "new" and of "<s>"`},
		{changed(t, "bert_uncased", m{"max_length": 2}, "truncation"), "truncation: max_length 2: expected more than the 2 special tokens"},
		{changed(t, "bert_uncased", m{"pad_id": 900}, "padding"), "padding: pad_id 900"},
		{changed(t, "unigram", []any{[]any{"a", "b"}}, "model", "vocab"), "vocab[0]"},
		{changed(t, "unigram", 5000, "model", "unk_id"), "unk_id 5000: expected 0 to"},
	} {
		_, err := Parse(c.data)
		assert.ErrorContains(t, err, c.want)
	}
	_, err := Open("testdata/none.json")
	assert.ErrorContains(t, err, "testdata/none.json")
	broken := filepath.Join(t.TempDir(), "tokenizer.json")
	require.NoError(t, os.WriteFile(broken, []byte(`{"model": {"type": "BPE"`), 0o600))
	_, err = Open(broken)
	assert.ErrorContains(t, err, broken)

	tok := open(t, "bert_uncased")
	_, err = tok.Encode("good \xff bad", 0)
	require.ErrorIs(t, err, ErrInvalidUTF8)
	assert.ErrorContains(t, err, "at byte 5")
	_, err = tok.Encode("a", 1)
	assert.ErrorContains(t, err, "expected 2 or more, as there are 2 special tokens")
}

func TestProperties(t *testing.T) {
	tok := open(t, "bert_uncased")
	assert.Equal(t, "WordPiece", tok.Kind())
	assert.Equal(t, 500, tok.Size())
	assert.Equal(t, int32(0), tok.Pad())
	assert.Equal(t, 2, tok.Around())
	assert.Equal(t, []int32{0, 1, 2, 3, 4}, tok.Special())
	assert.Equal(t, "[MASK]", tok.Token(4))
	assert.Empty(t, tok.Token(-1))
	id, ok := tok.ID("[SEP]")
	assert.True(t, ok)
	assert.Equal(t, int32(3), id)
	_, ok = tok.ID("nothing")
	assert.False(t, ok)
	id, ok = open(t, "bert_cased").ID("<extra>")
	assert.True(t, ok)
	assert.Equal(t, int32(451), id)
	ids, err := tok.Append([]int32{9}, "", 2)
	require.NoError(t, err)
	assert.Equal(t, []int32{9, 2, 3}, ids)
	assert.Equal(t, int32(1), open(t, "roberta").Pad())
}

// TestLongTexts has texts of 256 kB, without a space too, end in time: linear or n·log n in each model.
func TestLongTexts(t *testing.T) {
	for _, name := range []string{"bert_uncased", "bpe_whitespace", "bpe_affixes", "gpt2", "clip", "llama", "unigram", "unigram_bytes", "wordlevel"} {
		tok := open(t, name)
		for _, text := range []string{
			strings.Repeat("a", 1<<18), strings.Repeat("the lungs are clear, ", 12_000), strings.Repeat("흉부", 1<<15), strings.Repeat(" ", 1<<18),
			"e" + strings.Repeat("\u0301", 1<<16), strings.Repeat("[MASK]", 1<<15), strings.Repeat("🙂", 1<<16),
		} {
			begin := time.Now()
			ids, err := tok.Encode(text, 0)
			require.NoError(t, err)
			assert.Less(t, time.Since(begin), 20*time.Second, "%s %.10q", name, text)
			cut, err := tok.Encode(text, 32)
			require.NoError(t, err)
			assert.LessOrEqual(t, len(cut), 32)
			if !tok.left && tok.Around() == 0 && len(ids) >= 32 {
				assert.Equal(t, ids[:32], cut)
			}
		}
	}
}

func TestBatches(t *testing.T) {
	texts := [][]int32{{1}, {2, 2, 2}, nil, {3, 3}, {}, {4, 4, 4}, {5}}
	got := Batches(texts, 6, 9)
	assert.Equal(t, []Batch{
		{IDs: []int32{2, 2, 2, 4, 4, 4}, Lengths: []int32{3, 3}, Texts: []int{1, 5}},
		{IDs: []int32{3, 3, 1, 9, 5, 9}, Lengths: []int32{2, 1, 1}, Texts: []int{3, 0, 6}},
		{IDs: []int32{}, Lengths: []int32{0}, Texts: []int{4}},
	}, got)
	assert.Equal(t, []int{3, 2, 0}, []int{got[0].T(), got[1].T(), got[2].T()})
	assert.Len(t, Batches(texts, 1, 9), 6, "a text that is longer than a batch is one")
	assert.Empty(t, Batches(nil, 1, 9))
}

// FuzzParse changes tokenizer files: what comes of it is an error, or a tokenizer whose ids are within its size.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(f, err)
	for _, file := range files {
		if raw, err := os.ReadFile(file); err == nil && filepath.Base(file) != "golden.json" {
			f.Add(raw, "The heart's <mask> [MASK] 흉부 é")
		}
	}
	f.Add([]byte(`{"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"post_processor":{"type":"Sequence","processors":[{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x"}}]}]}}`), "a")
	f.Fuzz(func(t *testing.T, raw []byte, text string) {
		tok, err := Parse(raw)
		if err != nil {
			return
		}
		ids, err := tok.Encode(text, 0)
		if err != nil {
			return
		}
		for _, id := range ids {
			if id < 0 || int(id) >= tok.Size() {
				t.Fatalf("id %d of %d", id, tok.Size())
			}
		}
	})
}

// FuzzEncode has every kind of tokenizer take any bytes.
func FuzzEncode(f *testing.F) {
	f.Add("a", 0)
	f.Add("\xff", 3)
	var all []*Tokenizer
	for _, name := range []string{"bert_uncased", "bert_cased", "bpe_whitespace", "bpe_affixes", "gpt2", "roberta", "clip", "llama", "bpe_split", "unigram", "unigram_bytes", "wordlevel"} {
		tok, err := Open(filepath.Join("testdata", name+".json"))
		require.NoError(f, err)
		all = append(all, tok)
	}
	f.Fuzz(func(t *testing.T, text string, n int) {
		for _, tok := range all {
			ids, err := tok.Encode(text, n)
			if err == nil && n > 0 && len(ids) > n {
				t.Fatalf("%d ids of at most %d", len(ids), n)
			}
		}
	})
}

// BenchmarkEncode encodes captions of few words and many: MB/s of one core.
func BenchmarkEncode(b *testing.B) {
	raw, err := os.ReadFile("testdata/golden.json")
	require.NoError(b, err)
	var g golden
	require.NoError(b, json.Unmarshal(raw, &g))
	var long strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&long, "%s %s%d ", g.Captions[i%len(g.Captions)], bits[i%len(bits)], i)
	}
	for _, name := range []string{"bert_uncased", "bpe_whitespace", "gpt2", "clip", "llama", "unigram", "unigram_bytes"} {
		b.Run(name, func(b *testing.B) {
			tok, err := Open(filepath.Join("testdata", name+".json"))
			require.NoError(b, err)
			text := long.String()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				_, err := tok.Encode(text, 0)
				require.NoError(b, err)
			}
		})
	}
}
