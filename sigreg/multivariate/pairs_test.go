package multivariate

import (
	"testing"

	"github.com/gojepa/gojepa/torch"
	"github.com/gojepa/gojepa/torch/torchtest"
)

// TestTiles: however pairs are cut into tiles, and views into groups, the sums are the same.
func TestTiles(t *testing.T) {
	formulas := map[string]formula{
		"BHEP":         func(s *torch.Scope, p pairs, x torch.Tensor) (value, grad torch.Tensor) { return bhep(s, p, x, 0.7) },
		"HenzeVisagie": HenzeVisagie{}.formula,
		"COMB":         COMB{}.formula,
	}
	for name, f := range formulas {
		t.Run(name, func(t *testing.T) {
			torchtest.Do(t, func(s *torch.Scope) {
				const views, n, k = 5, 13, 3
				x := s.FromFloat64(torchtest.Values(3, views*n*k), views, n, k)
				want, wantGrad := evaluate(s, pairs{torch.Float64, true, n}, x, false, f)
				for _, edge := range []int64{1, 2, 5, 6, 7, 12, 14, 26, 1000} {
					got, grad := evaluate(s, pairs{torch.Float64, true, edge}, x, false, f)
					torchtest.Close(t, want.Float64s(), got.Float64s(), 1e-13, 0, "edge ", edge)
					torchtest.Close(t, wantGrad.Float64s(), grad.Float64s(), 1e-13, 0, "edge ", edge)
				}
			})
		})
	}
}
