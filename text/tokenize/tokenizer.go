package tokenize

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unicode/utf8"

	lib "github.com/sugarme/tokenizer"
)

// Tokenizer turns texts into ids. Its methods may be called concurrently.
type Tokenizer struct {
	kind       string // of the model
	tables     *tables
	normalizer normalizer // nil: none
	split      splitter
	model      lib.Model
	tokens     []string // by id

	asIs, normal  matcher // added tokens, looked for in the text and in its normal form
	special       []int32
	before, after []int32 // special tokens around a text

	max     int  // of ids, 0: any number
	left    bool // what is too long loses its beginning
	pad     int32
	workers chan *worker // that are not at work
}

// worker is what one call at a time has for itself.
type worker struct {
	cache cache
	ids   []int32
}

// ErrInvalidUTF8 is the error of texts that are not UTF-8, of which no one knows which characters were meant.
var ErrInvalidUTF8 = errors.New("text is not UTF-8")

func errNoUnknown(r rune) error {
	return fmt.Errorf("%q is in no token, and the model has none for what is unknown (unk_id)", r)
}

// setRest reads what is neither text nor model.
func (t *Tokenizer) setRest(c config) error {
	t.workers = make(chan *worker, runtime.GOMAXPROCS(0))
	if c.Truncation != nil {
		t.max, t.left = c.Truncation.MaxLength, strings.EqualFold(c.Truncation.Direction, "left")
		if extra := len(t.before) + len(t.after); t.max < 1 || t.max <= extra {
			return fmt.Errorf("truncation: max_length %d: expected more than the %d special tokens", t.max, extra)
		}
	}
	if c.Padding != nil {
		if c.Padding.ID < 0 || c.Padding.ID >= len(t.tokens) {
			return fmt.Errorf("padding: pad_id %d is not in the vocabulary of %d", c.Padding.ID, len(t.tokens))
		}
		t.pad = int32(c.Padding.ID)
		return nil
	}
	for _, name := range []string{"[PAD]", "<pad>"} {
		if id, ok := t.ID(name); ok {
			t.pad = id
			break
		}
	}
	return nil
}

// Encode returns the ids of a text with the special tokens around it, at most max of them: what is too long is cut at its end, or
// at its beginning if the file says so. With max 0 it is the file's own limit, or none. Texts that are not UTF-8 are
// [ErrInvalidUTF8]; a max that has no room for the special tokens is an error, too.
func (t *Tokenizer) Encode(text string, max int) ([]int32, error) { return t.Append(nil, text, max) }

// Append is [Tokenizer.Encode] to the end of ids.
func (t *Tokenizer) Append(ids []int32, text string, max int) ([]int32, error) {
	if !utf8.ValidString(text) {
		at := 0
		for at < len(text) {
			if r, n := utf8.DecodeRuneInString(text[at:]); r == utf8.RuneError && n == 1 {
				break
			} else {
				at += n
			}
		}
		return ids, fmt.Errorf("%w at byte %d: %.16q", ErrInvalidUTF8, at, text[at:])
	}
	if max == 0 {
		max = t.max
	}
	room := -1 // any
	if max != 0 {
		if room = max - len(t.before) - len(t.after); room < 0 {
			return ids, fmt.Errorf("at most %d ids: expected %d or more, as there are %d special tokens", max, len(t.before)+len(t.after), len(t.before)+len(t.after))
		}
	}
	var w *worker
	select {
	case w = <-t.workers:
	default:
		w = &worker{}
	}
	defer func() {
		select {
		case t.workers <- w:
		default:
		}
	}()
	stop := room
	if t.left {
		stop = -1
	}
	if err := t.body(w, text, stop); err != nil {
		return ids, err
	}
	body := w.ids
	if room >= 0 && len(body) > room {
		if t.left {
			body = body[len(body)-room:]
		} else {
			body = body[:room]
		}
	}
	ids = append(append(append(ids, t.before...), body...), t.after...)
	if cap(w.ids) > 1<<16 {
		w.ids = nil
	}
	return ids, nil
}

// errEnough ends a text whose first ids are all that is asked for.
var errEnough = errors.New("enough")

// body leaves the ids of a text in w, without special tokens around it. After stop of them, unless that is -1, it may end.
func (t *Tokenizer) body(w *worker, text string, stop int) error {
	w.ids = w.ids[:0]
	var failed error
	token := func(id int) { w.ids = append(w.ids, int32(id)) }
	words := func(s string, first bool) error {
		t.split.words(s, first, func(word string) {
			if failed == nil && (stop < 0 || len(w.ids) < stop) {
				w.ids, failed = t.word(&w.cache, w.ids, word)
			}
		})
		if failed == nil && stop >= 0 && len(w.ids) >= stop {
			return errEnough
		}
		return failed
	}
	err := t.asIs.cut(text, true, func(s string, first bool) error {
		if t.normalizer != nil {
			s = t.normalizer.normalize(s)
		}
		return t.normal.cut(s, first, words, token)
	}, token)
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// Kind is the model's: WordPiece, BPE, Unigram or WordLevel.
func (t *Tokenizer) Kind() string { return t.kind }

// Size is one more than the greatest id: the rows that an embedding must have.
func (t *Tokenizer) Size() int { return len(t.tokens) }

// Pad is the id that fills up short texts: the file's, or that of [PAD] or <pad>, or 0, which is never looked at.
func (t *Tokenizer) Pad() int32 { return t.pad }

// Special are the ids of special tokens, such as [CLS].
func (t *Tokenizer) Special() []int32 { return append([]int32(nil), t.special...) }

// Around is the number of special tokens that a text gets.
func (t *Tokenizer) Around() int { return len(t.before) + len(t.after) }

// Token is the text of an id, "" if there is none.
func (t *Tokenizer) Token(id int32) string {
	if id < 0 || int(id) >= len(t.tokens) {
		return ""
	}
	return t.tokens[id]
}

// ID is the id of a token.
func (t *Tokenizer) ID(token string) (int32, bool) {
	if id, ok := t.model.TokenToId(token); ok {
		return int32(id), true
	}
	for _, m := range []*matcher{&t.asIs, &t.normal} {
		for _, of := range m.byFirst {
			for _, x := range of {
				if x.Content == token {
					return int32(x.ID), true
				}
			}
		}
	}
	return 0, false
}
