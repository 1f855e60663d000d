package fields

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestDecodeYAML(t *testing.T) {
	s := new(sample)
	s.Optim.Warm = 7
	require.NoError(t, DecodeYAML([]byte(`
# a comment
optim: {lr: 5.0e-4, betas: [0.9, 0.95]}
views:
  blur: &b
    p: 1
hidden: [512, 2048]
precision: bf16
out: 2024
labels: true
every: 90s
`), "a.yaml", s))
	assert.Equal(t, 5e-4, s.Optim.LR)
	assert.Equal(t, [2]float64{0.9, 0.95}, s.Optim.Betas)
	assert.Equal(t, 7, s.Optim.Warm, "a key that is not given leaves its value")
	assert.Equal(t, blur{P: 1}, s.Views.Blur)
	assert.Equal(t, []int{512, 2048}, s.Hidden)
	assert.Equal(t, "2024", s.Out)
	assert.True(t, s.Labels)
	assert.Equal(t, 90*time.Second, s.Every)
	require.NoError(t, DecodeYAML([]byte("ink: [red]\n"), "a.yaml", s))
	assert.Equal(t, colour("red"), s.Ink)

	for _, empty := range []string{"", "# nothing\n", "---\n", "optim:\n"} {
		assert.NoError(t, DecodeYAML([]byte(empty), "a.yaml", s), "%q", empty)
	}
	assert.Equal(t, 5e-4, s.Optim.LR)
}

func TestDecodeYAMLErrors(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"unknown key", "optim:\n  lrr: 1\n", []string{"a.yaml:2: optim.lrr: no such key; did you mean optim.lr?"}},
		{"key of another section", "lr: 1\n", []string{"a.yaml:1: lr: no such key; did you mean optim.lr?"}},
		{"flag for a key", "optim:\n  warmup-steps: 1\n",
			[]string{"a.yaml:2: optim.warmup-steps: no such key; did you mean optim.warmup_steps?"}},
		{"unlike any key", "momentum: 1\n", []string{"a.yaml:1: momentum: no such key"}},
		{"unknown section", "optimm:\n  lr: 1\n", []string{"a.yaml:1: optimm: no such key; did you mean optim?"}},
		{"word for a number", "optim: {lr: fast}\n", []string{`a.yaml:1: optim.lr: "fast" is not a number`}},
		{"list for a number", "optim: {lr: [1, 2]}\n", []string{"a.yaml:1: optim.lr: expected a number, found a list"}},
		{"mapping for a number", "optim:\n  lr:\n    x: 1\n",
			[]string{"a.yaml:3: optim.lr: expected a value, found keys and values"}},
		{"number for a section", "optim: 3\n", []string{`a.yaml:1: optim: expected keys and values, found "3"`}},
		{"list for a section", "optim: [3]\n", []string{"a.yaml:1: optim: expected keys and values, found a list"}},
		{"list for the document", "- 1\n", []string{"a.yaml:1: the document: expected keys and values, found a list"}},
		{"nothing", "optim: {lr: }\n", []string{"a.yaml:1: optim.lr: it has no value"}},
		{"too short a list", "optim: {betas: [0.9]}\n", []string{"a.yaml:1: optim.betas: a list of 1 values, expected 2"}},
		{"list for a value that reads itself", "ink: [red, blue]\n", []string{"a.yaml:1: ink: no such colour: red,blue"}},
		{"list in such a list", "ink: [[red]]\n", []string{"a.yaml:1: ink: value 1: expected a single value, found a list"}},
		{"list in a list", "hidden: [1, [2]]\n",
			[]string{"a.yaml:1: hidden: value 2: expected a whole number, found a list"}},
		{"twice", "out: a\nout: b\n", []string{"a.yaml:2: out: given twice, first on line 1"}},
		{"three at once", "optim:\n  lr: fast\nprecision: fp16\nstpes: 3\nlabels: yes\n", []string{
			`a.yaml:2: optim.lr: "fast" is not a number`,
			`a.yaml:3: precision: "fp16" is not one of fp32, bf16`,
			`a.yaml:4: stpes: no such key`,
			`a.yaml:5: labels: "yes" is not true or false`,
		}},
		{"no YAML", "optim: [1\n", []string{"a.yaml: line 1: did not find expected ',' or ']'"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := DecodeYAML([]byte(tt.text), "a.yaml", new(sample))
			assert.EqualError(t, err, strings.Join(tt.want, "\n"))
		})
	}
}

