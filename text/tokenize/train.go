package tokenize

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Training says how a vocabulary is made of texts.
type Training struct {
	Kind     string // of tokenizer: wordpiece, bpe or bytelevel
	Size     int    // of the vocabulary, at most; special tokens and characters included
	MinCount int    // of a pair of tokens that is merged
	Alphabet int    // characters at most that have tokens, the most frequent; others are unknown. Of bytelevel all bytes have
	Lower    bool   // capital letters become small ones
	Accents  bool   // accents stay; without it, é becomes e
}

// DefaultTraining is for some thousands of captions.
func DefaultTraining() Training {
	return Training{Kind: "wordpiece", Size: 8192, MinCount: 2, Alphabet: 1000, Lower: true, Accents: true}
}

// Kinds are those of [Training].
func Kinds() []string { return []string{"wordpiece", "bpe", "bytelevel"} }

// Validate reports every value that is out of range.
func (o Training) Validate() error {
	var errs []error
	if !slices.Contains(Kinds(), o.Kind) {
		errs = append(errs, fmt.Errorf("kind: %q, expected one of %s", o.Kind, strings.Join(Kinds(), ", ")))
	}
	if least := 16 + 256; o.Size < least || o.Size > maxVocabulary {
		errs = append(errs, fmt.Errorf("size: %d, expected %d to %d", o.Size, least, maxVocabulary))
	}
	if o.MinCount < 1 {
		errs = append(errs, fmt.Errorf("min_count: %d, expected 1 or more", o.MinCount))
	}
	if o.Alphabet < 1 || o.Kind != "bytelevel" && o.Alphabet > o.Size-16 {
		errs = append(errs, fmt.Errorf("alphabet: %d, expected 1 to the size less 16", o.Alphabet))
	}
	return errors.Join(errs...)
}

// Learned is what came of a training.
type Learned struct {
	JSON    []byte // a tokenizer.json, which this package and the Python package read
	Texts   int    // that were not empty
	Words   int    // different ones
	Invalid int    // texts that are not UTF-8, which were left out
	Size    int    // of the vocabulary
}

// Train makes a tokenizer of texts: byte-pair encoding (Sennrich et al., arXiv 1508.07909), whose vocabulary wordpiece has, too, as in the
// Python package. For bpe and bytelevel the vocabulary is the one that the Python package's trainer makes of the same texts; for wordpiece
// that depends on the order in which it happens to meet the words, which here is alphabetical. (The library's trainers break ties by
// the order of Go's maps.)
func Train(texts iter.Seq2[string, error], o Training) (Learned, error) {
	if err := o.Validate(); err != nil {
		return Learned{}, err
	}
	f := o.file()
	raw, err := json.Marshal(f)
	if err != nil {
		return Learned{}, err
	}
	var c config
	if err := json.Unmarshal(raw, &c); err != nil {
		return Learned{}, err
	}
	t := &Tokenizer{tables: unicodeTables()}
	if err := errors.Join(t.setNormalizer(c), t.setPreTokenizer(c)); err != nil {
		return Learned{}, err
	}
	l := Learned{}
	counts := map[string]int{}
	for text, err := range texts {
		if err != nil {
			return l, err
		}
		if !utf8.ValidString(text) {
			l.Invalid++
			continue
		}
		if strings.TrimSpace(text) == "" {
			continue
		}
		l.Texts++
		if t.normalizer != nil {
			text = t.normalizer.normalize(text)
		}
		t.split.words(text, true, func(w string) {
			if n, ok := counts[w]; ok {
				counts[w] = n + 1
			} else if w != "" {
				counts[strings.Clone(w)] = 1
			}
		})
	}
	l.Words = len(counts)
	if len(counts) == 0 {
		return l, errors.New("tokenize: there are no words to make a vocabulary of")
	}
	v := learn(counts, o, t.split.byteLevel)
	f.Model = o.model(v)
	if l.JSON, err = json.MarshalIndent(f, "", " "); err != nil {
		return l, err
	}
	l.JSON, l.Size = append(l.JSON, '\n'), len(v.tokens)
	_, err = Parse(l.JSON)
	return l, err
}

// special are the special tokens of a kind, the text's beginning and end being two of them.
func (o Training) special() (all []string, unk, begin, end string) {
	if o.Kind == "bytelevel" {
		return []string{"<s>", "<pad>", "</s>", "<unk>", "<mask>"}, "", "<s>", "</s>"
	}
	return []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}, "[UNK]", "[CLS]", "[SEP]"
}

type object = map[string]any

