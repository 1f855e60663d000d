// Package arrows holds the direction of imports, as docs/architecture.md draws it.
package arrows

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/gojepa/gojepa/"

// allowed says which packages of this module, besides those below internal, a package may import. A key stands for the
// package and, with /..., for all below it. Tests may import more.
var allowed = map[string][]string{
	"torch":               {"torch/weights"},
	"torch/weights":       {},
	"torch/weights/...":   {"torch/weights"},
	"torch/nn":            {"torch"},
	"torch/optim":         {"torch"},
	"torch/torchtest":     {"torch", "torch/torchtest/simcuda"},
	"torch/torchtest/...": {},
	"torch/gotchbridge":   {"torch", "torch/nn"},
	"sigreg":              {"torch"},
	"sigreg/internal/...": {"torch", "torch/torchtest"},
	"sigreg/gaussianity":  {"sigreg", "sigreg/multivariate", "sigreg/univariate", "torch"},
	"sigreg/multivariate": {"torch"},
	"sigreg/univariate":   {"torch"},
	"lejepa":              {"sigreg", "torch", "torch/nn", "torch/weights"},
	"text":                {"torch", "torch/nn", "torch/weights"},
	"text/...":            {},
	"text/captions":       {"text/augment", "text/tokenize"},
	"vision":              {"torch", "torch/nn", "torch/weights", "torch/weights/layout", "vision/images", "vision/views"},
	"vision/images":       {"vision/images/..."},
	"vision/images/...":   {"vision/images/chroma", "vision/images/j2k", "vision/images/lossless", "vision/images/raster"},
	"vision/views":        {"vision/images"},
	"eval":                {"sigreg", "torch", "torch/nn", "torch/optim", "vision", "vision/images", "vision/views"},
	"eval/look":           {"torch", "torch/nn", "vision", "vision/images", "vision/views"},
	"eval/store":          {"eval", "torch", "torch/weights"},
	"train":               {"eval", "eval/look", "lejepa", "sigreg", "sigreg/univariate", "text", "text/...", "torch", "torch/nn", "torch/optim", "torch/weights", "train/...", "vision", "vision/images", "vision/views"},
	"train/...":           {"lejepa", "sigreg", "text/augment", "train/...", "vision/images", "vision/views"},
	"cmd/...":             {"cmd/internal/...", "eval", "eval/...", "lejepa", "sigreg", "sigreg/gaussianity", "text", "text/...", "torch", "torch/weights", "torch/weights/layout", "train", "train/...", "vision", "vision/images", "vision/views"},
	"internal/...":        {},
	"notebooks/...":       {"sigreg", "sigreg/gaussianity", "torch"},
	"scripts/...":         {"lejepa", "sigreg", "torch", "torch/nn", "torch/weights", "train", "train/runlog", "vision"},
}

func TestArrows(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	files := 0
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		require.NoError(t, err)
		from := filepath.ToSlash(rel)
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		require.NoError(t, err)
		files++
		for _, imp := range f.Imports {
			to, err := strconv.Unquote(imp.Path.Value)
			require.NoError(t, err)
			if strings.HasPrefix(to, "github.com/sugarme/gotch") {
				assert.Contains(t, []string{"torch", "torch/gotchbridge"}, from, "%s imports %s: only torch knows gotch", path, to)
			}
			if to, ok := strings.CutPrefix(to, module); ok && !strings.HasPrefix(to, "internal/") {
				assert.True(t, mayImport(t, from, to), "%s imports %s, which no arrow allows", path, to)
			}
		}
		return nil
	})
	require.NoError(t, err)
	assert.Greater(t, files, 20, "source files looked at")
}

func mayImport(t *testing.T, from, to string) bool {
	targets, ok := allowed[from]
	for dir := from; !ok && strings.Contains(dir, "/"); {
		dir = dir[:strings.LastIndex(dir, "/")]
		targets, ok = allowed[dir+"/..."]
	}
	require.True(t, ok, "package %s has no row in the table of arrows", from)
	for _, a := range targets {
		if below, all := strings.CutSuffix(a, "/..."); a == to || all && strings.HasPrefix(to, below+"/") {
			return true
		}
	}
	return false
}
