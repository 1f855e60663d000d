package vision

import (
	"math"

	"github.com/gojepa/gojepa/torch"
)

// rotaryBase is DINOv3's ratio of the longest period to the shortest, which is the image's half.
const rotaryBase = 100

// rotary turns queries and keys by angles that depend on the patch's place (Su et al., arXiv 2104.09864; of two dimensions,
// as in DINOv3, arXiv 2508.10104), so that their product depends on how far apart two patches are.
type rotary struct {
	sin, cos torch.Tensor // [h·w, d/2]
	prefix   int64        // tokens before the patches', which stay
}

// rotary makes the angles of h×w patches; nil for a model without. A quarter of a head's features holds the frequencies of
// the row and as many those of the column; coordinates lie in (-1, 1), whatever the number of patches.
func (n *vitNet) rotary(s *torch.Scope, h, w int64) *rotary {
	if !n.dinov3 {
		return nil
	}
	d := n.width / n.heads
	quarter := d / 4
	sin, cos := make([]float64, 0, h*w*2*quarter), make([]float64, 0, h*w*2*quarter)
	for i := range h {
		for j := range w {
			for _, c := range []float32{(float32(i) + 0.5) / float32(h), (float32(j) + 0.5) / float32(w)} {
				for k := range quarter {
					// Places and periods have timm's rounding to float32.
					period := float32(math.Pow(rotaryBase, float64(float32(2*k)/float32(d/2))))
					at, bt := math.Sincos(2 * math.Pi * float64(2*c-1) / float64(period))
					sin, cos = append(sin, at), append(cos, bt)
				}
			}
		}
	}
	dtype := n.norm.Weight.DType()
	return &rotary{
		sin:    s.FromFloat64(sin, h*w, 2*quarter).To(dtype),
		cos:    s.FromFloat64(cos, h*w, 2*quarter).To(dtype),
		prefix: n.prefix(),
	}
}

// turn rotates x [N, heads, T, d]: the i-th and the (i + d/2)-th feature are the coordinates of a point that turns by the
// i-th angle. Gradient flows to x.
func (r *rotary) turn(x torch.Tensor) torch.Tensor {
	t, half := x.Size(2), x.Size(3)/2
	patches := x.Narrow(2, r.prefix, t-r.prefix)
	a, b := patches.Narrow(3, 0, half), patches.Narrow(3, half, half)
	turned := torch.Cat([]torch.Tensor{a.Mul(r.cos).Sub(b.Mul(r.sin)), b.Mul(r.cos).Add(a.Mul(r.sin))}, 3)
	if r.prefix == 0 {
		return turned
	}
	return torch.Cat([]torch.Tensor{x.Narrow(2, 0, r.prefix).To(turned.DType()), turned}, 2)
}
