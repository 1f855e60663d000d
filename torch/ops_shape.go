package torch

import (
	"math"

	"github.com/sugarme/gotch/libtch"
)

// The operations of this file rearrange and reduce. Dimensions may be negative, counting from the last.

// Reshape returns t with another shape, sharing memory where strides allow; one size may be -1.
func (t Tensor) Reshape(shape ...int64) Tensor {
	libtch.AtgReshape(t.out(), t.c, t.mem().list(0, shape...), len(shape))
	return t.result("reshape", t)
}

// Flatten joins dimensions start … end.
func (t Tensor) Flatten(start, end int64) Tensor {
	libtch.AtgFlatten(t.out(), t.c, start, end)
	return t.result("flatten", t)
}

// Unflatten splits dimension d into dimensions of the given sizes, one of which may be -1.
func (t Tensor) Unflatten(d int64, sizes ...int64) Tensor {
	libtch.AtgUnflatten(t.out(), t.c, d, t.mem().list(0, sizes...), len(sizes))
	return t.result("unflatten", t)
}

// Permute returns a view with the dimensions in another order.
func (t Tensor) Permute(dims ...int64) Tensor {
	libtch.AtgPermute(t.out(), t.c, t.mem().list(0, dims...), len(dims))
	return t.result("permute", t)
}

// Transpose returns a view with two dimensions exchanged.
func (t Tensor) Transpose(a, b int64) Tensor {
	libtch.AtgTranspose(t.out(), t.c, a, b)
	return t.result("transpose", t)
}

// T returns the transpose of a matrix, as a view.
func (t Tensor) T() Tensor { return t.unary("t", libtch.AtgT) }

// Unsqueeze returns a view with a dimension of size 1 inserted at d.
func (t Tensor) Unsqueeze(d int64) Tensor {
	libtch.AtgUnsqueeze(t.out(), t.c, d)
	return t.result("unsqueeze", t)
}

// Expand returns a view in which dimensions of size 1 are repeated without copying; -1 keeps a size.
func (t Tensor) Expand(shape ...int64) Tensor {
	libtch.AtgExpand(t.out(), t.c, t.mem().list(0, shape...), len(shape), 0)
	return t.result("expand", t)
}

// ExpandBatch returns a view of t, whose first dimension is of size 1, in which it is repeated to be as large as like's. In
// a traced function it is as large as that of like then is; sizes given to [Tensor.Expand] stay as they are.
func (t Tensor) ExpandBatch(like Tensor) Tensor {
	if msg := nativeExpandBatch(t.out(), t.c, like.c); msg != "" {
		panic(newError("expand", msg, []Tensor{t, like}))
	}
	return t.result("expand", t)
}

// Narrow returns the view of length elements from start along dimension d.
func (t Tensor) Narrow(d, start, length int64) Tensor {
	libtch.AtgNarrow(t.out(), t.c, d, start, length)
	return t.result("narrow", t)
}

// AsStrided views t's memory, from its first element on, with a shape and strides of the caller's.
func (t Tensor) AsStrided(shape, strides []int64) Tensor {
	m := t.mem()
	libtch.AtgAsStrided(t.out(), t.c, m.list(0, shape...), len(shape), m.list(1, strides...), len(strides), 0, 1)
	return t.result("as_strided", t)
}

// Select returns the view at one index of dimension d, which disappears.
func (t Tensor) Select(d, index int64) Tensor {
	libtch.AtgSelect(t.out(), t.c, d, index)
	return t.result("select", t)
}

// Unbind returns the views at each index of dimension d, which disappears and whose size is at most 8. Its gradient is
// put together in one copy, where that of several calls of [Tensor.Select] adds up tensors of t's size.
func (t Tensor) Unbind(d int64) []Tensor {
	n := t.Size(int(d))
	t.native("unbind", nativeUnbind(t.out(), t.c, d))
	views := make([]Tensor, n)
	for i := range views {
		views[i] = t.th.cur.own(t.th.mem.outs[i])
	}
	return views
}

// Diagonal returns the view of the diagonals of the last two dimensions, as the last dimension.
func (t Tensor) Diagonal() Tensor {
	libtch.AtgDiagonal(t.out(), t.c, 0, -2, -1)
	return t.result("diagonal", t)
}

// IndexSelect copies the rows of dimension d that index, an int64 vector, names.
func (t Tensor) IndexSelect(d int64, index Tensor) Tensor {
	libtch.AtgIndexSelect(t.out(), t.c, d, index.c)
	return t.result("index_select", t, index)
}

// Gather picks elements along dimension d: for d = 1, out[i][j] = t[i][index[i][j]].
func (t Tensor) Gather(d int64, index Tensor) Tensor {
	libtch.AtgGather(t.out(), t.c, d, index.c, 0)
	return t.result("gather", t, index)
}

// Roll moves elements along the given dimensions, each by its shift; what leaves at the end comes in at the beginning.
func (t Tensor) Roll(shifts, dims []int64) Tensor {
	m := t.mem()
	libtch.AtgRoll(t.out(), t.c, m.list(0, shifts...), len(shifts), m.list(1, dims...), len(dims))
	return t.result("roll", t)
}

// Pad surrounds t with zeros: sizes are how many before and how many after in the last dimension, then in the one before
// it, and so on, as in PyTorch's pad. Negative ones cut off.
func (t Tensor) Pad(sizes ...int64) Tensor {
	libtch.AtgConstantPadNd(t.out(), t.c, t.mem().list(0, sizes...), len(sizes))
	return t.result("constant_pad_nd", t)
}

// Contiguous returns t in C order, itself if it is already.
func (t Tensor) Contiguous() Tensor { return t.unary("contiguous", libtch.AtgContiguous) }