func TestAlias(t *testing.T) {
	s := new(sample)
	require.NoError(t, DecodeYAML([]byte("optim: {lr: &x 0.5}\nscale: *x\nhidden: &h [1, 2]\n"), "a.yaml", s))
	assert.Equal(t, float32(0.5), s.Scale)
}

func TestEncodeYAML(t *testing.T) {
	s := &sample{Hidden: []int{512, 2048}, Precision: "bf16", Out: "true", Every: time.Minute, Ink: "red", Scale: 0.1}
	s.Optim.LR = 1e-6
	s.Optim.Betas = [2]float64{0.9, 0.95}
	s.Seed = 1<<64 - 1
	text, err := EncodeYAML(s)
	require.NoError(t, err)
	assert.Equal(t, `optim:
    # learning rate
    lr: 1e-6
    betas: [0.9, 0.95]
    warmup_steps: 0
views:
    blur:
        # how often
        p: 0
        kernel: 0
hidden: [512, 2048]
# arithmetic (fp32, bf16)
precision: bf16
out: "true"
labels: false
seed: 18446744073709551615
small: 0
every: 1m0s
ink: red
scale: 0.1
`, string(text))

	again := new(sample)
	require.NoError(t, DecodeYAML(text, "a.yaml", again))
	assert.Equal(t, s, again)
}

func TestStringsSurviveYAML(t *testing.T) {
	for _, out := range []string{"", "null", "~", "12", "1e3", "true", "a: b", "- a", "#x", "'q'", "\"", "a\nb", " lead", "ü/日本", "*x", "&x", "!t", "%y", "\x00"} {
		s := &sample{Out: out, Precision: "fp32", Ink: "red"}
		text, err := EncodeYAML(s)
		require.NoError(t, err)
		again := new(sample)
		require.NoError(t, DecodeYAML(text, "a.yaml", again), "%s", text)
		assert.Equal(t, out, again.Out)
	}
}

func FuzzDecodeYAML(f *testing.F) {
	f.Add("optim: {lr: 1}\nhidden: [1]\n")
	f.Add("a: &a [*a]\n")
	f.Add("optim: &o\n  <<: *o\n")
	f.Fuzz(func(t *testing.T, text string) {
		s := new(sample)
		if err := DecodeYAML([]byte(text), "a.yaml", s); err != nil || s.Ink == "" || s.Precision == "" {
			return
		}
		out, err := EncodeYAML(s)
		require.NoError(t, err)
		again := new(sample)
		require.NoError(t, DecodeYAML(out, "a.yaml", again), "%s", out)
	})
}

func TestSetNode(t *testing.T) {
	var doc yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte("hidden: [1, 2]\nlr: &x 0.5\nagain: *x\nmap: {a: 1}\nnone:\n"), &doc))
	at := func(i int) *yaml.Node { return doc.Content[0].Content[2*i+1] }
	s := new(sample)
	hidden, lr := find(t, s, "hidden"), find(t, s, "optim.lr")
	require.NoError(t, hidden.SetNode(at(0)))
	assert.Equal(t, []int{1, 2}, s.Hidden)
	require.NoError(t, lr.SetNode(at(2)))
	assert.Equal(t, 0.5, s.Optim.LR, "an alias")
	assert.EqualError(t, lr.SetNode(at(0)), "expected a number, found a list")
	assert.EqualError(t, lr.SetNode(at(3)), "expected a value, found keys and values")
	assert.EqualError(t, lr.SetNode(at(4)), "it has no value")

	assert.EqualError(t, DecodeNode(at(3), "a.yaml", s), "a.yaml:4: a: no such key")
}
