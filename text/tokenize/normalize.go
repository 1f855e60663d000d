package tokenize

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// normalizer changes a text before it is split. The library's keep the place in the original of each character, in
// slices for each, and take more time than all of Encode should (BenchmarkLibrary); BERT's has no white space of other scripts, Lowercase and StripAccents go by other tables, and
// Precompiled writes marks out as their code points.
type normalizer interface {
	normalize(s string) string
	// keepsStart reports whether what comes first is never removed.
	keepsStart() bool
}

// sequence are normalizers one after the other.
type sequence []normalizer

func (n sequence) normalize(s string) string {
	for _, x := range n {
		s = x.normalize(s)
	}
	return s
}

func (n sequence) keepsStart() bool {
	for _, x := range n {
		if !x.keepsStart() {
			return false
		}
	}
	return true
}

// bert is BERT's cleaning of texts.
type bert struct {
	t                              *tables
	clean, cjk, lower, stripAccent bool
}

func (n bert) keepsStart() bool { return false }

func (n bert) normalize(s string) string {
	if isASCII(s) {
		return n.ascii(s)
	}
	if n.clean || n.cjk {
		var b strings.Builder
		b.Grow(len(s) + 16)
		for _, r := range s {
			switch {
			case n.clean && (r == 0 || n.t.is(r, isControl) && r != '\t' && r != '\n' && r != '\r' || r == utf8.RuneError):
			case n.clean && n.t.is(r, isSpace):
				b.WriteByte(' ')
			case n.cjk && isCJK(r):
				b.WriteByte(' ')
				b.WriteRune(r)
				b.WriteByte(' ')
			default:
				b.WriteRune(r)
			}
		}
		s = b.String()
	}
	if n.stripAccent {
		s = remove(n.t, form{n.t, nfd}.normalize(s), isNonspacing)
	}
	if n.lower {
		s = lowercase{n.t}.normalize(s)
	}
	return s
}

// ascii is normalize without the steps that change nothing.
func (n bert) ascii(s string) string {
	if !n.clean && !n.lower {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		c := s[i]
		switch {
		case n.lower && c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case n.clean && (c == '\t' || c == '\n' || c == '\r'):
			c = ' '
		case n.clean && (c < ' ' || c == 0x7f):
			continue
		}
		b = append(b, c)
	}
	return string(b)
}

// remove takes out the characters of a class.
func remove(t *tables, s string, c class) string {
	if !t.any(s, c) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if t.is(r, c) {
			return -1
		}
		return r
	}, s)
}

// lowercase goes character by character, whatever is around: a capital sigma never becomes a final one.
type lowercase struct{ t *tables }

func (lowercase) keepsStart() bool { return true }

func (n lowercase) normalize(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	if !n.t.any(s, hasLower) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		if n.t.is(r, hasLower) {
			b.WriteString(n.t.lower[r])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// stripAccents removes marks of all kinds, of what is decomposed already.
type stripAccents struct{ t *tables }

func (stripAccents) keepsStart() bool            { return false }
func (n stripAccents) normalize(s string) string { return remove(n.t, s, isMark) }

// strip removes white space at the ends.
type strip struct {
	t           *tables
	left, right bool
}

func (n strip) keepsStart() bool { return !n.left }

func (n strip) normalize(s string) string {
	space := func(r rune) bool { return n.t.is(r, isSpace) }
	if n.left {
		s = strings.TrimLeftFunc(s, space)
	}
	if n.right {
		s = strings.TrimRightFunc(s, space)
	}
	return s
}

// replace puts a text in the place of another, or of what a pattern matches.
type replace struct {
	old     string
	pattern *expr // nil: old
	new     string
}

func (n replace) keepsStart() bool { return n.new != "" }

func (n replace) normalize(s string) string {
	if n.pattern != nil {
		return n.pattern.of(s).ReplaceAllLiteralString(s, n.new)
	}
	return strings.ReplaceAll(s, n.old, n.new)
}

// prepend puts a text before all that are not empty.
type prepend string

func (prepend) keepsStart() bool { return true }

func (n prepend) normalize(s string) string {
	if s == "" {
		return s
	}
	return string(n) + s
}

// normalizerOf reads a normalizer. Nil stands for none.
func normalizerOf(t *tables, c component) (normalizer, error) {
	switch c.Type {
	case "":
		return nil, nil
	case "BertNormalizer":
		o := struct {
			Clean       bool  `json:"clean_text"`
			CJK         bool  `json:"handle_chinese_chars"`
			Lower       bool  `json:"lowercase"`
			StripAccent *bool `json:"strip_accents"`
		}{Clean: true, CJK: true, Lower: true}
		if err := c.read(&o); err != nil {
			return nil, err
		}
		n := bert{t: t, clean: o.Clean, cjk: o.CJK, lower: o.Lower, stripAccent: o.Lower}
		if o.StripAccent != nil {
			n.stripAccent = *o.StripAccent
		}
		return n, nil
	case "NFC":
		return form{t, nfc}, nil
	case "NFD":
		return form{t, nfd}, nil
	case "NFKC":
		return form{t, nfkc}, nil
	case "NFKD":
		return form{t, nfkd}, nil
	case "Lowercase":
		return lowercase{t}, nil
	case "StripAccents":
		return stripAccents{t}, nil
	case "Strip":
		o := struct {
			Left  bool `json:"strip_left"`
			Right bool `json:"strip_right"`
		}{true, true}
		err := c.read(&o)
		return strip{t, o.Left, o.Right}, err
	case "Prepend":
		var o struct{ Prepend string }
		err := c.read(&o)
		return prepend(o.Prepend), err
	case "Replace":
		var o struct {
			Pattern pattern
			Content string
		}
		if err := c.read(&o); err != nil {
			return nil, err
		}
		r, err := o.Pattern.compile(t)
		if err != nil {
			return nil, c.wrong("%w", err)
		}
		return replace{old: o.Pattern.String, pattern: r, new: o.Content}, nil
	case "Sequence":
		var o struct{ Normalizers []json.RawMessage }
		if err := c.read(&o); err != nil {
			return nil, err
		}
		var all sequence
		for i, raw := range o.Normalizers {
			sub, err := c.sub("normalizers", i, raw)
			if err != nil {
				return nil, err
			}
			n, err := normalizerOf(t, sub)
			if err != nil {
				return nil, err
			}
			if n != nil {
				all = append(all, n)
			}
		}
		return all, nil
	case "Precompiled":
		return nil, c.wrong("not supported: it is SentencePiece's table of characters, which the library reads wrongly (it writes combining marks out as their code points); " +
			"a tokenizer that was trained with NFKC instead will do")
	}
	return nil, c.wrong("not supported; expected one of BertNormalizer, NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, Replace, Prepend, Sequence")
}
