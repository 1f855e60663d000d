package tokenize

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// splitter cuts a normalised text into the words that the model sees. The library's pre-tokenizers compile a regular expression for
// each text, which with the rest comes to 0.1 to 0.2 MB/s (BenchmarkLibrary); besides, the GPT-2 pattern has no part for white space
// alone, Whitespace knows ASCII's letters only, and WhitespaceSplit four kinds of space.
type splitter struct {
	steps      []step
	byteLevel  bool // words are seen as their bytes, each a character of GPT-2's alphabet
	needsStart bool // a step asks whether a word begins the text
}

// step cuts s into words and gives each to emit. first says that s begins the text.
type step func(s string, first bool, emit func(word string, first bool))

// words gives all words of s to emit. A text that normalization left nothing of has none, not even a space before it.
func (p *splitter) words(s string, first bool, emit func(string)) {
	if s == "" {
		return
	}
	switch len(p.steps) {
	case 0:
		emit(s)
	case 1:
		p.steps[0](s, first, func(w string, _ bool) { emit(w) })
	default:
		p.from(0, s, first, emit)
	}
}

func (p *splitter) from(i int, s string, first bool, emit func(string)) {
	if i == len(p.steps) {
		emit(s)
		return
	}
	p.steps[i](s, first, func(w string, first bool) { p.from(i+1, w, first, emit) })
}

// add reads a pre-tokenizer.
func (p *splitter) add(t *tables, c component) error {
	if p.byteLevel && c.Type != "" {
		return c.wrong("after ByteLevel: not supported")
	}
	switch c.Type {
	case "":
	case "BertPreTokenizer":
		p.steps = append(p.steps, func(s string, first bool, emit func(string, bool)) {
			byClass(t, s, first, isSpace, isPunct, emit)
		})
	case "WhitespaceSplit":
		p.steps = append(p.steps, func(s string, first bool, emit func(string, bool)) { byClass(t, s, first, isSpace, 0, emit) })
	case "Whitespace":
		p.steps = append(p.steps, func(s string, first bool, emit func(string, bool)) { wordsAndOthers(t, s, first, emit) })
	case "Digits":
		var o struct {
			Each bool `json:"individual_digits"`
		}
		if err := c.read(&o); err != nil {
			return err
		}
		b := contiguous
		if o.Each {
			b = isolated
		}
		p.steps = append(p.steps, b.cut(func(s string) [][2]int { return charsOf(t, s, isNumeric) }, false))
	case "Punctuation":
		o := struct{ Behavior behaviour }{isolated}
		if err := c.read(&o); err != nil {
			return err
		}
		p.steps = append(p.steps, o.Behavior.cut(func(s string) [][2]int { return charsOf(t, s, isPunct) }, false))
	case "Split":
		var o struct {
			Pattern  pattern
			Behavior behaviour
			Invert   bool
		}
		if err := c.read(&o); err != nil {
			return err
		}
		re, err := o.Pattern.compile(t)
		if err != nil {
			return c.wrong("%w", err)
		}
		p.steps = append(p.steps, o.Behavior.cut(func(s string) [][2]int { return matches(s, o.Pattern.String, re) }, o.Invert))
	case "Metaspace":
		return p.addMetaspace(c)
	case "ByteLevel":
		o := struct {
			Prefix bool `json:"add_prefix_space"`
			Regex  bool `json:"use_regex"`
		}{true, true}
		if err := c.read(&o); err != nil {
			return err
		}
		p.byteLevel = true
		p.steps = append(p.steps, gpt2{t, o.Prefix, o.Regex}.cut)
	case "Sequence":
		var o struct{ PreTokenizers []json.RawMessage }
		if err := c.read(&o); err != nil {
			return err
		}
		for i, raw := range o.PreTokenizers {
			sub, err := c.sub("pretokenizers", i, raw)
			if err == nil {
				err = p.add(t, sub)
			}
			if err != nil {
				return err
			}
		}
	default:
		return c.wrong("not supported; expected one of BertPreTokenizer, Whitespace, WhitespaceSplit, Punctuation, Digits, Split, Metaspace, ByteLevel, Sequence")
	}
	return nil
}

// byClass cuts at characters of the class drop, which it leaves out, and around each of the class alone.
func byClass(t *tables, s string, first bool, drop, alone class, emit func(string, bool)) {
	from := 0
	for i, r := range s {
		c := t.of(r)
		if c&(drop|alone) == 0 {
			continue
		}
		if from < i {
			emit(s[from:i], first && from == 0)
		}
		from = i + utf8.RuneLen(r)
		if c&drop == 0 {
			emit(s[i:from], first && i == 0)
		}
	}
	if from < len(s) {
		emit(s[from:], first && from == 0)
	}
}

