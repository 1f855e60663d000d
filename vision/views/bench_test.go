//go:build unix

package views

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/vision/images"
)

// cpu is the processor time of this process so far, in seconds: on a machine that others use, it says more than the clock.
func cpu(b *testing.B) float64 {
	var r syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &r))
	return float64(r.Utime.Sec+r.Stime.Sec) + float64(r.Utime.Usec+r.Stime.Usec)/1e6
}

// BenchmarkViews is what scripts/bench/views.py times in torchvision, on the same files: images per second of one core.
func BenchmarkViews(b *testing.B) {
	tiles := Minimal()
	tiles.Global.Size = 64
	for _, c := range []struct {
		name, dir string
		config    Config
	}{
		{"paper", "clothing_native", Paper()},
		{"tiles", "eurosat/validation", tiles},
	} {
		dir := filepath.Join("../../../shared/data", c.dir)
		if _, err := os.Stat(dir); err != nil {
			b.Logf("../shared/data/%s is absent", c.dir)
			continue
		}
		ctx := context.Background()
		src, err := images.Folder(ctx, dir, images.DefaultOptions())
		require.NoError(b, err)
		const n = 100
		var decoded []*images.Image
		for i := range n {
			m, err := src.Image(ctx, i*src.Len()/n)
			require.NoError(b, err)
			decoded = append(decoded, m)
		}
		p, err := New(c.config, 3, 1)
		require.NoError(b, err)
		w, batch := p.NewWorker(), NewBatch(1, p.Layout())
		bench := func(name string, f func(i int)) {
			b.Run(c.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				start := cpu(b)
				for i := range b.N {
					f(i)
				}
				b.ReportMetric(float64(b.N)/(cpu(b)-start), "images/cpu-s")
			})
		}
		bench("decode", func(i int) {
			if _, err := src.Image(ctx, i%n*src.Len()/n); err != nil {
				b.Fatal(err)
			}
		})
		bench("views", func(i int) {
			if err := w.Generate(decoded[i%n], uint64(i), uint64(i%n), batch, 0); err != nil {
				b.Fatal(err)
			}
		})
		bench("both", func(i int) {
			m, err := src.Image(ctx, i%n*src.Len()/n)
			if err != nil {
				b.Fatal(err)
			}
			if err := w.Generate(m, uint64(i), uint64(i%n), batch, 0); err != nil {
				b.Fatal(err)
			}
		})
	}
}
