package tokenize

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// class is what a code point is to the Python package. Package unicode goes by another version of Unicode, one that changes with
// Go's own, and the Python package goes by several: its punctuation is older than its letters.
type class uint16

const (
	isSpace   class = 1 << iota
	isWord          // \w
	isPunct         // of BERT
	isNumeric       // of the pre-tokenizer Digits
	isControl       // removed by BERT
	isNonspacing
	isMark
	isLetter // \p{L}
	isNumber // \p{N}
	isInert  // what normal forms leave alone, as their version of Unicode does not know it
	hasLower
)

const classLetters = "swpdcnmLNi"

// tables are the classes of all code points, in blocks of 256, many of which are the same.
type tables struct {
	index  [0x1100]uint16
	blocks [][256]class
	lower  map[rune]string
}

//go:embed unicode.txt
var unicodeText string

// unicodeTables reads unicode.txt, once.
var unicodeTables = sync.OnceValue(func() *tables {
	all := make([]class, 0x110000)
	t := &tables{lower: map[rune]string{}}
	for line := range strings.Lines(unicodeText) {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] == "#" {
			continue
		}
		if f[1] == ">" {
			var lower strings.Builder
			for _, x := range f[2:] {
				lower.WriteRune(hex(x))
			}
			t.lower[hex(f[0])] = lower.String()
			all[hex(f[0])] |= hasLower
			continue
		}
		var c class
		for _, l := range f[2] {
			c |= 1 << strings.IndexRune(classLetters, l)
		}
		for r := hex(f[0]); r <= hex(f[1]); r++ {
			all[r] = c
		}
	}
	seen := map[[256]class]uint16{}
	for i := range t.index {
		b := [256]class(all[i<<8:])
		at, ok := seen[b]
		if !ok {
			at = uint16(len(t.blocks))
			seen[b] = at
			t.blocks = append(t.blocks, b)
		}
		t.index[i] = at
	}
	return t
})

func hex(s string) rune {
	r, err := strconv.ParseUint(s, 16, 32)
	if err != nil {
		panic(fmt.Sprintf("tokenize: unicode.txt: %v", err))
	}
	return rune(r)
}

func (t *tables) of(r rune) class { return t.blocks[t.index[r>>8]][r&0xff] }

// is reports whether r has one of the classes.
func (t *tables) is(r rune, c class) bool { return t.of(r)&c != 0 }

// any reports whether a character of s has one of the classes. It looks at ASCII, too.
func (t *tables) any(s string, c class) bool {
	for _, r := range s {
		if t.is(r, c) {
			return true
		}
	}
	return false
}

// isCJK is what BERT puts spaces around: CJK's ideographs, and not the letters of Korean or Japanese. The block that begins at
// U+2B820 is left out up to U+2B920 by the Python package, too.
func isCJK(r rune) bool {
	switch {
	case r < 0x3400:
		return false
	case r <= 0x4dbf, r >= 0x4e00 && r <= 0x9fff, r >= 0xf900 && r <= 0xfaff:
		return true
	}
	return r >= 0x20000 && r <= 0x2a6df || r >= 0x2a700 && r < 0x2b820 || r >= 0x2b920 && r <= 0x2ceaf || r >= 0x2f800 && r <= 0x2fa1f
}

// isASCII reports whether s has ASCII only.
func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
