// Package captions makes views of the captions of a batch of images: what a training step takes in beside their crops.
package captions

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gojepa/gojepa/text/augment"
	"github.com/gojepa/gojepa/text/tokenize"
)

// Maker makes views of captions. Its Views may be called concurrently.
type Maker struct {
	Tokenizer *tokenize.Tokenizer
	Augment   augment.Config
	Count     int    // views of each caption
	Max       int    // ids of a view at most, special tokens included; 0 is the tokenizer's own limit
	Seed      uint64 // names the views
}

// Validate reports every value that is out of range, maxTokens being the longest text that the encoder takes.
func (m Maker) Validate(maxTokens int) error {
	errs := []error{m.Augment.Validate()}
	if m.Count < 1 {
		errs = append(errs, fmt.Errorf("count: %d, expected 1 or more", m.Count))
	}
	if least := m.Tokenizer.Around() + 1; m.Max < least || m.Max > maxTokens {
		errs = append(errs, fmt.Errorf("max: %d, expected %d, so that there is room for the special tokens, to %d, which the encoder takes", m.Max, least, maxTokens))
	}
	return errors.Join(errs...)
}

// Caption is the text of a sample of a batch.
type Caption struct {
	Sample uint64 // the image's number in its collection, which names the views
	Text   string // nothing but white space is no caption
}

// Batch are the views of the captions of a batch of images.
type Batch struct {
	Count   int       // views of each caption
	Samples []int     // places in the batch of those that have a caption, the longest first, so that rows beside each other are of like length
	IDs     [][]int32 // [Count · len(Samples)], view after view
}

// Rows is the number of texts, of all views.
func (b Batch) Rows() int { return len(b.IDs) }

// Padded are the ids [to − from, T] of some rows, as an encoder of package text takes them: -1 beyond the end of each, T the length of the
// longest, and at least 1.
func (b Batch) Padded(from, to int) (ids []int64, t int) {
	t = 1
	for _, row := range b.IDs[from:to] {
		t = max(t, len(row))
	}
	ids = make([]int64, 0, t*(to-from))
	for _, row := range b.IDs[from:to] {
		for _, id := range row {
			ids = append(ids, int64(id))
		}
		for range t - len(row) {
			ids = append(ids, -1)
		}
	}
	return ids, t
}

// Bad is a caption that no views can be made of.
type Bad struct {
	At  int // its place in the batch
	Err error
}

// Views makes the views of a batch's captions in an epoch. A sample whose caption is not UTF-8, in whatever part, or cannot be encoded has
// none, and is among the bad; nothing is lost besides. The views depend on seed, epoch, sample and view alone.
func (m Maker) Views(captions []Caption, epoch uint64) (b Batch, bad []Bad) {
	type sample struct {
		at    int
		ids   [][]int32
		total int
	}
	var all []sample
	for i, c := range captions {
		if strings.TrimSpace(c.Text) == "" {
			continue
		}
		x := sample{at: i}
		err := valid(c.Text)
		for v := range m.Count {
			if err != nil {
				break
			}
			text := m.Augment.View(c.Text, augment.Key{Seed: m.Seed, Epoch: epoch, Sample: c.Sample, View: uint16(v)})
			var ids []int32
			ids, err = m.Tokenizer.Encode(text, m.Max)
			x.ids = append(x.ids, ids)
			x.total += len(ids)
		}
		if err != nil {
			bad = append(bad, Bad{i, err})
			continue
		}
		all = append(all, x)
	}
	slices.SortStableFunc(all, func(x, y sample) int { return y.total - x.total })
	b.Count = m.Count
	for v := range m.Count {
		for _, x := range all {
			b.IDs = append(b.IDs, x.ids[v])
		}
	}
	for _, x := range all {
		b.Samples = append(b.Samples, x.at)
	}
	return b, bad
}

// valid reports a text that is not UTF-8, so that it does not depend on what a view leaves of it whether the text counts.
func valid(text string) error {
	if utf8.ValidString(text) {
		return nil
	}
	at := 0
	for at < len(text) {
		r, n := utf8.DecodeRuneInString(text[at:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		at += n
	}
	return fmt.Errorf("%w at byte %d: %.16q", tokenize.ErrInvalidUTF8, at, text[at:])
}
