//go:build unix

package views

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
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

// BenchmarkViews is what scripts/bench/views.py times in torchvision, on the same files: images per second of processor time
// on one core. Decoding is named after what decodes.
func BenchmarkViews(b *testing.B) {
	tiles := Minimal()
	tiles.Global.Size = 64
	decoders := map[string]images.JPEGDecoder{"go": images.JPEGGo}
	if images.JPEGAuto.Describe() != images.JPEGGo.Describe() {
		decoders["turbo"] = images.JPEGTurbo
	}
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
		const n = 100
		p, err := New(c.config, Kind{Channels: 3}, 1)
		require.NoError(b, err)
		w, batch := p.NewWorker(), NewBatch(1, p.Layout())
		bench := func(name string, f func(i int) error) {
			b.Run(c.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				require.NoError(b, f(0))
				b.ResetTimer()
				start := cpu(b)
				for i := range b.N {
					if err := f(i); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.N)/(cpu(b)-start), "images/cpu-s")
			})
		}
		var decoded []*images.Image
		for _, decoder := range slices.Sorted(maps.Keys(decoders)) {
			o := images.DefaultOptions()
			o.JPEG = decoders[decoder]
			src, err := images.Folder(ctx, dir, o)
			require.NoError(b, err)
			var buf images.Buffer
			bench("decode-"+decoder, func(i int) error {
				_, err := images.Read(ctx, src, i%n*src.Len()/n, &buf)
				return err
			})
			bench("both-"+decoder, func(i int) error {
				m, err := images.Read(ctx, src, i%n*src.Len()/n, &buf)
				if err != nil {
					return err
				}
				return w.Generate(m, uint64(i), uint64(i%n), batch, 0)
			})
			if decoder != "go" {
				continue
			}
			bench("views", func(i int) error {
				for k := len(decoded); k < n; k++ { // at the first call, before the clock begins
					m, err := src.Image(ctx, k*src.Len()/n)
					if err != nil {
						return err
					}
					decoded = append(decoded, m)
				}
				return w.Generate(decoded[i%n], uint64(i), uint64(i%n), batch, 0)
			})
		}
	}
}

// BenchmarkLoader is images per second of the clock by loaders of one and two workers: how the work scales with cores.
func BenchmarkLoader(b *testing.B) {
	const dir = "../../../shared/data/clothing_native"
	if _, err := os.Stat(dir); err != nil {
		b.Skip("../shared/data/clothing_native is absent")
	}
	ctx := context.Background()
	src, err := images.Folder(ctx, dir, images.DefaultOptions())
	require.NoError(b, err)
	p, err := New(Paper(), Kind{Channels: 3}, 1)
	require.NoError(b, err)
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			b.ReportAllocs()
			c := DefaultLoaderConfig()
			c.BatchSize, c.Workers = 20, workers
			l, err := NewLoader(ctx, src, p, c)
			require.NoError(b, err)
			defer l.Close()
			for range c.Prefetch + 1 { // what is ahead was made before the clock begins
				_, err = l.Next(ctx)
				require.NoError(b, err)
			}
			b.ResetTimer()
			start := cpu(b)
			for range b.N {
				if _, err := l.Next(ctx); err != nil {
					b.Fatal(err)
				}
			}
			done := float64(b.N * c.BatchSize)
			b.ReportMetric(done/b.Elapsed().Seconds(), "images/s")
			b.ReportMetric(done/(cpu(b)-start), "images/cpu-s")
		})
	}
}
