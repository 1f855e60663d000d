package vision

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// layersOf is what Layers says of a model, for which it needs no memory.
func layersOf(t *testing.T, th *torch.Thread, spec Spec) (layers map[string]int) {
	v, err := find(spec.Name)
	require.NoError(t, err)
	require.NoError(t, th.Do(context.Background(), func(s *torch.Scope) {
		e, err := v.encoder(s, spec, torch.NewShapes(torch.Float32))
		require.NoError(t, err)
		defer e.Close()
		layers = e.Layers()
		assert.Len(t, layers, len(e.Params().Trained()))
	}))
	return layers
}

// TestLayersEqualTimm compares every variant's with timm's. For one that differs, python scripts/golden/layers.py NAME prints
// them.
func TestLayersEqualTimm(t *testing.T) {
	raw, err := os.ReadFile("testdata/layers.txt")
	require.NoError(t, err)
	th := torchtest.Thread(t)
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	require.Greater(t, len(lines), 100)
	for _, line := range lines {
		words := strings.Fields(line)
		n := len(words) - 2
		layers := layersOf(t, th, parseSpec(t, strings.Join(words[:n], " ")))
		var text []string
		for _, name := range slices.Sorted(maps.Keys(layers)) {
			text = append(text, fmt.Sprint(name, " ", layers[name]))
		}
		count := strconv.Itoa(slices.Max(slices.Collect(maps.Values(layers))) + 1)
		hash := fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(text, "\n"))))[:16]
		if !assert.Equal(t, words[n:], []string{count, hash}, line) {
			t.Log(strings.Join(text, "\n"))
			t.FailNow()
		}
	}
}

func TestLayersOfOurOwn(t *testing.T) {
	layers := layersOf(t, torchtest.Thread(t), Spec{Name: "wren_small", NumClasses: 3})
	assert.Equal(t, 0, layers["stem.conv.weight"])
	assert.Equal(t, 1, layers["stages.0.reduce.conv.weight"])
	assert.Equal(t, layers["stages.1.reduce.norm.bias"], layers["stages.1.blocks.0.mix.conv.weight"])
	assert.Equal(t, slices.Max(slices.Collect(maps.Values(layers))), layers["head.weight"])
	assert.Less(t, layers["stages.3.blocks.0.mix.conv.weight"], layers["head.weight"])
}