// wordsAndOthers is the pattern \w+|[^\w\s]+.
func wordsAndOthers(t *tables, s string, first bool, emit func(string, bool)) {
	from, now := 0, isSpace
	for i, r := range s {
		c := t.of(r) & (isSpace | isWord)
		if c == now {
			continue
		}
		if now != isSpace {
			emit(s[from:i], first && from == 0)
		}
		from, now = i, c
	}
	if now != isSpace {
		emit(s[from:], first && from == 0)
	}
}

// charsOf are the places of the characters of a class.
func charsOf(t *tables, s string, c class) (at [][2]int) {
	for i, r := range s {
		if t.is(r, c) {
			at = append(at, [2]int{i, i + utf8.RuneLen(r)})
		}
	}
	return at
}

// behaviour is what becomes of what a pattern matches.
type behaviour int

const (
	removed behaviour = iota
	isolated
	mergedWithPrevious
	mergedWithNext
	contiguous
)

// UnmarshalJSON reads a behaviour's name.
func (b *behaviour) UnmarshalJSON(raw []byte) error {
	for i, name := range []string{"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"} {
		if string(raw) == `"`+name+`"` {
			*b = behaviour(i)
			return nil
		}
	}
	return fmt.Errorf("behavior %s: expected Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous", raw)
}

// part is a piece of a text that a pattern matches or does not.
type part struct {
	from, to int
	match    bool
}

// cut makes a step of what finds matches. With invert, it is what lies between them that counts as matched.
func (b behaviour) cut(find func(s string) [][2]int, invert bool) step {
	return func(s string, first bool, emit func(string, bool)) {
		var parts []part
		at := 0
		for _, m := range find(s) {
			if at < m[0] {
				parts = append(parts, part{at, m[0], invert})
			}
			parts = append(parts, part{m[0], m[1], !invert})
			at = m[1]
		}
		if at < len(s) {
			parts = append(parts, part{at, len(s), invert})
		}
		for _, p := range b.merge(parts) {
			if p.from < p.to && !(b == removed && p.match) {
				emit(s[p.from:p.to], first && p.from == 0)
			}
		}
	}
}

func (b behaviour) merge(parts []part) []part {
	out := parts[:0:0]
	switch b {
	case contiguous:
		for _, p := range parts {
			if n := len(out); n > 0 && out[n-1].match == p.match {
				out[n-1].to = p.to
			} else {
				out = append(out, p)
			}
		}
	case mergedWithPrevious:
		before := false
		for _, p := range parts {
			if n := len(out); n > 0 && p.match && !before {
				out[n-1].to = p.to
			} else {
				out = append(out, p)
			}
			before = p.match
		}
	case mergedWithNext:
		for i := 0; i < len(parts); i++ {
			p := parts[i]
			// Of several matches in a row, the last one joins what follows.
			if p.match && i+1 < len(parts) && !parts[i+1].match {
				i++
				p.to = parts[i].to
			}
			out = append(out, p)
		}
	default:
		return parts
	}
	return out
}

// addMetaspace reads SentencePiece's way: spaces become ▁, and words begin with one.
func (p *splitter) addMetaspace(c component) error {
	o := struct {
		Replacement string
		Scheme      string `json:"prepend_scheme"`
		Prefix      *bool  `json:"add_prefix_space"` // of older files
		Split       *bool
	}{Replacement: "▁"}
	if err := c.read(&o); err != nil {
		return err
	}
	if utf8.RuneCountInString(o.Replacement) != 1 {
		return c.wrong("replacement %q: expected one character", o.Replacement)
	}
	if o.Scheme == "" {
		o.Scheme = "always"
		if o.Prefix != nil && !*o.Prefix {
			o.Scheme = "never"
		}
	}
	switch o.Scheme {
	case "always", "never":
	case "first":
		p.needsStart = true
	default:
		return c.wrong("prepend_scheme %q: expected always, first or never", o.Scheme)
	}
	cut := mergedWithNext.cut(func(s string) [][2]int { return matches(s, o.Replacement, nil) }, false)
	split := o.Split == nil || *o.Split
	p.steps = append(p.steps, func(s string, first bool, emit func(string, bool)) {
		s = strings.ReplaceAll(s, " ", o.Replacement)
		if (o.Scheme == "always" || o.Scheme == "first" && first) && !strings.HasPrefix(s, o.Replacement) {
			s = o.Replacement + s
		}
		if split {
			cut(s, first, emit)
		} else {
			emit(s, first)
		}
	})
	return nil
}
