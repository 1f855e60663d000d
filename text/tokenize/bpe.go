package tokenize

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	lib "github.com/sugarme/tokenizer"
)

// bpe is byte-pair encoding (Sennrich et al., arXiv 1508.07909). The library's copies a word for each of its characters, so that time
// grows with the square of a word's length; it breaks ties by the clock, has the prefix at a word's first character in place of all others and
// the suffix at none, panics on unknown characters that no token stands for, and does not know byte_fallback, fuse_unk and ignore_merges.
type bpe struct {
	base
	merges         map[[2]int]merge
	unk            string
	prefix, suffix string // of what continues and of what ends a word
	fuseUnk        bool
	bytes          bool // unknown characters become <0x..>
	whole          bool // words of the vocabulary are not merged, but taken
}

// merge is what a pair becomes.
type merge struct{ rank, id int }

func bpeOf(c component) (lib.Model, error) {
	var o struct {
		Vocab   vocabulary
		Merges  []json.RawMessage
		Dropout *float64
		Unk     *string `json:"unk_token"`
		Prefix  *string `json:"continuing_subword_prefix"`
		Suffix  *string `json:"end_of_word_suffix"`
		FuseUnk bool    `json:"fuse_unk"`
		Bytes   bool    `json:"byte_fallback"`
		Whole   bool    `json:"ignore_merges"`
	}
	if err := c.read(&o); err != nil {
		return nil, err
	}
	if o.Dropout != nil && *o.Dropout > 0 {
		return nil, c.wrong("dropout %g: not supported, as ids would differ from time to time; set it to null", *o.Dropout)
	}
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	m := &bpe{base: baseOf(o.Vocab), merges: make(map[[2]int]merge, len(o.Merges)), unk: text(o.Unk), prefix: text(o.Prefix), suffix: text(o.Suffix),
		fuseUnk: o.FuseUnk, bytes: o.Bytes, whole: o.Whole}
	if err := o.Vocab.check(c, m.unk, false); err != nil {
		return nil, err
	}
	for rank, raw := range o.Merges {
		a, b, err := pairOf(raw)
		if err != nil {
			return nil, c.wrong("merges[%d]: %w", rank, err)
		}
		both := a
		if rest, ok := strings.CutPrefix(b, m.prefix); ok {
			both += rest
		}
		var ids [3]int
		for i, token := range []string{a, b, both} {
			id, ok := o.Vocab[token]
			if !ok {
				return nil, c.wrong("merges[%d]: token %q is not in the vocabulary", rank, token)
			}
			ids[i] = id
		}
		m.merges[[2]int{ids[0], ids[1]}] = merge{rank, ids[2]}
	}
	return m, nil
}

// Tokenize cuts a word into tokens.
func (m *bpe) Tokenize(word string) ([]lib.Token, error) {
	if m.whole {
		if id, ok := m.vocab[word]; ok {
			return []lib.Token{{Id: id, Value: word}}, nil
		}
	}
	ids := m.mergeAll(m.characters(word))
	out := make([]lib.Token, len(ids))
	for i, id := range ids {
		out[i] = lib.Token{Id: id, Value: m.tokens[id]}
	}
	return out, nil
}

// characters are the ids of a word's characters. Unknown ones are left out where there is no token for them.
func (m *bpe) characters(word string) []int {
	ids := make([]int, 0, len(word))
	unk, hasUnk := m.vocab[m.unk]
	hasUnk = hasUnk && m.unk != ""
	unknown := false // the last one was
	for i, r := range word {
		n := utf8.RuneLen(r)
		s := word[i : i+n]
		if i > 0 && m.prefix != "" {
			s = m.prefix + s
		}
		if i+n == len(word) && m.suffix != "" {
			s += m.suffix
		}
		if id, ok := m.vocab[s]; ok {
			ids = append(ids, id)
			unknown = false
			continue
		}
		if m.bytes {
			if tokens, ok := m.byteTokens(s); ok {
				for _, t := range tokens {
					ids = append(ids, t.Id)
				}
				unknown = false
				continue
			}
		}
		if hasUnk && !(unknown && m.fuseUnk) {
			ids = append(ids, unk)
			unknown = true
		}
	}
	return ids
}

// symbol is a token in a list of them.
type symbol struct {
	id         int
	prev, next int
	gone       bool // merged into prev
}

// candidate is a pair that may be merged.
type candidate struct {
	merge
	at int // of its first symbol
}

func (c candidate) before(o candidate) bool {
	return c.rank < o.rank || c.rank == o.rank && c.at < o.at
}

// mergeAll merges pairs in the order of their ranks, in time n·log n.
func (m *bpe) mergeAll(ids []int) []int {
	s := make([]symbol, len(ids))
	var q heap[candidate]
	push := func(i int) {
		if i < 0 || s[i].next == len(s) {
			return
		}
		if to, ok := m.merges[[2]int{s[i].id, s[s[i].next].id}]; ok {
			q.push(candidate{to, i})
		}
	}
	for i, id := range ids {
		s[i] = symbol{id: id, prev: i - 1, next: i + 1}
	}
	for i := range s {
		push(i)
	}
	for len(q) > 0 {
		c := q.pop()
		first := &s[c.at]
		if first.gone || first.next == len(s) {
			continue
		}
		second := &s[first.next]
		if to, ok := m.merges[[2]int{first.id, second.id}]; !ok || to.id != c.id {
			continue // one of the two has been merged meanwhile
		}
		first.id, second.gone, first.next = c.id, true, second.next
		if first.next < len(s) {
			s[first.next].prev = c.at
		}
		push(first.prev)
		push(c.at)
	}
	out := ids[:0]
	for i := 0; i < len(s); i = s[i].next {
		out = append(out, s[i].id)
	}
	return out
}
