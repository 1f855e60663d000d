package optim_test

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/optim"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// BenchmarkStep is a step of each optimiser on the parameters of ViT-Ti's blocks, with two threads; Muon's matrices are made
// orthogonal in float32, as a run does on CPUs without bfloat16, where that takes many times as long.
func BenchmarkStep(b *testing.B) {
	th, err := torch.Start(torch.Options{Threads: 2})
	if err != nil {
		b.Fatal(err)
	}
	defer th.Close()
	for _, name := range slices.Sorted(maps.Keys(makers)) {
		b.Run(name, func(b *testing.B) {
			if err := th.Do(context.Background(), func(s *torch.Scope) {
				const width = 192
				p := torch.NewParams(0, torch.Float32)
				defer p.Close()
				for i := range 12 {
					block := p.Root().At(i)
					for _, m := range []struct {
						name    string
						out, in int64
					}{{"qkv", 3 * width, width}, {"proj", width, width}, {"fc1", 4 * width, width}, {"fc2", width, 4 * width}} {
						block.Sub(m.name).Param(s, "weight", fixed(1), m.out, m.in)
						block.Sub(m.name).Param(s, "bias", fixed(2), m.out)
					}
				}
				var o optim.Optimiser
				if name == "muon" {
					c := optim.DefaultMuon()
					c.DType = torch.Float32
					o = optim.NewMuon(s, c, p)
				} else {
					o = makers[name](s, p)
				}
				defer o.Close()
				for _, g := range p.Flatten(s) {
					g.Grad.Copy_(s.FromFloat64(torchtest.Values(3, int(g.Grad.Numel())), g.Grad.Numel()))
				}
				b.ResetTimer()
				for range b.N {
					o.Step(s, 1e-3)
				}
			}); err != nil {
				b.Fatal(err)
			}
		})
	}
}
