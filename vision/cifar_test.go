package vision

import (
	"context"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// TestCIFARResNetOfOthers: a ResNet-20 that others have trained computes what it does in PyTorch (scripts/golden/cifar.py), in
// float32 to 1e-5 of the largest, with its classifier and without.
func TestCIFARResNetOfOthers(t *testing.T) {
	file := "../../shared/data/checkpoints/resnet20-12fca82f.th"
	if _, err := os.Stat(file); err != nil {
		t.Skip(err)
	}
	var golden struct{ Logits, Features []float64 }
	raw, err := os.ReadFile("testdata/cifar.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &golden))
	x := make([]float32, 2*3*32*32)
	for i, v := range torchtest.Values(15, len(x)) {
		x[i] = float32(v)
	}
	for _, drop := range []bool{false, true} {
		o := LoadOptions{Spec: Spec{Name: "cifar_resnet20", NumClasses: 10}, Torch: torch.Options{Threads: 1}, DropHead: drop}
		want := golden.Logits
		if drop {
			want = golden.Features
		}
		m, err := LoadFile(file, o)
		require.NoError(t, err)
		assert.Equal(t, 32, m.Size)
		got, err := m.Pixels(context.Background(), x, 2, 3, 32, 32)
		m.Close()
		require.NoError(t, err)
		torchtest.Close(t, want, wide(got), 1e-5, 0)
	}
	_, err = LoadFile(file, LoadOptions{Spec: Spec{Name: "cifar_resnet32", NumClasses: 10}, Torch: torch.Options{Threads: 1}})
	assert.ErrorContains(t, err, "missing keys (60): layer1.3.conv1.weight")
}
