package tokenize

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// matcher finds added tokens in a text: at each place the longest. The library compiles a regular expression for each token
// and each text, sorts what they find by token in place of by place, and gives added tokens ids of its own.
type matcher struct {
	t       *tables
	byFirst [256][]match // by the first byte, longest first
	empty   bool
}

type match struct {
	text string
	addedToken
}

func (m *matcher) add(text string, a addedToken) {
	if text == "" {
		return
	}
	of := &m.byFirst[text[0]]
	if slices.ContainsFunc(*of, func(x match) bool { return x.text == text }) {
		return // the first of two counts
	}
	*of = append(*of, match{text, a})
	slices.SortStableFunc(*of, func(a, b match) int { return len(b.text) - len(a.text) })
	m.empty = false
}

// cut gives what lies between tokens to text, and tokens to token. first says that s begins the text.
func (m *matcher) cut(s string, first bool, text func(s string, first bool) error, token func(id int)) error {
	if m.empty {
		return text(s, first)
	}
	done := 0
	for at := 0; at < len(s); at++ {
		for _, x := range m.byFirst[s[at]] {
			if !strings.HasPrefix(s[at:], x.text) {
				continue
			}
			from, to := at, at+len(x.text)
			at = to - 1
			if x.SingleWord && (m.wordBefore(s[:from]) || m.wordAfter(s[to:])) {
				break
			}
			if x.LStrip {
				from = max(done, len(strings.TrimRightFunc(s[:from], m.space)))
			}
			if x.RStrip {
				to = len(s) - len(strings.TrimLeftFunc(s[to:], m.space))
			}
			if done < from {
				if err := text(s[done:from], first && done == 0); err != nil {
					return err
				}
			}
			token(x.ID)
			done = to
			break
		}
	}
	if done < len(s) {
		return text(s[done:], first && done == 0)
	}
	return nil
}

func (m *matcher) space(r rune) bool { return m.t.is(r, isSpace) }

func (m *matcher) wordBefore(s string) bool {
	r, n := utf8.DecodeLastRuneInString(s)
	return n > 0 && m.t.is(r, isWord)
}

func (m *matcher) wordAfter(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n > 0 && m.t.is(r, isWord)
}

// setAdded reads the added tokens: those that are looked for in a text as it is, and those in its normal form. Special ones come
// first in both, as the Python package has it.
func (t *Tokenizer) setAdded(c config) error {
	t.asIs, t.normal = matcher{t: t.tables, empty: true}, matcher{t: t.tables, empty: true}
	seen := map[string]bool{}
	for _, special := range []bool{true, false} {
		for i, a := range c.AddedTokens {
			if a.Special != special || a.Content == "" || seen[a.Content] {
				continue
			}
			seen[a.Content] = true
			at := fmt.Sprintf("added_tokens[%d]", i)
			if id, ok := t.model.TokenToId(a.Content); ok && id != a.ID {
				return fmt.Errorf("%s: %q has id %d here and %d in the vocabulary", at, a.Content, a.ID, id)
			}
			if other, ok := t.model.IdToToken(a.ID); ok && other != a.Content {
				return fmt.Errorf("%s: id %d is that of %q and of %q", at, a.ID, a.Content, other)
			}
			if err := t.name(a.ID, a.Content); err != nil {
				return fmt.Errorf("%s: %w", at, err)
			}
			if special {
				t.special = append(t.special, int32(a.ID))
			}
			if !a.Normalized {
				t.asIs.add(a.Content, a)
				continue
			}
			content := a.Content
			if t.normalizer != nil {
				content = t.normalizer.normalize(content)
			}
			t.normal.add(content, a)
		}
	}
	return nil
}
