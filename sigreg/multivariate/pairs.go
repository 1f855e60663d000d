package multivariate

import "github.com/gojepa/gojepa/torch"

const (
	// tileEdge is how many samples are paired with as many others at a time: a tile of a megabyte in float32 stays in the
	// cache while it is worked on, and the sums over its rows are short enough to be right in float32.
	tileEdge = 512
	// wideHalf bounds the half squares of samples for which products have digits enough in float32: their error is that of
	// a kernel's exponent, and so the kernel's relative error.
	wideHalf = 64
)

// pairs says how functions of two samples are summed over all pairs of them: tile by tile, so that nothing of the size of
// all pairs is ever stored. Sums over tiles are in float64.
type pairs struct {
	dtype torch.DType // of the tiles, unless samples are too far out for it
	want  bool        // of the gradient
	edge  int64       // samples on a side of a tile
}

// kernel is a function k(y_i, y_j) of two samples that is the same if they are exchanged.
type kernel struct {
	// features [V, N] of each sample are what tile needs beside the products of samples.
	features []torch.Tensor
	// tile takes the products y_i·y_j [B, I, J], which it may overwrite, and the features of the samples i [B, I, 1] and j
	// [B, 1, J], to k [B, I, J] and, if a gradient is wanted, to the coefficients of its derivative
	// ∂k/∂y_i = own·y_i + other·y_j. Where no own is returned it is k, up to a factor. On the diagonal of a tile that is
	// said to have one are the products of samples with themselves.
	tile func(product torch.Tensor, i, j []torch.Tensor, diagonal bool) (k, own, other torch.Tensor)
	// odd says that own has the opposite sign for ∂k/∂y_j = ±own·y_j + other·y_i, and not the same.
	odd bool
}

// sums is what a kernel comes to: all float64, and the last two only if a gradient is wanted.
type sums struct {
	k     torch.Tensor // Σ_ij k(y_i, y_j)  [V]
	own   torch.Tensor // Σ_j own, or Σ_j k where the kernel has no own  [V, N, 1]
	other torch.Tensor // Σ_j other·y_j  [V, N, K]
}

// points returns samples y [V, N, K], float64, in the type that tiles are computed in, and half the square of each [V, N] in
// float64.
func (p pairs) points(y torch.Tensor) (points, half torch.Tensor) {
	half = halfSquares(y)
	if p.dtype == torch.Float64 || half.Max().Item() > wideHalf {
		return y, half
	}
	points = y.To(p.dtype)
	return points, halfSquares(points.To(torch.Float64)) // of what is multiplied: equal samples have a distance of 0
}

func halfSquares(y torch.Tensor) torch.Tensor { return y.Square().SumDim(-1, false).MulScalar(0.5) }

// sum adds up the kernel over all pairs of points y [V, N, K].
func (p pairs) sum(s *torch.Scope, y torch.Tensor, k kernel) sums {
	views, n, dims := y.Size(0), y.Size(1), y.Size(2)
	total := sums{k: s.Zeros(torch.Float64, views)}
	if p.want {
		total.own = s.Zeros(torch.Float64, views, n, 1)
		total.other = s.Zeros(torch.Float64, views, n, dims)
	}
	features := make([]torch.Tensor, len(k.features))
	for i, f := range k.features {
		features[i] = f.To(y.DType())
	}
	// Small views are taken together.
	group := int64(1)
	if n < p.edge {
		group = max(1, p.edge*p.edge/(n*n))
	}
	for first := int64(0); first < views; first += group {
		count := min(group, views-first)
		for i := int64(0); i < n; i += p.edge {
			for j := i; j < n; j += p.edge {
				t := tile{first, count, block{i, min(p.edge, n-i)}, block{j, min(p.edge, n-j)}}
				s.Child(func(s *torch.Scope) torch.Tensor {
					t.add(s, total, y, features, k, p.want)
					return torch.Tensor{}
				})
			}
		}
	}
	return total
}

// block is some of the samples.
type block struct{ first, count int64 }

// of narrows t [B, N, ...] to the block.
func (b block) of(t torch.Tensor) torch.Tensor { return t.Narrow(1, b.first, b.count) }

// tile is a block of samples paired with itself, or with one further on, in some of the views.
type tile struct {
	first, count int64
	rows, cols   block
}

// add adds what the tile comes to, for a block and one further on in both orders.
func (t tile) add(s *torch.Scope, total sums, y torch.Tensor, features []torch.Tensor, k kernel, want bool) {
	views := func(x torch.Tensor) torch.Tensor { return x.Narrow(0, t.first, t.count) }
	yi, yj := t.rows.of(views(y)), t.cols.of(views(y))
	product := s.Empty(y.DType(), t.count, t.rows.count, t.cols.count)
	product.BmmTo(yi, yj.Transpose(1, 2))
	same := t.rows == t.cols
	fi, fj := make([]torch.Tensor, len(features)), make([]torch.Tensor, len(features))
	for i, f := range features {
		fi[i], fj[i] = t.rows.of(views(f)).Unsqueeze(2), t.cols.of(views(f)).Unsqueeze(1)
	}
	value, own, other := k.tile(product, fi, fj, same)
	twice := 2.0
	if same {
		twice = 1
	}
	ofRows := value.SumDim(2, true).To(torch.Float64)
	views(total.k).AddScaled_(ofRows.SumDim(1, false).Select(1, 0), twice)
	if !want {
		return
	}
	if own.Defined() {
		ofRows = own.SumDim(2, true)
	} else {
		own = value
	}
	t.rows.of(views(total.own)).Add_(ofRows)
	weighted := s.Empty(y.DType(), t.count, t.rows.count, y.Size(2))
	weighted.BmmTo(other, yj)
	t.rows.of(views(total.other)).Add_(weighted)
	if same {
		return
	}
	sign := 1.0
	if k.odd {
		sign = -1
	}
	t.cols.of(views(total.own)).AddScaled_(own.SumDim(1, false).Unsqueeze(2), sign)
	weighted = s.Empty(y.DType(), t.count, t.cols.count, y.Size(2))
	weighted.BmmTo(other.Transpose(1, 2), yi)
	t.cols.of(views(total.other)).Add_(weighted)
}
