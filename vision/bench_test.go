package vision

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gojepa/gojepa/internal/rng"
	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/nn"
)

// BenchmarkTraining is forward and backward of 64 images, on one core. scripts/bench/encoders.py is the same with timm.
func BenchmarkTraining(b *testing.B) {
	for _, spec := range []Spec{
		{Name: "vit_tiny_patch16_224", ImageSize: 64, PatchSize: 8, DropPath: 0.1},
		{Name: "resnet18", ImageSize: 64},
		{Name: "convnext_atto", ImageSize: 64},
		{Name: "swin_tiny_patch4_window7_224", ImageSize: 64, Width: 48},
		{Name: "mobilenetv3_small_100", ImageSize: 64},
		{Name: "wren_nano", ImageSize: 64},
		{Name: "wren_tiny", ImageSize: 64},
		{Name: "wren_small", ImageSize: 64},
	} {
		for _, dtype := range []torch.DType{torch.Float32, torch.BFloat16} {
			b.Run(spec.Name+"/"+dtype.String(), func(b *testing.B) {
				th, err := torch.Start(torch.Options{Threads: 1})
				require.NoError(b, err)
				defer th.Close()
				require.NoError(b, th.Do(context.Background(), func(s *torch.Scope) {
					e, err := New(s, spec, 1, torch.Float32)
					require.NoError(b, err)
					defer e.Close()
					x := s.Randn(rng.New(1, rng.Sample, 0, 0), torch.Float32, 64, 3, 64, 64)
					e.Params().ZeroGrad(s)
					for b.Loop() {
						s.Child(func(s *torch.Scope) (y torch.Tensor) {
							s.Autocast(dtype, func() { y = e.Forward(s, x, nn.Pass{Train: true}) })
							y.To(torch.Float32).Square().Mean().Backward()
							return torch.Tensor{}
						})
					}
				}))
				b.ReportMetric(64*float64(b.N)/b.Elapsed().Seconds(), "images/s")
			})
		}
	}
}
