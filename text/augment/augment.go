// Package augment makes views of texts: some of a text's sentences, some of their words. What a view is depends on its name alone,
// (seed, epoch, sample, view), so that it is the same whoever makes it and in whatever order.
package augment

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gojepa/gojepa/internal/rng"
)

// Config says how views of texts are made. The zero value has every word in none of them: begin with [Default].
type Config struct {
	Sentences [2]float64 // least and most share of a text's sentences that a view has, in (0, 1]; one at least is kept
	DropWords float64    // probability that a word is left out, in [0, 1); one at least is kept
}

// Default leaves texts as they are.
func Default() Config { return Config{Sentences: [2]float64{1, 1}} }

// Validate reports every value that is out of range.
func (c Config) Validate() error {
	var errs []error
	if lo, hi := c.Sentences[0], c.Sentences[1]; !(lo > 0 && lo <= hi && hi <= 1) {
		errs = append(errs, fmt.Errorf("sentences: %g to %g, expected shares above 0 to 1, the least first", lo, hi))
	}
	if !(c.DropWords >= 0 && c.DropWords < 1) {
		errs = append(errs, fmt.Errorf("drop_words: %g, expected 0 or more and less than 1", c.DropWords))
	}
	return errors.Join(errs...)
}

// Key names a view.
type Key struct {
	Seed          uint64
	Epoch, Sample uint64 // Sample is below 2⁴⁸
	View          uint16 // which of a sample's texts
}

// View is a text as the view of that name has it: sentences in their order, drawn without replacement, and of these the words that are
// kept. Sentences and words are told apart by punctuation and white space, so that of languages without spaces only sentences are
// drawn. A text of nothing but white space stays as it is.
func (c Config) View(text string, k Key) string {
	if c == Default() {
		return text
	}
	r := rng.New(k.Seed, rng.Texts, k.Epoch, k.Sample<<16|uint64(k.View))
	// All draws are made whether or not they are needed, so that one option does not change what another one does.
	share := c.Sentences[0] + (c.Sentences[1]-c.Sentences[0])*r.Float64()
	all := Sentences(text)
	kept := all
	if n := len(all); n > 0 {
		kept = choose(r, all, min(n, max(1, int(math.Round(share*float64(n))))))
	}
	if c.DropWords > 0 {
		return dropWords(r, kept, c.DropWords, text)
	}
	if len(kept) == len(all) {
		return text
	}
	return strings.Join(kept, " ")
}

// choose draws n of the sentences, in their order.
func choose(r *rand.Rand, all []string, n int) []string {
	keep := make([]bool, len(all))
	for _, i := range r.Perm(len(all))[:n] {
		keep[i] = true
	}
	kept := make([]string, 0, n)
	for i, s := range all {
		if keep[i] {
			kept = append(kept, s)
		}
	}
	return kept
}

func dropWords(r *rand.Rand, sentences []string, p float64, text string) string {
	var words, kept []string
	for _, s := range sentences {
		words = append(words, strings.Fields(s)...)
	}
	if len(words) == 0 {
		return text
	}
	last := words[r.IntN(len(words))] // what stays if nothing else does
	for _, w := range words {
		if r.Float64() >= p {
			kept = append(kept, w)
		}
	}
	if len(kept) == 0 {
		return last
	}
	return strings.Join(kept, " ")
}

// Sentences cuts a text after what ends a sentence, without the white space between. Full stops end one where white space and no small
// letter follow, and no single letter comes before, as in "J. Smith"; those of Chinese, Japanese and Hindi always do, and so do
// empty lines and line breaks.
func Sentences(text string) []string {
	var out []string
	from := 0
	cut := func(to int) {
		if s := strings.TrimSpace(text[from:to]); s != "" {
			out = append(out, s)
		}
		from = to
	}
	for i, r := range text {
		end := i + utf8.RuneLen(r)
		if r == utf8.RuneError {
			end = i + 1
		}
		switch r {
		case '\n', '。', '！', '？', '।', '॥':
			cut(closed(text, end))
		case '.', '!', '?', '…', '؟', '۔':
			if end = closed(text, end); i >= from && ends(text, i, end) {
				cut(end)
			}
		}
	}
	cut(len(text))
	return out
}

// closed is the end of the closing quotes and brackets, and of more of what ends a sentence, after a place.
func closed(text string, at int) int {
	for i, r := range text[at:] {
		if !strings.ContainsRune(".!?…。！？\"'”’»)]」』）", r) {
			return at + i
		}
	}
	return len(text)
}

// ends reports whether the full stop at a place, after which the text goes on at another, ends a sentence.
func ends(text string, stop, next int) bool {
	if next == len(text) {
		return true
	}
	r, n := utf8.DecodeRuneInString(text[next:])
	if !unicode.IsSpace(r) {
		return false
	}
	after := strings.TrimLeftFunc(text[next+n:], unicode.IsSpace)
	if r, _ := utf8.DecodeRuneInString(after); unicode.IsLower(r) {
		return false
	}
	before := text[:stop]
	letter, n := utf8.DecodeLastRuneInString(before)
	previous, m := utf8.DecodeLastRuneInString(before[:len(before)-n])
	initial := unicode.IsUpper(letter) && (m == 0 || unicode.IsSpace(previous) || previous == '.')
	return !initial || text[stop] != '.'
}
