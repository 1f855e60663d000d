// Package docs holds the documentation to the code.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = "../.."

// TestGoCodeIsCompiled: the Go code of README.md stands, line for line, in an Example, which the compiler checks.
func TestGoCodeIsCompiled(t *testing.T) {
	var examples []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		examples = append(examples, lines(string(text)))
		return err
	})
	require.NoError(t, err)
	blocks := code(t, "README.md", "go")
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		found := false
		for _, e := range examples {
			found = found || strings.Contains(e, lines(block))
		}
		assert.True(t, found, "README.md: no Example has\n%s", block)
	}
}

// TestMakeTargetsExist: every make command of the documentation is a target.
func TestMakeTargetsExist(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	for _, file := range documents(t) {
		text, err := os.ReadFile(filepath.Join(root, file))
		require.NoError(t, err)
		for _, m := range regexp.MustCompile("(?m)(?:^|`)make ([a-z-]+)").FindAllStringSubmatch(string(text), -1) {
			assert.Contains(t, string(makefile), "\n"+m[1]+":", "%s: make %s", file, m[1])
		}
	}
}

// TestNothingIsLeftOpen: figures are filled in.
func TestNothingIsLeftOpen(t *testing.T) {
	for _, file := range documents(t) {
		text, err := os.ReadFile(filepath.Join(root, file))
		require.NoError(t, err)
		assert.NotRegexp(t, `(?m)^[A-Z_]+_TABLE$`, string(text), file)
	}
}

// TestLinksLead: what the documentation links to in the repository is there.
func TestLinksLead(t *testing.T) {
	for _, file := range documents(t) {
		text, err := os.ReadFile(filepath.Join(root, file))
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`\]\(([^)#]+)`).FindAllStringSubmatch(string(text), -1) {
			if !strings.Contains(m[1], "://") {
				assert.FileExists(t, filepath.Join(root, filepath.Dir(file), m[1]), file)
			}
		}
	}
}

func documents(t *testing.T) []string {
	docs, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	require.NoError(t, err)
	all := []string{"README.md"}
	for _, d := range docs {
		rel, err := filepath.Rel(root, d)
		require.NoError(t, err)
		all = append(all, rel)
	}
	return all
}

// code is the blocks of one language in a document.
func code(t *testing.T, file, language string) []string {
	text, err := os.ReadFile(filepath.Join(root, file))
	require.NoError(t, err)
	var blocks []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}

// lines is a text without indentation and blank lines.
func lines(text string) string {
	var out []string
	for _, l := range strings.Split(text, "\n") {
		if l = strings.Join(strings.Fields(l), " "); l != "" {
			out = append(out, l)
		}
	}
	return strings.Join(out, "\n")
}
