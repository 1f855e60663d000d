package images

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestEvenly(t *testing.T) {
	assert.Equal(t, []int{0, 3, 6}, Evenly(3, 10))
	assert.Equal(t, []int{0, 1}, Evenly(5, 2), "no more than there are")
	assert.Empty(t, Evenly(5, 0))
}
