package augment

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestSentences(t *testing.T) {
	for text, want := range map[string][]string{
		"":                 nil,
		" \n":              nil,
		"One. Two! Three?": {"One.", "Two!", "Three?"},
		"A nodule of 3.5 cm, approx. as before. J. Smith, M.D. saw it. \"No change.\" Done": {"A nodule of 3.5 cm, approx. as before.", "J. Smith, M.D. saw it.", "\"No change.\"", "Done"},
		"line one\nline two\n\nline three":                                                  {"line one", "line two", "line three"},
		"一只黑猫。它在看雨！真的？":                                                                     {"一只黑猫。", "它在看雨！", "真的？"},
		"심장은 정상이다. 폐에 결절이 보인다.":                                                             {"심장은 정상이다.", "폐에 결절이 보인다."},
		"Wait... What?! (Really.) Yes":                                                      {"Wait...", "What?!", "(Really.)", "Yes"},
		"\xff. A":                                                                           {"\xff.", "A"},
	} {
		assert.Equal(t, want, Sentences(text), text)
	}
}

const report = "The heart is enlarged. There is a small effusion. No pneumothorax. The lungs are clear otherwise."

func TestView(t *testing.T) {
	assert.Equal(t, report, Default().View(report, Key{}))
	c := Config{Sentences: [2]float64{0.25, 0.75}}
	counts := map[int]int{}
	first := map[string]int{}
	const n = 4000
	for i := range uint64(n) {
		v := c.View(report, Key{Seed: 1, Sample: i})
		assert.Equal(t, v, c.View(report, Key{Seed: 1, Sample: i}))
		at := 0
		s := Sentences(v)
		for _, x := range s { // in their order
			j := strings.Index(report[at:], x)
			assert.GreaterOrEqual(t, j, 0)
			at += j + len(x)
		}
		counts[len(s)]++
		first[s[0]]++
	}
	// The share is even on 1/4 … 3/4 of 4 sentences, and rounded: 1 in a quarter, 2 in a half, 3 in a quarter of the cases.
	for k, p := range map[int]float64{1: 0.25, 2: 0.5, 3: 0.25} {
		assert.InDelta(t, p*n, counts[k], 5*math.Sqrt(n*p*(1-p)), "%d sentences", k)
	}
	// The first sentence is in half of all views.
	assert.InDelta(t, 0.5*n, first["The heart is enlarged."], 5*math.Sqrt(n*0.25))
	assert.Equal(t, " \n ", c.View(" \n ", Key{}))

	name := func(k Key) string { return Config{Sentences: [2]float64{1, 1}, DropWords: 0.5}.View(report, k) }
	base := Key{Seed: 1, Epoch: 2, Sample: 3, View: 4}
	for what, k := range map[string]Key{"seed": {2, 2, 3, 4}, "epoch": {1, 3, 3, 4}, "sample": {1, 2, 4, 4}, "view": {1, 2, 3, 5}} {
		assert.NotEqual(t, name(base), name(k), what)
	}
}

func TestDropWords(t *testing.T) {
	c := Config{Sentences: [2]float64{1, 1}, DropWords: 0.3}
	words := strings.Fields(report)
	kept := 0
	const n = 2000
	for i := range uint64(n) {
		v := strings.Fields(c.View(report, Key{Sample: i}))
		kept += len(v)
		assert.Subset(t, words, v)
	}
	mean := 0.7 * float64(len(words))
	assert.InDelta(t, mean, float64(kept)/n, 5*math.Sqrt(0.21*float64(len(words))/n))
	c.DropWords = 0.999999
	seen := map[string]bool{}
	for i := range uint64(200) {
		v := c.View(report, Key{Sample: i})
		assert.Len(t, strings.Fields(v), 1, "one word is kept")
		seen[v] = true
	}
	assert.Greater(t, len(seen), 5)
	assert.Equal(t, "  ", c.View("  ", Key{}))
}

func TestValidate(t *testing.T) {
	assert.NoError(t, Default().Validate())
	err := Config{Sentences: [2]float64{0.5, 0.2}, DropWords: 1}.Validate()
	assert.ErrorContains(t, err, "sentences: 0.5 to 0.2, expected shares above 0 to 1")
	assert.ErrorContains(t, err, "drop_words: 1, expected 0 or more and less than 1")
	assert.Error(t, Config{}.Validate())
}

func FuzzView(f *testing.F) {
	f.Add(report, uint64(1))
	f.Add("\xff\xfe. 。", uint64(2))
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		c := Config{Sentences: [2]float64{0.2, 0.9}, DropWords: 0.4}
		v := c.View(text, Key{Seed: seed})
		if strings.TrimSpace(text) != "" && strings.TrimSpace(v) == "" {
			t.Fatalf("nothing is left of %q", text)
		}
	})
}
