package tokenize

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// pattern is a text or a regular expression of the file.
type pattern struct {
	String string
	Regex  string
}

// expr is a pattern compiled twice, since Go is slow where classes have hundreds of ranges and most texts need none of them.
type expr struct{ ascii, all *regexp.Regexp }

func (e *expr) of(s string) *regexp.Regexp {
	if isASCII(s) {
		return e.ascii
	}
	return e.all
}

// compile makes Go's form of the regular expression, nil if it is a text. The Python package's are Oniguruma's: \s, \p{L} and \p{N}
// become the characters that those have there. Looking ahead or back, and classes that are not known to agree, are refused. (The
// library compiles texts as regular expressions, and gives \s the white space of ASCII.)
func (p pattern) compile(t *tables) (*expr, error) {
	if p.Regex == "" {
		if p.String == "" {
			return nil, errors.New("expected a pattern that is not empty")
		}
		return nil, nil
	}
	ascii, err := p.translate(t, utf8.RuneSelf)
	if err != nil {
		return nil, err
	}
	all, err := p.translate(t, 0x110000)
	return &expr{ascii, all}, err
}

// translate makes Go's form for characters below a limit.
func (p pattern) translate(t *tables, limit rune) (*regexp.Regexp, error) {
	var b strings.Builder
	inClass := false
	r := []rune(p.Regex)
	for i := 0; i < len(r); i++ {
		switch {
		case r[i] == '\\':
			if i++; i == len(r) {
				return nil, fmt.Errorf("pattern %q ends in a backslash", p.Regex)
			}
			name := string(r[i])
			if (r[i] == 'p' || r[i] == 'P') && i+3 < len(r) && r[i+1] == '{' && r[i+3] == '}' {
				name += string(r[i+2])
				i += 3
			}
			c, known := map[string]class{"s": isSpace, "S": isSpace, "pL": isLetter, "PL": isLetter, "pN": isNumber, "PN": isNumber}[name]
			not := name[0] == 'S' || name[0] == 'P'
			switch {
			case known && inClass && !not:
				b.WriteString(t.ranges(c, limit))
			case known && !inClass && not:
				b.WriteString("[^" + t.ranges(c, limit) + "]")
			case known && !inClass:
				b.WriteString("[" + t.ranges(c, limit) + "]")
			case strings.Contains("trn", name):
				b.WriteString(`\` + name)
			case len(name) == 1 && strings.Contains(`\.+*?()|[]{}^$-/'"#&~ `, name):
				b.WriteString(regexp.QuoteMeta(name))
			default:
				return nil, fmt.Errorf("pattern %q: \\%s there is not supported", p.Regex, name)
			}
		case inClass && r[i] == '[', inClass && r[i] == '&' && i+1 < len(r) && r[i+1] == '&':
			return nil, fmt.Errorf("pattern %q: classes of classes are not supported", p.Regex)
		case !inClass && r[i] == '(' && i+1 < len(r) && r[i+1] == '?' && !(i+2 < len(r) && r[i+2] == ':'):
			return nil, fmt.Errorf("pattern %q: (? there is not supported: Go's regular expressions do not look ahead or back", p.Regex)
		case !inClass && i > 0 && r[i] == '+' && strings.ContainsRune("+*?}", r[i-1]) && (i < 2 || r[i-2] != '\\'):
			return nil, fmt.Errorf("pattern %q: possessive quantifiers are not supported", p.Regex)
		case !inClass && strings.ContainsRune(".^$", r[i]):
			return nil, fmt.Errorf("pattern %q: %c is not supported", p.Regex, r[i])
		default:
			if r[i] == '[' {
				inClass = true
				if i+1 < len(r) && r[i+1] == '^' {
					b.WriteString("[^")
					i++
					continue
				}
			} else if r[i] == ']' {
				inClass = false
			}
			b.WriteRune(r[i])
		}
	}
	re, err := regexp.Compile(b.String())
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", p.Regex, err)
	}
	if re.MatchString("") {
		return nil, errors.New("a pattern that matches nothing at all: not supported")
	}
	return re, nil
}

// ranges are the characters of a class, for use within brackets.
func (t *tables) ranges(c class, limit rune) string {
	var b strings.Builder
	for r := rune(0); r < limit; r++ {
		if !t.is(r, c) {
			continue
		}
		from := r
		for r+1 < limit && t.is(r+1, c) {
			r++
		}
		fmt.Fprintf(&b, `\x{%x}-\x{%x}`, from, r)
	}
	return b.String()
}

// matches are the places of the pattern in s, which follow each other.
func matches(s, old string, re *expr) (at [][2]int) {
	if re != nil {
		for _, m := range re.of(s).FindAllStringIndex(s, -1) {
			at = append(at, [2]int{m[0], m[1]})
		}
		return at
	}
	for from := 0; ; {
		i := strings.Index(s[from:], old)
		if i < 0 {
			return at
		}
		at = append(at, [2]int{from + i, from + i + len(old)})
		from += i + len(old)
	}
}
