package vision

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// timmModel is an entry of testdata/keys.txt, which scripts/golden/encoders.py describes.
type timmModel struct {
	spec  Spec
	size  int // 0 for a model whose keys are written out
	count int
	hash  string
	keys  []string // "key 3x4 decay", in timm's order
}

func readKeys(t *testing.T) (models []timmModel) {
	f, err := os.Open("testdata/keys.txt")
	require.NoError(t, err)
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if key, ok := strings.CutPrefix(sc.Text(), " "); ok {
			m := &models[len(models)-1]
			m.keys = append(m.keys, key)
			continue
		}
		words := strings.Fields(sc.Text())
		m := timmModel{}
		if len(words) == 4 && !strings.Contains(words[1], "=") {
			m.spec.Name, m.hash = words[0], words[3]
			m.size, err = strconv.Atoi(words[1])
			require.NoError(t, err)
			m.count, err = strconv.Atoi(words[2])
			require.NoError(t, err)
		} else {
			m.spec = parseSpec(t, sc.Text())
		}
		models = append(models, m)
	}
	return models
}

// parseSpec reads a model's name and options, such as "resnet18 Channels=5 NumClasses=512".
func parseSpec(t *testing.T, text string) Spec {
	words := strings.Fields(text)
	s := Spec{Name: words[0]}
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		if key == "Pool" {
			s.Pool = value
			continue
		}
		n, err := strconv.Atoi(value)
		require.NoError(t, err)
		switch key {
		case "LayerScale":
			s.LayerScale = float64(n)
		case "QKNorm":
			s.QKNorm = n == 1
		case "SwiGLU":
			s.SwiGLU = n == 1
		default:
			*map[string]*int{"ImageSize": &s.ImageSize, "PatchSize": &s.PatchSize, "Channels": &s.Channels,
				"NumClasses": &s.NumClasses, "Depth": &s.Depth, "Registers": &s.Registers}[key] = n
		}
	}
	return s
}

// keysOf lists names, shapes and weight decay of a model, for which it needs no memory.
func keysOf(t *testing.T, th *torch.Thread, spec Spec) (keys []string) {
	v, err := find(spec.Name)
	require.NoError(t, err)
	require.NoError(t, th.Do(context.Background(), func(s *torch.Scope) {
		e, err := v.encoder(s, spec, torch.NewShapes(torch.Float32))
		require.NoError(t, err)
		defer e.Close()
		for _, q := range e.Params().All() {
			kind := "nodecay"
			switch {
			case q.Buffer:
				kind = "buffer"
			case q.Decay:
				kind = "decay"
			}
			shape := strings.ReplaceAll(strings.Trim(fmt.Sprint(q.Value.Shape()), "[]"), " ", "x")
			if shape == "" {
				shape = "-"
			}
			keys = append(keys, q.Name+" "+shape+" "+kind)
		}
	}))
	return keys
}

// TestKeysEqualTimm compares names, order, shapes and weight decay of every variant. For one that differs,
// python scripts/golden/encoders.py NAME prints timm's.
func TestKeysEqualTimm(t *testing.T) {
	seen := map[string]bool{}
	th := torchtest.Thread(t)
	for _, m := range readKeys(t) {
		keys := keysOf(t, th, m.spec)
		if m.size == 0 {
			assert.Equal(t, m.keys, keys, m.spec)
			continue
		}
		seen[m.spec.Name] = true
		spec, err := m.spec.Complete()
		require.NoError(t, err)
		assert.Equal(t, m.size, spec.ImageSize, "image size of %s", m.spec.Name)
		hash := fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(keys, "\n"))))[:16]
		if !assert.Equal(t, m.hash, hash, "%s: %d keys, timm has %d", m.spec.Name, len(keys), m.count) {
			t.Log(strings.Join(keys, "\n"))
		}
	}
	for _, name := range Names() {
		assert.True(t, seen[name] || strings.HasPrefix(name, "wren_") || strings.HasPrefix(name, "cifar_"), "%s is not in testdata/keys.txt", name)
	}
	assert.GreaterOrEqual(t, len(seen), 80)
}
