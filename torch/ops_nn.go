package torch

import "github.com/sugarme/gotch/libtch"

// The operations of this file are the building blocks of networks. Gradient flows through all of them; parameters that
// are said to be optional may be the zero Tensor.

// Matmul is the matrix product, batched over leading dimensions.
func (t Tensor) Matmul(o Tensor) Tensor { return t.binary("matmul", libtch.AtgMatmul, o) }

// MatmulTo writes the matrix product of a and b into t, without gradient.
func (t Tensor) MatmulTo(a, b Tensor) {
	libtch.AtgMatmulOut(t.out(), t.c, a.c, b.c)
	t.drop("matmul_out", t, a, b)
}

// BmmTo writes the matrix products of a [B, n, k] and b [B, k, m] into t [B, n, m], without gradient.
func (t Tensor) BmmTo(a, b Tensor) {
	libtch.AtgBmmOut(t.out(), t.c, a.c, b.c)
	t.drop("bmm_out", t, a, b)
}

// Addmm returns beta·t + alpha·a·b for matrices a and b.
func (t Tensor) Addmm(a, b Tensor, beta, alpha float64) Tensor {
	if msg := nativeAddmm(t.out(), t.c, a.c, b.c, beta, alpha); msg != "" {
		panic(newError("addmm", msg, []Tensor{t, a, b}))
	}
	return t.result("addmm", t, a, b)
}

// AddmmTo writes c + a·b into t, for matrices a and b, without gradient.
func (t Tensor) AddmmTo(c, a, b Tensor) {
	libtch.AtgAddmmOut(t.out(), t.c, c.c, a.c, b.c)
	t.drop("addmm_out", t, c, a, b)
}

// Linear returns t·wᵀ + b for t [..., in], w [out, in] and an optional b [out].
func (t Tensor) Linear(w, b Tensor) Tensor {
	libtch.AtgLinear(t.out(), t.c, w.c, b.c)
	return t.result("linear", t, w, b)
}

// Embedding takes the rows of t [V, D] that int64 indices of any shape name: [..., D]. On CUDA its gradient does not depend on the
// order in which rows are added up, as that of IndexSelect does.
func (t Tensor) Embedding(indices Tensor) Tensor {
	libtch.AtgEmbedding(t.out(), t.c, indices.c, -1, 0, 0)
	return t.result("embedding", t, indices)
}

// LayerNorm normalises the last dimension to mean 0 and variance 1 and applies w and b of its size.
func (t Tensor) LayerNorm(w, b Tensor, eps float64) Tensor {
	m := t.mem()
	libtch.AtgLayerNorm(t.out(), t.c, m.list(0, t.Size(-1)), 1, w.c, b.c, eps, 1)
	return t.result("layer_norm", t, w, b)
}

// BatchNorm normalises each channel of t [N, C, ...] and applies w and b [C]. In training it uses the batch's statistics
// and moves the running ones by momentum, in place; otherwise it uses the running ones.
func (t Tensor) BatchNorm(w, b, runningMean, runningVar Tensor, training bool, momentum, eps float64) Tensor {
	libtch.AtgBatchNorm(t.out(), t.c, w.c, b.c, runningMean.c, runningVar.c, int32(boolToInt(training)), momentum, eps, 1)
	return t.result("batch_norm", t, w, b, runningMean, runningVar)
}

// Conv2d convolves t [N, C, H, W] with w [O, C/groups, kH, kW] and an optional b [O]; stride and padding are the same in
// both directions.
func (t Tensor) Conv2d(w, b Tensor, stride, padding, groups int64) Tensor {
	m := t.mem()
	libtch.AtgConv2d(t.out(), t.c, w.c, b.c, m.list(0, stride, stride), 2, m.list(1, padding, padding), 2,
		m.list(2, 1, 1), 2, groups)
	return t.result("conv2d", t, w, b)
}

// ChannelsLast returns t [N, C, H, W] with the channels of a pixel side by side in memory, itself if it is so already. Shape
// and values are the same. Convolutions, norms and pooling keep the order, and are up to twice as fast in it on CPUs.
func (t Tensor) ChannelsLast() Tensor {
	t.native("contiguous", nativeChannelsLast(t.out(), t.c))
	return t.result("contiguous", t)
}

// MaxPool2d takes the largest of each window of t [N, C, H, W].
func (t Tensor) MaxPool2d(kernel, stride, padding int64) Tensor {
	m := t.mem()
	libtch.AtgMaxPool2d(t.out(), t.c, m.list(0, kernel, kernel), 2, m.list(1, stride, stride), 2,
		m.list(2, padding, padding), 2, m.list(3, 1, 1), 2, 0)
	return t.result("max_pool2d", t)
}

// AvgPool2d takes the mean of each window of t [N, C, H, W]. Padding counts as zeros unless it is left out by
// countPadding false; ceil lets windows overlap the edge.
func (t Tensor) AvgPool2d(kernel, stride, padding int64, ceil, countPadding bool) Tensor {
	m := t.mem()
	libtch.AtgAvgPool2d(t.out(), t.c, m.list(0, kernel, kernel), 2, m.list(1, stride, stride), 2,
		m.list(2, padding, padding), 2, int32(boolToInt(ceil)), int32(boolToInt(countPadding)), 0, 1)
	return t.result("avg_pool2d", t)
}

// Softmax normalises exponentials along dimension d.
func (t Tensor) Softmax(d int64) Tensor {
	libtch.AtgSoftmax(t.out(), t.c, d, sameDType)
	return t.result("softmax", t)
}

// LogSoftmax is the logarithm of [Tensor.Softmax].
func (t Tensor) LogSoftmax(d int64) Tensor {
	libtch.AtgLogSoftmax(t.out(), t.c, d, sameDType)
	return t.result("log_softmax", t)
}

// CrossEntropy is the mean negative log-likelihood of int64 classes [N] under logits t [N, classes].
func (t Tensor) CrossEntropy(classes Tensor) Tensor {
	const mean, ignore = 1, -100
	libtch.AtgCrossEntropyLoss(t.out(), t.c, classes.c, nil, mean, ignore, 0)
	return t.result("cross_entropy_loss", t, classes)
}

// ScaledDotProductAttention is libtorch's fused softmax(q·kᵀ/√d)·v for q = t, k and v of [N, heads, tokens, d].
func (t Tensor) ScaledDotProductAttention(k, v Tensor) Tensor {
	t.native("scaled_dot_product_attention", nativeAttention(t.out(), t.c, k.c, v.c), k, v)
	return t.result("scaled_dot_product_attention", t, k, v)
}

// InterpolateBicubicAntialias resizes t [N, C, H, W] with Keys' cubic kernel (a = -0.5), stretched where the size
// shrinks: PyTorch's interpolate with mode="bicubic" and antialias=True.
func (t Tensor) InterpolateBicubicAntialias(h, w int64) Tensor {
	libtch.Atg_UpsampleBicubic2dAa(t.out(), t.c, t.mem().list(0, h, w), 2, 0, 0, 1, 0, 1)
	return t.result("_upsample_bicubic2d_aa", t)
}
