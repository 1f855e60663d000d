package runlog

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLast(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	_, ok := Last(path)
	assert.False(t, ok, "there is no file")
	step := `{"step":7,"epoch":1,"loss":0.5}` + "\n"
	for text, want := range map[string]int{
		"":                               0,
		step:                             7,
		step[:len(step)-1]:               0, // not whole yet
		step + `{"step":8,"epoch":1,"lo`: 7,
		step + `{"step":7,"eval":{"knn":1}}` + "\n":                                     7,
		strings.Repeat(step, 10_000) + `{"step":9,"loss":1}` + "\n":                     9,
		`{"step":9,"loss":1}` + "\n" + `{"step":3,"back":{"from":9,"seed":"1"}}` + "\n": 9,
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		s, ok := Last(path)
		assert.Equal(t, want, s.Step, "%.40s", text)
		assert.Equal(t, want != 0, ok)
	}
}
