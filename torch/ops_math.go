package torch

import "github.com/sugarme/gotch/libtch"

// The operations of this file work element by element with broadcasting, as PyTorch's of the same names. Gradient flows
// through all of them but the comparisons.

type unaryOp func(out *libtch.Ctensor, self libtch.Ctensor)
type binaryOp func(out *libtch.Ctensor, self, other libtch.Ctensor)
type scalarOp func(out *libtch.Ctensor, self libtch.Ctensor, other libtch.Cscalar)

func (t Tensor) unary(op string, f unaryOp) Tensor {
	f(t.out(), t.c)
	return t.result(op, t)
}

func (t Tensor) binary(op string, f binaryOp, o Tensor) Tensor {
	f(t.out(), t.c, o.c)
	return t.result(op, t, o)
}

func (t Tensor) scalar(op string, f scalarOp, v float64) Tensor {
	f(t.out(), t.c, t.mem().float(0, v))
	return t.result(op, t)
}

// Add returns t + o.
func (t Tensor) Add(o Tensor) Tensor { return t.binary("add", libtch.AtgAdd, o) }

// Sub returns t - o.
func (t Tensor) Sub(o Tensor) Tensor { return t.binary("sub", libtch.AtgSub, o) }

// Mul returns t · o.
func (t Tensor) Mul(o Tensor) Tensor { return t.binary("mul", libtch.AtgMul, o) }

// Div returns t / o.
func (t Tensor) Div(o Tensor) Tensor { return t.binary("div", libtch.AtgDiv, o) }

// Maximum returns the larger of t and o.
func (t Tensor) Maximum(o Tensor) Tensor { return t.binary("maximum", libtch.AtgMaximum, o) }

// AddScalar returns t + v.
func (t Tensor) AddScalar(v float64) Tensor { return t.scalar("add", libtch.AtgAddScalar, v) }

// SubScalar returns t - v.
func (t Tensor) SubScalar(v float64) Tensor { return t.scalar("sub", libtch.AtgSubScalar, v) }

// MulScalar returns t · v.
func (t Tensor) MulScalar(v float64) Tensor { return t.scalar("mul", libtch.AtgMulScalar, v) }

// DivScalar returns t / v.
func (t Tensor) DivScalar(v float64) Tensor { return t.scalar("div", libtch.AtgDivScalar, v) }

// PowScalar returns t to the power v.
func (t Tensor) PowScalar(v float64) Tensor { return t.scalar("pow", libtch.AtgPowTensorScalar, v) }

// Neg returns -t.
func (t Tensor) Neg() Tensor { return t.unary("neg", libtch.AtgNeg) }

// Abs returns |t|.
func (t Tensor) Abs() Tensor { return t.unary("abs", libtch.AtgAbs) }

// Exp returns e to the power t.
func (t Tensor) Exp() Tensor { return t.unary("exp", libtch.AtgExp) }

// Expm1 returns e to the power t, less 1, with all digits where t is near 0.
func (t Tensor) Expm1() Tensor { return t.unary("expm1", libtch.AtgExpm1) }

// Log returns the natural logarithm.
func (t Tensor) Log() Tensor { return t.unary("log", libtch.AtgLog) }

// Sqrt returns the square root.
func (t Tensor) Sqrt() Tensor { return t.unary("sqrt", libtch.AtgSqrt) }

// Square returns t².
func (t Tensor) Square() Tensor { return t.unary("square", libtch.AtgSquare) }

// Cos returns the cosine of t in radians.
func (t Tensor) Cos() Tensor { return t.unary("cos", libtch.AtgCos) }

// Sin returns the sine of t in radians.
func (t Tensor) Sin() Tensor { return t.unary("sin", libtch.AtgSin) }

// Erfc returns the complementary error function, 1 - erf(t).
func (t Tensor) Erfc() Tensor { return t.unary("erfc", libtch.AtgErfc) }

// Erfcx returns e^(t²) · erfc(t), which does not underflow for large t.
func (t Tensor) Erfcx() Tensor { return t.unary("special_erfcx", libtch.AtgSpecialErfcx) }

