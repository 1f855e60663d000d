package figure

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestJSON(t *testing.T) {
	text, err := json.Marshal([]Figure{0.5, Figure(math.NaN()), Figure(math.Inf(1)), Figure(math.Inf(-1)), -3})
	require.NoError(t, err)
	assert.Equal(t, "[0.5,null,null,null,-3]", string(text))

	var back []Figure
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Equal(t, Figure(0.5), back[0])
	assert.Equal(t, Figure(-3), back[4])
	for _, f := range back[1:4] {
		assert.True(t, math.IsNaN(float64(f)))
	}
	assert.Error(t, json.Unmarshal([]byte(`"x"`), new(Figure)))
}
