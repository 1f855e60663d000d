package tokenize

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	lib "github.com/sugarme/tokenizer"
	"github.com/sugarme/tokenizer/model"
	"github.com/sugarme/tokenizer/model/wordlevel"
	"github.com/sugarme/tokenizer/model/wordpiece"
)

// maxVocabulary bounds ids, which tables are made for.
const maxVocabulary = 1 << 22

// setModel reads the model and its vocabulary.
func (t *Tokenizer) setModel(c config) error {
	m, err := componentOf("model", c.Model)
	if err != nil && m.Type == "" {
		// Files before version 0.9 of the Python package do not name it.
		return fmt.Errorf("%w: one of WordPiece, BPE, Unigram, WordLevel", err)
	}
	t.kind = m.Type
	switch m.Type {
	case "WordPiece":
		t.model, err = wordPieceOf(m)
	case "WordLevel":
		t.model, err = wordLevelOf(m)
	case "BPE":
		t.model, err = bpeOf(m)
	case "Unigram":
		t.model, err = unigramOf(m)
	default:
		return m.wrong("not supported; expected one of WordPiece, BPE, Unigram, WordLevel")
	}
	if err != nil {
		return err
	}
	for token, id := range t.model.GetVocab() {
		if err := t.name(id, token); err != nil {
			return m.wrong("vocab: %w", err)
		}
	}
	return nil
}

// name notes that a token has an id.
func (t *Tokenizer) name(id int, token string) error {
	if id < 0 || id >= maxVocabulary {
		return fmt.Errorf("token %q has id %d: expected 0 to %d", token, id, maxVocabulary-1)
	}
	if id >= len(t.tokens) {
		t.tokens = append(t.tokens, make([]string, id+1-len(t.tokens))...)
	}
	t.tokens[id] = token
	return nil
}

// vocabulary is a map from tokens to ids.
type vocabulary map[string]int

func (v vocabulary) check(c component, unk string, needed bool) error {
	if len(v) == 0 {
		return c.wrong("vocab: missing or empty")
	}
	if _, ok := v[unk]; !ok && (needed || unk != "") {
		return c.wrong("unk_token %q is not in the vocabulary", unk)
	}
	return nil
}

// wordPieceOf makes the library's model by its builder; its reader of files forgets the prefix of what continues a word.
func wordPieceOf(c component) (lib.Model, error) {
	o := struct {
		Vocab  vocabulary
		Unk    string `json:"unk_token"`
		Prefix string `json:"continuing_subword_prefix"`
		Max    int    `json:"max_input_chars_per_word"`
	}{Unk: "[UNK]", Prefix: "##", Max: 100}
	if err := c.read(&o); err != nil {
		return nil, err
	}
	if err := o.Vocab.check(c, o.Unk, true); err != nil {
		return nil, err
	}
	vocab := model.Vocab(o.Vocab)
	return wordpiece.NewWordPieceBuilder().Vocab(&vocab).UnkToken(o.Unk).ContinuingSubwordPrefix(o.Prefix).MaxInputCharsPerWord(o.Max).Build(), nil
}

func wordLevelOf(c component) (lib.Model, error) {
	o := struct {
		Vocab vocabulary
		Unk   string `json:"unk_token"`
	}{Unk: "<unk>"}
	if err := c.read(&o); err != nil {
		return nil, err
	}
	if err := o.Vocab.check(c, o.Unk, true); err != nil {
		return nil, err
	}
	return wordlevel.New(model.Vocab(o.Vocab), o.Unk)
}

// errSave is what our models have to say to the library's Save, which no one asks for.
var errSave = errors.New("tokenize: a tokenizer is saved as its tokenizer.json")

// base is what models of ours have in common.
type base struct {
	vocab  vocabulary
	tokens map[int]string
}

func baseOf(v vocabulary) base {
	b := base{v, make(map[int]string, len(v))}
	for token, id := range v {
		b.tokens[id] = token
	}
	return b
}

// TokenToId is the id of a token.
func (b base) TokenToId(token string) (int, bool) { id, ok := b.vocab[token]; return id, ok } //nolint:revive // the library's name

// IdToToken is the token of an id.
func (b base) IdToToken(id int) (string, bool) { token, ok := b.tokens[id]; return token, ok } //nolint:revive // the library's name

// GetVocab is the vocabulary.
func (b base) GetVocab() map[string]int { return b.vocab }

// GetVocabSize is the number of tokens.
func (b base) GetVocabSize() int { return len(b.vocab) }

// Save is not used.
func (base) Save(string, ...string) error { return errSave }

// byteTokens are the ids of <0x00> to <0xFF>, nil unless all of a text's are there.
func (b base) byteTokens(s string) ([]lib.Token, bool) {
	out := make([]lib.Token, len(s))
	for i := range len(s) {
		name := fmt.Sprintf("<0x%02X>", s[i])
		id, ok := b.vocab[name]
		if !ok {
			return nil, false
		}
		out[i] = lib.Token{Id: id, Value: name}
	}
	return out, true
}

// cache remembers the ids of short words, which most of a text is made of. One belongs to one goroutine at a time.
type cache struct {
	ids   map[string][]int32
	bytes int
}

const (
	cacheWord  = 64       // bytes of the longest word that is kept
	cacheBytes = 16 << 20 // of words and ids, after which it begins anew
)

// word appends the ids of a word.
func (t *Tokenizer) word(c *cache, ids []int32, w string) ([]int32, error) {
	if w == "" {
		return ids, nil
	}
	if known, ok := c.ids[w]; ok {
		return append(ids, known...), nil
	}
	seen := w
	if t.split.byteLevel {
		seen = byteLevel(w)
	}
	tokens, err := t.model.Tokenize(seen)
	if err != nil {
		return ids, fmt.Errorf("tokenize: %w", err)
	}
	from := len(ids)
	for _, k := range tokens {
		ids = append(ids, int32(k.Id))
	}
	if len(w) > cacheWord {
		return ids, nil
	}
	if cost := 64 + len(w) + 4*len(tokens); c.bytes+cost > cacheBytes {
		c.ids, c.bytes = nil, 0
	} else {
		c.bytes += cost
	}
	if c.ids == nil {
		c.ids = map[string][]int32{}
	}
	c.ids[strings.Clone(w)] = append([]int32(nil), ids[from:]...)
	return ids, nil
}

// pairOf reads a merge, which is a list of two tokens, or a text with a space between them.
func pairOf(raw json.RawMessage) (a, b string, err error) {
	var both []string
	if json.Unmarshal(raw, &both) == nil && len(both) == 2 {
		return both[0], both[1], nil
	}
	var one string
	if err := json.Unmarshal(raw, &one); err == nil {
		for i := range len(one) {
			if one[i] == ' ' {
				return one[:i], one[i+1:], nil
			}
		}
	}
	return "", "", fmt.Errorf("%.60s: expected two tokens", raw)
}