// LogNdtr returns log Φ(t), Φ the distribution function of the standard Gaussian. The value is right in both tails. The
// gradient is libtorch's, which loses its digits in the lower one: in float32 it is off by 4 % at t = -1000, and zero or
// NaN farther out.
func (t Tensor) LogNdtr() Tensor { return t.unary("special_log_ndtr", libtch.AtgSpecialLogNdtr) }

// Relu returns max(t, 0).
func (t Tensor) Relu() Tensor { return t.unary("relu", libtch.AtgRelu) }

// Gelu returns t · Φ(t) with the exact error function.
func (t Tensor) Gelu() Tensor { return t.gelu(false) }

// GeluTanh is [Tensor.Gelu] with the approximation by a hyperbolic tangent (Hendrycks & Gimpel, arXiv 1606.08415).
func (t Tensor) GeluTanh() Tensor { return t.gelu(true) }

func (t Tensor) gelu(tanh bool) Tensor {
	if msg := nativeGelu(t.out(), t.c, tanh); msg != "" {
		panic(newError("gelu", msg, []Tensor{t}))
	}
	return t.result("gelu", t)
}

// Sigmoid returns 1 / (1 + e^-t).
func (t Tensor) Sigmoid() Tensor { return t.unary("sigmoid", libtch.AtgSigmoid) }

// Silu returns t · sigmoid(t), also called swish.
func (t Tensor) Silu() Tensor { return t.unary("silu", libtch.AtgSilu) }

// Hardsigmoid returns t/6 + 1/2, limited to [0, 1].
func (t Tensor) Hardsigmoid() Tensor { return t.unary("hardsigmoid", libtch.AtgHardsigmoid) }

// Hardswish returns t · hardsigmoid(t).
func (t Tensor) Hardswish() Tensor { return t.unary("hardswish", libtch.AtgHardswish) }

// Isfinite marks the elements that are neither infinite nor NaN.
func (t Tensor) Isfinite() Tensor { return t.unary("isfinite", libtch.AtgIsfinite) }

// Sign is -1, 0 or 1 by the sign of t, without gradient.
func (t Tensor) Sign() Tensor { return t.unary("sign", libtch.AtgSign) }

// GeScalar marks the elements that are v or more.
func (t Tensor) GeScalar(v float64) Tensor { return t.scalar("ge", libtch.AtgGe, v) }

// Eq marks the elements equal to o's.
func (t Tensor) Eq(o Tensor) Tensor { return t.binary("eq", libtch.AtgEqTensor, o) }

// Clamp limits t to [lo, hi].
func (t Tensor) Clamp(lo, hi float64) Tensor {
	m := t.mem()
	libtch.AtgClamp(t.out(), t.c, m.float(0, lo), m.float(1, hi))
	return t.result("clamp", t)
}

// Lerp returns t + w·(o - t).
func (t Tensor) Lerp(o Tensor, w float64) Tensor {
	libtch.AtgLerp(t.out(), t.c, o.c, t.mem().float(0, w))
	return t.result("lerp", t, o)
}

// In-place operations change the memory of t, which other tensors may share. They are for buffers and parameters under
// NoGrad: autograd refuses them where it still needs the old values.

func (t Tensor) unaryInPlace(op string, f unaryOp) {
	f(t.out(), t.c)
	t.drop(op, t)
}

func (t Tensor) binaryInPlace(op string, f binaryOp, o Tensor) {
	f(t.out(), t.c, o.c)
	t.drop(op, t, o)
}

func (t Tensor) scalarInPlace(op string, f scalarOp, v float64) {
	f(t.out(), t.c, t.mem().float(0, v))
	t.drop(op, t)
}

// Add_ adds o to t.
func (t Tensor) Add_(o Tensor) { t.binaryInPlace("add_", libtch.AtgAdd_, o) }

// AddScaled_ adds alpha·o to t.
func (t Tensor) AddScaled_(o Tensor, alpha float64) {
	t.mem()
	t.native("add_", nativeAdd(t.c, o.c, alpha), o)
}