// Clone returns a copy with its own memory, through which gradient flows.
func (t Tensor) Clone() Tensor {
	// gotch's clone is the variant that wants memory to fill; adding zero would touch NaN payloads, and To with copy set is
	// the operation itself.
	libtch.AtgToDtype(t.out(), t.c, int32(t.DType()), 0, 1)
	return t.result("clone", t)
}

// To converts to another element type; t itself if it has that type already.
func (t Tensor) To(d DType) Tensor {
	libtch.AtgToDtype(t.out(), t.c, int32(d), 0, 0)
	return t.result("to", t)
}

// ToDevice moves to another device; t itself if it is there already. From the CPU to a CUDA device
// neither waits for the other; on the way back the host waits for all that the device has to do.
func (t Tensor) ToDevice(d Device) Tensor {
	if d.IsCUDA() && t.Device() == CPU {
		t.native("to", nativeUpload(t.out(), t.c, d))
		return t.result("to", t)
	}
	libtch.AtgTo(t.out(), t.c, d.id())
	return t.result("to", t)
}

// Cat joins tensors along an existing dimension.
func Cat(ts []Tensor, d int64) Tensor { return join("cat", libtch.AtgCat, ts, d) }

// Stack joins tensors of one shape along a new dimension.
func Stack(ts []Tensor, d int64) Tensor { return join("stack", libtch.AtgStack, ts, d) }

func join(op string, f func(*libtch.Ctensor, []libtch.Ctensor, int, int64), ts []Tensor, d int64) Tensor {
	if len(ts) == 0 {
		panic("torch: " + op + " of no tensors")
	}
	t := ts[0]
	f(t.out(), t.mem().handles(ts), len(ts), d)
	return t.result(op, ts...)
}

// Sum adds all elements.
func (t Tensor) Sum() Tensor {
	libtch.AtgSum(t.out(), t.c, sameDType)
	return t.result("sum", t)
}

// SumDim adds along dimension d.
func (t Tensor) SumDim(d int64, keep bool) Tensor {
	libtch.AtgSumDimIntlist(t.out(), t.c, t.mem().list(0, d), 1, int32(boolToInt(keep)), sameDType)
	return t.result("sum", t)
}

// SumDimTo writes the sums of o over dimension d into t, added up in t's type, without gradient.
func (t Tensor) SumDimTo(o Tensor, d int64) {
	libtch.AtgSumIntlistOut(t.out(), t.c, o.c, t.mem().list(0, d), 1, 0, int32(t.DType()))
	t.drop("sum_out", t, o)
}

// Mean is the average of all elements.
func (t Tensor) Mean() Tensor {
	libtch.AtgMean(t.out(), t.c, sameDType)
	return t.result("mean", t)
}

// MeanDim is the average along dimension d.
func (t Tensor) MeanDim(d int64, keep bool) Tensor { return t.MeanDims(keep, d) }

// MeanDims is the average along several dimensions.
func (t Tensor) MeanDims(keep bool, dims ...int64) Tensor {
	libtch.AtgMeanDim(t.out(), t.c, t.mem().list(0, dims...), len(dims), int32(boolToInt(keep)), sameDType)
	return t.result("mean", t)
}

// VarDim is the variance along dimension d, with divisor n-1 if unbiased and n otherwise.
func (t Tensor) VarDim(d int64, unbiased, keep bool) Tensor {
	libtch.AtgVarDim(t.out(), t.c, t.mem().list(0, d), 1, int32(boolToInt(unbiased)), int32(boolToInt(keep)))
	return t.result("var", t)
}

// Max is the largest element.
func (t Tensor) Max() Tensor { return t.unary("max", libtch.AtgMax) }

// Argmax is the index of the largest element along dimension d, as int64. No gradient.
func (t Tensor) Argmax(d int64) Tensor {
	libtch.AtgArgmax(t.out(), t.c, d, 0, 0)
	return t.result("argmax", t)
}

// Topk returns the k largest values along dimension d, in falling order, and their int64 indices.
func (t Tensor) Topk(k, d int64) (values, indices Tensor) {
	out := t.out()
	libtch.AtgTopk(out, t.c, k, d, 1, 1)
	values = t.result("topk", t)
	return values, t.th.cur.own(t.th.mem.outs[1])
}

// Sort returns the values along dimension d in rising order, NaN last, and their int64 indices. Equal values stay in their
// order.
func (t Tensor) Sort(d int64) (values, indices Tensor) {
	out := t.out()
	libtch.AtgSortStable(out, t.c, 1, d, 0)
	values = t.result("sort", t)
	return values, t.th.cur.own(t.th.mem.outs[1])
}

// Norm is the Euclidean norm of all elements.
func (t Tensor) Norm() Tensor { return t.unary("norm", libtch.AtgNorm) }

// NormDims is the Euclidean norm over several dimensions. Its gradient at zero is zero.
func (t Tensor) NormDims(keep bool, dims ...int64) Tensor {
	m := t.mem()
	libtch.AtgNormScalaroptDim(t.out(), t.c, m.float(0, 2), m.list(0, dims...), len(dims), int32(boolToInt(keep)))
	return t.result("norm", t)
}

// AllFinite reports whether no element is infinite or NaN. On CUDA it waits for the device.
func (t Tensor) AllFinite() bool {
	// A sum is one pass without a temporary, and anything not finite makes it so. A sum of finite values that overflows is
	// told apart by the exact test.
	if v := t.Detach().Sum().Item(); !math.IsNaN(v) && !math.IsInf(v, 0) {
		return true
	}
	return t.Detach().Isfinite().unary("all", libtch.AtgAll).Item() != 0
}
