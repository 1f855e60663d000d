package vision

import (
	"bufio"
	"cmp"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
	"github.com/gojepa/gojepa/torch/weights"
)

// BenchmarkWeights loads the weights of a ViT-L, 1.2 GB, into a model that is there, and saves them. The files are in the
// folder that GOJEPA_BENCH_WEIGHTS names, vit.safetensors and vit.pt, and are made there or in a temporary one otherwise;
// GOJEPA_BENCH_MODEL is another model than ViT-L.
// scripts/bench/weights.py is the same in PyTorch. The metric is the least time, which what else the machine does changes
// least.
func BenchmarkWeights(b *testing.B) {
	dir := os.Getenv("GOJEPA_BENCH_WEIGHTS")
	if dir == "" {
		dir = b.TempDir()
	}
	torchtest.Do(b, func(s *torch.Scope) {
		v, err := find(cmp.Or(os.Getenv("GOJEPA_BENCH_MODEL"), "vit_large_patch16_224"))
		require.NoError(b, err)
		e, err := v.encoder(s, Spec{Name: v.name}, torch.NewBlankParams(torch.Float32))
		require.NoError(b, err)
		defer e.Close()
		for _, q := range e.Params().All() {
			s.NoGrad(func() { s.Use(q.Value).Zero_() }) // the memory is there only when it is touched
		}
		for _, ext := range []string{".safetensors", ".pt"} {
			file := filepath.Join(dir, "vit"+ext)
			if _, err := os.Stat(file); err != nil {
				require.NoError(b, e.Params().Save(s, file, nil))
			}
			b.Run("load"+ext, func(b *testing.B) {
				least(b, func() error { return e.Params().Load(s, file, torch.LoadOptions{}) })
			})
			b.Run("save"+ext, func(b *testing.B) {
				out := filepath.Join(dir, "saved"+ext)
				least(b, func() error { return e.Params().Save(s, out, nil) })
				require.NoError(b, os.Remove(out))
			})
			b.Run("write"+ext, func(b *testing.B) { // which is saving without a sync
				out := filepath.Join(dir, "written"+ext)
				least(b, func() error { return write(s, e.Params(), out) })
				require.NoError(b, os.Remove(out))
			})
		}
	})
}

// write writes a model to a file and leaves it to the system when that is on the disk.
func write(s *torch.Scope, p *torch.Params, file string) error {
	var entries []weights.Entry
	for _, q := range p.All() {
		entry, err := torch.NewEntry(s, q.Name, q.Value)
		if err != nil {
			return err
		}
		entries = append(entries, entry)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	to, w := weights.WritePyTorch, bufio.NewWriter(f)
	if filepath.Ext(file) == ".safetensors" {
		to = weights.WriteSafetensors
	}
	return errors.Join(to(w, entries, nil), w.Flush())
}

// least reports the least time that work takes.
func least(b *testing.B, work func() error) {
	best := math.Inf(1)
	for range b.N {
		start := time.Now()
		if err := work(); err != nil {
			b.Fatal(err)
		}
		best = min(best, time.Since(start).Seconds())
	}
	b.ReportMetric(1000*best, "ms")
}
