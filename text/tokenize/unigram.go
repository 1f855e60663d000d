package tokenize

import (
	"encoding/json"
	"math"
	"unicode/utf8"

	lib "github.com/sugarme/tokenizer"
)

// unigram takes the most probable sequence of tokens (Kudo, arXiv 1804.10959). The library's has a bonus for long tokens and none
// longer than 20 bytes, so that other sequences win, and writes every word as bytes where byte_fallback is on.
type unigram struct {
	base
	scores []float64
	next   map[uint64]int32 // of a trie over bytes: node<<8|byte to node; the root is 0
	ends   []int32          // the token that ends at a node, or -1
	unk    int              // -1: none
	worst  float64          // of an unknown character
	bytes  bool             // unknown text becomes <0x..>
}

// unknownPenalty is how much less probable an unknown character is than the least probable token, in SentencePiece.
const unknownPenalty = 10

func unigramOf(c component) (lib.Model, error) {
	var o struct {
		Vocab [][2]json.RawMessage
		Unk   *int `json:"unk_id"`
		Bytes bool `json:"byte_fallback"`
	}
	if err := c.read(&o); err != nil {
		return nil, err
	}
	if len(o.Vocab) == 0 {
		return nil, c.wrong("vocab: missing or empty")
	}
	m := &unigram{unk: -1, worst: math.Inf(1), bytes: o.Bytes, next: map[uint64]int32{}, ends: []int32{-1}}
	vocab := make(vocabulary, len(o.Vocab))
	for id, entry := range o.Vocab {
		var token string
		var score float64
		if json.Unmarshal(entry[0], &token) != nil || json.Unmarshal(entry[1], &score) != nil {
			return nil, c.wrong("vocab[%d]: [%.40s, %.40s]: expected a token and its score", id, entry[0], entry[1])
		}
		vocab[token] = id
		m.scores = append(m.scores, score)
		m.worst = min(m.worst, score)
		m.insert(token, int32(id))
	}
	m.base, m.worst = baseOf(vocab), m.worst-unknownPenalty
	if o.Unk != nil {
		if m.unk = *o.Unk; m.unk < 0 || m.unk >= len(o.Vocab) {
			return nil, c.wrong("unk_id %d: expected 0 to %d", m.unk, len(o.Vocab)-1)
		}
	}
	return m, nil
}

func (m *unigram) insert(token string, id int32) {
	if token == "" {
		return
	}
	node := int32(0)
	for i := range len(token) {
		key := uint64(node)<<8 | uint64(token[i])
		to, ok := m.next[key]
		if !ok {
			to = int32(len(m.ends))
			m.next[key] = to
			m.ends = append(m.ends, -1)
		}
		node = to
	}
	m.ends[node] = id
}

// best is the most probable way to a place in the text.
type best struct {
	score float64
	from  int32 // -1: none yet
	id    int32
}

// Tokenize cuts a word into tokens. Unknown characters in a row are one token.
func (m *unigram) Tokenize(word string) ([]lib.Token, error) {
	way := make([]best, len(word)+1)
	for i := range way[1:] {
		way[i+1].from = -1
	}
	for i, r := range word {
		n := utf8.RuneLen(r)
		here := way[i].score
		single := false
		node := int32(0)
		for j := i; j < len(word); j++ {
			to, ok := m.next[uint64(node)<<8|uint64(word[j])]
			if !ok {
				break
			}
			node = to
			id := m.ends[node]
			if id < 0 {
				continue
			}
			way[j+1].improve(m.scores[id]+here, i, id)
			single = single || j+1-i == n
		}
		if single {
			continue
		}
		if m.unk < 0 {
			return nil, errNoUnknown(r)
		}
		way[i+n].improve(m.worst+here, i, int32(m.unk))
	}
	var pieces []string // the last one first
	end := len(word)    // of a run of unknown characters
	for at := len(word); at > 0; at = int(way[at].from) {
		from := int(way[at].from)
		if m.unk >= 0 && way[at].id == int32(m.unk) {
			continue
		}
		if at < end {
			pieces = append(pieces, word[at:end])
		}
		pieces = append(pieces, word[from:at])
		end = from
	}
	if end > 0 {
		pieces = append(pieces, word[:end])
	}
	out := make([]lib.Token, 0, len(pieces))
	for i := len(pieces) - 1; i >= 0; i-- {
		out = m.appendPiece(out, pieces[i])
	}
	return out, nil
}

func (b *best) improve(score float64, from int, id int32) {
	if b.from < 0 || score > b.score {
		*b = best{score, int32(from), id}
	}
}

func (m *unigram) appendPiece(out []lib.Token, s string) []lib.Token {
	if id, ok := m.vocab[s]; ok {
		return append(out, lib.Token{Id: id, Value: s})
	}
	if m.bytes {
		if tokens, ok := m.byteTokens(s); ok {
			return append(out, tokens...)
		}
	}
	return append(out, lib.Token{Id: m.unk, Value: s})
}