// written is a tokenizer.json in the order in which the Python package writes it.
type written struct {
	Version       string       `json:"version"`
	Truncation    any          `json:"truncation"`
	Padding       any          `json:"padding"`
	AddedTokens   []addedToken `json:"added_tokens"`
	Normalizer    any          `json:"normalizer"`
	PreTokenizer  any          `json:"pre_tokenizer"`
	PostProcessor any          `json:"post_processor"`
	Decoder       any          `json:"decoder"`
	Model         any          `json:"model"`
}

// file is all but the model.
func (o Training) file() written {
	f := written{Version: "1.0"}
	all, _, begin, end := o.special()
	for i, token := range all {
		f.AddedTokens = append(f.AddedTokens, addedToken{ID: i, Content: token, Special: true, LStrip: token == "<mask>"})
	}
	piece := func(token string) object { return object{"SpecialToken": object{"id": token, "type_id": 0}} }
	text := func(id string, kind int) object { return object{"Sequence": object{"id": id, "type_id": kind}} }
	ids := object{}
	for _, token := range []string{begin, end} {
		ids[token] = object{"id": token, "ids": []int{slices.Index(all, token)}, "tokens": []string{token}}
	}
	f.PostProcessor = object{"type": "TemplateProcessing", "single": []any{piece(begin), text("A", 0), piece(end)},
		"pair": []any{piece(begin), text("A", 0), piece(end), text("B", 1), piece(end)}, "special_tokens": ids}
	var steps []any
	switch o.Kind {
	case "wordpiece":
		steps = append(steps, object{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": !o.Accents, "lowercase": o.Lower})
		f.PreTokenizer = object{"type": "BertPreTokenizer"}
		f.Decoder = object{"type": "WordPiece", "prefix": "##", "cleanup": true}
	default:
		steps = append(steps, object{"type": "NFC"})
		if !o.Accents {
			steps = []any{object{"type": "NFD"}, object{"type": "StripAccents"}}
		}
		if o.Lower {
			steps = append(steps, object{"type": "Lowercase"})
		}
		f.PreTokenizer = object{"type": "Whitespace"}
	}
	if o.Kind == "bytelevel" {
		f.PreTokenizer = object{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}
		f.Decoder = f.PreTokenizer
	}
	f.Normalizer = steps[0]
	if len(steps) > 1 {
		f.Normalizer = object{"type": "Sequence", "normalizers": steps}
	}
	return f
}

// byID is a vocabulary that is written in the order of its ids.
type byID []string

// MarshalJSON writes token: id.
func (v byID) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, token := range v {
		key, err := json.Marshal(token)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%s:%d", key, i)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func (o Training) model(l *learner) any {
	_, unk, _, _ := o.special()
	if o.Kind == "wordpiece" {
		return struct {
			Type   string `json:"type"`
			Unk    string `json:"unk_token"`
			Prefix string `json:"continuing_subword_prefix"`
			Max    int    `json:"max_input_chars_per_word"`
			Vocab  byID   `json:"vocab"`
		}{"WordPiece", unk, wordPiecePrefix, 100, l.tokens}
	}
	var unknown any
	if unk != "" {
		unknown = unk
	}
	return struct {
		Type    string      `json:"type"`
		Dropout any         `json:"dropout"`
		Unk     any         `json:"unk_token"`
		Prefix  any         `json:"continuing_subword_prefix"`
		Suffix  any         `json:"end_of_word_suffix"`
		FuseUnk bool        `json:"fuse_unk"`
		Bytes   bool        `json:"byte_fallback"`
		Ignore  bool        `json:"ignore_merges"`
		Vocab   byID        `json:"vocab"`
		Merges  [][2]string `json:"merges"`
	}{Type: "BPE", Unk: unknown, Vocab: l.tokens, Merges: l.merges}
}

// wordPiecePrefix is what tokens begin with that continue a word.
const wordPiecePrefix = "##"

// learner is a vocabulary that grows.
type learner struct {
	tokens []string
	ids    map[string]int
	merges [][2]string
	prefix string

	words [][]int // of tokens
	times []int   // how often each word is there
	pairs map[[2]int]*pairCount
	queue heap[queued]
}

// pairCount is how often a pair of tokens is there, and in which words it may be.
type pairCount struct {
	n  int
	in map[int]struct{}
}

// add gives a token an id.
func (l *learner) add(token string) int {
	if id, ok := l.ids[token]; ok {
		return id
	}
	l.ids[token] = len(l.tokens)
	l.tokens = append(l.tokens, token)
	return len(l.tokens) - 1
}

// learn merges the most frequent pair until the vocabulary is full: of several the one of the lesser ids.
func learn(counts map[string]int, o Training, bytes bool) *learner {
	l := &learner{ids: map[string]int{}, pairs: map[[2]int]*pairCount{}}
	if o.Kind == "wordpiece" {
		l.prefix = wordPiecePrefix
	}
	special, _, _, _ := o.special()
	for _, token := range special {
		l.add(token)
	}
	if bytes {
		asBytes := make(map[string]int, len(counts))
		for w, n := range counts {
			asBytes[byteLevel(w)] = n
		}
		counts = asBytes
	}
	words := slices.Sorted(maps.Keys(counts))
	for _, r := range alphabet(words, counts, o, bytes) {
		l.add(string(r))
	}
	for _, w := range words {
		var ids []int
		for i, r := range w {
			s := string(r)
			if _, ok := l.ids[s]; !ok {
				continue
			}
			if i > 0 {
				s = l.prefix + s
			}
			ids = append(ids, l.add(s))
		}
		l.words, l.times = append(l.words, ids), append(l.times, counts[w])
	}
	for i, ids := range l.words {
		for j := range max(0, len(ids)-1) {
			l.count([2]int{ids[j], ids[j+1]}, l.times[i], i)
		}
	}
	for p, c := range l.pairs {
		l.queue.push(queued{p, c.n})
	}
	for len(l.tokens) < o.Size && len(l.queue) > 0 {
		top := l.queue.pop()
		if c := l.pairs[top.pair]; c.n != top.n { // it has changed since it was put there
			if c.n > 0 {
				l.queue.push(queued{top.pair, c.n})
			}
			continue
		}
		if top.n < o.MinCount {
			break
		}
		l.merge(top.pair)
	}
	return l
}

// alphabet are the characters that have tokens, in their order.
func alphabet(words []string, counts map[string]int, o Training, bytes bool) []rune {
	if bytes {
		var all []rune
		for _, s := range byteChars() {
			r, _ := utf8.DecodeRuneInString(s)
			all = append(all, r)
		}
		slices.Sort(all)
		return all
	}
	n := map[rune]int{}
	for _, w := range words {
		for _, r := range w {
			n[r] += counts[w]
		}
	}
	var all []rune
	for r := range n {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b rune) int { return cmp.Or(cmp.Compare(n[b], n[a]), cmp.Compare(a, b)) })
	all = all[:min(len(all), o.Alphabet)]
	slices.Sort(all)
	return all
}

func (l *learner) count(p [2]int, n, word int) {
	c := l.pairs[p]
	if c == nil {
		c = &pairCount{in: map[int]struct{}{}}
		l.pairs[p] = c
	}
	c.n += n
	if n > 0 {
		c.in[word] = struct{}{}
	}
}

// merge makes a token of a pair, in all words.
func (l *learner) merge(p [2]int) {
	a, b := l.tokens[p[0]], l.tokens[p[1]]
	id := l.add(a + strings.TrimPrefix(b, l.prefix))
	l.merges = append(l.merges, [2]string{a, b})
	changed := map[[2]int]struct{}{}
	for i := range l.pairs[p].in {
		ids, n := l.words[i], l.times[i]
		out := ids[:0]
		for j := 0; j < len(ids); j++ {
			if j+1 == len(ids) || ids[j] != p[0] || ids[j+1] != p[1] {
				out = append(out, ids[j])
				continue
			}
			if k := len(out); k > 0 {
				l.count([2]int{out[k-1], p[0]}, -n, i)
				l.count([2]int{out[k-1], id}, n, i)
				changed[[2]int{out[k-1], id}] = struct{}{}
			}
			if j+2 < len(ids) {
				l.count([2]int{p[1], ids[j+2]}, -n, i)
				l.count([2]int{id, ids[j+2]}, n, i)
				changed[[2]int{id, ids[j+2]}] = struct{}{}
			}
			out = append(out, id)
			j++
		}
		l.words[i] = out
	}
	l.pairs[p].n, l.pairs[p].in = 0, nil
	for q := range changed {
		if c := l.pairs[q]; c.n > 0 {
			l.queue.push(queued{q, c.n})
		}
	}
}

// queued is a pair as often as it was there when it was put into the queue.
type queued struct {
	pair [2]int
	n    int
}

func (a queued) before(b queued) bool {
	return a.n > b.n || a.n == b.n && (a.pair[0] < b.pair[0] || a.pair[0] == b.pair[0] && a.pair[1] < b.pair[1])
}
