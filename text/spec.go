package text

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/gojepa/gojepa/internal/fields"
)

// Spec names an encoder. Sizes of 0 are the variant's own.
type Spec struct {
	Name      string  // one of [Names]
	Vocab     int     // rows of the word embeddings: one more than the greatest id
	MaxTokens int     // the longest text, special tokens included: rows of the position embeddings
	Width     int     // of the tokens
	Depth     int     // layers
	Heads     int     // of the attention; they divide the width
	Hidden    int     // width of the MLPs
	DropPath  float64 // probability to drop the last residual branches, rising from 0 in the first; below 1
	Pool      string  // what an embedding is: "mean", the average of a text's tokens, or "cls", its first token
}

// The values of [Spec.Pool].
const (
	PoolMean = "mean"
	PoolCLS  = "cls"
)

// variants are the encoders that there are. Sizes of BERT's are those of Turc et al. (arXiv 1908.08962), MiniLM's of Wang et al.
// (arXiv 2002.10957), which sentence-transformers' all-MiniLM-L6-v2 and -L12-v2 have, too. The caption_ ones are for training from
// nothing on a laboratory's own captions.
var variants = []Spec{
	{Name: "caption_tiny", Vocab: 4096, MaxTokens: 128, Width: 192, Depth: 4, Heads: 3, Pool: PoolMean},
	{Name: "caption_small", Vocab: 8192, MaxTokens: 128, Width: 384, Depth: 6, Heads: 6, Pool: PoolMean},
	{Name: "bert_tiny", Width: 128, Depth: 2, Heads: 2, Pool: PoolCLS},
	{Name: "bert_mini", Width: 256, Depth: 4, Heads: 4, Pool: PoolCLS},
	{Name: "bert_small", Width: 512, Depth: 4, Heads: 8, Pool: PoolCLS},
	{Name: "bert_medium", Width: 512, Depth: 8, Heads: 8, Pool: PoolCLS},
	{Name: "bert_base", Width: 768, Depth: 12, Heads: 12, Pool: PoolCLS},
	{Name: "bert_large", Width: 1024, Depth: 24, Heads: 16, Pool: PoolCLS},
	{Name: "minilm_l6_h384", Width: 384, Depth: 6, Heads: 12, Pool: PoolMean},
	{Name: "minilm_l12_h384", Width: 384, Depth: 12, Heads: 12, Pool: PoolMean},
}

// What BERT's variants have in common.
const (
	bertVocab     = 30522
	bertMaxTokens = 512
	bertRatio     = 4 // of an MLP's width to the tokens'
)

// Names lists the encoders that there are.
func Names() []string {
	names := make([]string, len(variants))
	for i, v := range variants {
		names[i] = v.Name
	}
	return names
}

// Complete returns s with the variant's own sizes where s has 0. The error is that of [Spec.Validate].
func (s Spec) Complete() (Spec, error) {
	for _, v := range variants {
		if v.Name == s.Name {
			s = s.fill(v)
			s.Vocab, s.MaxTokens = cmp.Or(s.Vocab, bertVocab), cmp.Or(s.MaxTokens, bertMaxTokens)
			s.Hidden = cmp.Or(s.Hidden, bertRatio*s.Width)
			if err := s.check(); err != nil {
				return s, fmt.Errorf("text: model %s with %w", s.Name, err)
			}
			return s, nil
		}
	}
	hint := ""
	if near := fields.Nearest(s.Name, Names()); near != "" {
		hint = fmt.Sprintf(" (did you mean %s?)", near)
	}
	return s, fmt.Errorf("text: unknown model %q%s: expected one of %s", s.Name, hint, strings.Join(Names(), ", "))
}

// Validate reports an unknown model, with the nearest name, or the first size that the model cannot have.
func (s Spec) Validate() error {
	_, err := s.Complete()
	return err
}

// fill takes what s has at 0 from o.
func (s Spec) fill(o Spec) Spec {
	return Spec{
		Name: cmp.Or(s.Name, o.Name), Vocab: cmp.Or(s.Vocab, o.Vocab), MaxTokens: cmp.Or(s.MaxTokens, o.MaxTokens),
		Width: cmp.Or(s.Width, o.Width), Depth: cmp.Or(s.Depth, o.Depth), Heads: cmp.Or(s.Heads, o.Heads),
		Hidden: cmp.Or(s.Hidden, o.Hidden), DropPath: cmp.Or(s.DropPath, o.DropPath), Pool: cmp.Or(s.Pool, o.Pool),
	}
}

func (s Spec) check() error {
	for _, f := range []struct {
		what  string
		value int
	}{{"vocabulary", s.Vocab}, {"max tokens", s.MaxTokens}, {"width", s.Width}, {"depth", s.Depth}, {"heads", s.Heads}, {"hidden", s.Hidden}} {
		if f.value < 1 {
			return fmt.Errorf("%s %d: expected 1 or more", f.what, f.value)
		}
	}
	if s.Width%s.Heads != 0 {
		return fmt.Errorf("width %d, which %d heads do not divide", s.Width, s.Heads)
	}
	if !(s.DropPath >= 0 && s.DropPath < 1) {
		return fmt.Errorf("drop path %g: expected 0 or more and less than 1", s.DropPath)
	}
	if s.Pool != PoolMean && s.Pool != PoolCLS {
		return fmt.Errorf("pool %q: expected %s or %s", s.Pool, PoolMean, PoolCLS)
	}
	return nil
}

// vocabPadding is what the rows of word embeddings are rounded up to at most, for faster matrix products.
const vocabPadding = 128

// CheckVocabulary reports why a tokenizer of so many tokens does not belong to the encoder: rows that are a multiple of 8 may exceed
// the tokens by less than 128, as some models are padded so; otherwise they are the same.
func (s Spec) CheckVocabulary(tokens int) error {
	s, err := s.Complete()
	if err != nil {
		return err
	}
	if tokens == s.Vocab || tokens < s.Vocab && s.Vocab < tokens+vocabPadding && s.Vocab%8 == 0 {
		return nil
	}
	return fmt.Errorf("text: the tokenizer has %d tokens, and the word embeddings of %s have %d rows: expected the same vocabulary", tokens, s.Name, s.Vocab)
}
