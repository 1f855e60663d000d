// Package nn holds the layers that encoders and projectors are made of, with the parameter names, initial values and
// arithmetic of PyTorch's and timm's layers of the same names.
//
// A layer is made at a [torch.Path], where its parameters get their state-dict keys, and belongs to the path's
// [torch.Params]. Forward works on the thread of the scope that is passed, and leaves one tensor in that scope.
package nn

import "github.com/gojepa/gojepa/torch"

// Pass says how a forward pass runs. The zero Pass is inference.
type Pass struct {
	// Train normalises by the batch's statistics, updates the running ones, and drops paths. Without it the running
	// statistics are used and every path is kept.
	Train bool

	// Seed and Step name the masks of drop path, which are equal for equal names on every device.
	Seed, Step uint64

	// Part separates several passes within one step, such as those of global and of local crops. Below 2³².
	Part uint64

	// Row is the place in its part of the first row that is passed, if the part comes in pieces: each row has the mask that
	// it would have if all came at once.
	Row uint64

	// Rehearsal leaves the running statistics as they are, as the same rows will come again.
	Rehearsal bool
}

// Options of a layer with a weight and a bias. The zero value is what PyTorch does.
type Options struct {
	NoBias bool
	Weight torch.Init // initial weight; nil: [KaimingUniform] with a = √5
	Bias   torch.Init // initial bias; nil: uniform within 1/√fan_in
}

// make creates the weight of the given shape, and a bias for its first dimension unless there is to be none.
func (o Options) make(s *torch.Scope, p torch.Path, shape ...int64) (weight, bias torch.Tensor) {
	if o.Weight == nil {
		o.Weight = KaimingUniform(5)
	}
	weight = p.Param(s, "weight", o.Weight, shape...)
	if o.NoBias {
		return weight, torch.Tensor{}
	}
	if o.Bias == nil {
		in, _ := fans(shape)
		o.Bias = biasOf(in)
	}
	return weight, p.Param(s, "bias", o.Bias, shape[0])
}

// Linear is an affine map of the last dimension.
type Linear struct {
	Weight torch.Tensor // [out, in]
	Bias   torch.Tensor // [out], or the zero Tensor
}

// NewLinear makes weight [out, in] and bias [out].
func NewLinear(s *torch.Scope, p torch.Path, in, out int64, o Options) *Linear {
	w, b := o.make(s, p, out, in)
	return &Linear{Weight: w, Bias: b}
}

// Forward maps x [..., in] to [..., out].
func (l *Linear) Forward(_ *torch.Scope, x torch.Tensor) torch.Tensor {
	return x.Linear(l.Weight, l.Bias)
}

// Conv describes a convolution over images; the kernel is square.
type Conv struct {
	In, Out, Kernel, Stride, Padding int64
	Groups                           int64 // 0 stands for 1
}

// Conv2d is a convolution over images.
type Conv2d struct {
	Weight torch.Tensor // [out, in/groups, kernel, kernel]
	Bias   torch.Tensor // [out], or the zero Tensor
	conv   Conv
}

// NewConv2d makes weight [out, in/groups, kernel, kernel] and bias [out].
func NewConv2d(s *torch.Scope, p torch.Path, c Conv, o Options) *Conv2d {
	c.Groups = max(c.Groups, 1)
	w, b := o.make(s, p, c.Out, c.In/c.Groups, c.Kernel, c.Kernel)
	return &Conv2d{Weight: w, Bias: b, conv: c}
}

// Forward maps x [N, in, H, W] to [N, out, H', W'].
func (l *Conv2d) Forward(_ *torch.Scope, x torch.Tensor) torch.Tensor {
	if c := l.conv; c.Kernel == 1 && c.Stride > 1 && c.In < 8 {
		// Where channels are last, libtorch 2.11 on the CPU writes past its memory in this one's backward pass.
		x = x.Contiguous()
	}
	return x.Conv2d(l.Weight, l.Bias, l.conv.Stride, l.conv.Padding, l.conv.Groups)
}

// LayerNorm normalises the last dimension.
type LayerNorm struct {
	Weight, Bias torch.Tensor // [dim]
	Eps          float64      // added to the variance
}

// NewLayerNorm makes weight and bias [dim], ones and zeros.
func NewLayerNorm(s *torch.Scope, p torch.Path, dim int64, eps float64) *LayerNorm {
	return &LayerNorm{Weight: p.Param(s, "weight", Ones, dim), Bias: p.Param(s, "bias", Zeros, dim), Eps: eps}
}

// NewZeroLayerNorm is [NewLayerNorm] with a weight of zeros, for the last normalisation of a residual branch, which then
// starts at nothing.
func NewZeroLayerNorm(s *torch.Scope, p torch.Path, dim int64, eps float64) *LayerNorm {
	return &LayerNorm{Weight: p.Param(s, "weight", Zeros, dim), Bias: p.Param(s, "bias", Zeros, dim), Eps: eps}
}

// Forward returns x [..., dim] with mean 0 and variance 1 in each row, times weight plus bias.
func (l *LayerNorm) Forward(_ *torch.Scope, x torch.Tensor) torch.Tensor {
	return x.LayerNorm(l.Weight, l.Bias, l.Eps)
}

// BatchNorm normalises each channel: PyTorch's BatchNorm1d and BatchNorm2d, which differ in what they accept only.
type BatchNorm struct {
	Weight, Bias            torch.Tensor // [dim]
	RunningMean, RunningVar torch.Tensor // [dim], buffers
	Batches                 torch.Tensor // int64, a buffer: how many batches the running statistics have seen
}

const (
	batchNormMomentum = 0.1
	batchNormEps      = 1e-5
)

// NewBatchNorm makes weight, bias, running_mean, running_var [dim] and num_batches_tracked. The initial weight is one
// unless given, as for the last normalisation of a residual branch, which starts at zero.
func NewBatchNorm(s *torch.Scope, p torch.Path, dim int64, weight torch.Init) *BatchNorm {
	if weight == nil {
		weight = Ones
	}
	return &BatchNorm{
		Weight:      p.Param(s, "weight", weight, dim),
		Bias:        p.Param(s, "bias", Zeros, dim),
		RunningMean: p.Buffer(s, "running_mean", p.DType(), Zeros, dim),
		RunningVar:  p.Buffer(s, "running_var", p.DType(), Ones, dim),
		Batches:     p.Buffer(s, "num_batches_tracked", torch.Int64, Zeros),
	}
}

// Forward normalises x [N, dim] or [N, dim, H, W]. In training the statistics are those of x, and the running ones move
// towards them by 0.1, the variance without bias. One value per channel has no variance: training on it panics with a
// *[torch.Error], as PyTorch raises.
func (l *BatchNorm) Forward(s *torch.Scope, x torch.Tensor, p Pass) torch.Tensor {
	if p.Train {
		if x.Numel() == x.Size(1) {
			panic(&torch.Error{Op: "batch_norm", Args: []string{x.String()},
				Msg: "training needs more than one value per channel: a larger batch"})
		}
		if p.Rehearsal {
			return x.BatchNorm(l.Weight, l.Bias, l.RunningMean, l.RunningVar, true, 0, batchNormEps)
		}
		s.Use(l.Batches).AddInt_(1)
	}
	return x.BatchNorm(l.Weight, l.Bias, l.RunningMean, l.RunningVar, p.Train, batchNormMomentum, batchNormEps)
}
