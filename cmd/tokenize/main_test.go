package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/text/tokenize"
)

const golden = "../../text/tokenize/testdata"

func command(in string, line ...string) (code int, out, log string) {
	var stdout, stderr bytes.Buffer
	code = run(line, strings.NewReader(in), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// captions writes a table of captions and returns its path.
func captions(t *testing.T) string {
	raw, err := os.ReadFile(filepath.Join(golden, "golden.json"))
	require.NoError(t, err)
	var g struct{ Captions []string }
	require.NoError(t, json.Unmarshal(raw, &g))
	var b strings.Builder
	b.WriteString("\ufeffpath,Caption\n")
	for i, c := range g.Captions {
		b.WriteString(strings.Repeat("x", i) + `.png,"` + strings.ReplaceAll(c, `"`, `""`) + "\"\n")
	}
	b.WriteString("none.png,\nshort.png\n")
	file := filepath.Join(t.TempDir(), "captions.csv")
	require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o600))
	return file
}

func TestTrainEncodeShow(t *testing.T) {
	table := captions(t)
	for _, kind := range tokenize.Kinds() {
		out := filepath.Join(t.TempDir(), "tokenizer.json")
		code, _, log := command("a heart\n\xff\n", "train", "--kind", kind, "--size", "460", "--min-count", "1", "--alphabet", "250", out, table, "-")
		require.Zero(t, code, log)
		assert.Contains(t, log, kind+" of 460 tokens, from 28 texts")
		assert.Contains(t, log, "left out 1 texts that are not UTF-8")

		code, ids, log := command("The heart\n\n\xff\n", "encode", out, "-")
		require.Zero(t, code, log)
		lines := strings.Split(strings.TrimSpace(ids), "\n")
		require.Len(t, lines, 3)
		var first []int32
		require.NoError(t, json.Unmarshal([]byte(lines[0]), &first))
		tok, err := tokenize.Open(out)
		require.NoError(t, err)
		want, err := tok.Encode("The heart", 0)
		require.NoError(t, err)
		assert.Equal(t, want, first)
		assert.Equal(t, "null", lines[2])
		assert.Contains(t, log, "2 texts")
		assert.Contains(t, log, "1 texts are not UTF-8")

		code, text, log := command("", "show", "--max", "3", out, "The heart")
		require.Zero(t, code, log)
		assert.Contains(t, text, "of 460 tokens; special: ")
		assert.Contains(t, text, `"The heart": 3 tokens`)
	}
}

func TestSources(t *testing.T) {
	dir := t.TempDir()
	tok := filepath.Join(golden, "bert_uncased.json")
	tsv := filepath.Join(dir, "a.tsv")
	require.NoError(t, os.WriteFile(tsv, []byte("report\tother\none\ttwo\n"), 0o600))
	_, usual, _ := command("", "encode", tok, tsv)
	_, named, _ := command("", "encode", "--column", "other", tok, tsv)
	_, one, _ := command("one\n", "encode", tok, "-")
	_, two, _ := command("two\n", "encode", tok, "-")
	assert.Equal(t, one, usual)
	assert.Equal(t, two, named)
	assert.NotEqual(t, one, two)

	txt := filepath.Join(dir, "a.txt")
	require.NoError(t, os.WriteFile(txt, []byte("one\ntwo"), 0o600))
	_, both, _ := command("", "encode", tok, txt)
	assert.Equal(t, one+two, both)

	var none []string
	for text, err := range (source{}).texts(context.Background(), nil, []string{filepath.Join(dir, "none.txt")}) {
		none = append(none, text, err.Error())
	}
	assert.Len(t, none, 2)
}

func TestErrors(t *testing.T) {
	table := captions(t)
	out := filepath.Join(t.TempDir(), "t.json")
	tok := filepath.Join(golden, "bert_uncased.json")
	for _, c := range []struct {
		code int
		want string
		line []string
	}{
		{2, `"magic": no such command`, []string{"magic"}},
		{2, "expected OUT SOURCE…: got 1 arguments", []string{"train", out}},
		{2, "--size: 3, expected 272", []string{"train", "--size", "3", out, table}},
		{2, "--kind", []string{"train", "--kind", "x", out, table}},
		{2, "--max: -1", []string{"encode", "--max", "-1", tok, table}},
		{1, `no column "nothing" in ["path" "Caption"]`, []string{"train", "--column", "nothing", out, table}},
		{1, "none.txt", []string{"train", out, "none.txt"}},
		{1, "expected a tokenizer.json", []string{"show", table}},
		{1, "expected 2 or more, as there are 2 special tokens", []string{"encode", "--max", "1", tok, table}},
		{1, "not UTF-8 at byte 1", []string{"show", tok, "a\xff"}},
		{1, "images of ", []string{"encode", tok, t.TempDir()}},
	} {
		code, _, log := command("", c.line...)
		assert.Equal(t, c.code, code, "%v: %s", c.line, log)
		assert.Contains(t, log, c.want, "%v", c.line)
	}
	assert.NoFileExists(t, out)
	code, help, _ := command("", "--help")
	assert.Zero(t, code)
	assert.Contains(t, help, "tokenize train [flags] OUT SOURCE…")
	code, help, _ = command("", "train", "--help")
	assert.Zero(t, code)
	assert.Contains(t, help, "--min-count")
}
