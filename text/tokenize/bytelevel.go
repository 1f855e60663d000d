package tokenize

import (
	"strings"
	"sync"
	"unicode/utf8"
)

// gpt2 is the byte-level pre-tokenizer's cutting:
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
type gpt2 struct {
	t      *tables
	prefix bool // a space before words that begin without one
	regex  bool // cut at all
}

func (g gpt2) cut(s string, first bool, emit func(string, bool)) {
	if g.prefix && !strings.HasPrefix(s, " ") {
		s = " " + s
	}
	if !g.regex {
		emit(s, first)
		return
	}
	for at := 0; at < len(s); {
		n := g.word(s[at:])
		emit(s[at:at+n], first && at == 0)
		at += n
	}
}

// kind is a character's part in the pattern: a letter, a number, white space, or something else.
func (g gpt2) kind(r rune) class { return g.t.of(r) & (isSpace | isLetter | isNumber) }

// word is the length of the first match of s, which is not empty.
func (g gpt2) word(s string) int {
	if s[0] == '\'' {
		for _, x := range [...]string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"} {
			if strings.HasPrefix(s, x) {
				return len(x)
			}
		}
	}
	from := 0
	if s[0] == ' ' {
		from = 1
	}
	if from < len(s) {
		r, _ := utf8.DecodeRuneInString(s[from:])
		if k := g.kind(r); k != isSpace {
			return from + g.run(s[from:], k)
		}
	}
	// White space: all of it but the last character, which goes to the word that follows.
	n := g.run(s, isSpace)
	if n < len(s) {
		if _, last := utf8.DecodeLastRuneInString(s[:n]); n > last {
			n -= last
		}
	}
	return n
}

// run is the length of what s begins with of one kind.
func (g gpt2) run(s string, k class) int {
	for i, r := range s {
		if g.kind(r) != k {
			return i
		}
	}
	return len(s)
}

// byteChars are GPT-2's characters for bytes: printable ones stand for themselves, others for what follows U+0100.
var byteChars = sync.OnceValue(func() (chars [256]string) {
	next := rune(0x100)
	for b := range chars {
		r := rune(b)
		if b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae {
			chars[b] = string(r)
			continue
		}
		chars[b] = string(next)
		next++
	}
	return chars
})

// byteLevel writes the bytes of a word as characters.
func byteLevel(word string) string {
	chars := byteChars()
	var b strings.Builder
	b.Grow(2 * len(word))
	for i := range len(word) {
		b.WriteString(chars[word[i]])
	}
	return b.String()
}