// Sub_ subtracts o from t.
func (t Tensor) Sub_(o Tensor) { t.binaryInPlace("sub_", libtch.AtgSub_, o) }

// Mul_ multiplies t by o.
func (t Tensor) Mul_(o Tensor) { t.binaryInPlace("mul_", libtch.AtgMul_, o) }

// Div_ divides t by o.
func (t Tensor) Div_(o Tensor) { t.binaryInPlace("div_", libtch.AtgDiv_, o) }

// AddScalar_ adds v to t.
func (t Tensor) AddScalar_(v float64) { t.scalarInPlace("add_", libtch.AtgAddScalar_, v) }

// AddInt_ adds v to t, whose elements may be integers.
func (t Tensor) AddInt_(v int64) {
	libtch.AtgAddScalar_(t.out(), t.c, t.mem().int(0, v))
	t.drop("add_", t)
}

// SubScalar_ subtracts v from t.
func (t Tensor) SubScalar_(v float64) { t.scalarInPlace("sub_", libtch.AtgSubScalar_, v) }

// MulScalar_ multiplies t by v.
func (t Tensor) MulScalar_(v float64) { t.scalarInPlace("mul_", libtch.AtgMulScalar_, v) }

// DivScalar_ divides t by v.
func (t Tensor) DivScalar_(v float64) { t.scalarInPlace("div_", libtch.AtgDivScalar_, v) }

// Fill_ sets every element to v.
func (t Tensor) Fill_(v float64) { t.scalarInPlace("fill_", libtch.AtgFill_, v) }

// Zero_ sets every element to zero.
func (t Tensor) Zero_() { t.unaryInPlace("zero_", libtch.AtgZero_) }

// Neg_ negates t.
func (t Tensor) Neg_() { t.unaryInPlace("neg_", libtch.AtgNeg_) }

// Sin_ replaces t by its sine.
func (t Tensor) Sin_() { t.unaryInPlace("sin_", libtch.AtgSin_) }

// Cos_ replaces t by its cosine.
func (t Tensor) Cos_() { t.unaryInPlace("cos_", libtch.AtgCos_) }

// Square_ replaces t by t².
func (t Tensor) Square_() { t.unaryInPlace("square_", libtch.AtgSquare_) }

// Lerp_ replaces t by t + w·(o - t).
func (t Tensor) Lerp_(o Tensor, w float64) {
	libtch.AtgLerp_(t.out(), t.c, o.c, t.mem().float(0, w))
	t.drop("lerp_", t, o)
}

// Addcmul_ adds v·a·b to t.
func (t Tensor) Addcmul_(a, b Tensor, v float64) {
	t.mem()
	t.native("addcmul_", nativeAddcmul(t.c, a.c, b.c, v), a, b)
}

// AddcmulTo writes self + v·a·b into t, without gradient.
func (t Tensor) AddcmulTo(self, a, b Tensor, v float64) {
	t.mem()
	t.native("addcmul_out", nativeAddcmulOut(t.c, self.c, a.c, b.c, v), self, a, b)
}

// SinTo writes the sine of o into t, without gradient.
func (t Tensor) SinTo(o Tensor) { t.binaryInPlace("sin_out", libtch.AtgSinOut, o) }

// CosTo writes the cosine of o into t, without gradient.
func (t Tensor) CosTo(o Tensor) { t.binaryInPlace("cos_out", libtch.AtgCosOut, o) }

// Addcdiv_ adds v·a/b to t.
func (t Tensor) Addcdiv_(a, b Tensor, v float64) {
	t.mem()
	t.native("addcdiv_", nativeAddcdiv(t.c, a.c, b.c, v), a, b)
}

// Copy_ overwrites t by o, converting type and device; o is broadcast to t's shape.
func (t Tensor) Copy_(o Tensor) {
	t.mem()
	libtch.AtCopy_(t.c, o.c)
	t.native("copy_", lastError(), o)
}

// native panics if an operation that has no result left a message.
func (t Tensor) native(op, msg string, args ...Tensor) {
	if msg != "" {
		panic(newError(op, msg, append([]Tensor{t}, args...)))
	}
}
