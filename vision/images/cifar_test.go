package images

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOpenCIFAR(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(sources, "cifar10")
	s := open(t, dir, labels)
	assert.Equal(t, []string{"data_batch_1.bin[0]", "data_batch_1.bin[1]", "data_batch_1.bin[2]"}, names(s))
	assert.Equal(t, []int{9, 0, 3}, labelsOf(s))
	require.Len(t, s.(Labelled).Classes(), 10)
	assert.Equal(t, "truck", s.(Labelled).Classes()[9])
	data, err := os.ReadFile(filepath.Join(dir, "data_batch_1.bin"))
	require.NoError(t, err)
	for i := range 3 {
		m, err := s.Image(ctx, i)
		require.NoError(t, err)
		require.NoError(t, m.Check())
		require.Equal(t, data[i*3073+1:][:3072], m.Pix)
	}
	assert.Empty(t, open(t, filepath.Join(dir, "data_batch_1.bin"), nil).(Labelled).Classes())
	openFails(t, dir, func(o *OpenOptions) { o.Test = true }, "no file test_batch.bin or test.bin in it")

	// CIFAR-100 has two labels, and without their names classes are numbers.
	path := filepath.Join(t.TempDir(), "train.bin")
	var b []byte
	for i := range 3 {
		b = append(append(b, byte(19-i), byte(99-i)), data[i*3073+1:][:3072]...)
	}
	require.NoError(t, os.WriteFile(path, b, 0o644))
	s = open(t, filepath.Dir(path), labels)
	assert.Equal(t, []int{99, 98, 97}, labelsOf(s))
	assert.Len(t, s.(Labelled).Classes(), 100)
	s = open(t, path, func(o *OpenOptions) { o.LabelColumn = "coarse" })
	assert.Equal(t, []int{19, 18, 17}, labelsOf(s))
	m, err := s.Image(ctx, 2)
	require.NoError(t, err)
	assert.Equal(t, data[2*3073+1:][:3072], m.Pix)
	require.NoError(t, os.WriteFile(path, b[:3000], 0o644))
	_, err = s.Image(ctx, 2)
	require.ErrorContains(t, err, path)
	openFails(t, path, nil, "it has 3000 bytes, expected records of 3073")
}
