package tokenize

import (
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The normal forms of Unicode.
var (
	nfc  = norm.NFC
	nfd  = norm.NFD
	nfkc = norm.NFKC
	nfkd = norm.NFKD
)

// form is a normal form as the Python package has it: by an older version of Unicode, so that what came later stands as it is,
// and for any number of marks, where x/text puts a joiner after thirty.
type form struct {
	t *tables
	f norm.Form
}

func (form) keepsStart() bool { return true }

// manyMarks is a number of marks in a row below that at which x/text adds a joiner.
const manyMarks = 16

func (n form) normalize(s string) string {
	if isASCII(s) {
		return s
	}
	if !n.t.any(s, isInert) {
		return n.known(s)
	}
	var b strings.Builder
	from := 0
	for i, r := range s {
		if n.t.is(r, isInert) {
			b.WriteString(n.known(s[from:i]))
			b.WriteRune(r)
			from = i + utf8.RuneLen(r)
		}
	}
	b.WriteString(n.known(s[from:]))
	return b.String()
}

func (n form) known(s string) string {
	marks := 0
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			marks = 0
			i++
			continue
		}
		p := norm.NFKD.PropertiesString(s[i:])
		i += p.Size()
		if p.CCC() == 0 && p.TrailCCC() == 0 {
			marks = 0
		} else if marks++; marks > manyMarks {
			return n.long(s)
		}
	}
	return n.f.String(s)
}

// long is the normal form of any text, by the definition (UAX #15): decompose, put marks in order, compose.
func (n form) long(s string) string {
	compose := n.f == norm.NFC || n.f == norm.NFKC
	decompose := norm.NFD
	if n.f == norm.NFKC || n.f == norm.NFKD {
		decompose = norm.NFKD
	}
	var runes []rune
	for _, r := range s {
		runes = append(runes, []rune(decompose.String(string(r)))...)
	}
	class := func(r rune) uint8 { return norm.NFD.PropertiesString(string(r)).CCC() }
	for i := 0; i < len(runes); {
		j := i
		for j < len(runes) && class(runes[j]) != 0 {
			j++
		}
		slices.SortStableFunc(runes[i:j], func(a, b rune) int { return int(class(a)) - int(class(b)) })
		i = j + 1
	}
	if !compose {
		return string(runes)
	}
	var out []rune
	starter := -1 // the place in out of the last one
	var last uint8
	for _, r := range runes {
		c := class(r)
		if starter >= 0 && (last < c || starter == len(out)-1) {
			if both := []rune(norm.NFC.String(string([]rune{out[starter], r}))); len(both) == 1 {
				out[starter] = both[0]
				continue
			}
		}
		if last = c; c == 0 {
			starter = len(out)
		}
		out = append(out, r)
	}
	return string(out)
}
